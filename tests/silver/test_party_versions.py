"""What changes slowly of contacts, and since when, in whatever order it was delivered."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.conftest import time_zone
from tests.sources.mappings import source
from tests.sources.test_mapping import ZONES, bronze
from tillhouse.keys import BEGINNING
from tillhouse.silver import records
from tillhouse.silver.party_versions import to_party_versions, with_told
from tillhouse.sources.entities import BY_NAME, CONTACT
from tillhouse.tables.entities import RECORD_VERSION

CRM = """
source: crm
entity: contact
description: contacts of a CRM
owner: sales
format: csv
file_pattern: crm/{week}.csv
personal_data: true
date_formats: [iso]
timezone: Europe/Berlin
phone_region: DE
version_order: {aliases: [At], date_formats: [iso], timezone: Europe/Berlin}
columns:
  contact_id: {aliases: [Id]}
  given_name: {aliases: [First]}
  company: {aliases: [Firm]}
  birth_date: {aliases: [Born]}
  postal_code: {aliases: [Zip]}
  country: {aliases: [Country]}
  language: {aliases: [Language]}
  company_ids: {aliases: [Firms], separator: ";"}
"""
COLUMNS = "Id At First Firm Born Zip Country Language Firms"
AT = "2025-01-10T12:00:00"


def told(spark: SparkSession, *rows: Sequence[str | None]) -> DataFrame:
    given = source(CRM)
    return with_told(records.to_records(bronze(spark, COLUMNS, rows), given, BY_NAME[CONTACT], b"k" * 32), given).select("told.*")


def contact(at: str = AT, **values: str | None) -> Sequence[str | None]:
    given = {"Id": "1", "At": at, **values}
    return [given.get(name) for name in COLUMNS.split()]


@pytest.mark.parametrize("zone", ZONES)
def test_a_version_begins_on_the_day_that_its_source_writes(spark: SparkSession, zone: str) -> None:
    with time_zone(spark, zone):
        found = told(spark, contact("2025-01-10T00:30:00"), contact("2025-01-09T23:30:00Z"), contact("2025-01-09T23:59:59"))
        days = [row["begins_on"] for row in found.collect()]
    assert days == [date(2025, 1, 10), date(2025, 1, 10), date(2025, 1, 9)]


@pytest.mark.parametrize(
    ("code", "country", "area"),
    [
        ("10115", None, "10"), ("D-10115", "DE", "10"), ("1067", None, "01"), ("1067", "DE", "01"), ("1010", "AT", "10"),
        ("A-1010", "AT", "10"), ("8001", "CH", "80"), ("1067", "Österreich", "10"), ("SW1A 1AA", "GB", "SW"),
        ("00000", "DE", None), ("123", "DE", None), ("101155", "DE", None), ("?", None, None), (None, "DE", None),
    ],
)  # fmt: skip
def test_the_postal_area_is_what_its_country_writes_first(
    spark: SparkSession, code: str | None, country: str | None, area: str | None
) -> None:
    [row] = told(spark, contact(Zip=code, Country=country)).collect()
    assert (row["postal_area"], row["country"]) == (area, country)


@pytest.mark.parametrize(
    ("born", "year"),
    [("1980-05-01", 1980), ("1910-05-01", 1910), ("1900-01-01", None), ("1970-01-01", None), ("2026-01-01", None), (None, None)],
)
def test_only_the_year_of_a_birth_date_that_can_be_one_is_kept(spark: SparkSession, born: str | None, year: int | None) -> None:
    [row] = told(spark, contact(Born=born)).collect()
    assert row["birth_year"] == year


def test_nothing_in_clear_leaves_the_vault(spark: SparkSession) -> None:
    given = contact(First="Edeltraud", Firm="Muster GmbH", Born="1980-05-01", Zip="80331", Language="de", Firms="B;A")
    [row] = told(spark, given).collect()
    assert (row["has_name"], row["has_company"], row["has_address"], row["language"]) == (True, True, True, "de")
    assert row["company_id_tokens"] == sorted(row["company_id_tokens"])
    assert not [text for text in ("Edeltraud", "Muster", "1980-05", "80331", "'A'", "'B'") if text in str(row)]


EVER, JAN, FEB, MAR = BEGINNING, *(datetime(2025, month, 10, 5, tzinfo=UTC) for month in (1, 2, 3))
Told = tuple[datetime | None, str | None]  # version mark, language; "gone": taken back, "bad": rejected

# contact: what was told of it -> days and languages
CASES: dict[str, tuple[Sequence[Told], Sequence[tuple[date, str | None]]]] = {
    "a change": ([(JAN, "de"), (MAR, "en")], [(JAN.date(), "de"), (MAR.date(), "en")]),
    "nothing new": ([(JAN, "de"), (FEB, "de"), (MAR, "de")], [(JAN.date(), "de")]),
    "back again": ([(JAN, "de"), (FEB, "en"), (MAR, "de")], [(JAN.date(), "de"), (FEB.date(), "en"), (MAR.date(), "de")]),
    "left out": ([(JAN, "de"), (MAR, None)], [(JAN.date(), "de"), (MAR.date(), None)]),
    "told at last": ([(JAN, None), (MAR, "de")], [(JAN.date(), None), (MAR.date(), "de")]),
    "twice a day": ([(JAN, "de"), (MAR, "xx"), (MAR.replace(hour=9), "en")], [(JAN.date(), "de"), (MAR.date(), "en")]),
    "unmarked": ([(None, "de")], [(EVER, "de")]),
    "unmarked and marked": ([(None, "de"), (FEB, "en")], [(EVER, "de"), (FEB.date(), "en")]),
    "taken back": ([(JAN, "de"), (FEB, "gone")], [(JAN.date(), "de"), (FEB.date(), "gone")]),
    "there again": (
        [(JAN, "de"), (FEB, "gone"), (MAR, "de")],
        [(JAN.date(), "de"), (FEB.date(), "gone"), (MAR.date(), "de")],
    ),
    "with errors": ([(JAN, "de"), (FEB, "bad"), (MAR, "en")], [(JAN.date(), "de"), (MAR.date(), "en")]),
}  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_versions_follow_from_what_was_told_in_whatever_order(spark: SparkSession, seed: int) -> None:
    rows = [(name, at, language) for name, (said, _) in CASES.items() for at, language in said]
    random.Random(seed).shuffle(rows)
    schema = "record_key STRING, version_at TIMESTAMP, language STRING, _file_id STRING"
    delivered = spark.createDataFrame([(*row, f"f{place}") for place, row in enumerate(rows)], schema)
    said = F.struct(
        F.col("version_at").cast("date").alias("begins_on"),
        *(
            (F.col("language") if field.name == "language" else F.lit(None).cast(field.dataType)).alias(field.name)
            for field in RECORD_VERSION.field("told").dataType.fields[1:]  # type: ignore[attr-defined]
        ),
    )
    versions = delivered.select(
        F.lit(CONTACT).alias("entity"), "record_key", F.lit("crm").alias("source"), "version_at",
        F.col("language").alias("content_hash"), F.col("language").eqNullSafe("gone").alias("is_deletion"), said.alias("told"),
        "_file_id", F.lit(2).cast("bigint").alias("_row"), F.col("language").eqNullSafe("bad").alias("_is_rejected"),
        F.lit(False).alias("_is_stored"),
    )  # fmt: skip
    files = delivered.select(
        F.col("_file_id").alias("file_id"), F.lit(MAR).alias("loaded_at"), F.col("_file_id").alias("path")
    )  # fmt: skip
    found: dict[str, list[tuple[date, str | None]]] = {name: [] for name in CASES}
    for row in to_party_versions(records.rank_versions(versions, files), files).orderBy("party_key", "valid_from").collect():
        found[row["party_key"]].append((row["valid_from"], "gone" if row["is_deleted"] else row["language"]))
    assert found == {name: list(expected) for name, (_, expected) in CASES.items()}
