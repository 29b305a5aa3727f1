"""What is known of each customer as of a day: purchases, rhythm, returns, places, support. The source of segments and the score.

Every function works on several days at once: ``periods`` has a row per day ``as_of``, and counts what happened before it, from
``first_date`` on (NULL: since ever).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.insight.figures import ratio
from tillhouse.insight.rules import InsightRules
from tillhouse.insight.statistics import gaps, median
from tillhouse.tables.gold_customers import CUSTOMER_STATE, LATER
from tillhouse.tables.line_parts import IS_SOLD, LINE_PARTS

PERIODS = "as_of DATE, first_date DATE"
KEY = ["as_of", "customer_id"]
TIES = ("first_purchase_date", "smallest_receipt_key")
_WEEKS = 13


@dataclass(frozen=True)
class Sources:
    """The tables of gold that tell of customers."""

    receipts: DataFrame
    lines: DataFrame
    products: DataFrame
    returns: DataFrame
    customers: DataFrame
    branches: DataFrame
    contacts: DataFrame
    tickets: DataFrame
    open_items: DataFrame


def to_fields(
    sources: Sources, periods: DataFrame, categories: DataFrame, rules: InsightRules, *, ties: Sequence[str] = TIES
) -> DataFrame:
    """One row per day and customer of whom something is told before it, with the columns that rules and criteria may name.

    ``categories``: of ``to_categories``, for the same periods. Amounts are those of the currency of the most purchases.
    """
    visits = to_visits(sources.receipts, periods, rules)
    support = to_support(sources, periods)
    keys = union([visits.select(*KEY), support.select(*KEY)]).distinct()
    known = (
        keys.join(to_purchases(visits), on=KEY, how="left")
        .join(to_places(visits), on=KEY, how="left")
        .join(to_channels(visits), on=KEY, how="left")
        .join(to_returned(sources.returns, visits), on=KEY, how="left")
        .join(support, on=KEY, how="left")
    )
    return (
        known.transform(with_favourite_category, categories)
        .transform(with_attributes, sources.customers, sources.branches)
        .transform(with_ratios)
        .transform(with_rfm, rules.rfm_ties, ties)
        .transform(_conform)
    )


def to_visits(receipts: DataFrame, periods: DataFrame, rules: InsightRules) -> DataFrame:
    """The receipts of customers, once for each period in which they lie. Anonymous and unclear ones are nobody's."""
    is_online = F.lower("channel").isin(list(rules.online_channels)) | (F.col("fulfilment") == "ship")
    told = receipts.where("customer_id IS NOT NULL").select(
        "receipt_key", "customer_id", "branch_id", "business_date", "started_at", "currency", "is_basket", "channel",
        "revenue_amount", "return_amount", "discount_amount",
        F.coalesce(is_online, F.lit(False)).alias("is_online"),
    )  # fmt: skip
    return in_periods(told, periods, "business_date")


def in_periods(rows: DataFrame, periods: DataFrame, day: str) -> DataFrame:
    """Rows once for each period in which their day lies, with its ``as_of``."""
    is_within = (F.col(day) < F.col("as_of")) & (F.col("first_date").isNull() | (F.col(day) >= F.col("first_date")))
    return rows.join(F.broadcast(periods), on=is_within, how="inner").drop("first_date")


