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
        card_number STRING COMMENT 'loyalty card in clear'
    """,
    key=("party_key",),
    personal=True,
)

TABLES = (PARTY,)
