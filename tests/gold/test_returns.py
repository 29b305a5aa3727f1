"""Returns find their purchase: by reference, else by customer or payment card and product; never more than was sold."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from tillhouse.config import to_model
from tillhouse.errors import ConfigError
from tillhouse.gold.return_links import Facts, Linked, link
from tillhouse.gold.returns import Candidate, take
from tillhouse.products.returns import ReturnRules
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold, silver

DAY = date(2025, 5, 1)
RULES = ReturnRules()


@dataclass(frozen=True)
class Line:
    """A line of goods, unless ``others`` say something else; what is returned has a negative amount."""

    product: str | None
    amount: str
    quantity: str | None = "1"
    others: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """A receipt, ``day`` days after the first, with what it refers to: line, receipt and its line."""

    key: str
    day: int
    lines: tuple[Line, ...]
    customer: str | None = None
    branch: str = "B1"
    source: str = "till"
    number: str | None = None
    hour: int = 12
    refers: tuple[tuple[int | None, str, int | None], ...] = ()
    refers_to_number: str | None = None
    told_branch: str | None = None
    card: str | None = None
    paid_by: tuple[str, ...] = ()

    @property
    def date(self) -> date:
        return DAY + timedelta(days=self.day)


class Tables(Store):
    """Tables in memory, as the last run has left them."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self.frames: dict[Table, DataFrame] = {}
        self.before: dict[Table, DataFrame] = {}

    def read(self, table: Table) -> DataFrame:
        return self.frames.get(table, self.spark.createDataFrame([], table.struct))

    def version(self, table: Table) -> tuple[str, int]:
        return table.full_name, int(table in self.frames)

    def has_news(self, table: Table, since: Since) -> bool:  # noqa: ARG002
        return table is silver.RECEIPT_PAYMENT and table in self.before

    def read_before(self, table: Table, since: Since) -> DataFrame:  # noqa: ARG002
        return self.before[table]

    def keep(self, rows: DataFrame) -> DataFrame:
        return rows.localCheckpoint()


