"""Overdue exceptions by who answers for them and how far they have escalated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def to_overdue(exceptions: DataFrame, at: datetime) -> DataFrame:
    """Open exceptions past their due time at an instant, counted. Level 0 is overdue, but has not escalated yet.

    Who works on an exception answers for it; where it is assigned to nobody, its owner does.
    """
    level = F.size(F.filter(F.coalesce("escalations", F.array()), lambda item: item["at"] <= F.lit(at)))
    late = exceptions.where((F.col("status") == "open") & (F.col("due_at") < F.lit(at))).withColumns(
        {
            "responsible": F.coalesce("assigned_to", "owner"),
            "level": level,
            "escalated_to": F.when(level > 0, F.try_element_at("escalations", level)["to"]),
        }
    )
    return (
        late.groupBy("responsible", "level", "escalated_to", "currency")
        .agg(F.count("*").alias("overdue"), F.sum("amount").alias("amount"), F.min("due_at").alias("due_since"))
        .orderBy(F.col("level").desc(), "responsible", "escalated_to", "currency")
    )


def as_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """For people: one line for each level and who answers."""
    lines = []
    for row in rows:
        money = f"{row['amount'] or 0:,} {row['currency'] or ''}".strip()
        told = f"  escalated to {row['escalated_to']}" if row["escalated_to"] else ""
        lines.append(
            f"level {row['level']}  {row['responsible'] or '-':<18} {row['overdue']:>8,}  amount {money}"
            f"  due since {row['due_since']:%Y-%m-%d}{told}"
        )
    return lines
