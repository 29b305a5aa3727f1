"""Contacts and tickets over several days: what is new is worked on, and the whole again gives the same."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tests.conftest import ROOT, Chain
from tillhouse.tables import entities, silver, vault

CRM = """
source: crm
entity: contact
description: contacts of a CRM
owner: sales
format: csv
file_pattern: crm/{exported}.csv
personal_data: true
phone_region: DE
version_order: {from_path: exported, date_formats: [yyyyMMdd]}
columns:
  contact_id: {aliases: [Id]}
  family_name: {aliases: [Name]}
  emails: {aliases: [Mail]}
  is_deleted: {aliases: [Gone]}
consent:
  - {channel: email, aliases: [News]}
"""
HELPDESK = """
source: helpdesk
entity: ticket
description: tickets of a helpdesk
owner: service
format: csv
file_pattern: tickets/{exported}.csv
personal_data: true
date_formats: [iso]
timezone: UTC
version_order: {from_path: exported, date_formats: [yyyyMMdd]}
columns:
  ticket_id: {aliases: [Ticket]}
  opened_at: {aliases: [Opened]}
  status: {aliases: [Status]}
  email: {aliases: [Mail]}
"""
TABLES = (
    silver.PARTY, vault.PARTY, silver.EXCEPTION, entities.TICKET, entities.CONSENT, entities.RECORD_TEXT, entities.RECORD_VERSION,
)  # fmt: skip


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Chain:
    """Three days: contacts change and go, a ticket names somebody before they are known, another is repaired."""
    folder = tmp_path_factory.mktemp("records")
    (folder / "conf" / "sources").mkdir(parents=True)
    for name in ("lake.yml", "products.yml"):
        (folder / "conf" / name).write_text((ROOT / "conf" / name).read_text("utf-8"), "utf-8")
    (folder / "conf" / "sources" / "crm.yml").write_text(CRM, "utf-8")
    (folder / "conf" / "sources" / "helpdesk.yml").write_text(HELPDESK, "utf-8")
    chain = Chain(folder, folder / "conf", spark)
    chain.deliver("crm/20261001.csv", "Id,Name,Mail,Gone,News\n1,Alt,a@example.com,,yes\n2,Bert,b@example.com,,no\n")
    chain.deliver(
        "tickets/20261001.csv",
        "Ticket,Opened,Status,Mail\nT1,2026-10-01T10:00:00,open,c@example.com\nT2,yesterday,open,a@example.com\n",
    )
    chain.run()
    chain.deliver("crm/20261002.csv", "Id,Name,Mail,Gone,News\n1,Neu,a@example.com,,no\n2,,,yes,\n3,Carl,c@example.com,,\n")
    chain.deliver("tickets/20261002.csv", "Ticket,Opened,Status,Mail\nT2,2026-10-01T11:00:00,closed,a@example.com\n")
    chain.run()
    return chain


def content(chain: Chain) -> dict[str, object]:
    """What the tables tell, without what differs from run to run."""
    names = chain.store.read(vault.PARTY).where("contact_id IS NOT NULL").select("contact_id", "family_name").collect()
    consents = chain.store.read(entities.CONSENT).select("channel", "state").collect()
    tickets = chain.store.read(entities.TICKET).select("ticket_id", "status").collect()
    faults = chain.store.read(silver.EXCEPTION).select("rule", "record_key", "status").collect()
    return {
        "contacts": {tuple(row) for row in names},
        "consents": sorted(tuple(row) for row in consents),
        "tickets": {tuple(row) for row in tickets},
        "exceptions": {(row["rule"], row["status"]) for row in faults if row["record_key"].startswith("T")},
    }


def test_the_newest_of_each_record_counts_and_what_was_repaired_or_has_come_closes_its_exception(chain: Chain) -> None:
    assert content(chain) == {
        "contacts": {("1", "Neu"), ("3", "Carl")},
        "consents": [("email", "denied"), ("email", "unknown")],
        "tickets": {("T1", "open"), ("T2", "closed")},
        "exceptions": {("reference_unknown", "resolved"), ("field_unreadable", "resolved")},
    }


def test_all_of_it_made_again_is_the_same_and_a_run_without_news_commits_nothing(chain: Chain) -> None:
    versions = {table.full_name: chain.store.version(table)[1] for table in TABLES}
    before = content(chain)
    chain.run(full=True)
    assert content(chain) == before
    assert {table.full_name: chain.store.version(table)[1] for table in TABLES} == versions
