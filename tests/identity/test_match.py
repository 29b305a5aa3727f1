"""From records to customers, by Spark and by DuckDB: the same pairs, levels, odds and customers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from identity_duckdb import Laboratory
from make_customers import make_customers, to_parties
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.config import read_model
from tillhouse.identity.block import count_by_rule, to_pairs, with_blocks
from tillhouse.identity.compare import COMPARISONS, SIMILARITIES
from tillhouse.identity.match import Before, Customers, Matching, automatic, match, match_changed, normalise, to_customers
from tillhouse.identity.model import IdentityModel, load_model
from tillhouse.identity.records import to_comparable
from tillhouse.identity.rules import BlockingRule, IdentityRules
from tillhouse.identity.shared import shared_values
from tillhouse.tables.vault import PARTY

CONF = Path(__file__).resolve().parents[2] / "conf"
AS_OF = date(2025, 6, 1)


def checkpoint(rows: DataFrame) -> DataFrame:
    return rows.localCheckpoint()


@dataclass(frozen=True)
class Both:
    """The same records matched by Spark and by DuckDB; ``names`` are the records in DuckDB's order."""

    matching: Matching
    customers: Customers
    pairs: pd.DataFrame
    labels: dict[str, str]
    names: list[str]


@pytest.fixture(scope="module")
def rules() -> IdentityRules:
    return read_model(IdentityRules, CONF / "identity.yml")


@pytest.fixture(scope="module")
def model() -> IdentityModel:
    return load_model(CONF / "identity_model.json", COMPARISONS)


def in_comparable_form(spark: SparkSession, parties: pd.DataFrame, rules: IdentityRules, model: IdentityModel) -> DataFrame:
    columns = [name for name in parties.columns if name not in ("emails", "phones", "birth_date", "title")]
    schema = ", ".join([*(f"{name} STRING" for name in columns), "emails ARRAY<STRING>, phones ARRAY<STRING>, birth_date DATE"])
    rows = parties[[*columns, "emails", "phones", "birth_date"]].itertuples(index=False, name=None)
    return checkpoint(normalise(spark.createDataFrame(list(rows), schema), rules, model, AS_OF))


@pytest.fixture(scope="module")
def both(spark: SparkSession, rules: IdentityRules, model: IdentityModel) -> Both:
    rates = {"household_of_two_or_more": 0.9, "father_and_son": 0.3, "twins": 0.3, "shared_email": 0.4, "one_field_only": 0.1}
    parties = to_parties(make_customers(300, seed=7, rates=rates))
    comparable = in_comparable_form(spark, parties, rules, model)
    matching = match(comparable, rules, model, checkpoint)
    records = to_comparable(parties, model.frequencies, AS_OF, region=rules.region, check_digit=rules.check_digit)
    records = records.sort_values("record_id", ignore_index=True)
    laboratory = Laboratory(records)
    laboratory.drop_shared_values(rules.shared_values)
    laboratory.block(rules.blocking, rules.block_limit)
    laboratory.compare(rules.compared, SIMILARITIES)
    pairs = laboratory.decide(rules, model, rules.compared)
    clusters = laboratory.cluster(pairs, rules, model, rules.compared, SIMILARITIES)
    names = list(records["record_id"])
    labels = {name: names[label] for name, label in zip(names, clusters.label.tolist(), strict=True)}
    customers = to_customers(automatic(matching.pairs), matching.records, rules, model)
    return Both(matching, customers, pairs, labels, names)


def test_spark_and_duckdb_compare_the_same_pairs_with_the_same_result(both: Both) -> None:
    columns = ["left", "right", *(comparison.name for comparison in COMPARISONS), "contradiction", "rule", "decision"]
    pairs = both.pairs.assign(left=[both.names[number] for number in both.pairs["left"]])
    pairs["right"] = [both.names[number] for number in both.pairs["right"]]
    expected = pairs.sort_values(["left", "right"], ignore_index=True)
    found = both.matching.pairs.toArrow().to_pandas().sort_values(["left", "right"], ignore_index=True)
    assert len(found) > 500
    pd.testing.assert_frame_equal(
        found[columns].astype(object).where(found[columns].notna(), None),
        expected[columns].astype(object).where(expected[columns].notna(), None),
    )
    assert (found["log_odds"] - expected["log_odds"]).abs().max() < 1e-6


def test_spark_and_duckdb_make_the_same_customers(both: Both) -> None:
    found = dict(both.customers.of_record.itertuples(index=False, name=None))
    linked = {name: label for name, label in both.labels.items() if name in found}
    assert found == linked
    alone = set(both.labels) - set(found)
    assert all(both.labels[name] == name for name in alone)


def test_no_customer_holds_a_contradiction(both: Both) -> None:
    of_record = dict(both.customers.of_record.itertuples(index=False, name=None))
    apart = both.matching.pairs.where("contradiction IS NOT NULL").select("left", "right").collect()
    assert len(apart) > 100
    together = [row for row in apart if row.left in of_record and of_record[row.left] == of_record.get(row.right)]
    assert together == []


