"""What is delivered beside receipts, master data and contacts: every kind of record by one small export, by hand."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Chain
from tests.integration.personal_data import clear_text_in
from tillhouse.sources.entities import CONTACT, ENTITIES
from tillhouse.store import quoted
from tillhouse.tables import entities, silver, vault

VERSIONS = {
    "ticket": {"current": 4, "superseded": 1, "rejected": 1},
    "interaction": {"current": 2},
    "campaign": {"current": 2, "superseded": 1},
    "campaign_contact": {"current": 3, "duplicate": 1},
    "coupon": {"current": 2},
    "coupon_redemption": {"current": 2},
    "web_event": {"current": 3, "rejected": 1},
    "open_item": {"current": 3, "superseded": 1, "rejected": 1},
    "survey_answer": {"current": 2},
    "preference": {"current": 2, "superseded": 1},
    "warranty": {"current": 1, "superseded": 1, "deleted": 1, "rejected": 1},
    "plan": {"current": 3},
}
EXCEPTIONS = {
    ("ticket", "value_unknown", "ticket_type", "T4"),
    ("ticket", "field_unreadable", "opened_at", "T5"),
    ("ticket", "reference_unknown", "branch_id", "T2"),
    ("ticket", "reference_unknown", "party_key", "T2"),
    ("interaction", "reference_unknown", "campaign_id", "C2"),
    ("web_event", "field_missing", "occurred_at", "e4"),
    ("open_item", "value_unknown", "item_type", "R102"),
    ("open_item", "reference_unknown", "party_key", "R101"),
    ("warranty", "field_missing", "ends_on", "SN-3/TV-X/TV55"),
    ("plan", "reference_unknown", "branch_id", "99/2025-10-01/month/-"),
}
# What tests/products tries.
OF_PRODUCTS = ("product_reference", "category", "bundle_component", "price_list", "stock")
# Columns of each kind as text, ordered; what the exports say, in one form.
ROWS = {
    "ticket": ("ticket_id, ticket_type, status, closed_at", {
        ("T1", "complaint", "closed", "2026-09-03 14:00:00"), ("T2", "question", "open", None), ("T3", "praise", "closed", None),
        ("T4", None, "open", None),
    }),
    "interaction": ("interaction_id, direction, started_at, ticket_id", {
        ("C1", "inbound", "2026-09-01 07:10:00", "T1"), ("C2", "outbound", "2026-09-04 08:00:00", None),
    }),
    "campaign": ("campaign_id, ends_on, cost_amount, currency", {
        ("CA1", "2026-10-15", "1300.50", "EUR"), ("CA2", "2026-09-30", "80.00", "EUR"),
    }),
    "campaign_contact": ("campaign_id, event, test_group, occurred_at", {
        ("CA2", "sent", "target", "2026-09-01 08:00:00"), ("CA2", "opened", "target", "2026-09-01 08:05:00"),
        ("CA2", "sent", "control", "2026-09-01 08:00:00"),
    }),
    "coupon": ("coupon_id, product_ref, discount_amount", {("G10", "A100", "0.50"), ("G10", "M9", "0.50")}),
    "coupon_redemption": ("coupon_id, redeemed_on, receipt_number, discount_amount", {
        ("G10", "2026-09-05", "4712", "0.50"), ("G10", "2026-09-06", "4713", None),
    }),
    "web_event": ("event_id, event, cart_id, amount", {
        ("e1", "cart_add", "w1", "5.98"), ("e2", "cart_abandoned", "w1", "5.98"), ("e3", "view", None, None),
    }),
    "open_item": ("item_id, item_type, paid_on, amount, open_amount, dunning_level", {
        ("R100", "invoice", "2026-08-25", "1190.00", "0.00", None), ("M100-1", "dunning", None, "5.00", "5.00", "1"),
        ("R101", "invoice", None, "89.00", "0.00", None),
    }),
    "survey_answer": ("question_id, answer, score", {("1", "good", "4.000"), ("2", None, None)}),
    "preference": ("preference_type, category, planned_on, budget_amount", {
        ("preference", "bread", None, None), ("planned_purchase", "TV", "2026-11-01", "1500.00"),
    }),
    "warranty": ("serial_number, model, ends_on", {("SN-1", "TV-X", "2027-10-24")}),
    "plan": ("branch_id, starts_on, period, revenue_amount", {
        ("1", "2025-10-01", "month", "35000.00"), ("2", "2025-10-01", "month", "40000.50"), ("99", "2025-10-01", "month", "1.00"),
    }),
}  # fmt: skip
PERSONAL = (
    "Ostermann", "Otto Pahl", "cookie-77", "fremd@", "Fernseher von", "Ruft zur", "abgeholt", "angry", "wants more bread",
    "K9999", "helene@",
)  # fmt: skip


def test_every_kind_of_record_has_a_mapping_an_export_and_figures_by_hand() -> None:
    kinds = {kind.name for kind in ENTITIES} - {CONTACT, *OF_PRODUCTS}
    assert kinds == set(VERSIONS) == set(ROWS)


def test_each_delivered_record_counts_once_in_its_newest_version(library: Chain) -> None:
    rows = (
        library.store.read(entities.RECORD_VERSION)
        .where(f"entity IN ({quoted(VERSIONS)})")
        .groupBy("entity", "status")
        .count()
        .collect()
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["entity"], {})[row["status"]] = row["count"]
    assert found == VERSIONS


@pytest.mark.parametrize("kind", ROWS)
def test_records_are_what_their_export_says(library: Chain, kind: str) -> None:
    columns, wanted = ROWS[kind]
    rows = library.store.read(entities.BY_NAME[kind]).select(*(name.strip() for name in columns.split(","))).collect()
    assert {tuple(None if value is None else str(value) for value in row) for row in rows} == wanted
    assert len(rows) == len(wanted)


def test_exceptions_are_those_that_were_planted_and_a_reference_to_nobody_keeps_its_record(library: Chain) -> None:
    rows = library.store.read(silver.EXCEPTION).where(f"entity IN ({quoted(VERSIONS)}) AND status = 'open'").collect()
    assert {(row["entity"], row["rule"], json.loads(row["context"])["field"], row["record_key"]) for row in rows} == EXCEPTIONS


def test_who_a_record_names_meets_the_contact_by_a_token(library: Chain) -> None:
    parties = library.store.read(silver.PARTY)
    member = parties.where("source = 'loyalty_members'").select("customer_number_token")
    of_tickets = parties.where("source = 'tickets_csv'").join(member, on="customer_number_token", how="left_semi")
    [ticket] = library.store.read(entities.TICKET).join(of_tickets.select("party_key"), on="party_key").collect()
    assert ticket["ticket_id"] == "T1"
    [praise] = library.store.read(entities.TICKET).where("ticket_id = 'T3'").join(
        parties.where("source = 'hubspot_contacts'"), on="party_key"
    ).collect()  # fmt: skip
    assert praise["party_key"]


def test_free_text_and_names_are_in_the_vault_only(library: Chain) -> None:
    [row] = library.store.read(entities.RECORD_TEXT).where("entity = 'ticket' AND content['subject'] LIKE 'Fernseher%'").collect()
    assert row["content"]["note"] == "Repariert;\nabgeholt"
    assert clear_text_in(library.lake, PERSONAL) == []
    assert clear_text_in(library.vault, PERSONAL)
    assert not library.store.read(vault.PARTY).where("array_contains(emails, 'fremd@example.com')").isEmpty()
