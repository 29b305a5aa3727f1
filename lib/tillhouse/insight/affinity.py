"""gold.product_affinity: what is bought together (KPI 18)."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.insight.figures import day, ratio
from tillhouse.insight.rules import Affinity
from tillhouse.tables.gold_repurchase import PRODUCT_AFFINITY
from tillhouse.tables.line_parts import IS_SOLD

MOST_PRODUCTS = 1000  # of one purchase whose pairs are counted, the most frequent ones: 499,500 pairs at most


def to_product_affinity(receipts: DataFrame, lines: DataFrame, products: DataFrame, rules: Affinity, *, as_of: date) -> DataFrame:
    """KPI 18: pairs of frequent products with support, confidence and lift over the purchases of the window before ``as_of``.

    ``receipts``: gold.fct_receipt, those without customer too; ``lines``: gold.fct_sale_line; ``products``: gold.dim_product.
    Products are counted first; pairs are made of those with at least ``minimum_baskets`` purchases, and told from
    ``minimum_pairs`` on (frequent sets: Agrawal and Srikant, 1994). Of a purchase with more than MOST_PRODUCTS frequent products
    the pairs of its most frequent ones are counted, so that one order of a wholesaler does not make millions of pairs.
    """
    inside = F.col("business_date").between(F.lit(as_of - timedelta(days=rules.window_days)), F.lit(as_of - timedelta(days=1)))
    baskets = receipts.where("is_basket").where(inside).select("receipt_key")
    items = to_items(baskets, lines.where(inside), products, rules)
    frequent = to_frequent(items, rules.minimum_baskets)
    pairs = to_pairs(items, frequent).where(F.col("receipts_both") >= rules.minimum_pairs)
    named = [
        frequent.select(
            F.col("number").alias(f"_{side}"),
            F.col("product").alias(f"_product_{side}"),
            F.col("receipts").alias(f"_count_{side}"),
        )
        for side in ("one", "other")
    ]
    every = baskets.agg(F.count("*").alias("receipts_all"))
    rows = (
        pairs.join(F.broadcast(named[0]), on="_one", how="inner")
        .join(F.broadcast(named[1]), on="_other", how="inner")
        .crossJoin(F.broadcast(every))
    )
    is_sorted = F.col("_product_one") < F.col("_product_other")

    def side(first: str, second: str) -> Column:
        return F.when(is_sorted, F.col(first)).otherwise(F.col(second))

    told = rows.withColumns(
        {
            "as_of": day(as_of),
            "level": F.lit(rules.level),
            "product_a": side("_product_one", "_product_other"),
            "product_b": side("_product_other", "_product_one"),
            "receipts_a": side("_count_one", "_count_other"),
            "receipts_b": side("_count_other", "_count_one"),
        }
    )
    either = F.col("receipts_a").cast("DECIMAL(20,0)") * F.col("receipts_b")
    together = F.col("receipts_both").cast("DECIMAL(20,0)") * F.col("receipts_all")
    return PRODUCT_AFFINITY.conform(
        told.withColumns(
            {
                "support": ratio("receipts_both", "receipts_all"),
                "confidence": ratio("receipts_both", "receipts_a"),
                "confidence_back": ratio("receipts_both", "receipts_b"),
                "lift": ratio(together, either),
            }
        )
    )


def to_items(baskets: DataFrame, lines: DataFrame, products: DataFrame, rules: Affinity) -> DataFrame:
    """One row per purchase and distinct product, or product group, sold in it (receipt_key, product).

    The components of a set are left out: the set is what was chosen. So is what has no name on that level. The items of a
    purchase lie together, so that its distinct ones and its pairs are found where they are.
    """
    sold = lines.where(IS_SOLD).where("bundle_role IS NULL OR bundle_role <> 'component'")
    if rules.level == "product_id":
        named = sold.withColumn("product", F.col("product_id"))
    else:
        groups = products.select("product_key", F.col(rules.level).alias("product"))
        named = sold.join(groups, on="product_key", how="inner")
    told = named.where("product IS NOT NULL").select("receipt_key", "product").repartition("receipt_key")
    return told.join(baskets, on="receipt_key", how="left_semi").distinct()


def to_frequent(items: DataFrame, minimum: int) -> DataFrame:
    """The products of at least so many purchases, numbered from the most frequent one on; tie: the first by name."""
    counted = items.groupBy("product").agg(F.count("*").alias("receipts")).where(F.col("receipts") >= minimum)
    order = Window.orderBy(F.col("receipts").desc(), "product")
    return counted.withColumn("number", F.row_number().over(order))


def to_pairs(items: DataFrame, frequent: DataFrame) -> DataFrame:
    """How many purchases have both products of a pair, by their numbers."""
    numbered = items.join(F.broadcast(frequent.select("product", "number")), on="product", how="inner")
    baskets = numbered.groupBy("receipt_key").agg(F.slice(F.sort_array(F.collect_list("number")), 1, MOST_PRODUCTS).alias("_all"))
    several = baskets.where(F.size("_all") > 1)
    ones = several.select("_all", F.posexplode("_all").alias("_place", "_one"))
    others = F.slice("_all", F.col("_place") + 2, F.size("_all"))
    pairs = ones.select("_one", F.explode(others).alias("_other"))
    return pairs.groupBy("_one", "_other").agg(F.count("*").alias("receipts_both"))
