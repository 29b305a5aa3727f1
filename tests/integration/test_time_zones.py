"""No figure depends on the time zone of the session."""

from __future__ import annotations

from pathlib import Path

import pytest
from compare_lakes import COMPARED, compare

from tests.conftest import Chain


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_gold_is_the_same_whatever_the_sessions_time_zone(demo_lake: Chain, tmp_path: Path, zone: str) -> None:
    (tmp_path / "landing").symlink_to(demo_lake.landing)
    other = demo_lake.in_folder(tmp_path)
    spark = demo_lake.spark
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        other.run()
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    assert [table.full_name for table in COMPARED if compare(demo_lake.lake, other.lake, table).differing] == []
