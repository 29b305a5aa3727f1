#!/usr/bin/env python3
"""Benchmark: what each figure costs from gold, beside DuckDB on the same files; results are compared; then one day more.

The chain is made and built (scripts/make_gold.py, the step gold), then each case of CASES is computed on both sides and every row
compared: keys, counts and amounts exactly, ratios to 1e-9. What several figures share is prepared once on both sides and has a
line of its own. The session is started before. Last, the steps from kpi on take in one more day. With --lake the figures alone
are measured, on gold that scripts/bench gold --keep has left. CPU seconds are those of this process and all its descendants.
Needs Linux. Another figure is one more entry of CASES: tillhouse's frame, its key, and SQL that gives the same columns in the
same order, over views named as the tables of gold and the tables of PREPARED.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import duckdb
from bench_customers import peak_gib
from bench_night import Cost, measure
from bench_pipeline import say
from customer_sql import RATIOS, fields_sql
from deltalake import DeltaTable
from demo import ROOT
from make_gold import Made, Sizes, add_sizes, sizes_of
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse import pipeline
from tillhouse.config import Config, load_config
from tillhouse.insight import step as insight_step
from tillhouse.insight.affinity import to_product_affinity
from tillhouse.insight.buyers import to_buyers, to_first_products, to_purchase_days, to_visits
from tillhouse.insight.cohorts import to_kpi_cohort
from tillhouse.insight.repurchase import to_kpi_repurchase
from tillhouse.insight.retention import to_kpi_retention
from tillhouse.insight.rules import Affinity, InsightRules
from tillhouse.kpi import branch_week
from tillhouse.kpi.ask import ask, open_view
from tillhouse.kpi.rules import KpiRules
from tillhouse.kpi.week_repurchase import to_week_repurchase
from tillhouse.ops.runs import Run, new_run_id, utc_now
from tillhouse.session import open_session
from tillhouse.store import Store
from tillhouse.tables import gold

READ = (
    gold.DIM_BRANCH, gold.DIM_PRODUCT, gold.DIM_CUSTOMER, gold.FCT_RECEIPT, gold.FCT_SALE_LINE, gold.FCT_RETURN,
    gold.KPI_BRANCH_WEEK,
)  # fmt: skip
RULES = InsightRules()
NEAR = 1e-9
STEPS = "kpi", "insight"
CONF = {"spark.driver.memory": "12g"}


@dataclass
class Star:
    """Gold of one lake, and what several figures share."""

    store: Store
    as_of: date
    kept: dict[str, DataFrame] = field(default_factory=dict)

    def __getattr__(self, name: str) -> DataFrame:
        tables = {table.name: table for table in READ}
        return self.kept[name] if name in self.kept else self.store.read(tables[name])

    def prepare(self) -> list[str]:
        """The visits of customers, their days and what they are told by, as the step keeps them."""
        keep = self.store.keep
        visits = self.kept["visits"] = keep(to_visits(self.fct_receipt, as_of=self.as_of))
        days = self.kept["days"] = keep(to_purchase_days(visits))
        bought = to_first_products(visits, self.fct_sale_line, self.dim_product)
        self.kept["buyers"] = keep(to_buyers(visits, days, bought, self.dim_branch, self.dim_customer))
        return []


@dataclass(frozen=True)
class Case:
    """One figure. ``sql`` gives the columns of ``ours`` in its order; the first ``keys`` of them tell a row from the others."""

    name: str
    ours: Callable[[Star], DataFrame]
    keys: int
    sql: str


PREPARED = {
    "visit": """
        SELECT customer_id, customer_key, receipt_key, branch_id, branch_key, business_date, started_at, currency, is_basket,
            revenue_amount, return_amount
        FROM fct_receipt WHERE customer_status = 'identified' AND business_date < getvariable('as_of')""",
    "purchase_day": """
        SELECT *, lead(business_date) OVER (PARTITION BY customer_id ORDER BY business_date) - business_date AS gap_days
        FROM (SELECT customer_id, business_date, arg_max(branch_id, (started_at, receipt_key)) AS branch_id
              FROM visit WHERE is_basket GROUP BY ALL)""",
    "buyer": """
        WITH firsts AS (
            SELECT customer_id, count(*) AS purchases, any_value(currency) AS currency,
                arg_min({'business_date': business_date, 'receipt_key': receipt_key, 'branch_id': branch_id,
                         'branch_key': branch_key, 'customer_key': customer_key},
                        (business_date, started_at, receipt_key)) AS f
            FROM visit WHERE is_basket GROUP BY 1
        ), money AS (SELECT customer_id, sum(revenue_amount) AS revenue FROM visit GROUP BY 1
        ), counted AS (
            SELECT customer_id, count(*) AS purchase_dates, median(gap_days) AS median_gap, avg(gap_days) AS mean_gap,
                min(business_date) + arg_min(gap_days, business_date)::INT AS second_date
            FROM purchase_day GROUP BY 1
        ), bought AS (
            SELECT customer_id, product_line, category_l1, sum(gross_amount) AS amount
            FROM fct_sale_line JOIN firsts ON fct_sale_line.receipt_key = f.receipt_key JOIN dim_product USING (product_key)
            WHERE is_revenue AND NOT is_return AND NOT is_voided GROUP BY ALL
        ), line AS (
            SELECT customer_id, arg_min(product_line, (-amount, product_line)) AS product_line
            FROM (SELECT customer_id, product_line, sum(amount) AS amount FROM bought GROUP BY ALL) GROUP BY 1
        ), category AS (
            SELECT customer_id, arg_min(category_l1, (-amount, category_l1)) AS category
            FROM (SELECT customer_id, category_l1, sum(amount) AS amount FROM bought GROUP BY ALL) GROUP BY 1
        )
        SELECT customer_id, purchases, f.business_date AS first_date, f.branch_id AS branch_id, purchase_dates, median_gap,
            mean_gap, second_date, revenue, firsts.currency, product_line, category, region, customer_type
        FROM firsts JOIN money USING (customer_id) JOIN counted USING (customer_id) LEFT JOIN line USING (customer_id)
        LEFT JOIN category USING (customer_id) LEFT JOIN dim_branch ON dim_branch.branch_key = f.branch_key
        LEFT JOIN dim_customer c ON c.customer_key = f.customer_key AND c.customer_id = firsts.customer_id""",
    "member": """
        SELECT customer_id,
            unnest(['all', 'region', 'customer_type', 'product_line', 'category', 'currency', 'branch']) AS dimension,
            coalesce(unnest(['all', region, customer_type, product_line, category, currency, branch_id]), 'unknown') AS member
        FROM buyer""",
}

BRANCH_DAYS = """
SELECT branch_id, business_date, currency, sum(revenue_amount + return_amount)::DECIMAL(18,2), sum(return_amount)::DECIMAL(18,2),
    sum(revenue_amount)::DECIMAL(18,2), count(*) FILTER (is_receipt), count(*) FILTER (is_basket),
    sum(revenue_amount + return_amount)::DOUBLE / nullif(count(*) FILTER (is_basket), 0),
    sum(sold_item_count)::DOUBLE / nullif(count(*) FILTER (is_basket), 0),
    coalesce(sum(revenue_amount) FILTER (customer_status = 'identified'), 0)::DOUBLE / nullif(sum(revenue_amount)::DOUBLE, 0),
    count(DISTINCT customer_id) FILTER (is_basket),
    sum(return_amount)::DOUBLE / nullif(sum(revenue_amount + return_amount)::DOUBLE, 0)
