"""Gold: what was published, and what has changed since."""

from __future__ import annotations

from collections.abc import Sequence

from tillhouse.tables.contract import Table


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
