"""Hand-written documents have the revenue that the KPI definitions say. The real demo data has none of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.conftest import Chain
from tillhouse.tables import gold, silver

TILL = """
source: till
entity: receipt
description: hand-written receipts
owner: test
format: csv
file_pattern: till/{name}.csv
csv: {delimiter: ";"}
date_formats: ["yyyy-MM-dd HH:mm"]
columns:
  branch_id: {aliases: [branch]}
  receipt_id: {aliases: [receipt]}
  transaction_type: {aliases: [document]}
  status: {aliases: [status]}
  started_at: {aliases: [time]}
  line_number: {aliases: [line]}
  line_type: {aliases: [type]}
  product_ref: {aliases: [article]}
  quantity: {aliases: [quantity]}
  unit: {aliases: [unit]}
  gross_amount: {aliases: [amount]}
  parent_line_number: {aliases: [parent]}
  is_void: {aliases: [void]}
"""

TOTALS = """
source: totals_till
entity: receipt
description: a till that exports only the total of each receipt
owner: test
format: csv
file_pattern: totals/{name}.csv
depth: totals
line_number: ordinal
date_formats: ["yyyy-MM-dd HH:mm"]
columns:
  branch_id: {aliases: [branch]}
  receipt_id: {aliases: [receipt]}
  started_at: {aliases: [time]}
  gross_amount: {aliases: [total]}
"""

DAYS = """
source: day_till
entity: receipt
description: a till that exports the day's total per category
owner: test
format: csv
file_pattern: days/{name}.csv
depth: categories
document: day
line_number: ordinal
date_formats: ["yyyy-MM-dd"]
columns:
  branch_id: {aliases: [branch]}
  business_date: {aliases: [day]}
  category_ref: {aliases: [category]}
  gross_amount: {aliases: [total]}
"""

BRANCHES = """
source: branches
entity: branch
description: branches
owner: test
format: csv
file_pattern: branches/{name}.csv
columns:
  branch_id: {aliases: [branch]}
  time_zone: {aliases: [zone]}
  currency: {aliases: [currency]}
