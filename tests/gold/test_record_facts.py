"""What is told about customers beside receipts: whose it is, what it is about, and how it is kept up to date."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from tillhouse.gold import record_facts
from tillhouse.gold.record_facts import KINDS, Members, to_facts
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold, silver
from tillhouse.tables.entities import CAMPAIGN_CONTACT, INTERACTION, OPEN_ITEM, PREFERENCE, TICKET, WARRANTY
from tillhouse.tables.gold_facts import RECORD_FACTS

DAY = date(2026, 3, 2)
DEFAULTS: dict[str, Any] = {
    "string": "-", "int": 0, "bigint": 0, "boolean": False, "date": DAY, "timestamp": datetime(2026, 3, 2, 12, tzinfo=UTC),
}  # fmt: skip
OF_KIND = {kind.records: kind for kind in KINDS}


def rows_of(spark: SparkSession, table: Table, *rows: dict[str, Any]) -> DataFrame:
    """Rows of a table, of which only what matters is said."""

    def value(row: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - of any type
        field = table.field(name)
        found = row.get(name)
        if isinstance(found, str) and field.dataType.typeName() == "decimal":
            return Decimal(found)
        return DEFAULTS[field.dataType.simpleString()] if found is None and not field.nullable else found

    return spark.createDataFrame([tuple(value(row, name) for name in table.column_names) for row in rows], table.struct)


def at(hour: int, minute: int = 0, day: int = 2) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def branches(spark: SparkSession) -> DataFrame:
    """One branch in Tokyo that moved to another region, and one in Berlin."""
    always = {"valid_from": date(1900, 1, 1), "is_current": True}
    return rows_of(
        spark,
        gold.DIM_BRANCH,
        {"branch_key": "B1 before", "branch_id": "B1", "time_zone": "Asia/Tokyo", **always, "valid_to": DAY, "is_current": False},
        {"branch_key": "B1 now", "branch_id": "B1", "time_zone": "Asia/Tokyo", "valid_from": DAY, "is_current": True},
        {"branch_key": "B2", "branch_id": "B2", "time_zone": "Europe/Berlin", "currency": "EUR", **always},
    )


def products(spark: SparkSession) -> DataFrame:
    always = {"valid_from": date(1900, 1, 1), "is_current": True}
    return rows_of(
        spark,
        gold.DIM_PRODUCT,
        {"product_key": "P1", "product_id": "P1", "is_known": True, **always},
        {"product_key": "P9", "product_id": "P9", "is_known": False, **always},
        {"product_key": "G", "product_id": "G", "is_known": True, "is_group": True, **always},
    )


@pytest.fixture(scope="module")
def members(spark: SparkSession) -> Members:
    customers = rows_of(
        spark,
        silver.PARTY_CUSTOMER,
        {"party_key": "anna", "customer_id": "old", "valid_from_run": "1", "valid_to_run": "2"},
        {"party_key": "anna", "customer_id": "C1", "valid_from_run": "2"},
        {"party_key": "anna2", "customer_id": "C1", "valid_from_run": "1"},
    )
    unclear = spark.createDataFrame([("two",)], "party_key STRING")
    return Members(customers, unclear, branches(spark), products(spark))


def facts_of(spark: SparkSession, members: Members, table: Table, *rows: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Facts of records by their key."""
    kind = OF_KIND[table]
    found = to_facts(rows_of(spark, table, *rows), kind, members).collect()
    assert len(found) == len(rows)
    return {row["record_key"]: row.asDict() for row in found}


def test_a_record_is_of_the_customer_that_its_party_stands_for_now(spark: SparkSession, members: Members) -> None:
    parties = ("anna", "anna2", "two", "card of a till", None)
    found = facts_of(
        spark, members, PREFERENCE, *({"record_key": str(number), "party_key": key} for number, key in enumerate(parties))
    )
    assert [(found[str(number)]["customer_id"], found[str(number)]["customer_status"]) for number in range(5)] == [
        ("C1", "identified"), ("C1", "identified"), (None, "unclear"), (None, "anonymous"), (None, "anonymous"),
    ]  # fmt: skip


def test_a_branch_or_product_that_nobody_knows_is_told_apart_from_none_and_no_row_is_lost(
    spark: SparkSession, members: Members
) -> None:
    rows = [
        ("known", "B2", "P1"),
        ("unknown", "B7", "P7"),
        ("only sold", "B7", "P9"),
        ("a group", None, "G"),
        ("none", None, None),
    ]
    found = facts_of(
        spark,
        members,
        WARRANTY,
        *({"record_key": key, "branch_id": branch, "product_ref": product, "ends_on": DAY} for key, branch, product in rows),
    )
    names = ("branch_id", "branch_key", "branch_status", "branch_ref", "product_id", "product_status", "product_ref")
    assert {key: tuple(row[name] for name in names) for key, row in found.items()} == {
        "known": ("B2", "B2", "known", "B2", "P1", "known", "P1"),
        "unknown": (None, None, "unknown", "B7", None, "unknown", "P7"),
        "only sold": (None, None, "unknown", "B7", None, "unknown", "P9"),
        "a group": (None, None, "not_told", None, None, "unknown", "G"),
        "none": (None, None, "not_told", None, None, "not_told", None),
    }


