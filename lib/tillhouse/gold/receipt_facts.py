"""Further facts of valid receipts: how they were paid, what VAT is in them, and what lowered their prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.gold.facts import VALID
from tillhouse.quality.expectations import Identity
from tillhouse.sources.fields import REVENUE_LINE_TYPES
from tillhouse.store import Store
from tillhouse.tables import Table, gold, silver
from tillhouse.tables.gold import FCT_DISCOUNT, FCT_PAYMENT, FCT_TAX

RULES_VERSION = 1
TOLD_BESIDE = (silver.RECEIPT_PAYMENT, silver.RECEIPT_LINE_TAX, silver.RECEIPT_ADJUSTMENT)
NO_DISCOUNTS = ("SURCHARGE", "ROUNDING")  # adjustments that no discount of a line contains
_CENTS = "DECIMAL(18,2)"
_OTHER = {"net_amount": "tax_amount", "tax_amount": "net_amount"}


def of_receipts(
    store: Store, receipts: DataFrame, lines: DataFrame, read: Callable[[Table], DataFrame]
) -> dict[Table, DataFrame]:
    """The facts of receipts (silver.receipt) and their lines; ``read`` gives what is told beside these receipts."""

    def told(table: Table) -> DataFrame | None:
        return read(table) if store.version(table)[1] else None

    found = {
        gold.FCT_TAX: to_fct_taxes(lines, receipts, told(silver.RECEIPT_LINE_TAX)),
        gold.FCT_DISCOUNT: to_fct_discounts(lines, receipts, told(silver.RECEIPT_ADJUSTMENT)),
    }
    if store.version(silver.RECEIPT_PAYMENT)[1] or store.version(gold.FCT_PAYMENT)[1]:
        found[gold.FCT_PAYMENT] = to_fct_payments(read(silver.RECEIPT_PAYMENT), receipts)
    return {table: store.keep(rows) for table, rows in found.items()}


def identities(published: Mapping[Table, DataFrame], valid: DataFrame, payments: DataFrame) -> list[Identity]:
    """What must hold between these facts, the receipts that they belong to (``valid``) and payments of silver."""
    delivered = payments.join(valid.select("receipt_key"), on="receipt_key", how="left_semi")
    sides = {
        "discounts of receipts": (published[gold.FCT_RECEIPT], "discount_amount"),
        "discounts": (published[gold.FCT_DISCOUNT], "receipt_discount_amount"),
        "payments delivered": (delivered, "amount"),
        "payments": (published.get(gold.FCT_PAYMENT, delivered), "amount"),
    }
    sums = [
        rows.agg(F.lit(side).alias("side"), F.sum(amount).cast("DECIMAL(38,2)").alias("amount"))
        for side, (rows, amount) in sides.items()
    ]
    found = {row["side"]: row["amount"] for row in union(sums).collect()}
    return [
        Identity("fct_discount: discounts of fct_receipt", found["discounts of receipts"], found["discounts"]),
        Identity("fct_payment: payments of silver", found["payments delivered"], found["payments"]),
    ]


def to_fct_payments(payments: DataFrame, receipts: DataFrame) -> DataFrame:
    """One row per payment of a valid receipt, on the receipt's branch and day, whatever document tells it.

    Payments are numbered anew: two documents may each tell a first payment of the same receipt.
    """
    own = payments.withColumnsRenamed({"business_date": "paid_on", "payment_number": "_told_number"}).drop(
        "branch_id", "currency", "_month"
    )
    content = ("tender_type", "amount", "tendered_amount", "change_amount", "tip_amount", "foreign_currency", "foreign_amount")
    order = Window.partitionBy("receipt_key").orderBy("paid_on", "_document_key", "_told_number", *content, "source")
    numbered = _of_valid(own, receipts).withColumn("payment_number", F.row_number().over(order))
    return FCT_PAYMENT.conform(numbered)


def to_fct_taxes(lines: DataFrame, receipts: DataFrame, taxes: DataFrame | None = None) -> DataFrame:
    """One row per valid receipt, tax code and rate.

    Taxes count as they are told. A line of which none is told counts with its own net amount and VAT, without a rate, unless
    the receipt tells its taxes as a whole. Lines that say nothing of VAT keep their gross amount, so that it stays that of the
    receipt. ``lines``: silver.receipt_line, of which those of a set that only explain it have no amount of their own.
    """
    gross = F.col("gross_amount")
    net, tax = (F.coalesce(F.col(name), gross - F.col(other)) for name, other in _OTHER.items())
    own = lines.where("line_type <> 'COMPONENT'").select(
        "receipt_key",
        "line_number",
        F.when(net.isNotNull(), "line").otherwise("nothing").alias("told_by"),
        F.lit(None).cast("string").alias("tax_code"),
        F.lit(None).cast("DECIMAL(9,5)").alias("tax_rate"),
        net.alias("net_amount"),
        tax.alias("tax_amount"),
        gross.alias("gross_amount"),
    )
    if taxes is not None:
        told = taxes.withColumn("told_by", F.lit("tax")).select(*own.columns)
        line = Window.partitionBy("receipt_key", "line_number")
        is_told = F.col("told_by") == "tax"
        both = (
            told.unionByName(own)
            .repartition("receipt_key")
            .withColumns(
                {
                    "_is_told_whole": F.max(is_told & (F.col("line_number") == 0)).over(Window.partitionBy("receipt_key")),
                    "_is_told_of_line": F.max(is_told).over(line),
                }
            )
        )
        own = both.where(is_told | ~(F.col("_is_told_whole") | F.col("_is_told_of_line")))
    grain = ("receipt_key", "told_by", "tax_code", "tax_rate")
    sums = own.groupBy(*grain).agg(*(_whole_sum(name).alias(name) for name in ("net_amount", "tax_amount", "gross_amount")))
    order = Window.partitionBy("receipt_key").orderBy(F.desc("told_by"), "tax_code", "tax_rate")
    return FCT_TAX.conform(_of_valid(sums, receipts).withColumn("tax_number", F.row_number().over(order)))


def _whole_sum(amount: str) -> Column:
    """The sum, unless one of the rows does not tell its part."""
    return F.when(F.count(amount) == F.count("*"), F.sum(amount)).cast(_CENTS)


def to_fct_discounts(lines: DataFrame, receipts: DataFrame, adjustments: DataFrame | None = None) -> DataFrame:
    """Everything that lowers the prices of valid receipts, once.

    Lines contain discounts, and tills that tell more explain them by adjustments. Where a line's discount is explained, the
    adjustments stand for it, and what they leave unexplained is a row of its own. ``receipt_discount_amount`` is what the lines
    contain: it adds up to ``discount_amount`` of gold.fct_receipt. An adjustment of a line that contains no discount has none of
    it. ``lines``: silver.receipt_line; ``adjustments``: silver.receipt_adjustment, where there are any.
    """
    contained = to_contained_discounts(lines)
    rows = contained if adjustments is None else with_explanations(contained, adjustments)
    return FCT_DISCOUNT.conform(_of_valid(rows, receipts))


def to_contained_discounts(lines: DataFrame) -> DataFrame:
    """Lines that are a discount or contain one, as rows of the fact. A discount line lowers its parent, else the receipt."""
    is_discount = F.col("line_type") == "DISCOUNT"
    amount = F.when(is_discount, -F.col("gross_amount")).otherwise(F.col("discount_amount")).cast(_CENTS)
    lowered = F.when(is_discount, F.col("parent_line_number")).otherwise(F.col("line_number"))
    return lines.where(F.col("line_type").isin(*REVENUE_LINE_TYPES) & (amount != 0)).select(
        "receipt_key",
        F.lit("line").alias("told_by"),
        F.col("line_number").alias("discount_number"),
        F.when(lowered.isNull(), "receipt").otherwise("line").alias("level"),
        lowered.alias("line_number"),
        F.lit("DISCOUNT").alias("discount_type"),
        F.lit(None).cast("string").alias("reason"),
        F.lit(None).cast("string").alias("promotion_id"),
        amount.alias("discount_amount"),
        amount.alias("receipt_discount_amount"),
    )


def with_explanations(contained: DataFrame, adjustments: DataFrame) -> DataFrame:
    """Discounts that lines contain, put together with the adjustments that explain them.

    An adjustment of a line explains what that line contains and the discount lines below it. One of the whole receipt explains
    the discount lines on the whole receipt; where there are none, whatever no adjustment of a line explains.
    """
    told = adjustments.select(
        "receipt_key",
        F.lit("adjustment").alias("told_by"),
        F.col("adjustment_number").alias("discount_number"),
        "level",
        "line_number",
        F.col("adjustment_type").alias("discount_type"),
        "reason",
        "promotion_id",
        (-F.col("amount")).cast(_CENTS).alias("discount_amount"),
        F.lit(0).cast(_CENTS).alias("receipt_discount_amount"),
    )
    both = told.unionByName(contained).repartition("receipt_key").transform(_with_groups)
    is_contained = F.col("told_by") == "line"
    group = Window.partitionBy("receipt_key", "_group")
    summed = both.withColumns(
        {
            "_explained": F.sum(F.when(F.col("_explains"), F.col("discount_amount"))).over(group),
            "_contained": F.sum(F.when(is_contained, F.col("discount_amount"))).over(group),
            "_first": F.min(F.when(is_contained, F.col("discount_number"))).over(group),
        }
    )
    is_rest = is_contained & F.col("_group").isNotNull()
    rest = (F.col("_contained") - F.col("_explained")).cast(_CENTS)
    is_in_receipt = F.col("_explains") & F.col("_contained").isNotNull()
    kept = summed.where(~is_rest | (F.col("discount_number") == F.col("_first")) & (rest != 0))
    return kept.withColumns(
        {
            "level": F.when(is_rest, F.when(F.col("_group") == 0, "receipt").otherwise("line")).otherwise(F.col("level")),
            "line_number": F.when(is_rest, F.nullif("_group", F.lit(0))).otherwise(F.col("line_number")),
            "discount_amount": F.when(is_rest, rest).otherwise(F.col("discount_amount")),
            "receipt_discount_amount": F.when(is_rest, rest)
            .when(is_in_receipt, F.col("discount_amount"))
            .otherwise(F.col("receipt_discount_amount")),
        }
    ).select(*told.columns)


def _with_groups(rows: DataFrame) -> DataFrame:
    """Which adjustments (``_explains``) and contained discounts belong together: ``_group``, a line or 0 for the receipt.

    A discount that nothing explains has none.
    """
    is_contained = F.col("told_by") == "line"
    told_in = F.when(is_contained, F.col("discount_number")).otherwise(F.col("line_number"))
    lowered = F.when(is_contained, F.coalesce("line_number", "discount_number"))
    receipt, line, root = (Window.partitionBy("receipt_key", *names) for names in ([], ["_told_in"], ["_root"]))
    placed = rows.withColumns(
        {"_told_in": told_in, "_explains": ~is_contained & ~F.col("discount_type").isin(*NO_DISCOUNTS)}
    ).withColumn("_root", F.coalesce(F.max(lowered).over(line), "line_number", F.lit(0)))
    is_of_receipt = F.col("_root") == 0
    is_loose = is_contained & (F.col("level") == "receipt")
    marked = placed.withColumns(
        {
            "_of_line": F.max(F.col("_explains") & ~is_of_receipt).over(root),
            "_of_receipt": F.max(F.col("_explains") & is_of_receipt).over(receipt),
            "_has_loose": F.max(is_loose).over(receipt),
        }
    )
    is_of_whole = F.col("_of_receipt") & (is_loose | ~F.col("_has_loose"))
    group = F.when(F.col("_explains") | (is_contained & F.col("_of_line")), F.col("_root"))
    return marked.withColumn("_group", group.when(is_contained & is_of_whole, 0))


def _of_valid(rows: DataFrame, receipts: DataFrame) -> DataFrame:
    """Rows of valid receipts, with the branch, day and currency of the receipt."""
    valid = receipts.where(VALID).select("receipt_key", "branch_id", "business_date", "currency")
    return rows.join(valid, on="receipt_key", how="inner")
