"""No figure depends on the time zone of the session: the small demo is made in two, and compared with its truth elsewhere."""

from __future__ import annotations

from pathlib import Path

from compare_lakes import COMPARED, compare

from tests.conftest import Chain, time_zone


def test_gold_is_the_same_whatever_the_sessions_time_zone(demo_lake: Chain, tmp_path: Path) -> None:
    (tmp_path / "landing").symlink_to(demo_lake.landing)
    other = demo_lake.in_folder(tmp_path)
    with time_zone(demo_lake.spark, "America/New_York"):
        other.run()
    assert [table.full_name for table in COMPARED if compare(demo_lake.lake, other.lake, table).differing] == []
