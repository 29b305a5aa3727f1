"""The quality score of customers: points by criterion, groups, colours, selections, and what other rules would change. KPI 25."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.insight.figures import ratio
from tillhouse.insight.score_rules import CAP, Cap, Criterion, Linear, ScoreRules
from tillhouse.tables.gold_scores import QUALITY_GROUP, QUALITY_SCORE

POINTS = "decimal(12,2)"
NUMBER = "decimal(28,12)"
NONE = "none"  # group or colour of who has no score
_PART = "_part_"
_KEYS = ("as_of", "customer_id")


def to_objections(consents: DataFrame) -> DataFrame:
    """Customers (customer_id) who object to being scored: the purpose ``scoring`` is denied, for whatever channel.

    It holds for every as_of, as long as it stands: an objection is a right and no figure.
    """
    return consents.where("purpose = 'scoring' AND state = 'denied'").select("customer_id").distinct()


def to_scores(fields: DataFrame, rules: ScoreRules, objections: DataFrame | None = None) -> DataFrame:
    """KPI 25: rows of gold.quality_score from rows of gold.customer_state, of every as_of at once.

    The points of each criterion are rounded to cents before they are added, so that they sum exactly to the score.
    ``objections`` (customer_id): who gets no score, see ``to_objections``.
    """
    scored = fields.where(F.expr(rules.population))
    if objections is not None:
        scored = scored.join(objections, on="customer_id", how="left_anti")
    rows = (
        scored.select("*", *(points_of(item).alias(f"{_PART}{item.name}") for item in rules.criteria))
        .transform(_with_score, rules)
        .transform(with_colour, rules)
        .transform(_with_places, rules)
    )
    return QUALITY_SCORE.conform(
        rows.withColumns({"branch_id": F.col("home_branch_id"), "definition_version": F.lit(rules.definition_version)})
    )


def points_of(criterion: Criterion) -> Column:
    """The points of one criterion, over the columns of gold.customer_state."""
    value = F.expr(criterion.value)
    missing = _points(criterion.missing)
    if criterion.flag is not None:
        points = F.when(value, _points(criterion.flag)).otherwise(_points(Decimal(0)))
    elif criterion.bands is not None:
        number = value.cast(NUMBER)
        points = _points(criterion.below or Decimal(0))
        for band in criterion.bands:  # the highest one is asked first
            points = F.when(number >= _number(band.start), _points(band.points)).otherwise(points)
    else:
        assert criterion.linear is not None
        assert criterion.cap is not None
        points = _linear(value.cast(NUMBER), criterion.linear, criterion.cap)
    return F.when(value.isNull(), missing).otherwise(points).cast(POINTS)


def _linear(value: Column, linear: Linear, cap: Cap) -> Column:
    """Points for each unit, exact: a value beyond what reaches the cap is brought back to it first, so that all digits fit."""
    low, high = _ends(linear, cap)
    units = (F.least(F.greatest(value, _number(low)), _number(high)) - _number(linear.offset)).cast("decimal(26,12)")
    product = (units * _decimal(linear.points, "decimal(8,2)")).cast("decimal(26,14)")
    points = F.round(product / _decimal(linear.per, "decimal(8,2)"), 2)
    return F.least(F.greatest(points, _points(cap.minimum)), _points(cap.maximum))


def _ends(linear: Linear, cap: Cap) -> tuple[Decimal, Decimal]:
    """The values at which the points reach their least and their most."""
    with localcontext() as exact:
        exact.prec = 60
        ends = sorted(linear.offset + points * linear.per / linear.points for points in (cap.minimum, cap.maximum))
        unit = Decimal("0.000000000001")
        return ends[0].quantize(unit, ROUND_FLOOR), ends[1].quantize(unit, ROUND_CEILING)


def _with_score(rows: DataFrame, rules: ScoreRules) -> DataFrame:
    """Add the sum of points within minimum and maximum, and the points by name, the cap's among them."""
    names = [item.name for item in rules.criteria]
    total = reduce(lambda left, right: left + right, (F.col(f"{_PART}{name}") for name in names))
    score = F.col("_total")
    score = score if rules.maximum is None else F.least(score, _points(rules.maximum))
    score = score if rules.minimum is None else F.greatest(score, _points(rules.minimum))
    parts = {name: F.col(f"{_PART}{name}") for name in names}
    if rules.has_cap:
        parts[CAP] = (F.col("score") - F.col("_total")).cast(POINTS)
    points = F.create_map(*(part for name, column in parts.items() for part in (F.lit(name), column)))
    return rows.withColumn("_total", total.cast(POINTS)).withColumn("score", score).withColumn("points", points)


def with_colour(scores: DataFrame, rules: ScoreRules) -> DataFrame:
    """Add the colour of each score, as a name and for a screen: that of the highest step that it reaches."""
    name, shown = F.lit(rules.colours[0].colour), F.lit(rules.colours[0].hex)
    for item in rules.colours[1:]:
        reaches = F.col("score") >= _points(item.start)
        name = F.when(reaches, F.lit(item.colour)).otherwise(name)
        shown = F.when(reaches, F.lit(item.hex)).otherwise(shown)
    return scores.withColumns({"colour": name, "colour_hex": shown})


def _with_places(scores: DataFrame, rules: ScoreRules) -> DataFrame:
    """Add the group that each score lies in, its rank, and its place where ties are broken as KPI 14 does."""
    spacing = _decimal(rules.group_spacing, POINTS)
    by_score = Window.partitionBy("as_of").orderBy(F.desc("score"))
    ties = (F.asc_nulls_last("first_purchase_date"), F.asc_nulls_last("smallest_receipt_key"))
    in_order = Window.partitionBy("as_of").orderBy(F.desc("score"), *ties)
    return scores.withColumns(
        {
            "points_from": (F.col("score") - F.pmod("score", spacing)).cast(POINTS),
            "rank": F.rank().over(by_score).cast("bigint"),
            "position": F.rank().over(in_order).cast("bigint"),
        }
    )


