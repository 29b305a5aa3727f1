"""The mapping engine: bronze text to typed canonical records, by native Spark expressions built from the mapping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.quality.rules import violation
from tillhouse.sources import model
from tillhouse.sources.fields import LINE_FIELDS, PAYMENT_FIELDS, RECEIPT_FIELDS, Field
from tillhouse.sources.readers import safe_name
from tillhouse.tables.bronze import BROKEN

LINEAGE = ("_file", "_file_id", "_row", "_run_id")
SPARK_TYPES = {
    "text": "STRING", "code": "STRING", "amount": "DECIMAL(18,5)", "price": "DECIMAL(18,5)", "quantity": "DECIMAL(18,3)",
    "integer": "INT", "instant": "TIMESTAMP", "date": "DATE", "boolean": "BOOLEAN",
}  # fmt: skip
_HAS_OFFSET = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
_ZONE_LETTERS = set("XxZVOz")


@dataclass(frozen=True)
class _Cell:
    """One canonical field of a record: its text, its typed value, and whether a given text cannot be read."""

    field: Field
    text: Column
    value: Column
    is_unreadable: Column
    is_unknown: Column
    is_required: bool
    can_fail: bool


def map_records(
    bronze: DataFrame, source: model.Source, fields: Sequence[Field], zone: Column | None = None
) -> tuple[DataFrame, list[Column]]:
    """Typed canonical fields of each record, and the violations that reading finds, as columns over the result.

    ``zone`` is the time zone of naive times (default: that of the mapping).
    """
    cells = [
        _cell(bronze.columns, source, field, source.columns.get(field.name), F.col, zone or F.lit(_zone(source)))
        for field in fields
    ]
    dated = bronze.withColumn("_version_at", version_at(bronze.columns, source))
    return _with_cells(dated, cells, [*_present(bronze, LINEAGE), BROKEN, "_version_at"])


def map_receipt_lines(bronze: DataFrame, source: model.Source, branches: DataFrame) -> tuple[DataFrame, list[Column]]:
    """One typed row per receipt line with its receipt's fields; nested lines are exploded.

    ``branches`` (branch_id, time_zone) gives the zone of naive times where the mapping says ``timezone: branch``.
    """
    zoned = _with_zone(bronze, source, branches)
    zone = F.col("_zone")
    cells = [
        _cell(bronze.columns, source, field, source.columns.get(field.name), F.col, zone) for field in RECEIPT_FIELDS
    ]
    columns = source.columns
    get: Callable[[str], Column] = F.col
    present = list(bronze.columns)
    if source.lines is not None:
        zoned = _with_children(zoned, source.lines)
        columns = source.lines.columns
        present = _children_names(source.lines)

        def get(name: str) -> Column:
            return F.col("_child")[name]

    cells += [_cell(present, source, field, columns.get(field.name), get, zone) for field in LINE_FIELDS]
    keep = [*_present(bronze, LINEAGE), BROKEN, "_version_at", "_zone"]
    if source.lines is not None:
        keep += ["_child_position", "_children_broken"]
    return _with_cells(zoned.withColumn("_version_at", version_at(zoned.columns, source)), cells, keep)


def map_payments(bronze: DataFrame, source: model.Source, branches: DataFrame) -> tuple[DataFrame, list[Column]]:
    """One typed row per payment with the fields that name its receipt."""
    assert source.payments is not None
    zoned = _with_children(_with_zone(bronze, source, branches), source.payments).where("_child IS NOT NULL")
    zone = F.col("_zone")
    names = _children_names(source.payments)
    cells = [_cell(bronze.columns, source, f, source.columns.get(f.name), F.col, zone) for f in RECEIPT_FIELDS]
    cells += [
        _cell(names, source, f, source.payments.columns.get(f.name), lambda name: F.col("_child")[name], zone)
        for f in PAYMENT_FIELDS
    ]
    return _with_cells(zoned, cells, [*_present(bronze, LINEAGE), BROKEN, "_child_position"])


def version_at(present: Sequence[str], source: model.Source) -> Column:
    """The instant that orders two versions of a record, NULL where the source declares none."""
    order = source.version_order
    if order is None:
        return F.lit(None).cast("timestamp")
    text = _captured(order.from_path) if order.from_path else _first(present, order.aliases, F.col)
    return _instant(text, order.date_formats, F.lit(order.timezone))


def _with_cells(records: DataFrame, cells: list[_Cell], keep: list[str]) -> tuple[DataFrame, list[Column]]:
    texts = records.select(*keep, *_needed(records, keep), *(cell.text.alias(f"_text_{cell.field.name}") for cell in cells))
    typed = texts.withColumns(
        {cell.field.name: cell.value for cell in cells}
        | {f"_unreadable_{cell.field.name}": cell.is_unreadable for cell in cells}
    )
    return typed, _found(cells)


def _needed(records: DataFrame, keep: Sequence[str]) -> list[str]:
    return [name for name in ("_zone",) if name in records.columns and name not in keep]


def _found(cells: Sequence[_Cell]) -> list[Column]:
    """Violations found by reading: a broken record, a missing mandatory field, a value that cannot be read."""
    sound = F.col(BROKEN).isNull()
    found = [F.when(~sound, violation("record_broken", "error", "(record)", F.col(BROKEN)))]
    for cell in cells:
        name = cell.field.name
        text = F.col(f"_text_{name}")
        value = _masked(text) if cell.field.personal else text
        if cell.is_required:
            missing = violation("field_missing", "error", name, F.lit(None).cast("string"))
            found.append(F.when(sound & text.isNull(), missing))
        if cell.can_fail:
            severity = "warning" if cell.field.type in ("text", "price") and not cell.is_required else "error"
            unknown = violation("value_unknown", severity, name, value)
            unreadable = violation("field_unreadable", severity, name, value)
            found.append(
                F.when(sound & F.col(f"_unreadable_{name}"), F.when(cell.is_unknown, unknown).otherwise(unreadable))
            )
    return found


def _masked(text: Column) -> Column:
    return F.concat(F.lit("***"), F.right(text, F.lit(2)))


def _cell(
    present: Sequence[str],
    source: model.Source,
    field: Field,
    column: model.Column | None,
    get: Callable[[str], Column],
    zone: Column,
) -> _Cell:
    """How one field is read. A field that is not mapped is NULL."""
    never = F.lit(False)
    if column is None:
        nothing = F.lit(None).cast(SPARK_TYPES[field.type])
        return _Cell(field, F.lit(None).cast("string"), nothing, never, never, False, False)
    if column.sum:
        return _sum_cell(present, source, field, column, get)
    if column.from_path:
        text = _captured(column.from_path)
    elif column.value is not None:
        text = F.lit(column.value)
    elif column.join:
        text = F.concat_ws(" ", *(_text(get(safe_name(part))) for part in column.join if safe_name(part) in present))
        text = F.nullif(text, F.lit(""))
    else:
        text = _first(present, column.aliases, get)
    if column.default is not None:
        text = F.coalesce(text, F.lit(column.default))
    named = F.col(f"_text_{field.name}")
    values = source.value_maps.get(field.name)
    translated = _TRANSFORMS[column.transform](named) if column.transform else named
    is_unknown = never
    if values:
        pairs = [F.lit(item) for pair in values.items() for item in pair]
        allowed = F.array(*(F.lit(value) for value in values.values()))
        mapped = F.try_element_at(F.create_map(*pairs), translated)
        translated = F.coalesce(mapped, F.when(F.array_contains(allowed, translated), translated))
        is_unknown = translated.isNull()
    elif field.allowed:
        is_unknown = ~named.isin(*field.allowed)
    value = _typed(translated, field, source, zone)
    is_free_text = field.type == "text" and not values and not column.transform
    is_unreadable = never if is_free_text else named.isNotNull() & value.isNull()
    return _Cell(field, text, value, is_unreadable, is_unknown, field.required or column.required, not is_free_text)


def _sum_cell(
    present: Sequence[str], source: model.Source, field: Field, column: model.Column, get: Callable[[str], Column]
) -> _Cell:
    """Amounts added up; an empty part counts nothing, an unreadable one makes the sum unreadable."""
    parts = [_text(get(safe_name(part))) for part in column.sum if safe_name(part) in present]
    if not parts:
        return _cell(present, source, field, None, get, F.lit("UTC"))
    text = F.nullif(F.concat_ws(" + ", *parts), F.lit(""))
    named = F.split(F.col(f"_text_{field.name}"), r" \+ ")
    numbers = F.transform(named, lambda part: number(part, source.locale).try_cast(SPARK_TYPES[field.type]))
    total = F.aggregate(numbers, F.lit(0).cast("DECIMAL(38,5)"), lambda total, part: (total + part).cast("DECIMAL(38,5)"))
    value = F.when(~F.exists(numbers, lambda part: part.isNull()), total.try_cast(SPARK_TYPES[field.type]))
    unreadable = F.col(f"_text_{field.name}").isNotNull() & value.isNull()
    return _Cell(field, text, value, unreadable, F.lit(False), field.required or column.required, True)


def _typed(text: Column, field: Field, source: model.Source, zone: Column) -> Column:
    match field.type:
        case "text":
            return text
        case "code":
            return F.when(text.isin(*field.allowed), text)
        case "amount" | "price" | "quantity":
            return number(text, source.locale).try_cast(SPARK_TYPES[field.type])
        case "integer":
            return F.when(text.rlike("^[0-9]{1,9}$"), text).try_cast("INT")
        case "instant":
            return _instant(text, source.date_formats, zone)
        case "date":
            return _date(text, source.date_formats)
        case "boolean":
            lower = F.lower(text)
            yes, no = ("1", "true", "yes", "ja", "y", "j", "x"), ("0", "false", "no", "nein", "n", "-")
            return F.when(lower.isin(*yes), True).when(lower.isin(*no), False)


def number(text: Column, locale: model.Locale) -> Column:
    """The number in a text as plain digits with a dot, NULL if it is not written as the locale says.

    Minus may stand before or behind, or be written as parentheses; grouping marks only where thousands are.
    """
    for mark in locale.strip:
        text = F.replace(text, F.lit(mark), F.lit(""))
    decimal, grouping = _escaped(locale.decimal), _escaped(locale.grouping)
    plain = rf"^-?[0-9]+({decimal}[0-9]+)?$"
    grouped = rf"^[+-]?[0-9]{{1,3}}({grouping}[0-9]{{3}})*({decimal}[0-9]+)?$" if locale.grouping else plain
    minus_first = F.regexp_replace(F.trim(text), r"^\(\s*(.+?)\s*\)$|^(.+?)\s*-$", "-$1$2")
    compact = F.regexp_replace(minus_first, r"^([+-])\s+", "$1")
    digits = F.replace(compact, F.lit(locale.grouping), F.lit("")) if locale.grouping else compact
    signed_plain = rf"^[+-]?[0-9]*({decimal}[0-9]+)?$"
    return F.when(text.rlike(plain), F.replace(text, F.lit(locale.decimal), F.lit("."))).when(
        (compact.rlike(grouped) | compact.rlike(signed_plain)) & compact.rlike("[0-9]"),
        F.replace(digits, F.lit(locale.decimal), F.lit(".")),
    )


def _escaped(mark: str) -> str:
    return f"[{mark}]" if mark else ""


def _instant(text: Column, formats: Sequence[str], zone: Column) -> Column:
    """The instant of a written time; a time without offset is one of ``zone``, its earlier one where it comes twice."""
    readings = []
    for pattern in formats:
        if pattern == "iso":
            has_zone = text.rlike(_HAS_OFFSET)
            is_time = text.rlike("^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+)?")
            full = F.when(has_zone, text).otherwise(F.concat(text, F.lit(" "), zone))
            readings.append(F.when(is_time, full).try_cast("timestamp"))
        elif _has_zone(pattern):
            readings.append(F.try_to_timestamp(text, F.lit(pattern)))
        else:
            readings.append(F.try_to_timestamp(F.concat(text, F.lit(" "), zone), F.lit(f"{pattern} VV")))
    return F.coalesce(*readings)


def _has_zone(pattern: str) -> bool:
    unquoted = "".join(pattern.split("'")[::2])
    return bool(_ZONE_LETTERS & set(unquoted))


def is_naive(text: Column, formats: Sequence[str]) -> Column:
    """Whether a written time names no offset."""
    if all(_has_zone(pattern) for pattern in formats if pattern != "iso") and "iso" not in formats:
        return F.lit(False)
    return ~text.rlike(_HAS_OFFSET)


def _date(text: Column, formats: Sequence[str]) -> Column:
    return F.coalesce(
        *(
            F.when(text.rlike("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), text).try_cast("date")
            if pattern == "iso"
            else _utc_day(F.try_to_timestamp(F.concat(text, F.lit(" UTC")), F.lit(f"{pattern} VV")))
            for pattern in formats
        )
    )


def _utc_day(instant: Column) -> Column:
    """The date in UTC; a cast would take the session's time zone."""
    return F.date_from_unix_date(F.floor(F.unix_micros(instant) / 86_400_000_000).cast("int"))


