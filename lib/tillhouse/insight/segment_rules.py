"""``conf/segments.yml``: rule sets that say which customers are in which segments."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tillhouse.config import Config, read_model
from tillhouse.errors import ConfigError
from tillhouse.insight.conditions import FIELDS, FUNCTIONS, KEYWORDS, faults_of, unreadable, without_layout, words_of
from tillhouse.strict import StrictModel, did_you_mean
from tillhouse.tables.gold_customers import FIELDS as COLUMNS
from tillhouse.tables.gold_segments import NO_SEGMENT

FILE = "segments.yml"
SERVICE_LEVEL = "service_level"  # gold.customer_state has the segment of this rule set

# What conditions of a rule set with ``for_each: category_l1`` may name beside the fields.
OF_CATEGORY = """
        category_l1 STRING COMMENT 'product group that the rule is asked for',
        category_revenue DECIMAL(18,2) COMMENT 'revenue of the customer in it, returns subtracted',
        category_share DECIMAL(28,12) COMMENT 'category_revenue / revenue of the customer in all of them; NULL where that is 0',
        category_purchase_count BIGINT COMMENT 'purchases of the customer with something of it'
"""
CATEGORY_FIELDS = ("category_l1", "category_revenue", "category_share", "category_purchase_count")
THRESHOLD_TYPE = "DECIMAL(18,6)"


def _plain(value: Decimal) -> Decimal:
    """0.30 and 0.3 are one number."""
    return Decimal(f"{value.normalize():f}")


Number = Annotated[Decimal, Field(max_digits=18, decimal_places=6), AfterValidator(_plain)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
SegmentName = Annotated[str, Field(pattern=r"^[^\s:|][^:|]*$", max_length=60)]


class Threshold(StrictModel):
    """A number that conditions name: that of the home branch, else of its region, else of the kind of customer, else default."""

    default: Number
    branches: dict[str, Number] = Field(default_factory=dict)
    regions: dict[str, Number] = Field(default_factory=dict)
    customer_types: dict[Literal["B2C", "B2B"], Number] = Field(default_factory=dict)


class Segment(StrictModel):
    """Customers for whom a condition is true. On NULL it is neither true nor false, so NULL is not in the segment."""

    name: SegmentName
    meaning: str
    when: str


class RuleSet(StrictModel):
    """Segments that are told together.

    ``exclusive``: each customer is in the first segment whose condition is true, or in ``other``. ``overlapping``: in each of
    them, or in none. ``window_months``: only what happened in so many months before as_of counts, the whole life if nothing is
    said. ``for_each``: the conditions are asked of a customer and each product group bought.
    """

    name: Name
    kind: Literal["exclusive", "overlapping"]
    window_months: int | None = Field(default=None, ge=1, le=120)
    for_each: Literal["category_l1"] | None = None
    segments: tuple[Segment, ...] = Field(min_length=1)
    other: SegmentName | None = None
    other_meaning: str | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        names = [segment.name for segment in self.segments]
        repeated = [name for name, count in Counter([*names, self.name_of_other]).items() if count > 1]
        faults = []
        if repeated:
            faults.append(f"key 'segments' names {', '.join(map(str, repeated))} twice; give each segment a name of its own")
        if NO_SEGMENT in (*names, self.other):
            faults.append(f"{NO_SEGMENT!r} is the name of those in no segment; give the segment another one")
        if self.kind == "overlapping" and (self.other is not None or self.other_meaning is not None):
            faults.append("key 'other' is for exclusive rule sets; remove it, or say kind: exclusive")
        if self.kind == "exclusive" and self.for_each is not None:
            faults.append("key 'for_each' is for overlapping rule sets: a customer buys of several; say kind: overlapping")
        if self.name == SERVICE_LEVEL and (self.kind != "exclusive" or self.window_months):
            faults.append(f"{SERVICE_LEVEL} is a column of gold.customer_state: make it exclusive and without window_months")
        if faults:
            raise ValueError("\n".join(f"{self.name}: {fault}" for fault in faults))
        return self

    @property
    def meanings(self) -> dict[str, str]:
        """Every segment in order, that of the others included, with what it means."""
        meanings = {segment.name: segment.meaning for segment in self.segments}
        if self.name_of_other is not None:
            meanings[self.name_of_other] = self.other_meaning or "Everybody else who has bought."
        return meanings

    @property
    def name_of_other(self) -> str | None:
        """The segment of those whom no rule of an exclusive set fits."""
        return (self.other or "other") if self.kind == "exclusive" else None


class Rule(StrictModel):
    """A segment without what it means to people."""

    segment: str
    when: str


class Definition(StrictModel):
    """All of a rule set that decides who is in which segment, and nothing else."""

    rule_set: str
    kind: Literal["exclusive", "overlapping"]
    window_months: int | None = None
    for_each: Literal["category_l1"] | None = None
    rules: tuple[Rule, ...]
    other: str | None = None
    thresholds: dict[str, Threshold] = Field(default_factory=dict)

    @property
    def as_json(self) -> str:
        """The definition as it is kept in gold.segment_definition; the same text for the same decisions."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True, ensure_ascii=False)

    @property
    def version(self) -> str:
        """A short name of the definition that is another one as soon as it decides otherwise."""
        return hashlib.sha256(self.as_json.encode()).hexdigest()[:12]

    @property
    def names(self) -> tuple[str, ...]:
        """Every segment that a customer can be in, in order, that of the others included."""
        return (*(rule.segment for rule in self.rules), *((self.other,) if self.other else ()))

    @property
    def conditions(self) -> tuple[str, ...]:
        return tuple(rule.when for rule in self.rules)


