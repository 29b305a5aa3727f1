"""``tillhouse kpi``: measures by dimensions, two periods side by side, and the receipts behind them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from pyspark.sql import DataFrame

from tillhouse.config import Config
from tillhouse.errors import ConfigError
from tillhouse.kpi import rules
from tillhouse.kpi.ask import ask, open_for
from tillhouse.kpi.coverage import DAY_DIMENSIONS, ask_with_coverage
from tillhouse.kpi.metrics import ALL_DIMENSIONS, ALL_MEASURES
from tillhouse.kpi.periods import Period, compare, like_for_like, to_period
from tillhouse.ops import drill, text
from tillhouse.store import Store
from tillhouse.tables import gold

Say = Callable[[str], None]
AddLake = Callable[[argparse.ArgumentParser], None]


def add_arguments(parser: argparse.ArgumentParser, add_lake_arguments: AddLake) -> None:
    add_lake_arguments(parser)
    parser.add_argument("measures", nargs="?", help=f"comma-separated: {', '.join(item.name for item in ALL_MEASURES)}")
    parser.add_argument("--by", default="", help=f"comma-separated: {', '.join(item.name for item in ALL_DIMENSIONS)}")
    parser.add_argument("--where", help="condition over the dimensions, for example: \"region = 'Nord'\"")
    parser.add_argument("--period", metavar="P", help="only these days: 2017, 2017-Q2, 2017-03, 2017-W10, or FIRST..LAST")
    parser.add_argument("--against", metavar="P", help="beside --period: the figures of another period, and the change")
    parser.add_argument(
        "--like-for-like", action="store_true", help="with --against: only branches that were open throughout both periods"
    )
    parser.add_argument("--drill", action="store_true", help="the receipts behind the figures, with file and row")
    parser.add_argument("--receipt", metavar="KEY", help="the lines of one receipt, each with file and row")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="how many receipts to show (50)")
    parser.add_argument("--bare", action="store_true", help="only these measures, without their coverage")
    parser.add_argument("--json", action="store_true", help="as JSON lines")


def run(given: argparse.Namespace, config: Config, open_store: Callable[[], Store], say: Say) -> int:
    """Without a measure it lists them.

    Raises:
        ConfigError: the question is none; says what is wrong.
    """
    if given.receipt:
        rows = drill.rows_of(open_store(), given.receipt)
        is_known = not rows.isEmpty()
        say(_shown(rows, given.json) if is_known else f"no receipt has the key {given.receipt}; --drill tells the keys")
        return 0 if is_known else 1
    if not given.measures:
        say("\n".join(f"{item.name:<22} {item.meaning}" for item in ALL_MEASURES))
        return 0
    periods = _periods(given)
    measures, by = given.measures.split(","), [name for name in given.by.split(",") if name]
    where = given.where
    if periods:
        where = f"({where}) AND {periods[0].condition}" if where else periods[0].condition
    store = open_store()
    open_for(store, measures, by, where)
    if given.drill:
        _drill(drill.receipts_behind(store, measures, by, where), given, say)
    elif given.against:
        _compare(store, config, given, periods, say)
    elif given.bare:
        say(_shown(ask(store, measures, by, where), given.json))
    else:
        found, is_told = ask_with_coverage(store, measures, by, where)
        say(_shown(found, given.json))
        if not is_told and not given.json:
            say(f"what is kept out, open or missing is known by branch and day only: {', '.join(DAY_DIMENSIONS)}")
    return 0


def _periods(given: argparse.Namespace) -> list[Period]:
    if given.against and not given.period:
        raise ConfigError("--against needs --period: the two periods that are compared")
    if given.like_for_like and not given.against:
        raise ConfigError("--like-for-like needs --period and --against: the two periods in which a branch was open")
    if given.drill and given.against:
        raise ConfigError("--drill lists the receipts of one period; leave out --against")
    return [to_period(text) for text in (given.period, given.against) if text]


def _compare(store: Store, config: Config, given: argparse.Namespace, periods: list[Period], say: Say) -> None:
    now, before = periods
    alike = None
    if given.like_for_like:
        days, branches = store.read(gold.KPI_BRANCH_DAY), store.read(gold.DIM_BRANCH)
        within = rules.load(config).like_for_like_within
        alike = [row[0] for row in like_for_like(days, branches, now, before, within).collect()]
    measures, by = given.measures.split(","), [name for name in given.by.split(",") if name]
    say(_shown(compare(store, measures, by, given.where, periods=(now, before), branches=alike), given.json))
    if alike is not None and not given.json:
        say(f"like for like, branches open throughout both periods: {len(alike):,}")


def _drill(rows: DataFrame, given: argparse.Namespace, say: Say) -> None:
    say(_shown(rows.limit(given.limit), given.json))
    more = rows.count() - given.limit
    if more > 0 and not given.json:
        say(f"and {more:,} more; --limit, or narrow it down")


def _shown(rows: DataFrame, as_json: bool) -> str:
    return text.as_json_lines(rows) if as_json else text.as_table(rows.columns, [tuple(row) for row in rows.collect()])
