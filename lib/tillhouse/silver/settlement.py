"""Payments that one export tells of the receipts of another: whether they add up, and whether their receipts are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.silver import details, exceptions
from tillhouse.silver.exceptions import Judged
from tillhouse.sources.model import Source
from tillhouse.store import Since, Store
from tillhouse.tables import silver

PAYMENTS_DIFFER, UNMATCHED = "payments_differ", "payment_unmatched"


def with_settlements(judged: Sequence[Judged], store: Store, sources: Sequence[Source], since: Since | None) -> list[Judged]:
    """What was judged, and what is found by looking at both exports: at receipts or payments of which something has changed.

    Either file may come first, so this is judged on what the tables hold, after they are written. A trial of one export alone
    has no other to look at.
    """
    names = {source.name for source in sources}
    payers = [source for source in sources if source.pays in names]
    if not payers:
        return list(judged)
    is_apart = _is_apart(payers)
    others = [replace(item, covers=item.covers & ~is_apart) for item in judged]
    if since is None:
        return [*others, Judged(_found(store, payers, None), is_apart)]
    tables = [table for table in (silver.RECEIPT, silver.RECEIPT_PAYMENT) if store.has_news(table, since)]
    if not tables:
        return others
    keys = store.keep(union([store.touched(table, since, ["receipt_key"]) for table in tables]).distinct())
    return [*others, Judged(_found(store, payers, keys), is_apart, "_scope", keys)]


def _is_apart(payers: Sequence[Source]) -> Column:
    paid, paying = [str(source.pays) for source in payers], [source.name for source in payers]
    differs = (F.col("rule") == PAYMENTS_DIFFER) & F.col("source").isin(*paid)
    return F.coalesce(differs | (F.col("rule") == UNMATCHED) & F.col("source").isin(*paying), F.lit(False))


def _found(store: Store, payers: Sequence[Source], keys: DataFrame | None) -> DataFrame:
    receipts = store.read(silver.RECEIPT).where(F.col("source").isin(*(str(source.pays) for source in payers)))
    payments = store.read(silver.RECEIPT_PAYMENT).where(F.col("source").isin(*(source.name for source in payers)))
    if keys is not None:
        receipts = receipts.join(keys, on="receipt_key", how="left_semi")
        payments = payments.join(keys, on="receipt_key", how="left_semi")
    documents = store.read(silver.RECEIPT).where(F.col("source").isin(*(source.name for source in payers)))
    return details.of_payments(receipts, payments).unionByName(of_unmatched(payments, receipts, documents))


def of_unmatched(payments: DataFrame, receipts: DataFrame, documents: DataFrame) -> DataFrame:
    """Payments of receipts that have not come; ``documents`` told the payments. The scope is the receipt that is missing."""
    alone = payments.join(receipts, on="receipt_key", how="left_anti")
    alone = alone.groupBy("receipt_key", F.col("_document_key")).agg(F.sum("amount").alias("_paid"))
    told = documents.withColumnRenamed("receipt_key", "_document_key")
    judged = alone.join(told, on="_document_key", how="inner")
    return exceptions.of_receipts(judged, UNMATCHED, "payment_amount", F.col("_paid").cast("string"), F.col("_paid"))
