"""gold.kpi_return: KPI 19, what came back of what was sold, where that is conspicuous, and where it rises or falls.

Lines are summed once, to branch, week and product group; everything else is computed of that small frame. A week is judged by
what was known at its end: later weeks change no flag, only what is delivered or linked later for the week itself or those
before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from tillhouse.insight.figures import MONEY, RATIO, ratio
from tillhouse.insight.rules import ReturnHotspots
from tillhouse.insight.statistics import binomial_tail, of_count, times, with_mann_kendall, with_q_value
from tillhouse.tables.gold_flags import KPI_RETURN
from tillhouse.tables.line_parts import IS_SOLD

BRANCH = ("branch_id", "currency")
GROUP = ("category_l1", "product_line", "currency")
SERIES = ("branch_id", *GROUP)
CELL = (*SERIES, "starts_on")
REFERENCE_WEEKS = 13  # a quarter: enough lines, and not yet another season
WINDOWS = (1, 4)  # weeks: a sudden hotspot, and a slow one
PRIOR = 10  # expected receipts that the chain weighs in the rate of a branch
EXAMPLES = 5
_A_MONDAY = date(1970, 1, 5)
_COUNTS = "product_id IS NOT NULL AND NOT (bundle_role <=> 'set')"
_PARTS = ("sold_lines", "returned_lines", "returned_receipts", "sales_amount", "return_amount")


def to_return_cells(lines: DataFrame, returns: DataFrame, products: DataFrame, *, as_of: date) -> DataFrame:
    """One row per branch, week, product group, product line and currency: what was sold, what came back, why, and of what.

    A return counts for the branch that sold it, where that is unknown for the one that took it back, and in the week in which
    it came back. Lines are counted where they name a product: a day's total of a category is one line for hundreds of sales, so
    that such totals are in the amounts only. ``lines``: gold.fct_sale_line; ``returns``: gold.fct_return; ``products``:
    gold.dim_product.
    """
    groups = F.broadcast(products.select("product_key", "category_l1", "product_line"))
    sold = lines.where((F.col("business_date") < F.lit(as_of)) & F.expr(f"NOT is_return AND (is_revenue OR {IS_SOLD})"))
    returned = returns.where(F.col("business_date") < F.lit(as_of)).withColumn(
        "branch_id", F.coalesce("original_branch_id", "branch_id")
    )  # fmt: skip
    sold = sold.join(groups, on="product_key", how="left").withColumn("starts_on", _monday("business_date"))
    returned = returned.join(groups, on="product_key", how="left").withColumn("starts_on", _monday("business_date"))
    sums = sold.groupBy(*CELL).agg(
        F.count(F.when(F.expr(f"{IS_SOLD} AND {_COUNTS}"), 1)).alias("sold_lines"),
        F.sum(F.when(F.col("is_revenue"), F.col("gross_amount")).otherwise(0)).alias("sales_amount"),
    )
    amount = (-F.sum("gross_amount")).cast(MONEY)
    by_reason = returned.groupBy(*CELL, "reason").agg(
        F.count("product_id").alias("returned_lines"),
        amount.alias("return_amount"),
        F.slice(F.sort_array(F.collect_list(F.struct("gross_amount", "receipt_key"))), 1, EXAMPLES).alias("_examples"),
    )
    by_product = returned.where("product_id IS NOT NULL").groupBy(*CELL, "product_id").agg(
        F.struct((-F.count("*")).alias("lines"), F.sum("gross_amount").alias("amount"), "product_id").alias("_product")
    )  # fmt: skip
    by_receipt = returned.where("product_id IS NOT NULL").groupBy(*CELL).agg(
        F.count_distinct("receipt_key").alias("returned_receipts")
    )  # fmt: skip
    reason = F.struct((-F.col("returned_lines")).alias("lines"), (-F.col("return_amount")).alias("amount"), "reason")
    parts = (
        sums.unionByName(by_reason.withColumn("_reason", reason).drop("reason"), allowMissingColumns=True)
        .unionByName(by_product.drop("product_id"), allowMissingColumns=True)
        .unionByName(by_receipt, allowMissingColumns=True)
        .groupBy(*CELL).agg(
            *(F.coalesce(F.sum(name), F.lit(0)).cast(KPI_RETURN.field(name).dataType).alias(name) for name in _PARTS),
            F.sort_array(F.collect_list("_reason")).alias("_reasons"),
            F.sort_array(F.flatten(F.collect_list("_examples"))).alias("_examples"),
            F.min("_product")["product_id"].alias("main_product_id"),
        )
    )  # fmt: skip
    return parts.transform(_with_reasons)


def _with_reasons(cells: DataFrame) -> DataFrame:
    reasons = F.transform(
        "_reasons",
        lambda one: F.struct(
            one["reason"].alias("reason"), (-one["lines"]).alias("lines"), (-one["amount"]).cast(MONEY).alias("amount")
        ),
    )
    keys = F.slice(F.array_distinct(F.transform("_examples", lambda one: one["receipt_key"])), 1, EXAMPLES)
    told = F.filter("_reasons", lambda one: one["reason"].isNotNull())
    return cells.withColumns(
        {"reasons": reasons, "reason": F.get(told, F.lit(0))["reason"], "receipt_keys": keys}
    ).drop("_reasons", "_examples")  # fmt: skip


def to_kpi_return(cells: DataFrame, rules: ReturnHotspots) -> DataFrame:
    """The cells with their rates, what was to be expected, hotspots and trends. ``cells``: of ``to_return_cells``, kept."""
    rows = (
        cells.transform(with_rates)
        .transform(with_expected_rate)
        .transform(with_hotspots, rules)
        .transform(with_trend, rules)
        .transform(_with_evidence)
    )
    return KPI_RETURN.conform(rows)


def with_rates(cells: DataFrame) -> DataFrame:
    """KPI 19: returned amount per sales before returns, and the same by lines; NULL where nothing was sold."""
    thursday = F.date_add("starts_on", 3)
    return cells.withColumns(
        {
            "iso_year": F.year(thursday),
            "iso_week": F.weekofyear("starts_on"),
            "_week": F.floor(F.date_diff("starts_on", F.lit(_A_MONDAY)) / 7).cast("int"),
            "return_rate": ratio(F.col("return_amount"), F.col("sales_amount")),
            "returned_line_rate": ratio(F.col("returned_lines"), F.col("sold_lines")),
        }
    )


def with_expected_rate(cells: DataFrame) -> DataFrame:
    """What rate was to be expected: that of the product group in the other branches, times that of the branch's other groups.

    ``expected_receipt_rate`` = p x f over the last 13 weeks. p: receipts that bring something of the group back / lines of it
    sold, in all other branches. f: the former of the branch's other groups / what p says of them, both plus 10: a branch with
    few returns counts as usual (the posterior mean of a gamma-Poisson model with mean 1, see Clayton and Kaldor 1987). Neither
    p nor f holds the cell itself, so that a hotspot does not raise what is expected of it. NULL where no other branch sells the
    group. Currencies are chains of their own.
    """
    own = _last(SERIES, REFERENCE_WEEKS)
    of_chain = cells.groupBy(*GROUP, "_week").agg(*(F.sum(name).alias(f"_chain_{name}") for name in _PARTS))
    of_chain = _with_last_sums(of_chain, GROUP, [f"_chain_{name}" for name in _PARTS])
    rows = _joined(cells, of_chain, (*GROUP, "_week"))
    rows = rows.withColumns({f"_rest_{name}": F.col(f"_chain_{name}") - F.sum(name).over(own) for name in _PARTS})
    rate = F.when(F.col("_rest_sold_lines") > 0, ratio(F.col("_rest_returned_receipts"), F.col("_rest_sold_lines")))
    rows = rows.withColumn("_rest_rate", rate)
    usual = F.coalesce(of_count(F.col("_rest_rate"), F.col("sold_lines")), F.lit(0).cast(RATIO))
    comparable = F.when(F.col("_rest_rate").isNotNull(), F.col("returned_receipts")).otherwise(0)
    rows = rows.withColumns({"_usual": usual, "_comparable": comparable})
    of_branch = rows.groupBy(*BRANCH, "_week").agg(
        F.sum("_usual").cast(RATIO).alias("_branch_usual"), F.sum("_comparable").alias("_branch_comparable")
    )
    of_branch = _with_last_sums(of_branch, BRANCH, ["_branch_usual", "_branch_comparable"])
    rows = _joined(rows, of_branch, (*BRANCH, "_week"))
    others, usual_others = (F.col(f"_branch_{name}") - F.sum(f"_{name}").over(own) + PRIOR for name in ("comparable", "usual"))
    rows = rows.withColumn("_factor", F.try_divide(others.cast("DECIMAL(12,0)"), usual_others.cast("DECIMAL(20,9)")).cast(RATIO))
    amounts = F.when(F.col("_rest_sales_amount") > 0, ratio(F.col("_rest_return_amount"), F.col("_rest_sales_amount")))
    rows = rows.withColumns(
        {
            "expected_receipt_rate": times(F.col("_factor"), F.col("_rest_rate")),
            "expected_rate": times(F.col("_factor"), amounts),
        }
    )
    return rows.withColumn("expected_receipts", of_count(F.col("expected_receipt_rate"), F.col("sold_lines")))


def with_hotspots(cells: DataFrame, rules: ReturnHotspots) -> DataFrame:
    """Flag where goods came back so often that chance hardly explains it, in this week or in the last four together.

    Counted are receipts: who takes a whole purchase back brings many lines of a group, but has come once. Given all such
    receipts of the cell and of the same group in the other branches, those of the cell are binomial with the share of its sold
    lines (Przyborowski and Wilenski 1940): so a small chain, whose usual rate is hardly known, is judged with
    more care. ``p_value`` is the smaller of both windows times their number; ``q_value`` limits the false flags of each week's
    report over all cells of the chain with enough lines sold (Benjamini and Hochberg 1995). Flagged is a week with q <=
    ``false_discovery_rate``, at least ``minimum_returned_receipts`` in the window, and more than expected in the week itself.
    ``is_simple_hotspot`` is what a report without statistics would mark: more than twice the expected rate.
    """
    rows = cells
    for weeks in WINDOWS:
        window = _last(SERIES, weeks)
        rows = rows.withColumns({f"_{part}_{weeks}": F.sum(part).over(window) for part in ("sold_lines", "returned_receipts")})
    rows = rows.withColumn("_tests", F.array_compact(F.array(*(_test(weeks, rules) for weeks in WINDOWS))))
    best = F.array_min("_tests")
    p_value = F.when(F.size("_tests") > 0, F.least(best["p"] * F.size("_tests"), F.lit(1.0)))
    rows = rows.withColumns({"_best": best, "_p": p_value}).transform(with_q_value, "_p", ["starts_on"])
    is_enough = F.col("window_returned_receipts") >= rules.minimum_returned_receipts
    is_rare = F.col("q_value") <= float(rules.false_discovery_rate)
    is_above = F.col("returned_receipts") > F.col("expected_receipts")
    is_double = (F.col("sold_lines") >= rules.minimum_sold_lines) & (F.col("returned_receipts") > 2 * F.col("expected_receipts"))
    rows = rows.withColumns(
        {f"window_{name}": F.col("_best")[name] for name in ("weeks", "sold_lines", "returned_receipts", "expected_receipts")}
    )
    rows = rows.withColumns(
        {
            "is_hotspot": F.coalesce(is_rare & is_enough & is_above, F.lit(False)),
            "is_simple_hotspot": F.coalesce(is_double, F.lit(False)),
        }
    )
    return rows.withColumns({"p_value": F.col("_p").cast(RATIO), "q_value": F.col("q_value").cast(RATIO)})


def _test(weeks: int, rules: ReturnHotspots) -> Column:
    sold, returned = F.col(f"_sold_lines_{weeks}"), F.col(f"_returned_receipts_{weeks}")
    weight = F.col("_factor").cast("double") * sold
    share = weight / (weight + F.col("_rest_sold_lines"))
    tail = binomial_tail(returned, returned + F.col("_rest_returned_receipts"), share)
    is_tested = (sold >= rules.minimum_sold_lines) & (F.col("_rest_sold_lines") > 0)
    tested = F.struct(
        tail.alias("p"),
        F.lit(weeks).alias("weeks"),
        sold.alias("sold_lines"),
        returned.alias("returned_receipts"),
        of_count(F.col("expected_receipt_rate"), sold).alias("expected_receipts"),
    )
    return F.when(is_tested, tested)


def with_trend(cells: DataFrame, rules: ReturnHotspots) -> DataFrame:
    """KPI 19: whether the line rate of a branch and group rises or falls over the last ``trend_weeks`` weeks with sales.

    See ``with_mann_kendall``. It is told where these weeks have as many sold lines and returns as a hotspot needs.
    """
    window = _last(SERIES, rules.trend_weeks)
    rate = F.col("returned_line_rate")
    point = F.when(rate.isNotNull(), F.struct(F.col("_week").alias("week"), rate.alias("rate")))
    is_enough = (F.sum("returned_receipts").over(window) >= rules.minimum_returned_receipts) & (
        F.sum("sold_lines").over(window) >= rules.minimum_sold_lines
    )
    rows = cells.withColumns({"_points": F.collect_list(point).over(window), "_is_enough": is_enough})
    rows = rows.withColumn("_series", F.when(F.col("_is_enough"), F.sort_array("_points")))
    return rows.transform(with_mann_kendall, "_series")


def _with_evidence(cells: DataFrame) -> DataFrame:
    weeks = F.when(F.col("window_weeks") == 1, F.lit("In this week")).otherwise(
        F.format_string("In the %d weeks up to this one", "window_weeks")
    )
    text = F.concat(
        weeks,
        F.format_string(
            " %d receipts brought goods back while %d lines were sold; %.2f were to be expected.",
            "window_returned_receipts", "window_sold_lines", F.col("window_expected_receipts").cast("double"),
        ),
        F.format_string(" This week: %d lines of %d, ", "returned_lines", "sold_lines"),
        F.concat(F.col("return_amount").cast("string"), F.lit(" "), "currency", F.lit(".")),
        F.coalesce(F.concat(F.lit(" Reason most often told: "), "reason", F.lit(".")), F.lit(" No reason is told.")),
    )  # fmt: skip
    return cells.withColumn("evidence", F.when(F.col("is_hotspot"), text))


def _monday(day: str) -> Column:
    return F.date_sub(day, F.weekday(day))


def _last(series: Sequence[str], weeks: int) -> WindowSpec:
    """The weeks of a series from so many before up to each week; weeks without a row count."""
    return Window.partitionBy(*series).orderBy("_week").rangeBetween(1 - weeks, Window.currentRow)


def _with_last_sums(rows: DataFrame, series: Sequence[str], names: Sequence[str]) -> DataFrame:
    """Sums of weeks as sums of the last 13 weeks."""
    window = _last(series, REFERENCE_WEEKS)
    return rows.withColumns({name: F.sum(name).over(window) for name in names})


def _joined(rows: DataFrame, sums: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Sums beside the rows of their keys, of which some may be NULL; each row has one."""
    named = sums.withColumnsRenamed({key: f"_of_{key}" for key in keys})
    is_same = reduce(Column.__and__, (F.col(key).eqNullSafe(F.col(f"_of_{key}")) for key in keys))
    return rows.join(F.broadcast(named), on=is_same, how="left").drop(*(f"_of_{key}" for key in keys))
