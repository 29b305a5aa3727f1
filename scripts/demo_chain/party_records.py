"""What three systems know of the customers: not everybody, not the same, and partly wrong."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from demo_chain.people import Person, international, plain

LOYALTY, CRM, SHOP = "loyalty_members", "hubspot_contacts", "shopify_customers"
# How many of 100 first persons and of 100 partners are known to a system, and how many of these it knows twice.
KNOWN = {LOYALTY: (96, 25, 0), CRM: (45, 25, 6), SHOP: (30, 20, 2)}
# Of 100 members: those who joined after the first export, who have moved since then, who have left since then.
JOINED, MOVED, LEFT = 5, 8, 2
UNKNOWN_BRANCH, UNKNOWN_BRANCH_PERCENT = "F99997", 1
NO_NUMBER, NO_BIRTH_DATE = "unbekannt", date(1900, 1, 1)


@dataclass(frozen=True)
class PartyRecord:
    """A record of a system, what differs in it from the truth, and who it truly is.

    ``before``: what an earlier export told of the same record; ``has_left``: the last one takes it back.
    """

    source: str
    source_id: str
    person_id: str
    told: Person
    differs: tuple[str, ...]
    before: Person | None = None
    has_left: bool = False
    home_branch: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether it has a name and a way to reach whom it names."""
        told = self.told
        has_name = told.family_name or (told.company and self.source != LOYALTY)
        return bool(has_name and (told.email or self.e164 or (told.street and (told.postal_code or told.city))))

    @property
    def party_type(self) -> str:
        """A company where no person is named; the loyalty scheme knows persons alone."""
        return "company" if self.told.company and not any(self.names) else "person"

    @property
    def phones(self) -> list[str]:
        """The numbers as the system exports them; the shop asks for one alone."""
        numbers = [self.told.mobile] if self.source == SHOP else [self.told.phone, self.told.mobile]
        return [number for number in numbers if number]

    @property
    def e164(self) -> set[str]:
        """The numbers in the form that is the same for all systems."""
        read = [re.sub(r"[ -]", "", number) for number in self.phones if number != NO_NUMBER]
        return {number if number.startswith("+") else international(number, self.told.country) for number in read}

    @property
    def names(self) -> tuple[str, str]:
        """Given and family name; in the shop a company orders under its own name alone."""
        is_nameless = self.source == SHOP and self.told.is_company
        return ("", "") if is_nameless else (self.told.given_name, self.told.family_name)


@dataclass(frozen=True)
class Directory:
    """Everything by which a contact can be found, over all systems, as long as its record holds."""

    cards: frozenset[str]
    customer_numbers: frozenset[str]
    emails: frozenset[str]
    phones: frozenset[str]
    crm_ids: Mapping[str, str]

    @classmethod
    def of(cls, records: Sequence[PartyRecord]) -> Directory:
        holding = [record for record in records if not record.has_left]
        members = [record.told for record in holding if record.source == LOYALTY]
        return cls(
            frozenset(person.card_number for person in members),
            frozenset(person.customer_number for person in members),
            frozenset(record.told.email.lower() for record in holding),
            frozenset(number for record in holding for number in record.e164),
            {record.person_id: record.source_id for record in reversed(holding) if record.source == CRM},
        )


def make_records(people: Sequence[Person], seed: int, homes: Mapping[int, str] | None = None) -> list[PartyRecord]:
    """Every record of the three systems, in the order of the people. ``homes``: the usual branch of each household."""
    return [record for source in KNOWN for record in _of_system(source, people, seed, homes or {})]


def _of_system(source: str, people: Sequence[Person], seed: int, homes: Mapping[int, str]) -> Iterator[PartyRecord]:
    of_first, of_partners, twice = KNOWN[source]
    for person in people:
        lot = random.Random(f"{seed}:{source}:{person.person_id}")  # noqa: S311 - nothing secret
        if lot.randrange(100) >= (of_partners if person.person_id.endswith("B") else of_first):
            continue
        for copy in range(2 if lot.randrange(100) < twice else 1):
            told, differs = _distorted(source, person, lot, copy)
            record = PartyRecord(source, _source_id(source, person, copy), person.person_id, told, differs)
            yield _with_history(record, lot, homes.get(person.household_id, "")) if source == LOYALTY else record


