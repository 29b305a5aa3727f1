"""What is wrong with real exports, P01 to P23 (docs/systems.md lists them): each has a test that is named after it."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from deltalake import DeltaTable

from tests.conftest import Chain
from tests.library.conftest import LIBRARY
from tests.sources.mappings import source
from tillhouse.config import read_model
from tillhouse.errors import SourceError
from tillhouse.sources.model import Source
from tillhouse.sources.readers import decide_columns, read_records
from tillhouse.tables import Table, gold, ops, silver

HEADER = "Date,Time,Time Zone,Item,Qty,{sales},Net Sales,Tax,Transaction ID,Payment ID,Location\n"


def rows(chain: Chain, table: Table, **wanted: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any value of a table
    """The rows of a table that have these values; of several values, one of them. Read without Spark, which takes its time."""
    every = DeltaTable(chain.store.path(table)).to_pyarrow_table().to_pylist()
    return [row for row in every if all(row[name] in of(value) for name, value in wanted.items())]


def of(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any value of a table
    return value if isinstance(value, tuple) else (value,)


def lines_of(chain: Chain, receipt_id: str) -> list[dict[str, Any]]:
    """The lines of the receipts of this id that count, in their order."""
    counting = {row["receipt_key"] for row in rows(chain, gold.FCT_RECEIPT)}
    keys = {row["receipt_key"] for row in rows(chain, silver.RECEIPT, receipt_id=receipt_id)} & counting
    return sorted(rows(chain, silver.RECEIPT_LINE, receipt_key=tuple(keys)), key=lambda row: int(row["line_number"]))


def statuses(chain: Chain, source: str) -> dict[str, int]:
    return dict(Counter(row["status"] for row in rows(chain, silver.RECEIPT_VERSION, source=source)))


def test_p01_what_an_export_says_on_the_first_row_counts_for_the_whole_document(library: Chain) -> None:
    [order] = rows(library, silver.RECEIPT, receipt_id="7001")
    assert (order["line_count"], order["currency"], order["channel"], str(order["gross_amount"])) == (4, "EUR", "web", "23.90")
    found = [(row["product_ref"], str(row["gross_amount"])) for row in lines_of(library, "7001")]
    assert found == [("0815", "19.00"), ("S1", "5.50"), (None, "4.90"), (None, "-5.50")]


def test_p01_a_row_that_tells_a_payment_only_is_no_line(library: Chain) -> None:
    [order] = rows(library, silver.RECEIPT, receipt_id="uuid-g")
    paid = rows(library, silver.RECEIPT_PAYMENT, receipt_key=order["receipt_key"])
    assert order["line_count"] == 1
    assert sorted((row["tender_type"], str(row["amount"])) for row in paid) == [("CASH", "1.00"), ("DEBIT", "2.00")]


def test_p02_a_refund_in_place_lowers_the_day_of_the_order(library: Chain) -> None:
    assert statuses(library, "shopify_orders") == {"current": 10, "superseded": 2}
    [order] = rows(library, silver.RECEIPT, receipt_id="7001")
    assert (str(order["business_date"]), order["transaction_type"]) == ("2026-09-03", "EXCHANGE")
    [day] = rows(library, gold.KPI_BRANCH_DAY, branch_id="WEB", business_date=date(2026, 9, 3))
    assert (day["revenue"], day["return_amount"]) == (Decimal("23.90"), Decimal("5.50"))
    [refund] = [row for row in lines_of(library, "7001") if row["gross_amount"] < 0]
    assert (refund["line_type"], refund["product_ref"]) == ("TOTAL", None)  # of which article, nobody says


def test_p03_the_same_export_again_counts_once(library: Chain) -> None:
    [again] = rows(library, ops.FILE_LEDGER, path="dsfinvk/dresden_again.zip")
    assert again["status"] == "duplicate"


def test_p04_two_receipts_of_the_same_content_within_seconds_are_both_marked_and_both_count(library: Chain) -> None:
    found = rows(library, silver.EXCEPTION, rule="suspected_duplicate")
    assert {row["record_key"].split("/")[-1]: row["severity"] for row in found} == {"uuid-e": "warning", "uuid-f": "warning"}
    assert [str(row["amount"]) for row in found] == ["8.00", "8.00"]
    assert len(rows(library, gold.FCT_RECEIPT, branch_id="LINZ", revenue_amount=Decimal(8))) == 2


def test_p04_the_same_number_with_other_content_are_two_receipts(library: Chain) -> None:
    found = rows(library, silver.RECEIPT, receipt_number="Order 00001-001-0007")
    assert {(row["receipt_id"], str(row["gross_amount"])) for row in found} == {("uuid-g", "3.00"), ("uuid-h", "4.00")}


def test_p05_the_same_number_in_the_next_closing_is_another_receipt(library: Chain) -> None:
    found = rows(library, silver.RECEIPT, receipt_id="b2")
    assert {(row["closing_id"], str(row["gross_amount"])) for row in found} == {("1204", "8.82"), ("1205", "3.20")}


def test_p06_a_trading_day_is_the_one_that_the_till_states_and_the_hour_that_comes_twice_is_marked(library: Chain) -> None:
    [sold] = rows(library, silver.RECEIPT, source="poslog", receipt_id="161")
    assert (str(sold["business_date"]), str(sold["ended_at"])) == ("2017-09-30", "2017-10-01 06:02:54+00:00")
    coffees = rows(library, silver.RECEIPT, branch_id="M1", receipt_id=("m1", "m2", "m3"))
    assert {row["receipt_id"]: (row["ended_at"].minute, row["is_time_ambiguous"]) for row in coffees} == {
        "m1": (30, False), "m2": (30, False), "m3": (30, True),
    }  # fmt: skip


def test_p06_a_time_is_of_the_zone_that_its_record_names(library: Chain) -> None:
    [sold] = rows(
        library, silver.RECEIPT, source="square_items", receipt_id="T2 P2"
    )  # 22:30 Pacific Time, in a branch in New York
    assert (str(sold["started_at"]), str(sold["business_date"]), sold["local_hour"]) == (
        "2026-07-19 05:30:00+00:00",
        "2026-07-19",
        1,
    )
    [unknown] = rows(library, silver.EXCEPTION, source="square_items", rule="value_unknown")
    assert (unknown["severity"], "Moon Time" in unknown["context"]) == ("error", True)


def test_p07_an_export_is_read_in_the_encoding_that_is_declared_and_in_no_other() -> None:
    text = "Filiale;Bonnr;Datum;Betrag\nKöln;1;31.01.2025;1,00\n"
    german = source(changes="{encoding: cp1252, locale: {decimal: ','}}")
    assert read_records(text.encode("cp1252"), german).table.column("Filiale").to_pylist() == ["Köln"]
    with pytest.raises(SourceError, match="the file is utf-8, not cp1252"):
        read_records(text.encode(), german)
    plain = source(changes="{locale: {decimal: ','}}")
    assert read_records(text.encode("utf-8-sig"), plain).columns[0] == "Filiale"  # the byte order mark is no part of the name
    with pytest.raises(SourceError, match="row 2: byte 0xf6 is not utf-8"):
        read_records(text.encode("cp1252"), plain)


def test_p08_numbers_are_read_in_the_style_of_their_export(library: Chain) -> None:
    found = rows(library, silver.RECEIPT_LINE, source="erp_receipts_de")
    assert {(str(row["gross_amount"]), str(row["quantity"])) for row in found} == {
        ("1234.50", "1.000"), ("4.82", "0.482"), ("-19.99", "-1.000"),
    }  # fmt: skip
    found = [row for row in lines_of(library, "T1 P1") if row["product_ref"] == "GR1"]
    assert [(str(row["gross_amount"]), str(row["discount_amount"])) for row in found] == [("1149.00", "12.00")]  # $1,149.00
    assert [str(row["gross_amount"]) for row in lines_of(library, "T1 P9")] == ["-3.27"]  # ($3.00) and ($0.27)
    [swiss] = rows(library, silver.RECEIPT, receipt_id="TAAA3")
    assert str(swiss["gross_amount"]) == "1250.50"  # 1'250.50


def test_p09_a_gtin_that_a_spreadsheet_has_damaged_is_none_and_the_line_counts(library: Chain) -> None:
    found = rows(library, silver.RECEIPT_LINE, source="erp_receipts_de")
    assert {(row["gtin"], str(row["gross_amount"])) for row in found} == {
        (None, "1234.50"), ("0401234567890", "4.82"), ("0401234567890", "-19.99"),
    }  # fmt: skip
    cells = rows(library, silver.RECEIPT_LINE, source="erp_receipts_xlsx")  # numbers, of which one has lost a zero
    assert {row["product_ref"]: row["gtin"] for row in cells} == {"A1": "012345678905", "A2": "4006381333931"}
    [damaged] = rows(library, silver.EXCEPTION, source="erp_receipts_de", rule="field_unreadable")
    assert "4,00639E+12" in damaged["context"]


def test_p10_documents_that_are_no_sale_are_kept_and_no_facts(library: Chain) -> None:
    kept = rows(library, silver.RECEIPT, transaction_type=("TRAINING", "CANCELLED", "CONTROL", "ORDER"))
    assert len(kept) == 26
    assert rows(library, gold.FCT_RECEIPT, receipt_key=tuple(row["receipt_key"] for row in kept)) == []


def test_p11_a_voided_original_does_not_count_and_a_reversing_receipt_does(library: Chain) -> None:
    found = rows(library, silver.RECEIPT, receipt_id=("b8", "b9", "b10"))
    assert {row["receipt_id"]: (row["transaction_type"], row["status"]) for row in found} == {
        "b8": ("CANCELLED", "VOIDED"), "b9": ("SALE", "VOIDED"), "b10": ("RETURN", "FINAL"),
    }  # fmt: skip
    voided = rows(library, silver.RECEIPT_LINE, source="poslog", is_voided=True)
    assert sorted(str(row["gross_amount"]) for row in voided) == ["-4.40", "4.40"]


def test_p12_a_return_that_is_written_positive_is_negative(library: Chain) -> None:
    [returned] = rows(library, silver.RECEIPT_LINE, product_ref="4022847522022")
    assert (str(returned["gross_amount"]), str(returned["quantity"])) == ("-1.29", "-1.000")  # the quantity decides
    [by_type] = rows(library, silver.RECEIPT, branch_id="4", receipt_id="78")
    assert (by_type["transaction_type"], str(by_type["gross_amount"]), str(by_type["tax_amount"])) == ("RETURN", "-4.50", "-0.72")


def test_p13_deposits_vouchers_tips_and_cash_are_no_revenue(library: Chain) -> None:
    assert {row["line_type"] for row in rows(library, silver.RECEIPT_LINE, branch_id="DD1")} == {
        "ITEM", "DISCOUNT", "DEPOSIT", "GIFTCARD_SALE", "GIFTCARD_REDEEM", "TIP_EMPLOYEE", "CASH_MOVE", "TOTAL",
    }  # fmt: skip
    of_dresden = rows(library, gold.FCT_SALE_LINE, branch_id="DD1", is_revenue=True)
    assert {row["line_type"] for row in of_dresden} == {"ITEM"}  # the discount is spread on them
    assert rows(library, gold.FCT_SALE_LINE, line_type=("GIFTCARD_SALE", "TIP_EMPLOYEE"), is_revenue=True) == []
    sold = rows(library, silver.RECEIPT_LINE, line_type="GIFTCARD_SALE", branch_id=("WEB", "Main St"))
    assert {(row["branch_id"], str(row["gross_amount"])) for row in sold} == {("WEB", "25.00"), ("Main St", "25.00")}


def test_p14_a_line_of_several_tax_rates_is_one_line_with_their_sum(library: Chain) -> None:
    [line] = rows(library, silver.RECEIPT_LINE, product_ref="M9")
    assert (line["gross_amount"], line["net_amount"], line["tax_amount"]) == (Decimal("9.98"), Decimal("8.86"), Decimal("1.12"))


def test_p15_a_discount_that_is_stated_twice_is_taken_off_once(library: Chain) -> None:
    rewards = rows(library, silver.RECEIPT_LINE, source="poslog", line_type="DISCOUNT")
    assert [str(row["gross_amount"]) for row in rewards] == ["-0.19"]
    [order] = rows(library, gold.FCT_RECEIPT, branch_id="WEB", revenue_amount=Decimal(54))
    assert order["discount_amount"] == Decimal("6.00")  # on the order; its lines state none
    assert rows(library, silver.EXCEPTION, rule="total_differs") == []


def test_p16_change_and_split_payments_are_what_the_till_kept(library: Chain) -> None:
    [sold] = rows(library, silver.RECEIPT, source="poslog", receipt_id="3")
    paid = rows(library, silver.RECEIPT_PAYMENT, receipt_key=sold["receipt_key"])
    assert sorted(str(row["amount"]) for row in paid) == ["-0.01", "27.00"]
    [split] = rows(
        library, silver.RECEIPT, source="square_items", receipt_id="T1 P1"
    )  # paid by card, cash and gift card, told by another export
    paid = rows(library, silver.RECEIPT_PAYMENT, receipt_key=split["receipt_key"])
    assert {row["tender_type"]: str(row["amount"]) for row in paid} == {
        "CREDIT": "1000.00", "CASH": "100.00", "GIFT_CARD": "55.54",
    }  # fmt: skip
    [tipped] = rows(library, silver.RECEIPT, source="square_items", receipt_id="T2 P2")
    paid = rows(library, silver.RECEIPT_PAYMENT, receipt_key=tipped["receipt_key"])
    assert {row["tender_type"]: str(row["tip_amount"]) for row in paid} == {"CREDIT": "2.00", "CASH": "None"}  # once
    assert {row["tender_type"]: bool(row["payment_token"]) for row in paid} == {"CREDIT": True, "CASH": False}  # of the card


def test_p17_renamed_columns_are_known_by_their_other_names_and_a_missing_one_rejects_the_file() -> None:
    square = read_model(Source, LIBRARY / "square_items.yml")
    older = HEADER.format(sales="Gross Sales") + "12/27/2018,14:05:10,UTC,Tea,1,$3.00,$3.00,$0.00,T1,P1,Main St\n"
    newer = older.replace("Gross Sales", "Product Sales").replace("Location", "Location,Brand new")
    for text, new in ((older, []), (newer.replace("St\n", "St,x\n"), ["Brand_new"])):
        decisions = decide_columns(read_records(text.encode(), square), square)
        assert [item.column for item in decisions if item.decision == "new"] == new
    with pytest.raises(SourceError, match=r"column missing for receipt_id \[Transaction ID, Payment ID\]"):
        read_records(older.replace("Payment ID", "Payment No").encode(), square)
    paid = read_model(Source, LIBRARY / "square_transactions.yml")
    text = "Date,Time,Location,Transaction ID,Payment ID,Total Collected,Plastic\n2026-07-20,10:00:00,B,T1,P1,$5.00,$5.00\n"
    with pytest.raises(
        SourceError, match=r"column missing for payments.unpivot \[Card, Cash, .*; not known to the mapping: Plastic"
    ):
        read_records(text.encode(), paid)


def test_p17_a_refund_under_an_older_word_is_the_same_document(library: Chain) -> None:
    assert statuses(library, "sumup_sales") == {"current": 5, "duplicate": 2}


def test_p18_title_and_total_lines_are_left_out_and_counted(library: Chain) -> None:
    [file] = rows(library, ops.FILE_LEDGER, source="erp_receipts_de")
    assert (file["rows_read"], file["rows_rejected"], file["rows_ignored"]) == (4, 1, 2)


def test_p19_weights_and_packs_keep_their_quantity(library: Chain) -> None:
    found = rows(library, silver.RECEIPT_LINE, product_ref=("G1", "W6"))
    assert {row["product_ref"]: str(row["quantity"]) for row in found} == {"G1": "0.482", "W6": "12.000"}


def test_p21_grouped_ids_are_the_same_as_ungrouped_ones(library: Chain) -> None:
    found = rows(library, silver.RECEIPT, branch_id="DD1")
    assert {row["closing_id"] for row in found} == {"1204", "1205"}
    assert "1013" in {row["receipt_number"] for row in found}


def test_p22_documents_that_tell_the_same_money_again_count_nowhere(library: Chain) -> None:
    again = rows(library, silver.RECEIPT, source="square_transactions")
    assert {(row["receipt_id"], row["transaction_type"]) for row in again} == {
        ("T1 P1", "CONTROL"), ("T1 P9", "CONTROL"), ("T2 P2", "CONTROL"), ("T5 P5", "CONTROL"), ("T6 P6", "CONTROL"),
    }  # fmt: skip
    assert rows(library, gold.FCT_RECEIPT, source="square_transactions") == []


def test_p23_lines_without_a_number_are_counted_and_the_same_export_gives_the_same_keys(library: Chain) -> None:
    found = [(row["line_number"], row["product_ref"]) for row in lines_of(library, "T1 P1")]
    assert found == [(1, "ESP"), (2, "ESP"), (3, "GR1")]  # two lines alike stay two
    assert statuses(library, "square_items") == {"current": 5, "duplicate": 1}  # the same rows in another order
    sumup = rows(library, silver.RECEIPT, source="sumup_sales")
    assert {row["receipt_id"]: row["line_count"] for row in sumup} == {
        "TAAA1": 2, "TAAA1 refund": 1, "TAAA2": 1, "TAAA3": 1, "TAAA3 refund": 1,
    }  # fmt: skip
