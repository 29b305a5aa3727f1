"""The shipped mappings, each over an export that shows the traps of its system (FORMATS: P01 to P23), against figures by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from tests.conftest import Chain
from tests.library.conftest import LIBRARY
from tillhouse.config import read_model
from tillhouse.sources.model import Source
from tillhouse.tables import gold, ops, silver

# Branch, day, currency: revenue, receipts. Every figure can be added up from the exports by hand.
DAYS = {
    # 8.52 + menu 9.98 + television 1,234.50 - reversed bread 3.49 + weighed goods 4.82 + crate 11.88; no deposit, voucher or tip
    ("DD1", "2025-10-25", "EUR"): ("1266.21", 6),
    ("DD1", "2025-10-27", "EUR"): ("3.20", 1),
    ("M1", "2025-10-26", "EUR"): ("-1224.90", 4),  # three coffees and the television that came back
    ("100", "2024-07-31", "EUR"): ("25.70", 2),  # 26.99 sold, 1.29 returned
    ("9", "2017-09-30", "USD"): ("1.17", 1),  # 1.26 + 4.40 - 4.40 - 0.19 + sales tax 0.10
    ("CAFE", "2026-04-16", "CHF"): ("11.00", 3),
    ("1", "2025-10-25", "EUR"): ("1239.32", 1),
    ("1", "2025-10-26", "EUR"): ("-19.99", 1),
    ("2", "2025-10-25", "EUR"): ("1298.00", 0),  # totals of product groups
    ("3", "2025-10-25", "EUR"): ("-1234.20", 2),
    ("WEB", "2026-09-03", "EUR"): ("24.50", 1),
    ("Berlin Mitte", "2026-09-04", "EUR"): ("7.00", 1),
    ("WEB", "2026-10-03", "EUR"): ("24.00", 1),  # two shirts of 10.00 less discounts of 1.00 and 0.50, socks 5.50
    ("WEB", "2026-10-04", "EUR"): ("3.00", 1),  # a gift card of 25.00 is no revenue
    ("Berlin Mitte", "2026-10-05", "EUR"): ("7.00", 1),
    ("CAFE", "2026-10-05", "CHF"): ("12.50", 1),  # 9.00 + 3.50; the tip of 1.00 is no revenue
}
KINDS = {
    "dsfinvk": {"SALE": 10, "RETURN": 2, "CASH": 2, "TRAINING": 1, "CANCELLED": 2, "CONTROL": 1},
    "poslog": {"SALE": 2, "RETURN": 1, "TRAINING": 1, "CONTROL": 1},
    "sumup_sales": {"SALE": 2, "RETURN": 1},
    "erp_receipts_de": {"SALE": 1, "RETURN": 1},
    "category_totals": {"EXCHANGE": 1},
    "erp_receipts_xlsx": {"SALE": 1, "RETURN": 1},
    "shopify_orders": {"SALE": 2, "CANCELLED": 1, "ORDER": 1},
    "shopify_orders_api": {"SALE": 3, "CANCELLED": 1, "ORDER": 1, "TRAINING": 1},
    "square_orders_api": {"SALE": 1, "ORDER": 1},
}
PAYMENTS = {
    ("DD1", "CASH"): "62.02", ("DD1", "DEBIT"): "59.98", ("DD1", "CREDIT"): "1186.50", ("DD1", "EWALLET"): "16.70",
    ("DD1", "NONE"): "0.00", ("M1", "EWALLET"): "3.20", ("M1", "CASH"): "6.40", ("M1", "CREDIT"): "-1234.50",
    ("100", "CASH"): "25.70", ("9", "CREDIT"): "1.17", ("CAFE", "CASH"): "10.00", ("CAFE", "DEBIT"): "11.00",
    ("CAFE", "CREDIT"): "2.50",
}  # fmt: skip
EXCEPTIONS = {
    ("dsfinvk", "value_unknown", "branch_id"),  # a register that no branch has
    ("dsfinvk", "field_unreadable", "gross_amount"),  # 1,23 where index.xml declares dots
    ("dsfinvk", "record_broken", "(record)"),  # a line of a receipt that is not there
    ("dsfinvk", "time_ambiguous", "started_at"),
    ("erp_receipts_de", "field_unreadable", "gtin"),
    ("erp_receipts_de", "record_broken", "(record)"),
    ("square_orders_api", "field_missing", "gross_amount"),  # a return, which has its lines elsewhere
}
# What is sold without master data is told elsewhere; it is no fault of a format.
NOT_OF_A_FORMAT = ("product_unknown", "category_unknown")


def test_revenue_and_receipts_of_every_branch_and_day_are_those_counted_by_hand(library: Chain) -> None:
    rows = library.store.read(gold.KPI_BRANCH_DAY).collect()
    found = {
        (row["branch_id"], str(row["business_date"]), row["currency"]): (str(row["revenue"]), row["receipts"]) for row in rows
    }
    assert {key: value for key, value in found.items() if value != ("0.00", 0)} == DAYS


def test_documents_are_of_the_kind_that_they_are_and_none_is_lost(library: Chain) -> None:
    counted = library.store.read(silver.RECEIPT).groupBy("source", "transaction_type").count().collect()
    found: dict[str, dict[str, int]] = {}
    for row in counted:
        found.setdefault(row["source"], {})[row["transaction_type"]] = row["count"]
    assert found == KINDS


def test_payments_are_net_of_change_and_refunds_are_negative(library: Chain) -> None:
    paid = library.store.read(silver.RECEIPT_PAYMENT).groupBy("branch_id", "tender_type").agg(F.sum("amount").alias("amount"))
    assert {(row["branch_id"], row["tender_type"]): str(row["amount"]) for row in paid.collect()} == PAYMENTS


def test_exceptions_are_those_that_were_planted(library: Chain) -> None:
    rows = library.store.read(silver.EXCEPTION).where("status = 'open'").collect()
    judged = {(row["source"], row["rule"], _field(row["context"])) for row in rows if row["rule"] not in NOT_OF_A_FORMAT}
    assert judged == EXCEPTIONS


def _field(context: str) -> str:
    return str(json.loads(context).get("field"))


def test_p01_what_an_export_says_on_the_first_row_counts_for_the_whole_document(library: Chain) -> None:
    lines = library.store.read(silver.RECEIPT_LINE).where("source = 'shopify_orders'")
    [order] = library.store.read(silver.RECEIPT).where("receipt_id = '7001'").collect()
    assert (order["line_count"], order["currency"], order["channel"], str(order["gross_amount"])) == (2, "EUR", "web", "24.50")
    of_order = lines.where(F.col("receipt_key") == order["receipt_key"]).orderBy("line_number").collect()
    assert [(row["product_ref"], str(row["gross_amount"])) for row in of_order] == [("0815", "19.00"), ("S1", "5.50")]


def test_p05_the_same_number_in_the_next_closing_is_another_receipt(library: Chain) -> None:
    rows = library.store.read(silver.RECEIPT).where("receipt_id = 'b2'").collect()
    assert {(row["closing_id"], str(row["gross_amount"])) for row in rows} == {("1204", "8.82"), ("1205", "3.20")}


def test_p08_and_p09_numbers_are_read_in_their_style_and_a_damaged_gtin_is_none(library: Chain) -> None:
    rows = library.store.read(silver.RECEIPT_LINE).where("source = 'erp_receipts_de'").collect()
    assert {(row["gtin"], str(row["gross_amount"]), str(row["quantity"])) for row in rows} == {
        (None, "1234.50", "1.000"), ("0401234567890", "4.82", "0.482"), ("0401234567890", "-19.99", "-1.000"),
    }  # fmt: skip


def test_p10_and_p22_documents_that_are_no_sale_are_kept_and_no_facts(library: Chain) -> None:
    kept = library.store.read(silver.RECEIPT).where("transaction_type IN ('TRAINING', 'CANCELLED', 'CONTROL', 'ORDER')")
    assert kept.count() == 12
    facts = library.store.read(gold.FCT_RECEIPT)
    assert kept.join(facts, on="receipt_key", how="left_semi").count() == 0


def test_p12_p15_and_p16_returns_rewards_and_change_have_the_sign_and_the_number_that_they_should(library: Chain) -> None:
    lines = library.store.read(silver.RECEIPT_LINE).where("source = 'poslog'")
    [returned] = lines.where("product_ref = '4022847522022'").collect()
    assert (str(returned["gross_amount"]), str(returned["quantity"])) == ("-1.29", "-1.000")
    assert [str(row["gross_amount"]) for row in lines.where("line_type = 'DISCOUNT'").collect()] == ["-0.19"]
    assert [str(row["gross_amount"]) for row in lines.where("is_voided").orderBy("line_number").collect()] == ["4.40", "-4.40"]
    [key] = {row["receipt_key"] for row in library.store.read(silver.RECEIPT).where("receipt_id = '3'").collect()}
    paid = library.store.read(silver.RECEIPT_PAYMENT).where(F.col("receipt_key") == key).collect()
    assert sorted(str(row["amount"]) for row in paid) == ["-0.01", "27.00"]


def test_p13_deposits_vouchers_tips_and_cash_are_no_revenue(library: Chain) -> None:
    lines = library.store.read(silver.RECEIPT_LINE).where("branch_id = 'DD1'").select("line_type").distinct().collect()
    assert {row["line_type"] for row in lines} == {
        "ITEM", "DISCOUNT", "DEPOSIT", "GIFTCARD_SALE", "GIFTCARD_REDEEM", "TIP_EMPLOYEE", "CASH_MOVE", "TOTAL",
    }  # fmt: skip
    facts = library.store.read(gold.FCT_SALE_LINE).where("branch_id = 'DD1' AND is_revenue")
    assert {row["line_type"] for row in facts.select("line_type").distinct().collect()} == {
        "ITEM"
    }  # the discount is spread on them


def test_p18_title_and_total_lines_are_left_out_and_counted(library: Chain) -> None:
    [file] = library.store.read(ops.FILE_LEDGER).where("source = 'erp_receipts_de'").collect()
    assert (file["rows_read"], file["rows_rejected"], file["rows_ignored"]) == (4, 1, 2)


def test_p14_a_line_of_several_tax_rates_is_one_line_with_their_sum(library: Chain) -> None:
    [line] = library.store.read(silver.RECEIPT_LINE).where("product_ref = 'M9'").collect()
    assert (line["gross_amount"], line["net_amount"], line["tax_amount"]) == (Decimal("9.98"), Decimal("8.86"), Decimal("1.12"))


def test_p19_weights_and_packs_keep_their_quantity(library: Chain) -> None:
    rows = library.store.read(silver.RECEIPT_LINE).where("product_ref IN ('G1', 'W6')").collect()
    assert {row["product_ref"]: str(row["quantity"]) for row in rows} == {"G1": "0.482", "W6": "12.000"}


def test_p21_grouped_ids_are_the_same_as_ungrouped_ones(library: Chain) -> None:
    rows = library.store.read(silver.RECEIPT).where("branch_id = 'DD1'").select("closing_id", "receipt_number").distinct()
    assert {row["closing_id"] for row in rows.collect()} == {"1204", "1205"}
    assert "1013" in {row["receipt_number"] for row in rows.collect()}


def test_p11_a_voided_original_does_not_count_and_a_reversing_receipt_does(library: Chain) -> None:
    rows = library.store.read(silver.RECEIPT).where("receipt_id IN ('b8', 'b9', 'b10')").collect()
    found = {row["receipt_id"]: (row["transaction_type"], row["status"]) for row in rows}
    assert found == {"b8": ("CANCELLED", "VOIDED"), "b9": ("SALE", "VOIDED"), "b10": ("RETURN", "FINAL")}


def test_p06_a_trading_day_is_the_one_that_the_till_states_and_the_hour_that_comes_twice_is_marked(library: Chain) -> None:
    receipts = library.store.read(silver.RECEIPT)
    [sold] = receipts.where("source = 'poslog' AND receipt_id = '161'").collect()
    assert (str(sold["business_date"]), str(sold["ended_at"])) == ("2017-09-30", "2017-10-01 06:02:54")
    coffees = receipts.where("branch_id = 'M1' AND receipt_id IN ('m1', 'm2', 'm3')").collect()
    assert {row["receipt_id"]: (row["ended_at"].minute, row["is_time_ambiguous"]) for row in coffees} == {
        "m1": (30, False), "m2": (30, False), "m3": (30, True),
    }  # fmt: skip


def test_p03_the_same_export_again_counts_once_and_a_newer_one_wins(library: Chain) -> None:
    [again] = library.store.read(ops.FILE_LEDGER).where("path = 'dsfinvk/dresden_again.zip'").collect()
    assert again["status"] == "duplicate"
    versions = library.store.read(silver.RECEIPT_VERSION).where("source = 'shopify_orders'").groupBy("status").count().collect()
    assert {row["status"]: row["count"] for row in versions} == {"current": 4, "superseded": 1}


def test_p17_and_p23_a_refund_under_an_older_name_is_the_same_document_and_counted_lines_stay_the_same(library: Chain) -> None:
    versions = library.store.read(silver.RECEIPT_VERSION).where("source = 'sumup_sales'").groupBy("status").count().collect()
    assert {row["status"]: row["count"] for row in versions} == {"current": 3, "duplicate": 2}
    receipts = library.store.read(silver.RECEIPT).where("source = 'sumup_sales'").collect()
    assert {row["receipt_id"]: row["line_count"] for row in receipts} == {"TAAA1": 2, "TAAA1 refund": 1, "TAAA2": 1}


def test_cards_and_operators_are_known_by_tokens(library: Chain) -> None:
    rows = library.store.read(silver.RECEIPT).where("party_key IS NOT NULL").select("source", "receipt_id").collect()
    assert {(row["source"], row["receipt_id"]) for row in rows} == {
        ("dsfinvk", "b2"), ("poslog", "3"), ("poslog", "161"), ("square_orders_api", "SQ1"),
        *(("shopify_orders_api", order) for order in ("8001", "8002", "8004", "8005", "8006")),
    }  # fmt: skip


def test_discounts_and_taxes_of_a_line_in_a_pulled_order_are_sums_of_what_the_api_lists(library: Chain) -> None:
    rows = library.store.read(silver.RECEIPT_LINE).where("product_ref = '0815' AND source = 'shopify_orders_api'").collect()
    assert [(str(row["gross_amount"]), str(row["discount_amount"]), str(row["tax_amount"])) for row in rows] == [
        ("18.50", "1.50", "2.95")
    ]


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yml")), ids=lambda path: path.stem)
def test_a_shipped_mapping_is_named_as_its_file_and_says_what_to_change(path: Path) -> None:
    assert read_model(Source, path).name == path.stem
    assert "Change:" in path.read_text("utf-8")