def to_purchases(visits: DataFrame) -> DataFrame:
    """Counts, dates and amounts of each customer; the amounts of the currency in which most was bought."""
    basket = F.col("is_basket")
    weekday = F.weekday("business_date")
    sales = F.col("revenue_amount") + F.col("return_amount")
    of_currency = visits.groupBy(*KEY, "currency").agg(
        F.count_if(basket).alias("_purchases"),
        F.collect_set(F.when(basket, F.col("business_date"))).alias("_dates"),
        F.min(F.when(basket, F.col("receipt_key"))).alias("_smallest"),
        F.count_if(basket & F.col("is_online")).alias("_online"),
        F.array(*(F.count_if(basket & (weekday == day)) for day in range(7))).alias("_weekdays"),
        F.sum("revenue_amount").cast("DECIMAL(18,2)").alias("revenue_total"),
        F.sum(sales).cast("DECIMAL(18,2)").alias("sales_total"),
        F.max(F.when(basket, sales)).cast("DECIMAL(18,2)").alias("largest_basket"),
        F.sum("discount_amount").cast("DECIMAL(18,2)").alias("discount_amount"),
        F.sum("return_amount").cast("DECIMAL(18,2)").alias("return_amount"),
    )
    amounts = ("currency", "_purchases", "revenue_total", "sales_total", "largest_basket", "discount_amount", "return_amount")
    usual = F.min_by(F.struct(*amounts), F.struct(-F.col("_purchases"), F.col("currency")))
    weekdays = [F.sum(F.element_at("_weekdays", day + 1)) for day in range(7)]
    of_customer = of_currency.groupBy(*KEY).agg(
        usual.alias("_usual"),
        F.sum("_purchases").alias("purchase_count"),
        F.array_sort(F.array_distinct(F.flatten(F.collect_list("_dates")))).alias("_dates"),
        F.min("_smallest").alias("smallest_receipt_key"),
        F.sum("_online").alias("online_count"),
        F.array(*weekdays).alias("_weekdays"),
    )
    amounts_of_it = {("_usual_purchases" if name == "_purchases" else name): F.col(f"_usual.{name}") for name in amounts}
    return of_customer.withColumns(amounts_of_it).transform(_with_rhythm).drop("_usual", "_dates", "_weekdays")


def _with_rhythm(customers: DataFrame) -> DataFrame:
    """First and last date, gaps and weeks of what was bought. ``_dates``: distinct dates with a purchase, in order."""
    count = F.size("_gaps")
    total = F.aggregate("_gaps", F.lit(0), lambda sum_, gap: sum_ + gap)
    ages = F.transform("_dates", lambda day: F.floor((F.date_diff(F.col("as_of"), day) - 1) / 7).cast("int"))
    weeks = F.size(F.array_distinct(F.filter(ages, lambda week: week < _WEEKS)))
    busiest = F.array_position("_weekdays", F.array_max("_weekdays")).cast("int")
    rows = customers.withColumns(
        {
            "_gaps": gaps(F.col("_dates")),
            "first_purchase_date": F.try_element_at("_dates", F.lit(1)),
            "last_purchase_date": F.try_element_at("_dates", F.lit(-1)),
            "purchase_dates": F.size("_dates").cast("bigint"),
            "active_weeks_13": weeks,
            "favourite_weekday": F.when(F.size("_dates") > 0, busiest),
        }
    )
    return rows.withColumns(
        {
            "gap_count": count,
            "median_gap_days": F.when(count > 0, median(F.col("_gaps"), "DECIMAL(9,1)")),
            "mean_gap_days": F.when(count > 0, ratio(total, count)),
            "inactivity_days": F.date_diff("as_of", "last_purchase_date"),
            "tenure_days": F.date_diff("as_of", "first_purchase_date"),
        }
    ).drop("_gaps")


def to_places(visits: DataFrame) -> DataFrame:
    """Home branch (most purchases in the last 12 months) and favourite branch (most of all); tie: the most recent."""
    latest = F.max(F.struct("business_date", "started_at", "receipt_key"))
    is_recent = F.col("business_date") >= F.add_months("as_of", -12)
    counted = visits.where("is_basket").groupBy(*KEY, "branch_id").agg(
        F.count_if(is_recent).alias("_recent"), F.count("*").alias("_all"), latest.alias("_latest")
    )  # fmt: skip
    recent = F.when(F.col("_recent") > 0, F.struct("_recent", "_latest"))
    return counted.groupBy(*KEY).agg(
        F.max_by("branch_id", recent).alias("home_branch_id"),
        F.max_by("branch_id", F.struct("_all", "_latest")).alias("favourite_branch_id"),
    )


def to_channels(visits: DataFrame) -> DataFrame:
    """The order channel of the most purchases; tie: the first by name."""
    counted = visits.where("is_basket AND channel IS NOT NULL").groupBy(*KEY, "channel").agg(F.count("*").alias("_count"))
    most = F.min_by("channel", F.struct(-F.col("_count"), F.col("channel")))
    return counted.groupBy(*KEY).agg(most.alias("favourite_channel"))


def to_returned(returns: DataFrame, visits: DataFrame) -> DataFrame:
    """Returned lines and their main reason, of the customer who brought them back. ``returns``: gold.fct_return."""
    of_customer = returns.select("receipt_key", "reason", "gross_amount").join(
        visits.select("receipt_key", *KEY), on="receipt_key", how="inner"
    )
    of_reason = of_customer.groupBy(*KEY, "reason").agg(F.count("*").alias("_lines"), F.sum("gross_amount").alias("_amount"))
    order = F.when(F.col("reason").isNotNull(), F.struct(-F.col("_lines"), F.col("_amount"), F.col("reason")))
    return of_reason.groupBy(*KEY).agg(
        F.sum("_lines").alias("return_count"), F.min_by("reason", order).alias("main_return_reason")
    )


