"""Silver tables of what is delivered beside receipts, products and branches. One exists where a source delivers such records."""

from __future__ import annotations

from tillhouse.tables.contract import Table

_PARTY = """
        party_key STRING COMMENT 'who it is about, see silver.party; NULL if nobody is named',
"""
_END = """
        version_at TIMESTAMP COMMENT 'change or export time that the source declares',
        _file STRING NOT NULL COMMENT 'file below the landing area',
        _file_id STRING NOT NULL COMMENT 'the file, see ops.file_ledger',
        _row BIGINT NOT NULL COMMENT 'line of that file'
"""


def _table(name: str, grain: str, columns: str, names_party: bool = True) -> Table:
    """``columns`` are those of the kind of record; what all of them have is put around."""
    return Table(
        schema="silver",
        name=name,
        grain=grain,
        columns=f"""
        record_key STRING NOT NULL COMMENT 'surrogate of source and what names the record there',
        source STRING NOT NULL COMMENT 'source that delivered it',
        {_PARTY if names_party else ""}
        {columns.strip()},
        {_END}
        """,
        key=("record_key",),
        change_feed=True,
    )


_TOLD = (
    "STRUCT<begins_on: DATE, changed_at: TIMESTAMP, party_type: STRING, has_name: BOOLEAN, has_company: BOOLEAN, "
    "has_address: BOOLEAN, postal_area: STRING, country: STRING, language: STRING, birth_year: INT, "
    "company_id_tokens: ARRAY<STRING>>"
)

RECORD_VERSION = Table(
    schema="silver",
    name="record_version",
    grain="one row per delivered record that is no receipt, product or branch",
    columns=f"""
        entity STRING NOT NULL COMMENT 'what the record is about, see docs/sources.md',
        record_key STRING NOT NULL COMMENT 'the record; of one without key, its place',
        source STRING NOT NULL COMMENT 'source that delivered it',
        version_at TIMESTAMP COMMENT 'change or export time that the source declares (version_order)',
        content_hash STRING COMMENT 'hash of all mapped content, keyed where it is personal',
        is_deletion BOOLEAN NOT NULL COMMENT 'the record takes an earlier one back',
        status STRING NOT NULL COMMENT 'current, deleted (taken back), duplicate, superseded, conflicting, rejected (has errors)',
        told {_TOLD} COMMENT 'of a contact, what changes slowly, coarse: see silver.party_version',
        _file_id STRING NOT NULL COMMENT 'the file, see ops.file_ledger',
        _row BIGINT NOT NULL COMMENT 'line of that file'
    """,
    key=("_file_id", "_row"),
    partition_by=("source",),
    version=2,
)

PARTY_VERSION = Table(
    schema="silver",
    name="party_version",
    grain="one row per contact and day from which on something is other that changes slowly",
    columns="""
        party_key STRING NOT NULL COMMENT 'the contact, see silver.party',
        valid_from DATE NOT NULL COMMENT 'first day, as its source writes it; 1900-01-01 (since ever) where it tells none',
        source STRING NOT NULL COMMENT 'source that delivered it',
        is_deleted BOOLEAN NOT NULL COMMENT 'taken back on that day; nothing else is told then',
        party_type STRING COMMENT 'person or company',
        has_name BOOLEAN COMMENT 'a person is named; NULL if not',
        has_company BOOLEAN COMMENT 'a company is named; NULL if not',
        has_address BOOLEAN COMMENT 'a street, a postal code or a city is told; NULL if not',
        postal_area STRING COMMENT 'first two digits of the postal code',
        country STRING COMMENT 'country as delivered',
        language STRING COMMENT 'language',
        birth_year INT COMMENT 'year of birth; NULL where the date cannot be one',
        company_id_tokens ARRAY<STRING> COMMENT 'source_id of the companies that the person belongs to, in the same system',
        changed_at TIMESTAMP COMMENT 'when the source last changed the record',
        version_at TIMESTAMP COMMENT 'change or export time of the first record that said so'
    """,
    key=("party_key", "valid_from"),
    change_feed=True,
)

