"""Gold: the star schema and the branch figures that BI reads."""

from __future__ import annotations

from tillhouse.tables import (
    gold_closing,
    gold_customers,
    gold_facts,
    gold_flags,
    gold_members,
    gold_repurchase,
    gold_returns,
    gold_scores,
    gold_segments,
)
from tillhouse.tables.contract import MONTH, MONTH_COLUMN, Table

FCT_PAYMENT, FCT_TAX, FCT_DISCOUNT = gold_facts.RECEIPT_FACTS
DIM_REGISTER, DIM_TEAM, DIM_PAYMENT_TYPE, DIM_CAMPAIGN = gold_members.TABLES
FCT_CONTACT, FCT_TICKET, FCT_OPEN_ITEM, WARRANTY, PREFERENCE = gold_facts.RECORD_FACTS
FCT_RETURN = gold_returns.FCT_RETURN

_VALIDITY = """
        valid_from DATE NOT NULL COMMENT 'first day of this version',
        valid_to DATE COMMENT 'first day that it no longer holds; NULL while it holds',
        is_current BOOLEAN NOT NULL COMMENT 'the version that holds now'
"""

DIM_BRANCH = Table(
    schema="gold",
    name="dim_branch",
    grain="one row per branch and version",
    columns=f"""
        branch_key STRING NOT NULL COMMENT 'surrogate of branch_id and valid_from',
        branch_id STRING NOT NULL COMMENT 'branch number of the chain',
        branch_name STRING COMMENT 'name',
        region STRING COMMENT 'region',
        location STRING COMMENT 'place',
        format STRING COMMENT 'store format',
        time_zone STRING NOT NULL COMMENT 'IANA time zone',
        currency STRING COMMENT 'ISO 4217',
        opened_on DATE COMMENT 'first trading day',
        closed_on DATE COMMENT 'last trading day',
        {_VALIDITY}
    """,
    key=("branch_key",),
)

DIM_PRODUCT = Table(
    schema="gold",
    name="dim_product",
    grain="one row per product and version; products without master data are listed with is_known false",
    columns=f"""
        product_key STRING NOT NULL COMMENT 'surrogate of product_id and valid_from',
        product_id STRING NOT NULL COMMENT 'product number of the chain',
        gtin STRING COMMENT 'GTIN/EAN',
        product_name STRING COMMENT 'name',
        category_l1 STRING COMMENT 'product group, level 1',
        category_l2 STRING COMMENT 'product group, level 2',
        category_l3 STRING COMMENT 'product group, level 3',
        product_line STRING COMMENT 'product line',
        brand STRING COMMENT 'brand',
        price_tier STRING COMMENT 'price tier',
        variant_of STRING COMMENT 'product that this is a variant of',
        parent_product_id STRING NOT NULL COMMENT 'product at the top of its variants, itself if it is none: sums of variants',
        is_bundle BOOLEAN NOT NULL COMMENT 'sold as a bundle',
        is_group BOOLEAN NOT NULL COMMENT 'stands for a whole product group, for what is sold without a product',
        is_known BOOLEAN NOT NULL COMMENT 'has master data',
        {_VALIDITY}
    """,
    key=("product_key",),
    version=2,
)

DIM_CUSTOMER = Table(
    schema="gold",
    name="dim_customer",
    grain="one row per customer and version, whether they have bought or not; no name, address, contact or birth date",
    columns=f"""
        customer_key STRING NOT NULL COMMENT 'surrogate of customer_id and valid_from',
        customer_id STRING NOT NULL COMMENT 'random neutral id',
        customer_type STRING NOT NULL COMMENT 'B2C, or B2B: a company, or a person who buys for one',
        home_branch_id STRING COMMENT 'most purchases in the last 12 months; tie: the most recent; as of now on every version',
        first_purchase_date DATE COMMENT 'first trading day with a purchase, over the whole chain; the same on every version',
        first_purchase_receipt_key STRING COMMENT 'the receipt of that purchase; the same on every version',
        company_id STRING COMMENT 'customer_id of the company that the person belongs to',
        age_band STRING COMMENT '-17, 18-24, 25-34, 35-44, 45-54, 55-64 or 65-, by calendar year; NULL if unknown',
        postal_area STRING COMMENT 'first two digits of the postal code; see country',
        country STRING COMMENT 'country as delivered',
        language STRING COMMENT 'language',
        {_VALIDITY}
    """,
    key=("customer_key",),
    change_feed=True,
    version=3,
)