def to_support(sources: Sources, periods: DataFrame) -> DataFrame:
    """Contacts, support cases, late invoices and dunning notices of each customer, as they stood on the day."""
    contacts = _dated(sources.contacts.where("is_contact"), "contacted_on", periods)
    tickets = _dated(sources.tickets, "opened_on", periods, "ticket_type", "closed_on", "is_open")
    items = _dated(sources.open_items, "issued_on", periods, "item_type", "due_on", "paid_on")
    is_open = F.when(F.col("closed_on").isNotNull(), F.col("closed_on") >= F.col("as_of")).otherwise(F.col("is_open"))
    is_due = (F.col("item_type") == "invoice") & (F.col("due_on") < F.col("as_of"))
    is_late = is_due & (F.col("paid_on").isNull() | (F.col("paid_on") > F.col("due_on")))
    told = {
        "contact_count": contacts.withColumn("_counts", F.lit(1)),
        "ticket_count": tickets.withColumn("_counts", F.lit(1)),
        "complaint_count": tickets.withColumn("_counts", (F.col("ticket_type") == "complaint").cast("int")),
        "open_ticket_count": tickets.withColumn("_counts", is_open.cast("int")),
        "invoice_count": items.withColumn("_counts", is_due.cast("int")),
        "late_invoice_count": items.withColumn("_counts", is_late.cast("int")),
        "dunning_count": items.withColumn("_counts", (F.col("item_type") == "dunning").cast("int")),
    }
    events = union([rows.select(*KEY, F.lit(name).alias("_name"), "_counts") for name, rows in told.items()])
    sums = {name: F.coalesce(F.sum(F.when(F.col("_name") == name, F.col("_counts"))), F.lit(0)) for name in told}
    return events.groupBy(*KEY).agg(*(value.cast("bigint").alias(name) for name, value in sums.items()))


def _dated(records: DataFrame, day: str, periods: DataFrame, *columns: str) -> DataFrame:
    return in_periods(records.where("customer_id IS NOT NULL").select("customer_id", day, *columns), periods, day)


def to_categories(sources: Sources, periods: DataFrame) -> DataFrame:
    """What each customer spent by product group: revenue, its share, and the purchases in which such goods were sold.

    The share is that of all revenue of the customer's receipts in the same currency; NULL where that is 0 or less.
    """
    told = sources.receipts.where("customer_id IS NOT NULL")
    receipts = told.select("receipt_key", "customer_id", "currency", "is_basket", "business_date", "revenue_amount")
    groups = sources.products.where("category_l1 IS NOT NULL").select("product_key", "category_l1")
    parts = sources.lines.select(
        "receipt_key", "product_key", F.expr(LINE_PARTS["revenue_amount"]).alias("_revenue"), F.expr(IS_SOLD).alias("_is_sold")
    )
    of_receipt = (
        parts.join(receipts.drop("revenue_amount"), on="receipt_key", how="inner")
        .join(groups, on="product_key", how="inner")
        .groupBy("customer_id", "currency", "category_l1", "receipt_key", "business_date")
        .agg(F.sum("_revenue").alias("_revenue"), F.max(F.col("_is_sold") & F.col("is_basket")).alias("_is_sold"))
    )
    keys = [*KEY, "currency"]
    spent = in_periods(of_receipt, periods, "business_date").groupBy(*keys, "category_l1").agg(
        F.sum("_revenue").cast("DECIMAL(18,2)").alias("category_revenue"),
        F.count_if("_is_sold").alias("category_purchase_count"),
    )  # fmt: skip
    totals = in_periods(receipts, periods, "business_date").groupBy(*keys).agg(F.sum("revenue_amount").alias("_total"))
    share = F.when(F.col("_total") > 0, ratio(F.col("category_revenue"), F.col("_total")))
    return spent.join(totals, on=keys, how="inner").withColumn("category_share", share).drop("_total")