def frame(spark: SparkSession, table: Table, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """Rows of a table; what they do not say is empty, where it may be, else as little as there is."""
    nothing = {"string": "-", "boolean": False, "int": 0, "bigint": 0, "date": DAY}

    def value(row: Mapping[str, Any], column: Any) -> Any:  # noqa: ANN401
        if column.name in row or column.nullable:
            return row.get(column.name)
        return nothing.get(column.dataType.simpleString(), Decimal(0))

    return spark.createDataFrame([[value(row, column) for column in table.struct] for row in rows], table.struct)


def sale_lines(receipt: Receipt) -> list[dict[str, Any]]:
    return [
        {
            "receipt_key": receipt.key, "line_number": number, "branch_id": receipt.branch, "business_date": receipt.date,
            "product_id": line.product, "product_key": line.product, "currency": "EUR", "line_type": "ITEM", "is_revenue": True,
            "is_return": line.amount.startswith("-"), "quantity": line.quantity and Decimal(line.quantity),
            "gross_amount": Decimal(line.amount), "_month": f"{receipt.date:%Y-%m}", **line.others,
        }
        for number, line in enumerate(receipt.lines, 1)
    ]  # fmt: skip


def head(receipt: Receipt) -> dict[str, Any]:
    back = [line for line in sale_lines(receipt) if line["is_return"] and line["is_revenue"]]
    return {
        "receipt_key": receipt.key, "branch_id": receipt.branch, "business_date": receipt.date, "customer_id": receipt.customer,
        "party_key": receipt.card, "customer_status": "unclear" if receipt.card and not receipt.customer else "anonymous",
        "started_at": datetime.combine(receipt.date, time(receipt.hour), UTC), "source": receipt.source, "currency": "EUR",
        "return_status": "none", "return_amount": -sum((line["gross_amount"] for line in back), Decimal(0)),
        "receipt_id": receipt.number or receipt.key, "register_id": "1", "_month": f"{receipt.date:%Y-%m}",
    }  # fmt: skip


def references(receipt: Receipt) -> list[dict[str, Any]]:
    told = [
        {"line_number": line, "ref_receipt_key": key, "ref_receipt_id": key, "ref_line_number": other}
        for line, key, other in receipt.refers
    ]
    if receipt.refers_to_number is not None:
        told.append({"ref_receipt_key": "unknown", "ref_receipt_id": receipt.refers_to_number})
    parts = {"ref_branch_id": receipt.told_branch or receipt.branch, "ref_register_id": "1"}
    return [
        {
            "receipt_key": receipt.key, "reference_number": number, "source": receipt.source, "branch_id": receipt.branch,
            "ref_type": "RETURN_OF", **parts, **reference,
        }
        for number, reference in enumerate(told, 1)
    ]  # fmt: skip


def payments(receipt: Receipt) -> list[dict[str, Any]]:
    return [
        {"receipt_key": receipt.key, "payment_number": number, "tender_type": "CREDIT", "payment_token": token}
        for number, token in enumerate(receipt.paid_by, 1)
    ]


def facts_of(
    spark: SparkSession, receipts: Sequence[Receipt], touched: set[str] | None = None, others: DataFrame | None = None
) -> Facts:
    lines = [line for receipt in receipts for line in sale_lines(receipt)]
    told = frame(spark, silver.RECEIPT_LINE, ({**line, "return_reason": line.get("reason")} for line in lines))
    return Facts(
        None if touched is None else spark.createDataFrame([(key,) for key in sorted(touched)], "receipt_key STRING"),
        told,
        frame(spark, gold.FCT_SALE_LINE, lines),
        frame(spark, gold.FCT_RECEIPT, (head(receipt) for receipt in receipts)),
        frame(spark, gold.FCT_RECEIPT, ()) if others is None else others,
    )


def tell(store: Tables, receipts: Sequence[Receipt]) -> None:
    """Silver as it is told now."""
    spark = store.spark
    told = (reference for receipt in receipts for reference in references(receipt))
    store.frames[silver.RECEIPT] = frame(spark, silver.RECEIPT, (head(receipt) for receipt in receipts))
    store.frames[silver.RECEIPT_REFERENCE] = frame(spark, silver.RECEIPT_REFERENCE, told)
    if silver.RECEIPT_PAYMENT in store.frames:
        store.before = {silver.RECEIPT_PAYMENT: store.frames[silver.RECEIPT_PAYMENT]}
    paid = (payment for receipt in receipts for payment in payments(receipt))
    store.frames[silver.RECEIPT_PAYMENT] = frame(spark, silver.RECEIPT_PAYMENT, paid)


def at_once(spark: SparkSession, receipts: Sequence[Receipt], rules: ReturnRules = RULES) -> Linked:
    store = Tables(spark)
    tell(store, receipts)
    return link(store, facts_of(spark, receipts), rules, None)


def returned(linked: Linked) -> dict[tuple[str, int], Row]:
    return {(row["receipt_key"], row["line_number"]): row for row in linked.returns.collect()}


def the_return(spark: SparkSession, *receipts: Receipt, rules: ReturnRules = RULES) -> Row:
    """The link of line 1 of receipt r."""
    return the_returns(spark, receipts, rules=rules)[0]


def the_returns(spark: SparkSession, *cases: Sequence[Receipt], rules: ReturnRules = RULES) -> list[Row]:
    """The link of line 1 of receipt r in each of several histories, which have nothing to do with each other."""
    receipts = [of_case(receipt, f"{number}/") for number, case in enumerate(cases) for receipt in case]
    rows = returned(at_once(spark, receipts, rules))
    return [rows[f"{number}/r", 1] for number in range(len(cases))]


def of_case(receipt: Receipt, case: str) -> Receipt:
    def named(name: str | None) -> str | None:
        return name and case + name

    return replace(
        receipt,
        key=case + receipt.key,
        customer=named(receipt.customer),
        card=named(receipt.card),
        paid_by=tuple(case + token for token in receipt.paid_by),
        number=named(receipt.number),
        refers=tuple((line, case + key, other) for line, key, other in receipt.refers),
        refers_to_number=named(receipt.refers_to_number),
    )


def of(row: Row) -> tuple[object, ...]:
    key = row["original_receipt_key"]
    return key and key.split("/")[-1], row["original_line_number"], row["link_method"], row["evidence"]


def statuses(linked: Linked) -> dict[str, str]:
    return {row["receipt_key"]: row["return_status"] for row in linked.receipts.collect()}


MILK, BREAD = Line("milk", "1.20"), Line("bread", "3.00")
MILK_BACK, BREAD_BACK = Line("milk", "-1.20", "-1"), Line("bread", "-3.00", "-1")


def test_a_reference_with_its_line_is_followed_to_another_branch(spark: SparkSession) -> None:
    sale = Receipt("s", 0, (BREAD, MILK, MILK), branch="B2")
    row = the_return(spark, sale, Receipt("r", 9, (MILK_BACK,), refers=((1, "s", 3),)))
    assert of(row) == ("s", 3, "reference", "named_line")
    assert (row["original_branch_id"], row["original_date"], row["days_to_return"]) == ("B2", DAY, 9)
    assert row["link_confidence"] == 1
    assert (row["gross_amount"], row["quantity"]) == (Decimal("-1.20"), -1)


def test_a_reference_without_line_finds_the_line_of_the_product_and_price(spark: SparkSession) -> None:
    sale = Receipt("s", 0, (BREAD, Line("milk", "0.99"), MILK))
    backs = (MILK_BACK, Line("bread", "-2.00", "-1"), Line("cheese", "-2.00", "-1"))
    rows = the_returns(spark, *((sale, Receipt("r", 50, (back,), refers=((None, "s", None),))) for back in backs))
    assert [of(row) for row in rows] == [
        ("s", 3, "reference", "product_and_price"), ("s", 1, "reference", "product"), ("s", None, "reference", "receipt"),
    ]  # fmt: skip


def test_a_quantity_may_come_from_several_lines_of_the_purchase(spark: SparkSession) -> None:
    sale = Receipt("s", 0, (MILK, BREAD, Line("milk", "2.40", "2")))
    row = the_return(spark, sale, Receipt("r", 1, (Line("milk", "-3.60", "-3"),), refers=((1, "s", None),)))
    assert row["original_line_number"] == 3
    assert [(line["line_number"], line["quantity"]) for line in row["original_lines"]] == [(1, 1), (3, 2)]


def test_a_line_is_not_returned_more_than_it_was_sold(spark: SparkSession) -> None:
    sale = Receipt("s", 0, (Line("milk", "2.40", "2"), BREAD), customer="C")
    two = [Receipt(key, day, (MILK_BACK,), refers=((1, "s", 1),)) for key, day in (("a", 3), ("b", 2), ("c", 4))]
    rows = returned(at_once(spark, [sale, *two]))
    assert {key: of(row)[1:] for (key, _), row in rows.items()} == {
        "a": (1, "reference", "named_line"), "b": (1, "reference", "named_line"), "c": (None, "reference", "nothing_left"),
    }  # fmt: skip
    assert statuses(at_once(spark, [sale, *two])) == {"s": "partial", "a": "none", "b": "none", "c": "none"}


def test_what_a_void_took_back_cannot_be_returned(spark: SparkSession) -> None:
    void = Line("milk", "-2.40", "-2", {"is_return": False})
    sale = Receipt("s", 0, (Line("milk", "3.60", "3"), void), customer="C")
    two = Receipt("r", 1, (Line("milk", "-2.40", "-2"),), "C")
    rows = the_returns(spark, (sale, Receipt("r", 1, (MILK_BACK,), "C")), (sale, two))
    assert [of(row) for row in rows] == [
        ("s", 1, "customer_product", "product_and_price"), (None, None, "none", "nothing_found"),
    ]  # fmt: skip


def test_a_reference_to_a_receipt_that_has_not_come_is_no_reason_to_guess(spark: SparkSession) -> None:
    other = Receipt("other", 0, (MILK,), "C")
    back = Receipt("r", 1, (MILK_BACK,), "C", refers=((1, "s", 1),))
    assert of(the_return(spark, other, back)) == (None, None, "none", "receipt_not_found")


def test_a_receipt_of_another_source_is_found_by_its_number_and_goods(spark: SparkSession) -> None:
    order = Receipt("s", 0, (MILK, BREAD), branch="WEB", source="shop", number="4711")
    back = Receipt("r", 1, (MILK_BACK,), refers_to_number="4711")
    again, without = replace(order, key="t", branch="ELSEWHERE"), replace(order, lines=(BREAD,))
    one, two, told, none = the_returns(
        spark, (order, back), (order, again, back), (order, again, replace(back, told_branch="WEB")), (without, back)
    )
    assert of(one) == ("s", 1, "reference", "parts_of_reference")
    assert one["link_confidence"] == Decimal("0.95")
    assert of(two) == (None, None, "none", "several_candidates")
    assert of(told)[0] == "s"
    assert of(none) == (None, None, "none", "receipt_not_found")


def test_without_reference_the_only_purchase_of_the_customer_that_fits_is_it(spark: SparkSession) -> None:
    sale = Receipt("s", 0, (BREAD, MILK), "C", "B2")
    back = Receipt("r", 30, (MILK_BACK,), "C")
    row = the_return(spark, sale, back)
    assert of(row) == ("s", 2, "customer_product", "product_and_price")
    assert (row["link_confidence"], row["candidate_count"]) == (Decimal("0.95"), 1)
    others = (
        replace(sale, customer="D"), replace(sale, lines=(BREAD,)), replace(sale, day=-1), replace(sale, day=31),
        replace(sale, day=30, hour=13), replace(sale, lines=(Line("milk", "0.99"),)),
    )  # fmt: skip
    *rows, anonymous = the_returns(spark, *((other, back) for other in others), (sale, replace(back, customer=None)))
    assert [of(row) for row in rows] == [(None, None, "none", "nothing_found")] * 6
    assert of(anonymous)[2:] == ("none", "no_customer")


def test_where_it_is_unclear_who_of_several_has_bought_their_card_tells(spark: SparkSession) -> None:
    sale, back = Receipt("s", 0, (MILK,), card="X"), Receipt("r", 1, (MILK_BACK,), card="X")
    rows = the_returns(spark, (sale, back), (sale, replace(back, card="Y")))
    assert [of(row)[0] for row in rows] == ["s", None]


def test_without_reference_and_customer_the_payment_card_tells(spark: SparkSession) -> None:
    sale, back = Receipt("s", 0, (BREAD, MILK), "C", paid_by=("visa",)), Receipt("r", 9, (MILK_BACK,), paid_by=("visa",))
    two = replace(sale, key="t", day=3)
    rows = the_returns(
        spark,
        (sale, back),
        (replace(sale, customer=None), replace(back, customer="C")),
        (sale, replace(back, paid_by=("giro",))),
        (replace(sale, paid_by=("visa", "giro")), back),
        (sale, replace(back, day=31)),
        (sale, replace(back, lines=(Line("milk", "-1.00", "-1"),))),
        (sale, two, back),
        (sale, two, replace(back, customer="C")),
        (sale, Receipt("q", 5, (MILK_BACK,), "C"), back),
    )
    assert [of(row) for row in rows] == [
        ("s", 2, "payment_token", "product_and_price"),
        ("s", 2, "payment_token", "product_and_price"),
        (None, None, "none", "no_customer"),
        (None, None, "none", "no_customer"),
        (None, None, "none", "no_customer"),
        (None, None, "none", "no_customer"),
        (None, None, "none", "several_of_card"),
        (None, None, "none", "several_candidates"),
        (None, None, "none", "no_customer"),  # what the customer has brought back is gone
    ]
    assert rows[0]["link_confidence"] == Decimal("0.85")
    sure = ReturnRules(least_confidence=Decimal("0.9"))
    assert of(the_return(spark, sale, back, rules=sure)) == (None, None, "none", "no_customer")


def test_of_two_purchases_that_fit_equally_well_neither_is_linked(spark: SparkSession) -> None:
    first, second = Receipt("s", 0, (MILK,), "C"), Receipt("t", 3, (MILK,), "C")
    back = Receipt("r", 9, (MILK_BACK,), "C")
    cheaper, more = replace(first, lines=(Line("milk", "0.99"),)), replace(second, lines=(Line("milk", "2.40", "2"),))
    two = replace(back, lines=(Line("milk", "-2.40", "-2"),))
    row, *others = the_returns(spark, (first, second, back), (cheaper, second, back), (first, more, two))
    assert (*of(row), row["candidate_count"]) == (None, None, "none", "several_candidates", 2)
    assert [of(other)[0] for other in others] == ["t", "t"]


def test_a_purchase_that_is_used_up_leaves_the_other_one(spark: SparkSession) -> None:
    sales = [Receipt("s", 0, (MILK,), "C"), Receipt("t", 3, (MILK,), "C")]
    back = Receipt("r", 9, (MILK_BACK,), "C")
    early = Receipt("q", 1, (MILK_BACK,), "C")
    named_later = Receipt("q", 20, (MILK_BACK,), "D", refers=((1, "s", 1),))
    rows = the_returns(spark, (*sales, early, back), (*sales, named_later, back))
    assert [of(row)[0] for row in rows] == ["t", "t"]


def test_another_price_is_enough_only_where_conf_says_so(spark: SparkSession) -> None:
    sale, back = Receipt("s", 0, (MILK,), "C"), Receipt("r", 1, (Line("milk", "-1.00", "-1"),), "C")
    assert of(the_return(spark, sale, back))[0] is None
    row = the_return(spark, sale, back, rules=ReturnRules(least_confidence=Decimal("0.7")))
    assert of(row) == ("s", 1, "customer_product", "product")
    equal = Receipt("r", 1, (MILK_BACK,), "C")
    assert of(the_return(spark, sale, equal, rules=ReturnRules(least_confidence=Decimal("0.96"))))[0] is None


def test_a_discount_taken_back_belongs_to_its_line(spark: SparkSession) -> None:
    sale = Receipt("s", 0, (BREAD, Line("bread", "-0.50", None, {"line_type": "DISCOUNT", "is_return": False,
                            "parent_line_number": 1})), "C")  # fmt: skip
    discount = Line("bread", "0.50", None, {"line_type": "DISCOUNT", "is_return": True, "parent_line_number": 1})
    linked = at_once(spark, [sale, Receipt("r", 1, (BREAD_BACK, discount), "C")])
    rows = returned(linked)
    assert list(rows) == [("r", 1)]
    assert rows["r", 1]["gross_amount"] == Decimal("-2.50")
    assert of(rows["r", 1]) == ("s", 1, "customer_product", "product_and_price")
    assert statuses(linked)["s"] == "full"


def test_components_of_a_set_find_those_of_the_set_that_was_sold(spark: SparkSession) -> None:
    def of_set(sign: str) -> tuple[Line, ...]:
        back = {"is_return": sign == "-"}
        quantity = f"{sign}1"
        part = {"parent_line_number": 2, "bundle_role": "component", **back}
        return (
            Line("bread", f"{sign}3.00", quantity, back),
            Line("menu", f"{sign}9.00", quantity, {"is_revenue": False, "bundle_role": "set", **back}),
            Line("burger", f"{sign}6.00", quantity, part),
            Line("cola", f"{sign}3.00", quantity, part),
        )

    back = Receipt("r", 1, of_set("-")[1:], refers=((1, "s", 2),))
    back = replace(back, lines=tuple(replace(line, others={**line.others, "parent_line_number": 1}) for line in back.lines))
    linked = at_once(spark, [Receipt("s", 0, of_set("")), back])
    assert {key: of(row)[:2] for key, row in returned(linked).items()} == {("r", 2): ("s", 3), ("r", 3): ("s", 4)}
    assert statuses(linked)["s"] == "partial"


def test_all_that_was_sold_and_all_that_was_paid_is_full(spark: SparkSession) -> None:
    sale = Receipt("s", 0, (BREAD, MILK))
    one = Receipt("r", 1, (BREAD_BACK,), refers=((None, "s", None),))
    other = Receipt("q", 2, (Line("milk", "-1.00", "-1"),), refers=((None, "s", None),))
    assert statuses(at_once(spark, [sale, one])) == {"s": "partial", "r": "none"}
    assert statuses(at_once(spark, [sale, one, other]))["s"] == "full"
    amount = Receipt("r", 1, (Line(None, "-4.20", None, {"line_type": "TOTAL"}),), refers=((None, "s", None),))
    assert statuses(at_once(spark, [sale, amount]))["s"] == "full"


def test_a_reason_is_told_as_conf_names_it(spark: SparkSession) -> None:
    rules = ReturnRules(reasons={"defect": ("Kaputt",), "disliked": ()})
    told = ("KAPUTT", " Disliked ", "no idea", None)
    back = Receipt("r", 0, tuple(Line("milk", "-1.20", "-1", {"reason": text}) for text in told))
    found = [row["reason"] for _, row in sorted(returned(at_once(spark, [back], rules)).items())]
    assert found == ["defect", "disliked", "other", None]
    assert returned(at_once(spark, [back]))["r", 1]["reason"] == "KAPUTT"


def test_a_text_that_means_two_reasons_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"returns.yml: key 'reasons.disliked': 'size' is wrong_size already"):
        to_model(ReturnRules, {"reasons": {"wrong_size": ["SIZE"], "disliked": ["size"]}}, "returns.yml")
    with pytest.raises(ConfigError, match="window_days"):
        to_model(ReturnRules, {"window_days": -1}, "returns.yml")


