"""Product groups as members beside the products: what totals per category, and lines without a product, belong to."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.gold.history import member_key
from tillhouse.products.lookup import system_of
from tillhouse.products.rules import ProductRules

LEVELS = ("category_l1", "category_l2", "category_l3")


def group_id() -> Column:
    """Id of the member that stands for a product group."""
    return F.concat(F.lit("group:"), F.concat_ws("/", *(F.coalesce(level, F.lit("")) for level in LEVELS)))


def has_only_group() -> Column:
    """A line that names a category and no product."""
    return F.col("product_ref").isNull() & F.col("category_ref").isNotNull()


def to_group_members(categories: DataFrame) -> DataFrame:
    """One member for each product group of the chain that a category of a source stands for. ``categories``: silver.category."""
    groups = categories.select(*LEVELS).distinct()
    return groups.withColumns(
        {
            "product_id": group_id(),
            "product_name": F.coalesce("category_l3", "category_l2", "category_l1"),
            "is_bundle": F.lit(False),
            "is_group": F.lit(True),
        }
    )


def with_group_keys(lines: DataFrame, categories: DataFrame, rules: ProductRules) -> DataFrame:
    """The key of the product group for lines without a product (``product_key``); one whose category is unknown has none."""
    groups = categories.select("system", F.col("category_ref").alias("_category"), group_id().alias("_group_id"))
    is_same = (system_of(rules) == F.col("system")) & (F.col("category_ref") == F.col("_category")) & has_only_group()
    joined = lines.join(F.broadcast(groups), on=is_same, how="left")
    return joined.withColumn("product_key", F.coalesce("product_key", F.when(has_only_group(), member_key("_group_id"))))