def with_favourite_category(customers: DataFrame, categories: DataFrame) -> DataFrame:
    """Add the product group with the most revenue; tie: the first by name. Groups with nothing left of them are none."""
    best = F.min_by(
        F.struct("category_l1", "category_share"), F.struct(-F.col("category_revenue"), F.col("category_l1"))
    )  # fmt: skip
    favourite = categories.where("category_revenue > 0").groupBy(*KEY, "currency").agg(best.alias("_best"))
    named = favourite.select(
        *KEY, "currency", F.col("_best.category_l1").alias("favourite_category"),
        F.col("_best.category_share").alias("favourite_category_share"),
    )  # fmt: skip
    return customers.join(named, on=[*KEY, "currency"], how="left")


def with_attributes(customers: DataFrame, members: DataFrame, branches: DataFrame) -> DataFrame:
    """Add what dimensions told of customer and home branch on the day before ``as_of``."""
    attributes = ("customer_type", "age_band", "postal_area", "country", "language")
    told = members.select("customer_id", "valid_from", "valid_to", *attributes)
    places = branches.select(F.col("branch_id").alias("home_branch_id"), "valid_from", "valid_to", "region")
    known = customers.select(*KEY).join(told, on="customer_id", how="inner").where(_holds())
    known = known.select(*KEY, *attributes)
    regions = customers.select("as_of", "home_branch_id").distinct().join(F.broadcast(places), on="home_branch_id", how="inner")
    regions = regions.where(_holds()).select("as_of", "home_branch_id", F.col("region").alias("home_region"))
    joined = customers.join(known, on=KEY, how="left").join(F.broadcast(regions), on=["as_of", "home_branch_id"], how="left")
    return joined.withColumn("customer_type", F.coalesce("customer_type", F.lit("B2C")))


def _holds() -> Column:
    return (F.col("valid_from") < F.col("as_of")) & (F.col("valid_to").isNull() | (F.col("valid_to") >= F.col("as_of")))


def with_ratios(customers: DataFrame) -> DataFrame:
    """Add averages, shares and rates; NULL where there is nothing to divide by."""
    undiscounted = F.col("sales_total") + F.col("discount_amount")
    shops = F.when(F.col("online_count") == 0, "store").when(F.col("online_count") == F.col("purchase_count"), "online")
    return customers.withColumns(
        {
            "average_basket": ratio(F.col("sales_total"), F.col("_usual_purchases")),
            "discount_share": ratio(F.col("discount_amount"), undiscounted),
            "return_rate": ratio(F.col("return_amount"), F.col("sales_total")),
            "channels": F.when(F.col("purchase_count") > 0, shops.otherwise("both")),
        }
    )


def with_rfm(customers: DataFrame, ties: str, tie_keys: Sequence[str] = TIES) -> DataFrame:
    """Add quintiles 1..5 (5 best) of recency, frequency and revenue among those who have bought: KPI 14.

    SQL NTILE over a total order: equal values are told apart by ``tie_keys``, in this order, unless ``ties`` is ``equal``: then
    they all have the lowest of their quintiles. Revenue is compared within a currency.
    """
    has_bought = F.coalesce(F.col("purchase_count") > 0, F.lit(False))
    values: dict[str, tuple[Column, list[Column | str]]] = {
        "recency_score": (-F.col("inactivity_days"), []),
        "frequency_score": (F.col("purchase_count"), []),
        "monetary_score": (F.col("revenue_total"), [F.col("currency")]),
    }
    scores = {}
    for name, (value, within) in values.items():
        population = [F.col("as_of"), has_bought, *within]
        score = F.ntile(5).over(Window.partitionBy(*population).orderBy(value, *tie_keys))
        scores[name] = (score, Window.partitionBy(*population, value))
    ranked = customers.withColumns({name: score for name, (score, _) in scores.items()})
    if ties == "equal":
        ranked = ranked.withColumns({name: F.min(name).over(equal) for name, (_, equal) in scores.items()})
    return ranked.withColumns({name: F.when(has_bought, F.col(name)) for name in values})


def _conform(customers: DataFrame) -> DataFrame:
    """The fields of the contract with its types; what is counted is 0 where there is none."""
    struct = [field for field in CUSTOMER_STATE.struct if field.name not in LATER]
    columns = []
    for field in struct:
        value = F.col(field.name).cast(field.dataType)
        is_sum = not field.nullable and field.name not in (*KEY, "customer_type")
        columns.append((F.coalesce(value, F.lit(0).cast(field.dataType)) if is_sum else value).alias(field.name))
    return customers.select(*columns)
