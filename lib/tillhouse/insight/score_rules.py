"""``conf/score.yml``: what gives a customer points, how points are grouped, and which colour they have. KPI 25."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, NumericType, StructType

from tillhouse.config import Config, read_model
from tillhouse.errors import ConfigError
from tillhouse.strict import StrictModel
from tillhouse.tables.gold_customers import FIELDS

FILE = "score.yml"
CAP = "cap"  # the part that minimum and maximum of the whole score add
MOST_POINTS = 100_000
MOST_GROUPS = 1_000
MOST_ITEMS = 100
_HEX = r"^#[0-9A-Fa-f]{6}$"
_NAME = r"^[a-z][a-z0-9_]*$"
_ZEROS = {"string": "''", "boolean": "false", "date": "DATE'1970-01-01'"}  # what no number is

Points = Annotated[Decimal, Field(ge=-MOST_POINTS, le=MOST_POINTS, decimal_places=2)]
Value = Annotated[Decimal, Field(ge=-1_000_000_000, le=1_000_000_000, decimal_places=6)]


class Band(StrictModel):
    """Points of all values from here up to the next band."""

    start: Value = Field(alias="from")
    points: Points


class Linear(StrictModel):
    """``points`` for each ``per`` of the value above ``offset``, rounded to 2 decimals, half away from zero."""

    per: Decimal = Field(gt=0, lt=1_000_000, decimal_places=2)
    points: Points
    offset: Value = Decimal(0)

    @model_validator(mode="after")
    def _gives_points(self) -> Self:
        if self.points == 0:
            raise ValueError("key 'points' is 0, so the criterion gives none. Remedy: write points, or remove the criterion")
        return self


class Cap(StrictModel):
    """Points below ``minimum`` count as that, and points above ``maximum`` as that."""

    minimum: Points
    maximum: Points

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum ({self.minimum}) is above maximum ({self.maximum}). Remedy: exchange them")
        return self


class Criterion(StrictModel):
    """One thing that gives points or costs them.

    ``value`` is Spark SQL over the columns of gold.customer_state. ``bands``: the points of the highest band that the value
    reaches, ``below`` where it reaches none. ``flag``: these points where the value is true, none where it is false. ``linear``:
    points for each unit, within ``cap``. ``missing``: the points where the value is NULL.
    """

    name: str = Field(pattern=_NAME)
    meaning: str = Field(min_length=1)
    value: str = Field(min_length=1)
    bands: tuple[Band, ...] | None = None
    below: Points | None = None
    flag: Points | None = None
    linear: Linear | None = None
    cap: Cap | None = None
    missing: Points = Decimal(0)

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        if self.bands == ():
            raise ValueError(f"criterion {self.name!r}: key 'bands' is empty. Remedy: write {{from: N, points: N}} in it")
        forms = [name for name in ("bands", "flag", "linear") if getattr(self, name) is not None]
        if len(forms) != 1:
            found = " and ".join(forms) or "none of them"
            raise ValueError(f"criterion {self.name!r} needs one of bands, flag and linear, but has {found}. Remedy: keep one")
        if self.below is not None and self.bands is None:
            raise ValueError(f"criterion {self.name!r}: key 'below' belongs to bands. Remedy: remove it")
        if (self.cap is None) != (self.linear is None):
            remedy = "give it cap: {minimum: N, maximum: N}" if self.linear else "remove cap"
            raise ValueError(f"criterion {self.name!r}: cap and linear belong together. Remedy: {remedy}")
        _expect_rising(f"criterion {self.name!r}: key 'bands'", [band.start for band in self.bands or ()])
        return self

    @property
    def reach(self) -> tuple[Decimal, Decimal]:
        """The least and the most points that it gives."""
        if self.cap is not None:
            given = [self.cap.minimum, self.cap.maximum]
        elif self.bands is not None:
            given = [self.below or Decimal(0), *(band.points for band in self.bands)]
        else:
            given = [self.flag or Decimal(0), Decimal(0)]
        return min(*given, self.missing), max(*given, self.missing)


class Colour(StrictModel):
    """The colour of all scores from here up to the next one."""

    start: Points = Field(alias="from")
    colour: str = Field(min_length=1)
    hex: str = Field(pattern=_HEX)


class ScoreRules(StrictModel):
    """What a score is made of. ``minimum`` and ``maximum`` of the whole score are kept as a part, named ``cap``."""

    criteria: tuple[Criterion, ...]
    group_spacing: Decimal = Field(gt=0, le=MOST_POINTS, decimal_places=2)
    colours: tuple[Colour, ...]
    population: str = "purchase_count > 0"
    minimum: Points | None = None
    maximum: Points | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for key, items in (("criteria", self.criteria), ("colours", self.colours)):
            if not 1 <= len(items) <= MOST_ITEMS:
                raise ValueError(f"key {key!r} has {len(items)} entries. Remedy: write 1 to {MOST_ITEMS}")
        _refuse_repeats("key 'criteria': the name", [*(item.name for item in self.criteria), CAP])
        _refuse_repeats("key 'colours': the colour", [item.colour for item in self.colours])
        _expect_rising("key 'colours'", [item.start for item in self.colours])
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"key 'minimum' ({self.minimum}) is above maximum ({self.maximum}). Remedy: exchange them")
        least, most = self.reach
        if self.colours[0].start > least:
            raise ValueError(
                f"key 'colours' has a gap: scores begin at {least}, the first colour at {self.colours[0].start}. "
                f"Remedy: let the first colour begin at {least} or below"
            )
        beyond = [item for item in self.colours if item.start > most]
        if beyond:
            raise ValueError(
                f"key 'colours': {beyond[0].colour!r} begins at {beyond[0].start}, but no score is above {most}. "
                "Remedy: let it begin lower, or remove it"
            )
        if (most - least) / self.group_spacing > MOST_GROUPS:
            raise ValueError(
                f"key 'group_spacing': scores lie between {least} and {most}, so {self.group_spacing} makes more than "
                f"{MOST_GROUPS:,} groups. Remedy: write a wider spacing"
            )
        return self

    @property
    def reach(self) -> tuple[Decimal, Decimal]:
        """The least and the greatest score that there can be."""
        least, most = (sum((item.reach[side] for item in self.criteria), Decimal(0)) for side in (0, 1))
        return self._capped(least), self._capped(most)

    def _capped(self, score: Decimal) -> Decimal:
        score = score if self.maximum is None else min(score, self.maximum)
        return score if self.minimum is None else max(score, self.minimum)

    @property
    def has_cap(self) -> bool:
        return self.minimum is not None or self.maximum is not None

    @property
    def part_names(self) -> list[str]:
        """What points are kept for: the criteria in their order, and the cap where there is one."""
        return [*(item.name for item in self.criteria), *([CAP] if self.has_cap else [])]

    @property
    def definition_version(self) -> str:
        """Another one with each change that can change a score, a group or a colour; texts for people do not count."""
        told = self.model_dump_json(exclude={"criteria": {"__all__": {"meaning"}}})
        return hashlib.sha256(_plain(told).encode()).hexdigest()[:12]


def _plain(text: str) -> str:
    """10, 10.0 and 10.00 are the same number."""
    return re.sub(r'"(-?\d+)(\.\d+)?"', lambda found: '"' + found[1] + (found[2] or "").rstrip("0").rstrip(".") + '"', text)


def _expect_rising(what: str, starts: Sequence[Decimal]) -> None:
    for low, high in pairwise(starts):
        if low == high:
            raise ValueError(f"{what} begins twice at {low}. Remedy: keep one of the two")
        if low > high:
            raise ValueError(f"{what} is not sorted: from {high} comes after from {low}. Remedy: write the lowest first")


def _refuse_repeats(what: str, names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            reason = "is kept for minimum and maximum of the whole score" if name == CAP else "is there twice"
            raise ValueError(f"{what} {name!r} {reason}. Remedy: write another name")


def load(config: Config) -> ScoreRules | None:
    """The rules of a chain; without the file nobody is scored. ``check`` comes next, when there is a session.

    Raises:
        ConfigError: the file is wrong.
    """
    path = config.conf_dir / FILE
    return read(path) if path.exists() else None


def read(path: Path) -> ScoreRules:
    """The rules in a file, without a look at its SQL.

    Raises:
        ConfigError: the file is wrong; with key, value and remedy.
    """
    return read_model(ScoreRules, path)


def check(rules: ScoreRules, spark: SparkSession, path: Path) -> None:
    """Whether the SQL of the rules can be asked of gold.customer_state. Reads no table.

    Raises:
        ConfigError: with file, key, value and remedy, for every text that cannot.
    """
    given = [(f"criteria.{number}.value", item.value, item.flag is not None) for number, item in enumerate(rules.criteria)]
    zeros = _zeros(spark)
    faults = [
        f"{path}: key {key!r}: {sql!r} {fault}"
        for key, sql, is_flag in (*given, ("population", rules.population, True))
        if (fault := _fault(sql, zeros, is_flag))
    ]
    if faults:
        raise ConfigError("\n".join(faults))


def _zeros(spark: SparkSession) -> DataFrame:
    """A customer of whom every figure is 0, with the columns that conditions may name."""
    fields = DataType.fromDDL(FIELDS)
    assert isinstance(fields, StructType)
    values = [
        f"CAST({_ZEROS.get(field.dataType.typeName(), '0')} AS {field.dataType.simpleString()}) AS {field.name}"
        for field in fields
    ]
    return spark.sql(f"SELECT {', '.join(values)}")


def _fault(sql: str, zeros: DataFrame, is_flag: bool) -> str | None:
    """What is wrong with an expression; None where nothing is."""
    try:
        asked = zeros.select(F.expr(sql).alias("value"))
        zeros.where(F.expr(sql).isNotNull())  # refuses what needs several rows
        kind = asked.schema["value"].dataType
        if is_flag and not isinstance(kind, BooleanType):
            return f"gives {kind.simpleString()}. Remedy: write a condition, for example purchase_count > 1"
        if not is_flag and not isinstance(kind, NumericType):
            return f"gives {kind.simpleString()}. Remedy: write a number, or flag in place of bands and linear for a condition"
        if _is_unsteady(asked):
            return "depends on the clock or on chance. Remedy: use the columns; inactivity_days and tenure_days count up to as_of"
        asked.collect()
    except PySparkException as error:
        text = str(error).strip().split("\n", 1)[0]
        if error.getCondition() in ("DIVIDE_BY_ZERO", "CAST_INVALID_INPUT", "REMAINDER_BY_ZERO"):
            return f"fails where figures are 0: {text} Remedy: use try_divide, try_cast or NULLIF"
        return f"cannot be asked: {text} Remedy: use the columns of gold.customer_state (docs/tables.md), one customer at a time"
    return None


def _is_unsteady(asked: DataFrame) -> bool:
    """Whether the same rows could give something else another time."""
    plan = asked._jdf.queryExecution().analyzed()
    patterns = asked.sparkSession._jvm.org.apache.spark.sql.catalyst.trees.TreePattern  # type: ignore[union-attr]
    return not plan.deterministic() or bool(plan.containsPattern(patterns.CURRENT_LIKE()))
