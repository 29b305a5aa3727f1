"""``tillhouse segment``: what is told of segments, of moves between them, and of one customer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.sql import DataFrame, SparkSession

from tillhouse.config import Config, load_config
from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.insight import segment_rules
from tillhouse.insight.segment_explain import Explained, Judged
from tillhouse.ops import segment_command
from tillhouse.ops.segment_command import Measures, as_text
from tillhouse.store import Store
from tillhouse.tables import ops
from tillhouse.tables.contract import Table
from tillhouse.tables.gold_customers import CUSTOMER_STATE
from tillhouse.tables.gold_segments import SEGMENT_MEMBER, SEGMENT_MOVE, SEGMENT_SIZE

ROOT = Path(__file__).resolve().parents[2]
APRIL, JULY = date(2017, 4, 1), date(2017, 7, 1)
LAST_WEEKS = """
rule_sets:
  - name: spend
    kind: exclusive
    segments:
      - {name: back, meaning: Brings back., when: return_rate > 0.5}
      - {name: big, meaning: Spends much., when: revenue_total >= big_revenue}
    other: small
  - name: lately
    kind: exclusive
    window_months: 3
    segments:
      - {name: any, meaning: Has bought., when: purchase_count > 0}
  - name: buyer
    kind: overlapping
    for_each: category_l1
    segments:
      - {name: buyer, meaning: Buys of it., when: category_share >= 0.3}
thresholds:
  big_revenue: {default: 100, regions: {Nord: 80}}