CONSENT = Table(
    schema="silver",
    name="consent",
    grain="one row per party, channel and purpose that its source tells of, as delivered",
    columns="""
        party_key STRING NOT NULL COMMENT 'who consents, see silver.party',
        channel STRING NOT NULL COMMENT 'email, phone, sms, whatsapp, push, post, fax or any',
        purpose STRING NOT NULL COMMENT 'marketing, scoring or survey',
        state STRING NOT NULL COMMENT 'granted, denied or unknown (nothing is said); of several declarations, the strictest',
        proof STRING COMMENT 'what the source gives as proof; addresses and numbers in it are masked',
        source STRING NOT NULL COMMENT 'source that delivered it',
        at TIMESTAMP COMMENT 'when it was declared; NULL where the source does not say',
        observed_at TIMESTAMP COMMENT 'change or export time of the record that says so',
        _file STRING NOT NULL COMMENT 'file below the landing area',
        _file_id STRING NOT NULL COMMENT 'the file, see ops.file_ledger',
        _row BIGINT NOT NULL COMMENT 'line of that file'
    """,
    key=("party_key", "channel", "purpose"),
    change_feed=True,
)

RECORD_TEXT = Table(
    schema="vault",
    name="record_text",
    grain="one row per record with personal content that is no contact",
    columns="""
        record_key STRING NOT NULL COMMENT 'the record',
        entity STRING NOT NULL COMMENT 'what the record is about; its table in silver has the same name',
        source STRING NOT NULL COMMENT 'source that delivered it',
        content MAP<STRING, STRING> COMMENT 'personal fields of the record in clear, by name'
    """,
    key=("record_key",),
    personal=True,
)

TICKET = _table(
    "ticket",
    "one row per complaint, question or request",
    """
        ticket_id STRING NOT NULL COMMENT 'number of the ticket in its source',
        ticket_type STRING COMMENT 'complaint, question, request, return, repair, praise or other',
        status STRING COMMENT 'open, pending or closed',
        priority STRING COMMENT 'priority',
        channel STRING COMMENT 'how it came in',
        category STRING COMMENT 'what it is about, as the source sorts it',
        reason STRING COMMENT 'cause, as the source sorts it',
        opened_at TIMESTAMP NOT NULL COMMENT 'when it was opened',
        due_at TIMESTAMP COMMENT 'when it is due',
        closed_at TIMESTAMP COMMENT 'when it was closed',
        branch_id STRING COMMENT 'branch that it is about',
        product_ref STRING COMMENT 'article that it is about',
        receipt_number STRING COMMENT 'receipt that it is about',
        team STRING COMMENT 'team that answers for it',
        agent_token STRING COMMENT 'keyed token of who works on it',
        satisfaction DECIMAL(18,3) COMMENT 'mark that the customer gave'
    """,
)

INTERACTION = _table(
    "interaction",
    "one row per talk, mail or visit",
    """
        interaction_id STRING NOT NULL COMMENT 'number of the contact in its source',
        channel STRING COMMENT 'such as phone, email, chat, store',
        direction STRING COMMENT 'inbound or outbound',
        started_at TIMESTAMP NOT NULL COMMENT 'when it began',
        ended_at TIMESTAMP COMMENT 'when it ended',
        reason STRING COMMENT 'what it was about, as the source sorts it',
        outcome STRING COMMENT 'what came of it, as the source sorts it',
        ticket_id STRING COMMENT 'ticket that it belongs to',
        campaign_id STRING COMMENT 'campaign that it belongs to',
        branch_id STRING COMMENT 'branch',
        receipt_number STRING COMMENT 'receipt that it is about',
        team STRING COMMENT 'team',
        agent_token STRING COMMENT 'keyed token of who talked'
    """,
)

CAMPAIGN = _table(
    "campaign",
    "one row per campaign",
    """
        campaign_id STRING NOT NULL COMMENT 'number of the campaign',
        campaign_name STRING COMMENT 'name',
        campaign_type STRING COMMENT 'kind, as the source sorts it',
        channel STRING COMMENT 'such as email, post, app',
        starts_on DATE COMMENT 'first day',
        ends_on DATE COMMENT 'last day',
        cost_amount DECIMAL(18,2) COMMENT 'what it costs',
        currency STRING COMMENT 'ISO 4217',
        owner_team STRING COMMENT 'team that answers for it'
    """,
    names_party=False,
)

CAMPAIGN_CONTACT = _table(
    "campaign_contact",
    "one row per campaign, party, event and time",
    """
        campaign_id STRING NOT NULL COMMENT 'the campaign',
        event STRING NOT NULL COMMENT 'sent, delivered, opened, clicked, responded, bounced or unsubscribed',
        occurred_at TIMESTAMP COMMENT 'when',
        occurred_on DATE COMMENT 'on which day, where no time is told',
        channel STRING COMMENT 'such as email, post, app',
        test_group STRING COMMENT 'target or control',
        response STRING COMMENT 'answer, as the source sorts it'
    """,
)

