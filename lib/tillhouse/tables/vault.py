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

TABLES = (PARTY,)
