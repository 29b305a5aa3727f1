"""Till closings: the totals that a Z report states, and whether what has come of the closing adds up to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.keys import surrogate_key
from tillhouse.quality.rules import REJECTED, TAX_RULES, VIOLATIONS, Finding, with_violations
from tillhouse.silver import exceptions, lines
from tillhouse.silver.exceptions import Judged
from tillhouse.sources.details import map_details
from tillhouse.sources.fields import UNPAID
from tillhouse.sources.model import Source
from tillhouse.store import Store, on_days
from tillhouse.tables import silver
from tillhouse.tables.contract import MONTH
from tillhouse.tables.silver import CLOSING_TOTAL

KEY = "closing_totals"
CLOSING = ("source", "branch_id", "register_id", "closing_id")
TOTAL, CLOSED = ENTITIES = ("closing_total", "closing")
# A closing is compared with its receipts of the days before and after its own, so that a night's run need not look further.
DAYS_BEFORE, DAYS_AFTER = 31, 7
_CENTS = "DECIMAL(18,2)"


def write(
    store: Store,
    delivered: Sequence[tuple[Source, DataFrame]],
    branches: DataFrame,
    ledger: DataFrame,
    *,
    receipt_lines: DataFrame,
    where: str | None,
    only: Column | None,
) -> list[Judged]:
    """Bring silver.closing_total up to what was delivered, and compare the closings that are concerned.

    ``receipt_lines`` are the lines delivered with it: their closings are compared again. ``where`` and ``only`` as in a batch.
    """
    told = [(source, bronze) for source, bronze in delivered if KEY in source.details]
    if not told and not (where and store.version(CLOSING_TOTAL)[1]):
        return []
    found = read(told, branches) if told else None
    if found is not None:
        found = store.keep(found.where(only) if only is not None else found)
    if found is None:
        store.overwrite(CLOSING_TOTAL, store.read(CLOSING_TOTAL).where("false"), where)
        return [Judged(None, _is_of_closings(where))]
    if where:
        current = store.keep(latest(found, None, ledger))
        store.overwrite(CLOSING_TOTAL, to_totals(current), where)
        judged = Judged(_of_unreadable(current), _is_of_closings(where))
    else:
        current, winners = _replace(store, found, ledger)
        judged = Judged(_of_unreadable(current), F.col("entity") == TOTAL, "_scope", winners)
    closings = receipt_lines.select(*CLOSING).distinct().transform(with_closing_key)
    touched = store.keep(found.select("closing_key").union(closings.select("closing_key")).distinct())
    return [judged, _compared(store, touched, {source.name for source, _ in told if source.payments})]


def _is_of_closings(where: str | None) -> Column:
    return F.col("entity").isin(*ENTITIES) & F.expr(where or "true")


def with_closing_key(rows: DataFrame) -> DataFrame:
    return rows.withColumn("closing_key", surrogate_key(*CLOSING))


def read(delivered: Sequence[tuple[Source, DataFrame]], branches: DataFrame) -> DataFrame:
    """The totals in delivered records, numbered in each closing of a file, with all their violations."""
    found = [
        _read_one(bronze, source, branches, number)
        for source, bronze in delivered
        for number in range(len(source.closing_totals))
    ]
    in_file = Window.partitionBy("closing_key", "_file_id").orderBy("_row", "_item", "_child_position")
    numbered = union(found).withColumn("total_number", F.row_number().over(in_file))
    place = F.concat_ws("/", "branch_id", "register_id", "closing_id", F.concat(F.lit("total "), "total_number"))
    return numbered.withColumn("_place", place)


def _read_one(bronze: DataFrame, source: Source, branches: DataFrame, number: int) -> DataFrame:
    """Totals of known branches; of others their receipts tell."""
    mapped, problems = map_details(bronze, source, branches, KEY, source.closing_totals[number])
    dated = mapped.transform(lines.with_branch, branches).where("_known_branch_id IS NOT NULL")
    day = lines.to_trading_day(lines.to_local_micros(F.col("closed_at")))
    dated = dated.withColumn("business_date", F.coalesce("business_date", day))
    undated = Finding("business_date_missing", "error", "closed_at", F.col("business_date").isNull(), F.lit(None).cast("string"))
    judged = with_violations(dated, TAX_RULES, [*problems, undated])
    keyed = judged.withColumns(
        {
            "source": F.lit(source.name),
            "currency": F.coalesce("total_currency", "currency", F.lit(source.currency), "_branch_currency"),
            "version_at": F.col("_version_at"),
            "_item": F.lit(number),
        }
    ).transform(with_closing_key)
    return keyed.select(
        "closing_key", *CLOSING, "business_date", "closed_at", "total_kind", "line_type", "tender_type", "total_name", "tax_code",
        "currency", "gross_amount", "net_amount", "tax_amount", "version_at", "_file", "_file_id", "_row", "_item",
        "_child_position", VIOLATIONS, REJECTED,
    )  # fmt: skip


def latest(found: DataFrame, stored: DataFrame | None, ledger: DataFrame) -> DataFrame:
    """The totals of each closing's winning version, chosen as that of a receipt; rows of ``stored`` are ``_is_stored``.

    ``stored`` holds the versions that won before.
    """
    versions = found.withColumn("_is_stored", F.lit(False))
    if stored is not None:
        others = stored.join(found.select("closing_key", "_file_id").distinct(), on=["closing_key", "_file_id"], how="left_anti")
        versions = versions.unionByName(others.withColumn("_is_stored", F.lit(True)), allowMissingColumns=True)
    files = ledger.where("status = 'loaded'").select(F.col("file_id").alias("_file_id"), "loaded_at", "path")
    by_order = Window.partitionBy("closing_key").orderBy(
        F.col("version_at").desc_nulls_last(), F.col("loaded_at").asc_nulls_last(), "path", "_file_id"
    )
    placed = versions.join(F.broadcast(files), on="_file_id", how="left")
    return placed.withColumn("_rank", F.dense_rank().over(by_order)).where("_rank = 1")


def to_totals(totals: DataFrame) -> DataFrame:
    """The totals that can be read, as a table."""
    amounts = {name: F.round(name, 2).cast(_CENTS) for name in ("gross_amount", "net_amount", "tax_amount")}
    return CLOSING_TOTAL.conform(totals.where(~F.col(REJECTED)).withColumns(amounts))


def _replace(store: Store, found: DataFrame, ledger: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Put new totals in the place of those of the same closings; returns them, and the closings that a new file decides."""
    named = found.select("closing_key").distinct()
    stored = store.read(CLOSING_TOTAL).drop(MONTH)  # the month of new rows is derived where they are written
    stored = store.keep(stored.join(named, on="closing_key", how="left_semi"))
    won = store.keep(latest(found, stored, ledger))
    new = won.where("NOT _is_stored")
    winners = store.keep(new.select("closing_key").distinct())
    days = [row[0] for row in new.select("business_date").union(stored.select("business_date")).distinct().collect()]
    store.replace(CLOSING_TOTAL, store.keep(to_totals(new)), winners, days)
    return new, winners


