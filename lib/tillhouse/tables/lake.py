"""All tables of one lake: what a chain has depends on its sources."""

from __future__ import annotations

from collections.abc import Iterable

from tillhouse.sources.model import Source
from tillhouse.tables import Table, gold, ops, silver, vault
from tillhouse.tables.bronze import bronze_table


def bronze_tables(sources: Iterable[Source]) -> tuple[Table, ...]:
    return tuple(bronze_table(source.name, source.personal_data) for source in sources)


def tables_of(sources: Iterable[Source]) -> tuple[Table, ...]:
    """Every table that a run needs, those of operation first."""
    return (*ops.TABLES, *bronze_tables(sources), *silver.TABLES, *vault.TABLES, *gold.TABLES)
