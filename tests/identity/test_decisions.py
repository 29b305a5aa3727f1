"""What people decide, as pairs and groups: pure functions of rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pyspark.sql import Row, SparkSession

from tillhouse.identity.cluster import Links, cluster
from tillhouse.identity.decisions import Regrouped, regroup, to_decided
from tillhouse.identity.match import Decided
from tillhouse.identity.stable import assign


def decision(kind: str, left: list[str], right: list[str], hour: int, undone: bool = False) -> Row:
    at = datetime(2025, 1, 1, hour, tzinfo=UTC)
    return Row(
        decision_id=f"{kind}{hour}", kind=kind, left_keys=left, right_keys=right, decided_at=at, undone_at=at if undone else None
    )


def test_the_later_of_two_decisions_about_the_same_records_counts_whatever_the_order_of_rows() -> None:
    rows = [decision("together", ["b"], ["a", "c"], 1), decision("apart", ["c"], ["b"], 2)]
    wanted = Decided(together=(("a", "b"),), apart=(("b", "c"),))
    assert to_decided(rows) == to_decided(reversed(rows)) == wanted


def test_a_decision_that_was_taken_back_leaves_the_one_before_it() -> None:
    rows = [decision("together", ["a"], ["b"], 1), decision("apart", ["a"], ["b"], 2, undone=True)]
    assert to_decided(rows) == Decided(together=(("a", "b"),))
    assert to_decided([decision("apart", ["a"], ["b"], 2, undone=True)]) == Decided(undone=(("a", "b"),))


def test_a_decision_comes_before_contradictions_odds_and_limits() -> None:
    links = Links.of(4, [(0, 1, 9.0), (2, 3, 9.0)])
    found = cluster(links, [(0, 3)], 3, 2.0, together=[(1, 2), (0, 3), (0, 1)])
    assert found.label.tolist() == [0, 0, 0, 0]
    found = cluster(links, [], 3, 2.0, apart=[(1, 0)])
    assert found.label.tolist() == [0, 1, 2, 2]


def test_of_decisions_that_cannot_all_hold_those_that_keep_apart_do() -> None:
    found = cluster(Links.of(3, []), [], 12, 2.0, together=[(0, 1), (1, 2)], apart=[(0, 2)])
    assert found.label[0] != found.label[2]
    assert found.label[1] in (found.label[0], found.label[2])


def test_a_card_that_is_decided_to_be_a_customers_takes_all_tills_with_it() -> None:
    groups = {"till card": "card_number:9", "crm": "crm"}
    found = regroup(Decided(together=(("crm", "till card"),)), groups, {"till card"}, {})
    assert found == Regrouped(renamed={"card_number:9": "crm"})


def test_contacts_among_themselves_are_left_to_their_links() -> None:
    assert regroup(Decided(together=(("a", "b"),), apart=(("a", "c"),)), {"a": "a", "b": "b", "c": "a"}, set(), {}) == Regrouped()


def test_a_card_that_is_kept_apart_from_its_contact_stands_alone() -> None:
    found = regroup(Decided(apart=(("card", "crm"),)), {"card": "crm", "crm": "crm"}, {"card"}, {})
    assert found == Regrouped(moved={"card": "alone:card"})
    assert regroup(Decided(apart=(("card", "crm"),)), {"card": "shop", "crm": "crm"}, {"card"}, {}) == Regrouped()


def test_what_is_unclear_is_decided_by_naming_the_customer_or_by_leaving_only_one() -> None:
    groups = {"desk": None, "crm": "crm", "shop": "shop"}
    asked = {"desk": ["crm", "shop"]}
    assert regroup(Decided(together=(("crm", "desk"),)), groups, {"desk"}, asked) == Regrouped(moved={"desk": "crm"})
    assert regroup(Decided(apart=(("crm", "desk"),)), groups, {"desk"}, asked) == Regrouped(moved={"desk": "shop"})
    both = Decided(apart=(("crm", "desk"), ("desk", "shop")))
    assert regroup(both, groups, {"desk"}, asked) == Regrouped(moved={"desk": "alone:desk"})


MEMBERS, CLAIMS = (
    "party_key STRING, `group` STRING",
    "party_key STRING, customer_id STRING, is_former BOOLEAN, valid_from_run STRING",
)


def assigned(
    spark: SparkSession, members: dict[str, str], claims: Sequence[tuple[object, ...]], fixed: dict[str, str]
) -> dict[str, str]:
    found = assign(
        spark.createDataFrame(list(members.items()), MEMBERS),
        spark.createDataFrame(claims, CLAIMS),
        spark.createDataFrame(list(fixed.items()), "`group` STRING, customer_id STRING"),
    ).collect()
    return {row["party_key"]: row["customer_id"] for row in found}


def test_a_merged_customer_keeps_the_oldest_id_and_a_split_one_leaves_it_with_most_records(spark: SparkSession) -> None:
    claims = [("a", "old", False, "1"), ("b", "young", False, "2"), ("c", "young", False, "2")]
    merged = assigned(spark, dict.fromkeys("abc", "g"), claims, {})
    assert set(merged.values()) == {"old"}
    split = assigned(spark, {"a": "g", "b": "h", "c": "h"}, [(key, "old", False, "1") for key in "abc"], {})
    assert split["b"] == split["c"] == "old"
    assert split["a"] not in ("old", "young")


def test_an_id_that_was_given_up_comes_back_and_one_of_others_is_not_taken(spark: SparkSession) -> None:
    claims = [("a", "old", False, "1"), ("b", "old", False, "3"), ("b", "young", True, "2")]
    assert assigned(spark, {"a": "g", "b": "h"}, claims, {}) == {"a": "old", "b": "young"}
    taken = assigned(spark, {"a": "customer:x", "b": "h"}, [("b", "x", False, "1")], {"customer:x": "x"})
    assert taken["a"] == "x"
    assert taken["b"] != "x"
