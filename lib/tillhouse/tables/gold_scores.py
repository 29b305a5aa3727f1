"""Gold: the quality score of each customer, and how many reach which group of it."""

from __future__ import annotations

from tillhouse.tables.contract import Table

QUALITY_SCORE = Table(
    schema="gold",
    name="quality_score",
    grain="one row per as_of and customer of the population of conf/score.yml who has not objected to scoring",
    columns="""
        as_of DATE NOT NULL COMMENT 'the score is of all that happened before this day',
        customer_id STRING NOT NULL COMMENT 'random neutral id',
        score DECIMAL(12,2) NOT NULL COMMENT 'KPI 25: sum of points',
        colour STRING NOT NULL COMMENT 'colour of the score, see conf/score.yml',
        colour_hex STRING NOT NULL COMMENT 'the same for a screen, #RRGGBB',
        points MAP<STRING, DECIMAL(12,2)> NOT NULL
            COMMENT 'points by criterion, which sum exactly to score; cap: what minimum and maximum of the whole add',
        points_from DECIMAL(12,2) NOT NULL COMMENT 'lower end of the group of points that the score lies in',
        rank BIGINT NOT NULL COMMENT '1 the best score of as_of; equal scores share a rank',
        position BIGINT NOT NULL COMMENT 'place by score; ties: first purchase date, then smallest receipt_key',
        branch_id STRING COMMENT 'home branch as of then, see gold.customer_state',
        currency STRING COMMENT 'ISO 4217, of revenue_total',
        revenue_total DECIMAL(18,2) NOT NULL COMMENT 'KPI 10: revenue with VAT, returns subtracted',
        definition_version STRING NOT NULL COMMENT 'which contents of conf/score.yml gave the score'
    """,
    key=("as_of", "customer_id"),
    sort_by=("as_of", "customer_id"),
)

QUALITY_GROUP = Table(
    schema="gold",
    name="quality_group",
    grain="one row per as_of and group of points, from the lowest to the highest that somebody is in, empty ones too",
    columns="""
        as_of DATE NOT NULL COMMENT 'see gold.quality_score',
        points_from DECIMAL(12,2) NOT NULL COMMENT 'least score of the group',
        points_below DECIMAL(12,2) NOT NULL COMMENT 'least score of the next higher group',
        customers BIGINT NOT NULL COMMENT 'customers in the group',
        customers_cumulative BIGINT NOT NULL COMMENT 'customers in this group or a higher one',
        customer_share DECIMAL(28,12) NOT NULL COMMENT 'customers / all with a score',
        cumulative_share DECIMAL(28,12) NOT NULL COMMENT 'customers_cumulative / all with a score',
        currency STRING COMMENT 'ISO 4217, of revenue; NULL where customers with a score have several',
        revenue DECIMAL(18,2) COMMENT 'revenue_total of the customers in the group; NULL without one currency',
        revenue_share DECIMAL(28,12) COMMENT 'revenue / that of all groups; NULL where that is 0 or less, or unknown',
        definition_version STRING NOT NULL COMMENT 'which contents of conf/score.yml gave the scores'
    """,
    key=("as_of", "points_from"),
    sort_by=("as_of", "points_from"),
)

TABLES = (QUALITY_SCORE, QUALITY_GROUP)
