"""The model: estimated, frozen in a file, explained; and the rules of a chain, checked."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pytest

from tillhouse.config import read_model, read_yaml, to_model
from tillhouse.errors import ConfigError
from tillhouse.identity.compare import BY_NAME, COMPARISONS, MISSING
from tillhouse.identity.decide import contradiction_sql, decision_sql, rule_sql
from tillhouse.identity.estimate import estimate
from tillhouse.identity.model import IdentityModel, load_model
from tillhouse.identity.nicknames import roots
from tillhouse.identity.rules import IdentityRules

CONF = Path(__file__).resolve().parents[2] / "conf"
TWO = (BY_NAME["birth_date"], BY_NAME["phone"])


@pytest.fixture(scope="module")
def model() -> IdentityModel:
    return load_model(CONF / "identity_model.json", COMPARISONS)


@pytest.fixture(scope="module")
def rules() -> IdentityRules:
    return read_model(IdentityRules, CONF / "identity.yml")


def test_a_saved_model_is_read_as_it_was(model: IdentityModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model.json")
    again = load_model(tmp_path / "model.json", COMPARISONS)
    assert (again.levels, again.frequencies, again.about) == (model.levels, model.frequencies, model.about)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"classes": [], "shares": [], "levels": {}, "frequencies": {}, "about": {}}'])
def test_a_damaged_model_is_refused_with_a_remedy(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="train_identity"):
        load_model(tmp_path / "model.json", COMPARISONS)


def test_what_is_missing_says_nothing_and_agreement_speaks_for_one_person(model: IdentityModel) -> None:
    assert model.log_odds({"birth_date": MISSING}) == model.log_odds({})
    assert model.log_odds({"birth_date": "same"}) > model.log_odds({}) > model.log_odds({"birth_date": "differs"})


def test_the_same_rare_name_says_more_than_the_same_frequent_one(model: IdentityModel) -> None:
    alike = {"given_name": "same", "address": MISSING}
    rare, frequent = (model.log_odds(alike | {"family_name": level}) for level in ("same_rare", "same_frequent"))
    assert rare > frequent


def test_the_same_name_at_one_address_says_less_of_a_family_name_than_elsewhere(model: IdentityModel) -> None:
    """At one address a household shares the name; the step is weighed given what is known before it."""
    at_home = model.explain({"address": "same", "family_name": "same"})[-1].weight
    elsewhere = model.explain({"family_name": "same"})[-1].weight
    assert at_home < elsewhere + 1


def patterns(seed: int, count: int) -> list[tuple[tuple[str, str], bool]]:
    """Pairs of which a third are one person's: birth date and telephone agree by .9 and .8, else by .02 and .5."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        same = number % 3 == 0
        birth = "same" if draw.random() < (0.9 if same else 0.02) else "differs"
        phone = "same" if draw.random() < (0.8 if same else 0.5) else "differs"
        made.append(((birth, phone), same))
    return made


def test_decided_pairs_are_counted_as_decided() -> None:
    rows = patterns(1, 3000)
    found = estimate(TWO, [levels for levels, _ in rows], [1] * len(rows), [same for _, same in rows])
    assert found.levels["birth_date", "same"][0] == pytest.approx(0.9, abs=0.03)
    assert found.levels["phone", "same"][0] == pytest.approx(0.8, abs=0.04)
    assert found.shares[0] == pytest.approx(1 / 3, abs=0.01)


def test_an_attribute_that_a_sample_does_not_know_keeps_its_first_guess() -> None:
    found = estimate(TWO, [("same", MISSING), ("differs", MISSING)], [100, 200])
    person, household, namesake = found.levels["phone", "same"]
    assert person == household > 0.8
    assert namesake < 0.2


def decide(rules: IdentityRules, log_odds: float, levels: dict[str, str]) -> tuple[str | None, str | None, str]:
    """Contradiction, rule and decision of one pair."""
    values = {comparison.name: MISSING for comparison in COMPARISONS} | levels
    columns = ", ".join(f"'{level}' AS {name}" for name, level in values.items())
    inner = f"SELECT {columns}, {log_odds} AS log_odds, 'crm' AS left_source, 'crm' AS right_source"
    named = f"SELECT *, {contradiction_sql(rules)} AS contradiction, {rule_sql(rules)} AS rule FROM ({inner})"
    row = duckdb.execute(f"SELECT contradiction, rule, {decision_sql(rules)} FROM ({named})").fetchone()
    assert row is not None
    contradiction, rule, decision = row
    return contradiction, rule, decision


