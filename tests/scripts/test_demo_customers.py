"""The customers of the demo chain: the same on every machine, in contradictory records whose true person is known."""

from __future__ import annotations

from collections import Counter

import phonenumbers
from demo_chain.party_records import CRM, DISTORTIONS, LOYALTY, NO_NUMBER, SHOP, Directory, make_records
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
    assert {kind for kind, *_ in DISTORTIONS} == {kind for kind, number in kinds.items() if number > 2}


def test_some_persons_are_twice_in_the_crm() -> None:
    copies = Counter(record.person_id for record in RECORDS if record.source == CRM)
    assert 0 < sum(number == 2 for number in copies.values()) < len(copies) / 5


def test_telephone_numbers_are_possible_in_their_country_and_the_same_in_whatever_writing() -> None:
    for record in RECORDS:
        read = [phonenumbers.parse(text, record.told.country) for text in record.phones if text != NO_NUMBER]
        assert all(phonenumbers.is_valid_number(number) for number in read)
        assert record.e164 == {phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) for number in read}


def test_customers_live_in_three_countries_and_some_are_companies() -> None:
    assert Counter(person.country for person in PEOPLE).keys() == {"DE", "AT", "CH"}
    assert 0 < sum(person.is_company for person in PEOPLE) < len(PEOPLE) / 10


def test_members_join_move_and_leave_between_two_exports() -> None:
    members = [record for record in RECORDS if record.source == LOYALTY]
    assert any(record.before is None for record in members)
    assert any(record.before and record.before.street != record.told.street for record in members)
    assert any(record.has_left for record in members)
    assert not any(record.before or record.has_left for record in RECORDS if record.source != LOYALTY)


def test_who_has_left_is_found_by_no_card() -> None:
    known = Directory.of(RECORDS)
    left = [record for record in RECORDS if record.has_left]
    staying = {record.told.card_number for record in RECORDS if record.source == LOYALTY and not record.has_left}
    assert {record.told.card_number for record in left} & known.cards <= staying
    assert not {record.told.customer_number for record in left} & known.customer_numbers
