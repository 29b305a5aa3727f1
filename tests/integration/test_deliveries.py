"""What happens to deliveries that repeat, overlap, correct, contradict or are broken: nothing is lost, nothing counts twice."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from tests.conftest import Chain
from tests.integration.test_kpi_cases import BRANCHES
from tillhouse.ops.runs import StepResult
from tillhouse.tables import gold, ops, silver

TILL = """
source: till
entity: receipt
description: receipts with payments nested in them
owner: till-team
due_days: 3
format: jsonl
file_pattern: till/{branch}_{exported}.jsonl
date_formats: [iso]
timezone: branch
personal_data: true
version_order: {from_path: exported, date_formats: ["yyyyMMdd"]}
columns:
  branch_id: {aliases: [store]}
  receipt_id: {aliases: [id]}
  ended_at: {aliases: [at, closed_at]}
  operator: {aliases: [cashier]}
  card_number: {aliases: [card]}
  stated_gross_amount: {aliases: [total]}
  status: {aliases: [state]}
lines:
  path: lines
  columns:
    line_number: {aliases: ["no"]}
    product_ref: {aliases: [sku]}
    quantity: {aliases: [qty]}
    gross_amount: {aliases: [amount]}
payments:
  path: paid
  columns:
    tender_type: {aliases: [how], required: true}
    payment_amount: {aliases: [amount]}
    change_amount: {aliases: [change]}
value_maps:
  tender_type: {cash: CASH, card: DEBIT}
  status: {gone: DELETED}
"""

UNORDERED = """
source: unordered
entity: receipt
description: an export that does not say when it was made
owner: shop-team
format: csv
file_pattern: unordered/{name}.csv
csv: {delimiter: ";", skip_rows: 1, footer_prefix: [Total]}
locale: {decimal: ",", grouping: "."}
date_formats: ["dd.MM.yyyy HH:mm"]
timezone: Europe/Berlin
line_number: ordinal
columns:
  branch_id: {aliases: [Store]}
  receipt_id: {aliases: [Receipt]}
  ended_at: {aliases: [Time]}
  product_ref: {aliases: [Article]}
  gross_amount: {aliases: [Amount]}
