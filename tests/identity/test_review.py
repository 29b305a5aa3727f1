"""What a steward is asked: few questions, masked, and the same tomorrow."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from tillhouse.config import read_model, to_model
from tillhouse.errors import ConfigError
from tillhouse.identity.review import decided_pairs, masked, to_questions, with_state
from tillhouse.identity.rules import IdentityRules, Review
from tillhouse.tables.silver import IDENTITY_DECISION, IDENTITY_REVIEW, PARTY_LINK, PARTY_WITHOUT_CUSTOMER
from tillhouse.tables.vault import IDENTITY_RECORD

CONF = Path(__file__).resolve().parents[2] / "conf"
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
Link = tuple[str, str, str, str | None, float]


def links(spark: SparkSession, rows: list[Link]) -> DataFrame:
    """Left, right, decision, contradiction, log_odds."""
    full = [
        (left, right, decision, "score" if decision == "auto" else None, contradiction, odds,
         {"given_name": "same", "phone": "missing"}, ["name"])
        for left, right, decision, contradiction, odds in rows
    ]  # fmt: skip
    return spark.createDataFrame(full, PARTY_LINK.struct)


def customers(spark: SparkSession, of: str) -> DataFrame:
    """``a:1 b:1 c:2``: records and their customers."""
    return spark.createDataFrame([tuple(item.split(":")) for item in of.split()], "party_key STRING, customer_id STRING")


def _with_text(records: DataFrame) -> DataFrame:
    """As the vault hands them over."""
    return records.withColumn("birth_date", records.birth_date.cast("string"))


def decisions(spark: SparkSession, *rows: tuple[str, str, str, str, int, bool]) -> DataFrame:
    """Id, kind, left, right, minute of the decision, whether it was taken back."""
    full = [
        (number, kind, list(left), list(right), None, f"q-{number}", None, f"by {number}", NOON + timedelta(minutes=minute),
         "ben" if undone else None, NOON if undone else None)
        for number, kind, left, right, minute, undone in rows
    ]  # fmt: skip
    return spark.createDataFrame(full, IDENTITY_DECISION.struct)


def ask(
    spark: SparkSession,
    of: str,
    found: list[Link],
    *,
    unclear: dict[str, list[str]] | None = None,
    decided: str = "",
    values: dict[str, int] | None = None,
    records: list[dict[str, object]] | None = None,
) -> dict[str, Row]:
    """The questions by their record; ``decided``: ``ab cd``."""
    without = [(party, "unclear", candidates) for party, candidates in (unclear or {}).items()] + [("till", "staff_card", None)]
    rows = [{**dict.fromkeys(IDENTITY_RECORD.column_names), "content_hash": 1, **record} for record in records or []]
    questions = to_questions(
        customers(spark, of),
        links(spark, found),
        spark.createDataFrame(without, PARTY_WITHOUT_CUSTOMER.struct),
        decided=spark.createDataFrame([(pair[0], pair[1]) for pair in decided.split()], "left STRING, right STRING"),
        values=spark.createDataFrame(
            [(party, Decimal(amount)) for party, amount in (values or {}).items()],
            "party_key STRING, value_amount DECIMAL(18,2)",
        ),
        records=spark.createDataFrame(
            [tuple(row[name] for name in IDENTITY_RECORD.column_names) for row in rows], IDENTITY_RECORD.struct
        ).transform(_with_text),
    ).collect()
    by_record = {row.party_key: row for row in questions}
    assert len(by_record) == len(questions)
    return by_record


def test_a_possible_link_is_one_question_to_the_smaller_key(spark: SparkSession) -> None:
    [question] = ask(spark, "a:1 b:2", [("a", "b", "review", None, 2.2)]).values()
    assert (question.party_key, question.party_keys, question.reason) == ("a", ["a", "b"], "possible")
    assert json.loads(question.evidence) == {
        "customer_id": "1",
        "candidates": [{"customer_id": "2", "party_key": "b", "log_odds": 2.2, "levels": {"given_name": "same"}}],
    }


def test_what_is_one_customer_is_not_asked(spark: SparkSession) -> None:
    assert ask(spark, "a:1 b:1", [("a", "b", "auto", None, 9.0)]) == {}


def test_a_record_with_several_doubts_is_one_question_nearest_first(spark: SparkSession) -> None:
    found = ask(spark, "a:1 b:2 z:3", [("a", "z", "review", None, 2.1), ("b", "z", "review", None, 2.4)])
    assert {record: row.party_keys for record, row in found.items()} == {"z": ["z", "b", "a"]}


def test_of_one_customer_the_nearest_record_is_asked(spark: SparkSession) -> None:
    found = ask(
        spark,
        "a:1 b:2 c:2 d:2",
        [("a", "b", "review", None, 2.1), ("a", "c", "review", None, 2.4), ("a", "d", "review", None, 2.4)],
    )
    assert {record: row.party_keys for record, row in found.items()} == {"a": ["a", "c"]}


def test_two_customers_with_many_links_are_one_question(spark: SparkSession) -> None:
    pairs: list[Link] = [(left, right, "review", None, 2.0) for left in "ab" for right in "yz"]
    assert {record: row.party_keys for record, row in ask(spark, "a:1 b:1 y:2 z:2", pairs).items()} == {"a": ["a", "y"]}


def test_reasons_say_why_it_is_asked(spark: SparkSession) -> None:
    found = ask(
        spark,
        "a:1 b:2 c:3 d:4 e:5 m:8 n:9",
        [("a", "b", "auto", None, 5.0), ("b", "c", "auto", None, 5.5), ("d", "e", "review", "first_name", 3.0)],
        unclear={"x": ["n", "m"]},
    )
    assert {record: row.reason for record, row in found.items()} == {"b": "between_two", "d": "contradiction", "x": "unclear"}
    assert found["x"].party_keys == ["x", "m", "n"]


def test_what_a_person_has_decided_about_two_customers_is_not_asked_again(spark: SparkSession) -> None:
    """Not even by other records of the same two."""
    pairs: list[Link] = [("a", "z", "review", None, 2.0), ("b", "z", "review", None, 2.0), ("c", "z", "auto", None, 4.0)]
    found = ask(spark, "a:1 b:1 c:3 z:2", pairs, decided="az")
    assert {record: row.party_keys for record, row in found.items()} == {"c": ["c", "z"]}
    assert ask(spark, "m:1 n:2", [], unclear={"x": ["m", "n"]}, decided="mx nx") == {}


def test_the_value_is_that_of_all_customers_in_question(spark: SparkSession) -> None:
    found = ask(
        spark,
        "a:1 card:1 b:2 m:3",
        [("a", "b", "review", None, 2.2)],
        unclear={"x": ["m"]},
        values={"card": 50, "b": 7, "x": 3, "nobody": 1000},
    )
    assert {record: row.value_amount for record, row in found.items()} == {"a": Decimal("57.00"), "x": Decimal("3.00")}


ANNA: dict[str, object] = {
    "record_id": "a", "source": "crm", "given": "anna-maria", "family": "szczepanski", "birth_date": date(1980, 2, 3),
    "postal_code": "80331", "city": "munchen", "street": "lindenstrasse", "emails": ["anna.s@example.com"],
    "email_names": ["anna.s"], "phones": ["+498912345678"], "cards": ["2900000000017"], "customer_numbers": ["4711"],
    "company": "lindenbau",
}  # fmt: skip


def test_evidence_holds_nothing_in_clear(spark: SparkSession) -> None:
    found = ask(
        spark,
        "a:1 b:2",
        [("a", "b", "review", None, 2.2)],
        records=[ANNA, {"record_id": "b", "family": "szczepanski"}],
    )
    evidence = json.loads(found["a"].evidence)
    assert evidence["masked"] == {
        "source": "crm", "name": "A*** S***", "company": "L***", "birth_year": "1980", "postal_code": "80***",
        "emails": ["a***@e***"], "phones": ["***78"], "cards": ["***17"], "customer_numbers": ["***"],
    }  # fmt: skip
    assert evidence["candidates"][0]["masked"] == {"name": "S***"}
    clear = [ANNA[name] for name in ("given", "family", "birth_date", "postal_code", "city", "street", "company")]
    assert not [text for text in [*clear, "anna", "example", "4711", "2900"] if str(text) in found["a"].evidence]


def test_a_record_without_anything_is_masked_as_well(spark: SparkSession) -> None:
    row = {**dict.fromkeys(IDENTITY_RECORD.column_names), "record_id": "a", "content_hash": 1}
    records = spark.createDataFrame([tuple(row[name] for name in IDENTITY_RECORD.column_names)], IDENTITY_RECORD.struct)
    assert set(masked(records).collect()[0].masked.asDict().values()) == {None}


def test_of_two_decisions_the_later_counts_and_one_taken_back_does_not(spark: SparkSession) -> None:
    made = decisions(
        spark,
        ("1", "together", "b", "a", 1, False),
        ("2", "apart", "a", "bc", 2, False),
        ("3", "together", "c", "a", 3, True),
    )
    found = {(row.left, row.right): (row.kind, row.decision_id) for row in decided_pairs(made).collect()}
    assert found == {("a", "b"): ("apart", "2"), ("a", "c"): ("apart", "2")}


QUESTION = ("q-1", "a", ["a", "b"], "possible", "{}", Decimal("5.00"))
ASKED = "review_id STRING, party_key STRING, party_keys ARRAY<STRING>, reason STRING, evidence STRING, value_amount DECIMAL(18,2)"


def state(
    spark: SparkSession, asked: list[tuple[object, ...]], stored: DataFrame | None, day: int, made: DataFrame | None = None
) -> DataFrame:
    return with_state(
        spark.createDataFrame(asked, ASKED),
        stored if stored is not None else spark.createDataFrame([], IDENTITY_REVIEW.struct),
        made if made is not None else decisions(spark),
        owner=f"owner of day {day}",
        due=timedelta(days=7),
        escalate_to="head-office",
        run_id=f"run {day}",
        seen_at=NOON + timedelta(days=day),
    ).localCheckpoint()


def only(rows: DataFrame) -> Row:
    [row] = rows.collect()
    return row


def test_the_same_question_tomorrow_is_the_same_row(spark: SparkSession) -> None:
    first = state(spark, [QUESTION], None, day=0)
    row = only(first)
    assert (row.status, row.owner, row.first_seen_run, row.escalate_to) == ("open", "owner of day 0", "run 0", "head-office")
    assert row.due_at - row.opened_at == timedelta(days=7)
    assert only(state(spark, [QUESTION], first, day=1)) == row


def test_a_question_that_is_no_longer_asked_is_gone_and_may_come_back(spark: SparkSession) -> None:
    gone = state(spark, [], state(spark, [QUESTION], None, day=0), day=1)
    assert (only(gone).status, only(gone).party_keys, only(gone).owner) == ("gone", ["a", "b"], "owner of day 0")
    again = only(state(spark, [QUESTION], gone, day=2))
    assert (again.status, again.owner, again.first_seen_run) == ("open", "owner of day 2", "run 0")
    assert again.opened_at - only(gone).opened_at == timedelta(days=2)


def test_an_answered_question_is_decided_until_the_answer_is_taken_back(spark: SparkSession) -> None:
    asked = state(spark, [QUESTION], None, day=0)
    decided = state(spark, [], asked, day=1, made=decisions(spark, ("1", "together", "a", "b", 1, False)))
    row = only(decided)
    assert (row.status, row.decision, row.decided_by) == ("decided", "same:b", "by 1")
    taken_back = decisions(spark, ("1", "together", "a", "b", 1, True))
    row = only(state(spark, [QUESTION], decided, day=2, made=taken_back))
    assert (row.status, row.decision, row.opened_at) == ("open", None, only(asked).opened_at)
    apart = decisions(spark, ("1", "apart", "a", "bc", 1, False))
    assert only(state(spark, [], asked, day=1, made=apart)).decision == "different"


def test_conf_says_who_answers_until_when() -> None:
    assert read_model(IdentityRules, CONF / "identity.yml").review == Review(escalate_to="head-office")
    assert to_model(Review, {"due": "12 hours"}, "identity.yml").due == timedelta(hours=12)
    with pytest.raises(ConfigError, match="'soon' is no duration; write for example 3 days or 12 hours"):
        to_model(Review, {"due": "soon"}, "identity.yml")
