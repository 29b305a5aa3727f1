"""Dimensions: branch, product, customer and date."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from tillhouse.gold import history
from tillhouse.gold.history import CUSTOMER, member_key
from tillhouse.keys import BEGINNING
from tillhouse.tables.gold import DIM_BRANCH, DIM_CUSTOMER, DIM_DATE, DIM_PRODUCT


def _always() -> dict[str, Column]:
    """Validity of a member whose only known version holds since ever."""
    return {
        "valid_from": F.lit(BEGINNING),
        "valid_to": F.lit(None).cast("date"),
        "is_current": F.lit(True),
    }


def to_dim_branch(versions: DataFrame) -> DataFrame:
    """One row per branch and version. ``versions``: silver.branch_version."""
    return DIM_BRANCH.conform(history.with_validity(versions, history.BRANCH))


def to_dim_product(versions: DataFrame, sold: DataFrame, groups: DataFrame | None = None) -> DataFrame:
    """One row per product and version; a sold one (``product_ref``) without master data is a member too: no line is an orphan.

    ``versions``: silver.product_version; ``groups``: product groups, members for what is sold without a product.
    """
    sold = sold.where("product_ref IS NOT NULL").select(F.col("product_ref").alias("product_id")).distinct()
    unknown = sold.join(versions, on="product_id", how="left_anti")
    known = history.with_validity(versions, history.PRODUCT)
    known = known.withColumns({"is_known": F.lit(True), "is_group": F.lit(False)}).drop("source")
    nothing = {"is_known": F.lit(False), "is_group": F.lit(False), "is_bundle": F.lit(False)}
    others = unknown.withColumns(nothing)
    if groups is not None:
        others = others.unionByName(groups.withColumn("is_known", F.lit(True)), allowMissingColumns=True)
    keyed = {"product_key": member_key("product_id"), "parent_product_id": F.col("product_id")}
    return DIM_PRODUCT.conform(known.unionByName(others.withColumns({**keyed, **_always()}), allowMissingColumns=True))


def of_receipts(receipts: DataFrame, last: date | None = None) -> DataFrame:
    """What receipts tell of each customer that they name: home branch and first purchase. ``receipts``: gold.fct_receipt.

    ``last``: the last day on which any customer has bought, where these are the receipts of some customers only.
    """
    identified = receipts.where("customer_id IS NOT NULL")
    order = F.struct("business_date", "started_at", "receipt_key")
    first = identified.groupBy("customer_id").agg(F.min(F.when(F.col("is_basket"), order)).alias("_first"))
    return first.join(home_branches(identified, last), on="customer_id", how="left").select(
        "customer_id",
        "home_branch_id",
        F.col("_first.business_date").alias("first_purchase_date"),
        F.col("_first.receipt_key").alias("first_purchase_receipt_key"),
    )


def to_dim_customer(customers: DataFrame, bought: DataFrame, versions: DataFrame | None = None) -> DataFrame:
    """One row per customer and version. What receipts tell (``bought``) is of the present, and on each of the versions.

    ``customers`` (customer_id): all; ``versions``: of those that a contact tells of. Of the others nothing is known, since ever.
    """
    members = customers.join(bought, on="customer_id", how="left")
    if versions is None:
        named = ("customer_type", "company_id", "age_band", "postal_area", "country", "language", CUSTOMER.key)
        members = members.withColumns({name: F.lit(None).cast("string") for name in named} | _always())
    else:
        members = members.join(versions, on="customer_id", how="left")
        members = members.withColumns({name: F.coalesce(name, value) for name, value in _always().items()})
    known = {
        "customer_type": F.coalesce("customer_type", F.lit("B2C")),
        CUSTOMER.key: F.coalesce(CUSTOMER.key, member_key("customer_id")),
    }
    return DIM_CUSTOMER.conform(members.withColumns(known))


def home_branches(receipts: DataFrame, last: date | None = None) -> DataFrame:
    """The branch with the most purchases of the 12 months before the lake's last trading day; tie: the most recent.

    That day is the last on which any customer has bought: of ``receipts``, if it is not told.
    """
    baskets = receipts.where("is_basket")
    if last is None:
        found = baskets.agg(F.max("business_date").alias("_last"))
        recent = baskets.join(F.broadcast(found), on=F.col("business_date") > day_before_year(F.col("_last")), how="inner")
    else:
        recent = baskets.where(F.col("business_date") > day_before_year(F.lit(last)))
    counted = recent.groupBy("customer_id", "branch_id").agg(
        F.count("*").alias("_baskets"), F.max(F.struct("business_date", "started_at", "receipt_key")).alias("_latest")
    )
    best = Window.partitionBy("customer_id").orderBy(F.col("_baskets").desc(), F.col("_latest").desc(), "branch_id")
    ranked = counted.withColumn("_rank", F.row_number().over(best)).where("_rank = 1")
    return ranked.select("customer_id", F.col("branch_id").alias("home_branch_id"))


def day_before_year(last: Column) -> Column:
    """The day before the 12 months that end on a day; their purchases count for home branches."""
    return F.add_months(last, -12)


def to_dim_date(spark: SparkSession, first: date, last: date) -> DataFrame:
    """Every date of the calendar years from the first to the last trading day."""
    bounds = (date(first.year, 1, 1), date(last.year, 12, 31))
    days = spark.range(1).select(F.explode(F.sequence(F.lit(bounds[0]), F.lit(bounds[1]))).alias("date"))
    weekday = F.weekday("date") + 1
    thursday = F.date_add(F.date_sub("date", F.weekday("date")), 3)
    return DIM_DATE.conform(
        days.withColumns(
            {
                "iso_year": F.year(thursday),
                "iso_week": F.weekofyear("date"),
                "year_month": F.date_format("date", "yyyy-MM"),
                "quarter": F.quarter("date"),
                "year": F.year("date"),
                "weekday": weekday,
                "is_weekend": weekday >= 6,
            }
        )
    )
