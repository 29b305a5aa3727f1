"""Gold: whether customers come back, when, with what, and what is bought together."""

from __future__ import annotations

from tillhouse.tables.contract import Table

_OF = """
        as_of DATE NOT NULL COMMENT 'the figures are of all that happened before this day',
        dimension STRING NOT NULL COMMENT 'what the row is told by, see member; rows of different dimensions are never added',
"""
_MEMBER = (
    "all; branch, region and customer_type: of the first purchase; product_line and category: that with the most revenue in it, "
    "tie: the first by name; currency: that of the most purchases; unknown where it is not known; "
)
_PLACE = (
    "all; branch and region: where they have bought in the first period; segment: as of from_period; others: see kpi_repurchase"
)
_CONTACT = "all; kind: campaign or lead; campaign: source: campaign_id; channel: of the first contact; unknown where not known"

KPI_REPURCHASE = Table(
    schema="gold",
    name="kpi_repurchase",
    grain="one row per as_of, member of a dimension and window; figures that belong to no window are in the row without one",
    columns=f"""
        {_OF.strip()}
        member STRING NOT NULL COMMENT '{_MEMBER}segment (rule set: segment): as of as_of',
        window_days INT COMMENT 'a further trading day with a purchase at most that many days after the first; NULL: no limit',
        buyers BIGINT NOT NULL COMMENT 'customers with a purchase; with a window those whose first date + window_days < as_of',
        repeat_buyers BIGINT NOT NULL COMMENT 'of these, with a second purchase, on the same day too; in a window on another day',
        repeat_date_buyers BIGINT NOT NULL COMMENT 'of these, with a purchase on a second trading day',
        repurchase_rate DECIMAL(28,12) COMMENT 'KPI 11: repeat_buyers / buyers',
        repurchase_date_rate DECIMAL(28,12) COMMENT 'KPI 11: repeat_date_buyers / buyers',
        purchases BIGINT COMMENT 'KPI 8: purchases of these customers; NULL in a window',
        mean_purchases DECIMAL(28,12) COMMENT 'purchases / buyers; NULL in a window',
        median_purchases DECIMAL(28,12) COMMENT 'median purchases of a customer; NULL in a window',
        gaps BIGINT COMMENT 'KPI 12: gaps between trading days with a purchase; a branch has those after a day that ended there',
        open_gaps BIGINT COMMENT 'KPI 12: customers whose last gap is open, one each; by branch where they have bought last',
        mean_days_to_next DECIMAL(28,12) COMMENT 'KPI 12: mean days of the gaps that are closed; NULL in a window',
        median_days_to_next DECIMAL(28,12) COMMENT 'KPI 12: their median, interpolated; NULL in a window',
        p90_days_to_next DECIMAL(28,12) COMMENT 'KPI 12: nine tenths are at most that long, interpolated; NULL in a window',
        maximum_days_to_next INT COMMENT 'KPI 12: the longest of them; NULL in a window',
        mean_days_to_second DECIMAL(28,12) COMMENT 'mean days from the first to the second trading day with a purchase',
        median_days_to_second DECIMAL(28,12) COMMENT 'their median; NULL in a window',
        median_of_customer_medians DECIMAL(28,12) COMMENT 'median over customers of the median days of their gaps',
        mean_of_customer_means DECIMAL(28,12) COMMENT 'mean over customers of the mean days of their gaps',
        median_of_customer_means DECIMAL(28,12) COMMENT 'median over customers of the mean days of their gaps',
        currency STRING COMMENT 'ISO 4217: that of the most of these customers; tie: the first by name',
        currency_buyers BIGINT COMMENT 'customers whose currency it is: the amounts are theirs alone; NULL in a window',
        revenue DECIMAL(18,2) COMMENT 'KPI 10: their revenue in it with VAT, returns subtracted; NULL in a window',
        revenue_per_customer DECIMAL(28,12) COMMENT 'revenue / currency_buyers; NULL in a window',
        average_basket DECIMAL(28,12) COMMENT 'KPI 5: their sales before returns in it / purchases in it; NULL in a window'
    """,
    key=("as_of", "dimension", "member", "window_days"),
    sort_by=("as_of", "dimension", "member"),
)

KPI_COHORT = Table(
    schema="gold",
    name="kpi_cohort",
    grain="one row per as_of, member of a dimension, currency, month of first purchase and month after it",
    columns=f"""
        {_OF.strip()}
        member STRING NOT NULL COMMENT '{_MEMBER}segment (rule set: segment): as of as_of',
        currency STRING NOT NULL COMMENT 'ISO 4217: that of the customers most purchases; each customer is in one currency',
        cohort_month DATE NOT NULL COMMENT 'first day of the month of the first purchase',
        month_number INT NOT NULL COMMENT 'months after it, from 0 to the last of the oldest cohort of the member',
        cohort_size BIGINT NOT NULL COMMENT 'customers whose first purchase is in cohort_month',
        active_customers BIGINT COMMENT 'KPI 13: of these, with a purchase in the month; NULL where it begins on as_of or later',
        retention DECIMAL(28,12) COMMENT 'KPI 13: active_customers / cohort_size; NULL where it begins on as_of or later',
        revenue DECIMAL(18,2) COMMENT 'their revenue in the month in currency, returns subtracted; NULL as active_customers',
        is_partial BOOLEAN NOT NULL COMMENT 'as_of lies within the month: it is not over, and more may come'
    """,
    key=("as_of", "dimension", "member", "currency", "cohort_month", "month_number"),
    sort_by=("as_of", "dimension", "member", "cohort_month"),
)

