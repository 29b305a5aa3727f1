"""Silver: what is told beside a receipt and its lines. Amounts in the sign of the receipt: sale > 0, return < 0."""

from __future__ import annotations

from tillhouse.tables.contract import MONTH, MONTH_COLUMN, Table

_RECEIPT = """
        source STRING NOT NULL COMMENT 'source that delivered it',
        branch_id STRING NOT NULL COMMENT 'branch that sold',
        business_date DATE NOT NULL COMMENT 'trading day of the receipt'
"""

RECEIPT_PAYMENT = Table(
    schema="silver",
    name="receipt_payment",
    grain="one row per payment of a receipt, in the receipt's winning version",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'the receipt',
        payment_number INT NOT NULL COMMENT 'number of the payment in the receipt',
        source STRING NOT NULL COMMENT 'source that delivered the payment',
        branch_id STRING NOT NULL COMMENT 'branch that sold',
        business_date DATE NOT NULL COMMENT 'trading day of the branch',
        tender_type STRING NOT NULL COMMENT 'CASH, DEBIT, CREDIT, EWALLET, GIFT_CARD, COUPON, INVOICE, OTHER or NONE',
        tender_name STRING COMMENT 'tender as the source names it',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        amount DECIMAL(18,2) NOT NULL COMMENT 'signed amount kept by the branch, change already taken off',
        tendered_amount DECIMAL(18,2) COMMENT 'amount handed over, before change',
        change_amount DECIMAL(18,2) COMMENT 'change given back, where it is told with the payment',
        tip_amount DECIMAL(18,2) COMMENT 'tip contained in the amount, where no line of the receipt tells it',
        foreign_currency STRING COMMENT 'ISO 4217 of what was handed over, where it is not currency',
        foreign_amount DECIMAL(18,2) COMMENT 'amount in that currency',
        payment_token STRING COMMENT 'keyed token of the card or account that paid, where the source tells it',
        {MONTH_COLUMN},
        _document_key STRING COMMENT 'receipt_key of the document that tells the payment, see pays in docs/sources.md'
    """,
    key=("receipt_key", "payment_number"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    change_feed=True,
    version=4,
)

RECEIPT_LINE_TAX = Table(
    schema="silver",
    name="receipt_line_tax",
    grain="one row per tax of a line (several where a line has several rates), in the receipt's winning version",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'the receipt',
        line_number INT NOT NULL COMMENT 'the line; 0: the whole receipt, where the source does not tell taxes by line',
        tax_number INT NOT NULL COMMENT 'number of the tax in the receipt',
        {_RECEIPT},
        currency STRING NOT NULL COMMENT 'ISO 4217',
        tax_code STRING COMMENT 'tax key as the source names it',
        tax_rate DECIMAL(9,5) COMMENT 'rate, 0..1',
        net_amount DECIMAL(18,2) COMMENT 'signed amount without VAT',
        tax_amount DECIMAL(18,2) NOT NULL COMMENT 'signed VAT',
        gross_amount DECIMAL(18,2) COMMENT 'signed amount with VAT',
        {MONTH_COLUMN}
    """,
    key=("receipt_key", "tax_number"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    change_feed=True,
)

RECEIPT_REFERENCE = Table(
    schema="silver",
    name="receipt_reference",
    grain="one row per reference of a receipt to another document, in the receipt's winning version",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'the receipt that refers',
        reference_number INT NOT NULL COMMENT 'number of the reference in the receipt',
        {_RECEIPT},
        ref_type STRING NOT NULL COMMENT 'RETURN_OF, VOID_OF, SETTLES or EXTERNAL',
        line_number INT COMMENT 'line that refers; NULL for the whole receipt',
        ref_branch_id STRING COMMENT 'branch of the receipt referred to',
        ref_register_id STRING COMMENT 'its till',
        ref_closing_id STRING COMMENT 'its till closing',
        ref_receipt_id STRING COMMENT 'its id',
        ref_line_number INT COMMENT 'its line, where the source names one',
        ref_date DATE COMMENT 'its day, where the source names one',
        ref_receipt_key STRING COMMENT 'its receipt_key as far as it can be told from its parts; the receipt may not have come',
        external_ref STRING COMMENT 'document outside of the tills',
        {MONTH_COLUMN}
    """,
    key=("receipt_key", "reference_number"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    change_feed=True,
)

RECEIPT_ADJUSTMENT = Table(
    schema="silver",
    name="receipt_adjustment",
    grain="one row per change of a price, of a line or the whole receipt, in the receipt's winning version",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'the receipt',
        adjustment_number INT NOT NULL COMMENT 'number of the adjustment in the receipt',
        {_RECEIPT},
        currency STRING NOT NULL COMMENT 'ISO 4217',
        level STRING NOT NULL COMMENT 'line or receipt',
        line_number INT COMMENT 'line whose price is changed; NULL for the whole receipt',
        adjustment_type STRING NOT NULL COMMENT 'DISCOUNT, PROMOTION, COUPON, REWARD, PRICE_OVERRIDE, SURCHARGE or ROUNDING',
        reason STRING COMMENT 'reason as the source names it',
        promotion_id STRING COMMENT 'promotion, campaign or coupon',
        amount DECIMAL(18,2) NOT NULL COMMENT 'change of the price; lines contain it already: never add it to them',
        {MONTH_COLUMN}
    """,
    key=("receipt_key", "adjustment_number"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    change_feed=True,
)

CLOSING_TOTAL = Table(
    schema="silver",
    name="closing_total",
    grain="one row per total that a till closing states (Z report), in the closing's winning version",
    columns=f"""
        closing_key STRING NOT NULL COMMENT 'surrogate of source, branch, register and closing',
        total_number INT NOT NULL COMMENT 'number of the total in the closing',
        source STRING NOT NULL COMMENT 'source that delivered the closing',
        branch_id STRING NOT NULL COMMENT 'branch',
        register_id STRING COMMENT 'till',
        closing_id STRING COMMENT 'till closing (Z number)',
        business_date DATE NOT NULL COMMENT 'trading day of the closing',
        closed_at TIMESTAMP COMMENT 'when the till was closed (UTC)',
        total_kind STRING NOT NULL COMMENT 'BUSINESS_CASE, PAYMENT or CURRENCY',
        line_type STRING COMMENT 'kind of line, of a business case; NULL for all kinds',
        tender_type STRING COMMENT 'means of payment, of a payment; NULL for all of them',
        total_name STRING COMMENT 'name as the source writes it',
        tax_code STRING COMMENT 'tax key as the source names it',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        gross_amount DECIMAL(18,2) NOT NULL COMMENT 'total with VAT',
        net_amount DECIMAL(18,2) COMMENT 'total without VAT',
        tax_amount DECIMAL(18,2) COMMENT 'VAT',
        version_at TIMESTAMP COMMENT 'change or export time that the source declares (version_order)',
        {MONTH_COLUMN},
        _file STRING NOT NULL COMMENT 'file below the landing area',
        _file_id STRING NOT NULL COMMENT 'the file, see ops.file_ledger',
        _row BIGINT NOT NULL COMMENT 'record of that file'
    """,
    key=("closing_key", "total_number"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    change_feed=True,
)

TABLES = (RECEIPT_PAYMENT, RECEIPT_LINE_TAX, RECEIPT_REFERENCE, RECEIPT_ADJUSTMENT, CLOSING_TOTAL)
