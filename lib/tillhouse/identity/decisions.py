"""What people have decided about who is who, as pairs of records."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.identity.match import Decided, Pair

TOGETHER, APART, DETACH = "together", "apart", "detach"


def read(decisions: DataFrame) -> Decided:
    """Rows of silver.identity_decision, from the driver: of two decisions about the same records the later one counts."""
    return to_decided(decisions.where(F.col("kind").isin(TOGETHER, APART)).collect())


def to_decided(rows: Iterable[Row]) -> Decided:
    """The pairs that are one customer, those that are not, and those of decisions that were taken back."""
    last: dict[Pair, str] = {}
    undone: set[Pair] = set()
    for row in sorted(rows, key=lambda row: (row["decided_at"], row["decision_id"])):
        pairs = {(min(one, other), max(one, other)) for one in row["left_keys"] for other in row["right_keys"] if one != other}
        if row["undone_at"] is not None:
            undone |= pairs
        else:
            last |= dict.fromkeys(pairs, row["kind"])
    of_kind = {kind: tuple(sorted(pair for pair, found in last.items() if found == kind)) for kind in (TOGETHER, APART)}
    return Decided(of_kind[TOGETHER], of_kind[APART], tuple(sorted(undone - last.keys())))


def detached(decisions: DataFrame) -> DataFrame:
    """The receipts (receipt_key) that are of no customer."""
    return decisions.where(f"kind = '{DETACH}' AND undone_at IS NULL").select("receipt_key").distinct()