def test_nobody_takes_what_is_not_there_in_random_candidates() -> None:
    for seed in range(300):
        lot = random.Random(seed)
        is_named = lot.random() < 0.3
        stock = {(receipt, line): lot.randrange(4) for receipt in ("s" if is_named else "stu") for line in (1, 2)}
        candidates = [
            Candidate((f"r{number}", 1), units, receipt, line, stock[receipt, line], rank, is_named)
            for number in range(lot.randrange(1, 6))
            for units in [lot.randrange(1, 4)]
            for rank, receipt, line in sorted((lot.randrange(2), *place) for place in stock)
        ]
        used: dict[tuple[str, int], int] = {}
        units_of = {row.returned: row.units for row in candidates}
        for taken in take(candidates):
            for line, units in taken.lines:
                assert taken.receipt is not None
                used[taken.receipt, line] = used.get((taken.receipt, line), 0) + units
            total = sum(units for _, units in taken.lines)
            assert total <= units_of[taken.returned]
            assert is_named or taken.receipt is None or total == units_of[taken.returned]
        assert all(units <= stock[place] for place, units in used.items())


# Night by night


def random_history(seed: int) -> list[Receipt]:
    """Customers who buy few products again and again, and bring them back with and without reference."""
    lot = random.Random(seed)
    receipts: list[Receipt] = []
    for number in range(40):
        customer = lot.choice(["C", "D", "E", None])
        cards = lot.choice(((), (f"{seed}visa",), (f"{seed}giro",), (f"{seed}visa", f"{seed}giro")))
        key, day, hour = f"{seed}-{number:02d}", lot.randrange(60), lot.randrange(8, 20)
        if lot.random() < 0.55:
            lines = tuple(
                Line(lot.choice(("milk", "bread")), lot.choice(("2.00", "3.00")), "1") for _ in range(lot.randrange(1, 4))
            )
            branch = lot.choice(("B1", "B2"))
            receipts.append(Receipt(key, day, lines, customer and f"{seed}{customer}", branch, hour=hour, paid_by=cards))
            continue
        count = lot.choice((1, 1, 1, 2))
        line = Line(lot.choice(("milk", "bread")), f"-{lot.choice((2, 3)) * count}.00", f"-{count}")
        refers: tuple[tuple[int | None, str, int | None], ...] = ()
        others: dict[str, Any] = {"paid_by": cards}
        if lot.random() < 0.4:
            refers = ((lot.choice((None, 1)), f"{seed}-{lot.randrange(40):02d}", lot.choice((None, 1, 2))),)
        elif lot.random() < 0.2:
            others["refers_to_number"] = f"{seed}-{lot.randrange(40):02d}"
        receipts.append(Receipt(key, day, (line,), customer and f"{seed}{customer}", hour=hour, refers=refers, **others))
    return receipts