def test_high_odds_link_only_with_a_proof(rules: IdentityRules) -> None:
    assert decide(rules, 20, {"given_name": "same", "family_name": "same", "address": "same"}) == (None, None, "review")
    assert decide(rules, 20, {"given_name": "same", "email": "same"}) == (None, "score", "auto")
    assert decide(rules, rules.thresholds.auto - 0.1, {"email": "same"})[2] == "review"
    assert decide(rules, rules.thresholds.review - 0.1, {"email": "same"})[2] == "none"


def test_a_contradiction_is_never_linked(rules: IdentityRules) -> None:
    assert decide(rules, 20, {"given_name": "differs", "email": "same"}) == ("first_name", "score", "review")
    assert decide(rules, 20, {"birth_date": "differs", "email": "same"}) == ("birth_date", "score", "review")
    assert decide(rules, 20, {"birth_date": "differs", "card": "same"}) == (None, "score", "auto")


def test_a_key_links_below_the_threshold_unless_something_speaks_against_it() -> None:
    data = read_yaml(CONF / "identity.yml") | {
        "keys": {"card": {"between": [["crm", "crm"]], "unless": {"birth_date": ["differs"]}}}
    }
    keyed = to_model(IdentityRules, data, "identity.yml")
    assert decide(keyed, -5, {"card": "same"}) == (None, "card", "auto")
    assert decide(keyed, -5, {"card": "same", "birth_date": "differs"}) == (None, None, "none")
    other = to_model(IdentityRules, data | {"keys": {"card": {"between": [["crm", "shop"]]}}}, "identity.yml")
    assert decide(other, -5, {"card": "same"})[2] == "none"


def test_a_source_without_duplicates_has_no_two_records_of_one_customer(rules: IdentityRules) -> None:
    data = read_yaml(CONF / "identity.yml") | {"without_duplicates": ["crm"]}
    assert decide(to_model(IdentityRules, data, "identity.yml"), 20, {"card": "same"})[0] == "source_without_duplicates"
    assert decide(rules, 20, {"card": "same"})[0] is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"thresholds": {"auto": 1, "review": 2, "apart": -9}}, "must not be above"),
        ({"proof": {"birthdate": ["same"]}}, "did you mean 'birth_date'"),
        ({"proof": {"birth_date": ["sam"]}}, "did you mean 'same'"),
        ({"blocking": {"x": {"same": ["emial"]}}}, "did you mean 'email"),
        ({"blocking": {"x": {"same": ["emails", "phones"]}}}, "at most one"),
        ({"blocking": {}}, "blocking"),
        ({"shared_values": {"card": 3}}, "did you mean 'cards'"),
        ({"keys": {"cards": {}}}, "did you mean 'card'"),
        ({"contradictions": {"x": {"when": {}}}}, "when"),
        ({"treshold": 3}, "did you mean 'thresholds'"),
        ({"region": "Germany"}, "region"),
    ],
)
def test_a_mistake_in_the_rules_is_told_with_what_is_allowed(change: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        to_model(IdentityRules, read_yaml(CONF / "identity.yml") | change, "identity.yml")


@pytest.mark.parametrize(
    ("one", "other", "can_be_one"),
    [
        ("sepp", "josef", True), ("alex", "alexandra", True), ("alex", "alexander", True), ("alexandra", "alexander", False),
        ("lisa", "elisabeth", True), ("susi", "susanne", True), ("hans", "johannes", True), ("anna", "maria", False),
        ("thomas", "michael", False), ("zbigniew", "zbigniew", True),
    ],
)  # fmt: skip
def test_short_forms_of_a_name(one: str, other: str, can_be_one: bool) -> None:
    assert bool(set(roots(one)) & set(roots(other))) == can_be_one
