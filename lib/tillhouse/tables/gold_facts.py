"""Gold: the further facts of the star, of receipts and of what is told about customers beside them."""

from __future__ import annotations

from tillhouse.tables.contract import MONTH, MONTH_COLUMN, Table

_RECEIPT = """
        branch_id STRING NOT NULL COMMENT 'branch of the receipt',
        business_date DATE NOT NULL COMMENT 'trading day of the receipt',
        currency STRING NOT NULL COMMENT 'ISO 4217, of the receipt'
"""


def _of_receipts(name: str, grain: str, number: tuple[str, ...], columns: str) -> Table:
    """A fact that is reached from gold.fct_receipt by receipt_key, laid out as gold.fct_sale_line."""
    return Table(
        schema="gold",
        name=name,
        grain=grain,
        columns=f"""
        receipt_key STRING NOT NULL COMMENT 'the receipt, see gold.fct_receipt: its customer, register and channel are there',
        {columns.strip()},
        {MONTH_COLUMN}
        """,
        key=("receipt_key", *number),
        partition_by=(MONTH,),
        sort_by=("branch_id", "business_date"),
    )


FCT_PAYMENT = _of_receipts(
    "fct_payment",
    "one row per payment of a valid receipt; amounts per means of payment come from here",
    ("payment_number",),
    f"""
        payment_number INT NOT NULL COMMENT 'number of the payment in the receipt, 1 is the first',
        {_RECEIPT},
        paid_on DATE NOT NULL COMMENT 'trading day of the document that tells it; later than the receipt where settled later',
        tender_type STRING NOT NULL COMMENT 'CASH, DEBIT, CREDIT, EWALLET, GIFT_CARD, COUPON, INVOICE, OTHER or NONE',
        amount DECIMAL(18,2) NOT NULL COMMENT 'signed amount kept, change taken off; less tips it adds up to the receipt',
        tendered_amount DECIMAL(18,2) COMMENT 'amount handed over, before change',
        change_amount DECIMAL(18,2) COMMENT 'change given back, where it is told with the payment',
        tip_amount DECIMAL(18,2) COMMENT 'tip contained in amount, where no line of the receipt tells it',
        foreign_currency STRING COMMENT 'ISO 4217 of what was handed over, where it is not currency',
        foreign_amount DECIMAL(18,2) COMMENT 'amount in that currency',
        source STRING NOT NULL COMMENT 'source that told the payment'
    """,
)

FCT_TAX = _of_receipts(
    "fct_tax",
    "one row per valid receipt, tax code, rate and way in which the tax is told; the amounts add up to the receipt",
    ("tax_number",),
    f"""
        tax_number INT NOT NULL COMMENT 'number of the tax in the receipt',
        {_RECEIPT},
        told_by STRING NOT NULL COMMENT 'tax (told as taxes), line (only net and VAT of lines, no rate) or nothing (no VAT)',
        tax_code STRING COMMENT 'tax key as the source names it',
        tax_rate DECIMAL(9,5) COMMENT 'rate, 0..1; NULL where the source does not tell it',
        net_amount DECIMAL(18,2) COMMENT 'signed amount without VAT; NULL where it is not told',
        tax_amount DECIMAL(18,2) COMMENT 'signed VAT; NULL where it is not told',
        gross_amount DECIMAL(18,2) COMMENT 'signed amount with VAT; NULL where a source tells the VAT alone'
    """,
)

FCT_DISCOUNT = _of_receipts(
    "fct_discount",
    "one row per valid receipt and change of a price that its till tells, or discount in a line that no such change explains",
    ("told_by", "discount_number"),
    f"""
        told_by STRING NOT NULL COMMENT 'adjustment (silver.receipt_adjustment), or line: what lines contain beyond that',
        discount_number INT NOT NULL COMMENT 'number of the adjustment, or of the line, in the receipt',
        {_RECEIPT},
        level STRING NOT NULL COMMENT 'line or receipt: what is lowered',
        line_number INT COMMENT 'line that is lowered, see gold.fct_sale_line; NULL for the whole receipt',
        discount_type STRING NOT NULL COMMENT 'DISCOUNT, PROMOTION, COUPON, REWARD, PRICE_OVERRIDE, SURCHARGE or ROUNDING',
        reason STRING COMMENT 'reason as the source names it',
        promotion_id STRING COMMENT 'promotion, campaign or coupon as the source names it',
        discount_amount DECIMAL(18,2) NOT NULL COMMENT 'what is taken off: positive on sales, a surcharge negative',
        receipt_discount_amount DECIMAL(18,2) NOT NULL COMMENT 'part of it in discount_amount of gold.fct_receipt'
    """,
)

RECEIPT_FACTS = (FCT_PAYMENT, FCT_TAX, FCT_DISCOUNT)
TABLES = RECEIPT_FACTS