FROM fct_receipt GROUP BY ALL
"""
BRANCH_DAY_MEASURES = (
    "sales_before_returns", "return_amount", "revenue", "receipts", "baskets", "average_basket", "items_per_basket",
    "identified_share", "customers", "return_rate",
)  # fmt: skip
WEEK_REPURCHASE = """
SELECT branch_id, currency, week, count(*) FILTER (n > 1)::DOUBLE / count(*) FROM (
    SELECT branch_id, currency, date_trunc('week', business_date)::DATE AS week, customer_id, count(*) AS n
    FROM fct_receipt WHERE is_basket AND customer_status = 'identified' GROUP BY ALL
) GROUP BY ALL
"""
WEEK_ANOMALY = """
WITH changes AS (
    SELECT *, lag(starts_on) OVER w = starts_on - 7 AND is_full_week AND lag(is_full_week) OVER w AS is_judged,
        lag(revenue) OVER w AS before
    FROM kpi_branch_week WINDOW w AS (PARTITION BY branch_id, currency ORDER BY starts_on)
), judged AS (
    SELECT *, CASE WHEN is_judged AND before > 0 THEN (revenue - before)::DOUBLE / before::DOUBLE END AS c FROM changes
), centred AS (SELECT *, abs(c - median(c) OVER (PARTITION BY branch_id, currency)) AS deviation,
    median(c) OVER (PARTITION BY branch_id, currency) AS middle FROM judged
)
SELECT branch_id, currency, starts_on, c,
    0.6745 * (c - middle) / nullif(median(deviation) OVER (PARTITION BY branch_id, currency), 0) FROM centred
