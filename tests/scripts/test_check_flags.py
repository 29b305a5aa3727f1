from __future__ import annotations

import duckdb
from demo_chain.check_flags import Hotspots, to_hotspots


def test_a_flag_is_right_in_the_weeks_of_a_planted_hotspot_and_two_weeks_after() -> None:
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE return_hotspots AS SELECT * FROM (VALUES ('F1', 'DELI', '3', '4', '9'), ('F2', 'DELI', '8', '9', '7')) "
            "t(branch_id, category_l1, first_week, last_week, lines_returned)"
        )
        con.execute(
            """
            CREATE TABLE kpi_return AS SELECT * FROM (VALUES
                ('F1', 'DELI', DATE '2017-01-02', true, true),  -- week 2: too early
                ('F1', 'DELI', DATE '2017-01-09', true, true),  -- week 3
                ('F1', 'DELI', DATE '2017-01-30', true, true),  -- week 6, the last that counts
                ('F1', 'DELI', DATE '2017-02-06', true, true),  -- week 7: too late
                ('F1', 'MEAT', DATE '2017-01-16', true, false),
                ('F2', 'DELI', DATE '2017-02-13', false, true)
            ) t(branch_id, category_l1, starts_on, is_hotspot, is_simple_hotspot)
            """
        )
        con.execute(
            "CREATE TABLE flag_backtest AS SELECT * FROM (VALUES ('week_anomaly', 'ours', 3), ('week_anomaly', 'ours', 4), "
            "('week_anomaly', 'simple', 11), ('reorder_signal', 'ours', 2)) t(flag, rule, flagged)"
        )
        found = to_hotspots(con)
    flags = (("reorder_signal", 2, 0), ("week_anomaly", 7, 11))
    assert found == Hotspots(planted=2, found=1, flagged=5, flagged_right=2, simple=5, flags=flags)
    assert (found.recall, found.precision, found.ok) == (0.5, 0.4, False)
    assert "1 of 2 planted ones" in str(found)
    assert "flags of week_anomaly: 7; the simple rule raises 11" in str(found)


def test_finding_all_with_hardly_anything_else_is_enough_and_nothing_flagged_is_not() -> None:
    assert Hotspots(planted=20, found=19, flagged=10, flagged_right=9, simple=0).ok
    assert not Hotspots(planted=20, found=18, flagged=10, flagged_right=10, simple=0).ok
    assert not Hotspots(planted=20, found=20, flagged=100, flagged_right=89, simple=0).ok
    assert not Hotspots(planted=3, found=0, flagged=0, flagged_right=0, simple=0).ok