def test_a_contact_lies_on_the_day_of_its_branch_and_on_the_version_of_that_day(spark: SparkSession, members: Members) -> None:
    found = facts_of(
        spark,
        members,
        INTERACTION,
        {"record_key": "evening", "branch_id": "B1", "started_at": at(14, 59, 1), "ended_at": at(15, 0, 1)},
        {"record_key": "night", "branch_id": "B1", "started_at": at(15, 0, 1), "ended_at": at(14, 0, 1)},
        {"record_key": "nowhere", "started_at": at(23, 59, 1)},
    )
    names = ("contacted_on", "branch_key", "duration_seconds", "is_contact", "_month")
    assert {key: tuple(row[name] for name in names) for key, row in found.items()} == {
        "evening": (date(2026, 3, 1), "B1 before", 60, True, "2026-03"),
        "night": (date(2026, 3, 2), "B1 now", None, True, "2026-03"),
        "nowhere": (date(2026, 3, 1), None, None, True, "2026-03"),
    }


def test_a_campaign_has_contacted_whom_it_sent_something_and_not_its_control_group(spark: SparkSession, members: Members) -> None:
    found = facts_of(
        spark,
        members,
        CAMPAIGN_CONTACT,
        {"record_key": "sent", "campaign_id": "CA", "event": "sent", "test_group": "target", "occurred_on": DAY},
        {"record_key": "control", "campaign_id": "CA", "event": "sent", "test_group": "control", "occurred_at": at(8, day=4)},
        {"record_key": "opened", "campaign_id": "CA", "event": "opened", "response": "yes"},
    )
    names = ("contact_kind", "is_contact", "contacted_on", "direction", "outcome", "_month")
    assert {key: tuple(row[name] for name in names) for key, row in found.items()} == {
        "sent": ("campaign", True, DAY, "outbound", None, "2026-03"),
        "control": ("campaign", False, date(2026, 3, 4), "outbound", None, "2026-03"),
        "opened": ("campaign", False, None, None, "yes", "unknown"),
    }


def test_a_ticket_tells_how_long_it_took_and_whether_it_was_late_without_asking_for_today(
    spark: SparkSession, members: Members
) -> None:
    opened = {"opened_at": at(8), "due_at": at(20)}
    found = facts_of(
        spark,
        members,
        TICKET,
        {"record_key": "in time", "status": "closed", "closed_at": at(9, 30), **opened},
        {"record_key": "late", "status": "closed", "closed_at": at(9, day=4), "branch_id": "B1", **opened},
        {"record_key": "open again", "status": "open", "closed_at": at(9), **opened},
        {"record_key": "no status", "closed_at": at(9), "opened_at": at(8)},
        {"record_key": "no time", "status": "closed", **opened},
        {"record_key": "closed before", "status": "closed", "closed_at": at(7), **opened},
    )
    names = ("is_open", "hours_to_close", "is_closed_late")
    assert {key: tuple(row[name] for name in names) for key, row in found.items()} == {
        "in time": (False, Decimal("1.500"), False),
        "late": (False, Decimal("49.000"), True),
        "open again": (True, None, None),
        "no status": (False, Decimal("1.000"), None),
        "no time": (False, None, None),
        "closed before": (False, None, False),
    }
    assert (found["late"]["opened_on"], found["late"]["closed_on"]) == (DAY, date(2026, 3, 4))


def test_amounts_of_open_items_add_up_by_type_whatever_sign_is_delivered(spark: SparkSession, members: Members) -> None:
    found = facts_of(
        spark,
        members,
        OPEN_ITEM,
        {"record_key": "R1", "item_type": "invoice", "amount": "100.00", "open_amount": "0.00", "branch_id": "B2"},
        {"record_key": "R2", "item_type": "invoice", "amount": "50.00", "issued_on": DAY, "due_on": date(2026, 3, 12)},
        {"record_key": "G1", "item_type": "credit_note", "amount": "-30.00", "currency": "CHF"},
        {"record_key": "Z1", "item_type": "payment", "amount": "70.00"},
        {"record_key": "M1", "item_type": "dunning", "amount": "5.00", "open_amount": "5.00"},
        {"record_key": "R3", "item_type": "invoice", "amount": "9.00", "paid_on": date(2026, 3, 15), "due_on": date(2026, 3, 12)},
    )  # fmt: skip
    names = ("invoiced_amount", "credited_amount", "paid_amount", "dunned_amount")
    sums = [sum(row[name] for row in found.values()) for name in names]
    assert sums == [Decimal("159.00"), Decimal("30.00"), Decimal("70.00"), Decimal("5.00")]
    assert {key for key, row in found.items() if row["is_open"]} == {"R2", "M1"}
    assert (found["R3"]["days_to_pay"], found["R3"]["days_late"]) == (13, 3)
    assert (found["R1"]["currency"], found["G1"]["currency"], found["Z1"]["currency"]) == ("EUR", "CHF", None)


