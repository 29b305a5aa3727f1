"""Gold: what was published and has changed since, what Z reports state, and what is owed for vouchers."""

from __future__ import annotations

from collections.abc import Sequence

from tillhouse.tables.contract import MONTH, MONTH_COLUMN, Table


def _columns_of(table: Table, names: Sequence[str]) -> str:
    """The lines of a contract that declare these columns, so that what is frozen is of the same type as what was published."""
    lines = {line.split()[0]: line.strip().rstrip(",") for line in table.columns.strip().splitlines()}
    return ",\n        ".join(lines[name] for name in names)


def closed_period(kpi_branch_day: Table) -> Table:
    """The contract of the figures that are frozen when a period is closed."""
    return Table(
        schema="gold",
        name="closed_period",
        grain="one row per closing of a period and branch day of it, as its figures were published; nothing is ever taken out",
        columns=f"""
        period STRING NOT NULL COMMENT 'yyyy-MM, yyyy-Www or yyyy-MM-dd',
        closing_number INT NOT NULL COMMENT '1 for the first closing of the period; one more each time after it was reopened',
        first_date DATE NOT NULL COMMENT 'first day of the period',
        last_date DATE NOT NULL COMMENT 'last day of the period',
        {_columns_of(kpi_branch_day, FROZEN)},
        loaded_at TIMESTAMP COMMENT 'start of the last run whose files the figures hold; what was loaded later came after it',
        closed_by STRING NOT NULL COMMENT 'who closed it',
        closed_at TIMESTAMP NOT NULL COMMENT 'when',
        still_open STRING COMMENT 'what was open when it was closed all the same (--force); NULL if nothing',
        reopened_by STRING COMMENT 'who opened it again',
        reopened_at TIMESTAMP COMMENT 'when; NULL while it is closed',
        reopen_reason STRING COMMENT 'why',
        _run_id STRING NOT NULL COMMENT 'the command that closed it'
    """,
        key=("period", "closing_number", "branch_id", "business_date", "currency"),
        sort_by=("period", "branch_id", "business_date"),
    )


# What of gold.kpi_branch_day is frozen. A further column needs a further version of the contract.
ADDITIVE = (
    "sales_before_returns", "return_amount", "revenue", "revenue_excl_tax", "receipts", "baskets", "items", "customers",
    "new_customers", "returning_customers", "identified_revenue", "unclear_amount", "excluded_amount", "lines_revenue",
    "discount_amount",
)  # fmt: skip
RATIOS = ("average_basket", "items_per_basket", "revenue_per_customer", "identified_share", "lines_share", "return_rate")
FROZEN = ("branch_id", "business_date", "currency", *ADDITIVE, *RATIOS, "open_exceptions", "delivery_status")

RESTATEMENT = Table(
    schema="gold",
    name="restatement",
    grain="one row per closed period, branch day, currency and measure that is not what was published",
    columns="""
        period STRING NOT NULL COMMENT 'the closed period, see gold.closed_period',
        branch_id STRING NOT NULL COMMENT 'branch',
        business_date DATE NOT NULL COMMENT 'trading day',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        measure STRING NOT NULL COMMENT 'additive measure of gold.kpi_branch_day',
        published DECIMAL(18,3) COMMENT 'as frozen; NULL where the day had no figures',
        now DECIMAL(18,3) COMMENT 'as gold.kpi_branch_day has it; NULL where the day has no figures any more',
        difference DECIMAL(18,3) COMMENT 'now less published, no figures counting 0; NULL where one is not known',
        cause STRING NOT NULL COMMENT 'late_receipt, correction, void (or several: correction+void), else exception, identity, \
first_purchase or rules; see docs/operations.md',
        receipt_count BIGINT NOT NULL COMMENT 'receipts of the day of which another version came after the closing',
        receipt_keys ARRAY<STRING> NOT NULL COMMENT 'the first of them, see silver.receipt_version',
        _run_id STRING NOT NULL COMMENT 'run that found it as it is'
    """,
    key=("period", "branch_id", "business_date", "currency", "measure"),
    sort_by=("period", "branch_id", "business_date"),
)

