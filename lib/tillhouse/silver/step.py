"""The silver step: from bronze text to typed, checked, versioned records, and what is wrong with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.keys import surrogate_key, with_tokens
from tillhouse.quality.rules import REJECTED, VIOLATIONS, with_violations
from tillhouse.silver import exceptions, lines, master, receipts, versions
from tillhouse.sources.fields import PAYMENT_FIELDS
from tillhouse.sources.mapping import map_payments
from tillhouse.sources.model import Source
from tillhouse.store import Store
from tillhouse.tables import ops, silver, vault
from tillhouse.tables.bronze import bronze_table


def run(store: Store, sources: Sequence[Source], token_key: bytes, run_id: str, seen_at: datetime) -> dict[str, int]:
    """Bring silver up to what bronze holds; returns what was counted."""
    ledger = store.read(ops.FILE_LEDGER)
    branch_records = _records(store, sources, "branch")
    product_records = _records(store, sources, "product")
    found = [exceptions.of_files(ledger)]
    if branch_records is not None:
        store.overwrite(silver.BRANCH, master.to_branches(branch_records))
        found.append(exceptions.of_records(branch_records, "branch", "branch_id"))
    if product_records is not None:
        store.overwrite(silver.PRODUCT, master.to_products(product_records))
        found.append(exceptions.of_records(product_records, "product", "product_id"))
    counted: dict[str, int] = {}
    receipt_sources = [source for source in sources if source.entity == "receipt"]
    if receipt_sources:
        receipt_exceptions, counted = _run_receipts(store, receipt_sources, ledger, token_key)
        found += receipt_exceptions
    merged = exceptions.merge(store.read(silver.EXCEPTION), exceptions.union(found), sources, run_id, seen_at.isoformat(sep=" "))
    store.overwrite(silver.EXCEPTION, merged)
    return counted


def _records(store: Store, sources: Sequence[Source], entity: str) -> DataFrame | None:
    to_records = {"branch": master.to_branch_records, "product": master.to_product_records}[entity]
    frames = [to_records(_bronze(store, source), source) for source in sources if source.entity == entity]
    return exceptions.union(frames) if frames else None


def _bronze(store: Store, source: Source) -> DataFrame:
    return store.read(bronze_table(source.name, source.personal_data))


def _run_receipts(
    store: Store, sources: Sequence[Source], ledger: DataFrame, token_key: bytes
) -> tuple[list[DataFrame], dict[str, int]]:
    branches = store.read(silver.BRANCH)
    delivered = lines.union_sources([lines.to_lines(_bronze(store, source), source, branches) for source in sources])
    delivered = store.keep(lines.with_marks(delivered))

    files = ledger.where("status = 'loaded'").select("file_id", "loaded_at")
    ranked = versions.rank_versions(versions.to_versions(delivered), files)
    store.overwrite(silver.RECEIPT_VERSION, ranked)
    ranked = store.read(silver.RECEIPT_VERSION)

    current = versions.only_current(lines.accepted(delivered), ranked)
    store.overwrite(silver.RECEIPT_LINE, receipts.to_receipt_lines(lines.settle(current)))
    settled = store.read(silver.RECEIPT_LINE)

    headers = with_tokens(receipts.to_headers(current), {"card_number": "card", "operator": "operator"}, token_key)
    headers = store.keep(headers)
    parties = receipts.to_parties(headers)
    store.overwrite(vault.PARTY, vault.PARTY.conform(parties))
    store.overwrite(silver.PARTY, receipts.to_silver_parties(parties))
    store.overwrite(silver.RECEIPT, receipts.to_receipts(headers, receipts.to_totals(settled)))
    documents = store.read(silver.RECEIPT)

    found = [
        exceptions.of_lines(versions.only_current(delivered, ranked)),
        exceptions.of_versions(ranked, documents),
        exceptions.of_totals(documents),
        exceptions.of_products(settled, store.read(silver.PRODUCT)),
    ]
    paid = [source for source in sources if source.payments is not None]
    if paid:
        payments = exceptions.union([_payments(store, source, branches) for source in paid])
        payments = versions.only_current(payments, ranked)
        found.append(exceptions.of_records(payments, "receipt_payment", "_payment"))
        store.overwrite(silver.RECEIPT_PAYMENT, receipts.to_payments(payments.where(~F.col(REJECTED)), documents))
        found.append(exceptions.of_payments(documents, store.read(silver.RECEIPT_PAYMENT)))
    return found, _count(ranked)


def _payments(store: Store, source: Source, branches: DataFrame) -> DataFrame:
    mapped, problems = map_payments(_bronze(store, source), source, branches)
    assert source.payments is not None
    payment_fields = {source.payments.path, *(field.name for field in PAYMENT_FIELDS)}  # lines tell the receipt's own faults
    place = F.concat_ws("/", "branch_id", "receipt_id", F.concat(F.lit("payment "), "_child_position"))
    keyed = mapped.withColumns({"source": F.lit(source.name), "_payment": place}).withColumn(
        "receipt_key", surrogate_key("source", "branch_id", "register_id", "closing_id", "receipt_id")
    )
    names = ["receipt_key", "source", "_file", "_file_id", "_row", "_child_position", "_payment", "payment_number", "tender_type"]
    judged = with_violations(keyed, (), [problem for problem in problems if problem.field in payment_fields])
    return judged.select(
        *names, "tender_name", "payment_amount", "change_amount", "branch_id", "receipt_id", VIOLATIONS, REJECTED
    )


def _count(ranked: DataFrame) -> dict[str, int]:
    row = ranked.agg(
        F.count(F.when(F.col("status") == "current", 1)).alias("receipts"),
        F.count(F.when(~F.col("status").isin("current", "unreadable"), 1)).alias("versions_not_current"),
        F.sum("line_count").alias("lines_accepted"),
        F.sum("rejected_count").alias("lines_rejected"),
        F.sum("repeated_count").alias("lines_repeated"),
    ).collect()[0]
    return {name: value or 0 for name, value in row.asDict().items()}
