"""What the readers of gold's tables find, asked once."""

from __future__ import annotations

import pytest

from tests.conftest import Chain
from tests.serving.readers import Sums, sums_by_reader


@pytest.fixture(scope="package")
def sums(demo_lake: Chain) -> tuple[Sums, dict[str, Sums]]:
    """By Spark, and by each other reader."""
    return sums_by_reader(demo_lake.store)
