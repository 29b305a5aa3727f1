"""What is wrong between receipt lines and master data of products, and inside of that master data: listed, never mended."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.products import lookup
from tillhouse.products.bundles import not_divided
from tillhouse.products.rules import Bundles, ChannelPrices, ProductRules, ReusedNumbers
from tillhouse.quality.rules import REJECTED
from tillhouse.silver.exceptions import PRODUCT_UNKNOWN, to_found
from tillhouse.tables.entities import CATEGORY

AMBIGUOUS, CATEGORY_UNKNOWN, REUSED = "product_ambiguous", "category_unknown", "product_number_reused"
VARIANT_CIRCLE, VARIANT_UNKNOWN = "variant_circle", "variant_parent_unknown"
NOT_DIVIDED, PRICES_DIFFER = "bundle_not_divided", "price_differs_between_channels"
PRODUCT_GROUP = "product_group"
OF_LINES = (PRODUCT_UNKNOWN, AMBIGUOUS)
OF_MASTER = (CATEGORY_UNKNOWN, REUSED, VARIANT_CIRCLE, VARIANT_UNKNOWN)
LEVELS = ("category_l1", "category_l2", "category_l3")
_MONEY = "DECIMAL(18,2)"


def is_of_record() -> Column:
    """Exceptions of single records of products, as opposed to what is wrong between them or with lines."""
    return (F.col("entity") == "product") & ~F.col("rule").isin(*OF_LINES, *OF_MASTER, NOT_DIVIDED)


def is_of_master() -> Column:
    """Exceptions between records of products."""
    return (F.col("entity") == "product") & F.col("rule").isin(*OF_MASTER)


def of_looked_up(lines: DataFrame, references: DataFrame | None, products: DataFrame, rules: ProductRules) -> DataFrame:
    """What lines call a product and no lookup finds, or finds several of on the line's day: once each, with the amount."""
    resolved = lookup.with_products(lines.where(lookup.is_looked_up(rules)), references, products, rules)
    wrong = resolved.where(F.col("_lookup") != lookup.FOUND)
    rule = F.when(F.col("_lookup") == lookup.AMBIGUOUS, AMBIGUOUS).otherwise(PRODUCT_UNKNOWN)
    return _of_names(wrong, rule, "product", F.coalesce("product_ref", "gtin"), "product_ref")


def of_categories(lines: DataFrame, categories: DataFrame | None, rules: ProductRules) -> DataFrame:
    """Categories that lines without a product name and that stand for no product group: once each, with the amount.

    ``categories``: silver.category, one row for each system and category, where there is one.
    """
    named = lines.where(has_only_category()).withColumn("_system", lookup.system_of(rules))
    if categories is not None:
        known = categories.select(F.col("system").alias("_system"), "category_ref")
        named = named.join(F.broadcast(known), on=["_system", "category_ref"], how="left_anti")
    return _of_names(named, F.lit(CATEGORY_UNKNOWN), PRODUCT_GROUP, F.col("category_ref"), "category_ref")


def has_only_category() -> Column:
    """A line of goods that names a category and no product."""
    return F.expr("product_ref IS NULL AND category_ref IS NOT NULL AND line_type IN ('ITEM', 'CATEGORY')")


def _of_names(lines: DataFrame, rule: Column, entity: str, name: Column, field: str) -> DataFrame:
    grouped = lines.groupBy("source", rule.alias("rule"), name.alias("value")).agg(
        F.sum("gross_amount").cast(_MONEY).alias("amount"),
        F.min("currency").alias("currency"),
        F.min(F.struct("_file", "_row")).alias("_first"),
    )
    named = grouped.withColumn("record_key", F.concat_ws(":", "source", "value"))
    return to_found(named.select("*", "_first.*"), entity, field)


