"""Quality scores as people read them: one customer, groups, and statistics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.errors import ConfigError
from tillhouse.insight import score_rules
from tillhouse.insight.score_rules import ScoreRules
from tillhouse.ops import text
from tillhouse.ops.customers import only_one, starts_with
from tillhouse.ops.upgrade import expect_lake
from tillhouse.store import Store
from tillhouse.tables import Table
from tillhouse.tables.gold_customers import CUSTOMER_STATE
from tillhouse.tables.gold_scores import QUALITY_SCORE

WIDTH = 40  # characters of the longest bar
_OF_PAGE = ("as_of", "customer_id", "score", "colour", "colour_hex", "rank", "points_from", "branch_id", "definition_version")
_QUARTILES = ("least", "lower_quartile", "median", "upper_quartile", "greatest")


def as_json(page: object) -> str:
    """For programs; decimals as texts, so that no digit is lost."""
    return json.dumps(page, default=str, indent=2, ensure_ascii=False)


def of_day(store: Store, table: Table, as_of: date | None) -> DataFrame:
    """The rows of one as_of: that one, else the latest.

    Raises:
        ConfigError: there are none.
    """
    expect_lake(store)
    stored = store.read(table)
    days = sorted(row[0] for row in stored.select("as_of").distinct().collect())
    if not days:
        raise ConfigError(f"{table.full_name} is empty. Remedy: `tillhouse run`; scores also need score.yml in the conf folder")
    wanted = as_of or days[-1]
    if wanted not in days:
        near = ", ".join(map(str, days[-5:]))
        raise ConfigError(f"--as-of {wanted}: {table.full_name} has no such day. Remedy: ask one of the last: {near}")
    return stored.where(F.col("as_of") == F.lit(wanted))


def show(store: Store, rules: ScoreRules, customer: str, as_of: date | None) -> dict[str, Any]:
    """The score of a customer, each part with what led to it.

    Raises:
        ConfigError: the customer is unknown, or has no score.
    """
    scores = of_day(store, QUALITY_SCORE, as_of)
    remedy = "`tillhouse score list` shows who has a score; who objects to it, or is not of the population, has none"
    named = scores.where(starts_with("customer_id", [customer])).withColumn("_parts", F.map_entries("points")).limit(6)
    row = only_one(named.collect(), "customer_id", customer, remedy)
    is_same = row.definition_version == rules.definition_version
    values = _values(store, rules, row) if is_same else {}
    meanings = {item.name: item.meaning for item in rules.criteria}
    meanings[score_rules.CAP] = "what minimum and maximum of the whole score add"
    parts = [
        {"criterion": name, "points": points, "value": values.get(name), "meaning": meanings.get(name, "")}
        for name, points in row._parts  # a map loses its order on the way to Python
    ]
    told = {name: row[name] for name in _OF_PAGE}
    return told | {"of": scores.count(), "parts": parts, "rules_are_the_same": is_same}


def _values(store: Store, rules: ScoreRules, row: Row) -> dict[str, Any]:
    """What the criteria have found of a customer."""
    of_customer = (F.col("as_of") == F.lit(row.as_of)) & (F.col("customer_id") == row.customer_id)
    [found] = store.read(CUSTOMER_STATE).where(of_customer).select(*(F.expr(item.value) for item in rules.criteria)).collect()
    return {item.name: value for item, value in zip(rules.criteria, found, strict=True)}


def show_text(page: dict[str, Any]) -> str:
    """The score of a customer for people."""
    has_values = page["rules_are_the_same"]
    rows = [
        [
            part["criterion"],
            signed(part["points"]),
            _plain(part["value"]) if has_values and part["criterion"] != score_rules.CAP else "",
            part["meaning"],
        ]
        for part in page["parts"]
    ]
    lines = [
        f"customer  {page['customer_id']}",
        f"as of     {page['as_of']}",
        f"score     {page['score']}  {page['colour']}, group from {page['points_from']}",
        f"rank      {page['rank']:,} of {page['of']:,}",
        "",
        text.as_table(("criterion", "points", "value", "meaning"), [*rows, ["sum", signed(page["score"]), "", ""]]),
    ]
    if not has_values:
        lines += [
            "",
            "conf/score.yml has changed since: these are the points as stored, without values; the next run scores anew",
        ]
    return "\n".join(lines)


def signed(points: Decimal) -> str:
    """Points with their sign, none with 0."""
    return f"{points:+}" if points else f"{points}"


def _plain(value: object) -> str:
    """A value without needless digits."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | Decimal):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)


