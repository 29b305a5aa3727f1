"""``tillhouse tie-out``: the Z reports of a period beside what has come of their till closings."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.errors import TillhouseError
from tillhouse.kpi.closed import Period
from tillhouse.ops import text
from tillhouse.ops.upgrade import expect_lake
from tillhouse.store import Store, on_days
from tillhouse.tables import gold

Say = Callable[[str], None]
AddLake = Callable[[argparse.ArgumentParser], None]


def add_arguments(parser: argparse.ArgumentParser, add_lake_arguments: AddLake) -> None:
    add_lake_arguments(parser)
    parser.add_argument("--month", metavar="PERIOD", required=True, help="a month (2017-06), a week (2017-W23) or a day")
    parser.add_argument("--branch", nargs="+", default=(), metavar="ID", help="only these branches")
    parser.add_argument("--limit", type=int, default=50, help="at most so many that do not agree (50)")
    parser.add_argument("--json", action="store_true", help="every row as JSON lines")


def run(given: argparse.Namespace, store: Store, say: Say) -> int:
    """Tell the sums of the period, and what does not agree; exit code 0 whether it does or not.

    Raises:
        ConfigError: the period is none.
        TillhouseError: there is no lake yet, or one that no run of this release has worked on.
    """
    expect_lake(store)
    if not store.exists(gold.CLOSING_TIE_OUT):
        raise TillhouseError("this lake has no gold.closing_tie_out yet. Remedy: `tillhouse run`, which makes missing tables")
    rows = of_period(store, Period.parse(given.month), given.branch)
    if given.json:
        say("\n".join(json.dumps(row.asDict(), default=str) for row in rows.drop("_month").orderBy(*_ORDER).collect()))
        return 0
    sums = to_sums(rows)
    summed = sums.collect()
    if not summed:
        say("nothing to compare: no source delivers Z reports (closing_totals in its mapping), or none of this period")
        return 0
    say(text.as_table(sums.columns, summed))
    shown = rows.where("status <> 'agrees'")
    found = shown.orderBy(*_ORDER).select(*_ORDER, *_AMOUNTS, "status").limit(given.limit).collect()
    if found:
        say("\n" + text.as_table([*_ORDER, *_AMOUNTS, "status"], found))
    more = shown.count() - len(found)
    if more > 0:
        say(f"and {more:,} more; --limit, or --json")
    return 0


_ORDER = ("business_date", "branch_id", "register_id", "closing_id", "kind", "member", "currency")
_CENTS = "DECIMAL(18,2)"
_AMOUNTS = ("stated_amount", "actual_amount", "difference_amount")


def of_period(store: Store, period: Period, branches: Sequence[str] = ()) -> DataFrame:
    """The closings of a period, and of some branches only."""
    rows = store.read(gold.CLOSING_TIE_OUT).where(on_days(period.days, gold.CLOSING_TIE_OUT))
    return rows.where(F.col("branch_id").isin(*branches)) if branches else rows


def to_sums(rows: DataFrame) -> DataFrame:
    """The sums of what is compared, a report that has not come counting 0, and how often it agrees."""
    statuses = ("agrees", "differs", "no_report", "no_receipts")
    stated, actual = F.coalesce(F.sum("stated_amount"), F.lit(0)), F.sum("actual_amount")
    sums = rows.groupBy("kind", "member", "currency").agg(
        stated.cast(_CENTS).alias("stated"),
        actual.cast(_CENTS).alias("actual"),
        (stated - actual).cast(_CENTS).alias("difference"),
        *(F.count_if(F.col("status") == status).alias(status) for status in statuses),
    )
    return sums.orderBy("kind", "member", "currency")
