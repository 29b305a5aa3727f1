from __future__ import annotations

import make_docs
import pytest

from tests.sources.mappings import source
from tillhouse.errors import ConfigError
from tillhouse.silver.identifiers import to_e164, to_payment_card
from tillhouse.sources.consents import consent_fields, meanings
from tillhouse.sources.entities import BY_NAME, CONTACT, ENTITIES, Entity
from tillhouse.sources.model import Consent
from tillhouse.tables import entities

CONTACTS = """
source: crm
entity: contact
description: contacts of a CRM
owner: sales
format: csv
file_pattern: crm/{exported}.csv
personal_data: true
phone_region: DE
columns:
  contact_id: {aliases: [Id]}
  emails: {collect: [Mail, Mail 2], separator: ";"}
  phones: {aliases: [Phone]}
consent:
  - {channel: email, aliases: [Newsletter]}
"""
# What every table of records has besides the fields of its kind.
COMMON = {"record_key", "source", "version_at", "_file", "_file_id", "_row"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ("personal_data: false", "key 'personal_data': must be true, because contact_id, emails, phones is personal data"),
        ("phone_region: ", "key 'phone_region': is missing; say of which country phones without prefix are, for example DE"),
        (
            "{date_formats: [iso], columns: {changed_at: {aliases: [Changed]}}}",
            "key 'timezone': must be named for changed_at, because no branch tells it; for example Europe/Berlin",
        ),
        (
            "consent: [{channel: email, aliases: [a], at: [b]}]",
            "key 'date_formats': is missing; say how the times of consent are written, for example [iso]",
        ),
        (
            "columns: {company: {aliases: [a], separator: ';'}}",
            "key 'columns.company.separator': is for fields of several texts; use aliases, of which the first that is",
        ),
        (
            "consent: [{channel: email, aliases: [a], inverted: true, denied: ['x']}]",
            "key 'consent.0': inverted turns yes and no; where granted or denied are listed they say it themselves",
        ),
        (
            "consent: [{channel: email, aliases: [a], granted_unless_opted_out: true}]",
            "key 'consent.0': granted_unless_opted_out says what no means in an opt-out; it goes with inverted: true",
        ),
        (
            "consent: [{channel: email, aliases: [a], granted: [x], unknown: [x]}]",
            "key 'consent.0': x stands in more than one of granted, denied, unknown; keep one",
        ),
        ("entity: plan", "key 'consent': is told of contacts, this source is a plan; remove the key"),
        ("{entity: ticket, personal_data: false}", "key 'personal_data': must be true, because "),
    ],
)
def test_a_wrong_mapping_of_records_is_told_with_key_and_remedy(changes: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        source(CONTACTS, changes)
    assert any(line.startswith(f"conf/sources/crm.yml: {expected}") for line in str(error.value).splitlines()), str(error.value)


def test_records_about_persons_lie_in_the_vault_whatever_is_mapped() -> None:
    changes = "{entity: warranty, phone_region: , date_formats: [iso], consent: , personal_data: false, columns: {contact_id: , "
    columns = "emails: , phones: , serial_number: {aliases: [a]}, ends_on: {aliases: [b]}}}"
    with pytest.raises(ConfigError, match="must be true, because a warranty is personal data"):
        source(CONTACTS, changes + columns)


@pytest.mark.parametrize("kind", ENTITIES, ids=lambda kind: kind.name)
def test_a_kind_of_record_is_declared_as_its_table_is(kind: Entity) -> None:
    fields = {field.name: field for field in kind.fields}
    assert {name for name in kind.key if name != "party"} <= fields.keys()
    assert {*kind.refers, *kind.defaults} <= fields.keys()
    assert all(field.identifier is None or field.personal for field in kind.fields)
    if kind.name == CONTACT:
        return
    columns = {column.name for column in make_docs.to_columns(entities.BY_NAME[kind.name])}
    own = {f"{field.name}_token" if field.identifier else field.name for field in kind.own_fields}
    kept = {name for name in own if name not in fields or not fields[name].personal}
    assert columns == COMMON | kept | ({"party_key"} if kind.names_party else set())


def test_every_table_of_records_has_its_kind() -> None:
    assert set(entities.BY_NAME) == set(BY_NAME) - {CONTACT}


@pytest.mark.parametrize(
    ("consent", "texts"),
    [
        ({}, {"ja": "granted", "YES": "granted", "No": "denied", "0": "denied"}),
        ({"inverted": True}, {"true": "denied", "False": "unknown", "0": "unknown"}),
        ({"inverted": True, "granted_unless_opted_out": True}, {"true": "denied", "False": "granted"}),
        ({"granted": ("Allow",), "denied": ("Do Not Allow",)}, {"Allow": "granted", "Do Not Allow": "denied", "yes": None}),
        ({"denied": ("true",), "unknown": ("false",)}, {"true": "denied", "false": "unknown"}),
    ],
)
def test_what_a_text_says_of_consent(consent: dict[str, object], texts: dict[str, str | None]) -> None:
    said = meanings(Consent.model_validate({"channel": "email", "aliases": ("a",), **consent}))
    assert {text: said.get(text) for text in texts} == texts
    assert "" not in said


def test_a_declaration_of_consent_has_a_state_a_proof_and_a_time() -> None:
    assert [field.name for field in consent_fields(source(CONTACTS))] == ["consent_0", "consent_0_proof", "consent_0_at"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("DE 030 / 231 25-001", "+493023125001"),
        ("DE +49 (0)30 23125001", "+493023125001"),
        ("DE 0049 30 23125001", "+493023125001"),
        ("DE +49 30 23125001 ext. 12", "+493023125001"),
        ("CH 044 668 18 00", "+41446681800"),
        ("ZZ +41 44 668 18 00", "+41446681800"),
        ("ZZ 030 23125001", None),
        ("DE 123", None),
        ("DE keine Angabe", None),
    ],
)
def test_a_phone_number_has_one_form(text: str, number: str | None) -> None:
    assert to_e164(text) == number


@pytest.mark.parametrize(
    ("text", "card"),
    [
        ("Visa 1234", "VISA1234"),
        ("VISA ************1234", "VISA1234"),
        ("visa XXXX-XXXX-XXXX-1234", "VISA1234"),
        ("1234", "1234"),
        ("Mastercard •••• 0042", "MASTERCARD0042"),
        ("pm_1NxTq2eZvKYlo2C", "PM1NXTQ2EZVKYLO2C"),
        ("Visa", None),
        ("Visa 12", None),
        ("MASTERCARDDEBIT", None),
        (" ", None),
    ],
)
def test_a_payment_card_has_one_form_and_a_brand_alone_is_none(text: str, card: str | None) -> None:
    assert to_payment_card(text) == card