def assert_never_over_returned(receipts: Sequence[Receipt], rows: Iterable[Row]) -> None:
    sold = {
        (receipt.key, number): Decimal(line.quantity or 0)
        for receipt in receipts
        for number, line in enumerate(receipt.lines, 1)
        if not line.amount.startswith("-")
    }
    used: dict[tuple[str, int], Decimal] = {}
    for row in rows:
        for line in row["original_lines"] or ():
            place = row["original_receipt_key"], line["line_number"]
            used[place] = used.get(place, Decimal(0)) + line["quantity"]
    assert all(quantity <= sold[place] for place, quantity in used.items())


def content(rows: DataFrame) -> list[Row]:
    return sorted(rows.select(*[name for name in rows.columns if name != "_month"]).collect(), key=str)


def test_random_histories_are_never_over_returned_and_do_not_depend_on_the_order_of_rows(spark: SparkSession) -> None:
    receipts = [receipt for seed in range(12) for receipt in random_history(seed)]
    linked = at_once(spark, receipts)
    rows = content(linked.returns)
    assert_never_over_returned(receipts, rows)
    methods = {(row["link_method"], row["evidence"]) for row in rows}
    assert len(methods) >= 11
    assert {("payment_token", "product_and_price"), ("none", "several_of_card")} <= methods
    assert -sum(row["gross_amount"] for row in rows) == sum(head(receipt)["return_amount"] for receipt in receipts)
    shuffled = at_once(spark, random.Random(1).sample(receipts, len(receipts)))
    assert content(shuffled.returns) == rows
    assert content(shuffled.receipts) == content(linked.receipts)


