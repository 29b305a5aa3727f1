"""What holds for every record: normalising twice changes nothing, and the order of two records means nothing."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from identity_duckdb import Laboratory
from make_customers import make_customers, to_parties

from tillhouse.config import read_model
from tillhouse.identity import normalise
from tillhouse.identity.compare import COMPARISONS, SIMILARITIES
from tillhouse.identity.model import load_model
from tillhouse.identity.records import comparable, to_comparable
from tillhouse.identity.rules import IdentityRules

CONF = Path(__file__).resolve().parents[2] / "conf"
AS_OF = date(2025, 6, 1)
NONE_KNOWN: dict[str, dict[str, float]] = {"given": {}, "family": {}}
LETTERS = "aeiouyäöüßAEOU éøłñ'-.,/&@+0123456789(:) bcdfghklmnrstwz"


def texts(seed: int) -> list[str]:
    """Values of made customers and strings of any letters."""
    draw = random.Random(seed)
    made = make_customers(40, seed)
    known = [
        text
        for name in ("given_name", "family_name", "street", "city", "email", "phone", "company")
        for text in made[name].dropna()
    ]
    return known + ["".join(draw.choices(LETTERS, k=draw.randrange(1, 25))) for _ in range(300)]


@pytest.mark.parametrize("seed", range(5))
def test_normalising_twice_is_normalising_once(seed: int) -> None:
    for text in texts(seed):
        assert normalise.fold(normalise.fold(text)) == normalise.fold(text)
        assert normalise.words(" ".join(normalise.words(text))) == normalise.words(text)
        assert normalise.clean(normalise.clean(text)) == normalise.clean(text)
        if number := normalise.phone(text, "DE"):
            assert normalise.phone(number, "CH") == number
        if address := normalise.email(text):
            assert normalise.email(address) == address
            mailbox = normalise.comparable_email(address)
            assert normalise.comparable_email(mailbox) == mailbox
        if card := normalise.card_number(text, None):
            assert normalise.card_number(card, None) == card
        if place := normalise.city(text):
            assert normalise.city(place) == place
        name = normalise.person_name(text, None)
        assert normalise.person_name(" ".join(name.given), None).given == name.given


def test_the_order_of_two_records_means_nothing() -> None:
    """Levels, odds and decisions of (a, b) are those of (b, a)."""
    rules = read_model(IdentityRules, CONF / "identity.yml")
    model = load_model(CONF / "identity_model.json", COMPARISONS)
    parties = to_parties(make_customers(300, seed=5))
    found = []
    for ordered in (parties, parties.iloc[::-1]):
        laboratory = Laboratory(to_comparable(ordered, model.frequencies, AS_OF, rules.region, rules.check_digit))
        laboratory.block(rules.blocking, rules.block_limit)
        laboratory.compare(rules.compared, SIMILARITIES)
        pairs = laboratory.decide(rules, model, rules.compared)
        names = list(ordered["party_key"])
        first, second = ([names[number] for number in pairs[side]] for side in ("left", "right"))
        pairs["pair"] = [tuple(sorted(both)) for both in zip(first, second, strict=True)]
        found.append(pairs.drop(columns=["left", "right", "left_source", "right_source"]).sort_values("pair", ignore_index=True))
    assert len(found[0]) > 500
    pd.testing.assert_frame_equal(found[0], found[1])


PARTY: dict[str, object] = dict.fromkeys(
    ("card_number", "customer_number", "given_name", "family_name", "contact_person", "company", "birth_date", "emails",
    "phones", "street",
     "postal_code", "city", "country", "tax_id")
) | {"party_key": "1", "source": "crm"}  # fmt: skip


def test_the_same_person_written_in_two_ways_is_the_same_record() -> None:
    one = PARTY | {
        "given_name": "Hans-Jörg", "family_name": "Müller", "street": "Königstraße 12 a", "postal_code": "CH-8001",
        "city": "Zürich",
        "country": "Schweiz", "phones": ["044 668 18 00"], "emails": ["Hans.Mueller+shop@googlemail.com"],
        "birth_date": date(1980, 1, 2),
    }  # fmt: skip
    other = PARTY | {
        "given_name": "HANS JOERG", "family_name": "Dr. Mueller", "street": "Koenigstr. 12A", "postal_code": "8001",
        "city": "Zuerich",
        "country": "CH", "phones": ["+41 (0)44 668 18 00", "0000000"], "emails": ["hansmueller@gmail.com", "kunde@laden.de"],
        "birth_date": date(1980, 1, 2),
    }  # fmt: skip
    assert comparable(one, NONE_KNOWN, AS_OF, "DE", None) == comparable(other, NONE_KNOWN, AS_OF, "DE", None)


def test_an_empty_record_says_nothing() -> None:
    found = comparable(PARTY, NONE_KNOWN, AS_OF, "DE", None)
    assert {name for name, value in found.items() if value is not None} == {"record_id", "source"}


def test_the_contact_of_a_company_is_its_person() -> None:
    found = comparable(PARTY | {"company": "Holz G.m.b.H.", "contact_person": "Frau Anna Berg"}, NONE_KNOWN, AS_OF, "DE", None)
    assert (found["company"], found["given"], found["family"]) == ("holz", "anna", "berg")
