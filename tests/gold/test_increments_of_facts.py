"""Payments, VAT, discounts and tickets night by night: what is told later finds its receipt, and all of it again is the same."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from compare_lakes import compare
from pyspark.sql import SparkSession

from tests.conftest import Chain
from tests.integration.personal_data import clear_text_in
from tillhouse.tables import gold
from tillhouse.tables.gold_facts import TABLES

COMMON = """
owner: test
date_formats: [iso]
timezone: UTC
"""
SOURCES = {
    "branches": """
entity: branch
description: branches
format: csv
file_pattern: branches/{name}.csv
columns:
  branch_id: {aliases: [branch]}
  time_zone: {aliases: [zone]}
  currency: {aliases: [currency]}
""",
    "shop": """
entity: receipt
description: receipts of a shop with what belongs to them
format: jsonl
file_pattern: shop/{exported}.jsonl
version_order: {from_path: exported, date_formats: [yyyyMMdd]}
personal_data: true
depth: lines
line_number: ordinal
columns: &receipt
  branch_id: {aliases: [branch]}
  receipt_id: {aliases: [id]}
  started_at: {aliases: [at]}
  card_number: {aliases: [card]}
lines:
  path: lines
  columns:
    product_ref: {aliases: [sku]}
    quantity: {aliases: [quantity]}
    gross_amount: {aliases: [amount]}
    discount_amount: {aliases: [discount]}
payments:
  path: payments
  columns:
    tender_type: {aliases: [type]}
    payment_amount: {aliases: [amount]}
taxes:
  path: taxes
  columns:
    tax_percent: {aliases: [percent]}
    tax_amount: {aliases: [tax]}
    gross_amount: {aliases: [amount]}
adjustments:
  path: lines
  only:
    - when: [{aliases: [promotion], is_given: true}]
  columns:
    adjustment_type: {value: PROMOTION}
    promotion_id: {aliases: [promotion]}
    adjustment_amount: {aliases: [discount]}
""",
    "payment_service": """
entity: receipt
description: what a payment service has collected for the shop, days later
format: csv
file_pattern: paid/{exported}.csv
version_order: {from_path: exported, date_formats: [yyyyMMdd]}
depth: totals
line_number: ordinal
pays: shop
columns:
  branch_id: {aliases: [branch]}
  receipt_id: {aliases: [order]}
  transaction_type: {value: CONTROL}
  started_at: {aliases: [at]}
  gross_amount: {aliases: [amount]}
payments:
  columns:
    tender_type: {value: EWALLET}
    payment_amount: {aliases: [amount]}
""",
    "helpdesk": """
entity: ticket
description: tickets
format: csv
file_pattern: tickets/{exported}.csv
version_order: {from_path: exported, date_formats: [yyyyMMdd]}
personal_data: true
columns:
  ticket_id: {aliases: [ticket]}
  opened_at: {aliases: [opened]}
  closed_at: {aliases: [closed]}
  status: {aliases: [status]}
  branch_id: {aliases: [branch]}
  card_number: {aliases: [card]}
  note: {aliases: [note]}