def _zone(source: model.Source) -> str:
    return "UTC" if source.timezone == "branch" else source.timezone


def _with_zone(bronze: DataFrame, source: model.Source, branches: DataFrame) -> DataFrame:
    if source.timezone != "branch":
        return bronze.withColumn("_zone", F.lit(source.timezone))
    column = source.columns["branch_id"]
    never_mapped = column.value is not None
    text = F.lit(column.value) if never_mapped else _first(bronze.columns, column.aliases, F.col)
    if column.from_path:
        text = _captured(column.from_path)
    if column.transform:
        text = _TRANSFORMS[column.transform](text)
    values = source.value_maps.get("branch_id")
    if values:
        text = F.coalesce(F.try_element_at(F.create_map(*(F.lit(x) for p in values.items() for x in p)), text), text)
    zones = branches.select(F.col("branch_id").alias("_zone_branch"), F.col("time_zone").alias("_branch_zone"))
    joined = bronze.withColumn("_branch_text", text).join(
        F.broadcast(zones), on=F.col("_branch_text") == F.col("_zone_branch"), how="left"
    )
    return joined.withColumn("_zone", F.coalesce("_branch_zone", F.lit("UTC"))).drop(
        "_zone_branch", "_branch_zone", "_branch_text"
    )


def _children_names(nested: model.Nested) -> list[str]:
    return list(dict.fromkeys(name for column in nested.columns.values() for name in column.raw_columns))


