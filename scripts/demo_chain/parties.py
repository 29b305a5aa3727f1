"""The customer exports of the CRM (HubSpot), the loyalty scheme and the web shop (Shopify), and who each record truly is."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from datetime import date, timedelta
from pathlib import Path

import duckdb

from demo_chain.exports import EXPORTED, Fault, write_rows
from demo_chain.party_records import CRM, LOYALTY, NO_NUMBER, SHOP, UNKNOWN_BRANCH, PartyRecord
from demo_chain.people import Person, make_people

FIRST_EXPORTED = "20170102T0600"
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
LEGAL_BASIS = "Freely given consent"
_SALUTATIONS = {"female": "Frau", "male": "Herr"}
_NO_CONTACT = ("", *["Niemand"] * 2, *[""] * 9, "2015-03-02 09:00", "2017-12-01 10:15", *[""] * 4)  # a contact without an id
Consents = list[tuple[str, str, str, str, str, str]]  # source, source id, channel, purpose, state, proof


def load_people(con: duckdb.DuckDBPyConnection, seed: int) -> list[Person]:
    """Everybody who buys in the chosen weeks and branches."""
    households = con.execute(
        """
        SELECT household_id, card_number, age FROM cards SEMI JOIN sold USING (household_id)
        LEFT JOIN demographics USING (household_id) ORDER BY household_id
        """
    ).fetchall()
    return make_people(households, seed)


def usual_branches(con: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """The branch in which each household buys most often."""
    rows = con.execute(
        """
        SELECT household_id, branch_id FROM sold JOIN branches USING (store_id) GROUP BY household_id, branch_id
        QUALIFY row_number() OVER (PARTITION BY household_id ORDER BY count(DISTINCT basket_id) DESC, branch_id) = 1
        """
    ).fetchall()
    return dict(rows)


def write_parties(landing: Path, truth: Path, people: Sequence[Person], records: Sequence[PartyRecord]) -> list[Fault]:
    """Write the exports of the three systems, and for the truth the people and the person and consents of each record.

    Returns what must be listed.
    """
    consents: Consents = []
    members, contacts, shoppers = ([record for record in records if record.source == name] for name in (LOYALTY, CRM, SHOP))
    _write_members(landing / "loyalty", members, consents)
    _write_contacts(landing / "hubspot", contacts, consents)
    _write_shoppers(landing / "shopify", shoppers, consents)
    write_rows(truth / "people.csv", ",".join(field.name for field in fields(Person)), map(astuple, people))
    told = [_truth(record) for record in records]
    told.append({**dict.fromkeys(told[0], ""), "source": CRM, "status": "rejected", "family_name": "Niemand"})
    write_rows(truth / "parties.csv", ",".join(told[0]), (tuple(row.values()) for row in told))
    columns = "source,source_id,channel,purpose,state,proof"
    write_rows(truth / "expected_consents.csv", columns, sorted(consents))
    unchanged = sum(record.before == record.told and not record.has_left for record in members)
    versions = [(record.source, "deleted" if record.has_left else "current") for record in records]
    versions += [(CRM, "rejected"), *[(LOYALTY, "duplicate")] * unchanged]
    versions += [(LOYALTY, "superseded")] * (sum(record.before is not None for record in members) - unchanged)
    counted = sorted((*version, versions.count(version)) for version in set(versions))
    write_rows(truth / "expected_versions.csv", "source,status,records", counted)
    return [Fault("field_missing", CRM, None), *(fault for record in records for fault in _faults(record))]


def _truth(record: PartyRecord) -> dict[str, object]:
    """A record as the vault must hold it, and whose it is."""
    told, is_member = record.told, record.source == LOYALTY
    return {
        "source": record.source, "source_id": record.source_id, "status": "deleted" if record.has_left else "current",
        "person_id": record.person_id, "household_id": told.household_id, "party_type": record.party_type,
        "is_complete": record.is_complete, "differs": " ".join(record.differs),
        "card_number": told.card_number if is_member else "", "customer_number": told.customer_number if is_member else "",
        "given_name": record.names[0], "family_name": record.names[1], "company": "" if is_member else told.company,
        "birth_date": told.birth_date if is_member else "", "email": told.email, "phones": "; ".join(record.phones),
        "street": told.street, "postal_code": told.postal_code, "city": told.city, "country": told.country,
    }  # fmt: skip


def _faults(record: PartyRecord) -> list[Fault]:
    if record.has_left:
        return []
    found = {
        "party_incomplete": not record.is_complete,
        "field_unreadable": NO_NUMBER in record.phones,
        "reference_unknown": record.home_branch == UNKNOWN_BRANCH,
    }
    return [Fault(rule, record.source, record.source_id) for rule, is_broken in found.items() if is_broken]


def _write_members(folder: Path, records: Sequence[PartyRecord], consents: Consents) -> None:
    """Two exports of all members: as they were, and as they are, with those who have left."""
    before, now = [], []
    for record in records:
        lot = _lot(record)
        email, post, objects = (
            lot.choice(texts) for texts in (("ja", "ja", "nein", ""), ("ja", "nein", ""), ("", "", "ja", "nein"))
        )
        since = f"{date(2010, 1, 1) + timedelta(days=lot.randrange(2500)):%d.%m.%Y}"
        tier, points = lot.choice(("Gold", "Silber", "Silber", "Basis")), lot.randrange(5000)
        proof = f"Antrag vom {since}" if email or post else ""
        granted = {"ja": "granted", "nein": "denied"}
        _note(consents, record, (
            ("email", "marketing", granted.get(email), proof), ("post", "marketing", granted.get(post), proof),
            ("any", "scoring", {"ja": "denied"}.get(objects), ""),
        ))  # fmt: skip
        scheme = (record.home_branch, tier, points, since)
        said = (email, post, objects, since if proof else "", proof)
        if record.before:
            before.append((record.source_id, *_member(record.before), *scheme, "", *said))
        now.append((record.source_id, *_member(record.told), *scheme, "ja" if record.has_left else "", *said))
    write_rows(folder / f"mitglieder_{FIRST_EXPORTED}.csv", MEMBER_COLUMNS, before, "cp1252", ";")
    write_rows(folder / f"mitglieder_{EXPORTED}.csv", MEMBER_COLUMNS, now, "cp1252", ";")


def _member(told: Person) -> tuple[object, ...]:
    return (
        told.customer_number, told.card_number, _SALUTATIONS[told.gender], told.given_name, told.family_name,
        f"{told.birth_date:%d.%m.%Y}", told.email, told.phone, told.mobile, told.street, told.postal_code, told.city,
        told.country,
    )  # fmt: skip


def _write_contacts(folder: Path, records: Sequence[PartyRecord], consents: Consents) -> None:
    """The contacts of the CRM, and one without an id, which is nobody's."""
    rows: list[tuple[object, ...]] = []
    for record in records:
        told, lot = record.told, _lot(record)
        opted_out = lot.choice(("true", "false", "false", ""))
        confirmed = lot.choice(("double_opt_in_confirmed", "double_opt_in_pending", ""))
        basis = LEGAL_BASIS if confirmed else ""
        if opted_out == "true":
            _note(consents, record, (("email", "marketing", "denied", ""),))
        else:
            state = "granted" if confirmed == "double_opt_in_confirmed" else None
            _note(consents, record, (("email", "marketing", state, basis),))
        changed = date(2017, 1, 1) + timedelta(days=lot.randrange(360))
        rows.append((
            record.source_id, *record.names, told.email, "", told.phone, told.mobile, told.company,
            told.street, told.postal_code, told.city, told.country, "2015-03-02 09:00", f"{changed} 10:15", opted_out, confirmed,
            basis, "",
        ))  # fmt: skip
    write_rows(folder / f"contacts_{EXPORTED}.csv", CONTACT_COLUMNS, [*rows, _NO_CONTACT])


