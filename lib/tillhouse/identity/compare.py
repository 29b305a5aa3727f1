"""How two records are compared: levels of agreement per attribute, as data.

A condition is SQL over the comparable columns of two records, ``l`` and ``r``, in words that Spark and DuckDB share: the run
compares in Spark, the training in DuckDB, and both by this text. ``jaro_winkler_similarity`` is DuckDB's own; in Spark a function
of that name is registered. The first level that holds counts; where an attribute is missing in one of the records it says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

MISSING = "missing"
DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Level:
    """A degree of agreement: its name, what it means to a reader, and when it holds."""

    name: str
    meaning: str
    condition: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """An attribute of two records. ``needs`` are the columns without which it says nothing."""

    name: str
    needs: tuple[str, ...]
    levels: tuple[Level, ...]

    @property
    def level_names(self) -> tuple[str, ...]:
        return (*(level.name for level in self.levels), DIFFERS)

    def sql(self) -> str:
        """The name of the level as one SQL expression."""
        missing = " OR ".join(f"l.{column} IS NULL OR r.{column} IS NULL" for column in self.needs)
        cases = " ".join(f"WHEN {level.condition} THEN '{level.name}'" for level in self.levels)
        return f"CASE WHEN {missing} THEN '{MISSING}' {cases} ELSE '{DIFFERS}' END"


def _alike(column: str, least: float) -> str:
    return f"jaro_winkler_similarity(l.{column}, r.{column}) >= {least}"


def _one_edit(column: str, least_length: int) -> str:
    lengths = f"least(length(l.{column}), length(r.{column})) >= {least_length}"
    return f"({lengths} AND levenshtein(l.{column}, r.{column}) <= 1)"


_SWAPPED = Level("swapped", "first and last name are exchanged", "l.given = r.family AND l.family = r.given")
_SAME_PLACE = "(l.postal_code = r.postal_code OR l.city = r.city)"
_SAME_HOUSE = "l.house_number IS NOT DISTINCT FROM r.house_number"

COMPARISONS = (
    Comparison(
        "given_name",
        ("given",),
        (
            Level("same", "the same first name", "l.given = r.given"),
            _SWAPPED,
            Level("nickname", "one is short for the other", "l.given_root = r.given_root"),
            Level("one_of_several", "one of several first names is the same", "arrays_overlap(l.given_names, r.given_names)"),
            Level(
                "initial",
                "one is the initial of the other",
                "(length(l.given) = 1 OR length(r.given) = 1) AND substring(l.given, 1, 1) = substring(r.given, 1, 1)",
            ),
            Level(
                "alike",
                "nearly the same letters or sound",
                f"length(l.given) > 1 AND length(r.given) > 1 AND "
                f"({_one_edit('given', 4)} OR {_alike('given', 0.93)} OR l.given_sound = r.given_sound)",
            ),
            Level("resembles", "some letters in common", f"length(l.given) > 1 AND length(r.given) > 1 AND {_alike('given', 0.82)}"),
        ),
    ),
    Comparison(
        "family_name",
        ("family",),
        (
            Level("same", "the same last name", "l.family = r.family"),
            _SWAPPED,
            Level("part_of_double", "one of two last names is the same", "arrays_overlap(l.family_names, r.family_names)"),
            Level("alike", "nearly the same letters", f"{_one_edit('family', 4)} OR {_alike('family', 0.93)}"),
            Level("sounds_alike", "the same sound (Kölner Phonetik)", "l.family_sound = r.family_sound"),
            Level("resembles", "some letters in common", _alike("family", 0.82)),
        ),
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
    Comparison("phone", ("phones",), (Level("same", "the same number", "arrays_overlap(l.phones, r.phones)"),)),
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
            Level("alike", "the same house, the street written differently", f"{_alike('street', 0.9)} AND {_SAME_HOUSE} AND {_SAME_PLACE}"),
            Level("same_street", "the same street, another house", f"{_alike('street', 0.9)} AND {_SAME_PLACE}"),
            Level("same_place", "the same place, another street", _SAME_PLACE),
        ),
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
    ),
)  # fmt: skip
BY_NAME = {comparison.name: comparison for comparison in COMPARISONS}
