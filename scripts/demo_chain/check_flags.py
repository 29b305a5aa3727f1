"""How well the planted hotspots of returns are found in gold.kpi_return, and what the rules flag beside simple ones."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from deltalake import DeltaTable

TABLES = ("kpi_return", "flag_backtest")
# Goods come back one to fourteen days later, so that a hotspot is seen until two weeks after its last week.
_WEEKS_AFTER = 2
_FIRST_MONDAY = "DATE '2016-12-26'"  # of week 1 of the demo, see demo_chain/base.py
_FOUND = f"""
    WITH planted AS (
        SELECT branch_id, category_l1, lines_returned::INTEGER AS lines_returned,
               {_FIRST_MONDAY} + 7 * (first_week::INTEGER - 1) AS first_monday,
               {_FIRST_MONDAY} + 7 * (last_week::INTEGER - 1 + {_WEEKS_AFTER}) AS last_monday
        FROM return_hotspots
    ), flagged AS (SELECT branch_id, category_l1, starts_on FROM kpi_return WHERE is_hotspot), found AS (
        SELECT flagged.*, planted.first_monday FROM flagged LEFT JOIN planted
        ON flagged.branch_id = planted.branch_id AND flagged.category_l1 = planted.category_l1
           AND flagged.starts_on BETWEEN first_monday AND last_monday
    )
    SELECT (SELECT count(*) FROM planted),
           (SELECT count(*) FROM planted SEMI JOIN found USING (branch_id, category_l1, first_monday)),
           count(*), count(first_monday), (SELECT count(*) FILTER (is_simple_hotspot) FROM kpi_return)
    FROM found
"""
_COUNTED = """
    SELECT flag, sum(flagged) FILTER (rule = 'ours')::BIGINT, sum(flagged) FILTER (rule = 'simple')::BIGINT
    FROM flag_backtest GROUP BY flag ORDER BY flag
"""


@dataclass(frozen=True)
class Hotspots:
    """Planted hotspots and those of which a week is flagged; weeks of product groups in branches that are flagged, and rightly.

    ``flags``: for each kind of flag how many the rules raised, and how many the simple rule.
    """

    planted: int
    found: int
    flagged: int
    flagged_right: int
    simple: int
    flags: tuple[tuple[str, int, int], ...] = ()
    is_judged: bool = True

    @property
    def recall(self) -> float:
        return self.found / max(self.planted, 1)

    @property
    def precision(self) -> float:
        return self.flagged_right / max(self.flagged, 1)

    @property
    def ok(self) -> bool:
        """Nearly all hotspots are found, and hardly anything else is flagged; a cut of the chain may hold too little of them."""
        return not self.is_judged or (self.recall >= 0.95 and self.precision >= 0.9)

    def __str__(self) -> str:
        counted = "".join(f"\nflags of {flag}: {ours:,}; the simple rule raises {simple:,}" for flag, ours, simple in self.flags)
        verdict = ("=" if self.ok else "DIFFERS") if self.is_judged else "not judged, this is a cut of the chain"
        return (
            f"return hotspots: {self.found} of {self.planted} planted ones are found (recall {self.recall:.2f}); "
            f"{self.flagged_right:,} of {self.flagged:,} flagged weeks lie in one (precision {self.precision:.2f}); "
            f"twice the expected rate alone would flag {self.simple:,}: {verdict}{counted}"
        )


def hotspots(out: Path) -> Hotspots:
    """How many planted hotspots are found, and how much else is flagged, in ``out/lake`` by ``out/truth``."""
    with duckdb.connect() as con:
        for table in TABLES:
            con.register(table, DeltaTable(str(out / "lake" / "gold" / table)).to_pyarrow_dataset())
        con.execute(
            "CREATE TABLE return_hotspots AS FROM read_csv($1, all_varchar := true)",
            [str(out / "truth" / "return_hotspots.csv")],
        )
        chain = json.loads((out / "truth" / "chain.json").read_text("utf-8"))
        return replace(to_hotspots(con), is_judged=chain["weeks"] is None and chain["branches"] is None)


def to_hotspots(con: duckdb.DuckDBPyConnection) -> Hotspots:
    """Count in the relations kpi_return, flag_backtest and return_hotspots."""
    flags = tuple((flag, ours or 0, simple or 0) for flag, ours, simple in con.execute(_COUNTED).fetchall())
    [(planted, found, flagged, right, simple)] = con.execute(_FOUND).fetchall()
    return Hotspots(planted, found, flagged, right, simple, flags)
