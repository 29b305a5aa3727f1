"""Definitions of segments over time: another definition is kept as a change, and never looks like a move of customers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from pydantic import ValidationError
from pyspark.sql import DataFrame

from tillhouse.insight.segment_rules import Definition, from_json, is_readable
from tillhouse.tables.gold_segments import SEGMENT_CHANGE


class Kept(NamedTuple):
    """A row of gold.segment_definition, its columns in their order."""

    rule_set: str
    definition_version: str
    definition: str
    first_as_of: date
    is_current: bool


def to_history(kept: Iterable[Kept], current: Iterable[Definition], as_of: date) -> list[Kept]:
    """gold.segment_definition after a run: what was ever used, and which of it is current.

    A definition that comes back after another one keeps its first day. ``as_of`` is that of the run.
    """
    now = {(one.rule_set, one.version): one for one in current}
    history = {row[:2]: row._replace(is_current=row[:2] in now) for row in kept}
    for key, one in now.items():
        history.setdefault(key, Kept(one.rule_set, one.version, one.as_json, as_of, is_current=True))
    return sorted(history.values(), key=lambda row: (row.rule_set, row.first_as_of, row.definition_version))


def changed(kept: Iterable[Kept], current: Iterable[Definition], customers: DataFrame) -> list[tuple[Definition, Definition]]:
    """The old and the new definition of each rule set that says something else than in the run before.

    ``customers``: any frame with the columns of ``FIELDS`` and of ``OF_CATEGORY``, empty or not; no row is read. A definition of
    an older release that can no longer be asked is left out: what it decided cannot be told any more.
    """
    new = {one.rule_set: one for one in current}
    pairs = []
    for row in kept:
        of_now = new.get(row.rule_set)
        if row.is_current and of_now is not None and of_now.version != row.definition_version:
            old = _read(row.definition, customers)
            pairs += [(old, of_now)] if old is not None else []
    return pairs


def with_earlier(changes: DataFrame, kept: DataFrame) -> DataFrame:
    """gold.segment_change with what it held before; a change that is told again on the same day is told once."""
    key = ["rule_set", "from_version", "to_version", "as_of"]
    earlier = kept.join(changes.select(*key).distinct(), on=key, how="left_anti")
    return SEGMENT_CHANGE.conform(earlier.unionByName(changes))


def windows_of_changes(pairs: Sequence[tuple[Definition, Definition]]) -> set[int | None]:
    """The windows that customers have to be measured in to tell changes; None is the whole life."""
    return {one.window_months for pair in pairs for one in pair}


def _read(text: str, customers: DataFrame) -> Definition | None:
    try:
        old = from_json(text)
    except (ValidationError, ValueError):
        return None
    return old if is_readable(customers, old) else None