"""
REPURCHASE = """
WITH w AS (SELECT unnest([NULL, 30, 90, 365]) AS days),
told AS (FROM member JOIN buyer USING (customer_id)),
rates AS (
    SELECT dimension, member, w.days, count(*) FILTER (is_in) AS buyers,
        count(*) FILTER (is_in AND CASE WHEN w.days IS NULL THEN purchases > 1 ELSE is_back END) AS r,
        count(*) FILTER (is_in AND CASE WHEN w.days IS NULL THEN purchase_dates > 1 ELSE is_back END) AS rd
    FROM (SELECT *, w.days IS NULL OR first_date + w.days < getvariable('as_of') AS is_in,
              second_date - first_date <= w.days AS is_back FROM told, w) AS w
    GROUP BY ALL
), customers AS (
    SELECT dimension, member, NULL::INT AS days, median(purchases) AS median_purchases, median(median_gap) AS mm,
        avg(mean_gap) AS am, median(mean_gap) AS ma, avg(second_date - first_date) AS ad, median(second_date - first_date) AS md,
        sum(revenue)::DECIMAL(18,2) AS revenue, sum(revenue)::DOUBLE / count(*) AS each
    FROM told GROUP BY ALL
), gap_members AS (
    SELECT dimension, member, gap_days FROM purchase_day JOIN member USING (customer_id) WHERE dimension <> 'branch'
    UNION ALL SELECT 'branch', branch_id, gap_days FROM purchase_day
), gaps AS (
    SELECT dimension, member, NULL::INT AS days, count(gap_days) AS gaps, count(*) FILTER (gap_days IS NULL) AS open_gaps,
        avg(gap_days) AS mean, median(gap_days) AS median, quantile_cont(gap_days, 0.9) AS p90, max(gap_days) AS longest
    FROM gap_members GROUP BY ALL
)
SELECT rates.dimension, rates.member, rates.days, buyers, r, rd, r::DOUBLE / nullif(buyers, 0), median_purchases, gaps, open_gaps,
    mean, median, p90, longest, ad, md, mm, am, ma, revenue, each