def test_the_odds_in_sql_are_those_of_the_explanation(both: Both, model: IdentityModel) -> None:
    rows = both.matching.pairs.orderBy("log_odds", "left", "right").collect()
    for row in rows[:: max(1, len(rows) // 50)]:
        found = {comparison.name: row[comparison.name] for comparison in COMPARISONS}
        steps = model.explain(found)
        assert steps[-1].log_odds == pytest.approx(row.log_odds, abs=1e-6)
        assert sum(step.weight for step in steps) + steps[0].log_odds == pytest.approx(row.log_odds, abs=1e-6)


def test_the_columns_that_are_read_are_those_of_the_vault(both: Both) -> None:
    read = set(to_parties(make_customers(5, seed=1)).columns)
    assert read <= {field.split()[0] for field in PARTY.columns.strip().splitlines() if field.split()}
    assert both.names == sorted(both.names)


PEOPLE = "record_id STRING, given STRING, family STRING, postal_code STRING, emails ARRAY<STRING>"


def people(spark: SparkSession, rows: list[tuple[object, ...]]) -> DataFrame:
    return spark.createDataFrame(rows, PEOPLE)


def test_each_rule_tells_its_pairs_and_those_that_no_other_found(spark: SparkSession) -> None:
    records = people(
        spark,
        [("a", "anna", "berg", None, ["x@y.de", "z@y.de"]), ("b", "anna", "berg", None, ["z@y.de"]), ("c", "berg", "anna",
        None, None),
         ("d", None, "berg", None, ["x@y.de"])],
    )  # fmt: skip
    rules = {"email": BlockingRule(same=("emails",)), "name": BlockingRule(same=("given", "family"), in_any_order=True)}
    blocks, refused = with_blocks(records, rules, limit=10)
    pairs = to_pairs(blocks)
    found = {(row.left, row.right): row.rules for row in pairs.collect()}
    assert found == {("a", "b"): ["email", "name"], ("a", "c"): ["name"], ("b", "c"): ["name"], ("a", "d"): ["email"]}
    assert {tuple(row) for row in count_by_rule(pairs).collect()} == {("email", 2, 1), ("name", 3, 2)}
    assert refused.count() == 0


def test_a_block_above_the_limit_is_split_and_what_stays_too_large_is_refused(spark: SparkSession) -> None:
    rows = [(f"{code}{number}", "anna", "berg", code, None) for code, size in (("1", 2), ("2", 5)) for number in range(size)]
    records = people(spark, [*rows, ("x", "anna", "berg", None, None), ("y", "anna", "berg", None, None)])
    rules = {"name": BlockingRule(same=("given", "family"), split_by=("postal_code",))}
    blocks, refused = with_blocks(records, rules, limit=4)
    assert {(row.left, row.right) for row in to_pairs(blocks).collect()} == {("10", "11"), ("x", "y")}
    assert [(row.rule, row.records) for row in refused.collect()] == [("name", 5)]
    without = {"name": BlockingRule(same=("given", "family"))}
    blocks, refused = with_blocks(records, without, limit=4)
    assert to_pairs(blocks).count() == 0
    assert [(row.rule, row.records) for row in refused.collect()] == [("name", 9)]


def test_a_value_that_many_names_share_is_told(spark: SparkSession) -> None:
    rows = [
        (str(number), [card], sound, None)
        for number, (card, sound) in enumerate([("s", "1"), ("s", "2"), ("s", "3"), ("p", "1")])
    ]
    records = spark.createDataFrame(rows, "record_id STRING, cards ARRAY<STRING>, given_sound STRING, family_sound STRING")
    found = shared_values(records, {"cards": 2}).select("of_column", "value", "names", F.col("records").cast("int")).collect()
    assert [tuple(row) for row in found] == [("cards", "s", 3, 3)]


def test_what_has_changed_is_matched_as_among_all(spark: SparkSession, rules: IdentityRules, model: IdentityModel) -> None:
    """Records move, come and go: blocks grow above the limit and shrink below it, values become shared and are so no more."""
    small = rules.model_copy(update={"block_limit": 6, "shared_values": {"phones": 2, "emails": 2, "cards": 1}})
    rates = {"household_of_two_or_more": 0.9, "shared_email": 0.6, "twins": 0.3}
    parties = to_parties(make_customers(150, seed=3, rates=rates)).sort_values("party_key", ignore_index=True)
    first, later = parties.iloc[:-20], parties.iloc[10:].copy()
    for number, row in enumerate(later.index[::15]):
        for name in ("street", "postal_code", "city", "phones"):
            later.at[row, name] = later.at[later.index[number], name]
    before, after = (in_comparable_form(spark, some, small, model) for some in (first, later))
    hashed = [some.select(F.xxhash64(F.to_json(F.struct(*before.columns))), "record_id") for some in (before, after)]
    changed = hashed[0].exceptAll(hashed[1]).union(hashed[1].exceptAll(hashed[0])).select("record_id").distinct()
    then, wanted = (match(some, small, model, checkpoint) for some in (before, after))
    found = match_changed(after, changed, Before(before), rules=small, model=model, keep=checkpoint)

    def pairs(matching: Matching) -> set[tuple[object, ...]]:
        return {tuple(map(str, row)) for row in matching.pairs.select("left", "right", "log_odds", "decision").collect()}

    def refused(matching: Matching) -> set[tuple[object, ...]]:
        return {tuple(row) for row in matching.refused.select("rule", "block", "records").collect()}

    assert found.touched is not None
    assert found.blocks is not None
    touched = {row[0] for row in found.touched.collect()}
    kept = {pair for pair in pairs(then) if not touched & set(pair[:2])}
    assert kept | pairs(found) == pairs(wanted)
    assert kept
    looked_at = {tuple(row) for row in found.blocks.select("rule", "block").collect()}
    untouched = {block for block in refused(then) if block[:2] not in looked_at}
    assert untouched | refused(found) == refused(wanted)
    assert untouched
    assert {tuple(row) for row in found.shared.collect()} == {tuple(row) for row in wanted.shared.collect()}
    assert {row.value for row in then.shared.collect()} != {row.value for row in wanted.shared.collect()}