def _of_unreadable(totals: DataFrame) -> DataFrame:
    return exceptions.of_records(totals, TOTAL, "_place", "closing_key")


def _compared(store: Store, touched: DataFrame, sources_with_payments: set[str]) -> Judged:
    """Closings that were touched, compared with everything that has come of them."""
    covers = F.col("entity") == CLOSED
    totals = store.keep(store.read(CLOSING_TOTAL).join(touched, on="closing_key", how="left_semi"))
    first, last = totals.agg(F.min("business_date"), F.max("business_date")).collect()[0]
    if first is None:
        return Judged(None, covers, "_scope", touched)
    receipts = store.keep(_receipts_of(store.read(silver.RECEIPT).where(_in_months(first, last)), totals))
    days = [row[0] for row in receipts.select("business_date").distinct().collect()]
    of_receipts = receipts.select("receipt_key", "closing_key")
    sold = store.read(silver.RECEIPT_LINE).where(on_days(days, silver.RECEIPT_LINE)).join(of_receipts, on="receipt_key")
    paid = store.read(silver.RECEIPT_PAYMENT).where(on_days(days, silver.RECEIPT_PAYMENT)).join(of_receipts, on="receipt_key")
    is_paid = F.col("source").isin(*sources_with_payments) | (F.col("total_kind") == "BUSINESS_CASE")
    return Judged(of_closings(totals.where(is_paid), sold, paid), covers, "_scope", touched)


