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

_CUSTOMER = """
        customer_id STRING COMMENT 'customer, see gold.dim_customer; NULL unless identified',
        customer_status STRING NOT NULL COMMENT 'identified, anonymous (nobody is named, or a card of a till) or unclear'
"""
_BRANCH = """
        branch_id STRING COMMENT 'branch; NULL unless branch_status is known',
        branch_key STRING COMMENT 'version of the branch on the day of the record',
        branch_status STRING NOT NULL COMMENT 'known, unknown (not in gold.dim_branch) or not_told',
        branch_ref STRING COMMENT 'branch as the source names it'
"""
_PRODUCT = """
        product_id STRING COMMENT 'product; NULL unless product_status is known',
        product_key STRING COMMENT 'version of the product on the day of the record',
        product_status STRING NOT NULL COMMENT 'known, unknown (no master data) or not_told',
        product_ref STRING COMMENT 'article as the source names it'
"""
_RECEIPT_NUMBER = "receipt_number STRING COMMENT 'printed number of the receipt that it is about; may repeat'"
_OF_TICKET = "ticket_id STRING COMMENT 'ticket that it belongs to, see gold.fct_ticket of the same source'"


def _of_records(name: str, grain: str, columns: str, by_month: bool = False) -> Table:
    """A fact of records about customers; the column of the month follows from the day of the record."""
    month = f", {MONTH} STRING NOT NULL COMMENT 'month of the contact, unknown without a day; the partition'" if by_month else ""
    return Table(
        schema="gold",
        name=name,
        grain=grain,
        columns=f"""
        record_key STRING NOT NULL COMMENT 'the record, see the table of its kind in silver',
        source STRING NOT NULL COMMENT 'source that delivered it',
        {columns.strip()}{month}
        """,
        key=("record_key",),
        partition_by=(MONTH,) if by_month else (),
    )


FCT_CONTACT = _of_records(
    "fct_contact",
    "one row per talk, mail or visit, and per event of a campaign with one party; is_contact marks what counts as a contact",
    f"""
        contact_kind STRING NOT NULL COMMENT 'interaction or campaign',
        {_CUSTOMER.strip()},
        contacted_on DATE COMMENT 'day of the contact, in the time zone of its branch, else UTC; NULL where it is not told',
        started_at TIMESTAMP COMMENT 'when it began, or when the event occurred',
        ended_at TIMESTAMP COMMENT 'when it ended',
        duration_seconds BIGINT COMMENT 'from beginning to end; NULL where one is not told, or the end lies before',
        is_contact BOOLEAN NOT NULL COMMENT 'an interaction, or what a campaign sent, but not to its control group',
        event STRING COMMENT 'of a campaign: sent, delivered, opened, clicked, responded, bounced or unsubscribed',
        channel STRING COMMENT 'such as phone, email, chat, store',
        direction STRING COMMENT 'inbound or outbound; of a campaign, outbound for what it sent',
        reason STRING COMMENT 'what it was about, as the source sorts it',
        outcome STRING COMMENT 'what came of it, or the answer to a campaign, as the source sorts it',
        campaign_id STRING COMMENT 'campaign that it belongs to',
        test_group STRING COMMENT 'of a campaign: target or control',
        {_OF_TICKET},
        team STRING COMMENT 'team',
        {_BRANCH.strip()},
        {_RECEIPT_NUMBER}
    """,
    by_month=True,
)