"""


def receipt(number: int, amount: str, store: str = "N1", at: str = "2025-10-25T12:00:00", **more: object) -> str:
    lines = [{"no": 1, "sku": "A", "qty": 1, "amount": amount}]
    change = "0.00" if amount == "six" else str(Decimal("50.00") - Decimal(amount))
    paid = [{"how": "cash", "amount": "50.00", "change": change}]
    record = {"store": store, "id": f"R{number}", "at": at, "card": "2900000000018", "cashier": "Erika Probe", "total": amount}
    return json.dumps({**record, "lines": lines, "paid": paid, **more})


@pytest.fixture(scope="module")
def history(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> tuple[Chain, dict[str, list[StepResult]], list[Row]]:
    """Two runs: first everything that can go wrong, then the repairs. Returns the chain, the steps and the first exceptions."""
    folder = tmp_path_factory.mktemp("deliveries")
    conf = folder / "conf"
    (conf / "sources").mkdir(parents=True)
    for name, text in (("till", TILL), ("unordered", UNORDERED), ("branches", BRANCHES)):
        (conf / "sources" / f"{name}.yml").write_text(text, "utf-8")
    (conf / "lake.yml").write_text("lake: x\nvault: y\nlanding: z\n", "utf-8")
    (conf / "products.yml").write_text("{}\n", "utf-8")
    chain = Chain(folder, conf, spark)
    chain.deliver("branches/first.csv", "branch,zone,currency\nN1,Europe/Berlin,EUR\nN2,Asia/Tokyo,JPY\n")
    chain.deliver("till/N1_20251026.jsonl", "\n".join([
        receipt(1, "10.00"), receipt(2, "20.00"), receipt(3, "30.00", at="2025-10-26T02:30:00"),
        receipt(4, "40.00", total="41.00"), receipt(5, "5.00", paid=[{"how": "cash", "amount": "4.00"}]),
        receipt(6, "six", total="6.00"), receipt(7, "7.00", store="N9"), receipt(8, "8.00", at="yesterday"),
        '{"store": "N1", "id": "R9", "at": "2025-10-25T12:0',
        receipt(10, "10.00", store="N2", at="2025-10-25T23:30:00"),
        receipt(11, "11.00", total="11.50"), receipt(12, "12.00", state="gone"),
    ]) + "\n")  # fmt: skip
    chain.deliver("till/N1 copy_20251026.jsonl", (folder / "landing/till/N1_20251026.jsonl").read_bytes())
    chain.deliver("till/N1_20251027.jsonl", receipt(2, "22.00") + "\n" + receipt(1, "10.00") + "\n")
    chain.deliver("till/N1_20251020.jsonl", receipt(2, "19.00") + '\n{"store": "N1", "id": "R1", "state": "gone"}\n')
    title, header = "Export of 26.10.2025", "Store;Receipt;Time;Article;Amount"
    row = "N1;U1;25.10.2025 09:00;A;"
    chain.deliver("unordered/a.csv", f"{title}\n{header}\n{row}1.000,50\n{row}1.000,50\nTotal;;;;2.001,00\n")
    chain.deliver("unordered/b.csv", f"{title}\n{header}\n{row}3,00\n")
    chain.deliver("unordered/c.csv", f"{title}\nStore;Receipt;Time;Article\nN1;U2;25.10.2025 09:00;A\n")
    chain.deliver("unordered/d.csv", f"{title}\n{header}\nN1;U3;25.10.2025 09:00;A;12.34\nN1;U3;25.10.2025\n")
    chain.deliver("somewhere/else.txt", "hello")
    steps = {"first": chain.run()}
    before = chain.store.read(silver.EXCEPTION).collect()
    chain.deliver("branches/second.csv", "branch,zone,currency\nN9,Europe/Berlin,EUR\n")
    gone = '{"store": "N1", "id": "R11", "state": "gone"}\n'
    chain.deliver("till/N1_20251028.jsonl", receipt(6, "6.00") + "\n" + receipt(8, "8.00") + "\n" + gone)
    chain.deliver("unordered/c.csv", f"{title}\n{header}\nN1;U2;25.10.2025 09:00;A;2,00\n")
    steps["second"] = chain.run()
    return chain, steps, before


def exceptions(rows: list[Row], rule: str) -> list[tuple[str, str, str]]:
    return sorted((row["record_key"], row["severity"], row["status"]) for row in rows if row["rule"] == rule)


def context(rows: list[Row], rule: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(next(row["context"] for row in rows if row["rule"] == rule))
    return found


History = tuple[Chain, dict[str, list[StepResult]], list[Row]]


def test_the_newest_version_wins_whatever_the_order_of_arrival(history: History) -> None:
    chain, _, _ = history
    amounts = {
        row["receipt_id"]: row["gross_amount"] for row in chain.store.read(silver.RECEIPT).where("source = 'till'").collect()
    }
    assert amounts["R2"] == Decimal("22.00")
    assert amounts["R1"] == Decimal("10.00")


def test_each_delivered_version_is_kept_with_what_became_of_it(history: History) -> None:
    chain, _, _ = history
    rows = chain.store.read(silver.RECEIPT_VERSION).join(
        chain.store.read(silver.RECEIPT).select("receipt_key", "receipt_id"), on="receipt_key"
    ).groupBy("receipt_id").agg(F.array_sort(F.collect_list("status")).alias("status")).collect()  # fmt: skip
    statuses = {row["receipt_id"]: row["status"] for row in rows}
    assert statuses["R1"] == ["current", "duplicate", "duplicate", "superseded"]
    assert statuses["R2"] == ["current", "superseded", "superseded", "superseded"]
    assert statuses["U1"] == ["conflicting", "current"]


def test_the_same_bytes_under_another_name_are_not_loaded_twice(history: History) -> None:
    chain, _, _ = history
    ledger = {row["path"]: row for row in chain.store.read(ops.FILE_LEDGER).collect()}
    pair = {ledger["till/N1 copy_20251026.jsonl"]["status"], ledger["till/N1_20251026.jsonl"]["status"]}
    # the captured fields differ (branch "N1 copy"), so the pair is two deliveries of the same receipts: duplicates, not doubles
    assert pair == {"loaded"}
    assert chain.store.read(silver.RECEIPT).where("receipt_id = 'R1'").count() == 1


def test_contradicting_versions_without_order_keep_the_first_and_are_an_exception(history: History) -> None:
    chain, _, before = history
    amounts = chain.store.read(silver.RECEIPT).where("receipt_id = 'U1'").collect()
    assert [row["gross_amount"] for row in amounts] == [Decimal("2001.00")]
    assert exceptions(before, "conflicting_versions") == [("N1/-/-/U1", "warning", "open")]


def test_identical_lines_without_a_number_are_two_lines_and_title_and_total_are_ignored(history: History) -> None:
    chain, _, _ = history
    lines = chain.store.read(silver.RECEIPT_LINE).where("source = 'unordered' AND gross_amount = 1000.50").collect()
    assert sorted(row["line_number"] for row in lines) == [1, 2]
    assert sorted(row["_row"] for row in lines) == [3, 4]
    ledger = {row["path"]: row for row in chain.store.read(ops.FILE_LEDGER).where("status = 'loaded'").collect()}
    assert (ledger["unordered/a.csv"]["rows_read"], ledger["unordered/a.csv"]["rows_ignored"]) == (2, 2)


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        ("branch_unknown", ["N9/-/-/R7"]),
        ("field_unreadable", ["N1/-/-/R6/1", "N1/-/-/R8", "N1/-/-/U3/1"]),
    ],
)
def test_a_record_that_cannot_be_used_is_an_error_with_its_key(history: History, rule: str, keys: list[str]) -> None:
    _, _, before = history
    assert exceptions(before, rule) == [(key, "error", "open") for key in keys]


def test_broken_records_and_files_are_named_with_their_place(history: History) -> None:
    _, _, before = history
    broken = exceptions(before, "record_broken")
    assert {key.split("#")[0] for key, _, _ in broken} >= {"till/N1_20251026.jsonl", "unordered/d.csv"}
    assert exceptions(before, "file_unmatched") == [("somewhere/else.txt", "error", "open")]
    assert exceptions(before, "file_rejected") == [("unordered/c.csv", "error", "open")]
    assert "gross_amount" in str(context(before, "file_rejected")["reason"])


def test_an_exception_names_file_row_field_value_rule_and_remedy(history: History) -> None:
    _, _, before = history
    row = next(row for row in before if row["record_key"] == "N1/-/-/R6/1")
    found = json.loads(row["context"])
    assert str(found["file"]).startswith("till/N1")
    assert (found["row"], found["field"], found["value"], found["rule"]) == (6, "gross_amount", "six", "field_unreadable")
    assert "locale" in found["remedy"]
    assert (row["owner"], row["status"]) == ("till-team", "open")


def test_breaks_that_correct_nothing_are_warnings_and_the_record_flows(history: History) -> None:
    chain, _, before = history
    assert exceptions(before, "total_differs") == [("N1/-/-/R11", "warning", "open"), ("N1/-/-/R4", "warning", "open")]
    assert exceptions(before, "payments_differ") == [("N1/-/-/R5", "warning", "open")]
    assert exceptions(before, "time_ambiguous") == [("N1/-/-/R3", "warning", "open")]
    kept = {row["receipt_id"]: row["gross_amount"] for row in chain.store.read(silver.RECEIPT).collect()}
    assert [kept[name] for name in ("R3", "R4", "R5")] == [Decimal("30.00"), Decimal("40.00"), Decimal("5.00")]


def test_an_ambiguous_local_time_is_the_earlier_instant(history: History) -> None:
    chain, _, _ = history
    row = (
        chain.store.read(silver.RECEIPT)
        .where("receipt_id = 'R3'")
        .select(F.unix_seconds("ended_at"), "is_time_ambiguous")
        .collect()[0]
    )
    assert tuple(row) == (1761438600, True)  # 2025-10-26 00:30 UTC


def test_a_day_is_the_branchs_own_day(history: History) -> None:
    chain, _, _ = history
    row = (
        chain.store.read(silver.RECEIPT)
        .where("receipt_id = 'R10'")
        .select("business_date", "local_hour", "currency")
        .collect()[0]
    )
    assert (str(row[0]), row[1], row[2]) == ("2025-10-25", 23, "JPY")


def test_change_given_back_is_no_payment(history: History) -> None:
    chain, _, _ = history
    receipts = chain.store.read(silver.RECEIPT).where("receipt_id = 'R1'").select("receipt_key")
    paid = chain.store.read(silver.RECEIPT_PAYMENT).join(receipts, on="receipt_key").collect()
    assert [(row["tender_type"], row["amount"]) for row in paid] == [("CASH", Decimal("10.00"))]
    fact = chain.store.read(gold.FCT_RECEIPT).join(receipts, on="receipt_key").collect()
    assert fact[0]["payment_types"] == ["CASH"]


def test_a_repaired_or_re_sent_record_closes_its_exception_and_flows(history: History) -> None:
    chain, steps, _ = history
    after = chain.store.read(silver.EXCEPTION).collect()
    by_key = {(row["rule"], row["record_key"]): row for row in after}
    for rule, key in (
        ("branch_unknown", "N9/-/-/R7"), ("field_unreadable", "N1/-/-/R6/1"), ("file_rejected", "unordered/c.csv"),
    ):  # fmt: skip
        row = by_key[rule, key]
        assert (row["status"], row["resolution"]) == ("resolved", "repaired"), (rule, key)
        assert row["resolved_run"] != row["first_seen_run"]
    assert by_key["total_differs", "N1/-/-/R4"]["status"] == "open"
    kept = {row["receipt_id"] for row in chain.store.read(silver.RECEIPT).collect()}
    assert {"R6", "R7", "R8", "U2"} <= kept
    assert [step.status for step in steps["second"]] == ["done", "done", "done", "unchanged", "done", "done"]


def test_a_receipt_that_its_source_takes_back_is_gone_with_its_exceptions_and_its_versions_stay(history: History) -> None:
    chain, _, _ = history
    kept = {row["receipt_id"] for row in chain.store.read(silver.RECEIPT).collect()}
    assert not {"R11", "R12"} & kept
    assert "R1" in kept  # the deletion was exported before the receipt
    for table in (silver.RECEIPT_LINE, silver.RECEIPT_PAYMENT, gold.FCT_RECEIPT):
        stored = chain.store.read(table)
        assert stored.join(chain.store.read(silver.RECEIPT), on="receipt_key", how="left_anti").count() == 0, table.full_name
    statuses = chain.store.read(silver.RECEIPT_VERSION).where("is_deletion").groupBy("status").count().collect()
    assert {row["status"]: row["count"] for row in statuses} == {"deleted": 2, "duplicate": 1, "superseded": 1}
    found = chain.store.read(silver.EXCEPTION).where("record_key = 'N1/-/-/R11'").collect()
    assert [(row["rule"], row["status"]) for row in found] == [("total_differs", "resolved")]


def test_excluded_amounts_and_open_exceptions_stand_beside_the_figures_that_they_touch(history: History) -> None:
    chain, _, _ = history
    days = {(row["branch_id"], str(row["business_date"])): row for row in chain.store.read(gold.KPI_BRANCH_DAY).collect()}
    day = days["N1", "2025-10-25"]
    assert day["open_exceptions"] >= 4
    assert day["excluded_amount"] == 0


def test_amounts_of_different_currencies_are_never_added(history: History) -> None:
    chain, _, _ = history
    currencies = {(row["branch_id"], row["currency"]) for row in chain.store.read(gold.KPI_BRANCH_DAY).collect()}
    assert ("N2", "JPY") in currencies
    assert ("N1", "EUR") in currencies


def test_operators_are_only_kept_as_tokens(history: History, tmp_path: Path) -> None:
    from tests.integration.personal_data import clear_text_in  # noqa: PLC0415

    chain, _, _ = history
    assert tmp_path.exists()
    assert clear_text_in(chain.lake, ["Erika Probe", "2900000000018"]) == []
    tokens = {
        row[0] for row in chain.store.read(silver.RECEIPT).where("source = 'till'").select("operator_token").distinct().collect()
    }
    assert len(tokens) == 1
    assert None not in tokens
