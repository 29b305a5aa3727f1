"""Customers with history: age bands, versions of a day, receipts whose version is another now, and whoever has no contact."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.gold.customers import Customers, Receipts, only_later, to_versions, with_customer_key
from tillhouse.gold.dimensions import of_receipts, to_dim_customer
from tillhouse.gold.history import CUSTOMER, to_outdated
from tillhouse.keys import BEGINNING
from tillhouse.kpi.branch_day import touched_dates
from tillhouse.store import Since, Store
from tillhouse.tables import Table, gold, ops, silver

EVER = BEGINNING
MARCH, MAY, JULY = date(2016, 3, 10), date(2016, 5, 1), date(2016, 7, 1)
YEARS = (2015, 2017)


def new_year(year: int) -> date:
    return date(year, 1, 1)


NOTHING = {"string": "", "int": 0, "bigint": 0, "boolean": False, "decimal(18,2)": Decimal(0), "decimal(18,3)": Decimal(0)}


def filled(spark: SparkSession, table: Table, rows: Iterable[dict[str, Any]]) -> DataFrame:
    """Rows of a table; what a row does not say is NULL, or nothing where there must be a value."""
    fields = table.struct.fields
    given = {field.name: None if field.nullable else NOTHING.get(field.dataType.simpleString()) for field in fields}
    values = [tuple((given | row)[field.name] for field in fields) for row in rows]
    return spark.createDataFrame(values, table.columns.replace(" NOT NULL", ""))


Told = tuple[date, dict[str, Any]]


def history(spark: SparkSession, told: Mapping[str, Sequence[Told]], seed: int = 1) -> DataFrame:
    """Rows of silver.customer_version, in some order."""
    rows = [
        {"customer_id": customer, "valid_from": day, "customer_type": "B2C", **values}
        for customer, versions in told.items()
        for day, values in versions
    ]
    random.Random(seed).shuffle(rows)
    return filled(spark, silver.CUSTOMER_VERSION, rows)


# a customer's history -> versions: first day, and what is told
CASES: dict[str, tuple[Sequence[Told], Sequence[Told]]] = {
    "nothing is known": ([(EVER, {})], [(EVER, {})]),
    "a move": (
        [(EVER, {"postal_area": "10"}), (MAY, {"postal_area": "80"})],
        [(EVER, {"postal_area": "10"}), (MAY, {"postal_area": "80"})],
    ),
    "an age band within the trading years begins on January 1": (
        [(EVER, {"birth_year": 1991})],
        [(EVER, {"age_band": "18-24"}), (new_year(2016), {"age_band": "25-34"})],
    ),
    "one before the trading years, or on their first day, was always so": (
        [(EVER, {"birth_year": 1990})],
        [(EVER, {"age_band": "25-34"})],
    ),
    "one after the trading years is not yet": ([(EVER, {"birth_year": 1993})], [(EVER, {"age_band": "18-24"})]),
    "the last trading year counts": (
        [(EVER, {"birth_year": 1999})],
        [(EVER, {"age_band": "-17"}), (new_year(2017), {"age_band": "18-24"})],
    ),
    "the oldest": ([(EVER, {"birth_year": 1930})], [(EVER, {"age_band": "65-"})]),
    "a band is that of the record which holds then": (
        [(EVER, {"birth_year": 1991}), (date(2015, 6, 1), {"birth_year": 1930})],
        [(EVER, {"age_band": "18-24"}), (date(2015, 6, 1), {"age_band": "65-"})],
    ),
    "a band and a move, the move on January 1": (
        [(EVER, {"birth_year": 1991}), (new_year(2016), {"birth_year": 1991, "language": "fr"})],
        [(EVER, {"age_band": "18-24"}), (new_year(2016), {"age_band": "25-34", "language": "fr"})],
    ),
    "another year of birth of the same band is no version": (
        [(EVER, {"birth_year": 1980}), (MAY, {"birth_year": 1979})],
        [(EVER, {"age_band": "35-44"})],
    ),
    "a company": (
        [(EVER, {}), (MAY, {"customer_type": "B2B", "company_id": "c9"})],
        [(EVER, {}), (MAY, {"customer_type": "B2B", "company_id": "c9"})],
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_versions_of_customers_in_whatever_order_their_history_comes(spark: SparkSession, seed: int) -> None:
    told = {name: given for name, (given, _) in CASES.items()}
    found: dict[str, list[Told]] = {name: [] for name in CASES}
    ends: dict[str, list[date | None]] = {name: [] for name in CASES}
    for row in to_versions(history(spark, told, seed), YEARS).orderBy("customer_id", "valid_from").collect():
        values = {key: value for key, value in row.asDict().items() if value is not None and value != "B2C"}
        del values["customer_key"], values["is_current"]
        ends[values.pop("customer_id")].append(values.pop("valid_to", None))
        found[row["customer_id"]].append((values.pop("valid_from"), values))
    assert found == {name: list(expected) for name, (_, expected) in CASES.items()}
    assert ends == {name: [*(day for day, _ in expected[1:]), None] for name, (_, expected) in CASES.items()}


def test_what_is_told_on_the_day_of_an_as_of_is_not_known_yet_and_without_trade_nobody_has_an_age(spark: SparkSession) -> None:
    given = history(spark, {"c1": [(EVER, {"birth_year": 1980}), (MAY, {"language": "fr"}), (JULY, {"language": "it"})]})
    found = to_versions(given, None, JULY).orderBy("valid_from").collect()
    assert [(row["valid_from"], row["valid_to"], row["language"], row["age_band"]) for row in found] == [
        (EVER, MAY, None, None),
        (MAY, None, "fr", None),
    ]


DAYS = (new_year(2015), date(2015, 12, 31), new_year(2016), MARCH, date(2016, 4, 30), MAY, JULY, date(2017, 12, 31))


def receipts(spark: SparkSession, *customers: str | None) -> DataFrame:
    """A receipt of each customer on each day."""
    rows = [
        {
            "receipt_key": f"{customer} {day}", "branch_id": "F1", "customer_id": customer, "business_date": day,
            "is_basket": day != DAYS[0], "_month": f"{day:%Y-%m}",
        }
        for customer in customers
        for day in DAYS
    ]  # fmt: skip
    return filled(spark, gold.FCT_RECEIPT, rows).drop("customer_key")


def test_every_customer_is_listed_and_what_receipts_tell_stands_on_each_version(spark: SparkSession) -> None:
    versions = to_versions(history(spark, {"c1": [(EVER, {}), (MAY, {"language": "fr"})], "c2": [(EVER, {})]}), YEARS)
    customers = spark.createDataFrame([("c1",), ("c2",), ("c3",)], "customer_id STRING")
    bought = of_receipts(receipts(spark, "c1", "c3", None))
    found = to_dim_customer(customers, bought, versions).orderBy("customer_id", "valid_from").collect()
    first = [
        (row["customer_id"], row["valid_from"], row["valid_to"], row["is_current"], row["first_purchase_receipt_key"])
        for row in found
    ]
    assert first == [
        ("c1", EVER, MAY, False, "c1 2015-12-31"),
        ("c1", MAY, None, True, "c1 2015-12-31"),
        ("c2", EVER, None, True, None),
        ("c3", EVER, None, True, "c3 2015-12-31"),
    ]
    assert {row["home_branch_id"] for row in found if row["customer_id"] != "c2"} == {"F1"}
    plain = to_dim_customer(customers, bought).orderBy("customer_id").collect()
    kept = [row for row in found if row["valid_from"] == EVER]
    assert [row["customer_key"] for row in plain] == [row["customer_key"] for row in kept]
    assert all(row["is_current"] and row["customer_type"] == "B2C" for row in plain)


def test_each_receipt_stays_one_row_with_the_version_of_its_day(spark: SparkSession) -> None:
    told = {"c1": [(EVER, {"language": "de"}), (MARCH, {"language": "fr"}), (MAY, {})], "c2": [(EVER, {"language": "it"})]}
    versions = to_versions(history(spark, told), YEARS)
    customers = spark.createDataFrame([("c1",), ("c2",), ("c3",)], "customer_id STRING")
    given = receipts(spark, "c1", "c2", "c3", None)
    keyed = with_customer_key(given, versions)
    members = to_dim_customer(customers, of_receipts(given), versions).select("customer_key", "language", "is_current")
    found = keyed.join(members, on="customer_key", how="left").collect()
    assert len(found) == given.count()
    assert {row["receipt_key"] for row in found if row["is_current"] is None} == {f"None {day}" for day in DAYS}
    spoken = {row["business_date"]: row["language"] for row in found if row["customer_id"] == "c1"}
    assert spoken == {day: "de" if day < MARCH else "fr" if day < MAY else None for day in DAYS}
    assert {row["language"] for row in found if row["customer_id"] == "c2"} == {"it"}


MOVED: dict[str, Sequence[Told]] = {
    "c1": [(EVER, {"postal_area": "10"}), (MAY, {"postal_area": "80"})],
    "c2": [(EVER, {"language": "fr"})],
}
CHANGES: dict[str, tuple[Mapping[str, Sequence[Told]], Mapping[str, Sequence[Told]], set[str]]] = {
    "a move is told late": (
        MOVED, MOVED | {"c1": [(EVER, {"postal_area": "10"}), (MARCH, {"postal_area": "50"}), *MOVED["c1"][1:]]},
        {"c1 2016-03-10", "c1 2016-04-30"},
    ),
    "an earlier first version is told late": (
        MOVED | {"c1": [(EVER, {"postal_area": "80"})]}, MOVED, {f"c1 {day}" for day in DAYS if day >= MAY},
    ),
    "two customers are put together, and the records of one are the more recent": (
        MOVED, {"c1": [(EVER, {"postal_area": "10"}), (JULY, {"language": "fr"})]},
        {"c1 2016-05-01", "c1 2016-07-01", "c1 2017-12-31"},
    ),
    "two customers are taken apart": (
        {"c1": [(EVER, {}), (JULY, {"language": "fr"})]}, {"c1": [(EVER, {})], "c2": [(EVER, {})]},
        {"c1 2016-07-01", "c1 2017-12-31"},
    ),
    "other words on the same days": (MOVED, MOVED | {"c2": [(EVER, {"language": "it"})]}, set()),
    "a year of birth becomes known": (
        MOVED, MOVED | {"c2": [(EVER, {"language": "fr", "birth_year": 1991})]}, {f"c2 {day}" for day in DAYS if day.year > 2015},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_receipts_whose_version_is_another_now_are_found_and_no_others(spark: SparkSession, case: str) -> None:
    before, after, expected = CHANGES[case]
    stored = with_customer_key(receipts(spark, "c1", "c2", "c3", None), to_versions(history(spark, before), YEARS))
    now = to_versions(history(spark, after), YEARS)
    found = to_outdated(stored.where("customer_id IS NOT NULL"), only_later(now), CUSTOMER)
    assert found.columns == ["receipt_key", "business_date"]
    assert {row["receipt_key"] for row in found.collect()} == expected
    anew = with_customer_key(stored.drop("customer_key"), now).select("receipt_key", "customer_key")
    differing = stored.select("receipt_key", "customer_key").exceptAll(anew)
    assert {row["receipt_key"] for row in differing.collect()} == expected


READ = (silver.RECEIPT, silver.CUSTOMER_VERSION, silver.PARTY_CUSTOMER, gold.DIM_CUSTOMER, gold.FCT_RECEIPT)


@pytest.fixture
def store(spark: SparkSession, tmp_path: Path) -> Store:
    made = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    made.create_missing([silver.EXCEPTION, ops.DELIVERY, gold.DIM_DATE, *READ])
    return made


def since(store: Store) -> Since:
    return Since({table.full_name: store.version(table)[1] for table in (*READ, silver.EXCEPTION, ops.DELIVERY)}, frozenset())


def test_only_receipts_of_customers_with_other_history_are_looked_at_and_of_all_where_the_years_are_others(
    spark: SparkSession, store: Store
) -> None:
    given = receipts(spark, "c1", "c2", None)
    assert Customers.of(store, given, None, None).versions is None
    store.overwrite(silver.CUSTOMER_VERSION, history(spark, MOVED | {"c2": [(EVER, {"birth_year": 1993})]}))
    first = Customers.of(store, given, None, None)
    assert first.years == YEARS
    dates = [{"date": new_year(year), "year": year} for year in YEARS]
    store.overwrite(gold.DIM_DATE, filled(spark, gold.DIM_DATE, dates))
    keyed = with_customer_key(given, first.versions)
    store.overwrite(gold.FCT_RECEIPT, keyed)
    known = since(store)
    assert Customers.of(store, given, None, known).touched(known) == []
    store.overwrite(silver.RECEIPT, filled(spark, silver.RECEIPT, [{"business_date": MAY, "_month": "2016-05"}]))
    later = given.unionByName(given.limit(1).selectExpr("* EXCEPT (business_date)", "DATE'2018-01-02' AS business_date"))
    [found] = Customers.of(store, later, None, known).touched(known)
    assert found.collect() == []  # the band that begins in 2018 is of no stored receipt
    store.overwrite(silver.CUSTOMER_VERSION, history(spark, MOVED | {"c2": [(EVER, {}), (JULY, {"language": "fr"})]}))
    [found] = Customers.of(store, given, None, known).touched(known)
    assert {row["receipt_key"] for row in found.collect()} == {"c2 2016-07-01", "c2 2017-12-31"}


def test_a_day_of_first_purchases_is_touched_by_another_first_purchase_and_not_by_another_version(
    spark: SparkSession, store: Store
) -> None:
    customers = spark.createDataFrame([("c1",)], "customer_id STRING")
    one: dict[str, Sequence[Told]] = {"c1": [(EVER, {"language": "de"})]}
    two = {"c1": [*one["c1"], (MAY, {"language": "fr"})]}

    def write(told: Mapping[str, Sequence[Told]], first: date) -> None:
        columns = "customer_id STRING, home_branch_id STRING, first_purchase_date DATE, first_purchase_receipt_key STRING"
        bought = spark.createDataFrame([("c1", "F1", first, f"r {first}")], columns)
        store.overwrite(gold.DIM_CUSTOMER, to_dim_customer(customers, bought, to_versions(history(spark, told), YEARS)))

    write(one, MARCH)
    known = since(store)
    write(two, MARCH)
    assert touched_dates(store, known) == []
    known = since(store)
    write(two, JULY)
    assert touched_dates(store, known) == [MARCH, JULY]


def test_a_night_looks_at_those_whose_purchases_leave_the_year_before_the_last_day_and_at_no_others(
    spark: SparkSession, store: Store
) -> None:
    sales = {
        "c1": [("F2", "2024-01-10"), ("F2", "2024-01-11"), ("F1", "2024-06-01")],
        "c2": [("F1", "2024-06-01"), ("F1", "2024-12-20")],
        "c3": [("F1", "2024-03-01")],
    }
    told = [
        {
            "receipt_key": f"{customer} {branch} {day}", "branch_id": branch, "customer_id": customer, "is_basket": True,
            "business_date": date.fromisoformat(day), "_month": day[:7],
        }
        for customer, bought in sales.items()
        for branch, day in bought
    ]  # fmt: skip
    stored = filled(spark, gold.FCT_RECEIPT, told)
    one = {**told[3], "receipt_key": "c2 late", "business_date": date(2025, 2, 1), "_month": "2025-02"}
    late, nothing = filled(spark, gold.FCT_RECEIPT, [one]), stored.where("false")
    parties = [{"party_key": f"p {customer}", "customer_id": customer} for customer in sales]
    store.overwrite(silver.PARTY_CUSTOMER, filled(spark, silver.PARTY_CUSTOMER, parties))
    store.overwrite(gold.FCT_RECEIPT, stored)

    def homes() -> dict[str, str]:
        return {row["customer_id"]: row["home_branch_id"] for row in store.read(gold.DIM_CUSTOMER).collect()}

    def night(receipts: Receipts) -> set[str]:
        known = since(store)
        members = Customers(store, None).members(receipts, None, known)
        members.write(store)
        store.overwrite(gold.FCT_RECEIPT, receipts.now.unionByName(receipts.others))
        assert members.concerned is not None
        return {row["customer_id"] for row in members.concerned.collect()}

    first = Customers(store, None).members(Receipts(stored, None, nothing), None, None)
    first.write(store)
    assert homes() == {"c1": "F2", "c2": "F1", "c3": "F1"}
    assert night(Receipts(late, nothing, stored)) == {"c1", "c2"}
    assert homes() == {"c1": "F1", "c2": "F1", "c3": "F1"}
    assert night(Receipts(nothing, late, stored)) == {"c1", "c2"}
    assert homes() == {"c1": "F2", "c2": "F1", "c3": "F1"}


def test_customers_of_a_run_that_was_killed_are_all_made_anew(spark: SparkSession, store: Store) -> None:
    stored = receipts(spark, "c1").withColumn("customer_key", F.lit(None).cast("string"))
    store.overwrite(gold.FCT_RECEIPT, stored)
    known = since(store)
    nothing = stored.where("false")
    customers = Customers(store, None)
    assert not customers.has_news(known)
    assert customers.members(Receipts(nothing, nothing, stored), None, known).concerned is not None
    store.append(
        gold.DIM_CUSTOMER, filled(spark, gold.DIM_CUSTOMER, [{"customer_key": "k", "customer_id": "c0", "valid_from": EVER}])
    )
    assert customers.has_news(known)
    members = customers.members(Receipts(nothing, nothing, stored), None, known)
    assert members.concerned is None
    members.write(store)
    assert store.read(gold.DIM_CUSTOMER).isEmpty()  # silver knows of no customer