"""
FIELDS = (
    "as_of DATE, customer_id STRING, customer_type STRING, home_branch_id STRING, home_region STRING, currency STRING, "
    "first_purchase_date DATE, smallest_receipt_key STRING, last_purchase_date DATE, purchase_count BIGINT, "
    "revenue_total DECIMAL(18,2), return_rate DECIMAL(28,12)"
)


class Kept:
    """A lake that holds what it is given."""

    def __init__(self, tables: dict[Table, DataFrame]) -> None:
        self.tables = tables

    def exists(self, table: Table) -> bool:
        return table in self.tables or table is ops.RUN_STEP

    def read(self, table: Table) -> DataFrame:
        return self.tables[table]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "segments.yml").write_text(LAST_WEEKS, "utf-8")
    return replace(load_config(ROOT / "conf"), conf_dir=tmp_path)


@pytest.fixture
def lake(spark: SparkSession, config: Config) -> Kept:
    versions = {one.rule_set: one.version for one in segment_rules.load(config).definitions}

    def customer(name: str, day: date, revenue: str, receipt: str = "k1") -> tuple[Any, ...]:
        return (day, name, "B2C", "1", "Nord", "EUR", APRIL, receipt, APRIL, 3, Decimal(revenue), None)

    states = [customer("abcdef01", APRIL, "90"), customer("abcdef01", JULY, "90", "k2"), customer("abcdef02", JULY, "90"),
              customer("ffffff03", JULY, "99.50")]  # fmt: skip
    members = [(JULY, "spend", "big", versions["spend"], name, "1") for name in ("abcdef01", "abcdef02", "ffffff03")]
    sizes = [
        (APRIL, "spend", "small", versions["spend"], "1", "EUR", 7, Decimal("7.00"), Decimal(1)),
        (JULY, "spend", "big", versions["spend"], "1", "EUR", 2, Decimal("180.00"), Decimal("0.5")),
        (JULY, "spend", "big", versions["spend"], "2", "EUR", 1, Decimal("99.50"), Decimal("0.25")),
        (JULY, "lately", "any", "an old one", "1", "EUR", 1, Decimal("5.00"), Decimal(1)),
        (JULY, "buyer", "buyer: MEAT", versions["buyer"], "1", "EUR", 1, Decimal("90.00"), Decimal("0.2")),
    ]
    cells = {("big", "big"): 4, ("small", "big"): 2, ("none", "small"): 3}
    names = ("back", "big", "small", "none")
    moves = [
        ("spend", versions["spend"], APRIL, JULY, start, end, cells.get((start, end), 0), None)
        for start in names
        for end in names
    ]
    return Kept(
        {
            CUSTOMER_STATE: spark.createDataFrame(states, FIELDS),
            SEGMENT_MEMBER: spark.createDataFrame(members, SEGMENT_MEMBER.struct),
            SEGMENT_SIZE: spark.createDataFrame(sizes, SEGMENT_SIZE.struct),
            SEGMENT_MOVE: spark.createDataFrame(moves, SEGMENT_MOVE.struct),
        }
    )


def in_window(store: Store, as_of: date, months: int | None) -> DataFrame:
    """Nobody has bought in the last three months but this one."""
    assert months == 3
    states = store.read(CUSTOMER_STATE)
    return states.where((states.customer_id == "ffffff03") & (states.as_of == as_of))


def categories(store: Store, as_of: date, months: int | None) -> DataFrame:
    assert (as_of, months) == (JULY, None)
    rows = [(JULY, "abcdef01", "EUR", "MEAT", Decimal(30), Decimal("0.4"), 2)]
    names = (
        "as_of DATE, customer_id STRING, currency STRING, category_l1 STRING, category_revenue DECIMAL(18,2), "
        "category_share DECIMAL(28,12), category_purchase_count BIGINT"
    )
    return store.read(CUSTOMER_STATE).sparkSession.createDataFrame(rows, names)


def told(lake: Kept, config: Config, *arguments: str) -> list[str]:
    parser = argparse.ArgumentParser()
    segment_command.add_arguments(parser, lambda one: None)
    said: list[str] = []
    measures = Measures(in_window, categories)
    assert segment_command.run(parser.parse_args(arguments), config, lambda: cast(Store, lake), measures, said.append) == 0
    return "\n".join(said).splitlines()


def rows_of(lines: Sequence[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_segments_are_listed_with_their_size_on_the_last_day_also_those_that_nobody_is_in(lake: Kept, config: Config) -> None:
    lines = told(lake, config, "list")
    assert lines[0].startswith("as of 2017-07-01;")
    assert [line.split() for line in lines[3:]] == [
        ["spend", "back", "0", "-", "-", "-", "Brings", "back."],
        ["spend", "big", "3", "EUR", "279.50", "0.7500", "Spends", "much."],
        ["spend", "small", "0", "-", "-", "-", "Everybody", "else", "who", "has", "bought."],
        ["lately", "any", "1", "EUR", "5.00", "1.0000", "Has", "bought."],
        ["lately", "other", "0", "-", "-", "-", "Everybody", "else", "who", "has", "bought."],
        ["buyer", "buyer:", "MEAT", "1", "EUR", "90.00", "0.2000", "Buys", "of", "it."],
    ]
    [small] = [row for row in rows_of(told(lake, config, "list", "--as-of", "2017-04-01", "--json")) if row["customers"]]
    assert (small["segment"], small["customers"], small["as_of"]) == ("small", 7, "2017-04-01")


def test_members_are_listed_by_revenue_and_ties_by_their_first_purchase_never_by_their_id(lake: Kept, config: Config) -> None:
    lines = told(lake, config, "members", "spend", "big", "--limit", "2")
    assert [line.split()[0] for line in lines[2:]] == ["ffffff03", "abcdef02", "and"]
    assert lines[-1] == "and 1 more; --limit"
    assert rows_of(told(lake, config, "members", "spend", "big", "--json"))[2]["customer_id"] == "abcdef01"


def test_moves_are_a_matrix_with_sums(lake: Kept, config: Config) -> None:
    lines = told(lake, config, "moves", "spend")
    assert lines[0].startswith("from 2017-04-01 (rows) to 2017-07-01 (columns)")
    assert [line.split() for line in (lines[1], *lines[3:])] == [
        ["back", "big", "small", "none", "all"], ["back", "0", "0", "0", "0", "0"], ["big", "0", "4", "0", "0", "4"],
        ["small", "0", "2", "0", "0", "2"], ["none", "0", "0", "3", "0", "3"], ["all", "0", "6", "3", "0", "9"],
    ]  # fmt: skip
    assert sum(row["customers"] for row in rows_of(told(lake, config, "moves", "spend", "--json"))) == 9
    with pytest.raises(ConfigError, match="There are: 2017-04-01 to 2017-07-01"):
        told(lake, config, "moves", "spend", "--from", "2017-07-01")


def test_a_customer_is_explained_rule_by_rule_with_values_and_what_was_changed_is_said(lake: Kept, config: Config) -> None:
    assert told(lake, config, "explain", "abcdef01") == [
        "customer abcdef01 as of 2017-07-01",
        "",
        "spend: big",
        "  unknown  back: return_rate > 0.5",
        "           return_rate = not known",
        "  yes      big: revenue_total >= big_revenue",
        "           revenue_total = 90, big_revenue = 80",
        "",
        "lately, last 3 months: none",
        "  the rule set has been changed; gold follows with the next run",
        "  no purchase in the 3 months before this day",
        "",
        "buyer: buyer: MEAT",
        "  yes      buyer: MEAT: category_share >= 0.3",
        "           category_share = 0.4",
    ]
    [row] = rows_of(told(lake, config, "explain", "ffffff", "--rule-set", "lately", "--json"))
    assert (row["customer_id"], row["segments"], row["rules"][0]["values"]) == ("ffffff03", ["any"], {"purchase_count": 3})


def test_no_rule_that_fits_is_said_too() -> None:
    rules = (Judged("big", "revenue_total >= 100", False, {"revenue_total": Decimal("90.10")}),)
    assert as_text(Explained("spend", "v", None, ("other",), rules)).splitlines() == [
        "", "spend: other", "  no       big: revenue_total >= 100", "           revenue_total = 90.1", "  no rule fits",
    ]  # fmt: skip
    assert "nothing was bought" in as_text(Explained("buyer", "v", None, ("none",), ()))


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("moves", "spent"), r"no rule set 'spent' \(did you mean 'spend'\?\)"),
        (("moves", "buyer"), "buyer is overlapping: .* Exclusive ones are: spend, lately"),
        (("members", "spend", "bigg"), r"spend has no segment 'bigg' \(did you mean 'big'\?\)"),
        (("members", "buyer", "seller: MEAT"), "buyer has no segment 'seller'"),
        (("explain", "abcdef01", "--rule-set", "x"), "no rule set 'x'"),
    ],
)
def test_what_is_unknown_is_told_before_the_lake_is_opened(config: Config, arguments: tuple[str, ...], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        told(cast(Kept, None), config, *arguments)


def test_unknown_customers_and_days_and_a_lake_without_segments_are_told(lake: Kept, config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'abcdef' is ambiguous: abcdef01, abcdef02"):
        told(lake, config, "explain", "abcdef")
    with pytest.raises(ConfigError, match=r"not measured as of 2017-05-01\. There are: 2017-04-01, 2017-07-01"):
        told(lake, config, "explain", "abcdef01", "--as-of", "2017-05-01")
    with pytest.raises(TillhouseError, match=r"no gold\.segment_size yet"):
        told(Kept({}), config, "list")
    (tmp_path / "segments.yml").unlink()
    [line] = told(lake, config, "list")
    assert line.startswith("no segments: ")