def _with_children(records: DataFrame, nested: model.Nested) -> DataFrame:
    """One row per child record; a record whose children cannot be read stays as one row and is marked."""
    names = _children_names(nested)
    shape = "array<struct<" + ", ".join(f"`{name}`: string" for name in names) + ">>"
    path = safe_name(nested.path)
    if path not in records.columns:
        children = F.lit(None).cast(shape)
    else:
        children = F.from_json(F.col(path), shape)
    with_children = records.withColumn("_children", children)
    exploded = with_children.select("*", F.posexplode_outer("_children").alias("_child_index", "_child"))
    return (
        exploded.withColumn("_child_position", F.coalesce(F.col("_child_index"), F.lit(0)) + 1)
        .withColumn("_children_broken", F.col("_children").isNull())
        .drop("_children", "_child_index")
    )


def _present(records: DataFrame, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in records.columns]


def _text(column: Column) -> Column:
    """Text without outer blanks; an empty text is missing."""
    return F.nullif(F.trim(column), F.lit(""))


def _first(present: Sequence[str], aliases: Sequence[str], get: Callable[[str], Column]) -> Column:
    known = [_text(get(safe_name(alias))) for alias in aliases if safe_name(alias) in present]
    return F.coalesce(*known) if known else F.lit(None).cast("string")


def _captured(name: str) -> Column:
    return F.try_element_at(F.col("_captured"), F.lit(name))


def _gtin(text: Column) -> Column:
    """A GTIN of 8, 12, 13 or 14 digits; anything else (such as 4,00639E+12, damaged by a spreadsheet) is unreadable."""
    digits = F.regexp_replace(text, "^'", "")
    return F.when(digits.rlike("^([0-9]{8}|[0-9]{12,14})$"), digits)


_TRANSFORMS: dict[str, Callable[[Column], Column]] = {
    "strip_apostrophe": lambda text: F.regexp_replace(text, "^'", ""),
    "ungroup_integer": lambda text: F.regexp_replace(text, r"(?<=[0-9])[.,'](?=[0-9]{3})", ""),
    "strip_leading_zeros": lambda text: F.regexp_replace(text, "^0+(?=.)", ""),
    "gtin": _gtin,
    "lower": F.lower,
    "upper": F.upper,
}
