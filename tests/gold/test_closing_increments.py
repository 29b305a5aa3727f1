"""Z reports and vouchers night by night: what a night changes is what a full run would make, and nothing new writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tillhouse.gold import tie_out, vouchers
from tillhouse.gold.tie_out import Told
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold, silver

FIRST, SECOND, THIRD = date(2026, 3, 30), date(2026, 3, 31), date(2026, 4, 1)
GIVEN = (
    silver.RECEIPT, silver.RECEIPT_LINE, silver.RECEIPT_PAYMENT, silver.RECEIPT_LINE_TAX, silver.CLOSING_TOTAL, gold.FCT_PAYMENT,
)  # fmt: skip
MADE = (gold.CLOSING_TIE_OUT, gold.FCT_VOUCHER, gold.VOUCHER_LIABILITY, gold.VOUCHER, gold.VOUCHER_BALANCE)
DEFAULTS: dict[str, Any] = {"string": "x", "int": 1, "bigint": 1, "boolean": False, "date": FIRST, "double": 0.0}
TOLD = Told(("till",), (), ())
Row = dict[str, Any]


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> Store:
    made = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    made.create_missing([*GIVEN, *MADE])
    return made


def fill(store: Store, table: Table, rows: Iterable[Row]) -> None:
    """Put rows in the place of a table's; what is mandatory and does not matter is made up."""
    fields = [field for field in table.struct if field.name != "_month"]
    usual = {"source": "till", "branch_id": "1", "register_id": "K1", "currency": "EUR", "status": "FINAL",
             "transaction_type": "SALE"}  # fmt: skip

    def value(row: Row, name: str, kind: str, may_be_null: bool) -> object:
        made_up = None if may_be_null else DEFAULTS.get(kind, Decimal(0))
        found = row.get(name, usual.get(name, made_up))
        return Decimal(found) if kind.startswith("decimal") and found is not None else found

    values = [[value(row, field.name, field.dataType.simpleString(), field.nullable) for field in fields] for row in rows]
    ddl = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in fields)
    store.overwrite(table, store.spark.createDataFrame(values, ddl))


def sold(key: str, day: date, kind: str, amount: str, **others: object) -> Row:
    return {"receipt_key": key, "business_date": day, "line_type": kind, "gross_amount": amount, **others}


def put(store: Store, lines: Iterable[Row], totals: Iterable[Row], paid: Iterable[Row] = ()) -> None:
    """The receipts of these lines, with the lines, Z reports and payments, in the place of what was there."""
    lines = list(lines)
    receipts = {
        row["receipt_key"]: {"closing_id": f"Z{row['business_date']:%d}"} | row | {"receipt_id": row["receipt_key"]}
        for row in lines
    }
    fill(store, silver.RECEIPT, receipts.values())
    fill(store, silver.RECEIPT_LINE, lines)
    fill(store, silver.CLOSING_TOTAL, totals)
    for table in (silver.RECEIPT_PAYMENT, gold.FCT_PAYMENT):
        fill(store, table, ({"tender_type": "GIFT_CARD", **row} for row in paid))


def stated(store: Store, number: str, day: date, amount: str) -> Row:
    [row] = (
        store.spark.createDataFrame(
            [("till", "1", "K1", number)], "source STRING, branch_id STRING, register_id STRING, closing_id STRING"
        )
        .transform(tie_out.with_closing_key)
        .collect()
    )
    return {**row.asDict(), "business_date": day, "total_kind": "BUSINESS_CASE", "line_type": "ITEM", "gross_amount": amount}


def run(store: Store, since: Since | None, as_of: date | None = None) -> None:
    tie_out.run(store, TOLD, as_of, since)
    vouchers.run(store, as_of, since)


def now(store: Store) -> Since:
    return Since({table.full_name: store.version(table)[1] for table in (*GIVEN, *MADE)}, frozenset())


def versions(store: Store) -> list[int]:
    return [store.version(table)[1] for table in MADE]


def statuses(store: Store) -> dict[tuple[str, str], str]:
    return {(row.closing_id, row.member): row.status for row in store.read(gold.CLOSING_TIE_OUT).collect()}


@pytest.mark.long
def test_night_by_night_is_what_a_full_run_makes_and_nothing_new_writes_nothing(store: Store) -> None:
    first = [
        sold("a", FIRST, "ITEM", "10.00"),
        sold("b", SECOND, "ITEM", "20.00"),
        sold("c", SECOND, "GIFTCARD_SALE", "50.00", voucher_token="v"),
        sold("d", THIRD, "ITEM", "5.00"),
    ]
    reports = [stated(store, "Z30", FIRST, "12.00"), stated(store, "Z31", SECOND, "20.00")]
    put(store, first, reports)
    run(store, None)
    assert statuses(store) == {
        ("Z30", "ITEM"): "differs", ("Z31", "ITEM"): "agrees", ("Z31", "GIFTCARD_SALE"): "differs", ("Z01", "ITEM"): "no_report",
    }  # fmt: skip
    before, since = versions(store), now(store)
    run(store, since)
    assert versions(store) == before

    late = [
        sold("e", FIRST, "ITEM", "2.00"),
        sold("f", THIRD, "GIFTCARD_REDEEM", "-30.00", voucher_token="v"),
        sold("g", SECOND, "ITEM", "1.00", closing_id="Z30"),  # after midnight
    ]
    corrected = [row | ({"gross_amount": "19.00"} if row["receipt_key"] == "b" else {}) for row in first]
    paid = [{"receipt_key": "d", "business_date": THIRD, "amount": "5.00"}]
    put(store, [*corrected, *late], [*reports, stated(store, "Z01", THIRD, "5.00")], paid)
    run(store, since)
    assert statuses(store) == {
        ("Z30", "ITEM"): "differs", ("Z31", "ITEM"): "differs", ("Z31", "GIFTCARD_SALE"): "differs", ("Z01", "ITEM"): "agrees",
        ("Z01", "GIFTCARD_REDEEM"): "differs",
    }  # fmt: skip
    [voucher] = store.read(gold.VOUCHER).collect()
    assert (voucher.status, voucher.change_amount) == ("open", Decimal("20.00"))
    balances = {row.business_date: str(row.balance_amount) for row in store.read(gold.VOUCHER_BALANCE).collect()}
    assert balances == {SECOND: "50.00", THIRD: "15.00"}
    before = versions(store)
    run(store, None)
    assert versions(store) == before

    since = now(store)
    put(store, first[:2], reports[:1])  # taken back
    run(store, since)
    assert statuses(store) == {("Z30", "ITEM"): "differs", ("Z31", "ITEM"): "no_report"}
    assert [store.read(table).count() for table in MADE[1:]] == [0, 0, 0, 0]
    before = versions(store)
    run(store, None)
    assert versions(store) == before


def test_what_lies_at_or_after_as_of_is_left_out(store: Store) -> None:
    put(
        store,
        [sold("a", FIRST, "GIFTCARD_SALE", "50.00"), sold("b", THIRD, "GIFTCARD_SALE", "10.00")],
        [stated(store, "Z30", FIRST, "1.00"), stated(store, "Z01", THIRD, "1.00")],
    )
    run(store, None, SECOND)
    assert {closing for closing, _ in statuses(store)} == {"Z30"}
    since = Since(now(store).versions, frozenset({"as_of"}), SECOND)
    run(store, since, None)
    assert {closing for closing, _ in statuses(store)} == {"Z30", "Z01"}
    assert store.read(gold.FCT_VOUCHER).count() == 2
    before = versions(store)
    run(store, None)
    assert versions(store) == before
