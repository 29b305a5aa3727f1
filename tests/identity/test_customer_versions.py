"""Versions of customers, over rows by hand: what survives of their records on each day on which one of them changes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tillhouse.identity.customer_versions import to_versions
from tillhouse.identity.rules import FieldRule, Survivorship
from tillhouse.keys import BEGINNING
from tillhouse.tables.entities import PARTY_VERSION

EVER = BEGINNING
JAN, FEB, MAR, APR = (date(2025, month, 10) for month in (1, 2, 3, 4))
RECORDS = PARTY_VERSION.columns.replace(" NOT NULL", "") + ", customer_id STRING, company_customer_id STRING"
Version = tuple[date, dict[str, Any]]


def told(key: str, day: date, **values: Any) -> Mapping[str, Any]:  # noqa: ANN401 - of any column
    """What a record begins to say on a day; its source tells when it was exported, and no time of change."""
    at = None if day == EVER else datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
    known = {
        "party_key": key, "source": key.split(maxsplit=1)[0], "valid_from": day, "is_deleted": False, "party_type": "person",
        "has_name": True, "version_at": at, "customer_id": "c1",
    }  # fmt: skip
    return known | values


def area(text: str | None) -> dict[str, Any]:
    return {"has_address": True, "postal_area": text}


# what the records of a customer said -> versions: first day, and what is told of it
CASES: dict[str, tuple[Sequence[Mapping[str, Any]], Sequence[Version]]] = {
    "a move, the first version holds since ever": (
        [told("crm 1", JAN, **area("10"), language="de"), told("crm 1", MAR, **area("80"), language="de")],
        [(EVER, {"postal_area": "10", "language": "de"}), (MAR, {"postal_area": "80", "language": "de"})],
    ),
    "the most recent record counts from its day on, also where it is told late": (
        [told("crm 1", JAN, **area("10")), told("shop 2", FEB, **area("20")), told("crm 1", APR, **area("30"))],
        [(EVER, {"postal_area": "10"}), (FEB, {"postal_area": "20"}), (APR, {"postal_area": "30"})],
    ),
    "a record that says nothing of it takes nothing away": (
        [told("crm 1", JAN, language="de"), told("shop 2", FEB)],
        [(EVER, {"language": "de"})],
    ),
    "an address counts as a whole": (
        [told("crm 1", JAN, **area("10"), country="DE"), told("shop 2", FEB, **area(None), country="AT")],
        [(EVER, {"postal_area": "10", "country": "DE"}), (FEB, {"country": "AT"})],
    ),
    "a record that was taken back says nothing any more": (
        [told("crm 1", JAN, language="de"), told("shop 2", FEB, language="fr"), told("shop 2", MAR, is_deleted=True)],
        [(EVER, {"language": "de"}), (FEB, {"language": "fr"}), (MAR, {"language": "de"})],
    ),
    "what the customer says is protected where a rule says so": (
        [told("crm 1", JAN, birth_year=1980), told("shop 2", MAR, birth_year=1990)],
        [(EVER, {"birth_year": 1980})],
    ),
    "protection begins when its source says something": (
        [told("shop 2", JAN, birth_year=1990), told("crm 1", MAR, birth_year=1980)],
        [(EVER, {"birth_year": 1990}), (MAR, {"birth_year": 1980})],
    ),
    "a change that changes nothing is no version": (
        [told("crm 1", JAN, language="de"), told("crm 1", FEB, language="de", has_name=None), told("shop 2", MAR, language="de")],
        [(EVER, {"language": "de"})],
    ),
    "a time of change goes before the day of the export": (
        [
            told("crm 1", FEB, language="de", changed_at=datetime(2020, 1, 1, tzinfo=UTC)),
            told("shop 2", JAN, language="fr"),
        ],
        [(EVER, {"language": "fr"})],
    ),
    "a company": ([told("erp 9", JAN, party_type="company", has_name=None)], [(EVER, {"customer_type": "B2B"})]),
    "a company beside the name": (
        [told("crm 1", JAN), told("crm 1", FEB, has_company=True), told("crm 1", MAR)],
        [(EVER, {}), (FEB, {"customer_type": "B2B"}), (MAR, {})],
    ),
    "a person who belongs to a company": (
        [told("crm 1", JAN), told("crm 1", FEB, company_customer_id="c9")],
        [(EVER, {}), (FEB, {"customer_type": "B2B", "company_id": "c9"})],
    ),
    "nobody belongs to himself": ([told("crm 1", JAN, company_customer_id="c1")], [(EVER, {})]),
    "a record without mark is the oldest": (
        [told("old 3", EVER, language="it"), told("crm 1", FEB, language="de")],
        [(EVER, {"language": "it"}), (FEB, {"language": "de"})],
    ),
}  # fmt: skip
RULES = Survivorship(birth_date=FieldRule(sources=("crm",), protected=True))


@pytest.mark.parametrize("seed", [1, 2])
def test_versions_are_what_survives_on_each_day_whatever_came_first(spark: SparkSession, seed: int) -> None:
    rows = []
    for name, (said, _) in CASES.items():
        for row in said:
            mine = row.get("company_customer_id")
            keyed = {"customer_id": name, "party_key": f"{row['party_key']} {name}"}
            rows.append({**row, **keyed, "company_customer_id": name if mine == "c1" else mine})
    random.Random(seed).shuffle(rows)
    names = spark.createDataFrame([], RECORDS).columns
    records = spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], RECORDS).repartition(2)
    found: dict[str, list[Version]] = {name: [] for name in CASES}
    for version in to_versions(records, RULES).orderBy("customer_id", "valid_from").collect():
        values = {key: value for key, value in version.asDict().items() if value is not None and value != "B2C"}
        found[values.pop("customer_id")].append((values.pop("valid_from"), values))
    assert found == {name: list(expected) for name, (_, expected) in CASES.items()}
