"""Gold: what changes with a customer from day to day."""

from __future__ import annotations

from tillhouse.tables.contract import Table

# What is computed of each customer, and what conditions of segments and criteria of the score may name.
FIELDS = """
        as_of DATE NOT NULL COMMENT 'the figures are of all that happened before this day',
        customer_id STRING NOT NULL COMMENT 'random neutral id',
        customer_type STRING NOT NULL COMMENT 'B2C or B2B, as it was on the day before as_of',
        age_band STRING COMMENT 'age band, see gold.dim_customer, as it was then',
        postal_area STRING COMMENT 'first two digits of the postal code, as it was then',
        country STRING COMMENT 'country, as it was then',
        language STRING COMMENT 'language, as it was then',
        home_branch_id STRING COMMENT 'most purchases in the 12 months before as_of; tie: the most recent',
        home_region STRING COMMENT 'region of the home branch, as it was then',
        favourite_branch_id STRING COMMENT 'most purchases of all; tie: the most recent',
        currency STRING COMMENT 'ISO 4217: that of the most purchases; amounts of others are not added; NULL without receipt',
        first_purchase_date DATE COMMENT 'trading day of the first purchase',
        smallest_receipt_key STRING COMMENT 'smallest receipt_key of the purchases; after first_purchase_date it breaks ties',
        last_purchase_date DATE COMMENT 'KPI 9: trading day of the last purchase; a return does not refresh it',
        inactivity_days INT COMMENT 'KPI 9: as_of - last_purchase_date',
        tenure_days INT COMMENT 'as_of - first_purchase_date',
        purchase_count BIGINT NOT NULL COMMENT 'KPI 8: purchases',
        purchase_dates BIGINT NOT NULL COMMENT 'KPI 8: distinct trading days with a purchase',
        active_weeks_13 INT NOT NULL COMMENT 'weeks with a purchase among the last 13, counted back from as_of',
        gap_count INT NOT NULL COMMENT 'KPI 12: gaps between distinct trading days with a purchase',
        median_gap_days DECIMAL(9,1) COMMENT 'KPI 12: median of these gaps; NULL without any',
        mean_gap_days DECIMAL(28,12) COMMENT 'KPI 12: mean of these gaps; NULL without any',
        revenue_total DECIMAL(18,2) NOT NULL COMMENT 'KPI 10: revenue with VAT, returns subtracted; may be 0 or less',
        sales_total DECIMAL(18,2) NOT NULL COMMENT 'KPI 3: sales before returns',
        average_basket DECIMAL(28,12) COMMENT 'KPI 5: sales_total / purchase_count; NULL without purchase',
        largest_basket DECIMAL(18,2) COMMENT 'the greatest purchase, before returns',
        discount_amount DECIMAL(18,2) NOT NULL COMMENT 'discounts; positive on sales',
        discount_share DECIMAL(28,12) COMMENT 'discount_amount / (sales_total + discount_amount); NULL where that is 0',
        return_count BIGINT NOT NULL COMMENT 'returned lines',
        return_amount DECIMAL(18,2) NOT NULL COMMENT 'KPI 2: returned goods on the day of the return; positive',
        return_rate DECIMAL(28,12) COMMENT 'KPI 19: return_amount / sales_total; NULL where that is 0',
        main_return_reason STRING COMMENT 'reason of the most returned lines; tie: the greater amount; NULL where none is told',
        favourite_category STRING COMMENT 'category_l1 with the most revenue; tie: the first by name; NULL if returns left none',
        favourite_category_share DECIMAL(28,12) COMMENT 'its share of revenue_total; NULL where that is 0 or less',
        favourite_weekday INT COMMENT 'weekday of the most purchases, 1 Monday .. 7 Sunday; tie: the earlier in the week',
        favourite_channel STRING COMMENT 'order channel of the most purchases, where one is told; tie: the first by name',
        channels STRING COMMENT 'store, online or both: where purchases were made; see conf/insight.yml',
        online_count BIGINT NOT NULL COMMENT 'purchases online',
        contact_count BIGINT NOT NULL COMMENT 'contacts, see gold.fct_contact',
        ticket_count BIGINT NOT NULL COMMENT 'support cases opened',
        complaint_count BIGINT NOT NULL COMMENT 'of these, complaints',
        open_ticket_count BIGINT NOT NULL COMMENT 'support cases open on as_of',
        invoice_count BIGINT NOT NULL COMMENT 'invoices due before as_of',
        late_invoice_count BIGINT NOT NULL COMMENT 'of these, paid after they were due, or still open',
        dunning_count BIGINT NOT NULL COMMENT 'dunning notices',
        recency_score INT COMMENT 'KPI 14: quintile of inactivity, 5 the most recent; NULL without purchase',
        frequency_score INT COMMENT 'KPI 14: quintile of purchase_count, 5 the most frequent',
        monetary_score INT COMMENT 'KPI 14: quintile of revenue_total, 5 the greatest'
"""

# Columns that further rules add to the fields.
LATER = (
    "service_level", "quality_score", "quality_colour", "clv_12m", "churn_probability", "loyalty_points", "loyalty_tier",
)  # fmt: skip

CUSTOMER_STATE = Table(
    schema="gold",
    name="customer_state",
    grain="one row per as_of and customer with a receipt, ticket, contact or open item before it",
    columns=f"""
        {FIELDS.strip()},
        service_level STRING COMMENT 'segment in the rule set service_level of conf/segments.yml; NULL without it',
        quality_score DECIMAL(12,2) COMMENT 'KPI 25, see gold.quality_score',
        quality_colour STRING COMMENT 'its colour, see conf/score.yml',
        clv_12m DECIMAL(18,2) COMMENT 'KPI 17; NULL, not computed yet',
        churn_probability DECIMAL(28,12) COMMENT 'KPI 17; NULL, not computed yet',
        loyalty_points DECIMAL(18,2) COMMENT 'KPI 22; NULL, not computed yet',
        loyalty_tier STRING COMMENT 'KPI 22; NULL, not computed yet'
    """,
    key=("as_of", "customer_id"),
    sort_by=("as_of", "customer_id"),
)

TABLES = (CUSTOMER_STATE,)