KPI_RETENTION = Table(
    schema="gold",
    name="kpi_retention",
    grain="one row per as_of, pair of periods that follow each other, and member of a dimension with a customer in the first",
    columns=f"""
        {_OF.strip()}
        member STRING NOT NULL COMMENT '{_PLACE}',
        every STRING NOT NULL COMMENT 'month or quarter: length of both periods',
        from_period DATE NOT NULL COMMENT 'first day of the first period',
        to_period DATE NOT NULL COMMENT 'first day of the period after it',
        active_before BIGINT NOT NULL COMMENT 'customers with a purchase in the first period; by branch and region, one there',
        active_both BIGINT NOT NULL COMMENT 'of these, with a purchase in the second; by branch and region, with one there again',
        active_both_anywhere BIGINT NOT NULL COMMENT 'of these, with a purchase in the second anywhere in the chain',
        retention_rate DECIMAL(28,12) COMMENT 'KPI 16b: active_both / active_before',
        churn_rate DECIMAL(28,12) COMMENT 'KPI 16b: 1 - retention_rate',
        is_partial BOOLEAN NOT NULL COMMENT 'the second period is not over before as_of: more may come back'
    """,
    key=("as_of", "every", "from_period", "dimension", "member"),
    sort_by=("as_of", "dimension", "member", "from_period"),
)

KPI_CONVERSION = Table(
    schema="gold",
    name="kpi_conversion",
    grain="one row per as_of and member of a dimension with a first contact",
    columns=f"""
        {_OF.strip()}
        member STRING NOT NULL COMMENT '{_CONTACT}',
        contacts BIGINT NOT NULL COMMENT 'first contacts of a customer by a campaign, or of one who had not bought yet (lead)',
        converted BIGINT NOT NULL COMMENT 'of these, followed by a purchase of the customer',
        open BIGINT NOT NULL COMMENT 'of these, not followed by one before as_of',
        conversion_rate DECIMAL(28,12) COMMENT 'converted / contacts',
        mean_days DECIMAL(28,12) COMMENT 'KPI 16c: mean days to the next purchase of those converted',
        median_days DECIMAL(28,12) COMMENT 'KPI 16c: their median, interpolated',
        p90_days DECIMAL(28,12) COMMENT 'KPI 16c: nine tenths have bought after at most that many days, interpolated',
        maximum_days INT COMMENT 'KPI 16c: the longest of them'
    """,
    key=("as_of", "dimension", "member"),
    sort_by=("as_of", "dimension", "member"),
)

PRODUCT_AFFINITY = Table(
    schema="gold",
    name="product_affinity",
    grain="one row per as_of and pair of frequent products, or product groups, that are often bought together",
    columns="""
        as_of DATE NOT NULL COMMENT 'the baskets are those of the window before this day, see conf/insight.yml',
        level STRING NOT NULL COMMENT 'what a and b are: product_id, category_l3 or category_l2, see conf/insight.yml',
        product_a STRING NOT NULL COMMENT 'one of the pair, the first by name',
        product_b STRING NOT NULL COMMENT 'the other',
        receipts_a BIGINT NOT NULL COMMENT 'purchases with a',
        receipts_b BIGINT NOT NULL COMMENT 'purchases with b',
        receipts_both BIGINT NOT NULL COMMENT 'purchases with both',
        receipts_all BIGINT NOT NULL COMMENT 'all purchases of the window, those without customer or lines too',
        support DECIMAL(28,12) COMMENT 'KPI 18: receipts_both / receipts_all',
        confidence DECIMAL(28,12) COMMENT 'KPI 18: receipts_both / receipts_a, of those who take a the share that takes b',
        confidence_back DECIMAL(28,12) COMMENT 'KPI 18: receipts_both / receipts_b, of those who take b the share that takes a',
        lift DECIMAL(28,12) COMMENT 'KPI 18: receipts_both x receipts_all / (receipts_a x receipts_b); 1 is chance'
    """,
    key=("as_of", "level", "product_a", "product_b"),
    sort_by=("as_of", "product_a"),
)

TABLES = (KPI_REPURCHASE, KPI_COHORT, KPI_RETENTION, KPI_CONVERSION, PRODUCT_AFFINITY)
