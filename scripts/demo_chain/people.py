"""The customers of the chain: German-speaking persons and companies, made by Faker from the household's number.

Faker, because its data for Germany, Austria and Switzerland have names, streets, companies and places as people write them; its
version is locked, and each household has a seed of its own, so that everybody stays the same in whatever is selected.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from faker import Faker

COMPANY_PERCENT, PARTNER_PERCENT, OWN_NAME_PERCENT = 4, 35, 20
AGES = {"19-24": (19, 24), "25-34": (25, 34), "35-44": (35, 44), "45-54": (45, 54), "55-64": (55, 64), "65+": (65, 84)}
_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})


@dataclass(frozen=True)
class Country:
    """How many of 100 households live there, and how telephone numbers begin."""

    percent: int
    calling_code: str
    areas: tuple[str, ...]
    mobiles: tuple[str, ...]


COUNTRIES = {
    "DE": Country(91, "+49", ("030", "040", "089", "0221", "0351", "0711"), ("0170", "0171", "0172")),
    "AT": Country(6, "+43", ("01", "0316", "0662"), ("0660", "0664", "0676")),
    "CH": Country(3, "+41", ("031", "044", "061"), ("076", "078", "079")),
}


@dataclass(frozen=True)
class Person:
    """A person, or the company that one speaks for."""

    person_id: str
    household_id: int
    card_number: str
    is_company: bool
    gender: str
    given_name: str
    family_name: str
    company: str
    birth_date: date
    street: str
    postal_code: str
    city: str
    country: str
    email: str
    phone: str
    mobile: str

    @property
    def customer_number(self) -> str:
        """The number that the chain gives its customers."""
        return f"K{self.person_id[1:]}"


def make_people(households: Iterable[tuple[int, str, str | None]], seed: int) -> list[Person]:
    """One or two persons, or a company, for each household: its number, its card, and its age band where the data tell it."""
    fakes = {country: Faker(f"de_{country}") for country in COUNTRIES}
    people = []
    for household, card, age in households:
        lot = random.Random(f"{seed}:people:{household}")  # noqa: S311 - nothing secret
        [country] = lot.choices(list(COUNTRIES), [place.percent for place in COUNTRIES.values()])
        fake = fakes[country]
        fake.seed_instance(f"{seed}:people:{household}")
        first = _person(fake, lot, country, (household, card, age))
        people.append(first)
        if not first.is_company and lot.randrange(100) < PARTNER_PERCENT:
            people.append(_partner(fake, lot, first))
    return people


def plain(text: str) -> str:
    """A name in letters of an e-mail address."""
    return re.sub(r"[^a-z]", "", text.translate(_PLAIN).lower())


def international(number: str, country: str) -> str:
    """A telephone number in international form, as a machine writes it."""
    return COUNTRIES[country].calling_code + number[1:].replace(" ", "")


def _person(fake: Faker, lot: random.Random, country: str, of_household: tuple[int, str, str | None]) -> Person:
    household, card, age = of_household
    is_company = lot.randrange(100) < COMPANY_PERCENT
    gender = lot.choice(("female", "male"))
    given, family = _given_name(fake, gender), fake.last_name()
    company = fake.company() if is_company else ""
    domain = f"{plain(company.split()[0])}.example" if is_company else lot.choice(("example.com", "example.org", "example.net"))
    return Person(
        person_id=f"P{household}",
        household_id=household,
        card_number=card,
        is_company=is_company,
        gender=gender,
        given_name=given,
        family_name=family,
        company=company,
        birth_date=_birth_date(lot, age),
        street=f"{fake.street_name()} {lot.randint(1, 120)}",
        postal_code=fake.postcode(),
        city=fake.city_name() if country == "DE" else fake.city(),
        country=country,
        email=f"{plain(given)}.{plain(family)}{household}@{domain}",
        phone=_number(lot, COUNTRIES[country].areas),
        mobile=_number(lot, COUNTRIES[country].mobiles),
    )


def _partner(fake: Faker, lot: random.Random, first: Person) -> Person:
    """Somebody who lives at the same address and uses the same card and telephone."""
    gender = "male" if first.gender == "female" else "female"
    given = _given_name(fake, gender)
    family = fake.last_name() if lot.randrange(100) < OWN_NAME_PERCENT else first.family_name
    return replace(
        first,
        person_id=f"{first.person_id}B",
        gender=gender,
        given_name=given,
        family_name=family,
        birth_date=date(first.birth_date.year + lot.randint(-6, 6), lot.randint(1, 12), lot.randint(1, 28)),
        email=f"{plain(given)}.{plain(family)}{first.household_id}b@example.com",
        mobile=_number(lot, COUNTRIES[first.country].mobiles),
    )


def _given_name(fake: Faker, gender: str) -> str:
    return str(fake.first_name_female() if gender == "female" else fake.first_name_male())


def _number(lot: random.Random, prefixes: Sequence[str]) -> str:
    return f"{lot.choice(prefixes)} {lot.randint(2_000_000, 8_999_999)}"


def _birth_date(lot: random.Random, age: str | None) -> date:
    youngest, oldest = AGES.get(age or "", (19, 84))
    return date(2016 - lot.randint(youngest, oldest), lot.randint(1, 12), lot.randint(1, 28))


def of_households(people: Sequence[Person]) -> dict[int, Person]:
    """The first person, or the company, of each household."""
    return {person.household_id: person for person in reversed(people)}
