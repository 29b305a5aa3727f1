"""``conf/identity.yml``: what a chain decides about who is who. Names, limits and thresholds, no logic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tillhouse.identity.columns import COLUMNS, LISTS
from tillhouse.identity.compare import BY_NAME, COMPARISONS, MISSING, Comparison
from tillhouse.strict import Duration, StrictModel, did_you_mean

Levels = dict[str, tuple[str, ...]]  # comparison: levels


class BlockingRule(StrictModel):
    """Records that agree in all ``same`` columns are compared. A block above the limit is split by ``split_by`` or refused."""

    same: tuple[str, ...] = Field(min_length=1)
    in_any_order: bool = False
    split_by: tuple[str, ...] = ()

    @property
    def list_column(self) -> str | None:
        """The column that holds several values; the record is in the block of each."""
        return next((column for column in self.same if column in LISTS), None)


class Contradiction(StrictModel):
    """Two records are different customers ``when`` all these levels are found, ``unless`` one of those is."""

    when: Levels = Field(min_length=1)
    unless: Levels = Field(default_factory=dict)


class Key(StrictModel):
    """Two records with the same value are one customer, ``unless`` one of these levels is found; ``between`` these sources."""

    between: tuple[tuple[str, str], ...] = ()
    unless: Levels = Field(default_factory=dict)


class Thresholds(StrictModel):
    """log2 of the odds that two records are one customer: from ``auto`` they are linked, from ``review`` on a person is asked.

    Two records below ``apart`` are different customers, whoever links them.
    """

    auto: float
    review: float
    apart: float

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.apart < self.review <= self.auto:
            raise ValueError(
                f"key 'review' ({self.review:g}) must not be above key 'auto' ({self.auto:g}), and above 'apart' ({self.apart:g})"
            )
        return self


class FieldRule(StrictModel):
    """Of several records the most recent gives the value; ``protected``: what an earlier of these ``sources`` says stays."""

    sources: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    protected: bool = False

    @model_validator(mode="after")
    def _protects_something(self) -> Self:
        if self.protected and not self.sources:
            raise ValueError(
                "protected without sources protects nothing; name under key 'sources' whose word others do not overwrite"
            )
        return self


class Survivorship(StrictModel):
    """Which record of a customer each field is taken from; a ``name`` as a whole, and an ``address`` as a whole."""

    name: FieldRule = FieldRule()
    address: FieldRule = FieldRule()
    company: FieldRule = FieldRule()
    contact_person: FieldRule = FieldRule()
    birth_date: FieldRule = FieldRule()
    gender: FieldRule = FieldRule()
    tax_id: FieldRule = FieldRule()
    language: FieldRule = FieldRule()
    emails: FieldRule = FieldRule()
    phones: FieldRule = FieldRule()

    def unknown_sources(self, names: Iterable[str]) -> list[str]:
        """What is wrong with the names of sources, where the chain has these."""
        known = sorted(names)
        return [
            f"key 'survivorship.{field}.sources': no source named {name!r}{did_you_mean(name, known)}. "
            f"There are: {', '.join(known)}"
            for field, rule in self
            for name in rule.sources
            if name not in known
        ]


class Review(StrictModel):
    """Who answers questions about records that fit several customers, until when, and who hears of it after that."""

    owner: str = Field(default="data-steward", min_length=1)
    due: Duration = timedelta(days=7)
    escalate_to: str | None = Field(default=None, min_length=1)


class IdentityRules(StrictModel):
    """Which records are compared, what is proof and contradiction, from when on a link is made, and what survives."""

    comparisons: tuple[str, ...] = tuple(comparison.name for comparison in COMPARISONS)
    blocking: dict[str, BlockingRule] = Field(min_length=1)
    block_limit: int = Field(ge=2)
    shared_values: dict[str, int] = Field(default_factory=dict)
    keys: dict[str, Key] = Field(default_factory=dict)
    check_digit: Literal["ean13", "luhn"] | None = None
    region: str = Field(default="DE", pattern="[A-Z]{2}")
    proof: Levels = Field(default_factory=dict)
    contradictions: dict[str, Contradiction] = Field(default_factory=dict)
    without_duplicates: tuple[str, ...] = ()
    thresholds: Thresholds
    margin: float = Field(ge=0)
    cluster_limit: int = Field(ge=2)
    staff_card_receipts: int | None = Field(default=None, ge=1)
    survivorship: Survivorship = Survivorship()
    review: Review = Review()

    @property
    def compared(self) -> tuple[Comparison, ...]:
        return tuple(BY_NAME[name] for name in self.comparisons)

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        faults = [
            *_unknown("comparisons", self.comparisons, BY_NAME),
            *_unknown("shared_values", self.shared_values, LISTS),
            *_unknown("keys", self.keys, self.comparisons),
        ]
        for name, rule in self.blocking.items():
            faults += _unknown(f"blocking.{name}", (*rule.same, *rule.split_by), COLUMNS)
            lists = [column for column in (*rule.same, *rule.split_by) if column in LISTS]
            if len(lists) > 1 or (lists and lists[0] in rule.split_by) or (lists and rule.in_any_order):
                faults.append(
                    f"key 'blocking.{name}': at most one of {', '.join(LISTS)}, under key 'same', without 'in_any_order'"
                )
        for place, levels in self._levels().items():
            for comparison, names in levels.items():
                faults += _unknown(place, [comparison], self.comparisons)
                if comparison in BY_NAME:
                    faults += _unknown(f"{place}.{comparison}", names, (*BY_NAME[comparison].level_names, MISSING))
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _levels(self) -> Mapping[str, Levels]:
        named = {"proof": self.proof}
        named |= {f"keys.{name}.unless": key.unless for name, key in self.keys.items()}
        for name, contradiction in self.contradictions.items():
            named |= {f"contradictions.{name}.when": contradiction.when, f"contradictions.{name}.unless": contradiction.unless}
        return named


def _unknown(place: str, names: object, allowed: object) -> list[str]:
    """What is named at a place of the file and does not exist."""
    known = list(allowed)  # type: ignore[call-overload]
    return [
        f"key {place!r}: {name!r} is not known{did_you_mean(name, known)}. Allowed: {', '.join(known)}"
        for name in names  # type: ignore[attr-defined]
        if name not in known
    ]