def groups_text(rows: Sequence[Row]) -> str:
    """Groups for people, the best first."""
    names = ("points", "customers", "reached", "share", "revenue", "")
    most = max(row.customers for row in rows)
    lines = [
        [
            f"from {row.points_from}", f"{row.customers:,}", f"{row.customers_cumulative:,}", _percent(row.cumulative_share),
            f"{row.revenue:,} {row.currency}" if row.revenue is not None else "-", _bar(row.customers, most),
        ]
        for row in rows
    ]  # fmt: skip
    return f"as of {rows[0].as_of}\n{text.as_table(names, lines)}\nreached: customers in this group or a higher one"


def _percent(share: Decimal) -> str:
    return f"{100 * share:.1f} %"


def _bar(count: int, most: int) -> str:
    return "#" * (max(1, round(WIDTH * count / most)) if count else 0)


def statistics(scores: DataFrame) -> dict[str, Any]:
    """Number, mean, quartiles, colours, and for each criterion the mean points and how many got points or lost some."""
    [names] = scores.select(F.map_keys("points")).limit(1).collect()[0]
    quartiles = F.percentile("score", F.array(*map(F.lit, (0.0, 0.25, 0.5, 0.75, 1.0))))
    per_name = [column for number, name in enumerate(names) for column in _of_criterion(number, F.col("points")[name])]
    [row] = scores.agg(
        F.max("as_of").alias("as_of"),
        F.count(F.lit(1)).alias("customers"),
        F.avg("score").cast("decimal(14,2)").alias("mean"),
        quartiles.alias("quartiles"),
        *per_name,
    ).collect()
    colours = scores.groupBy("colour").agg(F.count(F.lit(1)).alias("customers"), F.min("score").alias("least")).collect()
    quarters = [Decimal(str(value)).quantize(Decimal("0.01")) for value in row.quartiles]
    return {
        "as_of": row.as_of,
        "customers": row.customers,
        "mean": row["mean"],
        **dict(zip(_QUARTILES, quarters, strict=True)),
        "colours": [
            {"colour": item.colour, "customers": item.customers}
            for item in sorted(colours, key=lambda item: item.least, reverse=True)
        ],
        "criteria": [
            {
                "criterion": name, "mean_points": row[f"_mean_{number}"],
                "gained": row[f"_gained_{number}"], "lost": row[f"_lost_{number}"],
            }
            for number, name in enumerate(names)
        ],
    }  # fmt: skip


def _of_criterion(number: int, points: Column) -> tuple[Column, Column, Column]:
    return (
        F.avg(points).cast("decimal(14,2)").alias(f"_mean_{number}"),
        F.count_if(points > 0).alias(f"_gained_{number}"),
        F.count_if(points < 0).alias(f"_lost_{number}"),
    )


def statistics_text(page: dict[str, Any]) -> str:
    """Statistics to print."""
    most = max(item["customers"] for item in page["colours"])
    width = max(len(item["colour"]) for item in page["colours"])
    colours = [
        f"  {item['colour']:<{width}}  {item['customers']:>9,}  {100 * item['customers'] / page['customers']:5.1f} %  "
        f"{_bar(item['customers'], most)}"
        for item in page["colours"]
    ]
    criteria = [
        [item["criterion"], signed(item["mean_points"]), f"{item['gained']:,}", f"{item['lost']:,}"] for item in page["criteria"]
    ]
    return "\n".join(
        [
            f"quality scores as of {page['as_of']}",
            "",
            f"  customers       {page['customers']:>12,}",
            f"  mean            {page['mean']:>12}",
            f"  least           {page['least']:>12}",
            f"  lower quartile  {page['lower_quartile']:>12}",
            f"  median          {page['median']:>12}",
            f"  upper quartile  {page['upper_quartile']:>12}",
            f"  greatest        {page['greatest']:>12}",
            "",
            *colours,
            "",
            text.as_table(("criterion", "mean points", "gained points", "lost points"), criteria),
        ]
    )
