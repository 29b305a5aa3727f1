"""The customer exports of the CRM (HubSpot), the loyalty scheme and the web shop (Shopify), and who each record truly is."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb

from demo_chain.party_records import CRM, LOYALTY, SHOP, PartyRecord, make_records
from demo_chain.people import Person, make_people

EXPORTED = "20180102T0600"
MEMBER_COLUMNS = (
    "Mitgliedsnummer;Kundennummer;Kartennummer;Anrede;Vorname;Nachname;Geburtsdatum;E-Mail;Telefon;Mobil;Straße;PLZ;Ort;Land;"
    "Stammfiliale;Stufe;Punkte;Mitglied seit;Gekündigt;Werbung E-Mail;Werbung Post;Widerspruch Profilbildung;Einwilligung am;"
    "Nachweis"
)
CONTACT_COLUMNS = (
    "Record ID,First Name,Last Name,Email,Additional email addresses,Phone Number,Mobile Phone Number,Company Name,"
    "Street Address,Postal Code,City,Country/Region,Create Date,Last Modified Date,Unsubscribed from all email,"
    "Marketing email confirmation status,Legal basis for processing contact's data,Associated Company IDs"
)
SHOPPER_COLUMNS = (
    "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Address1,"
    "Default Address Address2,Default Address City,Default Address Province Code,Default Address Country Code,"
    "Default Address Zip,Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Total Orders,Note,Tax Exempt,Tags"
)
_SALUTATIONS = {"female": "Frau", "male": "Herr"}
Consents = list[tuple[str, str, str, str, str]]  # source, source id, channel, purpose, state


def load_people(con: duckdb.DuckDBPyConnection, seed: int) -> list[Person]:
    """Everybody who buys in the chosen weeks and branches."""
    households = con.execute(
        """
        SELECT household_id, card_number, age FROM cards SEMI JOIN lines USING (household_id)
        LEFT JOIN demographics USING (household_id) ORDER BY household_id
        """
    ).fetchall()
    return make_people(households, seed)


def write_parties(landing: Path, truth: Path, people: Sequence[Person], seed: int) -> None:
    """Write the three exports, and for the truth the person and the consents of each record."""
    records = make_records(people, seed)
    consents: Consents = []
    for source, write in ((LOYALTY, _write_members), (CRM, _write_contacts), (SHOP, _write_shoppers)):
        write(landing, [record for record in records if record.source == source], consents)
    write_rows(
        truth / "parties.csv", "source,source_id,person_id,household_id,is_company,differs",
        ((r.source, r.source_id, r.person_id, r.told.household_id, r.told.is_company, " ".join(r.differs)) for r in records),
    )  # fmt: skip
    write_rows(truth / "expected_consents.csv", "source,source_id,channel,purpose,state", sorted(consents))


def _write_members(landing: Path, records: Sequence[PartyRecord], consents: Consents) -> None:
    rows = []
    for record in records:
        told, lot = record.told, _lot(record)
        email, post, objects = (
            lot.choice(("ja", "ja", "nein", "")),
            lot.choice(("ja", "nein", "")),
            lot.choice(("", "", "ja", "nein")),
        )
        since = date(2010, 1, 1) + timedelta(days=lot.randrange(2500))
        granted = {"ja": "granted", "nein": "denied"}
        told_of = (("email", "marketing", granted.get(email)), ("post", "marketing", granted.get(post)),
                   ("any", "scoring", {"ja": "denied", "nein": "granted"}.get(objects)))  # fmt: skip
        _note(consents, record, told_of)
        rows.append((
            record.source_id, told.customer_number, told.card_number, _SALUTATIONS[told.gender], told.given_name,
            told.family_name, f"{told.birth_date:%d.%m.%Y}", told.email, told.phone, told.mobile, told.street, told.postal_code,
            told.city, "DE", "", lot.choice(("Gold", "Silber", "Silber", "Basis")), lot.randrange(5000), f"{since:%d.%m.%Y}", "",
            email, post, objects,
            f"{since:%d.%m.%Y}" if email or post else "", f"Antrag vom {since:%d.%m.%Y}" if email or post else "",
        ))  # fmt: skip
    write_rows(landing / "loyalty" / f"mitglieder_{EXPORTED}.csv", MEMBER_COLUMNS, rows, "cp1252", ";")


def _write_contacts(landing: Path, records: Sequence[PartyRecord], consents: Consents) -> None:
    rows = []
    for record in records:
        told, lot = record.told, _lot(record)
        opted_out = lot.choice(("true", "false", "false", ""))
        confirmed = lot.choice(("double_opt_in_confirmed", "double_opt_in_pending", "")) if opted_out == "" else ""
        _note(consents, record, (
            ("email", "marketing", {"true": "denied", "false": "granted"}.get(opted_out)),
            ("email", "marketing", "granted" if confirmed == "double_opt_in_confirmed" else None),
        ))  # fmt: skip
        changed = date(2017, 1, 1) + timedelta(days=lot.randrange(360))
        rows.append((
            record.source_id, told.given_name, told.family_name, told.email, "", told.phone, told.mobile, told.company,
            told.street, told.postal_code, told.city, "DE", "2015-03-02 09:00", f"{changed} 10:15", opted_out, confirmed,
            "Freely given consent" if confirmed else "", "",
        ))  # fmt: skip
    write_rows(landing / "hubspot" / f"contacts_{EXPORTED}.csv", CONTACT_COLUMNS, rows)


def _write_shoppers(landing: Path, records: Sequence[PartyRecord], consents: Consents) -> None:
    """In the shop a company orders under its own name alone."""
    rows = []
    for record in records:
        told, lot = record.told, _lot(record)
        email, sms = lot.choice(("yes", "no")), lot.choice(("yes", "no", ""))
        names = ("", "") if told.is_company else (told.given_name, told.family_name)
        states = {"yes": "granted", "no": "denied"}
        _note(consents, record, (("email", "marketing", states[email]), ("sms", "marketing", states.get(sms))))
        rows.append((
            f"'{record.source_id}", *names, told.email, email, told.company, told.street, "",
            told.city, "", "DE", f"'{told.postal_code}", "", told.mobile, sms, "0.00", 0, "", "no", "",
        ))  # fmt: skip
    write_rows(landing / "shopify" / f"customers_export_{EXPORTED}.csv", SHOPPER_COLUMNS, rows)


def _lot(record: PartyRecord) -> random.Random:
    return random.Random(f"{record.source}:{record.source_id}")  # noqa: S311 - nothing secret


def _note(consents: Consents, record: PartyRecord, told: Iterable[tuple[str, str, str | None]]) -> None:
    consents += [(record.source, record.source_id, channel, purpose, state) for channel, purpose, state in told if state]


def write_rows(
    path: Path, columns: str, rows: Iterable[Sequence[object]], encoding: str = "utf-8", delimiter: str = ","
) -> None:  # fmt: skip
    """Write a table with a header; its folder is made where it is not there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(columns.split(delimiter))
        writer.writerows(rows)
