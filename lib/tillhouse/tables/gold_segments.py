"""Gold: which customers are in which segments, how great these are, who moves, and what comes of it."""

from __future__ import annotations

from tillhouse.tables.contract import Table

NO_SEGMENT = "none"  # of those who have not bought yet, or not in the window of the rule set
NO_BRANCH = "unknown"  # of those who have no home branch

SEGMENT_MEMBER = Table(
    schema="gold",
    name="segment_member",
    grain="one row per as_of, rule_set, segment and customer in it",
    columns=f"""
        as_of DATE NOT NULL COMMENT 'the segment is that of all that happened before this day',
        rule_set STRING NOT NULL COMMENT 'rule set of conf/segments.yml',
        segment STRING NOT NULL COMMENT 'segment; who is in none of a rule set has no row',
        definition_version STRING NOT NULL COMMENT 'what the rule set said, see gold.segment_definition',
        customer_id STRING NOT NULL COMMENT 'customer, see gold.dim_customer',
        branch_id STRING NOT NULL COMMENT 'home branch: most purchases in the 12 months before as_of; {NO_BRANCH} without any'
    """,
    key=("as_of", "rule_set", "segment", "customer_id"),
    sort_by=("as_of", "rule_set", "segment"),
)

SEGMENT_SIZE = Table(
    schema="gold",
    name="segment_size",
    grain="one row per as_of, rule_set, segment, home branch and currency with customers; the chain is the sum of the branches",
    columns=f"""
        as_of DATE NOT NULL COMMENT 'as in gold.segment_member',
        rule_set STRING NOT NULL COMMENT 'rule set of conf/segments.yml',
        segment STRING NOT NULL COMMENT 'segment',
        definition_version STRING NOT NULL COMMENT 'see gold.segment_definition',
        branch_id STRING NOT NULL COMMENT 'home branch of the customers; {NO_BRANCH}: those who have none',
        currency STRING NOT NULL COMMENT 'ISO 4217: that of the customers',
        customers BIGINT NOT NULL COMMENT 'customers; of an overlapping rule set a customer counts in each segment',
        revenue DECIMAL(18,2) NOT NULL COMMENT 'KPI 10 of the customers: of their whole life, or of the window of the rule set',
        revenue_share DECIMAL(28,12) COMMENT 'revenue / that of all who bought then, of the currency; NULL where that is 0'
    """,
    key=("as_of", "rule_set", "segment", "branch_id", "currency"),
    sort_by=("as_of", "rule_set", "segment", "branch_id"),
)

SEGMENT_MOVE = Table(
    schema="gold",
    name="segment_move",
    grain="one row per exclusive rule_set, two following as_of days and pair of segments, also where nobody moved",
    columns=f"""
        rule_set STRING NOT NULL COMMENT 'exclusive rule set of conf/segments.yml',
        definition_version STRING NOT NULL COMMENT 'what it says; both days are judged by it, see gold.segment_definition',
        from_as_of DATE NOT NULL COMMENT 'the earlier day',
        to_as_of DATE NOT NULL COMMENT 'the later day',
        from_segment STRING NOT NULL COMMENT 'segment on the earlier day; {NO_SEGMENT}: no purchase before it, or in its window',
        to_segment STRING NOT NULL COMMENT 'segment on the later day; {NO_SEGMENT}: no purchase in its window',
        customers BIGINT NOT NULL COMMENT 'KPI 16: of those with a purchase before the later day; they sum to all of these',
        move_share DECIMAL(28,12) COMMENT 'customers / all of from_segment; NULL where it has none'
    """,
    key=("rule_set", "from_as_of", "to_as_of", "from_segment", "to_segment"),
    sort_by=("rule_set", "from_as_of"),
)

SEGMENT_EFFECT = Table(
    schema="gold",
    name="segment_effect",
    grain="one row per rule_set, segment, currency and two following as_of days",
    columns="""
        rule_set STRING NOT NULL COMMENT 'rule set of conf/segments.yml',
        segment STRING NOT NULL COMMENT 'segment on from_as_of',
        definition_version STRING NOT NULL COMMENT 'see gold.segment_definition',
        from_as_of DATE NOT NULL COMMENT 'the customers are those of the segment on this day',
        to_as_of DATE NOT NULL COMMENT 'what they did from from_as_of until the day before this one',
        before_as_of DATE COMMENT 'first day of the period of the same length before; NULL if it is not wholly known',
        currency STRING NOT NULL COMMENT 'ISO 4217: that of the customers; what they pay in others is not added',
        customers BIGINT NOT NULL COMMENT 'customers of the segment on from_as_of',
        active_customers BIGINT NOT NULL COMMENT 'of these, those with a purchase in the period',
        retention DECIMAL(28,12) COMMENT 'KPI 16b: active_customers / customers',
        revenue_before DECIMAL(18,2) COMMENT 'their revenue in the period before; NULL if it is not wholly known',
        revenue_after DECIMAL(18,2) NOT NULL COMMENT 'their revenue in the period',
        revenue_change DECIMAL(28,12) COMMENT 'revenue_after / revenue_before - 1; NULL where that is 0 or less'
    """,
    key=("rule_set", "segment", "from_as_of", "to_as_of", "currency"),
    sort_by=("rule_set", "from_as_of"),
)

SEGMENT_DEFINITION = Table(
    schema="gold",
    name="segment_definition",
    grain="one row per rule_set and definition_version that a run has used",
    columns="""
        rule_set STRING NOT NULL COMMENT 'rule set of conf/segments.yml',
        definition_version STRING NOT NULL COMMENT 'hash of all that decides who is in which segment',
        definition STRING NOT NULL COMMENT 'JSON: kind, window, conditions in order, thresholds used in them',
        first_as_of DATE NOT NULL COMMENT 'as_of of the first run that used it',
        is_current BOOLEAN NOT NULL COMMENT 'what the rule set says now; none is where it was taken out'
    """,
    key=("rule_set", "definition_version"),
    sort_by=("rule_set", "first_as_of"),
)

SEGMENT_CHANGE = Table(
    schema="gold",
    name="segment_change",
    grain="one row per rule_set, old and new definition, as_of and pair of segments with customers",
    columns=f"""
        rule_set STRING NOT NULL COMMENT 'rule set of conf/segments.yml that was changed',
        from_version STRING NOT NULL COMMENT 'definition before, see gold.segment_definition',
        to_version STRING NOT NULL COMMENT 'definition since',
        as_of DATE NOT NULL COMMENT 'as_of of the first run with the new one; both are asked of this day',
        from_segment STRING NOT NULL COMMENT 'segment by the old definition; {NO_SEGMENT}: in none',
        to_segment STRING NOT NULL COMMENT 'segment by the new one; of an overlapping rule set the same one, or {NO_SEGMENT}',
        customers BIGINT NOT NULL COMMENT 'the same customers on the same day: nobody has moved'
    """,
    key=("rule_set", "from_version", "to_version", "as_of", "from_segment", "to_segment"),
    sort_by=("rule_set", "as_of"),
)

TABLES = (SEGMENT_MEMBER, SEGMENT_SIZE, SEGMENT_MOVE, SEGMENT_EFFECT, SEGMENT_DEFINITION, SEGMENT_CHANGE)
