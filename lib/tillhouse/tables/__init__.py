"""Table contracts: the only place where a schema is written."""

from __future__ import annotations

from tillhouse.tables.contract import Table

__all__ = ["Table"]
