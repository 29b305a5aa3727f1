"""Who answers for an exception, until when, and who hears of it after that: ``conf/exceptions.yml``, on top of the sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.quality.rules import REMEDIES
from tillhouse.sources.model import Source
from tillhouse.strict import Duration, StrictModel, did_you_mean

DEFAULT_OWNER, DEFAULT_DUE = "data-steward", timedelta(days=7)
ESCALATIONS = "ARRAY<STRUCT<to: STRING, at: TIMESTAMP>>"
_MICROSECOND = timedelta(microseconds=1)

Text = Annotated[str, Field(min_length=1)]


class Match(StrictModel):
    """Which exceptions are meant: those that fulfil all that is said; of a list one is enough."""

    rules: tuple[Text, ...] = ()
    severity: Literal["error", "warning"] | None = None
    sources: tuple[Text, ...] = ()
    entities: tuple[Text, ...] = ()
    branches: tuple[Text, ...] = ()
    regions: tuple[Text, ...] = ()

    def condition(self) -> Column:
        """As a condition over silver.exception and the branch's ``_region``; NULL where an exception does not say."""
        wanted = {
            "rule": self.rules,
            "severity": (self.severity,) if self.severity else (),
            "source": self.sources,
            "entity": self.entities,
            "branch_id": self.branches,
            "_region": self.regions,
        }
        holds = F.lit(True)
        for column, values in wanted.items():
            holds = holds & F.col(column).isin(*values) if values else holds
        return holds


class Escalation(StrictModel):
    """Who hears of an exception that is still open some time after it was due."""

    to: Text
    after: Duration


class Duty(StrictModel):
    """What holds for exceptions that ``when`` means: who answers for them, how long that may take, who hears of it then."""

    when: Match = Match()
    owner: Text | None = None
    due: Duration | None = None
    escalate: tuple[Escalation, ...] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.owner is None and self.due is None and self.escalate is None:
            raise ValueError("says nothing; add owner, due or escalate")
        after = [level.after for level in self.escalate or ()]
        if after != sorted(set(after)):
            raise ValueError("escalate: each level must come later than the one before it; after counts from the due time")
        return self


class ExceptionsFile(StrictModel):
    """``conf/exceptions.yml``: of owner, due and escalate the first duty that matches an exception and says it counts."""

    responsible: tuple[Duty, ...] = ()

    def unknown_names(self, sources: Iterable[str]) -> list[str]:
        """What is wrong with the names of rules and sources; branches and regions are known by the lake only."""
        known = {"rules": sorted(REMEDIES), "sources": sorted(sources)}
        return [
            f"key 'responsible.{number}.when.{key}': no {key.removesuffix('s')} named {name!r}{did_you_mean(name, names)}. "
            f"There are: {', '.join(names)}"
            for number, duty in enumerate(self.responsible)
            for key, names in known.items()
            for name in getattr(duty.when, key)
            if name not in names
        ]


@dataclass(frozen=True)
class Duties:
    """The duties of a chain; where none says it, a source's owner and due_days count."""

    of_conf: Sequence[Duty]
    sources: Sequence[Source]

    @property
    def name_regions(self) -> bool:
        return any(duty.when.regions for duty in self.of_conf)

    def owner(self) -> Column:
        said = [F.when(duty.when.condition(), F.lit(duty.owner)) for duty in self.of_conf if duty.owner is not None]
        usual = [F.when(F.col("source") == source.name, F.lit(source.owner)) for source in self.sources]
        return F.coalesce(*said, *usual, F.lit(DEFAULT_OWNER))

    def due(self) -> Column:
        """Microseconds from the opening of an exception to its due time."""
        said = [F.when(duty.when.condition(), _micros(duty.due)) for duty in self.of_conf if duty.due is not None]
        return F.coalesce(*said, self.usual_due())

    def usual_due(self) -> Column:
        usual = [
            F.when(F.col("source") == source.name, _micros(timedelta(days=source.due_days))) for source in self.sources
        ]  # fmt: skip
        return F.coalesce(*usual, _micros(DEFAULT_DUE))

    def escalations(self, due_at: Column) -> Column:
        """Levels in their order, each with its instant."""
        said = [
            F.when(duty.when.condition(), _levels(duty.escalate, due_at)) for duty in self.of_conf if duty.escalate is not None
        ]
        return F.coalesce(*said, F.array().cast(ESCALATIONS))


def _micros(duration: timedelta) -> Column:
    return F.lit(duration // _MICROSECOND).cast("bigint")


def _levels(levels: Sequence[Escalation], due_at: Column) -> Column:
    entries = [F.struct(F.lit(level.to).alias("to"), _later(due_at, _micros(level.after)).alias("at")) for level in levels]
    return F.array(*entries).cast(ESCALATIONS)


def _later(instant: Column, micros: Column) -> Column:
    return F.timestamp_micros(F.unix_micros(instant) + micros)


def with_duties(exceptions: DataFrame, duties: Duties, branches: DataFrame) -> DataFrame:
    """Owner, due time and escalation of open exceptions as conf says now; what is decided or resolved stays as it was.

    The time counts from ``opened_at``. Exceptions of an older lake do not have it: there it is told from their due time.
    """
    regions = branches.select(F.col("branch_id").alias("_branch_id"), F.col("region").alias("_region"))
    if duties.name_regions:
        in_region = F.col("branch_id") == F.col("_branch_id")
        exceptions = exceptions.join(F.broadcast(regions.dropDuplicates(["_branch_id"])), on=in_region, how="left")
    opened_at = F.coalesce("opened_at", _later(F.col("due_at"), -duties.usual_due()))
    due_at = _later(opened_at, duties.due())
    said = {"opened_at": opened_at, "owner": duties.owner(), "due_at": due_at, "escalations": duties.escalations(due_at)}
    is_open = F.col("status") == "open"
    judged = exceptions.withColumns({name: F.when(is_open, value).otherwise(F.col(name)) for name, value in said.items()})
    first = F.try_element_at("escalations", F.lit(1))["to"]
    return judged.withColumn("escalate_to", F.when(is_open, first).otherwise(F.col("escalate_to"))).drop("_branch_id", "_region")
