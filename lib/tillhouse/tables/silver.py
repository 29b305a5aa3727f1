"""Silver: typed, checked, canonical records (names as in ARTS and DSFinV-K)."""

from __future__ import annotations

from tillhouse.tables import receipt_details
from tillhouse.tables.contract import MONTH, MONTH_COLUMN, Table

RECEIPT_PAYMENT, RECEIPT_LINE_TAX, RECEIPT_REFERENCE, RECEIPT_ADJUSTMENT, CLOSING_TOTAL = receipt_details.TABLES

_LINEAGE = """
        _file STRING NOT NULL COMMENT 'file below the landing area',
        _file_id STRING NOT NULL COMMENT 'the file, see ops.file_ledger'
"""

RECEIPT = Table(
    schema="silver",
    name="receipt",
    grain="one row per receipt, in its winning version",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'surrogate of source, branch, register, closing and receipt id',
        source STRING NOT NULL COMMENT 'source that delivered the receipt',
        branch_id STRING NOT NULL COMMENT 'branch that sold',
        register_id STRING COMMENT 'till (ARTS workstation)',
        closing_id STRING COMMENT 'till closing (Z number) that the receipt belongs to',
        receipt_id STRING NOT NULL COMMENT 'id of the receipt in its source',
        receipt_number STRING COMMENT 'printed number; may repeat',
        transaction_type STRING NOT NULL COMMENT 'SALE, RETURN, EXCHANGE, ORDER, TRAINING, CANCELLED, CONTROL or CASH',
        status STRING NOT NULL COMMENT 'FINAL, OPEN or VOIDED',
        started_at TIMESTAMP COMMENT 'first instant of the receipt (UTC)',
        ended_at TIMESTAMP COMMENT 'last instant of the receipt (UTC)',
        is_time_ambiguous BOOLEAN NOT NULL COMMENT 'naive local time inside the repeated hour at the end of summer time',
        local_hour INT COMMENT 'hour of the day in the branch, 0..23',
        business_date DATE NOT NULL COMMENT 'trading day of the branch',
        operator_token STRING COMMENT 'keyed token of the operator',
        team STRING COMMENT 'team or department',
        channel STRING COMMENT 'order channel',
        fulfilment STRING COMMENT 'store, pickup or ship',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        gross_amount DECIMAL(18,2) NOT NULL COMMENT 'sum of all lines, with VAT',
        net_amount DECIMAL(18,2) COMMENT 'without VAT; NULL where a line does not say',
        tax_amount DECIMAL(18,2) COMMENT 'VAT; NULL where a line does not say',
        discount_amount DECIMAL(18,2) NOT NULL COMMENT 'discounts contained in the lines; positive on sales',
        stated_gross_amount DECIMAL(18,2) COMMENT 'total that the source itself states on the receipt',
        party_key STRING COMMENT 'who the receipt names, see silver.party; NULL if nobody',
        detail_level STRING NOT NULL COMMENT 'lines, categories or totals',
        is_day_total BOOLEAN NOT NULL COMMENT 'a day of a branch as one document: counts in revenue, not in receipts',
        line_count INT NOT NULL COMMENT 'lines',
        {MONTH_COLUMN},
        {_LINEAGE},
        _row BIGINT NOT NULL COMMENT 'first line of the receipt in that file'
    """,
    key=("receipt_key",),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    change_feed=True,
    version=2,
)

RECEIPT_LINE = Table(
    schema="silver",
    name="receipt_line",
    grain="one row per line of a receipt, in the receipt's winning version",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'the receipt',
        line_number INT NOT NULL COMMENT 'number of the line in the receipt',
        source STRING NOT NULL COMMENT 'source that delivered the line',
        branch_id STRING NOT NULL COMMENT 'branch that sold',
        business_date DATE NOT NULL COMMENT 'trading day of the branch',
        currency STRING NOT NULL COMMENT 'ISO 4217',
        line_type STRING NOT NULL COMMENT 'ITEM, DISCOUNT, DEPOSIT, GIFTCARD_SALE, CATEGORY, TOTAL ...; see docs/kpis.md',
        product_ref STRING COMMENT 'article as the source names it',
        gtin STRING COMMENT 'GTIN/EAN',
        category_ref STRING COMMENT 'category as the source names it, for CATEGORY lines',
        quantity DECIMAL(18,3) COMMENT 'signed: sale > 0, return < 0',
        unit STRING COMMENT 'unit of the quantity; NULL is pieces',
        unit_price DECIMAL(18,5) COMMENT 'price of one unit with VAT',
        gross_amount DECIMAL(18,2) NOT NULL COMMENT 'signed amount with VAT, as charged',
        net_amount DECIMAL(18,2) COMMENT 'signed amount without VAT',
        tax_amount DECIMAL(18,2) COMMENT 'signed VAT',
        discount_amount DECIMAL(18,2) NOT NULL COMMENT 'discount already contained in gross_amount; positive on sales',
        promotion_amount DECIMAL(18,2) COMMENT 'part of discount_amount that a promotion gave; NULL where not told',
        coupon_amount DECIMAL(18,2) COMMENT 'manufacturer coupons tendered for the line; a means of payment',
        return_reason STRING COMMENT 'reason of a return as mapped',
        parent_line_number INT COMMENT 'line that a discount, deposit or component belongs to',
        is_void BOOLEAN NOT NULL COMMENT 'the line takes back an earlier line of the same receipt',
        is_voided BOOLEAN NOT NULL COMMENT 'nothing remains of the line after the voids inside the receipt',
        voucher_token STRING COMMENT 'keyed token of the voucher or gift card that the line sells or redeems',
        _amount_read DECIMAL(18,5) NOT NULL COMMENT 'amount as delivered, before sign rule and rounding',
        {MONTH_COLUMN},
        {_LINEAGE},
        _row BIGINT NOT NULL COMMENT 'line of that file'
    """,
    key=("receipt_key", "line_number"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date", "receipt_key", "line_number"),
    change_feed=True,
    version=4,
)

RECEIPT_VERSION = Table(
    schema="silver",
    name="receipt_version",
    grain="one row per receipt and file that delivered it",
    columns=f"""
        receipt_key STRING NOT NULL COMMENT 'the receipt',
        source STRING NOT NULL COMMENT 'source that delivered it',
        branch_id STRING COMMENT 'branch that sold, where it can be read',
        business_date DATE COMMENT 'trading day of the branch, where it can be read',
        _file_id STRING NOT NULL COMMENT 'the file, see ops.file_ledger',
        version_at TIMESTAMP COMMENT 'change or export time that the source declares (version_order)',
        content_hash STRING NOT NULL COMMENT 'hash of all mapped content, independent of the order of lines',
        is_deletion BOOLEAN NOT NULL COMMENT 'the record takes the receipt back',
        status STRING NOT NULL COMMENT 'current, deleted (taken back), duplicate, superseded, conflicting, unreadable (no key)',
        record_count BIGINT NOT NULL COMMENT 'records of the file that the version consists of',
        line_count BIGINT NOT NULL COMMENT 'accepted lines of the version',
        amount_read DECIMAL(38,5) NOT NULL COMMENT 'sum of their amounts as delivered',
        rejected_count BIGINT NOT NULL COMMENT 'lines kept out by errors',
        rejected_amount DECIMAL(38,5) NOT NULL COMMENT 'sum of their amounts as far as they can be read',
        repeated_count BIGINT NOT NULL COMMENT 'lines whose number the file has already used for this receipt',
        repeated_amount DECIMAL(38,5) NOT NULL COMMENT 'sum of their amounts',
        {MONTH_COLUMN}
    """,
    key=("receipt_key", "_file_id"),
    partition_by=(MONTH,),
    change_feed=True,
    version=3,
)

PRODUCT = Table(
    schema="silver",
    name="product",
    grain="one row per product, as last delivered",
    columns=f"""
        product_id STRING NOT NULL COMMENT 'product number of the chain',
        source STRING NOT NULL COMMENT 'source that delivered the product',
        gtin STRING COMMENT 'GTIN/EAN',
        product_name STRING COMMENT 'name',
        category_l1 STRING COMMENT 'product group, level 1',
        category_l2 STRING COMMENT 'product group, level 2',
        category_l3 STRING COMMENT 'product group, level 3',
        product_line STRING COMMENT 'product line, an attribute beside the product group',
        brand STRING COMMENT 'brand',
        price_tier STRING COMMENT 'price tier',
        variant_of STRING COMMENT 'product that this is a variant of',
        parent_product_id STRING NOT NULL COMMENT 'product at the top of its variants, itself if it is none',
        is_bundle BOOLEAN NOT NULL COMMENT 'sold as a bundle of other products',
        category_ref STRING COMMENT 'category as the source names it',
        list_price DECIMAL(18,5) COMMENT 'usual price of one unit with VAT',
        valid_from DATE COMMENT 'day from which the product is as told here, where delivered',
        version_at TIMESTAMP COMMENT 'change or export time that the source declares',
        {_LINEAGE},
        _row BIGINT NOT NULL COMMENT 'line of that file'
    """,
    key=("product_id",),
    change_feed=True,
    version=3,
)

BRANCH = Table(
    schema="silver",
    name="branch",
    grain="one row per branch, as last delivered",
    columns=f"""
        branch_id STRING NOT NULL COMMENT 'branch number of the chain',
        source STRING NOT NULL COMMENT 'source that delivered the branch',
        branch_name STRING COMMENT 'name',
        region STRING COMMENT 'region',
        location STRING COMMENT 'place',
        format STRING COMMENT 'store format',
        time_zone STRING NOT NULL COMMENT 'IANA time zone of the branch',
        currency STRING COMMENT 'ISO 4217',
        day_start STRING NOT NULL COMMENT 'HH:mm at which the trading day begins',
        opened_on DATE COMMENT 'first trading day',
        closed_on DATE COMMENT 'last trading day',
        version_at TIMESTAMP COMMENT 'change or export time that the source declares',
        {_LINEAGE},
        _row BIGINT NOT NULL COMMENT 'line of that file'
    """,
    key=("branch_id",),
    change_feed=True,
    version=2,
)

_VERSION_END = f"""
        source STRING NOT NULL COMMENT 'source that told it first',
        version_at TIMESTAMP COMMENT 'change or export time that the source declares for that record',
        {_LINEAGE},
        _row BIGINT NOT NULL COMMENT 'line of that file'
"""

PRODUCT_VERSION = Table(
    schema="silver",
    name="product_version",
    grain="one row per product and version: what changes slowly, and since when it is so",
    columns=f"""
        product_id STRING NOT NULL COMMENT 'product number of the chain',
        valid_from DATE NOT NULL COMMENT 'first day of this version; 1900-01-01 (since ever) for the first',
        gtin STRING COMMENT 'GTIN/EAN',
        product_name STRING COMMENT 'name',
        category_l1 STRING COMMENT 'product group, level 1; of a category_ref the one that it stands for now',
        category_l2 STRING COMMENT 'product group, level 2',
        category_l3 STRING COMMENT 'product group, level 3',
        product_line STRING COMMENT 'product line, an attribute beside the product group',
        brand STRING COMMENT 'brand',
        price_tier STRING COMMENT 'price tier',
        variant_of STRING COMMENT 'product that this is a variant of',
        parent_product_id STRING NOT NULL COMMENT 'product at the top of its variants as it is now, itself if it is none',
        is_bundle BOOLEAN NOT NULL COMMENT 'sold as a bundle of other products',
        {_VERSION_END}
    """,
    key=("product_id", "valid_from"),
    change_feed=True,
)

BRANCH_VERSION = Table(
    schema="silver",
    name="branch_version",
    grain="one row per branch and version: what changes slowly, and since when it is so",
    columns=f"""
        branch_id STRING NOT NULL COMMENT 'branch number of the chain',
        valid_from DATE NOT NULL COMMENT 'first day of this version; 1900-01-01 (since ever) for the first',
        branch_name STRING COMMENT 'name',
        region STRING COMMENT 'region',
        location STRING COMMENT 'place',
        format STRING COMMENT 'store format',
        time_zone STRING NOT NULL COMMENT 'IANA time zone of the branch',
        currency STRING COMMENT 'ISO 4217',
        opened_on DATE COMMENT 'first trading day',
        closed_on DATE COMMENT 'last trading day',
        {_VERSION_END}
    """,
    key=("branch_id", "valid_from"),
    change_feed=True,
)

PARTY = Table(
    schema="silver",
    name="party",
    grain="one row per source record of a person or company",
    columns="""
        party_key STRING NOT NULL COMMENT 'surrogate of source and source_id',
        source STRING NOT NULL COMMENT 'source that named the party',
        source_id STRING NOT NULL COMMENT 'keyed token of the id in the source',
        party_type STRING NOT NULL COMMENT 'person or company',
        card_token STRING COMMENT 'keyed token of the loyalty card',
        is_complete BOOLEAN NOT NULL COMMENT 'name and a contact are known; a card seen only on receipts is incomplete',
        customer_number_token STRING COMMENT 'keyed token of the customer number, without blanks, in capitals',
        email_tokens ARRAY<STRING> COMMENT 'keyed tokens of the e-mail addresses, in small letters',
        phone_tokens ARRAY<STRING> COMMENT 'keyed tokens of the phone numbers in international form (E.164)',
        tax_id_token STRING COMMENT 'keyed token of the VAT or tax number, in capitals, without blanks and marks',
        company_id_tokens ARRAY<STRING> COMMENT 'source_id of the companies that the person belongs to, in the same system',
        language STRING COMMENT 'language',
        country STRING COMMENT 'country as delivered',
        home_branch_id STRING COMMENT 'branch that the source counts the party to',
        loyalty_tier STRING COMMENT 'tier in the loyalty scheme',
        loyalty_points DECIMAL(18,3) COMMENT 'points in the loyalty scheme',
        created_at TIMESTAMP COMMENT 'when the source made the record',
        changed_at TIMESTAMP COMMENT 'when the source last changed it',
        version_at TIMESTAMP COMMENT 'change or export time that the source declares',
        _file STRING COMMENT 'file below the landing area; NULL for a party that other records name',
        _file_id STRING COMMENT 'the file, see ops.file_ledger',
        _row BIGINT COMMENT 'line of that file'
    """,
    key=("party_key",),
    version=2,
)

PARTY_CUSTOMER = Table(
    schema="silver",
    name="party_customer",
    grain="one row per party, customer and validity",
    columns="""
        party_key STRING NOT NULL COMMENT 'the party',
        customer_id STRING NOT NULL COMMENT 'random neutral id, given once',
        rule STRING NOT NULL COMMENT 'rule that joined the party to the customer',
        score DOUBLE COMMENT 'match score; NULL for exact keys',
        evidence STRING COMMENT 'what the decision rests on (JSON, tokens only)',
        valid_from_run STRING NOT NULL COMMENT 'run that decided',
        valid_to_run STRING COMMENT 'run that ended it; NULL while it holds'
    """,
    key=("party_key", "valid_from_run"),
    change_feed=True,
    version=2,
)

CUSTOMER_VERSION = Table(
    schema="silver",
    name="customer_version",
    grain="one row per customer that a contact tells of, and day from which on something is other that changes slowly",
    columns="""
        customer_id STRING NOT NULL COMMENT 'random neutral id',
        valid_from DATE NOT NULL COMMENT 'first day of this version; 1900-01-01 (since ever) for the first',
        customer_type STRING NOT NULL COMMENT 'B2C, or B2B: a company, or a person who buys for one',
        company_id STRING COMMENT 'customer_id of the company that the person belongs to',
        birth_year INT COMMENT 'year of birth',
        postal_area STRING COMMENT 'first two digits of the postal code',
        country STRING COMMENT 'country as delivered',
        language STRING COMMENT 'language'
    """,
    key=("customer_id", "valid_from"),
    change_feed=True,
)

PARTY_LINK = Table(
    schema="silver",
    name="party_link",
    grain="one row per two records that were compared and found to be, or possibly to be, one customer",
    columns="""
        left_key STRING NOT NULL COMMENT 'party_key of the smaller of the two',
        right_key STRING NOT NULL COMMENT 'party_key of the other',
        decision STRING NOT NULL COMMENT 'auto (linked) or review (a person is asked)',
        rule STRING COMMENT 'key or score that links the two; NULL where a person is asked',
        contradiction STRING COMMENT 'what keeps the two apart, see conf/identity.yml',
        log_odds DOUBLE NOT NULL COMMENT 'log2 of the odds that the two are one customer',
        levels MAP<STRING, STRING> NOT NULL COMMENT 'how far the two agree, by comparison',
        found_by ARRAY<STRING> NOT NULL COMMENT 'blocking rules that brought the two together'
    """,
    key=("left_key", "right_key"),
)

PARTY_WITHOUT_CUSTOMER = Table(
    schema="silver",
    name="party_without_customer",
    grain="one row per party that stands for no one customer",
    columns="""
        party_key STRING NOT NULL COMMENT 'the party',
        reason STRING NOT NULL COMMENT 'unclear (its identifiers are those of several customers) or staff_card (anonymous)',
        candidates ARRAY<STRING> COMMENT 'a party_key of each customer that it may be, the smallest; NULL for a staff card'
    """,
    key=("party_key",),
    change_feed=True,
)

STAFF_CARD_DAY = Table(
    schema="silver",
    name="staff_card_day",
    grain="one row per loyalty card and trading day with more receipts than a household has",
    columns="""
        card_token STRING NOT NULL COMMENT 'keyed token of the card',
        business_date DATE NOT NULL COMMENT 'trading day',
        receipts BIGINT NOT NULL COMMENT 'receipts of that day over the whole chain'
    """,
    key=("card_token", "business_date"),
)

IDENTITY_DECISION = Table(
    schema="silver",
    name="identity_decision",
    grain="one row per decision of a person about who is who; nothing is ever taken out",
    columns="""
        decision_id STRING NOT NULL COMMENT 'random, given once',
        kind STRING NOT NULL COMMENT 'together, apart, or detach (a receipt is of no customer)',
        left_keys ARRAY<STRING> COMMENT 'party_keys of one side',
        right_keys ARRAY<STRING> COMMENT 'party_keys of the other side',
        receipt_key STRING COMMENT 'receipt that is detached',
        review_id STRING COMMENT 'question that it answers, see silver.identity_review',
        reason STRING COMMENT 'why',
        decided_by STRING NOT NULL COMMENT 'who decided',
        decided_at TIMESTAMP NOT NULL COMMENT 'when; of two decisions about the same records the later one counts',
        undone_by STRING COMMENT 'who took it back',
        undone_at TIMESTAMP COMMENT 'when; NULL while it holds'
    """,
    key=("decision_id",),
    change_feed=True,
)

IDENTITY_REVIEW = Table(
    schema="silver",
    name="identity_review",
    grain="one row per record of which a person is asked whose it is; the same question tomorrow is the same row",
    columns="""
        review_id STRING NOT NULL COMMENT 'hash of the record and of those that it may belong to',
        party_key STRING NOT NULL COMMENT 'the record in question',
        party_keys ARRAY<STRING> NOT NULL COMMENT 'the record, and the nearest record of each customer that it may belong to',
        reason STRING NOT NULL COMMENT 'possible, contradiction, between_two (fits several who are not one), unclear',
        evidence STRING NOT NULL COMMENT 'JSON: for each candidate its customer, odds, levels and masked values',
        value_amount DECIMAL(18,2) NOT NULL COMMENT 'gross amount of the receipts of record and candidates',
        status STRING NOT NULL COMMENT 'open, decided, or gone (no longer asked)',
        decision STRING COMMENT 'same:<party_key of the candidate>, or different',
        decided_by STRING COMMENT 'who decided',
        decided_at TIMESTAMP COMMENT 'when',
        owner STRING NOT NULL COMMENT 'who answers it',
        opened_at TIMESTAMP NOT NULL COMMENT 'when it was asked, or asked again after it was gone; the due time counts from here',
        due_at TIMESTAMP COMMENT 'when it must be answered',
        escalate_to STRING COMMENT 'who hears of it after that',
        first_seen_run STRING NOT NULL COMMENT 'run that asked first'
    """,
    key=("review_id",),
)

EXCEPTION = Table(
    schema="silver",
    name="exception",
    grain="one row per fault of a record, file or reference; the same fault tomorrow is the same row",
    columns="""
        exception_id STRING NOT NULL COMMENT 'hash of rule, source, entity, record key and field',
        rule STRING NOT NULL COMMENT 'broken rule, see docs/rules.md',
        severity STRING NOT NULL COMMENT 'error keeps the record out, warning marks it',
        source STRING COMMENT 'source of the record',
        entity STRING NOT NULL COMMENT 'file, delivery, register, receipt, receipt_line, product, contact, ticket ...',
        record_key STRING NOT NULL COMMENT 'natural key of the record, or file and row',
        branch_id STRING COMMENT 'branch, where known',
        business_date DATE COMMENT 'trading day, where known',
        amount DECIMAL(18,2) COMMENT 'signed amount at stake, where known',
        currency STRING COMMENT 'ISO 4217, where known',
        context STRING NOT NULL COMMENT 'JSON: file, row, field, value (masked if personal), rule, remedy',
        owner STRING COMMENT 'who answers for it: conf/exceptions.yml, else the owner of the source',
        assigned_to STRING COMMENT 'who works on it',
        opened_at TIMESTAMP COMMENT 'when it was found, or found again; the due time counts from here',
        due_at TIMESTAMP COMMENT 'when it must be decided',
        escalate_to STRING COMMENT 'who hears of it after that, at the first level',
        escalations ARRAY<STRUCT<to: STRING, at: TIMESTAMP>> COMMENT 'who hears of it from when on while it is open',
        status STRING NOT NULL COMMENT 'open, resolved or waived',
        first_seen_run STRING NOT NULL COMMENT 'run that found it',
        resolved_run STRING COMMENT 'run in which it was gone',
        resolution STRING COMMENT 'repaired (no longer found), or the decision: waived, resolved by hand',
        reason STRING COMMENT 'why it was waived or resolved by hand',
        decided_by STRING COMMENT 'who decided last',
        decided_at TIMESTAMP COMMENT 'when',
        decisions ARRAY<STRUCT<decision: STRING, decided_by: STRING, decided_at: TIMESTAMP, reason: STRING>>
            COMMENT 'all that people have decided, the oldest first; nothing is ever taken out',
        _scope STRING COMMENT 'what is judged again when it changes: a receipt_key, a closing_key, a record_key, a till and day'
    """,
    key=("exception_id",),
    change_feed=True,
    version=3,
)

TABLES = (
    RECEIPT, RECEIPT_LINE, *receipt_details.TABLES, RECEIPT_VERSION, PRODUCT, PRODUCT_VERSION, BRANCH, BRANCH_VERSION,
    PARTY, PARTY_CUSTOMER, PARTY_LINK, PARTY_WITHOUT_CUSTOMER, CUSTOMER_VERSION, STAFF_CARD_DAY, IDENTITY_DECISION,
    IDENTITY_REVIEW, EXCEPTION,
)  # fmt: skip
