"""gold.closing_tie_out: what each Z report adds up, beside the sums of what has come of its till closing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.keys import surrogate_key
from tillhouse.sources.fields import REVENUE_LINE_TYPES, UNPAID
from tillhouse.sources.model import Source
from tillhouse.store import Since, Store, on_days, on_months
from tillhouse.tables import gold, silver
from tillhouse.tables.gold import CLOSING_TIE_OUT

CLOSING = ("source", "branch_id", "register_id", "closing_id")
PLACE = ("closing_key", *CLOSING, "business_date")
# A receipt belongs to the closing of its till that is told for a day so far after or before its own, as in silver.
DAYS_BEFORE, DAYS_AFTER = 31, 7
REACH = timedelta(days=DAYS_BEFORE)
_CENTS = "DECIMAL(18,2)"
_SUM = "DECIMAL(38,2)"


@dataclass(frozen=True)
class Told:
    """The sources that deliver Z reports, and those of them whose receipts come with payments and with taxes."""

    sources: tuple[str, ...]
    with_payments: tuple[str, ...]
    with_taxes: tuple[str, ...]

    @classmethod
    def by(cls, sources: Iterable[Source]) -> Self:
        told = [source for source in sources if source.closing_totals]
        names = tuple(sorted(source.name for source in told))
        payments = tuple(sorted(source.name for source in told if source.payments))
        return cls(names, payments, tuple(sorted(source.name for source in told if source.taxes)))

    def compared(self) -> Column:
        """What of ``kind`` and ``source`` is compared: nothing that receipts do not come with."""
        is_paid, is_taxed = F.col("kind").isin("PAYMENT", "CURRENCY"), F.col("kind").isin("NET", "TAX")
        has_payments, has_taxes = F.col("source").isin(*self.with_payments), F.col("source").isin(*self.with_taxes)
        return F.col("source").isin(*self.sources) & (~is_paid | has_payments) & (~is_taxed | has_taxes)


def run(store: Store, told: Told, as_of: date | None, since: Since | None) -> None:
    """Compare every closing of which something has changed, as far as its day lies before ``as_of``."""
    if not told.sources and not store.version(gold.CLOSING_TIE_OUT)[1]:
        return
    days = None if since is None else _changed_days(store, as_of, since)
    if days is not None and not days:
        return
    near = "true" if days is None else on_months(days, 2 * REACH)
    totals, receipts = (store.read(table).where(near) for table in (silver.CLOSING_TOTAL, silver.RECEIPT))
    receipts = receipts.where(F.col("source").isin(*told.sources)).transform(with_closing_key)
    if days is None or since is None:
        placed = store.keep(to_placed(receipts, totals))
        on = dict.fromkeys(_OF_RECEIPTS, "true")
    else:
        closings = store.keep(_changed_closings(store, receipts.where(on_days(days, silver.RECEIPT)), since))
        totals = totals.join(F.broadcast(closings), on="closing_key", how="left_semi")
        placed = store.keep(to_placed(receipts.join(F.broadcast(closings), on="closing_key", how="left_semi"), totals))
        found = [row[0] for row in placed.select("_sold_on").distinct().collect()]
        on = {table: on_days(found, table) for table in _OF_RECEIPTS}
    lines, payments, taxes = (store.read(table).where(on[table]) for table in _OF_RECEIPTS)
    rows = to_tie_out(totals, placed, told, lines=lines, payments=payments, taxes=taxes)
    rows = rows if as_of is None else rows.where(F.col("business_date") < F.lit(as_of))
    if days is None:
        store.overwrite(gold.CLOSING_TIE_OUT, rows)
    else:
        around = sorted({day + timedelta(days=apart) for day in days for apart in range(-DAYS_BEFORE, DAYS_BEFORE + 1)})
        where = on_days(around, CLOSING_TIE_OUT)
        rows = store.keep(rows.where(where))
        store.replace_where(gold.CLOSING_TIE_OUT, rows, closings, where)


_OF_RECEIPTS = (silver.RECEIPT_LINE, silver.RECEIPT_PAYMENT, silver.RECEIPT_LINE_TAX)


def with_closing_key(rows: DataFrame) -> DataFrame:
    return rows.withColumn("closing_key", surrogate_key(*CLOSING))


def _changed_days(store: Store, as_of: date | None, since: Since) -> list[date]:
    """The days of receipts and closings of which something has changed."""
    tables = (silver.CLOSING_TOTAL, silver.RECEIPT, *_OF_RECEIPTS)
    changed = [store.changes(table, since) for table in tables if store.has_news(table, since)]
    of_both = [store.read(table) for table in (silver.CLOSING_TOTAL, silver.RECEIPT)]
    if since.again:
        changed += [rows.where(since.again) for rows in of_both]
    if since.has_changed("as_of"):
        changed += [rows.where(between_days(since.as_of, as_of)) for rows in of_both]
    if not changed:
        return []
    days = union([rows.select("business_date") for rows in changed]).distinct()
    return sorted(row[0] for row in days.collect())


def between_days(before: date | None, now: date | None) -> Column:
    """The days that one ``as_of`` has left out and the other has not."""
    bounds = sorted(day for day in (before, now) if day is not None)
    low = F.col("business_date") >= F.lit(bounds[0])
    return low & (F.col("business_date") < F.lit(bounds[1])) if len(bounds) == 2 else low


def _changed_closings(store: Store, receipts: DataFrame, since: Since) -> DataFrame:
    """The closings (closing_key) of the receipts of changed days, and of what is no longer there."""
    keys = [receipts.select("closing_key")]
    if store.has_news(silver.RECEIPT, since):
        keys.append(store.changes(silver.RECEIPT, since).transform(with_closing_key).select("closing_key"))
    if store.has_news(silver.CLOSING_TOTAL, since):
        keys.append(store.changes(silver.CLOSING_TOTAL, since).select("closing_key"))
    if since.again:
        keys.append(store.read(silver.CLOSING_TOTAL).where(since.again).select("closing_key"))
    return union(keys).distinct()


def to_placed(receipts: DataFrame, totals: DataFrame) -> DataFrame:
    """The receipts that a Z report adds up, with the day of their closing; without a report they stay on their own.

    ``receipts``: silver.receipt with ``closing_key``; ``totals``: silver.closing_total.
    """
    closed = totals.groupBy("closing_key").agg(F.min("business_date").alias("_closed_on"))
    counted = receipts.where((F.col("status") == "FINAL") & ~F.col("transaction_type").isin(*UNPAID))
    near = counted.join(F.broadcast(closed), on="closing_key", how="left")
    is_told = F.coalesce(F.date_diff("business_date", "_closed_on").between(-DAYS_BEFORE, DAYS_AFTER), F.lit(False))
    day = F.when(is_told, F.col("_closed_on")).otherwise(F.col("business_date"))
    return near.select(
        "receipt_key", "closing_key", *CLOSING, day.alias("business_date"), is_told.alias("_has_report"),
        F.col("business_date").alias("_sold_on"),
    )  # fmt: skip


def to_tie_out(
    totals: DataFrame, placed: DataFrame, told: Told, *, lines: DataFrame, payments: DataFrame, taxes: DataFrame
) -> DataFrame:
    """One row per closing and thing that is added up, with the difference to the cent.

    What has come and is of no report is listed as well. Of a kind that a report does not tell of nothing is compared; where it
    names no type (a line type, tender or tax key), the whole sum of the kind is. ``placed``: see ``to_placed``; ``lines``,
    ``payments``, ``taxes``: of silver.
    """
    stated = _stated(totals).where(told.compared())
    kinds = stated.groupBy(*_OF_KIND).agg((F.count("member") == F.count("*")).alias("_is_typed"))
    come = _come(placed, lines, payments, taxes).where(told.compared())
    sides = stated.unionByName(come).join(kinds, on=list(_OF_KIND), how="left")
    is_compared = F.col("_is_typed").isNotNull() | (~F.col("_has_report") & (F.col("kind") != "CURRENCY"))
    is_whole = ~F.coalesce(F.col("_is_typed"), F.lit(True))
    member = F.when(is_whole, "all").otherwise(F.coalesce("member", F.lit("none")))
    summed = sides.where(is_compared).withColumn("member", member).groupBy(*PLACE, "kind", "member", "currency").agg(
        F.max("_has_report").alias("_has_report"),
        F.sum("_stated").cast(_CENTS).alias("_stated"),
        F.coalesce(F.sum("_actual"), F.lit(0)).cast(_CENTS).alias("actual_amount"),
        F.count("_actual").alias("_records"),
        F.max("tax_rate").alias("tax_rate"),
    )  # fmt: skip
    sold = placed.select("closing_key", "business_date").distinct().withColumn("_has_receipts", F.lit(True))
    found = summed.join(F.broadcast(sold), on=["closing_key", "business_date"], how="left")
    is_rounded = F.col("kind").isin("NET", "TAX")
    zero = F.lit(0).cast(_CENTS)
    rounding = F.ceil(F.col("_records") / 2) / 100  # half a cent each
    stated_amount = F.when(F.col("_has_report"), F.coalesce("_stated", zero))
    return CLOSING_TIE_OUT.conform(
        found.withColumns(
            {
                "stated_amount": stated_amount,
                "difference_amount": (stated_amount - F.col("actual_amount")).cast(_CENTS),
                "tolerance_amount": F.when(is_rounded, rounding).otherwise(zero).cast(_CENTS),
                "is_revenue": (F.col("kind") == "BUSINESS_CASE") & F.col("member").isin(*REVENUE_LINE_TYPES),
            }
        ).withColumn("status", _status())
    )


_OF_KIND = ("closing_key", "business_date", "kind")


def _status() -> Column:
    is_same = F.abs("difference_amount") <= F.col("tolerance_amount")
    has_receipts = F.coalesce("_has_receipts", F.lit(False))
    return (
        F.when(~F.col("_has_report"), "no_report")
        .when(is_same, "agrees")
        .when(~has_receipts, "no_receipts")
        .otherwise("differs")
    )  # fmt: skip


def _stated(totals: DataFrame) -> DataFrame:
    """What reports state; business cases have a net amount and a tax beside the gross amount."""
    kind, is_case = F.col("total_kind"), F.col("total_kind") == "BUSINESS_CASE"
    member = F.when(is_case, F.col("line_type")).when(kind == "PAYMENT", F.col("tender_type")).otherwise(F.col("currency"))
    of_case = [
        _told(F.lit(name), F.col("tax_code"), F.when(is_case, F.col(amount)))
        for name, amount in (("NET", "net_amount"), ("TAX", "tax_amount"))
    ]
    day = F.min("business_date").over(Window.partitionBy("closing_key"))
    dated = totals.withColumns({"business_date": day, "_has_report": F.lit(True)})
    return _one_by_one(dated, _told(kind, member, F.col("gross_amount")), *of_case, side="_stated")


def _come(placed: DataFrame, lines: DataFrame, payments: DataFrame, taxes: DataFrame) -> DataFrame:
    """What has come: business cases by line, payments and the cash among them as it was handed over, net amounts and taxes."""
    sold, paid, taxed = (
        rows.drop("source", "branch_id", "business_date").join(placed, on="receipt_key", how="inner")
        for rows in (lines, payments, taxes)
    )
    handed_over = F.coalesce("foreign_currency", "currency")
    cash = F.when(F.col("foreign_currency").isNull(), F.col("amount")).otherwise(F.col("foreign_amount"))
    cash = F.when(F.col("tender_type") == "CASH", cash)
    code = F.col("tax_code")
    return union(
        [
            _one_by_one(sold, _told(F.lit("BUSINESS_CASE"), F.col("line_type"), F.col("gross_amount")), side="_actual"),
            _one_by_one(
                paid,
                _told(F.lit("PAYMENT"), F.col("tender_type"), F.col("amount")),
                _told(F.lit("CURRENCY"), handed_over, cash, handed_over),
                side="_actual",
            ),
            _one_by_one(
                taxed,
                _told(F.lit("NET"), code, F.col("net_amount")),
                _told(F.lit("TAX"), code, F.col("tax_amount")),
                side="_actual",
            ),
        ]
    )


def _told(kind: Column, member: Column, amount: Column, currency: Column | None = None) -> Column:
    """One amount of a row; NULL where the row does not tell it."""
    of_row = {"kind": kind, "member": member, "currency": F.col("currency") if currency is None else currency, "amount": amount}
    types = {"kind": "string", "member": "string", "currency": "string", "amount": _SUM}
    return F.struct(*(column.cast(types[name]).alias(name) for name, column in of_row.items()))


def _one_by_one(rows: DataFrame, *told: Column, side: str) -> DataFrame:
    """A row for each amount that rows tell, on one of the two sides."""
    rate = F.col("tax_rate") if "tax_rate" in rows.columns else F.lit(None).cast("DECIMAL(9,5)")
    amounts = rows.select(*PLACE, "_has_report", rate.alias("tax_rate"), F.explode(F.array(*told)).alias("_told"))
    sides = ((F.col("_told.amount") if name == side else F.lit(None).cast(_SUM)).alias(name) for name in ("_stated", "_actual"))
    own = ("_told.kind", "_told.member", "_told.currency")
    return amounts.where("_told.amount IS NOT NULL").select(*PLACE, "_has_report", "tax_rate", *own, *sides)