""",
}


def receipt(number: str, day: int, *lines: dict[str, Any], **others: Any) -> str:  # noqa: ANN401 - as JSON holds it
    return json.dumps({"branch": "B1", "id": number, "at": f"2026-03-{day:02d}T10:00:00Z", "lines": lines, **others}) + "\n"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Chain:
    """The first night: a receipt that is paid at once and one that is not paid yet; a ticket about an unknown branch."""
    folder = tmp_path_factory.mktemp("facts")
    (folder / "conf" / "sources").mkdir(parents=True)
    for name, text in SOURCES.items():
        (folder / "conf" / "sources" / f"{name}.yml").write_text(f"source: {name}{COMMON}{text.lstrip()}", "utf-8")
    (folder / "conf" / "lake.yml").write_text("lake: x\nvault: y\nlanding: z\n", "utf-8")
    (folder / "conf" / "products.yml").write_text("piece_units: [pcs]\n", "utf-8")
    chain = Chain(folder, folder / "conf", spark)
    chain.deliver("branches/all.csv", "branch,zone,currency\nB1,Europe/Berlin,EUR\n")
    goods = {"sku": "A", "quantity": "1", "amount": "9.00", "discount": "1.00", "promotion": "P7"}
    paid = {"payments": [{"type": "CASH", "amount": "9.00"}], "taxes": [{"percent": "19", "tax": "1.44", "amount": "9.00"}]}
    unpaid = receipt("2", 1, {"sku": "B", "quantity": "2", "amount": "8.00", "discount": "2.00"}, card="77001")
    chain.deliver("shop/20260302.jsonl", receipt("1", 1, goods, **paid) + unpaid)
    head = "ticket,opened,closed,status,branch,card,note\n"
    chain.deliver("tickets/20260302.csv", f"{head}T1,2026-03-01T23:30:00,,open,B2,77001,angry man\n")
    chain.run()
    return chain


def rows(chain: Chain, table: Any, *names: str) -> list[tuple[Any, ...]]:  # noqa: ANN401
    return sorted(tuple(row) for row in chain.store.read(table).select(*names).collect())


@pytest.mark.long
def test_what_is_told_later_is_found_and_a_full_run_gives_the_same(chain: Chain, tmp_path: Path) -> None:
    assert rows(chain, gold.FCT_PAYMENT, "tender_type", "amount") == [("CASH", Decimal("9.00"))]
    assert rows(chain, gold.FCT_TAX, "told_by", "gross_amount") == [("nothing", Decimal("8.00")), ("tax", Decimal("9.00"))]
    assert rows(chain, gold.FCT_DISCOUNT, "told_by", "promotion_id", "receipt_discount_amount") == [
        ("adjustment", "P7", Decimal("1.00")), ("line", None, Decimal("2.00")),
    ]  # fmt: skip
    assert rows(chain, gold.FCT_TICKET, "branch_status", "customer_status", "is_open") == [("unknown", "identified", True)]

    chain.deliver("paid/20260304.csv", "branch,order,at,amount\nB1,2,2026-03-03T09:00:00,8.00\n")
    chain.deliver("branches/more.csv", "branch,zone,currency\nB2,Europe/Berlin,EUR\n")
    head = "ticket,opened,closed,status,branch,card,note\n"
    chain.deliver("tickets/20260304.csv", f"{head}T1,2026-03-01T23:30:00,2026-03-02T01:30:00,closed,B2,77001,angry man\n")
    chain.run()
    days = rows(chain, gold.FCT_PAYMENT, "tender_type", "business_date", "paid_on")
    assert [(tender, str(day), str(paid_on)) for tender, day, paid_on in days] == [
        ("CASH", "2026-03-01", "2026-03-01"), ("EWALLET", "2026-03-01", "2026-03-03"),
    ]  # fmt: skip
    assert rows(chain, gold.FCT_RECEIPT, "payment_types") == [(["CASH"],), (["EWALLET"],)]
    assert rows(chain, gold.FCT_TICKET, "branch_id", "is_open", "hours_to_close") == [("B2", False, Decimal("2.000"))]
    customers = {row[0] for row in rows(chain, gold.DIM_CUSTOMER, "customer_id")}
    assert {row[0] for row in rows(chain, gold.FCT_TICKET, "customer_id")} <= customers

    again = chain.in_folder(tmp_path)
    (tmp_path / "landing").symlink_to(chain.landing)
    again.run()
    assert [table.full_name for table in TABLES if compare(chain.lake, again.lake, table).differing] == []
    versions = {table.full_name: chain.store.version(table)[1] for table in TABLES}
    chain.run(full=True)
    assert {table.full_name: chain.store.version(table)[1] for table in TABLES} == versions
    assert clear_text_in(chain.lake, ["77001", "angry man"]) == []