COUPON = _table(
    "coupon",
    "one row per coupon, campaign and article",
    """
        coupon_id STRING NOT NULL COMMENT 'number of the coupon',
        campaign_id STRING COMMENT 'campaign that it belongs to',
        product_ref STRING COMMENT 'article that it holds for; NULL for all',
        discount_amount DECIMAL(18,2) COMMENT 'what it takes off',
        currency STRING COMMENT 'ISO 4217',
        starts_on DATE COMMENT 'first day',
        ends_on DATE COMMENT 'last day'
    """,
    names_party=False,
)

COUPON_REDEMPTION = _table(
    "coupon_redemption",
    "one row per use of a coupon",
    """
        coupon_id STRING NOT NULL COMMENT 'number of the coupon',
        campaign_id STRING COMMENT 'campaign that it belongs to',
        redeemed_at TIMESTAMP COMMENT 'when',
        redeemed_on DATE COMMENT 'on which day, where no time is told',
        branch_id STRING COMMENT 'branch',
        receipt_number STRING COMMENT 'receipt',
        discount_amount DECIMAL(18,2) COMMENT 'what it took off',
        currency STRING COMMENT 'ISO 4217'
    """,
)

WEB_EVENT = _table(
    "web_event",
    "one row per event in the web shop",
    """
        event_id STRING NOT NULL COMMENT 'number of the event',
        event STRING NOT NULL COMMENT 'view, search, cart_add, cart_remove, checkout, cart_abandoned or purchase',
        occurred_at TIMESTAMP NOT NULL COMMENT 'when',
        cart_id STRING COMMENT 'the web cart',
        visitor_id_token STRING COMMENT 'keyed token of the cookie or device',
        product_ref STRING COMMENT 'article',
        quantity DECIMAL(18,3) COMMENT 'quantity',
        amount DECIMAL(18,2) COMMENT 'value with VAT',
        currency STRING COMMENT 'ISO 4217',
        device STRING COMMENT 'such as phone or desktop',
        campaign_id STRING COMMENT 'campaign that led there'
    """,
)

OPEN_ITEM = _table(
    "open_item",
    "one row per invoice, credit note, payment or dunning notice",
    """
        item_id STRING NOT NULL COMMENT 'number of the document',
        item_type STRING NOT NULL COMMENT 'invoice, credit_note, payment or dunning',
        invoice_id STRING COMMENT 'invoice that it belongs to',
        dunning_level INT COMMENT 'level of the dunning notice',
        issued_on DATE NOT NULL COMMENT 'day of the document',
        due_on DATE COMMENT 'day on which it is due',
        paid_on DATE COMMENT 'day on which it was paid in full',
        amount DECIMAL(18,2) NOT NULL COMMENT 'amount with VAT, as delivered',
        open_amount DECIMAL(18,2) COMMENT 'what is still open',
        currency STRING COMMENT 'ISO 4217',
        branch_id STRING COMMENT 'branch',
        receipt_number STRING COMMENT 'receipt'
    """,
)

SURVEY_ANSWER = _table(
    "survey_answer",
    "one row per survey, response and question",
    """
        survey_id STRING NOT NULL COMMENT 'the survey',
        survey_name STRING COMMENT 'name of the survey',
        response_id STRING COMMENT 'the questionnaire that was filled in',
        question_id STRING NOT NULL COMMENT 'the question',
        question STRING COMMENT 'text of the question',
        answer STRING COMMENT 'answer out of those that were offered',
        score DECIMAL(18,3) COMMENT 'answer as a number',
        answered_at TIMESTAMP COMMENT 'when',
        branch_id STRING COMMENT 'branch that it is about',
        receipt_number STRING COMMENT 'receipt that it is about'
    """,
)

PREFERENCE = _table(
    "preference",
    "one row per party, kind, topic and article",
    """
        preference_type STRING NOT NULL COMMENT 'preference, dislike or planned_purchase',
        category STRING COMMENT 'product group or topic',
        product_ref STRING COMMENT 'article',
        value STRING COMMENT 'what is preferred, such as a size or colour',
        planned_on DATE COMMENT 'when it is to be bought',
        budget_amount DECIMAL(18,2) COMMENT 'what it may cost',
        currency STRING COMMENT 'ISO 4217',
        stated_at TIMESTAMP COMMENT 'when it was said'
    """,
)

