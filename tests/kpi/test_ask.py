"""Questions to a small star: by product, of two periods, and down to the receipts and rows behind a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import make_docs
import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.kpi.star import EVER, filled
from tillhouse import cli
from tillhouse.errors import ConfigError
from tillhouse.kpi import metrics
from tillhouse.kpi.ask import ask, open_view, to_sql, view_for
from tillhouse.kpi.periods import Period, compare, like_for_like, to_period
from tillhouse.ops.drill import receipts_behind, rows_of
from tillhouse.store import Store
from tillhouse.tables import Table, gold, silver

SATURDAY, MONDAY = date(2026, 2, 7), date(2026, 2, 9)

# receipt, branch, day, customer, lines: product, pieces, amount, returned
RECEIPTS = (
    ("R1", "A", SATURDAY, "anna", (("bread", 2, "5.00", False), ("milk", 1, "1.50", False), (None, 1, "0.50", False))),
    ("R2", "A", SATURDAY, None, (("bread", 1, "2.50", False),)),
    ("R3", "A", MONDAY, "anna", (("bread", -1, "-2.50", True), ("milk", 4, "6.00", False))),
    ("R4", "B", MONDAY, "bert", (("oats", 1, "3.00", False), ("milk", 1, "1.50", False))),
    ("R5", "B", MONDAY, "bert", (("oats", -1, "-3.00", True),)),
)
GROUPS = {"bread": "Bakery", "milk": "Dairy", "oats": "Cereals"}


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("star")
    store = Store(spark, str(folder / "lake"), str(folder / "vault"))
    receipts, lines, origins, origin_lines = [], [], [], []
    for number, (key, branch, day, customer, of_receipt) in enumerate(RECEIPTS):
        where = {"receipt_key": key, "branch_id": branch, "business_date": day, "currency": "EUR", "_month": f"{day:%Y-%m}"}
        amounts = [Decimal(amount) for _, _, amount, _ in of_receipt]
        returned = [is_return for *_, is_return in of_receipt]
        sold = not all(returned)
        receipts.append(
            where
            | {
                "branch_key": branch, "customer_id": customer, "customer_key": customer, "detail_level": "lines",
                "customer_status": "identified" if customer else "anonymous", "is_basket": sold, "is_receipt": True,
                "revenue_amount": sum(amounts), "payment_types": ["CASH"],
                "return_amount": sum((-amount for amount, back in zip(amounts, returned, strict=True) if back), Decimal(0)),
                "sold_item_count": Decimal(sum(pieces for _, pieces, _, back in of_receipt if not back)),
                "item_count": Decimal(sum(pieces for _, pieces, _, _ in of_receipt)),
            }
        )  # fmt: skip
        origins.append(where | {"source": "till", "receipt_number": f"{number}", "_file": "till/a.csv", "_row": 10 * number})
        for place, (product, pieces, amount, is_return) in enumerate(of_receipt, start=1):
            line = where | {"line_number": place, "line_type": "ITEM", "gross_amount": Decimal(amount)}
            lines.append(
                line
                | {
                    "product_key": product, "product_id": product, "is_revenue": True, "is_return": is_return,
                    "item_count": Decimal(pieces),
                }
            )  # fmt: skip
            origin_lines.append(line | {"source": "till", "_file": "till/a.csv", "_row": 10 * number + place})
    version = {"valid_from": EVER, "is_current": True}
    products = [
        version | {"product_key": name, "product_id": name, "category_l1": group, "product_name": name.title()}
        for name, group in GROUPS.items()
    ]
    branches = [version | {"branch_key": name, "branch_id": name, "region": f"Region {name}"} for name in "AB"]
    first = {"anna": "R1", "bert": "R4"}
    customers = [
        version | {"customer_key": name, "customer_id": name, "customer_type": "B2C", "first_purchase_receipt_key": key}
        for name, key in first.items()
    ]
    days = [
        {"date": day, "iso_year": 2026, "iso_week": day.isocalendar().week, "weekday": day.isoweekday()}
        for day in (SATURDAY, MONDAY)
    ]
    tables: Mapping[Table, Sequence[Mapping[str, object]]] = {
        gold.FCT_RECEIPT: receipts, gold.FCT_SALE_LINE: lines, gold.DIM_PRODUCT: products, gold.DIM_BRANCH: branches,
        gold.DIM_CUSTOMER: customers, gold.DIM_DATE: days, silver.RECEIPT: origins, silver.RECEIPT_LINE: origin_lines,
    }  # fmt: skip
    store.create_missing(tables)
    for table, rows in tables.items():
        store.overwrite(table, filled(spark, table, rows))
    open_view(store, *metrics.VIEWS)
    return store


def write_conf(folder: Path, store: Store) -> None:
    (folder / "sources").mkdir()
    (folder / "lake.yml").write_text(f"lake: {store.lake}\nvault: {store.vault}\nlanding: x\n", "utf-8")
    (folder / "products.yml").write_text("piece_units: [pcs]\n", "utf-8")
    (folder / "sources" / "till.yml").write_text(BRANCHES, "utf-8")


def told(rows: DataFrame) -> list[tuple[object, ...]]:
    return [tuple(f"{value:f}" if isinstance(value, Decimal) else value for value in row) for row in rows.collect()]


def test_what_lines_add_up_to_is_the_same_figure_on_receipts_and_on_lines(store: Store) -> None:
    both = [item.name for item in metrics.MEASURES if item.holds_on == "both"]
    assert {"revenue", "return_amount", "sales_before_returns", "items", "return_rate", "returned_items"} <= set(both)
    by = ["branch_id", "week"]
    of_receipts, of_lines = (store.spark.sql(to_sql(view, both, by)) for view in metrics.VIEWS)
    assert told(of_receipts) == told(of_lines)
    assert of_receipts.schema == of_lines.schema


def test_figures_by_product_group_with_what_has_no_product(store: Store) -> None:
    measures = [
        "revenue",
        "return_amount",
        "return_rate",
        "items",
        "returned_items",
        "item_return_rate",
        "baskets_with",
        "buyers",
    ]
    nothing, third = "0.000000000000", "0.333333333333"
    assert told(ask(store, measures, ["category_l1"])) == [
        (None, "0.50", "0.00", nothing, "1.000", "0.000", nothing, 1, 1),
        ("Bakery", "5.00", "2.50", third, "3.000", "1.000", third, 2, 1),
        ("Cereals", "0.00", "3.00", "1.000000000000", "1.000", "1.000", "1.000000000000", 1, 1),
        ("Dairy", "9.00", "0.00", nothing, "6.000", "0.000", nothing, 3, 2),
    ]


def test_a_condition_on_products_is_a_question_to_the_lines_and_a_word_in_quotes_is_none(store: Store) -> None:
    assert told(ask(store, ["revenue"], ["region"], "category_l1 = 'Dairy' AND weekday = 1")) == [
        ("Region A", "6.00"), ("Region B", "1.50"),
    ]  # fmt: skip
    assert view_for(["baskets"], ["region"], "region = 'brand' OR team = 'it''s brand'") is metrics.RECEIPTS
    assert view_for(["revenue"], [], "Brand = 'X'") is metrics.LINES


@pytest.mark.parametrize(
    ("measures", "by", "where", "text"),
    [
        (
            ["revenue", "baskets"],
            ["brand"],
            None,
            "baskets cannot be told together with brand: .* Ask baskets_with in place",
        ),
        (
            ["average_basket"],
            [],
            "product_line = 'x'",
            "average_basket cannot be told together with product_line: .* Ask without",
        ),
        (["customers", "buyers"], [], None, "customers cannot be told together with buyers: .* Ask buyers in place of customers"),
        (["revenues"], [], None, "no measure named 'revenues', did you mean revenue"),
        (["revenue"], ["categorie_l1"], None, "no dimension named 'categorie_l1', did you mean category_l1"),
    ],
)
def test_what_does_not_hold_is_refused_with_what_to_ask(measures: list[str], by: list[str], where: str | None, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        view_for(measures, by, where)


def test_a_condition_that_is_none_is_told(store: Store) -> None:
    with pytest.raises(ConfigError, match=r"is no condition over the dimensions.*There are: branch_id"):
        ask(store, ["revenue"], [], "colour = 'red'").collect()


def test_the_receipts_behind_a_figure_add_up_to_it_and_name_file_and_row(store: Store) -> None:
    rows = receipts_behind(store, ["revenue", "return_amount"], ["region"], "branch_id = 'A'").collect()
    assert [(row["receipt_key"], row["_file"], row["_row"], str(row["revenue"])) for row in rows] == [
        ("R1", "till/a.csv", 0, "7.00"), ("R2", "till/a.csv", 10, "2.50"), ("R3", "till/a.csv", 20, "3.50"),
    ]  # fmt: skip
    [figure] = ask(store, ["revenue", "return_amount"], ["region"], "branch_id = 'A'").collect()
    assert (sum(row["revenue"] for row in rows), sum(row["return_amount"] for row in rows)) == (figure[1], figure[2])
    by_product = receipts_behind(store, ["revenue"], [], "product_id = 'bread'").collect()
    assert {row["receipt_key"]: str(row["revenue"]) for row in by_product} == {"R1": "5.00", "R2": "2.50", "R3": "-2.50"}
    assert [(row["line_number"], row["_row"], str(row["gross_amount"])) for row in rows_of(store, "R3").collect()] == [
        (1, 21, "-2.50"), (2, 22, "6.00"),
    ]  # fmt: skip


def test_two_periods_stand_side_by_side_also_where_one_of_them_has_nothing(store: Store) -> None:
    periods = (Period(MONDAY, MONDAY), Period(SATURDAY, SATURDAY))
    assert told(compare(store, ["revenue", "baskets"], ["branch_id"], None, periods=periods)) == [
        ("A", "3.50", "9.50", "-0.631578947368", 1, 2, "-0.500000000000"),
        ("B", "1.50", None, None, 1, None, None),
    ]
    assert told(compare(store, ["revenue"], [], "customer_status = 'identified'", periods=periods, branches=["A"])) == [
        ("3.50", "7.00", "-0.500000000000")
    ]
    assert told(compare(store, ["revenue"], ["region"], None, periods=periods, branches=[])) == []
    with pytest.raises(ConfigError, match="two periods have no week in common"):
        compare(store, ["revenue"], ["week"], None, periods=periods)


def test_like_for_like_are_branches_that_were_open_throughout_both_periods(spark: SparkSession) -> None:
    now, before = Period(date(2026, 2, 9), date(2026, 2, 18)), Period(date(2026, 1, 10), date(2026, 1, 19))
    days = {
        "whole": (10, 10), "rests": (8, 8), "almost": (9, 10), "rebuilt": (10, 6), "new": (10, 0), "opened": (10, 10),
        "closing": (10, 10), "opened on the first": (10, 10), "unknown": (10, 10),
    }  # fmt: skip
    sold: list[tuple[str, date, Decimal | None]] = [
        (name, date.fromordinal(period.first.toordinal() + number), Decimal(1))
        for name, counts in days.items()
        for period, count in zip((now, before), counts, strict=True)
        for number in range(count)
    ]
    sold.append(("rebuilt", before.last, None))  # a day that did not come is not one on which was sold
    opened = {"opened": date(2026, 1, 11), "opened on the first": before.first}
    closed = {"closing": date(2026, 2, 17)}
    branches = [(name, opened.get(name), closed.get(name), True) for name in days if name != "unknown"]
    branches += [("new", None, None, False), ("unknown", None, None, True)]
    found = like_for_like(
        spark.createDataFrame(sold, "branch_id STRING, business_date DATE, revenue DECIMAL(18,2)"),
        spark.createDataFrame(branches, "branch_id STRING, opened_on DATE, closed_on DATE, is_current BOOLEAN"),
        now,
        before,
        Decimal("0.1"),
    )
    assert {row[0] for row in found.collect()} == {"whole", "rests", "almost", "opened on the first", "unknown"}


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2017", "2017-01-01", "2017-12-31"),
        ("2017-Q1", "2017-01-01", "2017-03-31"),
        ("2016-02", "2016-02-01", "2016-02-29"),
        ("2020-W53", "2020-12-28", "2021-01-03"),
        ("2017-03-05", "2017-03-05", "2017-03-05"),
        ("2017-03-05..2017-04", "2017-03-05", "2017-04-30"),
        ("2017-12", "2017-12-01", "2017-12-31"),
    ],
)
def test_periods_are_written_as_people_do(text: str, first: str, last: str) -> None:
    assert to_period(text) == Period(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize("text", ["", "2017-13", "2017-W54", "2017-02-30", "17-02", "2017..", "2017-05..2017-04", "March"])
def test_a_text_that_is_no_period_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no period; write|ends before it begins"):
        to_period(text)


def test_the_command_line_sql_and_python_of_the_docs_give_the_same_rows(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_sql = [row.asDict() for row in store.spark.sql(make_docs.ASK_SQL).collect()]
    assert len(of_sql) == 3
    given: dict[str, object] = {}
    monkeypatch.setattr("tillhouse.session.open_session", lambda: store.spark)
    exec(make_docs.ASK_PYTHON.replace("demo/", f"{Path(store.lake).parent}/"), given)
    of_python = given["found"]
    assert isinstance(of_python, DataFrame)
    assert [row.asDict() for row in of_python.collect()] == of_sql
    write_conf(tmp_path, store)
    monkeypatch.setattr("tillhouse.cli.open_session", lambda: store.spark)
    words = ["kpi", "revenue,return_rate", "--by", "category_l1,week", "--where", "weekday = 6", "--bare", "--json"]
    assert make_docs.ASK_COMMAND.replace("'", "").startswith(" ".join(["tillhouse", *words[:-1]]))
    assert cli.main([*words, "--conf-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [json.loads(json.dumps(row, default=str)) for row in of_sql]


def test_the_command_line_drills_and_compares(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create_missing([gold.KPI_BRANCH_DAY])
    sold = [{"branch_id": "A", "business_date": day, "currency": "EUR", "revenue": Decimal(1)} for day in (SATURDAY, MONDAY)]
    store.overwrite(gold.KPI_BRANCH_DAY, filled(store.spark, gold.KPI_BRANCH_DAY, sold))
    write_conf(tmp_path, store)
    monkeypatch.setattr("tillhouse.cli.open_session", lambda: store.spark)
    conf = ["--conf-dir", str(tmp_path)]

    def said(*words: str) -> str:
        code = cli.main(["kpi", *words, *conf])
        out = capsys.readouterr()
        return f"{code}\n{out.out}{out.err}"

    drilled = said("revenue", "--period", "2026-02-07", "--drill", "--limit", "1")
    assert "till/a.csv" in drilled
    assert "and 1 more" in drilled
    week = ["--period", "2026-W07", "--against", "2026-W06"]
    compared = said("revenue", "--by", "branch_id", *week, "--like-for-like")
    assert "revenue_change" in compared
    assert "like for like, branches open throughout both periods: 1" in compared
    assert "-0.631578947368" in compared
    assert "till/a.csv" in said("--receipt", "R2")
    assert said("--receipt", "R9").startswith("1\nno receipt has the key R9")
    assert said("revenue", "--against", "2017").startswith("2\nConfigError: --against needs --period")
    assert said("revenue", "--period", "2017", "--like-for-like").startswith("2\nConfigError: --like-for-like needs")
    assert said("revenue", *week, "--drill").startswith("2\nConfigError: --drill lists")


BRANCHES = """
source: till
entity: branch
description: branches
owner: test
format: csv
file_pattern: branches/{name}.csv
columns:
  branch_id: {aliases: [branch]}
  time_zone: {aliases: [zone]}
"""
