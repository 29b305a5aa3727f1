"""gold.restatement: where the figures of closed periods are no longer those that were published, by how much, and why."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.keys import content_hash
from tillhouse.kpi.closed import only_closed, to_closings
from tillhouse.store import Since, Store, on_days, on_months
from tillhouse.tables import Table, gold, ops, silver
from tillhouse.tables.gold import RESTATEMENT
from tillhouse.tables.gold_closing import ADDITIVE

DAY = ("branch_id", "business_date")
GRAIN = ("period", *DAY, "currency")
KEYS_TOLD = 20
# A receipt that a later version puts on another day is looked for that far away.
REACH = timedelta(days=31)
OF_CUSTOMERS = ("customers", "identified_revenue", "unclear_amount")
OF_FIRST_PURCHASES = ("new_customers", "returning_customers")
_FIGURE = "DECIMAL(18,3)"


def run(store: Store, run_id: str, as_of: date | None, since: Since | None) -> dict[str, int]:
    """Bring gold.restatement up to the figures as they are; returns how many differ on the days that have changed.

    It depends on the frozen and the present figures alone, and its causes on what was loaded after the closing. Days from
    ``as_of`` on have no figures now and are not compared.
    """
    if not store.version(gold.CLOSED_PERIOD)[1] and not store.version(gold.RESTATEMENT)[1]:
        return {}
    news = [table for table in (gold.CLOSED_PERIOD, gold.KPI_BRANCH_DAY, silver.RECEIPT_VERSION) if _is_news(store, table, since)]
    if not news:
        return {}
    closed = only_closed(store.read(gold.CLOSED_PERIOD))
    closed = store.keep(closed if as_of is None else closed.where(F.col("business_date") < F.lit(as_of)))
    differences = store.keep(to_differences(closed, store.read(gold.KPI_BRANCH_DAY)))
    stored = store.read(gold.RESTATEMENT)
    days = _touched_days(store, differences, stored, since)
    if days is not None and not days:
        return {}
    told = differences if days is None else differences.where(on_days(days, RESTATEMENT))
    receipts = _changed_receipts(store, closed, told)
    rows = store.keep(to_restatements(told, receipts, stored, run_id))
    count = rows.count()
    if not count and not store.version(gold.RESTATEMENT)[1]:
        return {}
    if days is None:
        is_written = store.overwrite(gold.RESTATEMENT, rows)
    else:
        touched = store.spark.createDataFrame([(day,) for day in days], "business_date DATE")
        is_written = store.replace(gold.RESTATEMENT, rows, touched, days)
    return {"restated": count} if is_written else {}


def _is_news(store: Store, table: Table, since: Since | None) -> bool:
    return since is None or store.has_news(table, since)


def to_differences(closed: DataFrame, days: DataFrame) -> DataFrame:
    """One row per closed day and additive measure that is not what was published; a day without figures counts 0.

    ``closed``: the closings that hold; ``days``: gold.kpi_branch_day.
    """
    periods = closed.select("period", "first_date", "last_date").distinct()
    in_period = F.col("business_date").between(F.col("first_date"), F.col("last_date"))
    live = days.join(F.broadcast(periods), on=in_period, how="inner").select(*GRAIN, _figures("now"))
    published = closed.select(*GRAIN, _figures("published"))
    sides = published.join(live, on=list(GRAIN), how="full_outer").where(~F.col("published").eqNullSafe(F.col("now")))
    measures = F.array(
        *(
            F.struct(F.lit(name).alias("measure"), *(F.col(f"{side}.{name}").alias(side) for side in ("published", "now")))
            for name in ADDITIVE
        )
    )
    had, has = (F.coalesce(F.col(f"{side}.has_figures"), F.lit(False)) for side in ("published", "now"))
    one_by_one = sides.select(*GRAIN, had.alias("_had"), has.alias("_has"), F.explode(measures).alias("_of")).select("*", "_of.*")
    zero = F.lit(0).cast(_FIGURE)
    before = F.when(F.col("_had"), F.col("published")).otherwise(F.coalesce("published", zero))
    after = F.when(F.col("_has"), F.col("now")).otherwise(F.coalesce("now", zero))
    differing = one_by_one.where(~before.eqNullSafe(after))
    return differing.select(
        *GRAIN, "measure", F.col("published"), F.col("now"), (after - before).cast(_FIGURE).alias("difference")
    )  # fmt: skip


def _figures(side: str) -> Column:
    """The additive measures of a day as one column; a missing delivery has a row without figures."""
    figures = (F.col(name).cast(_FIGURE).alias(name) for name in ADDITIVE)
    return F.struct(F.col("revenue").isNotNull().alias("has_figures"), *figures).alias(side)


def _touched_days(store: Store, differences: DataFrame, stored: DataFrame, since: Since | None) -> list[date] | None:
    """The days on which differences are not those that are stored, or their receipts have changed; None for all."""
    if since is None or store.has_news(gold.CLOSED_PERIOD, since):
        return None
    names = (*GRAIN, "measure", "published", "now")
    hashed = [rows.select("business_date", content_hash(*names).alias("_hash")) for rows in (differences, stored)]
    by_day = hashed[0].union(hashed[1]).groupBy("business_date").agg(F.bit_xor("_hash").alias("_hash"))
    days = by_day.where("_hash <> 0").select("business_date")
    if store.has_news(silver.RECEIPT_VERSION, since):
        delivered = store.changes(silver.RECEIPT_VERSION, since).select("business_date").distinct()
        days = days.union(delivered.join(differences, on="business_date", how="left_semi")).distinct()
    return sorted(row[0] for row in days.collect())


def _changed_receipts(store: Store, closed: DataFrame, differences: DataFrame) -> DataFrame:
    """The receipts of the differing days of which something came after the closing, see ``to_changed_receipts``."""
    days = [row[0] for row in differences.select("business_date").distinct().collect()]
    files = store.read(ops.FILE_LEDGER).where("status = 'loaded'").groupBy(F.col("file_id").alias("_file_id"))
    loaded = files.agg(F.min("loaded_at").alias("loaded_at"))
    near = store.read(silver.RECEIPT_VERSION).where(on_months(days, REACH))
    versions = near.select("receipt_key", *DAY, "status", "_file_id").join(F.broadcast(loaded), on="_file_id", how="inner")
    voided = store.read(silver.RECEIPT).where(on_days(days, silver.RECEIPT)).where("status = 'VOIDED'").select("receipt_key")
    return to_changed_receipts(versions, voided, to_closings(closed))


def to_changed_receipts(versions: DataFrame, voided: DataFrame, closings: DataFrame) -> DataFrame:
    """For each closed period, branch and day: the receipts of which a version that counts was loaded after the closing, and why.

    One that was not known before is a ``late_receipt``, one that was taken back or voided a ``void``, any other, also one that
    lies on another day now, a ``correction``. ``versions``: silver.receipt_version with ``loaded_at``; ``voided``: receipt_key.
    """
    known = closings.select("period", "first_date", "last_date", F.col("loaded_at").alias("_known_at"))
    oldest = known.agg(F.min("_known_at").alias("_oldest"))
    counts = F.col("status").isin("current", "deleted")
    new = versions.where(counts).join(F.broadcast(oldest), on=F.col("loaded_at") > F.col("_oldest"), how="inner")
    newest = new.groupBy("receipt_key").agg(F.max("loaded_at").alias("_newest"))
    every = versions.join(F.broadcast(newest), on="receipt_key", how="inner")
    every = every.withColumn("_first", F.min("loaded_at").over(Window.partitionBy("receipt_key")))
    in_period = F.col("business_date").between(F.col("first_date"), F.col("last_date"))
    placed = every.join(F.broadcast(known), on=in_period, how="inner").where("_newest > _known_at")
    is_after = F.col("loaded_at") > F.col("_known_at")
    of_receipt = placed.where(~is_after | counts).groupBy("period", *DAY, "receipt_key").agg(
        F.max(is_after & (F.col("status") == "deleted")).alias("_is_deleted"),
        F.max(F.col("_first") <= F.col("_known_at")).alias("_was_known"),
    )  # fmt: skip
    marked = of_receipt.join(F.broadcast(voided.distinct().withColumn("_is_voided", F.lit(True))), on="receipt_key", how="left")
    is_void = F.col("_is_deleted") | F.coalesce("_is_voided", F.lit(False))
    cause = F.when(is_void, "void").when(F.col("_was_known"), "correction").otherwise("late_receipt")
    return marked.groupBy("period", *DAY).agg(
        F.array_join(F.array_sort(F.collect_set(cause)), "+").alias("_cause"),
        F.count("*").alias("receipt_count"),
        F.slice(F.array_sort(F.collect_list("receipt_key")), 1, KEYS_TOLD).alias("receipt_keys"),
    )  # fmt: skip


def to_restatements(differences: DataFrame, receipts: DataFrame, stored: DataFrame, run_id: str) -> DataFrame:
    """Differences with their cause; one that is as it was before (``stored``) keeps the run that has found it.

    Where no receipt has changed, the other differences of the day tell the cause: what errors keep out has changed
    (``exception``), receipts are of other customers (``identity``), customers bought elsewhere before (``first_purchase``), or
    else a mapping, a rule or master data (``rules``).
    """
    of_day = Window.partitionBy("period", *DAY)
    measure = F.col("measure")
    is_excluded = F.max(measure == "excluded_amount").over(of_day)
    is_identity = F.max(measure.isin(*OF_CUSTOMERS)).over(of_day)
    of_figures = (
        F.when(is_excluded, "exception")
        .when(measure.isin(*OF_CUSTOMERS), "identity")
        .when(measure.isin(*OF_FIRST_PURCHASES), F.when(is_identity, "identity").otherwise("first_purchase"))
        .otherwise("rules")
    )
    told = differences.join(receipts, on=["period", *DAY], how="left").withColumns(
        {
            "cause": F.coalesce("_cause", of_figures),
            "receipt_count": F.coalesce("receipt_count", F.lit(0).cast("bigint")),
            "receipt_keys": F.coalesce("receipt_keys", F.array().cast("array<string>")),
        }
    )
    content = content_hash("published", "now", "cause", "receipt_count", "receipt_keys").alias("_content")
    before = stored.select(*GRAIN, "measure", F.col("_run_id").alias("_found_by"), content)
    joined = told.withColumn("_content", content).join(before, on=[*GRAIN, "measure", "_content"], how="left")
    return RESTATEMENT.conform(joined.withColumn("_run_id", F.coalesce("_found_by", F.lit(run_id))))