WARRANTY = _table(
    "warranty",
    "one row per device with a warranty",
    """
        serial_number STRING NOT NULL COMMENT 'serial number',
        model STRING COMMENT 'model',
        product_ref STRING COMMENT 'article',
        purchased_on DATE COMMENT 'day of the purchase',
        starts_on DATE COMMENT 'first day of the warranty',
        ends_on DATE NOT NULL COMMENT 'last day of the warranty',
        branch_id STRING COMMENT 'branch that sold it',
        receipt_number STRING COMMENT 'receipt'
    """,
)

PLAN = _table(
    "plan",
    "one row per branch, period and product group",
    """
        branch_id STRING NOT NULL COMMENT 'branch',
        starts_on DATE NOT NULL COMMENT 'first day of the period',
        period STRING NOT NULL COMMENT 'day, week, month or year',
        category_l1 STRING COMMENT 'product group; NULL for all',
        revenue_amount DECIMAL(18,2) NOT NULL COMMENT 'expected revenue with VAT',
        currency STRING COMMENT 'ISO 4217'
    """,
    names_party=False,
)

_VALIDITY = """
        valid_from DATE COMMENT 'first day on which it holds; NULL since ever',
        valid_until DATE COMMENT 'last day on which it holds, where delivered; the next beginning ends it too'
"""

PRODUCT_REFERENCE = _table(
    "product_reference",
    "one row per name that a system has for a product, product and beginning",
    f"""
        system STRING COMMENT 'system that calls it so; NULL for all',
        kind STRING NOT NULL COMMENT 'gtin, sku or vendor_id',
        value STRING NOT NULL COMMENT 'the GTIN, SKU or number of the vendor',
        product_id STRING NOT NULL COMMENT 'product number of the chain',
        pack_factor DECIMAL(18,3) COMMENT 'pieces of the product in what is called so; NULL is 1',
        {_VALIDITY.strip()}
    """,
    names_party=False,
)

CATEGORY = _table(
    "category",
    "one row per source, system and category",
    """
        system STRING NOT NULL COMMENT 'system that has the category',
        category_ref STRING NOT NULL COMMENT 'the category as the system names it',
        category_l1 STRING NOT NULL COMMENT 'product group, level 1',
        category_l2 STRING COMMENT 'product group, level 2',
        category_l3 STRING COMMENT 'product group, level 3'
    """,
    names_party=False,
)

BUNDLE_COMPONENT = _table(
    "bundle_component",
    "one row per set, product in it and beginning; of one set the newest beginning counts as a whole",
    f"""
        bundle_id STRING NOT NULL COMMENT 'product number of the set',
        product_id STRING NOT NULL COMMENT 'product number of what is in it',
        quantity DECIMAL(18,3) COMMENT 'pieces of it; NULL is 1',
        list_price DECIMAL(18,5) COMMENT 'usual price of one piece with VAT; NULL for that of silver.product',
        {_VALIDITY.strip()}
    """,
    names_party=False,
)

PRICE_LIST = _table(
    "price_list",
    "one row per product, branch, channel, currency and beginning",
    f"""
        product_id STRING NOT NULL COMMENT 'product number of the chain',
        branch_id STRING COMMENT 'branch; NULL for all',
        channel STRING COMMENT 'order channel; NULL for all',
        price DECIMAL(18,5) NOT NULL COMMENT 'price of one unit',
        currency STRING COMMENT 'ISO 4217; NULL for that of the branch',
        includes_tax BOOLEAN COMMENT 'whether the price includes VAT; NULL is yes',
        {_VALIDITY.strip()}
    """,
    names_party=False,
)

STOCK = _table(
    "stock",
    "one row per product, branch and day",
    """
        product_id STRING NOT NULL COMMENT 'product number of the chain',
        branch_id STRING NOT NULL COMMENT 'branch',
        stock_date DATE NOT NULL COMMENT 'the day, at its end',
        quantity DECIMAL(18,3) NOT NULL COMMENT 'how much is there',
        unit STRING COMMENT 'unit of the quantity; NULL is pieces'
    """,
    names_party=False,
)

RECORDS = (
    TICKET, INTERACTION, CAMPAIGN, CAMPAIGN_CONTACT, COUPON, COUPON_REDEMPTION, WEB_EVENT, OPEN_ITEM, SURVEY_ANSWER,
    PREFERENCE, WARRANTY, PLAN, PRODUCT_REFERENCE, CATEGORY, BUNDLE_COMPONENT, PRICE_LIST, STOCK,
)  # fmt: skip
BY_NAME = {table.name: table for table in RECORDS}
TABLES = (RECORD_VERSION, CONSENT, PARTY_VERSION, *RECORDS, RECORD_TEXT)
