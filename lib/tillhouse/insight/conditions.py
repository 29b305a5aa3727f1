"""Conditions over what is measured of customers: what they may name is known before Spark is started."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StringType

from tillhouse.strict import did_you_mean
from tillhouse.tables.gold_customers import FIELDS as COLUMNS

# Who somebody is says nothing of what somebody does, and is drawn at random.
_NEUTRAL = ("customer_id", "smallest_receipt_key")
_COLUMN = re.compile(r"^ *(\w+) [A-Z]", re.MULTILINE)
FIELDS = tuple(name for name in _COLUMN.findall(COLUMNS) if name not in _NEUTRAL)

_KEYWORDS = (
    "and as between case cast date else end false ilike in interval is like not null or rlike then true when "
    "bigint boolean decimal int string day days month months week weeks year years"
)
_FUNCTIONS = (
    "abs add_months ceil coalesce concat contains date_add date_diff date_sub datediff day dayofweek dayofyear endswith "
    "floor greatest if ifnull isnotnull isnull last_day least left length lower month months_between nullif nvl quarter right "
    "round sign startswith substring trim try_cast try_divide upper weekday weekofyear year"
)
KEYWORDS, FUNCTIONS = frozenset(_KEYWORDS.split()), frozenset(_FUNCTIONS.split())
_TEXT = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"")
_WORD = re.compile(r"\b[A-Za-z_]\w*")
_STRANGE = re.compile(r"--|/\*|[^\w\s.,()<>=!+*|-]", re.ASCII)
_BLANKS = re.compile(r"\s+")
_CAST = re.compile(r"cast\((\w+)#\d+L? as (\w+)")
_REMEDY = "fields are the columns of gold.customer_state in docs/tables.md, thresholds those of this file"


def words_of(condition: str) -> list[str]:
    """The words of a condition outside quotes, each once, in small letters as Spark reads them."""
    return list(dict.fromkeys(word.lower() for word in _WORD.findall(_TEXT.sub(" ", condition))))


def without_layout(condition: str) -> str:
    """A condition on one line; what is in quotes stays as it is."""
    quoted = _TEXT.findall(condition)
    parts = [_BLANKS.sub(" ", part) for part in _TEXT.split(condition)]
    return "".join(part + text for part, text in zip(parts, [*quoted, ""], strict=True)).strip()


def faults_of(condition: str, names: AbstractSet[str]) -> list[str]:
    """What a condition names that it may not. ``names``: fields and thresholds that are known.

    Only names, numbers, texts, comparisons and functions of single values are allowed. So a condition depends on one customer
    alone, not on the clock, chance or other tables, and cannot fail on a division by 0.
    """
    bare = _TEXT.sub(" ", condition)
    found = _STRANGE.search(bare)
    if found and found[0] in "/%":
        return [f"divides with {found[0]}, which fails on 0. Remedy: try_divide(a, b) is NULL there"]
    if found:
        return [f"has {found[0]!r}, which no condition may have. Remedy: compare fields with numbers, 'texts' and thresholds"]
    allowed = {*names, *KEYWORDS, *FUNCTIONS}
    return [
        f"names {word}, which is no field, threshold or known function{did_you_mean(word, sorted(allowed))}. Remedy: {_REMEDY}"
        for word in words_of(condition)
        if word not in allowed
    ]


def unreadable(rows: DataFrame, conditions: Sequence[str]) -> dict[str, str]:
    """Conditions that Spark cannot ask of such rows, each with the reason. No row is read.

    A condition is true, false or unknown (NULL), and compares no text with a number: that would fail on the first text that is
    none.
    """
    try:
        if not _is_faulty(rows, conditions):
            return {}
    except (AnalysisException, ParseException):
        pass  # which one it is, is found out one by one
    return {condition: fault for condition in conditions if (fault := _fault(rows, condition))}


def _is_faulty(rows: DataFrame, conditions: Iterable[str]) -> bool:
    asked = _asked(rows, conditions)
    return bool(_casts(rows, asked)) or any(field.dataType != BooleanType() for field in asked.schema)


def _fault(rows: DataFrame, condition: str) -> str | None:
    try:
        asked = _asked(rows, [condition])
        [answer] = asked.schema
    except (AnalysisException, ParseException) as error:
        return f"cannot be read: {str(error).strip().splitlines()[0]}. Remedy: write a condition of Spark SQL"
    if answer.dataType != BooleanType():
        return f"is {answer.dataType.simpleString()}, not true or false. Remedy: compare it with something"
    casts = _casts(rows, asked)
    if casts:
        return f"reads the text {casts[0]} as a number or day. Remedy: compare it with a text in quotes, or use try_cast"
    return None


def _asked(rows: DataFrame, conditions: Iterable[str]) -> DataFrame:
    return rows.select(*(F.expr(condition).alias(f"_{number}") for number, condition in enumerate(conditions)))


def _casts(rows: DataFrame, asked: DataFrame) -> list[str]:
    """Fields of text that Spark would turn into something else."""
    texts = {field.name for field in rows.schema if field.dataType == StringType()}
    analysed = asked._jdf.queryExecution().analyzed().toString()
    return [name for name, kind in _CAST.findall(analysed) if name in texts and kind != "string"]
