"""Which product a line is of: what the till calls it, looked up in the cross-reference as it held on the line's trading day."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.products.rules import ProductRules

CATEGORY_KEY = ("system", "category_ref")
NAMES = ("source", "product_ref", "gtin")
FOUND, AMBIGUOUS, UNKNOWN = "found", "ambiguous", "unknown"
_HIT = ("product_id", "pack_factor", "_from", "_to")
_EVER = -1_000_000  # as a day: before every other


def canonical_gtin(gtin: Column | str) -> Column:
    """Codes of 8, 12, 13 and 14 digits that name the same article are the same with leading zeros."""
    code = F.col(gtin) if isinstance(gtin, str) else gtin
    return F.when(F.length(code) < 14, F.lpad(code, 14, "0")).otherwise(code)


def in_force(records: DataFrame, key: Sequence[str]) -> DataFrame:
    """Records with the first day on which each holds and the day after the last, from ``valid_from`` and ``valid_until``.

    Of what begins on one day the newest delivery counts. The next beginning of the same key ends what came before it, and so
    does the stated last day. Without a beginning a record holds since ever.
    """
    beginning = Window.partitionBy(*key, "valid_from")
    later = Window.partitionBy(*key).orderBy("_order").rangeBetween(1, Window.unboundedFollowing)
    ordered = records.withColumns(
        {
            "_newest": F.max("version_at").over(beginning),
            "_order": F.coalesce(F.unix_date("valid_from"), F.lit(_EVER)),
        }
    ).where("version_at <=> _newest")
    ends = F.least(F.date_add("valid_until", 1), F.min("valid_from").over(later))
    return ordered.withColumns({"_from": F.col("valid_from"), "_to": ends}).drop("_newest", "_order")


def to_references(records: DataFrame) -> DataFrame:
    """What is called how, and when: silver.product_reference with GTINs in one form and the days on which each row holds."""
    return in_force(_canonical(records), ("system", "kind", "value")).select("system", "kind", "value", *_HIT)


def differing(before: DataFrame, after: DataFrame) -> DataFrame:
    """Rows that are only in one of the two."""
    return before.exceptAll(after).union(after.exceptAll(before))


def newest(records: DataFrame, key: Sequence[str]) -> DataFrame:
    """The newest record of each key; ties go by source, file and row."""
    order = Window.partitionBy(*key).orderBy(F.col("version_at").desc_nulls_last(), "source", "_file", "_row")
    return records.withColumn("_rank", F.row_number().over(order)).where("_rank = 1").drop("_rank")


def holds_on(day: Column, first: Column, after: Column) -> Column:
    """Whether what holds from its ``first`` day until the day before ``after`` (NULL: no end) holds on a day."""
    return F.coalesce(first <= day, F.lit(True)) & F.coalesce(day < after, F.lit(True))


def system_of(rules: ProductRules, source: str = "source") -> Column:
    """The system that a source belongs to; its own name if nothing is said."""
    if not rules.systems:
        return F.col(source)
    named = F.create_map(*(F.lit(text) for pair in sorted(rules.systems.items()) for text in pair))
    return F.coalesce(F.try_element_at(named, F.col(source)), F.col(source))


def is_looked_up(rules: ProductRules) -> Column:
    """Whether a line's source has lookups of its own; elsewhere ``product_ref`` is the chain's product number."""
    return system_of(rules).isin(*rules.looks_up) if rules.looks_up else F.lit(False)


def name_of_line() -> Column:
    """What a product is called while nobody knows which it is: never a number of the chain."""
    return F.concat(F.col("source"), F.lit(":"), F.coalesce("product_ref", "gtin"))


def with_products(lines: DataFrame, references: DataFrame | None, products: DataFrame, rules: ProductRules) -> DataFrame:
    """Each line with its ``product_id``, how the lookup ended (``_lookup``, NULL without one) and the pieces of a pack.

    The first lookup of the declared order that finds something on the line's day counts; if it finds several products the
    search ends there. ``references``: silver.product_reference, where there is one; ``products``: silver.product.
    """
    hits = _hits(lines.where(is_looked_up(rules)).select(*NAMES).distinct(), references, products, rules)
    same = [F.col(name).eqNullSafe(F.col(f"_hit_{name}")) for name in NAMES]
    joined = lines.join(F.broadcast(hits), on=same, how="left").drop(*(f"_hit_{name}" for name in NAMES))
    day = F.col("business_date")
    valid = F.filter("_hits", lambda hit: holds_on(day, hit["_from"], hit["_to"]))
    best = F.filter("_valid", lambda hit: hit["_rank"] == F.array_min(F.transform("_valid", lambda other: other["_rank"])))
    found = F.array_distinct(F.transform("_best", lambda hit: F.struct(hit["product_id"], hit["pack_factor"])))
    count = F.coalesce(F.size("_found"), F.lit(0))
    has_name = F.col("product_ref").isNotNull() | F.col("gtin").isNotNull()
    state = F.when(is_looked_up(rules) & has_name, F.when(count == 1, FOUND).when(count > 1, AMBIGUOUS).otherwise(UNKNOWN))
    only = F.try_element_at("_found", F.lit(1))
    own_number = F.when((state == UNKNOWN) & _asks_for(rules, "product_id"), F.col("product_ref"))
    return (
        joined.withColumn("_valid", valid)
        .withColumn("_best", best)
        .withColumn("_found", found)
        .withColumns(
            {
                "_lookup": state,
                "product_id": F.when(state.isNull(), F.col("product_ref"))
                .when(state == FOUND, only["product_id"])
                .otherwise(F.coalesce(own_number, name_of_line())),
                "_pack_factor": F.when(state == FOUND, only["pack_factor"]),
            }
        )
        .drop("_hits", "_valid", "_best", "_found")
    )


def in_units_of_product(lines: DataFrame) -> DataFrame:
    """Lines of ``with_products`` under the chain's product number: a pack of six counts six pieces."""
    is_pack = F.coalesce(F.col("_pack_factor") != 1, F.lit(False))
    quantity = (F.col("quantity") * F.col("_pack_factor")).cast("DECIMAL(18,3)")
    return lines.withColumns(
        {
            "product_ref": F.col("product_id"),
            "quantity": F.when(is_pack, quantity).otherwise(F.col("quantity")),
            "unit": F.when(~is_pack, F.col("unit")),
        }
    ).drop("product_id", "_lookup", "_pack_factor")


