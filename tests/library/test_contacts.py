"""Contacts of every system for which a mapping is shipped, against what stands in their exports, by hand."""

from __future__ import annotations

import json

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tests.conftest import Chain
from tests.integration.personal_data import clear_text_in
from tillhouse.tables import entities, ops, silver, vault
from tillhouse.tables.bronze import bronze_table

CONTACTS = (
    "hubspot_contacts", "salesforce_contacts", "dynamics_contacts", "dynamics_contacts_xlsx", "espocrm_contacts",
    "shopify_customers", "loyalty_members",
)  # fmt: skip
# Of every delivered record: how many count, were taken back, and why the others do not count.
VERSIONS = {
    "hubspot_contacts": {"current": 4, "superseded": 1, "duplicate": 1, "rejected": 1},  # one has no id
    "salesforce_contacts": {"current": 1, "superseded": 2, "deleted": 1},
    "dynamics_contacts": {"current": 2, "superseded": 1},
    "dynamics_contacts_xlsx": {"current": 3},
    "espocrm_contacts": {"current": 1, "conflicting": 1},
    "shopify_customers": {"current": 3},
    "loyalty_members": {"current": 2, "superseded": 1, "deleted": 1},
}
# Family name: channel and purpose, state, has a proof, has a time. What is unknown (blanks, opt-outs that say no) is left out.
CONSENTS = {
    ("Größner-Vogel", "email", "marketing", "granted", "Freely given consent of *** on 12.03.2024", None),
    ("Ackermann", "email", "marketing", "denied", None, None),
    ("Ehlers", "phone", "marketing", "denied", None, None),
    ("Gallwitz", "email", "marketing", "denied", None, None),
    ("Otte Ludwig", "email", "marketing", "denied", None, None),
    ("Hintze", "phone", "marketing", "denied", None, None),
    ("Ivens", "email", "marketing", "granted", None, None),
    ("Ivens", "sms", "marketing", "denied", None, None),
    ("Jost", "email", "marketing", "denied", None, None),
    ("Kern", "email", "marketing", "granted", None, None),
    ("Löwenstein", "email", "marketing", "granted", "Formular 4711 vom 15.03.2020", "2020-03-15 09:30:00"),
    ("Möhring", "email", "marketing", "denied", "IP ***", "2020-03-15 23:00:00"),
    ("Möhring", "post", "marketing", "granted", "IP ***", "2020-03-15 23:00:00"),
    ("Möhring", "any", "scoring", "denied", None, None),
}
EXCEPTIONS = {
    ("hubspot_contacts", "field_missing", "contact_id"),
    ("hubspot_contacts", "party_incomplete", "(record)"),
    ("hubspot_contacts", "field_unreadable", "emails"),
    ("hubspot_contacts", "field_unreadable", "phones"),
    ("hubspot_contacts", "value_unknown", "consent_0"),  # maybe
    ("dynamics_contacts", "party_incomplete", "(record)"),  # a company without address
    ("espocrm_contacts", "conflicting_versions", "(record)"),
    ("loyalty_members", "field_unreadable", "birth_date"),  # 31.02.
    ("loyalty_members", "reference_unknown", "home_branch_id"),
}
PERSONAL = (
    "Größner", "Ackermann", "Ehlers", "Gallwitz", "Hintze", "Löwenstein", "Möhring", "groessner", "bertold@", "Lindenweg",
    "23125001", "3920052", "192.0.2.17", "C-1002", "K5002", "Am Markt",
)  # fmt: skip


def parties(library: Chain) -> DataFrame:
    clear = library.store.read(vault.PARTY).select("party_key", "family_name", "given_name", "company", "emails", "phones")
    return library.store.read(silver.PARTY).where(F.col("source").isin(*CONTACTS)).join(clear, on="party_key", how="left")


def test_each_delivered_contact_counts_once_in_its_newest_version(library: Chain) -> None:
    rows = library.store.read(entities.RECORD_VERSION).where("entity = 'contact'").groupBy("source", "status").count().collect()
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["source"], {})[row["status"]] = row["count"]
    assert found == VERSIONS


def test_records_read_are_those_that_count_and_those_that_do_not(library: Chain) -> None:
    read = {source: library.store.read(bronze_table(source, personal=True)).count() for source in VERSIONS}
    assert read == {source: sum(states.values()) for source, states in VERSIONS.items()}
    rows = library.store.read(ops.RUN_AUDIT).where("measure LIKE 'records: %versions%'").collect()
    assert {row["source"] for row in rows} >= VERSIONS.keys()
    assert all(row["ok"] for row in rows)


