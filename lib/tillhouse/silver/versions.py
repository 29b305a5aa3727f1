"""Which version of a receipt wins: a function of the records, not of their arrival."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.window import WindowSpec

from tillhouse.quality.rules import REJECTED
from tillhouse.silver.lines import is_deleted
from tillhouse.sources.model import Source
from tillhouse.tables.contract import MONTH
from tillhouse.tables.silver import RECEIPT_VERSION


def day_told(version_at: str, source: Source) -> Column:
    """The day of a change or export time as the clock shows it in the zone in which the source writes that; NULL without one."""
    zone = "UTC" if source.version_order is None else source.version_order.timezone
    return day_of(F.from_utc_timestamp(version_at, F.lit(zone)))


def day_of(instant: Column) -> Column:
    """The day of an instant in UTC, whatever the session's time zone."""
    return F.date_from_unix_date(F.floor(F.unix_micros(instant) / 86_400_000_000).cast("int"))


def to_versions(lines: DataFrame) -> DataFrame:
    """One row per receipt and file that delivered it. Every delivered line is counted in exactly one place of one row."""
    is_repeated = F.col("_repeats_number")
    is_accepted = ~F.col(REJECTED) & ~is_repeated
    has_key = F.col("branch_id").isNotNull() & F.col("receipt_id").isNotNull()
    read = F.coalesce("amount_read", F.lit(0))

    def count(condition: Column) -> Column:
        return F.sum(F.when(condition, 1).otherwise(0))

    def amount(condition: Column) -> Column:
        return F.sum(F.when(condition, read).otherwise(0)).cast("DECIMAL(38,5)")

    versions = lines.groupBy("receipt_key", "source", "_file_id").agg(
        F.max(has_key).alias("_has_key"),
        F.min("branch_id").alias("branch_id"),
        F.min("business_date").alias("business_date"),
        F.max("_version_at").alias("version_at"),
        F.max(is_deleted()).alias("is_deletion"),
        F.bit_xor(F.when(~F.col("_repeats_content"), F.col("_line_hash"))).alias("_xor"),
        count(~F.col("_repeats_content")).alias("_distinct_lines"),
        count(F.col("_is_first_of_record")).alias("record_count"),
        count(is_accepted).alias("line_count"),
        amount(is_accepted).alias("amount_read"),
        count(F.col(REJECTED) & ~is_repeated).alias("rejected_count"),
        amount(F.col(REJECTED) & ~is_repeated).alias("rejected_amount"),
        count(is_repeated).alias("repeated_count"),
        amount(is_repeated).alias("repeated_amount"),
    )
    content = F.concat_ws("-", F.hex("_xor"), F.col("_distinct_lines"))
    return versions.withColumns({"content_hash": content, "_is_stored": F.lit(False)}).drop("_xor", "_distinct_lines")


def of_receipts(stored: DataFrame, found: DataFrame) -> DataFrame:
    """The versions that silver knows of the receipts that ``found`` names, without those that it names itself."""
    known = stored.join(found.select("receipt_key").distinct(), on="receipt_key", how="left_semi")
    others = known.join(found.select("receipt_key", "_file_id"), on=["receipt_key", "_file_id"], how="left_anti")
    marked = others.withColumns({"_is_stored": F.lit(True), "_has_key": F.col("status") != "unreadable"})
    return marked.select(found.columns)


def rank_versions(versions: DataFrame, files: DataFrame) -> DataFrame:
    """Mark the version that counts: the newest by the source's own order, else the first loaded.

    Where that one takes the receipt back, it is ``deleted`` and none counts.

    Another version with the same content is a duplicate, an older one superseded; where no order is declared or it is
    equal, contradicting contents are ``conflicting``. ``files`` (file_id, loaded_at, path) tells which came first.
    """
    loaded = files.select(F.col("file_id").alias("_file_id"), "loaded_at", "path")
    by_order = Window.partitionBy("receipt_key").orderBy(
        F.col("version_at").desc_nulls_last(), F.col("loaded_at").asc_nulls_last(), "path", "_file_id"
    )
    ranked = versions.join(F.broadcast(loaded), on="_file_id", how="left").transform(
        with_status, by_order, ~F.col("_has_key"), "unreadable"
    )
    names = [name for name in RECEIPT_VERSION.column_names if name != MONTH]
    return ranked.select(*names, "_is_stored")


def only_current(lines: DataFrame, versions: DataFrame) -> DataFrame:
    """Lines of the versions that count, and those that name no receipt."""
    others = versions.where("status NOT IN ('current', 'unreadable')").select("receipt_key", "_file_id")
    return lines.join(others, on=["receipt_key", "_file_id"], how="left_anti")


def with_status(versions: DataFrame, order: WindowSpec, left_out: Column, as_status: str) -> DataFrame:
    """Add ``status``: what each version is to the first of its record in ``order``; what is ``left_out`` is ``as_status``."""
    every = order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    is_same_content = F.col("content_hash") == F.first("content_hash").over(every)
    is_older = F.col("version_at") < F.first("version_at").over(every)
    is_first = F.row_number().over(order) == 1
    status = (
        F.when(left_out, as_status)
        .when(is_first & F.col("is_deletion"), "deleted")
        .when(is_first, "current")
        .when(is_same_content, "duplicate")
        .when(is_older, "superseded")
        .otherwise("conflicting")
    )
    return versions.withColumn("status", status)