def lines_of_values(lines: DataFrame, values: DataFrame, rules: ProductRules) -> DataFrame:
    """The looked-up lines whose product may be another one because of a changed reference. ``values``: kind, value."""
    is_gtin = F.col("kind") == "gtin"
    numbers = values.where(~is_gtin).select(F.col("value").alias("product_ref")).distinct()
    codes = values.where(is_gtin).select(canonical_gtin("value").alias("_gtin")).distinct()
    asked = lines.where(is_looked_up(rules))
    by_number = asked.join(F.broadcast(numbers), on="product_ref", how="left_semi")
    by_code = asked.withColumn("_gtin", canonical_gtin("gtin")).join(F.broadcast(codes), on="_gtin", how="left_semi")
    return by_number.select(*lines.columns).union(by_code.select(*lines.columns))


def values_of_products(products: DataFrame) -> DataFrame:
    """The references that products are by themselves: their number and their GTIN."""
    return products.select(
        F.explode(
            F.array(
                F.struct(F.lit("product_id").alias("kind"), F.col("product_id").alias("value")),
                F.struct(F.lit("gtin").alias("kind"), F.col("gtin").alias("value")),
            )
        ).alias("_reference"),
        "product_id",
    ).select("_reference.kind", "_reference.value", "product_id")  # fmt: skip


def _hits(names: DataFrame, references: DataFrame | None, products: DataFrame, rules: ProductRules) -> DataFrame:
    """For each name all products that one of its lookups ever finds, with the lookup's rank and the days on which it holds."""
    pairs = ((F.lit(system), F.array(*map(F.lit, kinds))) for system, kinds in sorted(rules.looks_up.items()))
    orders = F.create_map(*(part for pair in pairs for part in pair))
    wanted = names.withColumn("_system", system_of(rules)).select(
        *NAMES, "_system", F.posexplode(F.try_element_at(orders, F.col("_system"))).alias("_rank", "_kind")
    )
    wanted = wanted.withColumn("_value", F.when(F.col("_kind") == "gtin", canonical_gtin("gtin")).otherwise(F.col("product_ref")))
    every = _canonical(values_of_products(products)).select(
        F.lit(None).cast("string").alias("system"),
        "kind",
        "value",
        "product_id",
        F.lit(None).cast("DECIMAL(18,3)").alias("pack_factor"),
        F.lit(None).cast("date").alias("_from"),
        F.lit(None).cast("date").alias("_to"),
    )
    if references is not None:
        every = every.unionByName(to_references(references))
    every = every.withColumn("pack_factor", F.coalesce("pack_factor", F.lit(1).cast("DECIMAL(18,3)")))
    is_same = (F.col("_kind") == F.col("kind")) & (F.col("_value") == F.col("value"))
    is_of_system = F.col("system").isNull() | (F.col("system") == F.col("_system"))
    held = wanted.join(every, on=is_same & is_of_system, how="inner")
    return held.groupBy(*(F.col(name).alias(f"_hit_{name}") for name in NAMES)).agg(
        F.collect_list(F.struct("_rank", *_HIT)).alias("_hits")
    )


def _canonical(references: DataFrame) -> DataFrame:
    is_gtin = F.col("kind") == "gtin"
    return references.withColumn("value", F.when(is_gtin, canonical_gtin("value")).otherwise(F.col("value")))


def _asks_for(rules: ProductRules, lookup: str) -> Column:
    systems = [system for system, order in rules.looks_up.items() if lookup in order]
    return system_of(rules).isin(*systems) if systems else F.lit(False)
