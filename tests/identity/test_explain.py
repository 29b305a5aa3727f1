"""Why two records are one customer or are not: in words, from levels, links and decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tillhouse.config import read_model
from tillhouse.identity.compare import COMPARISONS, MISSING
from tillhouse.identity.explain import (
    Decided,
    Explanation,
    Joint,
    Membership,
    Side,
    Verdict,
    as_text,
    judge,
    meaning,
    shortest_path,
    to_odds,
)
from tillhouse.identity.model import IdentityModel, load_model
from tillhouse.identity.rules import IdentityRules, Key

CONF = Path(__file__).resolve().parents[2] / "conf"
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def rules() -> IdentityRules:
    return read_model(IdentityRules, CONF / "identity.yml")


@pytest.fixture(scope="module")
def model() -> IdentityModel:
    return load_model(CONF / "identity_model.json", COMPARISONS)


def levels(**found: str) -> dict[str, str]:
    return {comparison.name: found.get(comparison.name, MISSING) for comparison in COMPARISONS}


def test_each_weight_is_told_in_words_and_the_odds_are_their_sum(model: IdentityModel, rules: IdentityRules) -> None:
    found = judge(
        levels(given_name="nickname", family_name="same", phone="same"), ("crm", "shop"), ("auto", "score"), model, rules
    )
    assert [(item.comparison, item.level) for item in found.weights] == [
        ("before", ""), ("given_name", "nickname"), ("family_name", "same"), ("phone", "same"),
    ]  # fmt: skip
    assert found.weights[1].meaning == "one is short for the other"
    assert found.log_odds == pytest.approx(found.weights[0].log_odds + sum(item.weight for item in found.weights))
    assert found.proofs == ("phone same",)
    assert found.contradictions == ()


def test_contradictions_are_those_of_conf_unless_something_proves_more(model: IdentityModel, rules: IdentityRules) -> None:
    def of(sources: tuple[str, str] = ("crm", "shop"), with_rules: IdentityRules = rules, **found: str) -> tuple[str, ...]:
        return judge(levels(**found), sources, ("none", None), model, with_rules).contradictions

    assert of(given_name="differs", family_name="same", email="same")[0] == "first_name (given_name differs)"
    assert of(given_name="differs", family_name="same", card="same") == ()
    assert of(given_name="same", family_name="same", email="same") == ()
    alone = rules.model_copy(update={"without_duplicates": ("crm",)})
    assert of(("crm", "crm"), alone, email="same") == ("source_without_duplicates (crm has each customer once)",)
    assert of(("crm", "shop"), alone, email="same") == ()
    assert of(given_name="differs", family_name="differs", birth_date="differs")[-1].startswith("odds (below 1 to ")


def test_a_key_holds_between_its_sources_only(model: IdentityModel, rules: IdentityRules) -> None:
    keyed = rules.model_copy(
        update={"keys": {"customer_number": Key(between=(("crm", "shop"),), unless={"given_name": ("differs",)})}}
    )

    def of(one: str, other: str, **found: str) -> tuple[str, ...]:
        return judge(levels(customer_number="same", **found), (one, other), ("auto", None), model, keyed).keys

    assert of("crm", "shop") == of("shop", "crm") == ("customer_number",)
    assert of("crm", "web") == of("crm", "shop", given_name="differs") == ()


def test_the_path_is_the_shortest_and_of_equals_the_surest() -> None:
    joints = [
        Joint("a", "b", "linked by score", 9.0), Joint("b", "d", "linked by score", 9.0), Joint("a", "c", "linked by score", 3.0),
        Joint("c", "d", "put together by anna"), Joint("a", "e", "linked by score", 5.0), Joint("e", "d", "linked by score", 5.0),
    ]  # fmt: skip
    assert [(joint.left, joint.right) for joint in shortest_path(joints, "a", "d")] == [("a", "b"), ("b", "d")]
    assert [(joint.left, joint.right) for joint in shortest_path(joints, "d", "c")] == [("c", "d")]
    assert shortest_path(joints, "a", "x") == ()
    assert shortest_path([], "a", "b") == ()


def test_odds_are_told_as_people_say_them() -> None:
    assert (to_odds(0), to_odds(5), to_odds(-5), to_odds(1.5)) == ("1.0 to 1", "32 to 1", "1 to 32", "2.8 to 1")
    assert meaning("phone", "differs") == "not the same"


VERDICT = Verdict(3.0, "review", None, (), (), (), ())
TWO = Explanation(Side("record-a", "1", "crm", True), Side("record-b", "2", "shop", True), VERDICT, None, (), ())
ONE = replace(TWO, right=Side("record-b", "1", "shop", True), path=(Joint("record-a", "record-b", "linked by score", 9.0),))
APART, TOGETHER = (Decided("decision-1", kind, "anna", NOON) for kind in ("apart", "together"))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (TWO, "Two customers: the evidence is not enough without a person's answer."),
        (replace(TWO, verdict=replace(VERDICT, decision="none")), "Two customers: the evidence is not enough."),
        (replace(TWO, verdict=replace(VERDICT, decision="auto")), "the link is not followed, because a record of one"),
        (replace(TWO, verdict=replace(VERDICT, contradictions=("tax_id (tax_id differs)",))), "(tax_id differs) contradicts."),
        (replace(TWO, verdict=None), "Two customers: nothing joins them."),
        (replace(TWO, decided=APART), "Two customers: decision decision by anna (2025-03-01) keeps them apart."),
        (replace(TWO, decided=TOGETHER), "puts them together; the next run does so."),
        (ONE, "One customer: linked by score."),
        (replace(ONE, decided=TOGETHER), "One customer: linked by score."),
        (replace(ONE, decided=APART), "keeps them apart; the next run does so."),
        (replace(ONE, path=(*ONE.path, *ONE.path)), "joined over 1 other records"),
        (replace(ONE, path=()), "by an earlier run; no link is stored"),
        (
            replace(ONE, path=(), right=Side("record-b", "1", "till", False),
                    history=(Membership("record-b", "1", "card", None, "run 1", None),)),
            "the record record-b is joined by card",
        ),
    ],
)  # fmt: skip
def test_the_conclusion_says_why(found: Explanation, said: str) -> None:
    assert said in found.conclusion
    assert found.conclusion in as_text(found)
