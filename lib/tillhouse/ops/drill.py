"""From a figure to the receipts behind it, and from a receipt to the rows of the file that delivered it."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame

from tillhouse.kpi.ask import ask
from tillhouse.store import Store
from tillhouse.tables import silver

RECEIPT = "receipt_key"


def receipts_behind(store: Store, measures: Sequence[str], by: Sequence[str] = (), where: str | None = None) -> DataFrame:
    """The receipts that a figure is made of, each with its part of it, file and row; ``open_for`` comes first.

    Sums over them are the figure, where the measure is a sum. A receipt of several groups (by product) has a row in each.

    Raises:
        ConfigError: as ``ask``.
    """
    keys = [name for name in by if name != RECEIPT]
    figures = ask(store, measures, [*keys, RECEIPT], where)
    described = [
        name
        for name in ("branch_id", "business_date", "started_at", "register_id", "receipt_number", "transaction_type", "source")
        if name not in keys
    ]
    receipts = store.read(silver.RECEIPT).select(RECEIPT, *described, "_file", "_row")
    known = receipts.columns
    order = [*keys, *(name for name in ("business_date", "branch_id", "started_at") if name in known), RECEIPT]
    rows = figures.join(receipts, on=RECEIPT, how="inner").orderBy(*order)
    return rows.select(*keys, *described, *measures, "_file", "_row", RECEIPT)


def rows_of(store: Store, receipt_key: str) -> DataFrame:
    """The lines of a receipt as they are in silver, each with the file and row that it was read from."""
    lines = store.read(silver.RECEIPT_LINE)
    return (
        lines.where(lines[RECEIPT] == receipt_key)
        .orderBy("line_number")
        .select("line_number", "line_type", "product_ref", "quantity", "gross_amount", "discount_amount", "_file", "_row")
    )
