"""Gold: what came back, and the purchase that it was found to be of."""

from __future__ import annotations

from tillhouse.tables.contract import MONTH, MONTH_COLUMN, Table

FCT_RETURN = Table(
    schema="gold",
    name="fct_return",
    grain="one row per returned line, with the purchase that it was found to be of",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'receipt of the return, see gold.fct_receipt',
        line_number INT NOT NULL COMMENT 'number of the line in the receipt',
        told_line_number INT NOT NULL COMMENT 'line as the till wrote it: of a component, that of its set',
        branch_id STRING NOT NULL COMMENT 'branch that took it back',
        business_date DATE NOT NULL COMMENT 'trading day of the return',
        product_key STRING COMMENT 'version of the product, or its product group where a line has no product',
        product_id STRING COMMENT 'product number of the chain',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        quantity DECIMAL(18,3) COMMENT 'negative, in units of the product',
        gross_amount DECIMAL(18,2) NOT NULL COMMENT 'negative, with VAT and the discounts taken back; its sum is -return_amount',
        reason STRING COMMENT 'reason as conf/returns.yml names it; other: not listed there; NULL: the till tells none',
        original_receipt_key STRING COMMENT 'the purchase; NULL where it is not known',
        original_line_number INT COMMENT 'its line, the one that most came from; NULL where only the receipt is known',
        original_lines ARRAY<STRUCT<line_number: INT, quantity: DECIMAL(18,3)>>
            COMMENT 'all lines that it came from; of lines without quantity the amount is told',
        original_branch_id STRING COMMENT 'branch that sold it',
        original_date DATE COMMENT 'trading day of the purchase',
        days_to_return INT COMMENT 'business_date - original_date',
        link_method STRING NOT NULL COMMENT 'reference, customer_product, payment_token or none',
        link_confidence DECIMAL(3,2) COMMENT 'how sure the link is, 0..1; NULL without link',
        evidence STRING NOT NULL COMMENT 'what the link rests on, or why there is none; see docs/kpis.md',
        candidate_count INT NOT NULL COMMENT 'purchases that fit equally well; linked only where there is one',
        {MONTH_COLUMN}
    """,
    key=("receipt_key", "line_number"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    change_feed=True,
)
