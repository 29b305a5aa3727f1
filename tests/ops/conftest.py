"""The README's chain after one run, to be copied by tests that change its lake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.conftest import Chain
from tests.test_docs import write_shown_files


@pytest.fixture(scope="session")
def readme_lake(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Chain:
    conf_dir = write_shown_files(tmp_path_factory.mktemp("readme_lake"))
    chain = Chain(conf_dir, conf_dir, spark)
    chain.run()
    return chain


@pytest.fixture
def readme_copy(readme_lake: Chain, tmp_path: Path) -> Chain:
    shutil.copytree(readme_lake.folder, tmp_path / "copy")
    return readme_lake.in_folder(tmp_path / "copy")
