"""Audit: the invariants that can be counted, measured on the tables after each step. What is lost shows up here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.gold.facts import VALID
from tillhouse.ops.runs import Run
from tillhouse.sources.mapping import map_receipt_lines
from tillhouse.tables import gold, ops, silver
from tillhouse.tables.bronze import bronze_table


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


def bronze(run: Run) -> list[Measured]:
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


def silver_(run: Run) -> list[Measured]:
    """Lines and cents in bronze = accepted + rejected + duplicate + superseded, source by source."""
    store = run.store
    kept = _by_source(store.read(silver.RECEIPT_LINE), F.count("*"), F.sum("_amount_read"))
    other = F.col("status") != "current"
    versions = _by_source(
        store.read(silver.RECEIPT_VERSION),
        F.sum(F.when(other, F.col("line_count")).otherwise(0) + F.col("rejected_count") + F.col("repeated_count")),
        F.sum(F.when(other, F.col("amount_read")).otherwise(0) + F.col("rejected_amount") + F.col("repeated_amount")),
    )
    measured = []
    for source in run.config.sources_of("receipt"):
        delivered = store.read(bronze_table(source.name, source.personal_data))
        mapped, _ = map_receipt_lines(delivered, source, store.read(silver.BRANCH))
        read = mapped.agg(F.count("*"), F.sum("gross_amount")).collect()[0]
        lines, amount = kept.get(source.name, (0, Decimal(0)))
        aside, aside_amount = versions.get(source.name, (0, Decimal(0)))
        measured += [
            Measured(source.name, "lines: bronze = silver + kept aside", read[0], lines + aside),
            Measured(source.name, "amount: bronze = silver + kept aside", read[1], amount + aside_amount),
        ]
    return measured


def gold_(run: Run) -> list[Measured]:
    """Amounts of valid receipts in silver = gold."""
    before = F.lit(True) if run.as_of is None else F.col("business_date") < F.lit(run.as_of)
    given = run.store.read(silver.RECEIPT).where(VALID).where(before).agg(F.count("*"), F.sum("gross_amount")).collect()[0]
    facts = run.store.read(gold.FCT_RECEIPT).agg(F.count("*"), F.sum("gross_amount"), F.sum("revenue_amount")).collect()[0]
    lines = run.store.read(gold.FCT_SALE_LINE).where("is_revenue").agg(F.sum("gross_amount")).collect()[0]
    return [
        Measured(None, "receipts: silver = gold", given[0], facts[0]),
        Measured(None, "amount: silver = gold", given[1], facts[1]),
        Measured(None, "revenue: receipts = lines", facts[2], lines[0]),
    ]


def kpi(run: Run) -> list[Measured]:
    """Revenue of the branches = revenue of the receipts."""
    facts = run.store.read(gold.FCT_RECEIPT).agg(F.sum("revenue_amount"), F.count(F.when(F.col("is_basket"), 1))).collect()[0]
    days = run.store.read(gold.KPI_BRANCH_DAY).agg(F.sum("revenue"), F.sum("baskets")).collect()[0]
    return [
        Measured(None, "revenue: receipts = branch days", facts[0], days[0]),
        Measured(None, "baskets: receipts = branch days", facts[1], days[1]),
    ]


def record(run: Run, measured: Sequence[tuple[str, Measured]]) -> None:
    """Keep what was measured in ops.run_audit."""
    if not measured:
        return
    rows = [
        (run.run_id, step, item.source, item.measure, Decimal(item.expected or 0), Decimal(item.actual or 0), item.ok)
        for step, item in measured
    ]
    run.store.append(ops.RUN_AUDIT, run.store.spark.createDataFrame(rows, ops.RUN_AUDIT.struct))


def _by_source(rows: DataFrame, count: Column, amount: Column) -> dict[str, tuple[int, Decimal]]:
    grouped = rows.groupBy("source").agg(count.alias("_count"), amount.alias("_amount")).collect()
    return {row["source"]: (row["_count"], row["_amount"]) for row in grouped}
