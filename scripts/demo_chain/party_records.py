"""What three systems know of the customers: not everybody, not the same, and partly wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from demo_chain.people import Person, plain

LOYALTY, CRM, SHOP = "loyalty_members", "hubspot_contacts", "shopify_customers"
# How many of 100 first persons and of 100 partners are known to a system, and how many of these it knows twice.
KNOWN = {LOYALTY: (85, 20, 0), CRM: (45, 25, 6), SHOP: (30, 20, 2)}


@dataclass(frozen=True)
class PartyRecord:
    """A record of a system, what differs in it from the truth, and who it truly is."""

    source: str
    source_id: str
    person_id: str
    told: Person
    differs: tuple[str, ...]


def make_records(people: Sequence[Person], seed: int) -> list[PartyRecord]:
    """Every record of the three systems, in the order of the people."""
    return [record for source in KNOWN for record in _of_system(source, people, seed)]


def _of_system(source: str, people: Sequence[Person], seed: int) -> Iterator[PartyRecord]:
    of_first, of_partners, twice = KNOWN[source]
    for person in people:
        lot = random.Random(f"{seed}:{source}:{person.person_id}")  # noqa: S311 - nothing secret
        if lot.randrange(100) >= (of_partners if person.person_id.endswith("B") else of_first):
            continue
        for copy in range(2 if lot.randrange(100) < twice else 1):
            told, differs = _distorted(person, lot, copy)
            yield PartyRecord(source, _source_id(source, person, copy), person.person_id, told, differs)


def _source_id(source: str, person: Person, copy: int) -> str:
    number = person.household_id * 10 + (5 if person.person_id.endswith("B") else 0) + copy
    return {LOYALTY: f"M{number:07d}", CRM: f"{20_000_000 + number}", SHOP: f"{7_100_000_000_000 + number}"}[source]


def _distorted(person: Person, lot: random.Random, copy: int) -> tuple[Person, tuple[str, ...]]:
    """The record as the system holds it. A second record of the same person always differs in its e-mail address."""
    told = person
    differs: list[str] = []
    for name, percent, change in DISTORTIONS:
        if lot.randrange(100) < percent or (copy and name == "other_email"):
            changed = change(told, lot)
            if changed != told:
                told = changed
                differs.append(name)
    return told, tuple(differs)


def _typo(text: str, lot: random.Random) -> str:
    place = lot.randrange(1, max(2, len(text) - 1))
    return text[:place] + text[place + 1 : place + 2] + text[place : place + 1] + text[place + 2 :]


def _transcribed(person: Person, _: random.Random) -> Person:
    table = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
    return replace(person, given_name=person.given_name.translate(table), family_name=person.family_name.translate(table))


def _moved(person: Person, lot: random.Random) -> Person:
    return replace(person, street=f"Alte Straße {lot.randint(1, 99)}", postal_code=f"{lot.randint(1067, 99998):05d}")


def _swapped_birth_date(person: Person, _: random.Random) -> Person:
    born = person.birth_date
    return replace(person, birth_date=born.replace(month=born.day, day=born.month)) if born.day <= 12 else person


def _other_email(person: Person, _: random.Random) -> Person:
    return replace(person, email=f"{plain(person.given_name)}{person.household_id}@example.org")


def _international(person: Person, _: random.Random) -> Person:
    return replace(person, phone=f"+49 {person.phone[1:]}", mobile=f"+49{person.mobile[1:]}".replace(" ", "-"))


DISTORTIONS: tuple[tuple[str, int, Callable[[Person, random.Random], Person]], ...] = (
    ("typo", 4, lambda person, lot: replace(person, family_name=_typo(person.family_name, lot))),
    ("transcribed_umlauts", 25, _transcribed),
    ("initial_only", 4, lambda person, _: replace(person, given_name=f"{person.given_name[:1]}.")),
    ("former_address", 8, _moved),
    ("swapped_birth_date", 3, _swapped_birth_date),
    ("other_email", 10, _other_email),
    ("no_email", 12, lambda person, _: replace(person, email="")),
    ("no_phone", 20, lambda person, _: replace(person, phone="", mobile="")),
    ("international_phone", 40, lambda person, _: _international(person, _) if person.phone else person),
)