CLOSING_TIE_OUT = Table(
    schema="gold",
    name="closing_tie_out",
    grain="one row per till closing and thing that its Z report adds up, of sources that deliver Z reports",
    columns=f"""
        closing_key STRING NOT NULL COMMENT 'the closing, see silver.closing_total',
        source STRING NOT NULL COMMENT 'source of the closing',
        branch_id STRING NOT NULL COMMENT 'branch',
        register_id STRING COMMENT 'till',
        closing_id STRING COMMENT 'till closing (Z number)',
        business_date DATE NOT NULL COMMENT 'trading day that the report states; without a report that of the receipts',
        kind STRING NOT NULL COMMENT 'BUSINESS_CASE, PAYMENT, CURRENCY (cash handed over), NET and TAX (of business cases)',
        member STRING NOT NULL COMMENT 'type of line, tender, currency or tax key; all where the report names none',
        is_revenue BOOLEAN NOT NULL COMMENT 'a business case whose lines are revenue',
        tax_rate DECIMAL(9,5) COMMENT 'rate of the tax key as the receipts tell it, 0..1',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        stated_amount DECIMAL(18,2) COMMENT 'as the report states it; NULL without a report',
        actual_amount DECIMAL(18,2) NOT NULL COMMENT 'sum of what has come of the closing',
        difference_amount DECIMAL(18,2) COMMENT 'stated less actual',
        tolerance_amount DECIMAL(18,2) NOT NULL COMMENT 'what rounding each tax to cents explains; 0 for what is told in cents',
        status STRING NOT NULL COMMENT 'agrees, differs, no_report, or no_receipts (nothing of the closing has come)',
        {MONTH_COLUMN}
    """,
    key=("closing_key", "business_date", "kind", "member", "currency"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
)

_VOUCHER_TYPE = "voucher_type STRING NOT NULL COMMENT 'multi_purpose (gift cards too) or single_purpose'"
_MOVEMENTS = """
        sold_amount DECIMAL(18,2) NOT NULL COMMENT 'sold or charged; what was taken back is subtracted',
        redeemed_amount DECIMAL(18,2) NOT NULL COMMENT 'redeemed, by a line or as a means of payment',
        refunded_amount DECIMAL(18,2) NOT NULL COMMENT 'paid back on vouchers, which are owed again',
        change_amount DECIMAL(18,2) NOT NULL COMMENT 'sold + refunded - redeemed: by how much more is owed'
"""

FCT_VOUCHER = Table(
    schema="gold",
    name="fct_voucher",
    grain="one row per sale, redemption or refund of a voucher on a valid receipt",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'the receipt, see gold.fct_receipt',
        told_by STRING NOT NULL COMMENT 'line or payment',
        position INT NOT NULL COMMENT 'number of the line, or of the payment in gold.fct_payment',
        branch_id STRING NOT NULL COMMENT 'branch that sold or redeemed',
        business_date DATE NOT NULL COMMENT 'trading day of the branch',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        {_VOUCHER_TYPE},
        voucher_token STRING COMMENT 'keyed token of the voucher, where the till tells its number; never of a means of payment',
        movement STRING NOT NULL COMMENT 'sold, redeemed or refunded',
        change_amount DECIMAL(18,2) NOT NULL COMMENT 'by how much more is owed: sold > 0, redeemed < 0',
        {MONTH_COLUMN}
    """,
    key=("receipt_key", "told_by", "position"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    change_feed=True,
)

VOUCHER_LIABILITY = Table(
    schema="gold",
    name="voucher_liability",
    grain="one row per branch, trading day, currency and type of voucher on which one was sold or redeemed",
    columns=f"""
        branch_id STRING NOT NULL COMMENT 'branch that sold or redeemed; it need not be the same for one voucher',
        business_date DATE NOT NULL COMMENT 'trading day',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        {_VOUCHER_TYPE},{_MOVEMENTS}
    """,
    key=("branch_id", "business_date", "currency", "voucher_type"),
    sort_by=("branch_id", "business_date"),
)

VOUCHER_BALANCE = Table(
    schema="gold",
    name="voucher_balance",
    grain="one row per currency, type of voucher and trading day on which the chain sold or redeemed one",
    columns=f"""
        currency STRING NOT NULL COMMENT 'ISO 4217',
        {_VOUCHER_TYPE},
        business_date DATE NOT NULL COMMENT 'trading day',{_MOVEMENTS.rstrip()},
        balance_amount DECIMAL(18,2) NOT NULL COMMENT 'change since the history begins: add what was owed before it'
    """,
    key=("currency", "voucher_type", "business_date"),
    sort_by=("currency", "voucher_type", "business_date"),
)

VOUCHER = Table(
    schema="gold",
    name="voucher",
    grain="one row per voucher whose number tills tell, and currency",
    columns=f"""
        voucher_token STRING NOT NULL COMMENT 'keyed token of its number',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        {_VOUCHER_TYPE},
        first_sold_on DATE COMMENT 'first day on which it was sold or charged; NULL where the history does not tell',
        last_used_on DATE NOT NULL COMMENT 'last day on which it was sold or redeemed',{_MOVEMENTS.rstrip()},
        status STRING NOT NULL COMMENT 'open, spent (nothing is left), overdrawn (more was redeemed than sold: look into it), \
or sale_unknown (sold before the history begins, or elsewhere)'
    """,
    key=("voucher_token", "currency", "voucher_type"),
)

VOUCHERS = (FCT_VOUCHER, VOUCHER_LIABILITY, VOUCHER_BALANCE, VOUCHER)
