"""Gold: what is conspicuous, with its evidence, and how often such flags were right."""

from __future__ import annotations

from tillhouse.tables.contract import Table

KPI_RETURN = Table(
    schema="gold",
    name="kpi_return",
    grain="one row per branch that sold, ISO week, product group, product line and currency with goods sold or returned",
    columns="""
        branch_id STRING NOT NULL COMMENT 'branch that sold what came back; where that is unknown, the branch that took it back',
        iso_year INT NOT NULL COMMENT 'ISO 8601 year of the week',
        iso_week INT NOT NULL COMMENT 'ISO 8601 week: of the sale for what is sold, of the return for what is returned',
        starts_on DATE NOT NULL COMMENT 'its Monday',
        category_l1 STRING COMMENT 'product group; NULL for lines without product or master data',
        product_line STRING COMMENT 'product line; NULL where the master data tell none',
        currency STRING NOT NULL COMMENT 'ISO 4217; amounts of different currencies are never added',
        sales_amount DECIMAL(18,2) NOT NULL COMMENT 'KPI 3: sales before returns',
        return_amount DECIMAL(18,2) NOT NULL COMMENT 'KPI 2: returned goods, positive; in the week of the return',
        return_rate DECIMAL(28,12) COMMENT 'KPI 19: return_amount / sales_amount of all reasons; NULL where that is 0',
        expected_rate DECIMAL(28,12) COMMENT 'return_rate to be expected from the other branches and groups; NULL without any',
        sold_lines BIGINT NOT NULL COMMENT 'sold lines with a product',
        returned_lines BIGINT NOT NULL COMMENT 'returned lines with a product',
        returned_line_rate DECIMAL(28,12) COMMENT 'KPI 19 by lines: returned_lines / sold_lines; NULL where that is 0',
        returned_receipts BIGINT NOT NULL COMMENT 'receipts with such lines: what hotspots are judged by',
        expected_receipt_rate DECIMAL(28,12) COMMENT 'returned_receipts / sold_lines to be expected; NULL without other branch',
        expected_receipts DECIMAL(28,12) COMMENT 'expected_receipt_rate * sold_lines',
        window_weeks INT COMMENT 'weeks up to this one in which the returns are most conspicuous; NULL where not tested',
        window_sold_lines BIGINT COMMENT 'sold lines of these weeks',
        window_returned_receipts BIGINT COMMENT 'returned_receipts of these weeks',
        window_expected_receipts DECIMAL(28,12) COMMENT 'those to be expected of these weeks',
        p_value DECIMAL(28,12) COMMENT 'how likely so many are by chance, over all windows; 1 where not more than expected',
        q_value DECIMAL(28,12) COMMENT 'share of false flags if all with such a p_value in this week were flagged',
        is_hotspot BOOLEAN NOT NULL COMMENT 'KPI 19: q_value within the limit, enough receipts, and this week more than expected',
        is_simple_hotspot BOOLEAN NOT NULL COMMENT 'the simple rule: more than twice the expected receipts in this week',
        trend STRING NOT NULL COMMENT 'KPI 19: up, down or none: the line rate over the last weeks, Mann-Kendall at 5 percent',
        trend_score DECIMAL(28,12) COMMENT 'Mann-Kendall Z; NULL where fewer than four weeks or too few lines',
        trend_slope DECIMAL(28,12) COMMENT 'Sen: median change of the line rate per week; NULL where trend_score is',
        reason STRING COMMENT 'reason of the most returned lines of the row; tie: greater amount; NULL where none is told',
        reasons ARRAY<STRUCT<reason: STRING, lines: BIGINT, amount: DECIMAL(18,2)>>
            COMMENT 'returns by reason, most first; the amounts add up to return_amount; a reason of NULL: none is told',
        main_product_id STRING COMMENT 'product of the most returned lines; tie: greater amount; NULL without product',
        receipt_keys ARRAY<STRING> COMMENT 'up to five receipts of these returns, the greatest amount first',
        evidence STRING COMMENT 'the flag in words; NULL unless is_hotspot'
    """,
    key=("branch_id", "iso_year", "iso_week", "category_l1", "product_line", "currency"),
    sort_by=("branch_id", "starts_on"),
)

REORDER_SIGNAL = Table(
    schema="gold",
    name="reorder_signal",
    grain="one row per as_of, customer, product line and signal",
    columns="""
        as_of DATE NOT NULL COMMENT 'the signal is of all that happened before this day',
        customer_id STRING NOT NULL COMMENT 'random neutral id',
        customer_type STRING NOT NULL COMMENT 'B2C or B2B, as it was on the day before as_of',
        branch_id STRING COMMENT 'home branch, as it was then',
        product_line STRING COMMENT 'product line, else product group (category_l1); NULL: all purchases of the customer',
        signal STRING NOT NULL COMMENT 'KPI 21: silence, early_order, quantity_drop or new_product_line',
        last_purchase_date DATE NOT NULL COMMENT 'last trading day with a purchase before as_of',
        silence_days INT NOT NULL COMMENT 'as_of - last_purchase_date',
        median_gap_days DECIMAL(9,1) NOT NULL COMMENT 'm: median gap of distinct days; early_order: without the last gap',
        mad_days DECIMAL(9,2) NOT NULL COMMENT 'MAD: median of abs(gap - m)',
        limit_days DECIMAL(18,6) NOT NULL COMMENT 'm + spreads x 1.4826 x max(MAD, 1); early_order: m - that',
        gap_count INT NOT NULL COMMENT 'gaps that these rest on',
        last_gap_days INT NOT NULL COMMENT 'days between the last two purchases',
        usual_quantity DECIMAL(18,3) COMMENT 'median quantity of the days before the last one, see gold.fct_sale_line.item_count',
        last_quantity DECIMAL(18,3) COMMENT 'quantity of the last day',
        simple_rule BOOLEAN NOT NULL COMMENT 'silence_days > 2 x median gap: what the simple rule would say as well',
        evidence STRING NOT NULL COMMENT 'the signal in words'
    """,
    key=("as_of", "customer_id", "product_line", "signal"),
    sort_by=("as_of", "branch_id"),
)

FLAG_BACKTEST = Table(
    schema="gold",
    name="flag_backtest",
    grain="one row per kind of flag, rule and as_of that could be judged since",
    columns="""
        flag STRING NOT NULL COMMENT 'week_anomaly, return_hotspot or reorder_signal (silence)',
        rule STRING NOT NULL COMMENT 'ours, or simple: 50 percent change, twice the expected rate, 2 x median gap',
        as_of DATE NOT NULL COMMENT 'flags of the period that ends before this day, as they stood then',
        flagged BIGINT NOT NULL COMMENT 'flags raised in the period',
        judged BIGINT NOT NULL COMMENT 'of these, those of which is known by now what came after',
        right BIGINT NOT NULL COMMENT 'of these, the right ones, see judged_by',
        right_share DECIMAL(28,12) COMMENT 'right / judged; NULL where nothing was judged',
        base_judged BIGINT NOT NULL COMMENT 'what the rule looked at, did not flag, and can be judged alike',
        base_right BIGINT NOT NULL COMMENT 'of these, those of which the same came true',
        base_share DECIMAL(28,12) COMMENT 'base_right / base_judged: what right_share has to be greater than',
        horizon_days INT NOT NULL COMMENT 'days after the flag in which it had to come true',
        judged_by STRING NOT NULL COMMENT 'what makes a flag right'
    """,
    key=("flag", "rule", "as_of"),
    sort_by=("flag", "as_of"),
)

TABLES = (KPI_RETURN, REORDER_SIGNAL, FLAG_BACKTEST)