def test_no_fact_of_records_holds_free_text_or_who_worked_on_it() -> None:
    names = {name for table in RECORD_FACTS for name in table.column_names}
    assert not names & {"note", "subject", "agent_token", "party_key", "comment"}


DELIVERED = {"ticket", "interaction", "preference"}
READ = (
    silver.PARTY_CUSTOMER, silver.PARTY_WITHOUT_CUSTOMER, gold.DIM_BRANCH, gold.DIM_PRODUCT, TICKET, INTERACTION, PREFERENCE,
)  # fmt: skip


def make_store(spark: SparkSession, folder: Path) -> Store:
    store = Store(spark, str(folder / "lake"), str(folder / "vault"))
    store.create_missing([*READ, *RECORD_FACTS])
    return store


def content(store: Store) -> dict[str, set[tuple[Any, ...]]]:
    return {table.name: {tuple(row) for row in store.read(table).collect()} for table in RECORD_FACTS}


@pytest.mark.long
def test_what_has_changed_alone_is_published_again_and_gives_what_all_of_it_gives(spark: SparkSession, tmp_path: Path) -> None:
    """A ticket closed, one deleted, a talk in another month, a party of another customer, a branch that was not known."""
    store = make_store(spark, tmp_path)
    store.overwrite(gold.DIM_BRANCH, branches(spark).where("branch_id = 'B2'"))
    store.overwrite(gold.DIM_PRODUCT, products(spark))
    anna = {"party_key": "anna", "customer_id": "C1"}
    store.overwrite(silver.PARTY_CUSTOMER, rows_of(spark, silver.PARTY_CUSTOMER, anna))
    tickets = [
        {"record_key": "T1", "ticket_id": "T1", "status": "open", "branch_id": "B1", "party_key": "anna"},
        {"record_key": "T2", "ticket_id": "T2", "status": "open", "branch_id": "B2"},
        {"record_key": "T3", "ticket_id": "T3", "status": "open"},
    ]
    store.overwrite(TICKET, rows_of(spark, TICKET, *tickets))
    talks = [{"record_key": "I1", "started_at": at(8)}, {"record_key": "I2", "started_at": at(8), "party_key": "anna"}]
    store.overwrite(INTERACTION, rows_of(spark, INTERACTION, *talks))
    store.overwrite(PREFERENCE, rows_of(spark, PREFERENCE, {"record_key": "V1", "party_key": "bert", "product_ref": "P1"}))
    figures = record_facts.run(store, DELIVERED, None, None)
    assert figures == {"records": 6, "records_of_unknown_branches": 1, "records_of_unknown_products": 0}
    assert store.version(gold.WARRANTY)[1] == 0

    since = Since({table.full_name: store.version(table)[1] for table in READ}, frozenset())
    published = {table: store.version(table)[1] for table in RECORD_FACTS}
    assert record_facts.run(store, DELIVERED, since, None) == {}
    assert {table: store.version(table)[1] for table in RECORD_FACTS} == published

    store.overwrite(TICKET, rows_of(spark, TICKET, tickets[0], {**tickets[1], "status": "closed", "closed_at": at(13)}))
    store.overwrite(
        INTERACTION, rows_of(spark, INTERACTION, {**talks[0], "started_at": datetime(2026, 4, 1, tzinfo=UTC)}, talks[1])
    )
    store.overwrite(
        silver.PARTY_CUSTOMER,
        rows_of(
            spark, silver.PARTY_CUSTOMER, {**anna, "valid_to_run": "2"}, {**anna, "customer_id": "C2", "valid_from_run": "2"}
        ),
    )
    store.overwrite(gold.DIM_BRANCH, branches(spark))
    assert record_facts.run(store, DELIVERED, since, None)["records_of_unknown_branches"] == 0
    found = content(store)
    tickets_now = {row["record_key"]: row for row in store.read(gold.FCT_TICKET).collect()}
    assert {key: (row["customer_id"], row["branch_id"], row["is_open"]) for key, row in tickets_now.items()} == {
        "T1": ("C2", "B1", True), "T2": (None, "B2", False),
    }  # fmt: skip
    assert store.version(gold.PREFERENCE)[1] == published[gold.PREFERENCE]
    assert {tuple(row) for row in store.read(gold.FCT_CONTACT).select("record_key", "customer_id", "_month").collect()} == {
        ("I1", None, "2026-04"), ("I2", "C2", "2026-03"),
    }  # fmt: skip

    record_facts.run(store, DELIVERED, None, None)
    assert content(store) == found
    record_facts.run(store, DELIVERED - {"ticket"}, None, None)
    assert content(store) == {**found, "fct_ticket": set()}
