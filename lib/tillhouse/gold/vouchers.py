"""What is owed for vouchers and gift cards: each sale, redemption and refund, what is owed by day, and what is left of each."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.gold.facts import VALID
from tillhouse.gold.tie_out import between_days
from tillhouse.store import Since, Store, on_days
from tillhouse.tables import gold, silver
from tillhouse.tables.gold import FCT_VOUCHER, VOUCHER, VOUCHER_BALANCE, VOUCHER_LIABILITY

SOLD, REDEEMED = ("GIFTCARD_SALE", "SPV_SALE"), ("GIFTCARD_REDEEM", "SPV_REDEEM")
TENDER = "GIFT_CARD"
_OF = ("currency", "voucher_type")
_KEY = ("voucher_token", *_OF)
_CENTS = "DECIMAL(18,2)"


def run(store: Store, as_of: date | None, since: Since | None, *, payers: Collection[str] = ()) -> None:
    """Bring the tables of vouchers up to the receipts before ``as_of``, on the days on which something has changed.

    Payments are those of gold.fct_payment, which comes first. ``payers``: sources that tell payments of others' receipts.
    """
    tables = (silver.RECEIPT, silver.RECEIPT_LINE, gold.FCT_PAYMENT)
    days = None if since is None else _changed_days(store, as_of, since, payers)
    if days is None:
        receipts, lines, payments = (store.read(table) for table in tables)
        found = store.keep(to_vouchers(receipts, lines, payments, as_of=as_of))
        if found.isEmpty() and not store.version(gold.FCT_VOUCHER)[1]:
            return
        store.overwrite(gold.FCT_VOUCHER, found)
    elif days:
        receipts, lines, payments = (store.read(table).where(on_days(days, table)) for table in tables)
        touched = store.spark.createDataFrame([(day,) for day in days], "business_date DATE")
        store.replace(gold.FCT_VOUCHER, store.keep(to_vouchers(receipts, lines, payments, as_of=as_of)), touched, days)
    if since is None or store.has_news(gold.FCT_VOUCHER, since):  # also news of an earlier run that has left off here
        _publish(store, since)


def _publish(store: Store, since: Since | None) -> None:
    """What follows from gold.fct_voucher: days and vouchers of which something has changed, and the balances."""
    vouchers = store.read(gold.FCT_VOUCHER)
    if since is None:
        store.overwrite(gold.VOUCHER_LIABILITY, to_liabilities(vouchers))
        store.overwrite(gold.VOUCHER, to_balances_of_vouchers(vouchers))
    else:
        changed = store.keep(store.changes(gold.FCT_VOUCHER, since).select("business_date", *_KEY).distinct())
        days = [row[0] for row in changed.select("business_date").distinct().collect()]
        touched = store.spark.createDataFrame([(day,) for day in days], "business_date DATE")
        of_days = store.keep(to_liabilities(vouchers.where(on_days(days, FCT_VOUCHER))))
        store.replace(gold.VOUCHER_LIABILITY, of_days, touched, days)
        named = store.keep(changed.where("voucher_token IS NOT NULL").select(*_KEY).distinct())
        if not named.isEmpty():
            of_named = vouchers.join(F.broadcast(named), on=list(_KEY), how="left_semi")
            store.replace_where(gold.VOUCHER, store.keep(to_balances_of_vouchers(of_named)), named, "true")
    store.overwrite(gold.VOUCHER_BALANCE, to_balances(store.read(gold.VOUCHER_LIABILITY)))


def _is_of_vouchers() -> Column:
    return F.col("line_type").isin(*SOLD, *REDEEMED)


def _changed_days(store: Store, as_of: date | None, since: Since, payers: Collection[str]) -> list[date]:
    """The days of receipts that have changed, or of which a line or payment of a voucher has."""
    changed = []
    if store.has_news(silver.RECEIPT, since):
        changed.append(store.changes(silver.RECEIPT, since))
    if store.has_news(silver.RECEIPT_LINE, since):
        changed.append(store.changes(silver.RECEIPT_LINE, since).where(_is_of_vouchers()))
    if store.has_news(silver.RECEIPT_PAYMENT, since):
        paid = store.changes(silver.RECEIPT_PAYMENT, since).where(F.col("tender_type") == TENDER)
        if payers:  # they tell payments on days of their own
            keys = F.broadcast(paid.select("receipt_key").distinct())
            paid = store.read(silver.RECEIPT).join(keys, on="receipt_key", how="left_semi")
        changed.append(paid)
    if since.has_changed("as_of"):
        changed.append(store.read(silver.RECEIPT).where(between_days(since.as_of, as_of)))
    if since.again:
        changed += [store.read(silver.RECEIPT).where(since.again), store.read(gold.FCT_VOUCHER).where(since.again)]
    if not changed:
        return []
    return sorted(row[0] for row in union([rows.select("business_date") for rows in changed]).distinct().collect())


def to_vouchers(receipts: DataFrame, lines: DataFrame, payments: DataFrame, *, as_of: date | None = None) -> DataFrame:
    """Every line of a valid receipt before ``as_of`` that sells or redeems a voucher, and every payment with one.

    A line that redeems and a payment are two redemptions: payments make up what the lines leave to pay. A redemption with the
    sign of a sale, such as money back on a gift card, is a refund: it is owed again. A void takes back what it voids.
    """
    is_sale = F.col("line_type").isin(*SOLD)
    voucher_type = F.when(F.col("line_type").startswith("SPV"), "single_purpose").otherwise("multi_purpose")
    of_lines = lines.where(_is_of_vouchers()).select(
        "receipt_key", F.lit("line").alias("told_by"), F.col("line_number").alias("position"), "currency",
        voucher_type.alias("voucher_type"), "voucher_token", is_sale.alias("_is_sale"), "is_void",
        F.col("gross_amount").alias("_change"),
    )  # fmt: skip
    of_payments = payments.where(F.col("tender_type") == TENDER).select(
        "receipt_key", F.lit("payment").alias("told_by"), F.col("payment_number").alias("position"), "currency",
        F.lit("multi_purpose").alias("voucher_type"), F.lit(None).cast("string").alias("voucher_token"),
        F.lit(False).alias("_is_sale"), F.lit(False).alias("is_void"), (-F.col("amount")).alias("_change"),
    )  # fmt: skip
    until = F.lit(True) if as_of is None else F.col("business_date") < F.lit(as_of)
    valid = receipts.where(VALID).where(until).select("receipt_key", "branch_id", "business_date")
    is_refund = (F.col("_change") > 0) & ~F.col("is_void")
    movement = F.when(F.col("_is_sale"), "sold").when(is_refund, "refunded").otherwise("redeemed")
    moved = of_lines.unionByName(of_payments).join(valid, on="receipt_key", how="inner")
    return FCT_VOUCHER.conform(moved.withColumns({"movement": movement, "change_amount": F.col("_change").cast(_CENTS)}))


def to_liabilities(vouchers: DataFrame) -> DataFrame:
    """What was sold, redeemed and refunded by branch and day. ``vouchers``: gold.fct_voucher."""
    return VOUCHER_LIABILITY.conform(vouchers.groupBy("branch_id", "business_date", *_OF).agg(*_movements()))


def to_balances(liabilities: DataFrame) -> DataFrame:
    """What the whole chain owes after each day, as far as its history tells. ``liabilities``: gold.voucher_liability."""
    names = ("sold_amount", "redeemed_amount", "refunded_amount", "change_amount")
    by_day = liabilities.groupBy(*_OF, "business_date").agg(*(F.sum(name).cast(_CENTS).alias(name) for name in names))
    until = Window.partitionBy(*_OF).orderBy("business_date").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    return VOUCHER_BALANCE.conform(by_day.withColumn("balance_amount", F.sum("change_amount").over(until).cast(_CENTS)))


def to_balances_of_vouchers(vouchers: DataFrame) -> DataFrame:
    """What is left of each voucher that has a number. ``vouchers``: gold.fct_voucher.

    One of which no sale is known was sold before the history begins, or where no till tells it: nothing is said of its balance.
    """
    is_sale = F.col("movement") == "sold"
    balances = vouchers.where("voucher_token IS NOT NULL").groupBy(*_KEY).agg(
        F.min(F.when(is_sale, F.col("business_date"))).alias("first_sold_on"),
        F.max("business_date").alias("last_used_on"),
        *_movements(),
    )  # fmt: skip
    left = F.col("change_amount")
    status = F.when(F.col("first_sold_on").isNull(), "sale_unknown").when(left < 0, "overdrawn").when(left == 0, "spent")
    return VOUCHER.conform(balances.withColumn("status", status.otherwise("open")))


def _movements() -> list[Column]:
    """The sums of gold.fct_voucher; what is redeemed is positive."""
    nothing = F.lit(0)
    sums = {
        f"{movement}_amount": F.sum(F.when(F.col("movement") == movement, sign * F.col("change_amount")).otherwise(nothing))
        for movement, sign in (("sold", F.lit(1)), ("redeemed", F.lit(-1)), ("refunded", F.lit(1)))
    }
    return [column.cast(_CENTS).alias(name) for name, column in {**sums, "change_amount": F.sum("change_amount")}.items()]
