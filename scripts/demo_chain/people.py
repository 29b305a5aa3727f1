"""The customers of the chain: German-speaking persons and companies, made by Faker from the household's number.

Faker, because its German data have names, streets, companies and phone numbers as people write them; its version is locked, and
each household has a seed of its own, so that everybody stays the same in whatever is selected.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from faker import Faker

COMPANY_PERCENT, PARTNER_PERCENT, OWN_NAME_PERCENT = 4, 35, 20
AGES = {"19-24": (19, 24), "25-34": (25, 34), "35-44": (35, 44), "45-54": (45, 54), "55-64": (55, 64), "65+": (65, 84)}
AREAS = ("030", "040", "089", "0221", "0351", "0711")
_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})


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
    email: str
    phone: str
    mobile: str

    @property
    def customer_number(self) -> str:
        """The number that the chain gives its customers."""
        return f"K{self.person_id[1:]}"


def make_people(households: Iterable[tuple[int, str, str | None]], seed: int) -> list[Person]:
    """One or two persons, or a company, for each household: its number, its card, and its age band where the data tell it."""
    fake = Faker("de_DE")
    people = []
    for household, card, age in households:
        lot = random.Random(f"{seed}:people:{household}")  # noqa: S311 - nothing secret
        fake.seed_instance(f"{seed}:people:{household}")
        first = _person(fake, lot, household, card, age)
        people.append(first)
        if not first.is_company and lot.randrange(100) < PARTNER_PERCENT:
            people.append(_partner(fake, lot, first))
    return people


def plain(text: str) -> str:
    """A name in letters of an e-mail address."""
    return re.sub(r"[^a-z]", "", text.translate(_PLAIN).lower())


def _person(fake: Faker, lot: random.Random, household: int, card: str, age: str | None) -> Person:
    is_company = lot.randrange(100) < COMPANY_PERCENT
    gender = lot.choice(("female", "male"))
    given = fake.first_name_female() if gender == "female" else fake.first_name_male()
    family = fake.last_name()
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
        city=fake.city_name(),
        email=f"{plain(given)}.{plain(family)}{household}@{domain}",
        phone=f"{lot.choice(AREAS)} {lot.randint(2_000_000, 8_999_999)}",
        mobile=_mobile(lot),
    )


def _partner(fake: Faker, lot: random.Random, first: Person) -> Person:
    """Somebody who lives at the same address and uses the same card and telephone."""
    gender = "male" if first.gender == "female" else "female"
    given = fake.first_name_female() if gender == "female" else fake.first_name_male()
    family = fake.last_name() if lot.randrange(100) < OWN_NAME_PERCENT else first.family_name
    return Person(
        person_id=f"{first.person_id}B",
        household_id=first.household_id,
        card_number=first.card_number,
        is_company=False,
        gender=gender,
        given_name=given,
        family_name=family,
        company="",
        birth_date=date(first.birth_date.year + lot.randint(-6, 6), lot.randint(1, 12), lot.randint(1, 28)),
        street=first.street,
        postal_code=first.postal_code,
        city=first.city,
        email=f"{plain(given)}.{plain(family)}{first.household_id}b@example.com",
        phone=first.phone,
        mobile=_mobile(lot),
    )


def _mobile(lot: random.Random) -> str:
    return f"{lot.choice(('0170', '0171', '0172'))} {lot.randint(2_000_000, 8_999_999)}"


def _birth_date(lot: random.Random, age: str | None) -> date:
    youngest, oldest = AGES.get(age or "", (19, 84))
    return date(2016 - lot.randint(youngest, oldest), lot.randint(1, 12), lot.randint(1, 28))


def of_households(people: Sequence[Person]) -> dict[int, Person]:
    """The first person, or the company, of each household."""
    return {person.household_id: person for person in reversed(people)}
