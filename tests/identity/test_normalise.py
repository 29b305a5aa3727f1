"""One person's values, written in the ways in which tills, shops and CRMs write them, become one; different ones stay apart."""

from __future__ import annotations

from datetime import date

import pytest

from tillhouse.identity import normalise
from tillhouse.identity.normalise import Name

TODAY = date(2025, 6, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "Mueller"), ("Müller", "Muller"), ("MÜLLER", "müller"), ("Größe", "Groesse"), ("Weiß", "Weiss"),
        ("Jörg", "Joerg"), ("Käthe", "Kaethe"), ("Øster", "Oester"), ("Łukasz", "Lukasz"), ("Ångström", "Angstroem"),
        ("François", "Francois"), ("Dvořák", "Dvorak"),
    ],
)  # fmt: skip
def test_spellings_of_one_word_fold_to_the_same(one: str, other: str) -> None:
    assert normalise.fold(one) == normalise.fold(other)


@pytest.mark.parametrize(("one", "other"), [("Bauer", "Bar"), ("Meier", "Mair"), ("Schmitt", "Schmidt"), ("Quell", "Qull")])
def test_different_words_stay_different(one: str, other: str) -> None:
    assert normalise.fold(one) != normalise.fold(other)


@pytest.mark.parametrize(
    ("damaged", "meant"),
    [("MÃ¼ller", "Müller"), ("StraÃŸe", "Straße"), ("  Anna \t Maria ", "Anna Maria"), ("Ｍａｘ", "Max"), ("mu\u0308de", "müde")],
)
def test_damaged_text_is_repaired(damaged: str, meant: str) -> None:
    assert normalise.clean(damaged) == meant


@pytest.mark.parametrize("text", [None, "", "   ", "\u00a0"])
def test_no_text_says_nothing(text: str | None) -> None:
    assert normalise.clean(text) is None


@pytest.mark.parametrize(
    ("given", "family", "full", "name"),
    [
        ("Dr. Hans", "Müller", None, Name(("hans",), ("muller",))),
        ("Hans-Peter", "Müller-Lüdenscheidt", None, Name(("hans", "peter"), ("muller", "ludenscheidt"))),
        ("Otto", "von der Heide", None, Name(("otto",), ("heide",), ("von", "der"))),
        ("Otto von der", "Heide", None, Name(("otto",), ("heide",), ("von", "der"))),
        ("Karl", "Berger jun.", None, Name(("karl",), ("berger",), (), "junior")),
        (None, None, "Herr Prof. Dr. Karl von Berg", Name(("karl",), ("berg",), ("von",))),
        (None, None, "Berg, Anna Maria", Name(("anna", "maria"), ("berg",))),
        (None, None, "Karl Berger sen.", Name(("karl",), ("berger",), (), "senior")),
        (None, None, "Müller", Name((), ("muller",))),
        ("Siobhán", "O'Neill", None, Name(("siobhan",), ("oneill",))),
        (None, "Laufkunde", None, Name()),
        ("N.", "N.", None, Name(("n",), ("n",))),
        (None, "Muster-Kunde", None, Name()),
        ("Unbekannt", "Schulz", None, Name((), ("schulz",))),
        (None, None, None, Name()),
    ],
)
def test_a_persons_name(given: str | None, family: str | None, full: str | None, name: Name) -> None:
    assert normalise.person_name(given, family, full) == name


@pytest.mark.parametrize(("one", "other"), [("Meier", "Mayr"), ("Schmidt", "Schmitt"), ("Philipp", "Filip"), ("Klein", "Clein")])
def test_names_that_sound_alike_have_the_same_code(one: str, other: str) -> None:
    assert normalise.phonetic(one) == normalise.phonetic(other)
    assert normalise.phonetic(one) != normalise.phonetic("Wagner")


@pytest.mark.parametrize(
    "written",
    [
        "+49 351 4567890", "0351 4567890", "0351/4567890", "(0351) 45 67 890", "+49 (0)351 456 78 90", "0049 351 4567890",
        "0049 (0) 351-4567890", "0351 4567890 ext. 12", "+49-351-456-7890",
    ],
)  # fmt: skip
def test_a_phone_number_in_its_many_forms(written: str) -> None:
    assert normalise.phone(written, "DE") == "+493514567890"


def test_the_region_decides_where_no_country_is_written() -> None:
    assert normalise.phone("044 668 18 00", "CH") == "+41446681800"
    assert normalise.phone("01 5052500", "AT") == "+4315052500"
    assert normalise.phone("+33 1 42 68 53 00", "DE") == "+33142685300"


