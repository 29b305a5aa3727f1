#!/usr/bin/env python3
"""Customers of a German-speaking chain as several systems know them, with the true person of every record.

Persons live in households, move, marry, change their number; each system has its own, partly damaged record of them. Every
kind of difficulty has its rate in ``RATES``; the same seed gives the same customers.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import product
from pathlib import Path

import pandas as pd
from faker.providers.address.de_DE import Provider as Places
from faker.providers.person.de_DE import Provider as Names

SYSTEMS = ("crm", "shop", "loyalty", "callcenter", "till")
# Share of persons, households or records that it happens to.
RATES = {
    "household_of_two_or_more": 0.45, "father_and_son": 0.05, "twins": 0.01, "shared_phone": 0.5, "shared_email": 0.08,
    "moved": 0.08, "married": 0.03, "new_email": 0.12, "new_phone": 0.1, "recycled_phone": 0.01, "card_anew": 0.05,
    "company": 0.03, "undecidable": 0.004, "staff_card": 0.0005, "title_in_name": 0.4, "foreign_phone": 0.03, "title": 0.03,
    "particle": 0.02,
    "double_name": 0.04, "second_given_name": 0.15,
    # of records
    "umlaut_in_full": 0.15, "umlaut_lost": 0.04, "mojibake": 0.015, "typo": 0.05, "misheard": 0.03, "nickname": 0.06,
    "initial": 0.04,
    "swapped_names": 0.015, "placeholder": 0.03, "mistyped_card": 0.02, "one_field_only": 0.02, "e_mail_alias": 0.05,
    "birth_date_wrong": 0.02, "upper_case": 0.04, "half_of_double_name": 0.3, "no_card": 0.35,
}  # fmt: skip
# What a system knows of a person: share of records with the field filled.
KNOWS = {
    "crm": {"birth_date": 0.6, "email": 0.75, "phone": 0.75, "street": 0.95},
    "shop": {"birth_date": 0.1, "email": 1.0, "phone": 0.5, "street": 1.0},
    "loyalty": {"birth_date": 0.85, "email": 0.6, "phone": 0.4, "street": 0.8},
    "callcenter": {"birth_date": 0.05, "email": 0.15, "phone": 0.95, "street": 0.4},
    "till": {"birth_date": 0.05, "email": 0.1, "phone": 0.15, "street": 0.5},
}
NICKNAMES = {
    "Johannes": "Hannes", "Josef": "Sepp", "Michael": "Michi", "Alexander": "Alex", "Maximilian": "Max", "Katharina": "Kathi",
    "Elisabeth": "Lisa", "Margarete": "Grete", "Thomas": "Tom", "Andreas": "Andi", "Christian": "Chris", "Matthias": "Matze",
    "Friedrich": "Fritz", "Wilhelm": "Willi", "Susanne": "Susi", "Christine": "Christl", "Benjamin": "Ben", "Sebastian": "Basti",
    "Stefanie": "Steffi", "Franziska": "Franzi", "Magdalena": "Lena", "Hans-Joachim": "Hajo", "Karl-Heinz": "Kalle",
    "Barbara": "Babs", "Eberhard": "Ebi", "Nikolaus": "Klaus", "Theresa": "Resi", "Jakob": "Jockel", "Heinrich": "Heinz",
}  # fmt: skip
_NEIGHBOURS = dict(zip("qwertzuiopasdfghjklyxcvbnm", "wertzuiopüsdfghjklöxcvbnm,", strict=True))
_SOUNDS = (("th", "t"), ("ph", "f"), ("ei", "ai"), ("ai", "ei"), ("ie", "i"), ("tt", "dt"), ("dt", "tt"), ("ck", "k"), ("mm",
"m"),
           ("nn", "n"), ("ss", "s"), ("tz", "z"), ("v", "f"), ("c", "k"), ("y", "i"), ("ä", "e"), ("mey", "mei"))  # fmt: skip
_MAILERS = ("gmail.com", "web.de", "gmx.de", "t-online.de", "gmx.at", "bluewin.ch", "outlook.de", "posteo.de", "freenet.de")
_PARTS = (
    ("Stein", "Berg", "Wald", "Hof", "Bach", "Feld", "Linden", "Eich", "Rosen", "Silber", "Gold", "Kirch", "Burg", "Mühl",
    "Loh", "Brand"),
    ("mann", "er", "meier", "hauer", "müller", "bauer", "huber", "hofer", "inger", "ner", "heim", "bach", "felder", "reiter",
    "schmidt"),
)  # fmt: skip
_STREETS = (
    ("Haupt", "Bahnhof", "Garten", "Schul", "Berg", "Kirch", "Linden", "Ring", "Wald", "Mühlen", "Schiller", "Goethe",
    "Mozart", "Rosen",
     "Birken", "Feld", "Wiesen", "Park", "Burg", "König", "Brunnen", "Post", "Markt", "Ziegel", "Lerchen", "Amsel", "Buchen",
     "Eichen"),
    ("straße", "straße", "straße", "weg", "gasse", "allee", "platz", "ring"),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """The truth. Values that changed are lists, the oldest first."""

    person_id: int
    household_id: int
    given_name: str
    family_names: Sequence[str]
    title: str
    generation: str
    birth_date: date | None
    emails: Sequence[str]
    phones: Sequence[str]
    addresses: Sequence[tuple[str, str, str, str]]  # street with number, postal code, city, country
    cards: Sequence[str]
    company: str = ""
    is_undecidable: bool = False
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    source: str
    source_id: str
    person_id: int
    household_id: int
    is_undecidable: bool
    values: dict[str, str | None]
    kinds: list[str] = field(default_factory=list)


class Maker:
    """Draws customers; all chance comes from one seed."""

    def __init__(self, seed: int, rates: dict[str, float] | None = None) -> None:
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.rates = RATES | (rates or {})
        common = [*dict.fromkeys(Names.last_names)]
        rare = [f"{first}{second}" for first, second in product(*_PARTS)]
        self.random.shuffle(rare)
        self.family_names = common + rare
        self.family_weights = [1 / (rank + 8) for rank in range(len(self.family_names))]
        self.given = {
            kind: list(dict.fromkeys(names)) for kind, names in (("f", Names.first_names_female), ("m", Names.first_names_male))
        }
        for names in self.given.values():
            self.random.shuffle(names)
        self.given_weights = {kind: [1 / (rank + 10) for rank in range(len(names))] for kind, names in self.given.items()}
        self.streets = [f"{first}{second}" for first, second in product(*_STREETS)]
        self.cities = [(city, f"{self.random.randrange(1000, 99999):05d}") for city in Places.cities]
        self.next_id = 0

    def happens(self, what: str) -> bool:
        return self.random.random() < self.rates[what]

    def people(self, count: int) -> list[Person]:
        """Persons by household, companies with their contacts among them."""
        made: list[Person] = []
        while len(made) < count:
            made += self._company() if self.happens("company") else self._household()
        recycled = [person for person in made if person.phones and self.happens("recycled_phone")]
        by_id = {person.person_id: person for person in made}
        for person in recycled:
            other = self.random.choice(made)
            if other.household_id != person.household_id:
                by_id[other.person_id] = replace(
                    other, phones=[*other.phones, person.phones[0]], kinds=(*other.kinds, "recycled_phone")
                )
        return list(by_id.values())

    def _id(self) -> int:
        self.next_id += 1
        return self.next_id

    def _address(self) -> tuple[str, str, str, str]:
        city, code = self.random.choice(self.cities)
        number = f"{self.random.randrange(1, 140)}{self.random.choice(['', '', '', '', 'a', 'b'])}"
        draw = self.random.random()
        country = "DE" if draw < 0.9 else "AT" if draw < 0.95 else "CH"
        return f"{self.random.choice(self.streets)} {number}", code if country == "DE" else code[:4], city, country

    def _phone(self, country: str) -> str:
        if self.happens("foreign_phone"):
            return f"+33 6 {self.random.randrange(10**7, 10**8)}"
        prefix = {"DE": "+49", "AT": "+43", "CH": "+41"}[country]
        area = self.random.choice(
            {"DE": ["351", "30", "89", "171", "160", "176"], "AT": ["1", "664", "676"], "CH": ["44", "79", "78"]}[country]
        )
        size = 7 if country == "CH" else 8 if len(area) == 2 else 7
        return f"{prefix} {area} {self.random.randrange(10 ** (size - 1), 10**size)}"

    def _card(self) -> str:
        digits = f"29{self.random.randrange(10**10):010d}"
        check = (10 - sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10) % 10
        return f"{digits}{check}"

    def _given_name(self, kind: str) -> str:
        names = self.given[kind]
        if self.random.random() < 0.15:
            return self.random.choice(list(NICKNAMES))
        name = self.random.choices(names, self.given_weights[kind])[0]
        return f"{name} {self.random.choice(names)}" if self.happens("second_given_name") else name

    def _family_name(self) -> str:
        name = self.random.choices(self.family_names, self.family_weights)[0]
        if self.happens("double_name"):
            name = f"{name}-{self.random.choices(self.family_names, self.family_weights)[0]}"
        return f"{self.random.choice(['von', 'van der', 'von der', 'zu'])} {name}" if self.happens("particle") else name

    def _email(self, given: str, family: str, born: date) -> str:
        plain = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", " ": "", "-": ""})
        first, last = given.split(maxsplit=1)[0].lower().translate(plain), family.rsplit(maxsplit=1)[-1].lower().translate(plain)
        pattern = self.random.choice(["{f}.{l}", "{f}{l}", "{l}.{f}", "{f}.{l}{y}", "{i}{l}{n}", "{f}{n}"])
        local = pattern.format(f=first, l=last, i=first[0], y=born.year % 100, n=self.random.randrange(1000))
        return f"{local.encode('ascii', 'ignore').decode()}@{self.random.choice(_MAILERS)}"

    def _birth_date(self, low: int, high: int) -> date:
        return date(self.random.randrange(low, high), 1, 1) + timedelta(days=self.random.randrange(365))

    def _household(self) -> list[Person]:
        household, address, family = self._id(), self._address(), self._family_name()
        shared_phone = self._phone(address[3]) if self.happens("shared_phone") else None
        kinds = [self.random.choice("fm")]
        born = [self._birth_date(1940, 2000)]
        if self.happens("household_of_two_or_more"):
            kinds.append("m" if kinds[0] == "f" else "f")
            born.append(born[0] + timedelta(days=self.random.randrange(-3000, 3000)))
            for _ in range(self.random.choice([0, 0, 1, 1, 2])):
                kinds.append(self.random.choice("fm"))
                born.append(born[0] + timedelta(days=self.random.randrange(7000, 14000)))
        given = [self._given_name(kind) for kind in kinds]
        generations = ["" for _ in kinds]
        cases: list[tuple[str, ...]] = [("household",) if len(kinds) > 1 else () for _ in kinds]
        if len(kinds) > 2 and self.happens("father_and_son"):
            given[2], generations[0], generations[2] = given[0], "sen.", "jun."
            cases[0] = cases[2] = ("household", "father_and_son")
        if len(kinds) > 3 and self.happens("twins"):
            born[3] = born[2]
            cases[3] = cases[2] = ("household", "twins")
        shared_email = self._email(given[0], family, born[0]) if self.happens("shared_email") else None
        people = [
            replace(person, kinds=(*case, *person.kinds))
            for name, generation, day, case in zip(given, generations, born, cases, strict=True)
            for person in [self._person(household, name, family, generation, day, [address], shared_phone, shared_email)]
        ]
        if self.happens("undecidable"):
            twin = replace(people[0], person_id=self._id(), is_undecidable=True, cards=[self._card()])
            people[0] = replace(people[0], is_undecidable=True, birth_date=None, emails=[], phones=[], generation="")
            people.append(replace(twin, birth_date=None, emails=[], phones=[], generation=""))
        return people

    def _person(  # noqa: PLR0917 - all that a person is
        self, household: int, given: str, family: str, generation: str, born: date, addresses: list[tuple[str, str, str, str]],
        phone: str | None, email: str | None,
    ) -> Person:  # fmt: skip
        emails = [email or self._email(given, family, born)]
        phones = [phone or self._phone(addresses[0][3])]
        families = [family]
        cards = [self._card()]
        kinds = tuple(kind for kind in ("married", "moved", "new_email", "new_phone", "card_anew") if self.happens(kind))
        if "married" in kinds:
            families.append(self._family_name())
        if "moved" in kinds:
            addresses = [*addresses, self._address()]
        if "new_email" in kinds:
            emails.append(self._email(given, families[-1], born))
        if "new_phone" in kinds:
            phones.append(self._phone(addresses[0][3]))
        if "card_anew" in kinds:
            cards.append(self._card())
        kinds += ("shared_phone",) * (phone is not None) + ("shared_email",) * (email is not None)
        title = self.random.choice(["Dr.", "Prof. Dr.", "Dipl.-Ing."]) if self.happens("title") else ""
        return Person(
            self._id(), household, given, families, title, generation, born, emails, phones, addresses, cards, kinds=kinds
        )

    def _company(self) -> list[Person]:
        household, address = self._id(), self._address()
        trade = self.random.choice(["Bäckerei", "Autohaus", "Malermeister", "Gasthof", "Elektro", "Praxis"])
        name = f"{trade} {self._family_name()}"
        name = f"{name} {self.random.choice(['GmbH', 'GmbH & Co. KG', 'e. K.', 'OHG', 'AG'])}"
        phone = self._phone(address[3])
        people = []
        for _ in range(self.random.choice([1, 2, 2, 3, 4])):
            born, given, family = self._birth_date(1955, 2000), self._given_name(self.random.choice("fm")), self._family_name()
            person = self._person(household, given, family, "", born, [address], phone, None)
            people.append(replace(person, company=name, kinds=(*person.kinds, "company")))
        return people

    def records(self, people: Sequence[Person]) -> list[Record]:
        """One to five records of each person, by the systems in which it is known."""
        made: list[Record] = []
        staff_cards = [self._card() for _ in range(max(1, int(len(people) * self.rates["staff_card"])))]
        for person in people:
            count = self.random.choices([1, 2, 3, 4, 5], [35, 30, 20, 10, 5])[0]
            for source in self.random.choices(SYSTEMS, [30, 25, 25, 8, 12], k=count):
                made.append(self._record(person, source, f"{source}-{len(made) + 1}", staff_cards))
        return made

    def _record(self, person: Person, source: str, source_id: str, staff_cards: Sequence[str]) -> Record:
        knows, kinds = KNOWS[source], list(person.kinds)
        age = self.random.random()  # 0: an old record, 1: one of today

        def at(values: Sequence[str]) -> str:
            return values[min(int(age * len(values)), len(values) - 1)]

        address = (
            person.addresses[min(int(age * len(person.addresses)), len(person.addresses) - 1)]
            if self._knows(knows, "street")
            else None
        )
        values: dict[str, str | None] = {
            "given_name": person.given_name if self.random.random() < 0.6 else person.given_name.split()[0],
            "family_name": at(person.family_names),
            "title": person.title or None,
            "company": person.company or None,
            "birth_date": str(person.birth_date) if person.birth_date and self._knows(knows, "birth_date") else None,
            "email": at(person.emails) if person.emails and self._knows(knows, "email") else None,
            "phone": at(person.phones) if person.phones and self._knows(knows, "phone") else None,
            "street": address[0] if address else None,
            "postal_code": address[1] if address else None,
            "city": address[2] if address else None,
            "country": address[3] if address else None,
            "card_number": at(person.cards) if source in ("loyalty", "till") or not self.happens("no_card") else None,
        }
        if person.title and self.happens("title_in_name"):
            values["given_name"], values["title"] = f"{person.title} {values['given_name']}", None
            kinds.append("title_in_name")
        if person.generation and self.random.random() < 0.7:
            values["family_name"] = f"{values['family_name']} {person.generation}"
        if self.random.random() < self.rates["staff_card"] * 4:
            values["card_number"] = self.random.choice(staff_cards)
            kinds.append("staff_card")
        for kind, change in self._damages():
            if self.happens(kind) and change(values):
                kinds.append(kind)
        if values["phone"]:
            values["phone"] = self._written_phone(values["phone"])
        if values["street"]:
            values["street"] = self._written_street(values["street"])
        return Record(source, source_id, person.person_id, person.household_id, person.is_undecidable, values, kinds)

    def _knows(self, knows: dict[str, float], what: str) -> bool:
        return self.random.random() < knows[what]

    def _damages(self) -> list[tuple[str, Callable[[dict[str, str | None]], bool]]]:
        """Kinds of damage in the order in which they happen; each says whether it found something to damage."""
        return [
            ("half_of_double_name", self._half), ("nickname", self._nickname), ("initial", self._initial),
            ("swapped_names", self._swap), ("typo", self._typo), ("misheard", self._misheard),
            ("umlaut_in_full", lambda values: self._map_umlauts(values, {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss",
            "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})),
            ("umlaut_lost", lambda values: self._map_umlauts(values, {"ä": "a", "ö": "o", "ü": "u", "ß": "s", "Ä": "A",
            "Ö": "O", "Ü": "U"})),
            ("mojibake", self._mojibake), ("upper_case", self._upper), ("placeholder", self._placeholder),
            ("mistyped_card", self._mistype_card), ("birth_date_wrong", self._wrong_birth_date), ("e_mail_alias", self._alias),
            ("one_field_only", self._one_field),
        ]  # fmt: skip

    def _half(self, values: dict[str, str | None]) -> bool:
        family = values["family_name"] or ""
        if "-" not in family:
            return False
        values["family_name"] = self.random.choice(family.split("-"))
        return True

    def _nickname(self, values: dict[str, str | None]) -> bool:
        short = NICKNAMES.get((values["given_name"] or "").split()[0])
        values["given_name"] = short or values["given_name"]
        return short is not None

    def _initial(self, values: dict[str, str | None]) -> bool:
        values["given_name"] = f"{(values['given_name'] or 'X')[0]}."
        return True

    def _swap(self, values: dict[str, str | None]) -> bool:
        values["given_name"], values["family_name"] = values["family_name"], values["given_name"]
        return True

    def _some_text(self, values: dict[str, str | None]) -> str | None:
        names = [
            name
            for name in ("given_name", "family_name", "family_name", "street", "city", "email")
            if len(values[name] or "") > 3
        ]
        return self.random.choice(names) if names else None

    def _typo(self, values: dict[str, str | None]) -> bool:
        name = self._some_text(values)
        if name is None:
            return False
        text = values[name] or ""
        place = self.random.randrange(1, len(text))
        kind = self.random.randrange(4)
        letter = _NEIGHBOURS.get(text[place].lower(), text[place])
        changed = [text[:place] + letter + text[place + 1 :], text[:place] + text[place + 1 :],
        text[:place] + letter + text[place:],
                   text[: place - 1] + text[place] + text[place - 1] + text[place + 1 :]]  # fmt: skip
        values[name] = changed[kind]
        return True

    def _misheard(self, values: dict[str, str | None]) -> bool:
        name = self.random.choice(["given_name", "family_name"])
        text = values[name] or ""
        fitting = [(old, new) for old, new in _SOUNDS if old in text.lower()]
        if not fitting:
            return False
        old, new = self.random.choice(fitting)
        place = text.lower().index(old)
        changed = text[:place] + new + text[place + len(old) :]
        values[name] = changed[:1].upper() + changed[1:]
        return True

    def _map_umlauts(self, values: dict[str, str | None], written: dict[str, str]) -> bool:
        table, found = str.maketrans(written), False
        for name in ("given_name", "family_name", "street", "city", "company"):
            changed = (values[name] or "").translate(table) or None
            found |= changed != values[name]
            values[name] = changed
        return found

    def _mojibake(self, values: dict[str, str | None]) -> bool:
        found = False
        for name in ("given_name", "family_name", "street", "city", "company"):
            text = values[name]
            if text and not text.isascii():
                values[name] = text.encode().decode("cp1252", "replace")
                found = True
        return found

    def _upper(self, values: dict[str, str | None]) -> bool:
        for name in ("given_name", "family_name", "street", "city"):
            values[name] = (values[name] or "").upper() or None
        return True

    def _placeholder(self, values: dict[str, str | None]) -> bool:
        name, text = self.random.choice(
            [("email", "kunde@laden.de"), ("email", "noreply@shop.de"), ("phone", "0000000"), ("phone", "123456"),
             ("birth_date", "1900-01-01"), ("birth_date", "1970-01-01"), ("family_name", "Laufkunde"), ("given_name",
             "unbekannt")]
        )  # fmt: skip
        values[name] = text
        return True

    def _mistype_card(self, values: dict[str, str | None]) -> bool:
        card = values["card_number"]
        if not card:
            return False
        place = self.random.randrange(len(card))
        values["card_number"] = f"{card[:place]}{(int(card[place]) + 1) % 10}{card[place + 1 :]}"
        return True

    def _wrong_birth_date(self, values: dict[str, str | None]) -> bool:
        if not values["birth_date"] or values["birth_date"] in ("1900-01-01", "1970-01-01"):
            return False
        day = date.fromisoformat(values["birth_date"])
        if day.day <= 12 and self.random.random() < 0.5:
            values["birth_date"] = str(date(day.year, day.day, day.month))
        else:
            values["birth_date"] = str(day + timedelta(days=self.random.choice([-10, -1, 1, 10, 365, -3652])))
        return True

    def _alias(self, values: dict[str, str | None]) -> bool:
        email = values["email"] or ""
        if "@" not in email:
            return False
        local, domain = email.rsplit("@", 1)
        values["email"] = f"{local}+shop@{'googlemail.com' if domain == 'gmail.com' else domain}"
        return True

    def _one_field(self, values: dict[str, str | None]) -> bool:
        filled = [name for name in ("email", "phone", "card_number", "family_name") if values[name]]
        kept = self.random.choice(filled)
        for name in values:
            if name != kept:
                values[name] = None
        return True

    def _written_phone(self, number: str) -> str:
        if not number.startswith("+"):
            return number
        country, area, rest = (*number.split(" ", 2), "")[:3]
        rest = rest.replace(" ", "")
        if country == "+33":
            return self.random.choice([f"+33{area}{rest}", f"0033 {area} {rest}"])
        return self.random.choice(
            [f"{country} {area} {rest}", f"0{area} {rest}", f"0{area}/{rest}", f"(0{area}) {rest[:3]} {rest[3:]}",
            f"{country} (0){area} {rest}",
             f"00{country[1:]} {area} {rest}", f"0{area}{rest}", f"{country}-{area}-{rest[:4]}-{rest[4:]}"]
        )  # fmt: skip

    def _written_street(self, street: str) -> str:
        if "straße" not in street:
            return street
        return street.replace("straße", self.random.choice(["straße", "straße", "strasse", "str.", "str"]))


def make_customers(persons: int, seed: int, rates: dict[str, float] | None = None) -> pd.DataFrame:
    """All records as a table; person_id, household_id, is_undecidable and kinds are the truth."""
    maker = Maker(seed, rates)
    rows = maker.records(maker.people(persons))
    truth = ("source", "source_id", "person_id", "household_id", "is_undecidable")
    return pd.DataFrame(
        [{name: getattr(row, name) for name in truth} | row.values | {"kinds": ",".join(row.kinds)} for row in rows]
    )


def to_parties(customers: pd.DataFrame) -> pd.DataFrame:
    """The records as rows of ``vault.party``, without the truth."""
    given = customers.astype(object).where(customers.notna(), None)
    party = given[
        ["source", "card_number", "given_name", "family_name", "title", "company", "street", "postal_code", "city", "country"]
    ]
    return party.assign(
        party_key=[f"{source} {source_id}" for source, source_id in zip(given["source"], given["source_id"], strict=True)],
        birth_date=[date.fromisoformat(day) if day else None for day in given["birth_date"]],
        emails=[[address] if address else None for address in given["email"]],
        phones=[[number] if number else None for number in given["phone"]],
        contact_person=None,
        customer_number=None,
        tax_id=None,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/make_customers.py", description=__doc__)
    parser.add_argument("--persons", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="a .parquet file")
    given = parser.parse_args()
    make_customers(given.persons, given.seed).to_parquet(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
