"""Sets: one line as the till wrote it, or lines of what is in them, as conf/products.yml says."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.money import with_largest_remainder
from tillhouse.products.bundles import WORTH
from tillhouse.products.lookup import holds_on

SET, COMPONENT = "set", "component"
SPREAD = ("gross_amount", "tax_amount", "discount_amount")


def with_bundles_exploded(lines: DataFrame, shares: DataFrame) -> DataFrame:
    """Sets become lines of their components, among which each amount is divided to the cent; all others stay.

    The set's own line stays as the parent and is no revenue, so that revenue is counted once. A discount on a set is divided
    like the set. Where not all components have a list price, their quantities count instead. ``shares``: of products/bundles.py.
    """
    day = F.col("business_date")
    joined = lines.join(F.broadcast(shares), on=F.col("product_ref") == F.col("bundle_id"), how="left")
    may_explode = F.col("line_type").isin("ITEM", "DISCOUNT") & F.col("is_revenue") & ~F.col("is_voided")
    valid = F.filter("_parts", lambda part: holds_on(day, part["_from"], part["_to"]))
    marked = joined.withColumn("_parts", F.when(may_explode, valid)).withColumn(
        "_is_set", F.coalesce(F.size("_parts") > 0, F.lit(False))
    )
    last = F.max("line_number").over(Window.partitionBy("receipt_key"))
    concerned = marked.where("_is_set").select("receipt_key").distinct()
    others = marked.join(concerned, on="receipt_key", how="left_anti").withColumn("bundle_role", F.lit(None).cast("string"))
    receipts = marked.join(concerned, on="receipt_key", how="left_semi").withColumn("_last", last)
    parents = receipts.withColumns(
        {
            "bundle_role": F.when(F.col("_is_set"), SET),
            "is_revenue": F.col("is_revenue") & ~F.col("_is_set"),
        }
    )
    names = [*lines.columns, "bundle_role"]
    return others.select(names).unionByName(parents.select(names)).unionByName(_components(receipts).select(names))


def _components(receipts: DataFrame) -> DataFrame:
    """The lines of the components. They are numbered after the receipt's last line, in the order of sets and products."""
    has_worth = F.forall("_parts", lambda part: F.coalesce(part["worth"] > 0, F.lit(False)))
    weights = F.transform("_parts", lambda part: F.when(has_worth, part["worth"]).otherwise(part["quantity"]).cast(WORTH))
    total = F.aggregate("_weights", F.lit(0).cast(WORTH), lambda sum_, weight: (sum_ + weight).cast(WORTH))
    sets = receipts.where("_is_set").withColumn("_weights", weights).withColumn("_total", total)
    parts = sets.select("*", F.posexplode(F.arrays_zip("_parts", "_weights")).alias("_position", "_share"))
    of_set = ["receipt_key", "line_number"]
    kinds = {field.name: field.dataType for field in receipts.schema}
    for amount in SPREAD:
        part = (F.col(amount) * F.col("_share._weights") / F.col("_total")).cast(WORTH)
        parts = parts.withColumn(amount, part).transform(with_largest_remainder, of_set, amount, ["_position"])
    amounts = {amount: F.col(amount).cast(kinds[amount]) for amount in SPREAD}
    pieces = F.col("quantity") * F.col("_share._parts.quantity")
    number = F.row_number().over(Window.partitionBy("receipt_key").orderBy("line_number", "_position"))
    net = amounts["gross_amount"] - amounts["tax_amount"]
    return parts.withColumns(
        {
            **amounts,
            "net_amount": F.when(F.col("net_amount").isNotNull(), net).cast(kinds["net_amount"]),
            "quantity": F.when(F.col("line_type") == "ITEM", pieces).otherwise(F.col("quantity")).cast(kinds["quantity"]),
            **{name: F.lit(None).cast(kinds[name]) for name in ("promotion_amount", "coupon_amount")},
            "unit": F.lit(None).cast("string"),
            "product_ref": F.col("_share._parts.product_id"),
            "parent_line_number": F.col("line_number"),
            "line_number": F.col("_last") + number,
            "bundle_role": F.lit(COMPONENT),
        }
    )