@pytest.mark.parametrize("text", [None, "", "0000000", "1234567", "keine", "999999999", "12", "call me"])
def test_a_number_that_reaches_nobody_says_nothing(text: str | None) -> None:
    assert normalise.phone(text, "DE") is None


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (" Anna.Berg@Example.ORG ", "anna.berg@example.org"), ("mailto:a@b.de", "a@b.de"), ("<a.b@c.de>;", "a.b@c.de"),
        ("kunde@laden.de", None), ("noreply@shop.com", None), ("no at", None), ("a@b", None), (None, None),
        ("x@test.invalid", None),
    ],
)  # fmt: skip
def test_an_e_mail_address(written: str | None, address: str | None) -> None:
    assert normalise.email(written) == address


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("anna.berg+shop@googlemail.com", "annaberg@gmail.com"), ("anna.berg@gmail.com", "annaberg@gmail.com"),
        ("anna.berg+news@web.de", "anna.berg@web.de"), ("anna.berg@web.de", "anna.berg@web.de"),
    ],
)  # fmt: skip
def test_the_mailbox_behind_an_address(address: str, mailbox: str) -> None:
    assert normalise.comparable_email(address) == mailbox


@pytest.mark.parametrize(
    "written",
    ["Königstraße 12a", "Königstr. 12 A", "KOENIGSTRASSE 12 a", "König Str.12a", "Königstrasse 12a - 14", "12a, Königstraße"],
)
def test_a_street_in_its_many_forms(written: str) -> None:
    assert normalise.street(written) == ("konigstr", "12a")


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("Am Strand 7", ("amstrand", "7")), ("Straße des 17. Juni 135", ("strdes17juni", "135")), ("Hof", ("hof", None)),
        ("Lastrada 3", ("lastrada", "3")), (None, (None, None)), ("Packstation 123", ("packstation", "123")),
    ],
)  # fmt: skip
def test_other_streets(written: str | None, parts: tuple[str | None, str | None]) -> None:
    assert normalise.street(written) == parts


@pytest.mark.parametrize(
    ("written", "country", "code"),
    [
        ("01067", "DE", "01067"), ("1067", "DE", "01067"), ("D-01067", "DE", "01067"), ("CH 8001", "CH", "8001"),
        ("A-1010", "AT", "1010"), ("00000", "DE", None), ("123456", "DE", None), ("SW1A 1AA", "GB", "SW1A1AA"), (None, "DE",
        None),
    ],
)  # fmt: skip
def test_a_postal_code(written: str | None, country: str, code: str | None) -> None:
    assert normalise.postal_code(written, country) == code


@pytest.mark.parametrize("written", ["Frankfurt am Main", "Frankfurt a. M.", "FRANKFURT", "Frankfurt/Main", "Frankfurt (Main)"])
def test_a_city_in_its_many_forms(written: str) -> None:
    assert normalise.city(written) == "frankfurt"


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("Bäckerei Müller GmbH", ("backerei muller", "gmbh")), ("Baeckerei Mueller G.m.b.H.", ("backerei muller", "gmbh")),
        ("Müller mbH & Co. KG", ("muller", "gmbh & co kg")), ("Müller GmbH & Co KG", ("muller", "gmbh & co kg")),
        ("Anna Berg e. K.", ("anna berg", "ek")), ("Sportfreunde e.V.", ("sportfreunde", "ev")),
        ("Firma Holz AG", ("holz", "ag")), ("Start UG (haftungsbeschränkt)", ("start", "ug")), ("AG", ("ag", None)),
        ("Holz", ("holz", None)), (None, (None, None)),
    ],
)  # fmt: skip
def test_a_company_and_its_legal_form(written: str | None, parts: tuple[str | None, str | None]) -> None:
    assert normalise.company(written) == parts


def test_birth_dates_that_systems_fill_in_say_nothing() -> None:
    assert normalise.birth_date(date(1980, 2, 29), TODAY) == date(1980, 2, 29)
    for day in (None, date(1900, 1, 1), date(1970, 1, 1), date(2025, 6, 2), date(1899, 12, 30), date(1902, 3, 4)):
        assert normalise.birth_date(day, TODAY) is None


def test_a_card_whose_check_digit_does_not_fit_says_nothing() -> None:
    assert normalise.card_number("2900000 000018", "ean13") == "2900000000018"
    assert normalise.card_number("2900000000019", "ean13") is None
    assert normalise.card_number("7992-7398-713", "luhn") == "79927398713"
    assert normalise.card_number("79927398714", "luhn") is None
    assert normalise.card_number("ab 12", None) == "AB12"
    assert normalise.card_number("0000000000000", "ean13") is None


@pytest.mark.parametrize("text", ["Müller", "Dr. Hans von Berg", "Königstr. 12 A", "Bäckerei Müller GmbH", "a@b.de", "O'Neill"])
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    assert normalise.fold(normalise.fold(text)) == normalise.fold(text)
    assert normalise.words(" ".join(normalise.words(text))) == normalise.words(text)