def to_groups(scores: DataFrame, rules: ScoreRules) -> DataFrame:
    """Rows of gold.quality_group from those of gold.quality_score, made by the same rules.

    Between the lowest and the highest group there are also those that nobody is in.
    """
    spacing = _decimal(rules.group_spacing, POINTS)
    filled = scores.groupBy("as_of", (F.col("points_from") / spacing).cast("bigint").alias("_step")).agg(
        F.count(F.lit(1)).alias("_customers"),
        F.sum("revenue_total").alias("_revenue"),
        F.min("currency").alias("_first_currency"),
        F.max("currency").alias("_last_currency"),
        F.max("definition_version").alias("definition_version"),
    )
    upward = Window.partitionBy("as_of").orderBy("_step")
    until = F.coalesce(F.lead("_step").over(upward) - 1, F.col("_step"))
    steps = filled.withColumn("_until", until).withColumn("_number", F.explode(F.sequence("_step", "_until")))
    is_filled = F.col("_number") == F.col("_step")
    groups = steps.withColumns(
        {
            "customers": F.when(is_filled, F.col("_customers")).otherwise(F.lit(0)).cast("bigint"),
            "_revenue": F.when(is_filled, F.col("_revenue")).otherwise(F.lit(0)).cast("decimal(18,2)"),
            "points_from": (F.col("_number") * spacing).cast(POINTS),
            "points_below": ((F.col("_number") + 1) * spacing).cast(POINTS),
        }
    )
    return QUALITY_GROUP.conform(_with_shares(groups))


def _with_shares(groups: DataFrame) -> DataFrame:
    """Add what reaches each group, and shares of all; revenue only where all have one currency."""
    everybody = Window.partitionBy("as_of")
    and_higher = everybody.orderBy(F.desc("_number")).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    first, last = F.min("_first_currency").over(everybody), F.max("_last_currency").over(everybody)
    totals = groups.withColumns(
        {
            "customers_cumulative": F.sum("customers").over(and_higher),
            "_all": F.sum("customers").over(everybody),
            "currency": F.when(first == last, first),
            "_all_revenue": F.sum("_revenue").over(everybody),
        }
    )
    has_currency, has_revenue = F.col("currency").isNotNull(), F.col("_all_revenue") > 0
    return totals.withColumns(
        {
            "customer_share": ratio(F.col("customers"), F.col("_all")),
            "cumulative_share": ratio(F.col("customers_cumulative"), F.col("_all")),
            "revenue": F.when(has_currency, F.col("_revenue")),
            "revenue_share": F.when(has_currency & has_revenue, ratio(F.col("_revenue"), F.col("_all_revenue"))),
        }
    )


def select_from(scores: DataFrame, *, minimum: Decimal | None = None, rank: int | None = None) -> DataFrame:
    """Scores of at least ``minimum``, or all in the groups down to the one that holds rank N, which may be more than N.

    Without both: all. With both: who fulfils both. Each as_of by itself; where there are fewer than N, all.
    """
    chosen = scores
    if rank is not None:
        last = scores.where(F.col("rank") <= rank).groupBy("as_of").agg(F.min("points_from").alias("_last"))
        chosen = chosen.join(F.broadcast(last), on="as_of", how="inner").where("points_from >= _last").drop("_last")
    return chosen if minimum is None else chosen.where(F.col("score") >= F.lit(minimum))


def to_moves(before: DataFrame, after: DataFrame) -> DataFrame:
    """Customers with their score, group and colour by two definitions, one row per as_of and customer with a score in either.

    ``change`` is NULL for who has only one of the scores; group and colour of the other are NULL and ``none``.
    """
    sides = (("before", before), ("after", after))
    old, new = (
        scores.select(*_KEYS, *(F.col(name).alias(f"{name}_{side}") for name in ("score", "points_from", "colour", "position")))
        for side, scores in sides
    )
    both = old.join(new, on=list(_KEYS), how="full_outer")
    return both.select(
        *_KEYS,
        "score_before",
        "score_after",
        (F.col("score_after") - F.col("score_before")).alias("change"),
        "points_from_before",
        "points_from_after",
        *(F.coalesce(f"colour_{side}", F.lit(NONE)).alias(f"colour_{side}") for side, _ in sides),
        "position_before",
        "position_after",
    )


def count_moves(moves: DataFrame, by: str) -> DataFrame:
    """How many customers go from where to where; ``by``: colour or points_from."""
    return moves.groupBy("as_of", F.col(f"{by}_before").alias("before"), F.col(f"{by}_after").alias("after")).agg(
        F.count(F.lit(1)).alias("customers")
    )


def top_movers(moves: DataFrame, limit: int) -> DataFrame:
    """Per as_of the customers who gain and who lose most (``direction``); ties by their place before."""
    moved = moves.where("change <> 0").withColumn("direction", F.when(F.col("change") > 0, F.lit("gains")).otherwise("loses"))
    most = Window.partitionBy("as_of", "direction").orderBy(F.desc(F.abs("change")), "position_before")
    return moved.withColumn("place", F.row_number().over(most)).where(F.col("place") <= limit)


def _points(value: Decimal) -> Column:
    return _decimal(value, POINTS)


def _number(value: Decimal) -> Column:
    return _decimal(value, NUMBER)


def _decimal(value: Decimal, kind: str) -> Column:
    return F.lit(f"{value:f}").cast(kind)