DIM_DATE = Table(
    schema="gold",
    name="dim_date",
    grain="one row per date, whole years around the trading days",
    columns="""
        date DATE NOT NULL COMMENT 'the day',
        iso_year INT NOT NULL COMMENT 'ISO 8601 year of the week',
        iso_week INT NOT NULL COMMENT 'ISO 8601 week',
        year_month STRING NOT NULL COMMENT 'yyyy-MM',
        quarter INT NOT NULL COMMENT '1..4',
        year INT NOT NULL COMMENT 'calendar year',
        weekday INT NOT NULL COMMENT '1 Monday .. 7 Sunday',
        is_weekend BOOLEAN NOT NULL COMMENT 'Saturday or Sunday'
    """,
    key=("date",),
)

FCT_RECEIPT = Table(
    schema="gold",
    name="fct_receipt",
    grain="one row per valid receipt (FINAL, and SALE, RETURN or EXCHANGE)",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'surrogate of the receipt',
        branch_id STRING NOT NULL COMMENT 'branch that sold',
        branch_key STRING NOT NULL COMMENT 'version of the branch at business_date',
        customer_id STRING COMMENT 'customer, NULL unless identified',
        customer_key STRING COMMENT 'version of the customer at business_date',
        customer_status STRING NOT NULL COMMENT 'identified, anonymous, unclear or erased',
        party_key STRING COMMENT 'who the receipt names, see silver.party; NULL if nobody',
        business_date DATE NOT NULL COMMENT 'trading day of the branch',
        started_at TIMESTAMP COMMENT 'first instant (UTC)',
        local_hour INT COMMENT 'hour of the day in the branch',
        register_id STRING COMMENT 'till',
        team STRING COMMENT 'team or department',
        channel STRING COMMENT 'order channel',
        fulfilment STRING COMMENT 'store, pickup or ship',
        transaction_type STRING NOT NULL COMMENT 'SALE, RETURN or EXCHANGE',
        return_status STRING NOT NULL COMMENT 'none, partial or full: how much of it came back later',
        payment_types ARRAY<STRING> COMMENT 'tender types of the receipt, sorted; empty where not delivered',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        gross_amount DECIMAL(18,2) NOT NULL COMMENT 'sum of all lines with VAT, deposits and vouchers included',
        net_amount DECIMAL(18,2) COMMENT 'without VAT',
        tax_amount DECIMAL(18,2) COMMENT 'VAT',
        discount_amount DECIMAL(18,2) NOT NULL COMMENT 'discounts on revenue lines; positive on sales',
        revenue_amount DECIMAL(18,2) NOT NULL COMMENT 'KPI 1: signed sum of the revenue lines',
        revenue_excl_tax_amount DECIMAL(18,2) COMMENT 'KPI 1 without VAT; NULL where a revenue line does not say',
        return_amount DECIMAL(18,2) NOT NULL COMMENT 'KPI 2: minus the signed sum of returned lines; positive',
        sold_item_count DECIMAL(18,3) NOT NULL COMMENT 'KPI 6: pieces sold; a line by weight or volume counts 1',
        item_count DECIMAL(18,3) NOT NULL COMMENT 'pieces sold minus pieces returned',
        line_count INT NOT NULL COMMENT 'lines of the receipt',
        is_basket BOOLEAN NOT NULL COMMENT 'KPI 4: a purchase',
        is_receipt BOOLEAN NOT NULL COMMENT 'false for day totals, which count in revenue only',
        source STRING NOT NULL COMMENT 'source that delivered it',
        receipt_number STRING COMMENT 'printed number',
        detail_level STRING NOT NULL COMMENT 'lines, categories or totals',
        {MONTH_COLUMN}
    """,
    key=("receipt_key",),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    change_feed=True,
    version=3,
)

FCT_SALE_LINE = Table(
    schema="gold",
    name="fct_sale_line",
    grain="one row per line of a valid receipt; the sum over is_revenue lines is revenue",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'the receipt, see gold.fct_receipt',
        line_number INT NOT NULL COMMENT 'number of the line in the receipt',
        branch_id STRING NOT NULL COMMENT 'branch that sold',
        business_date DATE NOT NULL COMMENT 'trading day of the branch',
        product_key STRING COMMENT 'version of the product, or its product group where a line has no product',
        product_id STRING COMMENT 'product number of the chain',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        line_type STRING NOT NULL COMMENT 'see silver.receipt_line',
        is_revenue BOOLEAN NOT NULL COMMENT 'counts in revenue',
        is_return BOOLEAN NOT NULL COMMENT 'goods that came back, or a line that belongs to them',
        is_voided BOOLEAN NOT NULL COMMENT 'nothing remains of the line after the voids inside the receipt',
        parent_line_number INT COMMENT 'line that a discount, deposit or component belongs to',
        bundle_role STRING COMMENT 'set: divided into its components, no revenue itself; component: one of these; else NULL',
        quantity DECIMAL(18,3) COMMENT 'signed, in units of the product',
        item_count DECIMAL(18,3) NOT NULL COMMENT 'signed pieces; a line by weight or volume counts 1',
        gross_amount DECIMAL(18,2) NOT NULL COMMENT 'signed, with VAT, receipt-level discounts allocated',
        net_amount DECIMAL(18,2) COMMENT 'signed, without VAT',
        tax_amount DECIMAL(18,2) COMMENT 'signed VAT',
        discount_amount DECIMAL(18,2) NOT NULL COMMENT 'discount on the line; positive on sales',
        promotion_amount DECIMAL(18,2) COMMENT 'part of it that a promotion gave, of a set on its own line; NULL where not told',
        coupon_amount DECIMAL(18,2) COMMENT 'manufacturer coupons tendered for it, of a set on its own line: a means of payment',
        {MONTH_COLUMN}
    """,
    key=("receipt_key", "line_number"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    version=3,
)

DIM_HOLIDAY = Table(
    schema="gold",
    name="dim_holiday",
    grain="one row per day, region and holiday, in the years of dim_date",
    columns="""
        date DATE NOT NULL COMMENT 'the day',
        region STRING NOT NULL COMMENT 'region of the chain, see dim_branch',
        name STRING NOT NULL COMMENT 'the holiday'
    """,
    key=("date", "region", "name"),
)

_MEASURES = """
        sales_before_returns DECIMAL(18,2) COMMENT 'KPI 3',
        return_amount DECIMAL(18,2) COMMENT 'KPI 2',
        revenue DECIMAL(18,2) COMMENT 'KPI 1, with VAT',
        revenue_excl_tax DECIMAL(18,2) COMMENT 'KPI 1 without VAT; NULL where not every receipt says',
        receipts BIGINT COMMENT 'KPI 4',
        baskets BIGINT COMMENT 'KPI 4',
        items DECIMAL(18,3) COMMENT 'pieces sold',
        average_basket DECIMAL(28,12) COMMENT 'KPI 5',
        items_per_basket DECIMAL(28,12) COMMENT 'KPI 6',
        customers BIGINT COMMENT 'distinct identified customers with a purchase',
        new_customers BIGINT COMMENT 'whose first purchase in the whole chain is here and then',
        returning_customers BIGINT COMMENT 'the other identified ones',
        identified_revenue DECIMAL(18,2) COMMENT 'revenue of identified receipts',
        revenue_per_customer DECIMAL(28,12) COMMENT 'identified_revenue / customers',
        identified_share DECIMAL(28,12) COMMENT 'KPI 7: identified_revenue / revenue',
        unclear_amount DECIMAL(18,2) COMMENT 'revenue of receipts whose identifiers point to two customers',
        excluded_amount DECIMAL(18,2) NOT NULL COMMENT 'signed amount kept out by errors',
        lines_revenue DECIMAL(18,2) COMMENT 'revenue of receipts delivered with lines',
        lines_share DECIMAL(28,12) COMMENT 'lines_revenue / revenue',
        discount_amount DECIMAL(18,2) COMMENT 'discounts; positive on sales',
        return_rate DECIMAL(28,12) COMMENT 'KPI 19: return_amount / sales_before_returns',
"""

KPI_BRANCH_DAY = Table(
    schema="gold",
    name="kpi_branch_day",
    grain="one row per branch, trading day and currency with a valid receipt, and per missing delivery, without figures",
    columns=f"""
        branch_id STRING NOT NULL COMMENT 'branch',
        business_date DATE NOT NULL COMMENT 'trading day',
        currency STRING NOT NULL COMMENT 'ISO 4217; amounts of different currencies are never added',
        {_MEASURES.strip()}
        open_exceptions BIGINT NOT NULL COMMENT 'open exceptions of the branch and day',
        delivery_status STRING COMMENT 'worst of all sources: missing, partial, late or on_time; NULL where conf expects none'
    """,
    key=("branch_id", "business_date", "currency"),
    sort_by=("branch_id", "business_date"),
    version=2,
)

KPI_BRANCH_WEEK = Table(
    schema="gold",
    name="kpi_branch_week",
    grain="one row per branch, ISO week and currency with a row in kpi_branch_day",
    columns=f"""
        branch_id STRING NOT NULL COMMENT 'branch',
        iso_year INT NOT NULL COMMENT 'ISO 8601 year of the week',
        iso_week INT NOT NULL COMMENT 'ISO 8601 week',
        currency STRING NOT NULL COMMENT 'ISO 4217; amounts of different currencies are never added',
        starts_on DATE NOT NULL COMMENT 'its Monday',
        {_MEASURES.strip()}
        open_exceptions BIGINT NOT NULL COMMENT 'open exceptions of the branch and week',
        days_delivered INT NOT NULL COMMENT 'days on which the chain traded and no delivery of the branch is missing',
        is_full_week BOOLEAN NOT NULL COMMENT 'each of its days but closed weekdays is such a day, and the branch has sold',
        previous_week_revenue DECIMAL(18,2) COMMENT 'revenue of the week before',
        change DECIMAL(28,12) COMMENT 'KPI 20: revenue / previous_week_revenue - 1; both weeks full, the one before above 0',
        deviation_score DECIMAL(28,12) COMMENT 'KPI 20: 0.6745 (change - median) / MAD over all changes of the branch',
        is_anomaly BOOLEAN NOT NULL COMMENT 'the deviation score, or the change, is above the limit of conf/kpis.yml',
        anomaly_reason STRING COMMENT 'deviation or change (is_anomaly); previous_not_positive or no_spread (MAD 0): not judged',
        peer_change DECIMAL(28,12) COMMENT 'median change of the other branches of the same format or region (conf/kpis.yml)',
        last_year_iso_year INT COMMENT 'ISO year of the week of last year that this one is compared with, holidays aligned',
        last_year_iso_week INT COMMENT 'that ISO week; NULL where last year had no such week',
        last_year_holiday STRING COMMENT 'holidays of this week because of which it is that one; NULL without any',
        last_year_revenue DECIMAL(18,2) COMMENT 'revenue of that week',
        last_year_change DECIMAL(28,12) COMMENT 'revenue / last_year_revenue - 1; both with as many days delivered',
        plan_amount DECIMAL(18,2) COMMENT 'planned revenue of the days of the week, where a plan is delivered',
        repurchase_rate DECIMAL(28,12) COMMENT 'KPI 11: customers with two purchases here in the week / with one at least'
    """,
    key=("branch_id", "iso_year", "iso_week", "currency"),
    sort_by=("branch_id", "starts_on"),
)

CLOSED_PERIOD = gold_closing.closed_period(KPI_BRANCH_DAY)
RESTATEMENT, CLOSING_TIE_OUT = gold_closing.RESTATEMENT, gold_closing.CLOSING_TIE_OUT
FCT_VOUCHER, VOUCHER_LIABILITY, VOUCHER_BALANCE, VOUCHER = gold_closing.VOUCHERS
CUSTOMER_STATE = gold_customers.CUSTOMER_STATE
SEGMENT_MEMBER, SEGMENT_SIZE, SEGMENT_MOVE, SEGMENT_EFFECT, SEGMENT_DEFINITION, SEGMENT_CHANGE = gold_segments.TABLES
QUALITY_SCORE, QUALITY_GROUP = gold_scores.TABLES
KPI_REPURCHASE, KPI_COHORT, KPI_RETENTION, KPI_CONVERSION, PRODUCT_AFFINITY = gold_repurchase.TABLES
KPI_RETURN, REORDER_SIGNAL, FLAG_BACKTEST = gold_flags.TABLES
INSIGHT_TABLES = (
    CUSTOMER_STATE, *gold_segments.TABLES, *gold_scores.TABLES, *gold_repurchase.TABLES, *gold_flags.TABLES,
)  # fmt: skip

TABLES = (
    DIM_BRANCH, DIM_PRODUCT, DIM_CUSTOMER, DIM_DATE, DIM_HOLIDAY, *gold_members.TABLES, FCT_RECEIPT, FCT_SALE_LINE,
    FCT_RETURN, *gold_facts.TABLES, KPI_BRANCH_DAY, KPI_BRANCH_WEEK, CLOSED_PERIOD, RESTATEMENT, CLOSING_TIE_OUT,
    *gold_closing.VOUCHERS, *INSIGHT_TABLES,
)  # fmt: skip
