"""Who has bought, on which days, and what figures about them are told by."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.insight.figures import MONEY, day, member

_VISIT = (
    "customer_id", "customer_key", "receipt_key", "branch_id", "branch_key", "business_date", "started_at", "currency",
    "is_basket", "revenue_amount", "return_amount",
)  # fmt: skip


def to_visits(receipts: DataFrame, *, as_of: date) -> DataFrame:
    """The receipts of identified customers before ``as_of``; those with ``is_basket`` are purchases.

    ``receipts``: gold.fct_receipt. Anonymous and unclear receipts are in no figure of a customer. The rows of a customer lie
    together, so that what is counted by customer is not moved again.
    """
    identified = receipts.where("customer_status = 'identified' AND customer_id IS NOT NULL")
    return identified.where(F.col("business_date") < day(as_of)).select(*_VISIT).repartition("customer_id")


def to_purchase_days(visits: DataFrame) -> DataFrame:
    """KPI 12: one row per customer and trading day with a purchase, and the days until the next such day.

    ``branch_id`` is that of the day's last purchase, by ``started_at`` and ``receipt_key``; ``gap_days`` is NULL while the gap is
    open: nothing has been bought after this day.
    """
    days = visits.where("is_basket").groupBy("customer_id", "business_date").agg(
        F.max_by("branch_id", F.struct("started_at", "receipt_key")).alias("branch_id")
    )  # fmt: skip
    following = F.lead("business_date").over(Window.partitionBy("customer_id").orderBy("business_date"))
    return days.withColumn("next_date", following).withColumn("gap_days", F.date_diff("next_date", "business_date"))


def to_buyers(
    visits: DataFrame, days: DataFrame, products_bought: DataFrame, branches: DataFrame, customers: DataFrame,
    *, segments: DataFrame | None = None,
) -> DataFrame:  # fmt: skip
    """One row per customer with a purchase: first and second day, counts, money, and ``members``, what they are told by.

    ``products_bought``: see ``to_first_products``; ``branches``, ``customers``: gold.dim_branch and dim_customer, of which the
    versions of the first purchase count; ``segments``: rows of gold.segment_member of one day, none where there are none. Money
    is in the currency of the customer's most purchases (tie: the first by name); amounts of others are not added.
    """
    counted = days.groupBy("customer_id").agg(
        F.count("*").alias("purchase_dates"),
        F.min("next_date").alias("second_date"),
        F.sum("gap_days").alias("gap_days"),
        F.percentile("gap_days", 0.5).alias("median_gap_days"),
    )
    regions = F.broadcast(branches.select("branch_key", "region"))
    types = customers.select("customer_key", "customer_type")
    rows = (
        to_first_purchases(visits)
        .join(counted, on="customer_id", how="inner")
        .join(products_bought, on="customer_id", how="left")
        .join(regions, on="branch_key", how="left")
        .join(types, on="customer_key", how="left")
    )
    told = [
        member("all", F.lit("all")),
        *(member(name, F.col(name)) for name in ("region", "customer_type", "product_line", "category", "currency")),
        member("branch", F.col("branch_id")),
    ]
    members = F.array(*told)
    if segments is not None:
        rows = rows.join(to_named_segments(segments, "customer_id"), on="customer_id", how="left")
        members = F.concat(members, as_members("segments"))
    return rows.withColumn("members", members).select(
        "customer_id", "first_date", "second_date", "purchases", "purchase_dates", "gap_days", "median_gap_days", "currency",
        "currency_purchases", "revenue", "sales", "members",
    )  # fmt: skip


def to_first_purchases(visits: DataFrame) -> DataFrame:
    """One row per customer with a purchase: the first one, their number, and money in the currency of the most of them.

    The first is that of the earliest ``business_date``, then ``started_at``, then ``receipt_key``.
    """
    first = F.struct("business_date", "started_at", "receipt_key", "branch_id", "branch_key", "customer_key")
    by_currency = visits.groupBy("customer_id", "currency").agg(
        F.min(F.when(F.col("is_basket"), first)).alias("_first"),
        F.count_if("is_basket").alias("_purchases"),
        F.sum("revenue_amount").cast(MONEY).alias("revenue"),
        F.sum(F.when(F.col("is_basket"), F.col("revenue_amount") + F.col("return_amount"))).cast(MONEY).alias("sales"),
    )
    most = F.struct((-F.col("_purchases")).alias("_order"), "currency", "_purchases", "revenue", "sales")
    one = by_currency.groupBy("customer_id").agg(
        F.min("_first").alias("_first"), F.sum("_purchases").alias("purchases"), F.min(most).alias("_most")
    )
    return one.where("_first IS NOT NULL").select(
        "customer_id",
        "purchases",
        F.col("_first.business_date").alias("first_date"),
        *(f"_first.{name}" for name in ("receipt_key", "branch_id", "branch_key", "customer_key")),
        F.col("_most._purchases").alias("currency_purchases"),
        *(f"_most.{name}" for name in ("currency", "revenue", "sales")),
    )


def to_first_products(visits: DataFrame, lines: DataFrame, products: DataFrame) -> DataFrame:
    """Product line and category (level 1) with the most revenue in each customer's first purchase; tie: the first by name.

    ``lines``: gold.fct_sale_line; ``products``: gold.dim_product. Lines of products without the one or the other are left out of
    it, and customers without any such line are not listed.
    """
    firsts = to_first_purchases(visits).select("customer_id", "receipt_key")
    sold = lines.where("is_revenue AND NOT is_return AND NOT is_voided").select("receipt_key", "product_key", "gross_amount")
    named = products.select("product_key", "product_line", F.col("category_l1").alias("category"))
    bought = sold.join(firsts, on="receipt_key", how="inner").join(named, on="product_key", how="inner")
    both = [F.struct(F.lit(name).alias("dimension"), F.col(name).alias("member")) for name in ("product_line", "category")]
    told = bought.select("customer_id", "gross_amount", F.inline(F.array(*both))).where("member IS NOT NULL")
    sums = told.groupBy("customer_id", "dimension", "member").agg((-F.sum("gross_amount")).alias("_order"))

    def most(dimension: str) -> Column:
        return F.min(F.when(F.col("dimension") == dimension, F.struct("_order", "member")))["member"].alias(dimension)

    return sums.groupBy("customer_id").agg(most("product_line"), most("category"))


def to_named_segments(members: DataFrame, *keys: str) -> DataFrame:
    """``segments``: the names of all segments, ``rule set: segment``, by keys. ``members``: gold.segment_member."""
    name = F.concat_ws(": ", "rule_set", "segment")
    return members.groupBy(*keys).agg(F.collect_set(name).alias("segments"))


def as_members(segments: str) -> Column:
    """Names of segments as what a row is told by; NULL is none."""
    names = F.coalesce(F.col(segments), F.array().cast("ARRAY<STRING>"))
    return F.transform(names, lambda name: member("segment", name))