def with_product_groups(products: DataFrame, categories: DataFrame | None, rules: ProductRules) -> tuple[DataFrame, DataFrame]:
    """Products with the product group that their ``category_ref`` stands for, and those whose category stands for none.

    These keep what was delivered of their product group.
    """
    named = products.withColumn("_system", lookup.system_of(rules))
    if categories is None:
        categories = products.sparkSession.createDataFrame([], CATEGORY.struct)
    known = categories.select(
        F.col("system").alias("_system"), "category_ref", *(F.col(level).alias(f"_{level}") for level in LEVELS)
    )
    found = named.join(F.broadcast(known), on=["_system", "category_ref"], how="left")
    is_known = F.col("_category_l1").isNotNull()
    groups = {level: F.when(is_known, F.col(f"_{level}")).otherwise(F.col(level)) for level in LEVELS}
    wrong = found.where(F.col("category_ref").isNotNull() & ~is_known)
    told = wrong.withColumns({"rule": F.lit(CATEGORY_UNKNOWN), "record_key": F.col("product_id"), "value": F.col("category_ref")})
    return found.withColumns(groups).select(products.columns), to_found(told, "product", "category_ref")


def tops(parents: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """The product at the top of each variant's chain, and the variants that lead round in a circle (they are their own top)."""
    found: dict[str, str] = {}
    circling: set[str] = set()
    for variant in parents:
        path, at = [variant], parents[variant]
        while at in parents and at not in found and at not in circling and at not in path:
            path.append(at)
            at = parents[at]
        if at in path or at in circling:
            circling.update(path)
        else:
            found.update(dict.fromkeys(path, found.get(at, at)))
    return found | {variant: variant for variant in circling}, circling


def with_parents(products: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Products with the one at the top of their variants (``parent_product_id``), and what is wrong with these chains."""
    rows = products.where("variant_of <> product_id").select("product_id", "variant_of").collect()
    found, circling = tops({row["product_id"]: row["variant_of"] for row in rows})
    judged = [(variant, top, variant in circling) for variant, top in found.items()]
    frame = products.sparkSession.createDataFrame(judged, "product_id STRING, _top STRING, _is_circling BOOLEAN")
    joined = products.join(F.broadcast(frame), on="product_id", how="left")
    known = products.select(F.col("product_id").alias("variant_of"), F.lit(True).alias("_is_known"))
    wrong = joined.where("_top IS NOT NULL").join(known, on="variant_of", how="left").where("_is_circling OR _is_known IS NULL")
    rule = F.when(F.col("_is_circling"), VARIANT_CIRCLE).otherwise(VARIANT_UNKNOWN)
    told = wrong.withColumns({"rule": rule, "record_key": F.col("product_id"), "value": F.col("variant_of")})
    topped = joined.withColumn("parent_product_id", F.coalesce("_top", "product_id"))
    return topped.drop("_top", "_is_circling"), to_found(told, "product", "variant_of")


def of_bundles(products: DataFrame, components: DataFrame, rules: Bundles) -> DataFrame:
    """Sets that stay one line although they are to be divided. ``components``: silver.bundle_component."""
    missing = not_divided(components, products, rules)
    told = missing.withColumns({"rule": F.lit(NOT_DIVIDED), "record_key": F.col("product_id"), "value": F.col("product_id")})
    return to_found(told, "product", "bundle_id")


def of_reused_numbers(records: DataFrame, rules: ReusedNumbers) -> DataFrame:
    """Product numbers whose name, and whose product group or price, have become others at once: perhaps another article.

    ``records``: every delivered version; two that follow each other are compared.
    """
    order = Window.partitionBy("product_id").orderBy(F.col("version_at").asc_nulls_first(), "_file", "_row")
    names = ("product_name", "group", "list_price")
    before = {f"_old_{name}": F.lag(name).over(order) for name in names}
    sound = records.where(~F.col(REJECTED)).withColumn("group", F.coalesce("category_l1", "category_ref"))
    compared = sound.withColumns(before).where("product_name <> _old_product_name")
    old, new = F.lower("_old_product_name"), F.lower("product_name")
    similarity = 1 - F.levenshtein(old, new) / F.greatest(F.length(old), F.length(new))
    jump = F.abs(F.col("list_price") - F.col("_old_list_price")) > F.col("_old_list_price") * F.lit(rules.price_change_above)
    has_changed = F.coalesce(F.col("group") != F.col("_old_group"), F.lit(False)) | F.coalesce(jump, F.lit(False))
    reused = lookup.newest(compared.where((similarity < rules.name_similarity_below) & has_changed), ("product_id", "version_at"))
    sides = [F.concat_ws(", ", *(f"{side}{name}" for name in names)) for side in ("_old_", "")]
    since = F.date_format("version_at", "yyyy-MM-dd HH:mm:ss")
    told = reused.withColumns(
        {"rule": F.lit(REUSED), "record_key": F.concat_ws(" since ", "product_id", since), "value": F.concat_ws(" -> ", *sides)}
    )
    return to_found(told, "product", "product_name")


def to_prices(prices: DataFrame) -> DataFrame:
    """Prices with the days on which they hold. ``prices``: silver.price_list."""
    key = ("product_id", "branch_id", "channel", "currency", "includes_tax")
    held = lookup.in_force(prices, key)
    return held.select(
        "product_id",
        "branch_id",
        F.coalesce("channel", F.lit("all channels")).alias("channel"),
        "currency",
        F.coalesce("includes_tax", F.lit(True)).alias("includes_tax"),
        *("price", "_from", "_to", "source", "_file", "_row"),
    )


def of_prices(prices: DataFrame, rules: ChannelPrices) -> DataFrame:
    """Products that cost more in one channel than in another at the same time and place, by more than the rules allow.

    Of each two channels the newest days count on which both have a price. ``prices``: silver.price_list.
    """
    held = to_prices(prices)
    one, other = held.alias("one"), held.alias("other")
    is_same = [F.col(f"one.{name}").eqNullSafe(F.col(f"other.{name}")) for name in ("product_id", "currency", "includes_tax")]
    is_near = F.coalesce(F.col("one.branch_id") == F.col("other.branch_id"), F.lit(True))
    first, after = F.greatest("one._from", "other._from"), F.least("one._to", "other._to")
    overlap = F.coalesce(first < after, F.lit(True)) & (F.col("one.channel") < F.col("other.channel")) & is_near
    pairs = one.join(other, on=reduce(lambda left, right: left & right, is_same) & overlap, how="inner").select(
        F.col("one.product_id").alias("product_id"),
        F.coalesce("one.branch_id", "other.branch_id").alias("branch_id"),
        F.col("one.currency").alias("currency"),
        F.col("one.source").alias("source"),
        F.col("one._file").alias("_file"),
        F.col("one._row").alias("_row"),
        first.alias("_first"),
        *(F.col(f"{side}.{name}").alias(f"_{side}_{name}") for side in ("one", "other") for name in ("channel", "price")),
    )
    pair = ("product_id", "branch_id", "currency", "_one_channel", "_other_channel")
    latest = Window.partitionBy(*pair).orderBy(F.col("_first").desc_nulls_last(), "_one_price", "_other_price")
    newest = pairs.withColumn("_rank", F.row_number().over(latest)).where("_rank = 1")
    difference = F.col("_other_price") - F.col("_one_price")
    allowed = F.greatest(F.lit(rules.above_amount), F.least("_one_price", "_other_price") * F.lit(rules.above_share))
    where = F.coalesce("branch_id", F.lit("all branches"))
    told = newest.where(F.abs(difference) > allowed).withColumns(
        {
            "rule": F.lit(PRICES_DIFFER),
            "record_key": F.concat_ws("/", "product_id", where, "_one_channel", "_other_channel"),
            "value": F.concat_ws(" ", "_one_channel", "_one_price", F.lit("and"), "_other_channel", "_other_price"),
            "amount": difference.cast(_MONEY),
            "_scope": F.col("product_id"),
        }
    )
    return to_found(told, "price", "price")