def test_a_contact_is_complete_with_a_name_and_a_way_to_reach_it(library: Chain) -> None:
    rows = parties(library).where("NOT is_complete").collect()
    assert {(row["source"], row["company"]) for row in rows} == {
        ("hubspot_contacts", None), ("dynamics_contacts", "Hansel Logistik GmbH"),
    }  # fmt: skip
    assert {row["family_name"] for row in rows} == {None, "Dahlhoff"}


def test_consent_is_granted_denied_or_unknown_and_who_has_not_opted_out_has_granted_nothing(library: Chain) -> None:
    told = library.store.read(entities.CONSENT).where("state <> 'unknown'").join(parties(library), on="party_key")
    found = {
        (
            f"Otte {row['given_name']}" if row["family_name"] == "Otte" else row["family_name"],
            row["channel"], row["purpose"], row["state"], row["proof"], str(row["at"]) if row["at"] else None,
        )
        for row in told.collect()
    }  # fmt: skip
    assert found == CONSENTS


def test_a_blank_is_unknown_and_never_granted(library: Chain) -> None:
    told = library.store.read(entities.CONSENT).join(parties(library).where("family_name IN ('Dahlhoff')"), on="party_key")
    assert [(row["channel"], row["state"]) for row in told.collect()] == [("email", "unknown")]
    rows = library.store.read(entities.CONSENT).join(parties(library).where("given_name = 'Marlene'"), on="party_key").collect()
    assert {(row["channel"], row["state"]) for row in rows} == {("email", "unknown"), ("phone", "unknown")}


def test_several_addresses_and_ids_in_a_cell_are_several_and_a_number_has_one_form(library: Chain) -> None:
    rows = {row["family_name"]: row for row in parties(library).collect()}
    assert len(rows["Ackermann"]["company_id_tokens"]) == 2
    assert len(rows["Löwenstein"]["email_tokens"]) == 2
    assert rows["Dahlhoff"]["email_tokens"] is rows["Dahlhoff"]["phone_tokens"] is None
    assert rows["Größner-Vogel"]["phones"] == ["+49 30 23125001"]
    tokens = {row["family_name"]: set(row["phone_tokens"] or ()) for row in rows.values()}
    assert len(tokens["Ivens"]) == len(tokens["Jost"]) == len(tokens["Kern"]) == 1


def test_the_ids_of_api_and_report_are_the_same_contact_and_a_street_has_its_lines(library: Chain) -> None:
    [row] = library.store.read(vault.PARTY).where("source = 'salesforce_contacts'").collect()
    assert (row["family_name"], row["street"], row["phones"]) == ("Ehlers", "Am Markt 2", ["030 23125011"])
    [espo] = library.store.read(vault.PARTY).where("source = 'espocrm_contacts'").collect()
    assert espo["street"] == "Uferstr. 3\nc/o Hintze"
    [shop] = library.store.read(vault.PARTY).where("family_name = 'Ivens'").collect()
    assert (shop["contact_id"], shop["street"], shop["postal_code"]) == ("7100000000001", "Gartenweg 1 Hinterhaus", "8001")


def test_a_card_on_a_receipt_and_that_of_a_member_have_the_same_token(library: Chain) -> None:
    cards = library.store.read(silver.PARTY).where("card_token IS NOT NULL")
    [member] = (
        cards.join(library.store.read(vault.PARTY).where("family_name = 'Löwenstein'"), on="party_key")
        .select("card_token")
        .collect()
    )
    same = cards.where(F.col("card_token") == member["card_token"]).collect()
    assert {row["source"] for row in same} == {"dsfinvk", "loyalty_members", "campaign_contacts_csv"}


def test_a_contact_that_its_source_takes_back_is_in_no_table(library: Chain) -> None:
    assert library.store.read(vault.PARTY).where("family_name IN ('Fährmann', 'Nolte')").isEmpty()


def test_exceptions_of_contacts_are_those_that_were_planted_and_show_nobody(library: Chain) -> None:
    rows = library.store.read(silver.EXCEPTION).where("entity = 'contact' AND status = 'open'").collect()
    assert {(row["source"], row["rule"], json.loads(row["context"]).get("field")) for row in rows} == EXCEPTIONS


def test_no_personal_data_of_a_contact_is_outside_the_vault_and_the_landing_area(library: Chain) -> None:
    assert clear_text_in(library.lake, PERSONAL) == []
    assert clear_text_in(library.vault, PERSONAL, only_logs=True) == []
    assert clear_text_in(library.vault, PERSONAL)
