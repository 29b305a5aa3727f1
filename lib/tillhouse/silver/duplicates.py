"""Receipts that a till seems to have made twice: the same content within seconds under different ids. Marked, never removed."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.keys import content_hash
from tillhouse.silver import exceptions
from tillhouse.silver.exceptions import Judged
from tillhouse.store import Since, Store, on_days
from tillhouse.tables import silver

SUSPECTED = "suspected_duplicate"
SECONDS = 10  # between two receipts of one till; its next customer takes longer
# What both receipts have in common beside their lines.
_SAME = (
    "branch_id", "register_id", "business_date", "currency", "operator_token", "party_key", "transaction_type", "gross_amount",
    "line_count",
)  # fmt: skip
_LINE = ("line_type", "product_ref", "gtin", "category_ref", "quantity", "gross_amount", "discount_amount")


def judge(store: Store, since: Since | None) -> list[Judged]:
    """Which receipts are suspected, on the trading days on which a receipt has changed; a change may also clear its neighbour."""
    receipts, lines, covers = store.read(silver.RECEIPT), store.read(silver.RECEIPT_LINE), F.col("rule") == SUSPECTED
    if since is not None:
        changed = [table for table in (silver.RECEIPT, silver.RECEIPT_VERSION) if store.has_news(table, since)]
        if not changed:
            return []
        touched = union([store.touched(table, since, ["business_date"]) for table in changed])
        days = [row[0] for row in touched.where("business_date IS NOT NULL").distinct().collect()]
        receipts, lines = receipts.where(on_days(days, silver.RECEIPT)), lines.where(on_days(days, silver.RECEIPT_LINE))
        covers = covers & F.col("business_date").isin(days)
    close = store.keep(only_close(receipts))
    if close.isEmpty():
        return [Judged(None, covers)]
    found = only_same_content(close, lines)
    value = F.concat(F.col("_other"), F.lit(" within "), F.col("_seconds").cast("string"), F.lit(" s"))
    return [Judged(exceptions.of_receipts(found, SUSPECTED, "receipt_id", value, F.col("gross_amount")), covers)]


def only_close(receipts: DataFrame) -> DataFrame:
    """Valid receipts with lines that have a neighbour: the same till, operator, customer and amount within seconds.

    A time in the hour that comes twice says nothing: its neighbour may be an hour away.
    """
    valid = receipts.where("status = 'FINAL' AND transaction_type IN ('SALE', 'RETURN', 'EXCHANGE') AND detail_level = 'lines'")
    timed = valid.withColumn("_at", F.coalesce("started_at", "ended_at")).where("_at IS NOT NULL AND NOT is_time_ambiguous")
    return timed.transform(_with_neighbour, list(_SAME)).where(F.col("_seconds") <= SECONDS).drop("_seconds", "_other")


def only_same_content(close: DataFrame, lines: DataFrame) -> DataFrame:
    """Those whose neighbour has the same lines too, in whatever order; ``_other`` is its id, ``_seconds`` how far it is."""
    of_close = lines.join(F.broadcast(close.select("receipt_key")), on="receipt_key", how="left_semi")
    contents = of_close.withColumn("_hash", content_hash(*_LINE)).groupBy("receipt_key").agg(
        F.sort_array(F.collect_list("_hash")).alias("_content")
    )  # fmt: skip
    joined = close.join(contents, on="receipt_key", how="inner")
    return joined.transform(_with_neighbour, [*_SAME, "_content"]).where(F.col("_seconds") <= SECONDS)


def _with_neighbour(receipts: DataFrame, same: list[str]) -> DataFrame:
    """Add the id of the receipt nearest in time that has the same in these columns, and the seconds between; NULL if none has."""
    in_time = Window.partitionBy(*same).orderBy("_at", "receipt_key")

    def neighbour(step: int) -> Column:
        at, other = F.lag("_at", step).over(in_time), F.lag("receipt_id", step).over(in_time)
        seconds = (F.abs(F.unix_micros(at) - F.unix_micros("_at")) / 1_000_000).cast("BIGINT")
        return F.when(at.isNotNull(), F.struct(seconds.alias("seconds"), other.alias("other")))

    nearest = F.array_min(F.array(neighbour(1), neighbour(-1)))
    return receipts.withColumns({"_seconds": nearest["seconds"], "_other": nearest["other"]})
