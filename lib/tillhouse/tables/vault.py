"""The vault: clear-text personal data, and nothing of it elsewhere."""

from __future__ import annotations

from tillhouse.tables.contract import Table

PARTY = Table(
    schema="vault",
    name="party",
    grain="one row per source record of a person or company",
    columns="""
        party_key STRING NOT NULL COMMENT 'surrogate of source and tokenised id, see silver.party',
        source STRING NOT NULL COMMENT 'source that named the party',
        card_number STRING COMMENT 'loyalty card in clear',
        contact_id STRING COMMENT 'id in the source',
        customer_number STRING COMMENT 'customer number',
        salutation STRING COMMENT 'form of address',
        title STRING COMMENT 'academic title',
        given_name STRING COMMENT 'first name',
        family_name STRING COMMENT 'last name',
        company STRING COMMENT 'name of the company',
        contact_person STRING COMMENT 'who speaks for the company',
        birth_date DATE COMMENT 'date of birth',
        gender STRING COMMENT 'female, male or diverse',
        emails ARRAY<STRING> COMMENT 'e-mail addresses',
        phones ARRAY<STRING> COMMENT 'phone numbers as delivered',
        street STRING COMMENT 'street and number; may have several lines',
        postal_code STRING COMMENT 'postal code',
        city STRING COMMENT 'city',
        country STRING COMMENT 'country as delivered',
        tax_id STRING COMMENT 'VAT or tax number',
        company_ids ARRAY<STRING> COMMENT 'ids of the companies that the person belongs to'
    """,
    key=("party_key",),
    personal=True,
    version=2,
)

IDENTITY_RECORD = Table(
    schema="vault",
    name="identity_record",
    grain="one row per contact record, in the form in which records are compared",
    columns="""
        record_id STRING NOT NULL COMMENT 'party_key',
        source STRING COMMENT 'source that named the party',
        given STRING COMMENT 'first name, folded',
        given_sound STRING COMMENT 'its sound (Kölner Phonetik)',
        family STRING COMMENT 'last name, folded, without particles',
        family_sound STRING COMMENT 'its sound',
        generation STRING COMMENT 'junior or senior',
        birth_date DATE COMMENT 'date of birth',
        street STRING COMMENT 'street without number, one spelling',
        house_number STRING COMMENT 'house number',
        postal_code STRING COMMENT 'postal code',
        city STRING COMMENT 'city, folded',
        tax_id STRING COMMENT 'tax number',
        company STRING COMMENT 'company without its legal form',
        given_names ARRAY<STRING> COMMENT 'all first names',
        given_roots ARRAY<STRING> COMMENT 'names that the first name may be short for',
        family_names ARRAY<STRING> COMMENT 'all last names',
        emails ARRAY<STRING> COMMENT 'mailboxes, aliases resolved',
        email_names ARRAY<STRING> COMMENT 'their local parts',
        phones ARRAY<STRING> COMMENT 'numbers in international form',
        cards ARRAY<STRING> COMMENT 'cards whose check digit fits',
        customer_numbers ARRAY<STRING> COMMENT 'customer numbers',
        given_frequency DOUBLE COMMENT 'share of persons with this first name',
        family_frequency DOUBLE COMMENT 'share of persons with this last name',
        content_hash BIGINT NOT NULL COMMENT 'hash of the record that this was made of'
    """,
    key=("record_id",),
    personal=True,
)

CUSTOMER = Table(
    schema="vault",
    name="customer",
    grain="one row per customer that a contact record tells of",
    columns="""
        customer_id STRING NOT NULL COMMENT 'random neutral id',
        customer_type STRING NOT NULL COMMENT 'B2C, or B2B: a company, or a person who buys for one',
        company_id STRING COMMENT 'customer_id of the company that the person belongs to',
        salutation STRING COMMENT 'form of address',
        title STRING COMMENT 'academic title',
        given_name STRING COMMENT 'first name',
        family_name STRING COMMENT 'last name',
        company STRING COMMENT 'name of the company',
        contact_person STRING COMMENT 'who speaks for the company',
        birth_date DATE COMMENT 'date of birth',
        gender STRING COMMENT 'female, male or diverse',
        emails ARRAY<STRING> COMMENT 'e-mail addresses, the surviving one first',
        phones ARRAY<STRING> COMMENT 'phone numbers, the surviving one first',
        street STRING COMMENT 'street and number',
        postal_code STRING COMMENT 'postal code',
        city STRING COMMENT 'city',
        country STRING COMMENT 'country as delivered',
        tax_id STRING COMMENT 'VAT or tax number',
        language STRING COMMENT 'language',
        card_numbers ARRAY<STRING> COMMENT 'all cards',
        customer_numbers ARRAY<STRING> COMMENT 'all customer numbers'
    """,
    key=("customer_id",),
    personal=True,
)

CUSTOMER_FIELD = Table(
    schema="vault",
    name="customer_field",
    grain="one row per customer and field that has a value",
    columns="""
        customer_id STRING NOT NULL COMMENT 'the customer',
        field STRING NOT NULL COMMENT 'column of vault.customer',
        party_key STRING NOT NULL COMMENT 'record that the value was taken from',
        rule STRING NOT NULL COMMENT 'why this record: only_one, protected_source, most_recent, source_priority, smallest_key',
        is_protected BOOLEAN NOT NULL COMMENT 'the value is of a source that others do not overwrite',
        changed_at TIMESTAMP COMMENT 'when its source last changed the record; NULL where it does not say'
    """,
    key=("customer_id", "field"),
    personal=True,
    statistics=("customer_id",),
)

CONSENT = Table(
    schema="vault",
    name="consent",
    grain="one row per customer, channel and purpose that one of its records tells of",
    columns="""
        customer_id STRING NOT NULL COMMENT 'who consents',
        channel STRING NOT NULL COMMENT 'email, phone, sms, whatsapp, push, post, fax or any',
        purpose STRING NOT NULL COMMENT 'marketing, scoring or survey',
        state STRING NOT NULL COMMENT 'granted, denied or unknown; granted only if the latest dated declaration says so',
        rule STRING NOT NULL COMMENT 'latest, undated, contradictory or nothing_said',
        party_key STRING NOT NULL COMMENT 'record that decided',
        proof STRING COMMENT 'what the source gives as proof',
        at TIMESTAMP COMMENT 'when it was declared'
    """,
    key=("customer_id", "channel", "purpose"),
    personal=True,
    statistics=("customer_id",),
)

TABLES = (PARTY, IDENTITY_RECORD, CUSTOMER, CUSTOMER_FIELD, CONSENT)