def _source_id(source: str, person: Person, copy: int) -> str:
    number = person.household_id * 10 + (5 if person.person_id.endswith("B") else 0) + copy
    return {LOYALTY: f"M{number:07d}", CRM: f"{20_000_000 + number}", SHOP: f"{7_100_000_000_000 + number}"}[source]


def _with_history(record: PartyRecord, lot: random.Random, home: str) -> PartyRecord:
    """A member, what the first export told of it, and its usual branch, which may be one that nobody knows."""
    drawn = lot.randrange(100)
    before = None if drawn < JOINED else _moved(record.told, lot) if drawn < JOINED + MOVED else record.told
    home = UNKNOWN_BRANCH if lot.randrange(100) < UNKNOWN_BRANCH_PERCENT else home
    return replace(record, before=before, has_left=drawn >= 100 - LEFT, home_branch=home)


def _distorted(source: str, person: Person, lot: random.Random, copy: int) -> tuple[Person, tuple[str, ...]]:
    """The record as the system holds it. A second record of the same person always differs in its e-mail address."""
    told = person
    differs: list[str] = []
    for name, percent, systems, change in DISTORTIONS:
        if source in systems and (lot.randrange(100) < percent or (copy and name == "other_email")):
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
    postal_code = f"{lot.randint(1067, 99998):05d}" if person.country == "DE" else f"{lot.randint(1010, 9990)}"
    return replace(person, street=f"Alte Straße {lot.randint(1, 99)}", postal_code=postal_code)


def _swapped_birth_date(person: Person, _: random.Random) -> Person:
    born = person.birth_date
    return replace(person, birth_date=born.replace(month=born.day, day=born.month)) if born.day <= 12 else person


def _other_email(person: Person, _: random.Random) -> Person:
    return replace(person, email=f"{plain(person.given_name)}{person.household_id}@example.org")


def _international(person: Person, _: random.Random) -> Person:
    if not person.phone:
        return person
    phone, mobile = (international(number, person.country) for number in (person.phone, person.mobile))
    return replace(person, phone=f"{phone[:3]} {phone[3:]}", mobile=f"{mobile[:6]}-{mobile[6:]}")


def _only_email(person: Person, _: random.Random) -> Person:
    """Somebody who has ordered the newsletter and nothing else."""
    nameless = replace(person, given_name="", family_name="", company="", phone="", mobile="")
    return replace(nameless, street="", postal_code="", city="")


def _only_name(person: Person, _: random.Random) -> Person:
    return replace(person, email="", phone="", mobile="", street="", postal_code="", city="")


EVERYWHERE = (LOYALTY, CRM, SHOP)
DISTORTIONS: tuple[tuple[str, int, Sequence[str], Callable[[Person, random.Random], Person]], ...] = (
    ("typo", 4, EVERYWHERE, lambda person, lot: replace(person, family_name=_typo(person.family_name, lot))),
    ("transcribed_umlauts", 25, EVERYWHERE, _transcribed),
    ("initial_only", 4, EVERYWHERE, lambda person, _: replace(person, given_name=f"{person.given_name[:1]}.")),
    ("former_address", 8, EVERYWHERE, _moved),
    ("swapped_birth_date", 6, (LOYALTY,), _swapped_birth_date),
    ("no_birth_date", 3, (LOYALTY,), lambda person, _: replace(person, birth_date=NO_BIRTH_DATE)),
    ("other_email", 10, EVERYWHERE, _other_email),
    ("no_phone", 20, EVERYWHERE, lambda person, _: replace(person, phone="", mobile="")),
    ("international_phone", 40, EVERYWHERE, _international),
    ("unreadable_phone", 4, (CRM,), lambda person, _: replace(person, phone=NO_NUMBER, mobile="")),
    ("only_email", 6, (SHOP,), _only_email),
    ("no_email", 12, (LOYALTY, CRM), lambda person, _: replace(person, email="")),
    ("only_name", 3, (CRM,), _only_name),
)