FROM rates
LEFT JOIN customers c ON c.dimension = rates.dimension AND c.member = rates.member AND rates.days IS NULL
LEFT JOIN gaps g ON g.dimension = rates.dimension AND g.member = rates.member AND rates.days IS NULL
"""
REPURCHASE_COLUMNS = (
    "dimension", "member", "window_days", "buyers", "repeat_buyers", "repeat_date_buyers", "repurchase_rate", "median_purchases",
    "gaps", "open_gaps", "mean_days_to_next", "median_days_to_next", "p90_days_to_next", "maximum_days_to_next",
    "mean_days_to_second", "median_days_to_second", "median_of_customer_medians", "mean_of_customer_means",
    "median_of_customer_means", "revenue", "revenue_per_customer",
)  # fmt: skip
COHORT = """
WITH months AS (
    SELECT customer_id, date_trunc('month', visit.business_date)::DATE AS month, bool_or(is_basket) AS is_active,
        sum(revenue_amount) AS revenue
    FROM visit GROUP BY ALL
), cells AS (
    SELECT dimension, member, date_trunc('month', first_date)::DATE AS cohort, datediff('month', first_date, month) AS k,
        count(*) FILTER (is_active) AS active, sum(months.revenue) AS revenue
    FROM months JOIN buyer USING (customer_id) JOIN member USING (customer_id) WHERE month >= cohort GROUP BY ALL
), sizes AS (
    SELECT dimension, member, cohort, active AS size,
        datediff('month', min(cohort) OVER (PARTITION BY dimension, member), getvariable('as_of') - 1) AS last
    FROM cells WHERE k = 0
), grid AS (SELECT dimension, member, cohort, size, unnest(range(0, last + 1)) AS k FROM sizes
), told AS (SELECT *, (cohort + to_months(k::INT))::DATE < getvariable('as_of') AS is_told FROM grid)
SELECT dimension, member, cohort, k::INT, size, CASE WHEN is_told THEN coalesce(active, 0) END,
    CASE WHEN is_told THEN coalesce(active, 0)::DOUBLE / size END, CASE WHEN is_told THEN coalesce(revenue, 0) END::DECIMAL(18,2)
FROM told LEFT JOIN cells USING (dimension, member, cohort, k)
"""
RETENTION = """
WITH active AS (
    SELECT DISTINCT customer_id, date_trunc('quarter', business_date)::DATE AS period, branch_id FROM visit WHERE is_basket
), places AS (
    SELECT DISTINCT customer_id, period, 'branch' AS dimension, branch_id AS member, true AS is_place FROM active
    UNION ALL SELECT DISTINCT customer_id, period, 'region', coalesce(region, 'unknown'), true
        FROM active JOIN (FROM dim_branch WHERE is_current) USING (branch_id)
    UNION ALL SELECT customer_id, period, dimension, member, false FROM (SELECT DISTINCT customer_id, period FROM active)
        JOIN member USING (customer_id) WHERE dimension NOT IN ('branch', 'region')
), persons AS (SELECT DISTINCT customer_id, period FROM active)
SELECT p.dimension, p.member, p.period, count(*), count(*) FILTER (CASE WHEN p.is_place THEN n.member ELSE q.customer_id END
    IS NOT NULL), count(q.customer_id)
FROM places p
LEFT JOIN (FROM places WHERE is_place) n
    ON n.customer_id = p.customer_id AND n.dimension = p.dimension AND n.member = p.member AND n.period = p.period + to_months(3)
LEFT JOIN persons q ON q.customer_id = p.customer_id AND q.period = p.period + to_months(3)
WHERE p.period + to_months(3) < getvariable('as_of') GROUP BY ALL
"""
AFFINITY = """
WITH baskets AS (
    SELECT receipt_key FROM fct_receipt
    WHERE is_basket AND business_date >= getvariable('as_of') - 365 AND business_date < getvariable('as_of')
), items AS (
    SELECT DISTINCT receipt_key, {product} AS product FROM fct_sale_line {joined} SEMI JOIN baskets USING (receipt_key)
    WHERE NOT is_return AND NOT is_voided AND line_type = 'ITEM' AND {product} IS NOT NULL
), counts AS (SELECT product, count(*) AS n FROM items GROUP BY 1 HAVING n >= 50
), often AS (FROM items SEMI JOIN counts USING (product)
), pairs AS (
    SELECT a.product AS pa, b.product AS pb, count(*) AS n FROM often a JOIN often b USING (receipt_key)
    WHERE a.product < b.product GROUP BY ALL HAVING n >= 10
)
SELECT pa, pb, a.n, b.n, pairs.n, (SELECT count(*) FROM baskets),
    pairs.n::DOUBLE * (SELECT count(*) FROM baskets) / (a.n::DOUBLE * b.n)