"""

HEADER = "branch;receipt;document;status;time;line;type;article;quantity;unit;amount;parent;void"


@dataclass(frozen=True)
class Case:
    """One receipt: its lines as type, article, quantity, amount, parent, void (and unit), and what must come out."""

    lines: tuple[str, ...]
    kind: str = "SALE"
    revenue: str = "0.00"
    returns: str = "0.00"
    basket: bool = True
    items: str = "0"
    discount: str = "0.00"
    document: str = ""
    status: str = ""


CASES = {
    "a discount line lowers the line that it belongs to": Case(
        ("ITEM;A;1;;10.00;;", "DISCOUNT;;1;;-2.00;1;"), revenue="8.00", items="1", discount="2.00"
    ),
    "a discount line that the till writes as a positive amount lowers too": Case(
        ("ITEM;A;1;;10.00;;", "DISCOUNT;;1;;2.00;1;"), revenue="8.00", items="1", discount="2.00"
    ),
    "a discount on the whole receipt is allocated pro rata": Case(
        ("ITEM;A;1;;10.00;;", "ITEM;B;2;;20.00;;", "DISCOUNT;;;;3.00;;"), revenue="27.00", items="3", discount="3.00"
    ),
    "odd cents of an allocated discount are not lost": Case(
        ("ITEM;A;1;;1.00;;", "ITEM;B;1;;1.00;;", "ITEM;C;1;;1.00;;", "DISCOUNT;;;;-1.00;;"),
        revenue="2.00", items="3", discount="1.00",
    ),
    "a void inside a receipt leaves neither sale nor return": Case(
        ("ITEM;A;1;;4.40;;", "ITEM;B;1;;5.00;;", "ITEM;A;-1;;-4.40;;1"), revenue="5.00", items="1"
    ),
    "a receipt of which nothing remains after voids is a sale but no basket": Case(
        ("ITEM;A;2;;8.80;;", "ITEM;A;-2;;-8.80;;1"), basket=False
    ),
    "a partial void leaves the rest sold": Case(
        ("ITEM;A;3;;9.00;;", "ITEM;A;-1;;-3.00;;1"), revenue="6.00", items="2"
    ),
    "a return": Case(("ITEM;A;-1;;-7.99;;",), kind="RETURN", revenue="-7.99", returns="7.99", basket=False),
    "a return takes its discount back": Case(
        ("ITEM;A;-1;;-10.00;;", "DISCOUNT;;;;1.00;1;"),
        kind="RETURN", revenue="-9.00", returns="9.00", basket=False, discount="-1.00",
    ),
    "a return takes a discount on the whole receipt back": Case(
        ("ITEM;A;-1;;-10.00;;", "ITEM;B;-1;;-10.00;;", "DISCOUNT;;;;-3.00;;"),
        kind="RETURN", revenue="-17.00", returns="17.00", basket=False, discount="-3.00",
    ),
    "an exchange is a basket": Case(
        ("ITEM;A;-1;;-20.00;;", "ITEM;B;1;;25.00;;"), kind="EXCHANGE", revenue="5.00", returns="20.00", items="1"
    ),
    "a voided return line leaves a plain sale": Case(
        ("ITEM;A;-1;;-20.00;;", "ITEM;A;1;;20.00;;1", "ITEM;B;1;;25.00;;"), revenue="25.00", items="1"
    ),
    "a deposit is no revenue": Case(("ITEM;A;1;;1.00;;", "DEPOSIT;;1;;0.25;1;"), revenue="1.00", items="1"),
    "a deposit refund alone is no basket": Case(("DEPOSIT_REFUND;;-1;;-0.25;;",), basket=False),
    "selling a multi-purpose voucher is no revenue and no basket": Case(("GIFTCARD_SALE;;1;;50.00;;",), basket=False),
    "paying with a voucher does not lower revenue": Case(
        ("ITEM;A;1;;30.00;;", "GIFTCARD_REDEEM;;1;;-30.00;;"), revenue="30.00", items="1"
    ),
    "a single-purpose voucher counts when the goods leave": Case(
        ("ITEM;A;1;;12.00;;", "SPV_REDEEM;;1;;-12.00;;"), revenue="12.00", items="1"
    ),
    "a price subsidy of a third party is revenue": Case(
        ("ITEM;A;1;;10.00;;", "PRICE_SUBSIDY;;1;;2.00;;", "SUBSIDY;;1;;3.00;;"), revenue="12.00", items="1"
    ),
    "a tip is no revenue": Case(("ITEM;A;1;;10.00;;", "TIP_EMPLOYEE;;1;;1.50;;"), revenue="10.00", items="1"),
    "a surcharge is revenue": Case(("ITEM;A;1;;10.00;;", "SURCHARGE;;1;;0.50;;"), revenue="10.50", items="1"),
    "a line with quantity 0 is a basket": Case(("ITEM;A;0;;3.00;;",), revenue="3.00", items="0"),
    "a basket worth 0 counts": Case(("ITEM;A;1;;0.00;;",), items="1"),
    "a line by weight counts one item": Case(("ITEM;A;0.482;kg;4.82;;", "ITEM;B;2;;4.00;;"), revenue="8.82", items="3"),
    "fractions of a cent round to the receipt's cents": Case(
        ("ITEM;A;1;;0.333;;", "ITEM;B;1;;0.333;;", "ITEM;C;1;;0.334;;"), revenue="1.00", items="3"
    ),
    "a document with only cash movements is no receipt": Case(("CASH_MOVE;;;;-500.00;;",), kind="CASH"),
    "training is kept but counts nowhere": Case(("ITEM;A;1;;99.00;;",), kind="TRAINING", document="TRAINING"),
    "an order is kept but counts nowhere": Case(("ITEM;A;1;;99.00;;",), kind="ORDER", document="ORDER"),
    "a voided receipt counts nowhere": Case(("ITEM;A;1;;99.00;;",), status="VOIDED"),
}  # fmt: skip
COUNTED = {name: case for name, case in CASES.items() if case.kind in ("SALE", "RETURN", "EXCHANGE") and not case.status}


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Chain:
    folder = tmp_path_factory.mktemp("hand")
    chain = Chain(folder, hand_conf(folder / "conf"), spark)
    rows = [HEADER]
    for number, case in enumerate(CASES.values(), start=1):
        for line, text in enumerate(case.lines, start=1):
            kind, article, quantity, unit, amount, parent, void = text.split(";")
            head = f"B1;{number};{case.document};{case.status};2025-03-0{1 + number % 5} 10:{number:02d};{line}"
            rows.append(f"{head};{kind};{article};{quantity};{unit};{amount};{parent};{void}")
    chain.deliver("till/all.csv", "\n".join(rows) + "\n")
    chain.deliver("totals/all.csv", "branch,receipt,time,total\nB2,1,2025-03-01 09:00,12.34\nB2,2,2025-03-01 09:05,-2.34\n")
    chain.deliver("days/all.csv", "branch,day,category,total\nB3,2025-03-01,Food,100.00\nB3,2025-03-01,Drinks,50.50\n")
    chain.deliver("branches/all.csv", "branch,zone,currency\n" + "".join(f"B{n},Europe/Berlin,EUR\n" for n in (1, 2, 3)))
    chain.run()
    return chain


def hand_conf(folder: Path) -> Path:
    (folder / "sources").mkdir(parents=True)
    for name, text in (("till", TILL), ("totals_till", TOTALS), ("day_till", DAYS), ("branches", BRANCHES)):
        (folder / "sources" / f"{name}.yml").write_text(text, "utf-8")
    (folder / "lake.yml").write_text("lake: x\nvault: y\nlanding: z\n", "utf-8")
    (folder / "products.yml").write_text("piece_units: [pcs]\n", "utf-8")
    return folder


def test_every_document_is_of_the_kind_that_its_remaining_lines_say(hand: Chain) -> None:
    found = {
        int(row["receipt_id"]): row["transaction_type"]
        for row in hand.store.read(silver.RECEIPT).where("branch_id = 'B1'").collect()
    }
    wanted = {number: case.kind for number, case in enumerate(CASES.values(), start=1)}
    assert found == wanted


def test_every_document_has_the_revenue_that_the_definitions_say(hand: Chain) -> None:
    facts = hand.store.read(gold.FCT_RECEIPT).where("branch_id = 'B1'").join(
        hand.store.read(silver.RECEIPT).select("receipt_key", "receipt_id"), on="receipt_key"
    )  # fmt: skip
    names = dict(enumerate(CASES, start=1))
    found = {
        names[int(row["receipt_id"])]: (
            row["transaction_type"], row["revenue_amount"], row["return_amount"], row["is_basket"], row["sold_item_count"],
            row["discount_amount"],
        )
        for row in facts.collect()
    }  # fmt: skip
    wanted = {
        name: (case.kind, Decimal(case.revenue), Decimal(case.returns), case.basket, Decimal(case.items), Decimal(case.discount))
        for name, case in COUNTED.items()
    }
    assert found == wanted


def test_the_sum_over_revenue_lines_is_the_receipts_revenue_and_returned_lines_are_its_returns(hand: Chain) -> None:
    lines = hand.store.read(gold.FCT_SALE_LINE)
    by_line = lines.where("is_revenue").groupBy("receipt_key").agg({"gross_amount": "sum"})
    revenue = {row["receipt_key"]: row["revenue_amount"] for row in hand.store.read(gold.FCT_RECEIPT).collect()}
    sums = {row[0]: row[1] for row in by_line.collect()}
    assert {key: sums.get(key, Decimal(0)) for key in revenue} == revenue


def test_an_allocated_discount_lowers_each_line_to_the_cent_and_its_own_line_is_no_revenue(hand: Chain) -> None:
    numbers = {name: str(number) for number, name in enumerate(CASES, start=1)}
    keys = hand.store.read(silver.RECEIPT).where("branch_id = 'B1'").select("receipt_key", "receipt_id")
    lines = hand.store.read(gold.FCT_SALE_LINE).join(keys, on="receipt_key")

    def amounts(name: str) -> list[tuple[Decimal, bool]]:
        rows = lines.where(f"receipt_id = '{numbers[name]}'").orderBy("line_number").collect()
        return [(row["gross_amount"], row["is_revenue"]) for row in rows]

    assert amounts("a discount on the whole receipt is allocated pro rata") == [
        (Decimal("9.00"), True), (Decimal("18.00"), True), (Decimal("-3.00"), False),
    ]  # fmt: skip
    assert amounts("odd cents of an allocated discount are not lost") == [
        (Decimal("0.67"), True), (Decimal("0.67"), True), (Decimal("0.66"), True), (Decimal("-1.00"), False),
    ]  # fmt: skip
    assert amounts("fractions of a cent round to the receipt's cents") == [
        (Decimal("0.33"), True), (Decimal("0.33"), True), (Decimal("0.34"), True),
    ]  # fmt: skip


def test_a_receipt_of_totals_only_counts_in_revenue_and_baskets_and_is_reported_as_without_lines(hand: Chain) -> None:
    day = hand.store.read(gold.KPI_BRANCH_DAY).where("branch_id = 'B2'").collect()[0]
    found = (day["revenue"], day["return_amount"], day["receipts"], day["baskets"], day["items"], day["lines_share"])
    assert found == (Decimal("10.00"), Decimal("2.34"), 2, 1, Decimal(0), Decimal(0))


def test_totals_per_category_and_day_count_in_revenue_but_not_in_receipts_or_baskets(hand: Chain) -> None:
    day = hand.store.read(gold.KPI_BRANCH_DAY).where("branch_id = 'B3'").collect()[0]
    found = (day["revenue"], day["receipts"], day["baskets"], day["average_basket"], day["lines_share"])
    assert found == (Decimal("150.50"), 0, 0, None, Decimal(0))


def test_the_branch_days_add_up_to_the_cases(hand: Chain) -> None:
    days = hand.store.read(gold.KPI_BRANCH_DAY).where("branch_id = 'B1'").collect()
    cases = COUNTED.values()
    assert sum(day["revenue"] for day in days) == sum(Decimal(case.revenue) for case in cases)
    assert sum(day["return_amount"] for day in days) == sum(Decimal(case.returns) for case in cases)
    assert sum(day["baskets"] for day in days) == sum(case.basket for case in cases)
    assert sum(day["receipts"] for day in days) == len(cases)
    assert sum(day["discount_amount"] for day in days) == sum(Decimal(case.discount) for case in cases)
