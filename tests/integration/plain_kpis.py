"""The KPIs of the plain demo once more, in DuckDB SQL over the purchases as they were published. No line of it knows gold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb


def create_lines(con: duckdb.DuckDBPyConnection, data: Path) -> None:
    """``line``: one row per line with its household, basket, store, trading day, instant, product and whole cents."""
    con.execute("SET TimeZone = 'UTC'")
    con.execute(
        f"""
        CREATE TABLE line AS
        SELECT household_id, basket_id, store_id, product_id, quantity, department, product_category, week AS told_week,
               transaction_timestamp AS moment,
               CAST(timezone('America/New_York', timezone('UTC', transaction_timestamp::TIMESTAMP)) AS DATE) AS day,
               CAST(round(100 * sales_value) AS BIGINT) AS cents,
               CAST(round(100 * retail_disc) + round(100 * coupon_match_disc) AS BIGINT) AS discount_cents
        FROM read_parquet('{data / "transactions.parquet"}')
        LEFT JOIN (SELECT product_id, department, product_category FROM read_parquet('{data / "products.parquet"}'))
        USING (product_id)
        """
    )
    con.execute(
        """
        CREATE TABLE basket AS
        SELECT household_id, basket_id, store_id, day, min(moment) AS moment, sum(cents)::BIGINT AS cents,
               sum(discount_cents)::BIGINT AS discount_cents
        FROM line GROUP BY ALL
        """
    )


def fields(con: duckdb.DuckDBPyConnection, days: list[str]) -> duckdb.DuckDBPyRelation:
    """KPIs 8 to 10 and what else is known of each household as of some days."""
    con.execute("CREATE OR REPLACE TABLE as_ofs AS SELECT unnest(?)::DATE AS as_of", [days])
    return con.sql(
        """
        WITH seen AS (SELECT as_of, basket.* FROM as_ofs JOIN basket ON day < as_of),
        dates AS (SELECT DISTINCT as_of, household_id, day FROM seen),
        gaps AS (
            SELECT as_of, household_id, day - lag(day) OVER (PARTITION BY as_of, household_id ORDER BY day) AS gap FROM dates
        ), rhythm AS (
            SELECT as_of, household_id, count(gap) AS gap_count, median(gap) AS median_gap_days, avg(gap) AS mean_gap_days
            FROM gaps GROUP BY ALL
        ), weeks AS (
            SELECT as_of, household_id, count(DISTINCT (as_of - day - 1) // 7) FILTER ((as_of - day - 1) // 7 < 13) AS active
            FROM dates GROUP BY ALL
        ), weekdays AS (
            SELECT as_of, household_id, isodow(day) AS weekday, count(*) AS n FROM seen GROUP BY ALL
        ), busiest AS (
            SELECT DISTINCT ON (as_of, household_id) as_of, household_id, weekday FROM weekdays
            ORDER BY as_of, household_id, n DESC, weekday
        ), groups AS (
            SELECT as_of, household_id, department, sum(cents) AS cents
            FROM as_ofs JOIN line ON day < as_of WHERE department IS NOT NULL GROUP BY ALL HAVING sum(cents) > 0
        ), favourites AS (
            SELECT DISTINCT ON (as_of, household_id) as_of, household_id, department, cents FROM groups
            ORDER BY as_of, household_id, cents DESC, department
        )
        SELECT as_of, household_id, count(*) AS purchase_count, count(DISTINCT day) AS purchase_dates,
               min(day) AS first_purchase_date, max(day) AS last_purchase_date, (as_of - max(day))::INT AS inactivity_days,
               sum(seen.cents)::BIGINT AS revenue_cents, max(seen.cents)::BIGINT AS largest_cents,
               sum(discount_cents)::BIGINT AS discount_cents, sum(seen.cents) / count(*) / 100 AS average_basket,
               any_value(gap_count) AS gap_count, any_value(median_gap_days) AS median_gap_days,
               any_value(mean_gap_days) AS mean_gap_days, any_value(active)::INT AS active_weeks_13,
               any_value(weekday)::INT AS favourite_weekday, any_value(department) AS favourite_category,
               any_value(favourites.cents) / sum(seen.cents) AS favourite_category_share
        FROM seen LEFT JOIN rhythm USING (as_of, household_id) LEFT JOIN weeks USING (as_of, household_id)
             LEFT JOIN busiest USING (as_of, household_id) LEFT JOIN favourites USING (as_of, household_id)
        GROUP BY as_of, household_id
        """
    )


def branch_gaps(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
    """KPI 12 by branch: a gap belongs to the branch of the last purchase on the earlier day."""
    return con.sql(
        """
        WITH dates AS (
            SELECT household_id, day, arg_max(store_id, (moment, basket_id::VARCHAR)) AS store_id FROM basket GROUP BY ALL
        ), gaps AS (
            SELECT store_id, lead(day) OVER (PARTITION BY household_id ORDER BY day) - day AS gap FROM dates
        )
        SELECT store_id, count(gap) AS gaps, count(*) - count(gap) AS open_gaps, avg(gap) AS mean_days,
               quantile_cont(gap, 0.5) AS median_days, quantile_cont(gap, 0.9) AS p90_days
        FROM gaps GROUP BY ALL
        """
    )


def repurchase(con: duckdb.DuckDBPyConnection, window_days: int) -> duckdb.DuckDBPyRelation:
    """KPI 11 by branch of first purchase, within a window, as of January 1, 2018."""
    return con.sql(
        f"""
        WITH firsts AS (
            SELECT household_id, arg_min(store_id, (day, moment, basket_id::VARCHAR)) AS store_id, min(day) AS first FROM basket
            GROUP BY ALL
        ), seconds AS (
            SELECT household_id, min(day) AS second FROM basket JOIN firsts USING (household_id) WHERE day > first GROUP BY ALL
        )
        SELECT store_id, count(*) AS buyers, count_if(coalesce(second - first <= {window_days}, false)) AS back
        FROM firsts LEFT JOIN seconds USING (household_id) WHERE first + {window_days} < DATE '2018-01-01' GROUP BY ALL
        """
    )


def cohorts(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
    """KPI 13 with revenue: cells that are observed."""
    return con.sql(
        """
        WITH firsts AS (SELECT household_id, date_trunc('month', min(day))::DATE AS cohort FROM basket GROUP BY ALL),
        active AS (
            SELECT cohort, date_diff('month', cohort, date_trunc('month', day)::DATE) AS k,
                   count(DISTINCT household_id) AS active, sum(cents)::BIGINT AS cents
            FROM basket JOIN firsts USING (household_id) GROUP BY ALL
        ), sizes AS (SELECT cohort, count(*) AS size FROM firsts GROUP BY ALL)
        SELECT cohort, k, size, active, active / size AS retention, cents FROM active JOIN sizes USING (cohort)
        """
    )


def retention(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
    """KPI 16b by quarter."""
    return con.sql(
        """
        WITH active AS (SELECT DISTINCT date_trunc('quarter', day)::DATE AS quarter, household_id FROM basket)
        SELECT a.quarter AS from_period, count(*) AS active_before, count(b.household_id) AS active_both
        FROM active a LEFT JOIN active b ON b.household_id = a.household_id AND b.quarter = a.quarter + INTERVAL 3 MONTH
        WHERE a.quarter < DATE '2017-10-01' GROUP BY ALL
        """
    )


def affinity(con: duckdb.DuckDBPyConnection, minimum_baskets: int, minimum_pairs: int) -> duckdb.DuckDBPyRelation:
    """KPI 18 by product over the whole year."""
    return con.sql(
        f"""
        WITH held AS (SELECT DISTINCT basket_id, product_id::VARCHAR AS product FROM line),
        frequent AS (SELECT product, count(*) AS n FROM held GROUP BY ALL HAVING count(*) >= {minimum_baskets}),
        kept AS (SELECT basket_id, product, n FROM held JOIN frequent USING (product)),
        every AS (SELECT count(*) AS baskets FROM basket)
        SELECT a.product AS product_a, b.product AS product_b, any_value(a.n) AS n_a, any_value(b.n) AS n_b, count(*) AS both,
               count(*) / any_value(baskets) AS support, count(*) / any_value(a.n) AS confidence,
               count(*) * any_value(baskets) / (any_value(a.n) * any_value(b.n)) AS lift
        FROM kept a JOIN kept b ON a.basket_id = b.basket_id AND a.product < b.product, every
        GROUP BY ALL HAVING count(*) >= {minimum_pairs}
        """
    )


def week_anomalies(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
    """KPI 20: changes between adjacent full weeks of a store, and their robust scores."""
    return con.sql(
        """
        WITH weeks AS (SELECT store_id, date_trunc('week', day)::DATE AS monday, sum(cents) AS cents FROM basket GROUP BY ALL),
        chain AS (
            SELECT date_trunc('week', day)::DATE AS monday FROM basket GROUP BY ALL HAVING count(DISTINCT day) = 7
        ), full_weeks AS (SELECT weeks.* FROM weeks SEMI JOIN chain USING (monday)),
        changes AS (
            SELECT a.store_id, a.monday, a.cents / b.cents - 1 AS change
            FROM full_weeks a JOIN full_weeks b ON b.store_id = a.store_id AND b.monday = a.monday - 7 WHERE b.cents > 0
        ), usual AS (SELECT store_id, median(change) AS middle FROM changes GROUP BY ALL),
        spread AS (SELECT store_id, median(abs(change - middle)) AS mad FROM changes JOIN usual USING (store_id) GROUP BY ALL)
        SELECT store_id, monday, change, 0.6745 * (change - middle) / nullif(mad, 0) AS score,
               coalesce(abs(0.6745 * (change - middle) / nullif(mad, 0)) > 3.5, false) AS is_anomaly
        FROM changes JOIN usual USING (store_id) JOIN spread USING (store_id)
        """
    )


def silences(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
    """KPI 21: households whose silence as of January 1, 2018 is longer than their rhythm explains."""
    return con.sql(
        """
        WITH dates AS (SELECT DISTINCT household_id, day FROM basket),
        gaps AS (SELECT household_id, lead(day) OVER (PARTITION BY household_id ORDER BY day) - day AS gap FROM dates),
        usual AS (SELECT household_id, median(gap) AS m, count(gap) AS n FROM gaps GROUP BY ALL),
        spread AS (
            SELECT household_id, median(abs(gap - m)) AS mad FROM gaps JOIN usual USING (household_id) WHERE gap IS NOT NULL
            GROUP BY ALL
        ), last AS (SELECT household_id, DATE '2018-01-01' - max(day) AS silence FROM basket GROUP BY ALL)
        SELECT household_id, silence, m, mad, silence > 2 * m AS by_simple_rule
        FROM usual JOIN spread USING (household_id) JOIN last USING (household_id)
        WHERE n >= 6 AND silence > m + 3 * 1.4826 * greatest(mad, 1)
        """
    )


def points(criterion: dict[str, Any]) -> str:
    """KPI 25: SQL for the points of one criterion of conf/score.yml."""
    value, missing = f"({criterion['value']})".replace("try_divide(", "divided("), criterion.get("missing", 0)
    if "flag" in criterion:
        given = f"CASE WHEN {value} THEN {criterion['flag']} ELSE 0 END"
    elif "bands" in criterion:
        bands = sorted(criterion["bands"], key=lambda band: band["from"], reverse=True)
        steps = " ".join(f"WHEN {value} >= {band['from']} THEN {band['points']}" for band in bands)
        given = f"CASE {steps} ELSE {criterion.get('below', 0)} END"
    else:
        linear, cap = criterion["linear"], criterion["cap"]
        each = f"round(({value} - {linear.get('offset', 0)}) * {linear['points']} / {linear['per']}, 2)"
        given = f"least(greatest({each}, {cap['minimum']}), {cap['maximum']})"
    return f"CASE WHEN {value} IS NULL THEN {missing} ELSE {given} END"