FCT_TICKET = _of_records(
    "fct_ticket",
    "one row per complaint, question or request, as it stands",
    f"""
        ticket_id STRING NOT NULL COMMENT 'number of the ticket in its source',
        {_CUSTOMER.strip()},
        ticket_type STRING COMMENT 'complaint, question, request, return, repair, praise or other',
        status STRING COMMENT 'open, pending or closed',
        is_open BOOLEAN NOT NULL COMMENT 'not closed; overdue on a day where due_at lies before it',
        priority STRING COMMENT 'priority',
        channel STRING COMMENT 'how it came in',
        category STRING COMMENT 'what it is about, as the source sorts it',
        reason STRING COMMENT 'cause, as the source sorts it',
        opened_at TIMESTAMP NOT NULL COMMENT 'when it was opened',
        opened_on DATE NOT NULL COMMENT 'on which day, in the time zone of its branch, else UTC',
        due_at TIMESTAMP COMMENT 'when it is due',
        closed_at TIMESTAMP COMMENT 'when it was closed',
        closed_on DATE COMMENT 'on which day, in the time zone of its branch, else UTC',
        hours_to_close DECIMAL(18,3) COMMENT 'from opened_at to closed_at; NULL while it is open',
        is_closed_late BOOLEAN COMMENT 'closed after due_at; NULL while it is open or where nothing is due',
        satisfaction DECIMAL(18,3) COMMENT 'mark that the customer gave',
        team STRING COMMENT 'team that answers for it',
        {_BRANCH.strip()},
        {_PRODUCT.strip()},
        {_RECEIPT_NUMBER}
    """,
)

FCT_OPEN_ITEM = _of_records(
    "fct_open_item",
    "one row per invoice, credit note, payment or dunning notice; of the amounts by type, one is not 0",
    f"""
        item_id STRING NOT NULL COMMENT 'number of the document',
        item_type STRING NOT NULL COMMENT 'invoice, credit_note, payment or dunning',
        invoice_id STRING COMMENT 'invoice that it belongs to, see item_id',
        dunning_level INT COMMENT 'level of the dunning notice',
        {_CUSTOMER.strip()},
        issued_on DATE NOT NULL COMMENT 'day of the document',
        due_on DATE COMMENT 'day on which it is due',
        paid_on DATE COMMENT 'day on which it was paid in full',
        days_to_pay INT COMMENT 'from issued_on to paid_on',
        days_late INT COMMENT 'from due_on to paid_on; negative where paid before',
        is_open BOOLEAN NOT NULL COMMENT 'something is still to be paid; overdue on a day where due_on lies before it',
        currency STRING COMMENT 'ISO 4217; that of the branch where it is not told',
        amount DECIMAL(18,2) NOT NULL COMMENT 'amount with VAT, as delivered',
        invoiced_amount DECIMAL(18,2) NOT NULL COMMENT 'of an invoice: its amount',
        credited_amount DECIMAL(18,2) NOT NULL COMMENT 'of a credit note: its amount, positive whatever its sign',
        paid_amount DECIMAL(18,2) NOT NULL COMMENT 'of a payment: its amount, positive whatever its sign',
        dunned_amount DECIMAL(18,2) NOT NULL COMMENT 'of a dunning notice: its amount',
        open_amount DECIMAL(18,2) COMMENT 'what is still open, as delivered',
        {_BRANCH.strip()},
        {_RECEIPT_NUMBER}
    """,
)

WARRANTY = _of_records(
    "warranty",
    "one row per device with a warranty",
    f"""
        serial_number STRING NOT NULL COMMENT 'serial number',
        model STRING COMMENT 'model',
        {_CUSTOMER.strip()},
        purchased_on DATE COMMENT 'day of the purchase',
        starts_on DATE COMMENT 'first day of the warranty',
        ends_on DATE NOT NULL COMMENT 'last day of the warranty',
        warranty_days INT COMMENT 'days from the first (that of the purchase where none is told) to the last',
        {_BRANCH.strip()},
        {_PRODUCT.strip()},
        {_RECEIPT_NUMBER}
    """,
)

PREFERENCE = _of_records(
    "preference",
    "one row per party, kind, topic and article",
    f"""
        {_CUSTOMER.strip()},
        preference_type STRING NOT NULL COMMENT 'preference, dislike or planned_purchase',
        category STRING COMMENT 'product group or topic',
        value STRING COMMENT 'what is preferred, such as a size or colour',
        planned_on DATE COMMENT 'when it is to be bought',
        budget_amount DECIMAL(18,2) COMMENT 'what it may cost',
        currency STRING COMMENT 'ISO 4217',
        stated_at TIMESTAMP COMMENT 'when it was said',
        {_PRODUCT.strip()}
    """,
)

RECORD_FACTS = (FCT_CONTACT, FCT_TICKET, FCT_OPEN_ITEM, WARRANTY, PREFERENCE)
TABLES = (*RECEIPT_FACTS, *RECORD_FACTS)
