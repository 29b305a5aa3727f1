"""How two records are compared: levels of agreement per attribute, as data.

A condition is SQL over the comparable columns of two records, ``l`` and ``r``, in words that Spark and DuckDB share: the run
compares in Spark, the training in DuckDB, and both by this text. ``alike_X`` is the Jaro-Winkler similarity of column X, computed
before. The first level that holds counts; where an attribute is missing in one of the records it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

MISSING = "missing"
DIFFERS = "differs"
FULL = frozenset({"same", "same_rare", "same_frequent"})
RARE, FREQUENT = 0.0003, 0.003  # shares of persons with a name: Szczepański, Müller


@dataclass(frozen=True, slots=True)
class Level:
    """A degree of agreement: its name, what it means to a reader, and when it holds."""

    name: str
    meaning: str
    condition: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """An attribute of two records. ``needs`` are the columns without which it says nothing.

    ``shared_by`` are the others who mostly agree in it as well: ``household`` (one address) and ``namesake`` (one name).
    ``silent_where`` another attribute has already told what this one could tell.
    """

    name: str
    needs: tuple[str, ...]
    levels: tuple[Level, ...]
    shared_by: tuple[str, ...] = ()
    silent_where: str | None = None

    @property
    def level_names(self) -> tuple[str, ...]:
        return (*(level.name for level in self.levels), DIFFERS)

    @property
    def same_levels(self) -> int:
        """How many of the levels, from the first, are full agreement."""
        return sum(level.name in FULL for level in self.levels)

    @property
    def says_nothing(self) -> str:
        """When the attribute says nothing of two records, as SQL."""
        missing = [f"l.{column} IS NULL OR r.{column} IS NULL" for column in self.needs]
        return " OR ".join([*missing, *([f"({self.silent_where})"] if self.silent_where else [])])

    def sql(self) -> str:
        """The name of the level as one SQL expression."""
        cases = " ".join(f"WHEN {level.condition} THEN '{level.name}'" for level in self.levels)
        return f"CASE WHEN {self.says_nothing} THEN '{MISSING}' {cases} ELSE '{DIFFERS}' END"


def _alike(column: str, least: float) -> str:
    return f"alike_{column} >= {least}"


def _same(column: str, meaning: str) -> tuple[Level, ...]:
    """Three levels of the same name: that two Müllers agree says less than that two Szczepańskis do."""
    same = f"l.{column} = r.{column}"
    return (
        Level("same_rare", f"{meaning}, a rare one", f"{same} AND l.{column}_frequency < {RARE}"),
        Level("same", meaning, f"{same} AND l.{column}_frequency < {FREQUENT}"),
        Level("same_frequent", f"{meaning}, a frequent one", same),
    )


def _one_edit(column: str, least_length: int) -> str:
    lengths = f"least(length(l.{column}), length(r.{column})) >= {least_length}"
    return f"({lengths} AND levenshtein(l.{column}, r.{column}) <= 1)"


_NO_INITIAL = "length(l.given) > 1 AND length(r.given) > 1"
_EXCHANGED = (
    "(l.given <> r.given AND arrays_overlap(l.given_names, r.family_names) AND arrays_overlap(l.family_names, r.given_names))"
)
_SAME_PLACE = "(l.postal_code = r.postal_code OR l.city = r.city)"
_SAME_HOUSE = "l.house_number IS NOT DISTINCT FROM r.house_number"

COMPARISONS = (
    Comparison(
        "given_name",
        ("given",),
        (
            *_same("given", "the same first name"),
            Level("exchanged", "first and last name are exchanged", _EXCHANGED),
            Level("nickname", "one is short for the other", "arrays_overlap(l.given_roots, r.given_roots)"),
            Level("one_of_several", "one of several first names is the same", "arrays_overlap(l.given_names, r.given_names)"),
            Level(
                "initial",
                "one is the initial of the other",
                "(length(l.given) = 1 OR length(r.given) = 1) AND substring(l.given, 1, 1) = substring(r.given, 1, 1)",
            ),
            Level(
                "alike",
                "nearly the same letters or sound",
                f"{_NO_INITIAL} AND ({_one_edit('given', 4)} OR {_alike('given', 0.93)} OR l.given_sound = r.given_sound)",
            ),
            Level("resembles", "some letters in common", f"{_NO_INITIAL} AND {_alike('given', 0.82)}"),
        ),
        shared_by=("namesake",),
    ),
    Comparison(
        "family_name",
        ("family",),
        (
            *_same("family", "the same last name"),
            Level("part_of_double", "one of two last names is the same", "arrays_overlap(l.family_names, r.family_names)"),
            Level("alike", "nearly the same letters", f"{_one_edit('family', 4)} OR {_alike('family', 0.93)}"),
            Level("sounds_alike", "the same sound (Kölner Phonetik)", "l.family_sound = r.family_sound"),
            Level("resembles", "some letters in common", _alike("family", 0.82)),
        ),
        shared_by=("household", "namesake"),
        silent_where=_EXCHANGED,
    ),
    Comparison(
        "birth_date",
        ("birth_date",),
        (
            Level("same", "the same birth date", "l.birth_date = r.birth_date"),
            Level(
                "day_and_month_swapped",
                "day and month are exchanged",
                "substring(l.birth_date, 1, 4) = substring(r.birth_date, 1, 4) "
                "AND substring(l.birth_date, 6, 2) = substring(r.birth_date, 9, 2) "
                "AND substring(l.birth_date, 9, 2) = substring(r.birth_date, 6, 2)",
            ),
            Level("one_digit", "one digit differs", "levenshtein(l.birth_date, r.birth_date) <= 1"),
            Level(
                "year_or_day",
                "the year, or the day in the year, is the same",
                "substring(l.birth_date, 1, 4) = substring(r.birth_date, 1, 4) "
                "OR substring(l.birth_date, 6, 5) = substring(r.birth_date, 6, 5)",
            ),
        ),
    ),
    Comparison(
        "email",
        ("emails",),
        (
            Level("same", "the same mailbox", "arrays_overlap(l.emails, r.emails)"),
            Level("same_name", "the same name at another provider", "arrays_overlap(l.email_names, r.email_names)"),
        ),
    ),
    Comparison(
        "phone",
        ("phones",),
        (Level("same", "the same number", "arrays_overlap(l.phones, r.phones)"),),
        shared_by=("household",),
    ),
    Comparison("card", ("cards",), (Level("same", "the same card", "arrays_overlap(l.cards, r.cards)"),)),
    Comparison(
        "customer_number",
        ("customer_numbers",),
        (Level("same", "the same customer number", "arrays_overlap(l.customer_numbers, r.customer_numbers)"),),
    ),
    Comparison("tax_id", ("tax_id",), (Level("same", "the same tax number", "l.tax_id = r.tax_id"),)),
    Comparison(
        "address",
        ("street",),
        (
            Level("same", "the same house", f"l.street = r.street AND {_SAME_HOUSE} AND {_SAME_PLACE}"),
            Level("alike", "the same house, the street written differently",
            f"{_alike('street', 0.9)} AND {_SAME_HOUSE} AND {_SAME_PLACE}"),
            Level("same_street", "the same street, another house", f"{_alike('street', 0.9)} AND {_SAME_PLACE}"),
            Level("same_place", "the same place, another street", _SAME_PLACE),
        ),
        shared_by=("household",),
    ),
    Comparison(
        "generation", ("generation",), (Level("same", "both junior, or both senior", "l.generation = r.generation"),)
    ),
    Comparison(
        "company",
        ("company",),
        (
            Level("same", "the same company", "l.company = r.company"),
            Level("alike", "nearly the same letters", _alike("company", 0.92)),
        ),
        shared_by=("household",),
    ),
)  # fmt: skip
SIMILARITIES = ("given", "family", "street", "company")  # columns of which ``alike_X`` is asked
BY_NAME = {comparison.name: comparison for comparison in COMPARISONS}


def compare(pairs: DataFrame, records: DataFrame, comparisons: Sequence[Comparison], similarities: Sequence[str]) -> DataFrame:
    """The level of each comparison for each pair of records (left, right, and what else a pair carries)."""
    both = pairs.join(records.alias("l"), on=F.col("left") == F.col("l.record_id"), how="inner").join(
        records.alias("r"), on=F.col("right") == F.col("r.record_id"), how="inner"
    )
    for name in similarities:
        both = both.withColumn(f"alike_{name}", _similarity(F.col(f"l.{name}"), F.col(f"r.{name}")))
    return both.select(
        *pairs.columns,
        F.col("l.source").alias("left_source"),
        F.col("r.source").alias("right_source"),
        *(F.expr(comparison.sql()).alias(comparison.name) for comparison in comparisons),
    )


def _similarity(one: Column, other: Column) -> Column:
    """Jaro-Winkler similarity, 0 to 1."""

    def jaro_winkler(left: pa.Array, right: pa.Array) -> pa.Array:
        from rapidfuzz.distance import JaroWinkler  # noqa: PLC0415 - in the worker alone
        from rapidfuzz.process import cpdist  # noqa: PLC0415

        return pa.array(cpdist(left.to_pylist(), right.to_pylist(), scorer=JaroWinkler.similarity, dtype="float64"))

    function = arrow_udf(jaro_winkler, "double")  # type: ignore[call-overload]
    similarity: Column = function(F.coalesce(one, F.lit("")), F.coalesce(other, F.lit("")))
    return similarity
