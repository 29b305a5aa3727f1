"""Gold: small dimensions of what receipts name, and campaigns. Facts carry their natural keys."""

from __future__ import annotations

from tillhouse.tables.contract import Table

DIM_REGISTER = Table(
    schema="gold",
    name="dim_register",
    grain="one row per till that a valid receipt names",
    columns="""
        branch_id STRING NOT NULL COMMENT 'branch',
        register_id STRING NOT NULL COMMENT 'till, as its branch numbers it',
        sources ARRAY<STRING> COMMENT 'sources that deliver its receipts, sorted'
    """,
    key=("branch_id", "register_id"),
)

DIM_TEAM = Table(
    schema="gold",
    name="dim_team",
    grain="one row per team or department of a branch that a valid receipt names",
    columns="""
        branch_id STRING NOT NULL COMMENT 'branch',
        team STRING NOT NULL COMMENT 'team or department'
    """,
    key=("branch_id", "team"),
)

DIM_PAYMENT_TYPE = Table(
    schema="gold",
    name="dim_payment_type",
    grain="one row per type of payment of a valid receipt",
    columns="""
        payment_type STRING NOT NULL COMMENT 'tender type, such as CASH; mixed for receipts that have several',
        is_mixed BOOLEAN NOT NULL COMMENT 'stands for receipts that have several'
    """,
    key=("payment_type",),
)

DIM_CAMPAIGN = Table(
    schema="gold",
    name="dim_campaign",
    grain="one row per campaign, as last delivered; none where no source delivers campaigns",
    columns="""
        campaign_key STRING NOT NULL COMMENT 'surrogate of source and campaign_id',
        campaign_id STRING NOT NULL COMMENT 'number of the campaign in its source',
        source STRING NOT NULL COMMENT 'source that delivered it',
        campaign_name STRING COMMENT 'name',
        campaign_type STRING COMMENT 'kind, as the source sorts it',
        channel STRING COMMENT 'such as email, post, app',
        starts_on DATE COMMENT 'first day',
        ends_on DATE COMMENT 'last day',
        cost_amount DECIMAL(18,2) COMMENT 'what it costs',
        currency STRING COMMENT 'ISO 4217',
        owner_team STRING COMMENT 'team that answers for it'
    """,
    key=("campaign_key",),
)

TABLES = (DIM_REGISTER, DIM_TEAM, DIM_PAYMENT_TYPE, DIM_CAMPAIGN)
