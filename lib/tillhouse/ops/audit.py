"""Audit: the invariants that can be counted, measured on the tables after each step. What is lost shows up here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.gold.facts import VALID
from tillhouse.ops.runs import Run
from tillhouse.sources.mapping import map_receipt_lines
from tillhouse.sources.model import Source
from tillhouse.store import Since, on_days
from tillhouse.tables import Table, gold, ops, silver
from tillhouse.tables.bronze import bronze_table

_NOTHING = (0, Decimal(0))


@dataclass(frozen=True, slots=True)
class Measured:
    """Two figures that must agree."""

    source: str | None
    measure: str
    expected: Decimal | int | None
    actual: Decimal | int | None

    @property
    def ok(self) -> bool:
        return Decimal(self.expected or 0) == Decimal(self.actual or 0)


def bronze(run: Run, _since: Since | None) -> list[Measured]:
    """Every record that the readers saw in loaded files is in bronze once."""
    ledger = run.store.read(ops.FILE_LEDGER).where("status = 'loaded'")
    read = {row[0]: row[1] for row in ledger.groupBy("source").agg(F.sum("rows_read")).collect()}
    return [
        Measured(
            source.name,
            "records: files = bronze",
            read.get(source.name, 0),
            run.store.read(bronze_table(source.name, source.personal_data)).count(),
        )
        for source in run.config.sources
    ]


def silver_(run: Run, since: Since | None) -> list[Measured]:
    """Lines and cents in bronze = accepted + rejected + repeated of all versions; those of versions that count = silver.

    Measured on what was delivered since then and on the days that it touches; on everything after a change of conf or branches.
    """
    store = run.store
    versions, lines = store.read(silver.RECEIPT_VERSION), store.read(silver.RECEIPT_LINE)
    added = _added(run, since)
    of_files = versions
    if added is not None:
        of_files = versions.join(F.broadcast(added.select(F.col("file_id").alias("_file_id"))), on="_file_id", how="left_semi")
        dates = [row[0] for row in of_files.select("business_date").distinct().collect()]
        versions = versions.where(on_days(dates, silver.RECEIPT_VERSION))
        lines = lines.where(on_days(dates, silver.RECEIPT_LINE))
    delivered = _by_source(
        of_files,
        F.sum(F.col("line_count") + F.col("rejected_count") + F.col("repeated_count")),
        F.sum(F.col("amount_read") + F.col("rejected_amount") + F.col("repeated_amount")),
    )
    current = _by_source(versions.where("status = 'current'"), F.sum("line_count"), F.sum("amount_read"))
    kept = _by_source(lines, F.count("*"), F.sum("_amount_read"))
    measured = []
    for source in run.config.sources_of("receipt"):
        records = store.read(bronze_table(source.name, source.personal_data))
        if added is not None:
            runs = [row[0] for row in added.where(F.col("source") == source.name).select("run_id").distinct().collect()]
            records = records.where(F.col("_run_id").isin(runs))
        read = _of_bronze(run, source, records)
        measured += _pair(source.name, "bronze = versions", read, delivered.get(source.name, _NOTHING))
        measured += _pair(
            source.name, "current versions = silver", current.get(source.name, _NOTHING), kept.get(source.name, _NOTHING)
        )
    return measured


def _added(run: Run, since: Since | None) -> DataFrame | None:
    """The files that were loaded since then; None where more than new files may have changed silver."""
    if since is None or since.changed_parts or since.again:
        return None
    changes = run.store.changes(ops.FILE_LEDGER, since) if run.store.has_news(ops.FILE_LEDGER, since) else None
    if changes is None:
        return None
    added = run.store.keep(changes.where("_is_new AND status = 'loaded'").select("source", "file_id", "run_id"))
    names = {row[0] for row in added.select("source").distinct().collect()}
    return None if names & {source.name for source in run.config.sources_of("branch")} else added


def _of_bronze(run: Run, source: Source, records: DataFrame) -> tuple[int, Decimal]:
    mapped, _ = map_receipt_lines(records, source, run.store.read(silver.BRANCH))
    count, amount = mapped.agg(F.count("*"), F.sum("gross_amount")).collect()[0]
    return count, amount or Decimal(0)


def gold_(run: Run, since: Since | None) -> list[Measured]:
    """Amounts of valid receipts in silver = gold, on the days that have changed."""
    before = F.lit(True) if run.as_of is None else F.col("business_date") < F.lit(run.as_of)
    days = _days(run, silver.RECEIPT, since)
    given = _on(run, silver.RECEIPT, days).where(VALID).where(before)
    silver_sums = given.agg(F.count("*"), F.sum("gross_amount")).collect()[0]
    facts = _on(run, gold.FCT_RECEIPT, days)
    gold_sums = facts.agg(F.count("*"), F.sum("gross_amount"), F.sum("revenue_amount")).collect()[0]
    lines = _on(run, gold.FCT_SALE_LINE, days).where("is_revenue").agg(F.sum("gross_amount")).collect()[0]
    return [
        Measured(None, "receipts: silver = gold", silver_sums[0], gold_sums[0]),
        Measured(None, "amount: silver = gold", silver_sums[1], gold_sums[1]),
        Measured(None, "revenue: receipts = lines", gold_sums[2], lines[0]),
    ]


def kpi(run: Run, since: Since | None) -> list[Measured]:
    """Revenue of the branches = revenue of the receipts, on the days that have changed."""
    days = _days(run, gold.FCT_RECEIPT, since)
    receipts = _on(run, gold.FCT_RECEIPT, days)
    facts = receipts.agg(F.sum("revenue_amount"), F.count(F.when(F.col("is_basket"), 1))).collect()[0]
    figures = _on(run, gold.KPI_BRANCH_DAY, days).agg(F.sum("revenue"), F.sum("baskets")).collect()[0]
    return [
        Measured(None, "revenue: receipts = branch days", facts[0], figures[0]),
        Measured(None, "baskets: receipts = branch days", facts[1], figures[1]),
    ]


def _days(run: Run, table: Table, since: Since | None) -> list[date] | None:
    """The trading days of the rows of a table that were written or removed since then; None for all."""
    if since is None or since.changed_parts or since.again:
        return None
    if not run.store.has_news(table, since):
        return []
    return [row[0] for row in run.store.changes(table, since).select("business_date").distinct().collect()]


def _on(run: Run, table: Table, days: list[date] | None) -> DataFrame:
    rows = run.store.read(table)
    return rows if days is None else rows.where(on_days(days, table))


def record(run: Run, measured: Sequence[tuple[str, Measured]]) -> None:
    """Keep what was measured in ops.run_audit."""
    if not measured:
        return
    rows = [
        (run.run_id, step, item.source, item.measure, Decimal(item.expected or 0), Decimal(item.actual or 0), item.ok)
        for step, item in measured
    ]
    run.store.append(ops.RUN_AUDIT, run.store.spark.createDataFrame(rows, ops.RUN_AUDIT.struct))


def _pair(source: str, of: str, expected: tuple[int, Decimal], actual: tuple[int, Decimal]) -> list[Measured]:
    return [
        Measured(source, f"lines: {of}", expected[0], actual[0]),
        Measured(source, f"amount: {of}", expected[1], actual[1]),
    ]


def _by_source(rows: DataFrame, count: Column, amount: Column) -> dict[str, tuple[int, Decimal]]:
    grouped = rows.groupBy("source").agg(count.alias("_count"), amount.alias("_amount")).collect()
    return {row["source"]: (row["_count"], row["_amount"]) for row in grouped}