def _in_months(first: date, last: date) -> Column:
    low, high = first - timedelta(days=DAYS_BEFORE), last + timedelta(days=DAYS_AFTER)
    return F.col(MONTH).between(f"{low:%Y-%m}", f"{high:%Y-%m}") & F.col("business_date").between(low, high)


def _receipts_of(receipts: DataFrame, totals: DataFrame) -> DataFrame:
    """The receipts of the closings that count: final sales, returns, exchanges and cash movements, on days near the closing."""
    days = totals.groupBy("closing_key").agg(F.min("business_date").alias("_closed_on"))
    counted = receipts.where((F.col("status") == "FINAL") & ~F.col("transaction_type").isin(*UNPAID))
    near = counted.transform(with_closing_key).join(F.broadcast(days), on="closing_key", how="inner")
    apart = F.date_diff("business_date", "_closed_on")
    return near.where(apart.between(-DAYS_BEFORE, DAYS_AFTER))


def of_closings(totals: DataFrame, lines: DataFrame, payments: DataFrame) -> DataFrame:
    """Totals of a Z report that the lines and payments of the closing (with ``closing_key``) do not add up to; both stay.

    Business cases are compared by type of line, payments by means of payment, and cash by the currency that was handed over;
    where a report names no type, its whole sum is. What has come and is not in a report that tells of its kind differs too.
    """
    kind = F.col("total_kind")
    member = F.when(kind == "BUSINESS_CASE", F.col("line_type")).when(kind == "PAYMENT", F.col("tender_type"))
    member = member.when(kind == "CURRENCY", F.col("currency"))
    told = totals.withColumn("_member", member)
    kinds = told.groupBy("closing_key", "total_kind").agg(
        (F.count("_member") == F.count("*")).alias("_is_typed"),
        F.min(F.struct("_file", "_row", *CLOSING, "business_date")).alias("_at"),
        F.min("currency").alias("currency"),
    )
    currency, is_foreign = F.coalesce("foreign_currency", "currency"), F.col("foreign_currency").isNotNull()
    cash = payments.where("tender_type = 'CASH'")
    come = [
        _sums(lines, "BUSINESS_CASE", F.col("line_type"), F.col("gross_amount")),
        _sums(payments, "PAYMENT", F.col("tender_type"), F.col("amount")),
        _sums(cash, "CURRENCY", currency, F.when(is_foreign, F.col("foreign_amount")).otherwise(F.col("amount"))),
    ]
    nothing = F.lit(0).cast(_CENTS).alias("_come")
    stated = told.select("closing_key", "total_kind", "_member", F.col("gross_amount").alias("_told"), nothing)
    sides = union([stated, *come]).join(kinds, on=["closing_key", "total_kind"], how="inner")
    sides = sides.withColumn("_member", F.when(F.col("_is_typed"), F.col("_member")).otherwise("all"))
    compared = sides.groupBy("closing_key", "total_kind", "_member", "_at", "currency").agg(
        F.sum("_told").alias("_told"), F.sum("_come").alias("_come")
    )
    differing = compared.where("_told <> _come").select("*", "_at.*")
    return exceptions.of_receipts(
        differing, "closing_differs", "gross_amount", *exceptions.instead_of("_told", "_come"), entity=CLOSED,
        parts=("branch_id", "register_id", "closing_id", "total_kind", "_member"), scope="closing_key",
    )  # fmt: skip


def _sums(rows: DataFrame, kind: str, member: Column, amount: Column) -> DataFrame:
    return rows.select(
        "closing_key",
        F.lit(kind).alias("total_kind"),
        member.alias("_member"),
        F.lit(0).cast(_CENTS).alias("_told"),
        amount.alias("_come"),
    )
