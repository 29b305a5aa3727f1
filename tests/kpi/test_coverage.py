"""Coverage stands beside the figures: groups stay groups, and what did not come has a row of its own."""

from __future__ import annotations

from datetime import date

from pyspark.sql import SparkSession

from tillhouse.kpi.coverage import DAY_DIMENSIONS, beside, of_days

MONDAY, TUESDAY = date(2026, 2, 2), date(2026, 2, 3)


def test_a_day_has_the_region_that_its_branch_had_then(spark: SparkSession) -> None:
    days = spark.createDataFrame(
        [
            ("F1", MONDAY, "EUR", 0.0, 1, "on_time"),
            ("F1", TUESDAY, "EUR", 2.5, 0, None),
            ("F9", TUESDAY, "XXX", 0.0, 0, "missing"),
        ],
        "branch_id STRING, business_date DATE, currency STRING, excluded_amount DOUBLE, open_exceptions BIGINT, "
        "delivery_status STRING",
    )
    branches = spark.createDataFrame(
        [("F1", "Markt", "Nord", None, date(1900, 1, 1), TUESDAY), ("F1", "Markt", "Süd", None, TUESDAY, None)],
        "branch_id STRING, branch_name STRING, region STRING, format STRING, valid_from DATE, valid_to DATE",
    )
    dates = spark.createDataFrame(
        [(MONDAY, 2026, 6, 1), (TUESDAY, 2026, 6, 2)], "date DATE, iso_year INT, iso_week INT, weekday INT"
    )
    found = of_days(days, branches, dates).orderBy("business_date", "branch_id")
    assert found.columns[: len(DAY_DIMENSIONS)] == list(DAY_DIMENSIONS)
    assert [(row["branch_id"], row["region"], row["week"], row["month"], row["weekday"]) for row in found.collect()] == [
        ("F1", "Nord", "2026-W06", "2026-02", 1),
        ("F1", "Süd", "2026-W06", "2026-02", 2),
        ("F9", None, "2026-W06", "2026-02", 2),
    ]


def test_a_group_without_receipts_has_a_row_and_one_without_name_is_not_lost(spark: SparkSession) -> None:
    figures = spark.createDataFrame(
        [("Nord", 10.0, 0.5), (None, 1.0, 0.0)], "region STRING, revenue DOUBLE, identified_share DOUBLE"
    )
    told = spark.createDataFrame(
        [("Nord", 2.0, 3, 0), (None, 0.0, 1, 0), ("Süd", 0.0, 0, 7)],
        "region STRING, excluded_amount DOUBLE, open_exceptions BIGINT, missing_days BIGINT",
    )
    assert [tuple(row) for row in beside(figures, told, ["region"]).collect()] == [
        (None, 1.0, 0.0, 0.0, 1, 0),
        ("Nord", 10.0, 0.5, 2.0, 3, 0),
        ("Süd", None, None, 0.0, 0, 7),
    ]


def test_without_a_dimension_there_is_one_row(spark: SparkSession) -> None:
    figures = spark.createDataFrame([(10.0,)], "revenue DOUBLE")
    told = spark.createDataFrame([(2.0, 3, 0)], "excluded_amount DOUBLE, open_exceptions BIGINT, missing_days BIGINT")
    assert [tuple(row) for row in beside(figures, told, []).collect()] == [(10.0, 2.0, 3, 0)]