def a_night(store: Tables, before: Mapping[str, Receipt], now: Mapping[str, Receipt]) -> None:
    """Link what has changed, and publish it as the step does."""
    spark = store.spark
    touched = {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
    tell(store, list(now.values()))
    keys = spark.createDataFrame([(key,) for key in sorted(touched)], "receipt_key STRING")
    kept = {
        table: store.read(table).join(keys, on="receipt_key", how="left_anti") for table in (gold.FCT_RECEIPT, gold.FCT_SALE_LINE)
    }
    facts = facts_of(spark, [now[key] for key in sorted(touched & now.keys())], touched, kept[gold.FCT_RECEIPT])
    linked = link(store, facts, RULES, Since({}, frozenset()))
    assert linked.touched is not None
    receipts = linked.published()[gold.FCT_RECEIPT]
    others = store.read(gold.FCT_RECEIPT).join(linked.replaced(keys, ())[gold.FCT_RECEIPT][0], on="receipt_key", how="left_anti")
    days = F.col("business_date").isin(*linked.dates) if linked.dates else F.lit(False)
    gone = store.read(gold.FCT_RETURN).where(days).join(linked.touched, on=["receipt_key", "line_number"], how="left_semi")
    returns = store.read(gold.FCT_RETURN).join(gone, on=["receipt_key", "line_number"], how="left_anti")
    store.frames[gold.FCT_RETURN] = returns.unionByName(linked.returns).localCheckpoint()
    store.frames[gold.FCT_RECEIPT] = others.select(receipts.columns).unionByName(receipts).localCheckpoint()
    store.frames[gold.FCT_SALE_LINE] = kept[gold.FCT_SALE_LINE].unionByName(facts.sale_lines).localCheckpoint()


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3))])
def test_night_by_night_links_are_those_of_one_run(spark: SparkSession, seed: int, pytestconfig: pytest.Config) -> None:
    """Deliveries in any order, corrections, deletions, and customers who are put together and taken apart."""
    lot = random.Random(seed)
    final = {receipt.key: receipt for one in range(3) for receipt in random_history(10 * seed + one)}
    store, before = Tables(spark), dict[str, Receipt]()
    arrived: set[str] = set()
    for night in range(3):
        arrived |= set(lot.sample(sorted(final), len(final) // 2)) if night < 2 else final.keys()
        now = {key: final[key] for key in sorted(arrived)}
        if night < 2:
            for key in lot.sample(sorted(now), 6):
                now[key] = replace(now[key], customer=lot.choice([None, f"{10 * seed}C", f"{10 * seed + 1}D"]))
            for key in lot.sample(sorted(now), 4):
                now[key] = replace(now[key], lines=now[key].lines[:1], day=lot.randrange(60))
            for key in lot.sample(sorted(now), 4):
                now[key] = replace(now[key], paid_by=lot.choice([(), (f"{10 * seed}visa",), (f"{10 * seed + 1}giro",)]))
            for key in lot.sample(sorted(now), 4):
                del now[key]
        a_night(store, before, now)
        before = now
        if night < (1 if pytestconfig.getoption("--long") else 2):
            continue
        once = at_once(spark, list(now.values()))
        assert content(store.read(gold.FCT_RETURN)) == content(once.returns)
        assert content(store.read(gold.FCT_RECEIPT)) == content(once.receipts)
        assert_never_over_returned(list(now.values()), content(once.returns))


def test_a_return_is_linked_when_its_sale_arrives_and_not_before(spark: SparkSession) -> None:
    sale = Receipt("s", 0, (MILK,), "C")
    named, guessed = Receipt("r", 9, (MILK_BACK,), refers=((1, "s", 1),)), Receipt("q", 5, (BREAD_BACK,), "C")
    late = {"s": replace(sale, lines=(MILK, BREAD))}
    store, before = Tables(spark), {"r": named, "q": guessed}
    a_night(store, {}, before)
    assert {of(row)[3] for row in store.read(gold.FCT_RETURN).collect()} == {"receipt_not_found", "nothing_found"}
    a_night(store, before, before | late)
    assert {row["original_receipt_key"] for row in store.read(gold.FCT_RETURN).collect()} == {"s"}
    assert statuses(Linked(store.read(gold.FCT_RETURN), None, (), store.read(gold.FCT_RECEIPT)))["s"] == "full"
