"""``tillhouse close``: the figures of a month, week or day are kept as they were published, and what changes later is listed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.config import Config
from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.kpi.closed import Closing, Period, only_closed, to_closed, to_closings
from tillhouse.ops import gate, text
from tillhouse.ops.lease import Lease
from tillhouse.ops.runs import Run, new_run_id
from tillhouse.ops.upgrade import expect_lake
from tillhouse.store import Store
from tillhouse.tables import gold, ops, silver

Say = Callable[[str], None]
AddLake = Callable[[argparse.ArgumentParser], None]
BRANCHES_TOLD = 5


def add_arguments(parser: argparse.ArgumentParser, add_lake_arguments: AddLake) -> None:
    add_lake_arguments(parser)
    parser.add_argument("period", nargs="?", help="a month (2017-06), a week (2017-W23) or a day (2017-06-30)")
    parser.add_argument("--by", help="who closes it, or opens it again")
    parser.add_argument("--force", action="store_true", help="close it although something is still open")
    parser.add_argument("--reopen", action="store_true", help="open it again; needs --reason")
    parser.add_argument("--reason", help="why it is opened again")
    parser.add_argument("--list", action="store_true", help="what has been closed, and how much has changed since")
    parser.add_argument("--restated", action="store_true", help="what is no longer as it was published, of a period or of all")
    parser.add_argument("--json", action="store_true", help="--list or --restated as JSON")


def run(given: argparse.Namespace, config: Config, store: Store, now: datetime, say: Say) -> int:
    """What was asked for.

    Raises:
        ConfigError: the period is none, is closed already or is not, or something of it is still open; nothing was changed.
        LeaseError: a run is working on the lake.
    """
    _expect_closings(store)
    job = Run(store, config, new_run_id(now), now)
    period = Period.parse(given.period) if given.period else None
    if given.list:
        rows = closings(store).collect()
        say(_as_json(rows) if given.json else as_lines(rows) or "nothing has been closed")
    elif given.restated:
        found = restatements(store, period)
        rows = found.collect()
        say(_as_json(rows) if given.json else text.as_table(found.columns, rows) if rows else "all is as it was published")
    elif period is None or not given.by:
        raise ConfigError("say what is closed and by whom: `tillhouse close 2017-06 --by NAME`; `tillhouse close --list` lists")
    elif given.reopen:
        if not given.reason:
            raise ConfigError(f"say why {period.name} is opened again: --reason TEXT")
        reopen(job, period, given.by, given.reason)
        say(f"{period.name} is open again; what was published then is kept, the next run no longer compares with it")
    else:
        say(as_figures(close(job, period, given.by, given.force), period))
    return 0


def close(run: Run, period: Period, by: str, force: bool = False) -> list[Row]:
    """Keep the figures of a period as they are published now; returns its days, receipts and revenue by currency.

    Raises:
        ConfigError: it is closed already, has no figures, or something is still open and nobody forces it.
        LeaseError: a run is working on the lake.
    """
    store = run.store
    with Lease.take(store, run.run_id, run.wait_seconds):
        before = to_closings(store.read(gold.CLOSED_PERIOD).where(F.col("period") == period.name)).collect()
        closed = [row for row in before if row.reopened_at is None]
        if closed:
            raise ConfigError(
                f"{period.name} was closed by {closed[0].closed_by} on {closed[0].closed_at:%Y-%m-%d %H:%M} UTC. Remedy: nothing "
                f"to do; `tillhouse close {period.name} --reopen --reason TEXT --by NAME` opens it again"
            )
        days = store.read(gold.KPI_BRANCH_DAY)
        if days.where(period.condition).isEmpty():
            raise ConfigError(f"{period.name}: gold.kpi_branch_day has no day of it. Remedy: nothing can be closed")
        still_open = open_points(store, period)
        if still_open and not force:
            points = "".join(f"\n  - {point}" for point in still_open)
            raise ConfigError(
                f"{period.name} is not closed, because something is still open:{points}\nTo close it all the same: --force"
            )
        closing = Closing(period, len(before) + 1, by, run.started_at, run.run_id, "; ".join(still_open) or None)
        figures = store.keep(to_closed(days, store.read(ops.FILE_LEDGER), closing))
        store.append(gold.CLOSED_PERIOD, figures)
        sums = (F.sum(name).alias(name) for name in ("receipts", "revenue"))
        return figures.groupBy("currency").agg(F.count("*").alias("branch_days"), *sums).orderBy("currency").collect()


def reopen(run: Run, period: Period, by: str, reason: str) -> None:
    """Open a closed period again. The figures that were published stay, with who opened it and why.

    Raises:
        ConfigError: it is not closed.
        LeaseError: a run is working on the lake.
    """
    store = run.store
    with Lease.take(store, run.run_id, run.wait_seconds):
        existing = store.read(gold.CLOSED_PERIOD)
        is_meant = (F.col("period") == period.name) & F.col("reopened_at").isNull()
        if existing.where(is_meant).isEmpty():
            raise ConfigError(f"{period.name} is not closed. Remedy: nothing to do; `tillhouse close --list` lists what is")
        changes = {"reopened_by": F.lit(by), "reopened_at": F.lit(run.started_at), "reopen_reason": F.lit(reason)}
        changed = {name: F.when(is_meant, value).otherwise(F.col(name)) for name, value in changes.items()}
        store.overwrite(gold.CLOSED_PERIOD, existing.withColumns(changed))


def open_points(store: Store, period: Period) -> list[str]:
    """What keeps the figures of a period from being complete, as far as the lake can know it."""
    points = []
    last = store.read(gold.KPI_BRANCH_DAY).agg(F.max("business_date")).collect()[0][0]
    if last < period.last_date:
        points.append(f"it is not over: the last trading day that the lake knows is {last}, it ends on {period.last_date}")
    steps = store.read(ops.RUN_STEP).orderBy(F.col("started_at").desc()).limit(1).collect()
    if steps and steps[0].status == "failed":
        points.append(f"the last run failed in step {steps[0].step}: figures may lack what has been delivered")
    held = gate.held_files(store)
    if held:
        points.append(f"{len(held):,} files are held, whatever days they are of: `tillhouse status` names them")
    return [*points, *_open_deliveries(store, period), *_open_errors(store, period)]


def _open_deliveries(store: Store, period: Period) -> list[str]:
    lacking = store.read(ops.DELIVERY).where(period.condition).where("status IN ('missing', 'partial')")
    found = lacking.groupBy("status").agg(F.count("*").alias("days"), F.array_sort(F.collect_set("branch_id")).alias("branches"))
    return [
        f"{row.days:,} deliveries are {row.status}: branch {', '.join(row.branches[:BRANCHES_TOLD])}"
        + (f" and {len(row.branches) - BRANCHES_TOLD:,} more" if len(row.branches) > BRANCHES_TOLD else "")
        for row in found.orderBy("status").collect()
    ]


def _open_errors(store: Store, period: Period) -> list[str]:
    errors = store.read(silver.EXCEPTION).where(period.condition).where("status = 'open' AND severity = 'error'")
    found = errors.groupBy("rule").agg(F.count("*").alias("errors"), F.sum("amount").alias("amount"))
    return [
        f"{row.errors:,} open errors {row.rule}" + (f", amount {row.amount:,}" if row.amount is not None else "")
        for row in found.orderBy("rule").collect()
    ]


def closings(store: Store) -> DataFrame:
    """Every closing, the latest period first, with the revenue that was published and by how much it has changed."""
    closed = store.read(gold.CLOSED_PERIOD)
    published = closed.groupBy("period", "closing_number", "currency").agg(F.sum("revenue").alias("revenue"))
    restated = store.read(gold.RESTATEMENT).groupBy("period", "currency").agg(
        F.count_distinct("branch_id", "business_date").alias("restated_days"),
        F.sum(F.when(F.col("measure") == "revenue", F.col("difference"))).alias("revenue_difference"),
    )  # fmt: skip
    holding = to_closings(only_closed(closed)).select("period", "closing_number")
    of_holding = published.join(holding, on=["period", "closing_number"], how="left_semi").join(
        restated, on=["period", "currency"], how="left"
    )
    changed = of_holding.select("period", "closing_number", "currency", "restated_days", "revenue_difference")
    return (
        to_closings(closed)
        .join(published, on=["period", "closing_number"], how="inner")
        .join(changed, on=["period", "closing_number", "currency"], how="left")
        .orderBy(F.desc("first_date"), "period", "closing_number", "currency")
    )


def restatements(store: Store, period: Period | None = None) -> DataFrame:
    """What is no longer as it was published, by day and branch."""
    rows = store.read(gold.RESTATEMENT)
    rows = rows if period is None else rows.where(F.col("period") == period.name)
    names = ("period", "business_date", "branch_id", "currency", "measure", "published", "now", "difference", "cause")
    return rows.select(*names, "receipt_count").orderBy("period", "business_date", "branch_id", "currency", "measure")


def _expect_closings(store: Store) -> None:
    expect_lake(store)
    if not store.exists(gold.CLOSED_PERIOD):
        raise TillhouseError("this lake has no gold.closed_period yet. Remedy: `tillhouse run`, which makes missing tables")


def as_figures(rows: Sequence[Row], period: Period) -> str:
    """What has been closed, for people."""
    sums = ", ".join(f"{row.branch_days:,} branch days, revenue {row.revenue or 0:,} {row.currency}" for row in rows)
    return f"{period.name} is closed: {sums}. What changes later: `tillhouse close --restated {period.name}`"


def as_lines(rows: Sequence[Row]) -> str:
    """Closings for people, one in a line."""
    return "\n".join(_as_line(row) for row in rows)


def _as_line(row: Row) -> str:
    said = f"{row.period:<10} {row.branch_days:>6,} branch days  revenue {row.revenue or 0:>16,} {row.currency}"
    said += f"  closed {row.closed_at:%Y-%m-%d} {row.closed_by}"
    if row.still_open:
        said += f"  (still open then: {row.still_open})"
    if row.reopened_at:
        return f"{said}  opened again {row.reopened_at:%Y-%m-%d} {row.reopened_by} ({row.reopen_reason})"
    changed = f"  {row.restated_days:,} days restated, revenue {row.revenue_difference or 0:+,.2f}" if row.restated_days else ""
    return said + changed


def _as_json(rows: Sequence[Row]) -> str:
    plain: list[dict[str, Any]] = [row.asDict() for row in rows]
    return json.dumps(plain, default=str, indent=2)
