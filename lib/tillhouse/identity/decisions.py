"""What people have decided about who is who, as pairs of records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from tillhouse.identity.match import Decided, Pair
from tillhouse.identity.references import IDENTIFIERS

TOGETHER, APART, DETACH = "together", "apart", "detach"
ALONE = "alone"  # before the key of a party that is kept apart from those with its identifiers


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


def regroup(
    decided: Decided, group_of: Mapping[str, str | None], references: Collection[str], candidates: Mapping[str, Collection[str]]
) -> Regrouped:
    """What decisions about parties that are only named by others do to the groups that identifiers have made.

    ``group_of``: the group of each party that is decided about, None for one that is unclear; ``references``: which of them are
    only named; ``candidates``: parties of the customers that an unclear one may be. One that cannot be any of them but one is
    that one's. Contacts among themselves are put together by their links, not here.
    """
    alone = {
        max(pair, key=lambda key: (key in references, key)): None
        for pair in decided.apart
        if set(pair) & set(references) and group_of.get(pair[0]) == group_of.get(pair[1]) is not None
    }
    moved = {key: f"{ALONE}:{key}" for key in alone}
    for key, named in candidates.items():
        denied = {group_of.get(other) for pair in decided.apart if key in pair for other in pair if other != key}
        left = sorted({group for other in named if (group := group_of.get(other)) is not None} - denied)
        if denied and len(left) <= 1:
            moved[key] = left[0] if left else f"{ALONE}:{key}"
    joined: dict[str, set[str]] = {}
    for pair in decided.together:
        if not set(pair) & set(references) or not set(pair) <= group_of.keys():
            continue
        of_pair = {group for key in pair if (group := moved.get(key) or group_of[key])}
        whole = set().union(*({group, *joined.get(group, ())} for group in of_pair))
        joined |= dict.fromkeys(whole, whole)
        if of_pair:
            moved |= {key: min(of_pair) for key in pair if group_of[key] is None and key not in moved}
    first = {group: min(whole, key=lambda name: (name.split(":")[0] in IDENTIFIERS, name)) for group, whole in joined.items()}
    renamed = {group: name for group, name in first.items() if group != name}
    return Regrouped(renamed, {key: renamed.get(group, group) for key, group in moved.items()})


@dataclass(frozen=True)
class Regrouped:
    """Groups that are another's now, and parties that are not in the group of their identifiers."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)


def detached(decisions: DataFrame) -> DataFrame:
    """The receipts (receipt_key) that are of no customer."""
    return decisions.where(f"kind = '{DETACH}' AND undone_at IS NULL").select("receipt_key").distinct()
