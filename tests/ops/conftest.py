"""A copy of the README's chain after one run, for tests that change its lake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Chain


@pytest.fixture
def readme_copy(readme_lake: Chain, tmp_path: Path) -> Chain:
    shutil.copytree(readme_lake.folder, tmp_path / "copy")
    return readme_lake.in_folder(tmp_path / "copy")