FROM pairs JOIN counts a ON a.product = pa JOIN counts b ON b.product = pb
"""
CUSTOMERS = fields_sql("getvariable('as_of')")
FIELDS = (
    "as_of", "customer_id", "customer_type", "home_branch_id", "home_region", "favourite_branch_id", "currency",
    "first_purchase_date", "last_purchase_date", "inactivity_days", "tenure_days", "purchase_count", "purchase_dates",
    "active_weeks_13", "gap_count", "median_gap_days", "revenue_total", "sales_total", "largest_basket", "discount_amount",
    "return_count", "return_amount", "main_return_reason", "favourite_category", "favourite_weekday", "favourite_channel",
    "channels", "online_count", "recency_score", "frequency_score", "monetary_score",
)  # fmt: skip
AFFINITY_COLUMNS = ("product_a", "product_b", "receipts_a", "receipts_b", "receipts_both", "receipts_all", "lift")
BY_GROUP = Affinity(level="category_l2")


def _branch_days(star: Star) -> DataFrame:
    open_view(star.store)
    return ask(star.store, BRANCH_DAY_MEASURES, ("branch_id", "business_date", "currency"))


def _week_anomaly(star: Star) -> DataFrame:
    weeks = star.kpi_branch_week.select(*branch_week.MEASURED)
    none = star.store.spark.createDataFrame([], branch_week.LAST_YEARS)
    scored = branch_week.to_kpi_branch_week(weeks, star.dim_branch, none, KpiRules())
    return scored.select("branch_id", "currency", "starts_on", "change", "deviation_score")


def _week_repurchase(star: Star) -> DataFrame:
    rates = to_week_repurchase(star.fct_receipt, None)
    return rates.select("branch_id", "currency", "starts_on", "repurchase_rate")


def _repurchase(star: Star) -> DataFrame:
    rows = to_kpi_repurchase(star.days, star.buyers, as_of=star.as_of, windows=RULES.repurchase_windows)
    return rows.select(*REPURCHASE_COLUMNS)


def _cohort(star: Star) -> DataFrame:
    rows = to_kpi_cohort(star.visits, star.buyers, as_of=star.as_of)
    names = ("dimension", "member", "cohort_month", "month_number", "cohort_size", "active_customers", "retention", "revenue")
    return rows.select(*names)


def _retention(star: Star) -> DataFrame:
    rows = to_kpi_retention(star.visits, star.buyers, star.dim_branch, as_of=star.as_of, every="quarter")
    return rows.select("dimension", "member", "from_period", "active_before", "active_both", "active_both_anywhere")


def _affinity(star: Star) -> DataFrame:
    rows = to_product_affinity(star.fct_receipt, star.fct_sale_line, star.dim_product, RULES.affinity, as_of=star.as_of)
    return rows.select(*AFFINITY_COLUMNS)


def _affinity_of_groups(star: Star) -> DataFrame:
    rows = to_product_affinity(star.fct_receipt, star.fct_sale_line, star.dim_product, BY_GROUP, as_of=star.as_of)
    return rows.select(*AFFINITY_COLUMNS)


def _fields(star: Star) -> DataFrame:
    rows = insight_step.fields_of(star.store, RULES, star.as_of)
    return rows.where("currency IS NOT NULL").select(*FIELDS, *RATIOS)


CASES = (
    Case("8-10, 14 customers", _fields, len(FIELDS), f"SELECT {', '.join((*FIELDS, *RATIOS))} FROM ({CUSTOMERS})"),
    Case("1-7, 19 branch and day", _branch_days, 3, BRANCH_DAYS),
    Case("20 anomalies of weeks", _week_anomaly, 3, WEEK_ANOMALY),
    Case("11 repurchase of weeks", _week_repurchase, 3, WEEK_REPURCHASE),
    Case("11, 12 repurchase and gaps", _repurchase, 3, REPURCHASE),
    Case("13 cohorts", _cohort, 4, COHORT),
    Case("16b retention", _retention, 3, RETENTION),
    Case("18 affinity of products", _affinity, 2, AFFINITY.format(product="product_id", joined="")),
    Case("18 affinity of groups", _affinity_of_groups, 2,
         AFFINITY.format(product="category_l2", joined="JOIN dim_product USING (product_key)")),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench kpi", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "kpi", help="folder to work in (.bench/kpi)")
    parser.add_argument("--lines", type=int, default=Sizes().lines, help=f"({Sizes().lines})")
    parser.add_argument("--keep", action="store_true", help="leave the lake there")
    parser.add_argument("--lake", type=Path, help="folder of a lake with gold, which stays as it is: its figures alone")
    add_sizes(parser)
    given = parser.parse_args()
    os.environ.setdefault("TILLHOUSE_TOKEN_KEY", secrets.token_hex(32))
    if given.lake:
        return 0 if bench_all(open_store(given.lake.resolve())) else 1
    folder: Path = given.out.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    sizes = sizes_of(given, given.lines)
    store = open_store(folder)
    made, config = Made(store.spark, sizes), conf_of(folder)
    say(f"{sizes.lines:,} lines, {sizes.branches:,} branches, {sizes.days:,} days, {sizes.customers:,} customers")
    made.write(store)
    run_steps(store, config, "gold", "gold")
    full = {step: measure(partial(run_steps, store, config, step, step)) for step in STEPS}
    is_compared = bench_all(store)
    made.add(store, sizes.receipts, sizes.first_of(sizes.days + 1))
    run_steps(store, config, "gold", "gold")
    one_day = {step: measure(partial(run_steps, store, config, step, step)) for step in STEPS}
    say(f"\n{'':<10} {'all: wall s':>12} {'CPU s':>8} {'a day: wall s':>14} {'CPU s':>8} {'of all':>7}")
    for step, cost in full.items():
        then = one_day[step]
        say(f"{step:<10} {cost.wall:12.1f} {cost.cpu:8.1f} {then.wall:14.1f} {then.cpu:8.1f} {then.cpu / cost.cpu:7.1%}")
    say("what is known of customers as of a day, and what follows from it (8 to 18), is made anew for each day")
    with open_lake(store, as_of_all(store)) as grown:
        bench(CASES[0], Star(store, as_of_all(store)), grown)
    if not given.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if is_compared else 1


def open_store(folder: Path) -> Store:
    return Store(open_session("bench kpi", CONF), str(folder / "lake"), str(folder / "vault"))


def as_of_all(store: Store) -> date:
    """The day after the last receipt."""
    last: date = store.read(gold.FCT_RECEIPT).agg(F.max("business_date")).collect()[0][0]
    return last + timedelta(days=1)


def bench_all(store: Store) -> bool:
    """Each case as of the day after the last receipt; returns whether each had something to compare."""
    star = Star(store, as_of_all(store))
    say(f"{star.fct_sale_line.count():,} lines, {star.fct_receipt.count():,} receipts, as of {star.as_of}")
    say(f"\n{'':<28} {'rows':>9} {'wall s':>8} {'DuckDB':>8} {'ratio':>6} {'CPU s':>8} {'DuckDB':>8} {'ratio':>6}")
    with open_lake(store, star.as_of) as lake:
        report("shared by 11, 12, 13, 16b", 0, measure(star.prepare), measure(lambda: prepare(lake)))
        empty = [case.name for case in CASES if not bench(case, star, lake)]
    if empty:
        say(f"nothing to compare: {', '.join(empty)}")
    say(f"memory {peak_gib():.1f} GiB at most; every row above is equal on both sides")
    return not empty


def bench(case: Case, star: Star, lake: duckdb.DuckDBPyConnection) -> int:
    """One figure on both sides; returns how many rows it has, and stops the benchmark where one differs."""

    def ours() -> Sequence[str]:
        lake.register("_ours", case.ours(star).toArrow())
        return ()

    def theirs() -> Sequence[str]:
        names = ", ".join(f'"{name}"' for name in lake.table("_ours").columns)
        lake.execute(f"CREATE OR REPLACE TABLE theirs AS FROM ({case.sql}) AS t({names})")
        return ()

    costs = measure(ours), measure(theirs)
    lake.execute("CREATE OR REPLACE TABLE ours AS FROM _ours")
    counts = [len(lake.table(side)) for side in ("ours", "theirs")]
    differing = lake.sql(to_difference(lake, case.keys)).fetchall()
    if differing or counts[0] != counts[1]:
        raise SystemExit(f"{case.name}: {counts[0]} rows of tillhouse, {counts[1]} of DuckDB; differing: {differing[:5]}")
    report(case.name, counts[0], *costs)
    return counts[0]


def to_difference(lake: duckdb.DuckDBPyConnection, keys: int) -> str:
    """SQL for the rows that one side has alone, or in which a figure differs."""
    pairs = [(f'o."{name}"', f't."{name}"') for name in lake.table("ours").columns]
    same = " AND ".join(f"{one} IS NOT DISTINCT FROM {other}" for one, other in pairs[:keys])
    alike = " AND ".join(
        f"coalesce(abs({one}::DOUBLE - {other}::DOUBLE) <= {NEAR} * greatest(1, abs({other}::DOUBLE)), "
        f"{one} IS NULL AND {other} IS NULL)"
        for one, other in pairs[keys:]
    )
    return f"FROM ours o FULL JOIN theirs t ON {same} WHERE NOT ({same}) OR NOT ({alike}) LIMIT 5"


def report(name: str, rows: int, ours: Cost, theirs: Cost) -> None:
    wall, cpu = ours.wall / max(theirs.wall, 0.01), ours.cpu / max(theirs.cpu, 0.01)
    say(f"{name:<28} {rows:>9,} {ours.wall:8.1f} {theirs.wall:8.1f} {wall:6.1f} {ours.cpu:8.1f} {theirs.cpu:8.1f} {cpu:6.1f}")


def open_lake(store: Store, as_of: date) -> duckdb.DuckDBPyConnection:
    """The files of gold in DuckDB."""
    lake = duckdb.connect()
    lake.execute(f"SET TimeZone = 'UTC'; SET VARIABLE as_of = DATE '{as_of}'")
    for table in READ:
        files = DeltaTable(store.path(table)).file_uris()
        lake.read_parquet(files, hive_partitioning=True).create_view(table.name)
    return lake


def prepare(lake: duckdb.DuckDBPyConnection) -> Sequence[str]:
    for name, query in PREPARED.items():
        lake.execute(f"CREATE TABLE {name} AS {query}")
    return ()


def conf_of(folder: Path) -> Config:
    return load_config(ROOT / "conf", *(str(folder / name) for name in ("lake", "vault", "landing")))


def run_steps(store: Store, config: Config, first: str, last: str | None = None) -> Sequence[str]:
    """Steps of the pipeline; their audit must agree."""
    now = utc_now()
    run = Run(store, config, new_run_id(now), now)
    pipeline.run(run, pipeline.select(from_step=first, to_step=last))
    pipeline.check_audit(run)
    return ()


if __name__ == "__main__":
    raise SystemExit(main())
