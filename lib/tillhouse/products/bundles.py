"""What is in a set, and what each part of it is worth."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.products.lookup import in_force
from tillhouse.products.rules import BundleColumn, Bundles

WORTH = "DECIMAL(38,12)"


def is_exploded(rules: Bundles) -> Column:
    """Whether a set becomes lines of its components, asked of a product."""
    return ~_is_named(rules.keep) & (F.lit(rules.rule == "explode") | _is_named(rules.explode))


def _is_named(given: dict[BundleColumn, tuple[str, ...]]) -> Column:
    named = (F.coalesce(F.col(column).isin(*names), F.lit(False)) for column, names in given.items())
    return reduce(lambda left, right: left | right, named, F.lit(False))


def to_contents(components: DataFrame) -> DataFrame:
    """What is in each set, and when. ``components``: silver.bundle_component."""
    held = in_force(components, ("bundle_id",)).withColumn("quantity", F.coalesce("quantity", F.lit(1).cast("DECIMAL(18,3)")))
    return held.select("bundle_id", "product_id", "quantity", "list_price", "_from", "_to")


def to_shares(components: DataFrame, products: DataFrame, rules: Bundles) -> DataFrame:
    """One row per set that is to be exploded, with an array of what has ever been in it.

    A component weighs its list price times its quantity: the price told with the set, else that of the product. A set with a
    component without master data stays one line. ``components``: silver.bundle_component; ``products``: silver.product.
    """
    prices = products.select("product_id", F.col("list_price").alias("_own_price"), F.lit(True).alias("_is_known"))
    exploded = products.where(is_exploded(rules)).select(F.col("product_id").alias("bundle_id"))
    priced = (
        to_contents(components)
        .join(exploded, on="bundle_id", how="left_semi")
        .join(prices, on="product_id", how="left")
        .withColumn("_worth", (F.coalesce("list_price", "_own_price") * F.col("quantity")).cast(WORTH))
    )
    part = F.struct("product_id", "quantity", F.col("_worth").alias("worth"), "_from", "_to")
    gathered = priced.groupBy("bundle_id").agg(
        F.array_sort(F.collect_set(part)).alias("_parts"),
        F.min(F.coalesce("_is_known", F.lit(False)) & (F.col("quantity") > 0)).alias("_is_complete"),
    )
    return gathered.where("_is_complete").drop("_is_complete")


def not_divided(components: DataFrame, products: DataFrame, rules: Bundles) -> DataFrame:
    """Sets that should be exploded and are not, because their components or the components' master data are missing."""
    sets = components.select(F.col("bundle_id").alias("product_id")).distinct().withColumn("_has_parts", F.lit(True))
    asked = products.join(sets, on="product_id", how="left").where(is_exploded(rules)).where("is_bundle OR _has_parts")
    divided = to_shares(components, products, rules).select(F.col("bundle_id").alias("product_id"))
    return asked.join(divided, on="product_id", how="left_anti")