class SegmentRules(StrictModel):
    """What a chain calls a regular, a heavy buyer or a customer at risk."""

    thresholds: dict[Name, Threshold] = Field(default_factory=dict)
    rule_sets: tuple[RuleSet, ...] = ()

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        repeated = [name for name, count in Counter(rules.name for rules in self.rule_sets).items() if count > 1]
        faults = [f"key 'rule_sets' has {name} twice; join them or rename one" for name in repeated]
        taken = {*FIELDS, *CATEGORY_FIELDS, *KEYWORDS, *FUNCTIONS}
        faults += [
            f"key 'thresholds.{name}' is also the name of a field or function; rename it"
            for name in self.thresholds
            if name in taken
        ]
        faults += self._faults_of_conditions()
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _faults_of_conditions(self) -> Iterator[str]:
        for rules in self.rule_sets:
            known = {*FIELDS, *self.thresholds, *(CATEGORY_FIELDS if rules.for_each else ())}
            for segment in rules.segments:
                key = key_of(rules.name, segment.name)
                yield from (f"key {key!r}: {segment.when!r} {fault}" for fault in faults_of(segment.when, known))

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """What decides, rule set by rule set."""
        return tuple(self._definition(rules) for rules in self.rule_sets)

    def _definition(self, rules: RuleSet) -> Definition:
        made = [Rule(segment=segment.name, when=without_layout(segment.when)) for segment in rules.segments]
        if rules.kind == "overlapping":  # their order decides nothing
            made.sort(key=lambda rule: rule.segment)
        used = {word for rule in made for word in words_of(rule.when)}
        return Definition(
            rule_set=rules.name,
            kind=rules.kind,
            window_months=rules.window_months,
            for_each=rules.for_each,
            rules=tuple(made),
            other=rules.name_of_other,
            thresholds={name: threshold for name, threshold in self.thresholds.items() if name in used},
        )

    def rule_set(self, name: str) -> RuleSet:
        """A rule set by its name.

        Raises:
            ConfigError: there is none.
        """
        for rules in self.rule_sets:
            if rules.name == name:
                return rules
        known = [rules.name for rules in self.rule_sets]
        raise ConfigError(f"no rule set {name!r}{did_you_mean(name, known)}. There are: {', '.join(known) or 'none'}")


def key_of(rule_set: str, segment: str) -> str:
    """Where a condition stands in the file."""
    return f"rule_sets.{rule_set}.segments.{segment}.when"


def load(config: Config) -> SegmentRules:
    """The rule sets of a chain; without the file there are none. Conditions name only what is known; see also ``check``.

    Raises:
        ConfigError: the file is wrong.
    """
    path = config.conf_dir / FILE
    return read_model(SegmentRules, path) if path.exists() else SegmentRules()


def check(spark: SparkSession, rules: SegmentRules, path: Path) -> None:
    """Every condition can be asked of customers: Spark reads it, it is true or false, and it takes no text for a number.

    Raises:
        ConfigError: one cannot; ``path`` is named as the file.
    """
    if not rules.rule_sets:
        return
    empty = spark.createDataFrame([], f"{COLUMNS}, {OF_CATEGORY}")
    customers = empty.select("*", *(F.lit(None).cast(THRESHOLD_TYPE).alias(name) for name in rules.thresholds))
    asked = {segment.when: key_of(one.name, segment.name) for one in rules.rule_sets for segment in one.segments}
    faults = unreadable(customers, list(asked))
    if faults:
        raise ConfigError("\n".join(f"{path}: key {asked[when]!r}: {when!r} {fault}" for when, fault in faults.items()))


def windows_of(definitions: Iterable[Definition]) -> list[int | None]:
    """The windows that customers have to be measured in; None is the whole life and comes first."""
    return sorted({one.window_months for one in definitions}, key=lambda months: months or 0)


def of_window(definitions: Iterable[Definition], window_months: int | None) -> list[Definition]:
    """The definitions that look at one window."""
    return [one for one in definitions if one.window_months == window_months]


def is_readable(rows: DataFrame, definition: Definition) -> bool:
    """Whether a definition of earlier can still be asked: a field that it names may be gone."""
    names = {*FIELDS, *CATEGORY_FIELDS, *definition.thresholds}
    if any(faults_of(condition, names) for condition in definition.conditions):
        return False
    with_thresholds = rows.select("*", *(F.lit(None).cast(THRESHOLD_TYPE).alias(name) for name in definition.thresholds))
    return not unreadable(with_thresholds, definition.conditions)


def from_json(text: str) -> Definition:
    """A definition as ``as_json`` wrote it."""
    given: Mapping[str, Any] = json.loads(text)
    return Definition.model_validate(given)
