"""All tables of one lake: what a chain has depends on its sources."""

from __future__ import annotations

from collections.abc import Iterable

from tillhouse.sources.entities import CONTACT
from tillhouse.sources.model import Source
from tillhouse.tables import Table, entities, gold, ops, silver, vault
from tillhouse.tables.bronze import bronze_table


def bronze_tables(sources: Iterable[Source]) -> tuple[Table, ...]:
    return tuple(bronze_table(source.name, source.personal_data) for source in sources)


def entity_tables(sources: Iterable[Source]) -> tuple[Table, ...]:
    """The tables of what the sources deliver beside receipts, products and branches."""
    names = {source.entity for source in sources}
    records = tuple(table for table in entities.RECORDS if table.name in names)
    is_any = bool(records) or CONTACT in names
    return (
        *((entities.RECORD_VERSION,) if is_any else ()),
        *((entities.CONSENT, entities.PARTY_VERSION) if CONTACT in names else ()),
        *records,
        *((entities.RECORD_TEXT,) if records else ()),
    )


def tables_of(sources: Iterable[Source]) -> tuple[Table, ...]:
    """Every table that a run needs, those of operation first."""
    sources = tuple(sources)
    return (
        *ops.TABLES, *bronze_tables(sources), *silver.TABLES, *vault.TABLES, *entity_tables(sources), *gold.TABLES,
    )  # fmt: skip