def _write_shoppers(folder: Path, records: Sequence[PartyRecord], consents: Consents) -> None:
    rows = []
    states = {"yes": "granted", "no": "denied"}
    for record in records:
        told, lot = record.told, _lot(record)
        email, sms = lot.choice(("yes", "no")), lot.choice(("yes", "no", ""))
        _note(consents, record, (
            ("email", "marketing", states[email], ""), ("sms", "marketing", states.get(sms), ""),
            ("whatsapp", "marketing", None, ""),
        ))  # fmt: skip
        rows.append((
            f"'{record.source_id}", *record.names, told.email, email, told.company, told.street, "",
            told.city, "", told.country, f"'{told.postal_code}" if told.postal_code else "", "", told.mobile, sms, "0.00", 0, "",
            "no", "",
        ))  # fmt: skip
    write_rows(folder / f"customers_export_{EXPORTED}.csv", SHOPPER_COLUMNS, rows)


def _lot(record: PartyRecord) -> random.Random:
    return random.Random(f"{record.source}:{record.source_id}")  # noqa: S311 - nothing secret


def _note(consents: Consents, record: PartyRecord, told: Iterable[tuple[str, str, str | None, str]]) -> None:
    """What is said of consent; nothing said is unknown, and so is that somebody has not opted out."""
    if not record.has_left:
        consents += [
            (record.source, record.source_id, channel, purpose, state or "unknown", proof)
            for channel, purpose, state, proof in told
        ]
