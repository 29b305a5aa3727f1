"""Audit: the invariants that can be counted, measured on the tables after each step. What is lost shows up here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.frames import column_of, union
from tillhouse.gold.facts import VALID
from tillhouse.gold.record_facts import kinds_of
from tillhouse.ops.runs import Run
from tillhouse.sources.entities import BY_NAME, CONTACT
from tillhouse.sources.mapping import map_receipt_lines
from tillhouse.store import Since, on_days
from tillhouse.tables import Table, entities, gold, ops, silver
from tillhouse.tables.bronze import bronze_table
from tillhouse.tables.gold_facts import RECORD_FACTS

_NOTHING = (0, Decimal(0))
_SUM = "DECIMAL(38,5)"


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


def bronze(run: Run, since: Since | None) -> list[Measured]:
    """Every record that the readers saw in loaded files is in bronze once, in each table that is another than before."""
    tables = {source.name: bronze_table(source.name, source.personal_data) for source in run.config.sources}
    tables = {name: table for name, table in tables.items() if not run.store.is_as_left(table, since)}
    if not tables:
        return []
    read = run.store.read(ops.FILE_LEDGER).where("status = 'loaded'").selectExpr("'read' AS side", "source", "rows_read AS rows")
    stored = [
        run.store.read(table).select(
            F.lit("bronze").alias("side"), F.lit(name).alias("source"), F.lit(1).cast("bigint").alias("rows")
        )
        for name, table in tables.items()
        if run.store.version(table)[1] > 0
    ]
    counted = union([read, *stored]).groupBy("side", "source").agg(F.sum("rows").alias("rows")).collect()
    found = {(row["side"], row["source"]): row["rows"] for row in counted}
    sides = [(name, *(found.get((side, name), 0) for side in ("read", "bronze"))) for name in tables]
    return [Measured(name, "records: files = bronze", *counts) for name, *counts in sides]


def silver_(run: Run, since: Since | None) -> list[Measured]:
    """Lines and cents in bronze = accepted + rejected + repeated of all versions; those of versions that count = silver.

    Measured on what was delivered since then and on the days that it touches; on everything after a change of conf or branches.
    """
    store = run.store
    versions, lines = store.read(silver.RECEIPT_VERSION), store.read(silver.RECEIPT_LINE)
    added = _added(run, since)
    of_files = versions
    if added is not None:
        files = column_of(store.spark, (item["file_id"] for item in added), "_file_id")
        of_files = versions.join(F.broadcast(files), on="_file_id", how="left_semi")
        dates = [row[0] for row in of_files.select("business_date").distinct().collect()]
        versions = versions.where(on_days(dates, silver.RECEIPT_VERSION))
        lines = lines.where(on_days(dates, silver.RECEIPT_LINE))
    sides = {
        "versions": (
            of_files,
            F.sum(F.col("line_count") + F.col("rejected_count") + F.col("repeated_count")),
            F.sum(F.col("amount_read") + F.col("rejected_amount") + F.col("repeated_amount")),
        ),
        "current": (versions.where("status = 'current'"), F.sum("line_count"), F.sum("amount_read")),
        "silver": (lines, F.count("*"), F.sum("_amount_read")),
    }
    for source in run.config.sources_of("receipt"):
        records = store.read(bronze_table(source.name, source.personal_data))
        if added is not None:
            records = records.where(F.col("_run_id").isin({item["run_id"] for item in added if item["source"] == source.name}))
        branches, name = store.read(silver.BRANCH), F.lit(source.name).alias("source")
        mapped = [map_receipt_lines(records, source, branches, number)[0] for number in source.lists_of_lines]
        delivered = union([rows.select(name, "gross_amount") for rows in mapped])
        sides[f"bronze {source.name}"] = (delivered, F.count("*"), F.sum("gross_amount"))
    found = _by_source(sides)
    measured = []
    for source in run.config.sources_of("receipt"):
        of_source = {side: found.get((side, source.name), _NOTHING) for side in sides}
        measured += _pair(source.name, "bronze = versions", of_source[f"bronze {source.name}"], of_source["versions"])
        measured += _pair(source.name, "current versions = silver", of_source["current"], of_source["silver"])
    return measured + _of_records(run, added)


def _of_records(run: Run, added: list[Row] | None) -> list[Measured]:
    """Records in bronze = those that count, are rejected, repeated or replaced by newer ones; those that count = silver.

    Measured for sources of which something was delivered; of all after a change of conf or branches.
    """
    store = run.store
    delivered = None if added is None else {item["source"] for item in added}
    sources = [s for s in run.config.sources if s.entity in BY_NAME and (delivered is None or s.name in delivered)]
    if not sources:
        return []
    names = [source.name for source in sources]
    one = (F.count("*"), F.lit(0))
    versions = store.read(entities.RECORD_VERSION).where(F.col("source").isin(names))
    of_files = versions
    if added is not None:
        of_files = versions.where(F.col("_file_id").isin([item["file_id"] for item in added]))
    sides = {"versions": (of_files, *one), "current": (versions.where("status = 'current'"), *one)}
    for source in sources:
        rows = store.read(bronze_table(source.name, source.personal_data))
        if added is not None:
            rows = rows.where(F.col("_run_id").isin({item["run_id"] for item in added if item["source"] == source.name}))
        sides[f"bronze {source.name}"] = (rows.select(F.lit(source.name).alias("source")), *one)
        if source.entity == CONTACT:
            table = store.read(silver.PARTY).where("_file_id IS NOT NULL")
        else:
            table = store.read(entities.BY_NAME[source.entity])
        sides[f"silver {source.name}"] = (table.where(F.col("source") == source.name), *one)
    found = {side: count for side, (count, _) in _by_source(sides).items()}
    return [
        measured
        for name in names
        for measured in (
            Measured(
                name, "records: bronze = versions", found.get((f"bronze {name}", name), 0), found.get(("versions", name), 0)
            ),
            Measured(
                name,
                "records: current versions = silver",
                found.get(("current", name), 0),
                found.get((f"silver {name}", name), 0),
            ),
        )
    ]


def _added(run: Run, since: Since | None) -> list[Row] | None:
    """The files that were loaded since then; None where more than new files may have changed silver."""
    if since is None or since.changed_parts or since.again or not run.store.has_news(ops.FILE_LEDGER, since):
        return None
    changes = run.store.changes(ops.FILE_LEDGER, since).where("_is_new AND status = 'loaded'")
    added = changes.select("source", "file_id", "run_id").collect()
    names = {row["source"] for row in added}
    return None if names & {source.name for source in run.config.sources_of("branch")} else added


def identity(run: Run, since: Since | None) -> list[Measured]:  # noqa: ARG001 - counts all parties, which is cheap
    """Each party of silver stands for one customer, or is listed with the reason why it does not."""
    store = run.store
    valid = store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NULL").select("party_key")
    placed = valid.union(store.read(silver.PARTY_WITHOUT_CUSTOMER).select("party_key"))
    parties, rows, distinct = _sums(
        (store.read(silver.PARTY), F.count("*"), F.lit(0)),
        (placed, F.count("*"), F.lit(0)),
        (placed.distinct(), F.count("*"), F.lit(0)),
    )
    return [
        Measured(None, "parties: silver = with a customer or a reason", parties[0], rows[0]),
        Measured(None, "parties: each of them once", distinct[0], rows[0]),
    ]


def gold_(run: Run, since: Since | None) -> list[Measured]:
    """Amounts of valid receipts in silver = gold, on the days that have changed."""
    before = F.lit(True) if run.as_of is None else F.col("business_date") < F.lit(run.as_of)
    days = _days(run, silver.RECEIPT, since)
    given = _on(run, silver.RECEIPT, days).where(VALID).where(before)
    facts, lines = _on(run, gold.FCT_RECEIPT, days), _on(run, gold.FCT_SALE_LINE, days).where("is_revenue")
    returned = _on(run, gold.FCT_RETURN, days)
    delivered, published, receipts, revenue_lines, taken_back, returns = _sums(
        (given, F.count("*"), F.sum("gross_amount")),
        (facts, F.count("*"), F.sum("gross_amount")),
        (facts, F.count("*"), F.sum("revenue_amount")),
        (lines, F.count("*"), F.sum("gross_amount")),
        (facts, F.count("*"), F.sum("return_amount")),
        (returned, F.count("*"), -F.sum("gross_amount")),
    )
    return [
        Measured(None, "receipts: silver = gold", delivered[0], published[0]),
        Measured(None, "amount: silver = gold", delivered[1], published[1]),
        Measured(None, "revenue: receipts = lines", receipts[1], revenue_lines[1]),
        Measured(None, "returned: receipts = returns", taken_back[1], returns[1]),
        *_facts_of_records(run, since),
    ]


def _facts_of_records(run: Run, since: Since | None) -> list[Measured]:
    """Records in silver = gold, of each fact of which records have changed."""
    store, found = run.store, []
    for fact in RECORD_FACTS:
        tables = [kind.records for kind in kinds_of(run.config.entities) if kind.fact is fact]
        if tables and (since is None or any(store.has_news(table, since) for table in tables)):
            records = union([store.read(table).select("record_key") for table in tables])
            given, told = _sums((records, F.count("*"), F.lit(0)), (store.read(fact), F.count("*"), F.lit(0)))
            found.append(Measured(None, f"{fact.name}: silver = gold", given[0], told[0]))
    return found


def kpi(run: Run, since: Since | None) -> list[Measured]:
    """Revenue and baskets of the branches = those of the receipts, on the days that have changed; of all weeks = of all days."""
    days = _days(run, gold.FCT_RECEIPT, since)
    receipts, figures = _on(run, gold.FCT_RECEIPT, days), _on(run, gold.KPI_BRANCH_DAY, days)
    every = [(run.store.read(table), F.sum("baskets"), F.sum("revenue")) for table in (gold.KPI_BRANCH_DAY, gold.KPI_BRANCH_WEEK)]
    given, told, of_days, of_weeks = _sums(
        (receipts, F.count(F.when(F.col("is_basket"), 1)), F.sum("revenue_amount")),
        (figures, F.sum("baskets"), F.sum("revenue")),
        *every,
    )
    return [
        Measured(None, "revenue: receipts = branch days", given[1], told[1]),
        Measured(None, "baskets: receipts = branch days", given[0], told[0]),
        Measured(None, "revenue: branch days = branch weeks", of_days[1], of_weeks[1]),
        Measured(None, "baskets: branch days = branch weeks", of_days[0], of_weeks[0]),
    ]


def insight(run: Run, since: Since | None) -> list[Measured]:  # noqa: ARG001 - all of the present
    """Purchases of customers = those of receipts; scores = sums of points; returns by week = those of receipts."""
    measured = run.store.read(gold.CUSTOMER_STATE).agg(F.max("as_of")).collect()[0][0]
    as_of = measured or run.as_of  # nobody is measured where no customer is known
    states, scores = (
        run.store.read(table).where(F.col("as_of") == F.lit(as_of)) for table in (gold.CUSTOMER_STATE, gold.QUALITY_SCORE)
    )
    every = run.store.read(gold.FCT_RECEIPT)
    if as_of is not None:
        every = every.where(F.col("business_date") < as_of)
    identified = every.where("customer_id IS NOT NULL AND is_basket")
    points = F.aggregate("_points", F.lit(0).cast(_SUM), lambda total, part: (total + part).cast(_SUM))
    of_scores = scores.withColumn("_points", F.map_values("points"))
    bought, known, parts, whole, came_back, cells = _sums(
        (identified, F.count("*"), F.lit(0)),
        (states, F.sum("purchase_count"), F.lit(0)),
        (of_scores, F.count("*"), F.sum(points)),
        (of_scores, F.count("*"), F.sum("score")),
        (every, F.count("*"), F.sum("return_amount")),
        (run.store.read(gold.KPI_RETURN), F.count("*"), F.sum("return_amount")),
    )
    return [
        Measured(None, "purchases: receipts = customers", bought[0], known[0]),
        Measured(None, "returned: receipts = weeks of branches and product groups", came_back[1], cells[1]),
        Measured(None, "points: criteria = score", parts[1], whole[1]),
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


def _by_source(sides: Mapping[str, tuple[DataFrame, Column, Column]]) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """Count and amount of each side and source, in one query."""
    counted = [
        rows.groupBy("source").agg(count.cast("bigint").alias("_count"), amount.cast(_SUM).alias("_amount")).withColumn(
            "_side", F.lit(side)
        )
        for side, (rows, count, amount) in sides.items()
    ]  # fmt: skip
    found = union(counted).collect()
    return {(row["_side"], row["source"]): (row["_count"], row["_amount"] or Decimal(0)) for row in found}


def _sums(*sides: tuple[DataFrame, Column, Column]) -> list[tuple[int, Decimal]]:
    """Count and amount of each side, in one query."""
    whole = {str(number): (rows.withColumn("source", F.lit("")), *sums) for number, (rows, *sums) in enumerate(sides)}
    found = _by_source(whole)  # type: ignore[arg-type]
    return [found.get((side, ""), _NOTHING) for side in whole]
