"""The customers of the demo chain: the same on every machine, in contradictory records whose true person is known."""

from __future__ import annotations

from collections import Counter

import phonenumbers
from demo_chain.party_records import CRM, LOYALTY, SHOP, make_records
from demo_chain.people import make_people, of_households

HOUSEHOLDS = [(number, f"29{number:011d}", "35-44" if number % 2 else None) for number in range(1, 401)]
PEOPLE = make_people(HOUSEHOLDS, seed=2017)
RECORDS = make_records(PEOPLE, seed=2017)


def test_a_household_has_the_same_people_in_whatever_selection() -> None:
    alone = make_people(HOUSEHOLDS[10:11], seed=2017)
    assert alone == [person for person in PEOPLE if person.household_id == 11]
    assert make_people(HOUSEHOLDS[10:11], seed=2018) != alone


def test_a_partner_shares_address_card_and_telephone_but_neither_name_nor_e_mail() -> None:
    first = of_households(PEOPLE)
    partners = [person for person in PEOPLE if person.person_id.endswith("B")]
    assert partners
    for person in partners:
        other = first[person.household_id]
        assert (person.street, person.card_number, person.phone) == (other.street, other.card_number, other.phone)
        assert (person.given_name, person.email) != (other.given_name, other.email)


def test_ages_are_those_of_the_data_where_they_tell_them() -> None:
    told = [person for person in PEOPLE if person.household_id % 2 and not person.person_id.endswith("B")]
    assert all(1972 <= person.birth_date.year <= 1981 for person in told)


def test_every_record_is_of_a_person_and_has_an_id_of_its_own() -> None:
    known = {person.person_id for person in PEOPLE}
    assert {record.person_id for record in RECORDS} <= known
    assert len({(record.source, record.source_id) for record in RECORDS}) == len(RECORDS)
    assert {record.source for record in RECORDS} == {LOYALTY, CRM, SHOP}


def test_what_differs_is_named_and_nothing_else_differs() -> None:
    true = {person.person_id: person for person in PEOPLE}
    for record in RECORDS:
        assert (record.told == true[record.person_id]) == (record.differs == ())
    kinds = Counter(kind for record in RECORDS for kind in record.differs)
    assert min(kinds.values()) > 5
    assert len(kinds) == 9


def test_some_persons_are_twice_in_the_crm() -> None:
    copies = Counter(record.person_id for record in RECORDS if record.source == CRM)
    assert 0 < sum(number == 2 for number in copies.values()) < len(copies) / 5


def test_telephone_numbers_could_be_german_ones() -> None:
    numbers = {text for record in RECORDS for text in (record.told.phone, record.told.mobile) if text}
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(text, "DE")) for text in numbers)
