"""gold.reorder_signal: KPI 21, customers who order otherwise than they usually do.

The purchases of a customer become one row with an array of days. Each day as of which customers are looked at is a filter on that
array: no day after it has any influence, and many such days cost little more than one.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.insight.rules import Reorder
from tillhouse.insight.statistics import gaps, median
from tillhouse.tables.gold_flags import REORDER_SIGNAL
from tillhouse.tables.line_parts import IS_SOLD

CONSISTENT = "1.4826"  # MAD x this estimates the standard deviation of a normal spread (Rousseeuw and Croux 1993)
_DAYS = "DECIMAL(9,1)"
_QUANTITY = "DECIMAL(18,3)"


def to_purchase_days(receipts: DataFrame, lines: DataFrame, products: DataFrame, *, by_product_line: bool) -> DataFrame:
    """One row per customer with its purchase ``days`` (day, quantity) in order, and the first day of each product line.

    Purchases as of KPI 4; quantity is ``item_count`` of what was sold. ``firsts``: (product_line, day), of lines with a
    product, a product without product line counts for its product group. With ``by_product_line`` there is a further row for
    each product line of a customer, with the days on which it was bought; of all purchases ``product_line`` is NULL.
    ``receipts``: gold.fct_receipt; ``lines``: gold.fct_sale_line; ``products``: gold.dim_product.
    """
    baskets = receipts.where("is_basket AND customer_id IS NOT NULL").select(
        "receipt_key", "customer_id", F.col("business_date").alias("day"), "sold_item_count"
    )
    groups = products.select("product_key", F.coalesce("product_line", "category_l1").alias("product_line"))
    named = lines.where(IS_SOLD).join(F.broadcast(groups), on="product_key", how="inner").where("product_line IS NOT NULL")
    quantity = F.sum("item_count").cast(_QUANTITY).alias("quantity")
    of_lines = (
        named.groupBy("receipt_key", "product_line").agg(quantity)
        .join(baskets, on="receipt_key", how="inner")
        .groupBy("customer_id", "product_line", "day").agg(F.sum("quantity").cast(_QUANTITY).alias("quantity"))
    )  # fmt: skip
    days = F.sort_array(F.collect_list(F.struct("day", "quantity"))).alias("days")
    by_line = of_lines.groupBy("customer_id", "product_line").agg(days)
    nothing = F.lit(None).cast("STRING")
    every = (
        baskets.groupBy("customer_id", "day").agg(F.sum("sold_item_count").cast(_QUANTITY).alias("quantity"))
        .groupBy("customer_id").agg(days)
        .select("customer_id", nothing.alias("product_line"), "days", nothing.alias("_of"))
    )  # fmt: skip
    begun = by_line.select("customer_id", nothing.alias("product_line"), F.col("product_line").alias("_of"), "days")
    first = F.when(F.col("_of").isNotNull(), F.struct(F.col("_of").alias("product_line"), F.col("days")[0]["day"].alias("day")))
    rows = (
        every.unionByName(begun).withColumn("_first", first)
        .groupBy("customer_id", "product_line").agg(
            F.flatten(F.collect_list(F.when(F.col("_of").isNull(), F.col("days")))).alias("days"),
            F.sort_array(F.collect_list("_first")).alias("firsts"),
        )
    )  # fmt: skip
    if not by_product_line:
        return rows
    none = F.array().cast("ARRAY<STRUCT<product_line: STRING, day: DATE>>")
    return rows.unionByName(by_line.withColumn("firsts", none))


def to_reorder_state(customers: DataFrame, purchases: DataFrame, rules: Reorder) -> DataFrame:
    """One row per as_of, customer and product line with at least ``minimum_gaps`` gaps: rhythm, silence and last purchase.

    ``customers``: as_of, customer_id, customer_type, home_branch_id, only those of the population go on; ``purchases``: of
    ``to_purchase_days``. Only days before as_of are looked at. ``is_silent`` is KPI 21: silence = as_of - last purchase is
    greater than m + spreads x 1.4826 x max(MAD, 1), m the median gap between distinct purchase days, MAD the median of abs(gap
    - m). Median and MAD as in Rousseeuw and Croux (1993): one long holiday does not change what is usual.
    """
    known = customers.select("as_of", "customer_id", "customer_type", F.col("home_branch_id").alias("branch_id"))
    if rules.population != "all":
        known = known.where(F.col("customer_type") == rules.population)
    rows = known.join(purchases, on="customer_id", how="inner")
    rows = rows.withColumn("days", F.filter("days", lambda one: one["day"] < F.col("as_of")))
    rows = rows.where(F.size("days") > rules.minimum_gaps).withColumn("gaps", gaps(F.col("days.day")))
    rows = rows.withColumns({"gap_count": F.size("gaps"), "median_gap_days": median(F.col("gaps"), _DAYS)})
    rows = rows.withColumn("mad_days", _mad("gaps", "median_gap_days"))
    last = F.element_at("days", -1)
    rows = rows.withColumns(
        {
            "last_purchase_date": last["day"],
            "last_quantity": last["quantity"],
            "silence_days": F.date_diff("as_of", last["day"]),
            "last_gap_days": F.element_at("gaps", -1),
            "limit_days": (F.col("median_gap_days") + _spread("mad_days", rules)).cast("DECIMAL(18,6)"),
        }
    )
    return rows.withColumns(
        {
            "is_silent": F.col("silence_days") > F.col("limit_days"),
            "simple_rule": F.col("silence_days") > 2 * F.col("median_gap_days"),
        }
    )


def with_last_purchase_judged(state: DataFrame, rules: Reorder) -> DataFrame:
    """Whether the last purchase came early, or was of much less than usual, by what was usual before it.

    Early: its gap is less than m - spreads x 1.4826 x max(MAD, 1) of the gaps before. Drop: its quantity is less than
    ``quantity_drop`` of the median quantity of the days before, and as far below it as that spread of these quantities:
    where orders vary much anyhow, a small one says nothing. Both need ``minimum_gaps`` gaps before it, and the purchase at most
    ``news_days`` before as_of.
    """
    before = F.slice("gaps", F.lit(1), F.size("gaps") - 1)
    quantities = F.transform(F.slice("days", F.lit(1), F.size("days") - 1), lambda one: one["quantity"])
    rows = state.withColumns({"_gaps": before, "_quantities": quantities})
    rows = rows.withColumns(
        {"early_median": median(F.col("_gaps"), _DAYS), "usual_quantity": median(F.col("_quantities"), _QUANTITY)}
    )
    rows = rows.withColumns(
        {"early_mad": _mad("_gaps", "early_median"), "_mad": _mad("_quantities", "usual_quantity", _QUANTITY)}
    )
    spread = F.col("_mad") * F.lit(CONSISTENT).cast("DECIMAL(5,4)") * F.lit(rules.spreads)
    is_news = (F.col("silence_days") <= rules.news_days) & (F.size("_gaps") >= rules.minimum_gaps)
    is_low = F.col("last_quantity") < F.col("usual_quantity") * F.lit(rules.quantity_drop)
    is_unusual = F.col("last_quantity") < F.col("usual_quantity") - spread
    limit = (F.col("early_median") - _spread("early_mad", rules)).cast("DECIMAL(18,6)")
    rows = rows.withColumn("early_limit", limit)
    return rows.withColumns(
        {
            "is_early": F.coalesce(is_news & (F.col("last_gap_days") < F.col("early_limit")), F.lit(False)),
            "is_drop": F.coalesce(is_news & is_low & is_unusual, F.lit(False)),
        }
    ).drop("_gaps", "_quantities", "_mad")


def to_reorder_signals(state: DataFrame, rules: Reorder) -> DataFrame:
    """One row per signal: silence, early order, quantity drop, and the first purchase in a new product line.

    ``state``: of ``to_reorder_state``. A product line is new where the customer first bought it within ``news_days`` before
    as_of, and had ``minimum_gaps`` gaps between purchases before that day.
    """
    rows = with_last_purchase_judged(state, rules)
    new = F.when(F.col("product_line").isNull(), _new_lines(rules)).otherwise(F.array().cast("ARRAY<STRING>"))
    rows = rows.withColumn("_new", new)
    usual = [F.col(name).alias(name) for name in ("median_gap_days", "mad_days", "limit_days")]
    early = [
        F.col(name).alias(alias)
        for name, alias in (("early_median", "median_gap_days"), ("early_mad", "mad_days"), ("early_limit", "limit_days"))
    ]
    line = F.col("product_line").alias("product_line")

    def signal(name: str, of: Column, figures: list[Column], gaps: Column, text: Column) -> Column:
        return F.struct(F.lit(name).alias("signal"), of, *figures, gaps.alias("gap_count"), text.alias("evidence"))

    gaps = F.col("gap_count")
    told = F.array(
        F.when(F.col("is_silent"), signal("silence", line, usual, gaps, _silence())),
        F.when(F.col("is_early"), signal("early_order", line, early, gaps - 1, _early())),
        F.when(F.col("is_drop"), signal("quantity_drop", line, usual, gaps, _drop())),
    )
    news = F.transform("_new", lambda one: signal("new_product_line", one.alias("product_line"), usual, gaps, _new_line(one)))
    kept = ("as_of", "customer_id", "customer_type", "branch_id", "last_purchase_date", "silence_days", "last_gap_days")
    signals = rows.select(
        *kept, "usual_quantity", "last_quantity", "simple_rule",
        F.explode(F.concat(F.array_compact(told), news)).alias("_signal"),
    ).select("*", "_signal.*")  # fmt: skip
    return REORDER_SIGNAL.conform(signals)


def _mad(values: str, middle: str, kind: str = "DECIMAL(9,2)") -> Column:
    """Median absolute deviation from the median."""
    return median(F.transform(values, lambda value: F.abs(value - F.col(middle))), kind)


def _spread(mad: str, rules: Reorder) -> Column:
    """So many days from the median are unusual; where the rhythm is exact, a day counts as its spread."""
    return F.lit(rules.spreads) * F.lit(CONSISTENT).cast("DECIMAL(5,4)") * F.greatest(F.col(mad), F.lit(1))


def _new_lines(rules: Reorder) -> Column:
    def is_new(one: Column) -> Column:
        is_recent = (one["day"] < F.col("as_of")) & (one["day"] >= F.date_sub("as_of", rules.news_days))
        earlier = F.filter("days", lambda other: other["day"] < one["day"])
        return is_recent & (F.size(earlier) > rules.minimum_gaps)

    return F.transform(F.filter("firsts", is_new), lambda one: one["product_line"])


def _of_line() -> Column:
    return F.coalesce(F.concat(F.lit(" of "), "product_line"), F.lit(""))


def _silence() -> Column:
    return F.format_string(
        "Last purchase%s on %s, %d days ago. Usual: every %s days, over %d gaps; unusual from more than %.1f days on.",
        _of_line(), _text("last_purchase_date"), "silence_days", _text("median_gap_days"), "gap_count",
        F.col("limit_days").cast("double"),
    )  # fmt: skip


def _early() -> Column:
    return F.format_string(
        "Bought%s on %s, %d days after the purchase before. Usual: every %s days, over %d gaps.",
        _of_line(), _text("last_purchase_date"), "last_gap_days", _text("early_median"), F.col("gap_count") - 1,
    )  # fmt: skip


def _drop() -> Column:
    return F.format_string(
        "Bought%s on %s a quantity of %s. Usual: %s.",
        _of_line(),
        _text("last_purchase_date"),
        _text("last_quantity"),
        _text("usual_quantity"),
    )


def _new_line(line: Column) -> Column:
    return F.format_string("Bought %s for the first time; %d gaps between purchases are known.", line, F.col("gap_count"))


def _text(name: str) -> Column:
    """Dates and decimals as they are read; format_string knows neither."""
    return F.col(name).cast("string")
