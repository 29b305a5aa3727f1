"""The mapping engine: bronze text to typed canonical records, by native Spark expressions built from the mapping."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.quality.rules import Finding
from tillhouse.sources import model, unpivot
from tillhouse.sources.consents import NO, YES
from tillhouse.sources.fields import LINE_FIELDS, RECEIPT_FIELDS, Field
from tillhouse.sources.records import column_key
from tillhouse.sources.time_zones import RAILS, iana_zones
from tillhouse.sources.written import GROUPING_MARKS, ISO_DAY, ISO_TIME, OFFSET, number_pattern
from tillhouse.tables.bronze import BROKEN

_CONTENT = ("line_type", "product_ref", "gtin", "category_ref", "quantity", "gross_amount", "discount_amount")
_TURNED = ("quantity", "gross_amount", "net_amount", "tax_amount")
LINEAGE = ("_file", "_file_id", "_row", "_run_id")
SPARK_TYPES = {
    "text": "STRING", "code": "STRING", "amount": "DECIMAL(18,5)", "price": "DECIMAL(18,5)", "quantity": "DECIMAL(18,3)",
    "integer": "INT", "instant": "TIMESTAMP", "date": "DATE", "boolean": "BOOLEAN",
    "texts": "ARRAY<STRING>",
}  # fmt: skip

# The kinds of child records that count, and the text that holds them.
ChildList = tuple[Sequence[model.Alternative], Column]

# Where a name of the export is found in a record: its text, or None if no delivery has ever had it.
Find = Callable[[str], Column | None]

_ZONE_LETTERS = set("XxZV")
# Between several texts of one field; no cell holds it.
_BETWEEN = "\u001f"
_UNKNOWN_ZONE = "_unknown_zone"
# Regular expressions are of the kind that Java and other engines read alike: no look-around, no back-reference, and \z for the
# end of a text, since Java's $ also stands before a last line break.
_BREAK = r"(?:\r\n?|\n)?"  # at the end of a quoted cell


@dataclass(frozen=True)
class Cell:
    """One canonical field of a record: its text, its typed value, and whether a given text cannot be read."""

    field: Field
    text: Column
    value: Column
    is_required: bool = False
    can_fail: bool = False
    is_unknown: Column | None = None
    is_list: bool = False


@dataclass(frozen=True)
class Reading:
    """How the cells of a record are read; ``amount_field`` is what its columns of their own tell, see ``unpivot``."""

    find: Find
    source: model.Source
    zone: Column
    amount_field: str
    keeps_others: bool


_TOLD_BY_PART = model.Column(aliases=("(an amount of its own)",))


def map_records(bronze: DataFrame, source: model.Source, fields: Sequence[Field]) -> tuple[DataFrame, list[Finding]]:
    """Typed canonical fields of each record, and the violations that reading finds, as columns over the result."""
    find = in_columns(bronze)
    zone = F.lit("UTC" if source.timezone == "branch" else source.timezone)
    cells = [to_cell(field, source.columns.get(field.name), find, source, zone) for field in fields]
    return with_cells(with_version(bronze, source, find), cells, [*LINEAGE, BROKEN], source)


def map_receipt_lines(
    bronze: DataFrame, source: model.Source, branches: DataFrame, number: int
) -> tuple[DataFrame, list[Finding]]:
    """One typed row per receipt line with its receipt's fields; nested lines are exploded.

    ``branches`` (branch_id, time_zone) gives the zone of naive times where the mapping says ``timezone: branch``. Of several
    lists of lines, that of ``number`` is read; a receipt without any line is a row of the first.
    """
    bronze, find = carried_down(bronze, source)
    records = bronze.transform(with_zone, source, branches, find).transform(with_version, source, find)
    zone = F.col("_zone")
    keep = [*LINEAGE, BROKEN, "_zone", _UNKNOWN_ZONE]
    header = [to_cell(field, source.columns.get(field.name), find, source, zone) for field in RECEIPT_FIELDS]
    if not source.lines:
        records = _with_lines_of_their_own(records, source, find, in_columns(bronze))
        reading = Reading(find, source, zone, "gross_amount", keeps_others=False)
        cells = cells_of_parts(LINE_FIELDS, source.columns, source.unpivot_lines, reading)
        lines, found = with_cells(records, header + cells, [*keep, unpivot.PART], source)
        signed = lines.withColumn("gross_amount", unpivot.signed("gross_amount")) if source.unpivot_lines else lines
        return signed, [*found, *_unknown_zone(source)]
    # A receipt's own fields are read once, before its lines are taken apart.
    nested, in_line = source.lines[number], in_children(source.line_names)
    written = [F.col(f"_lines_{position}") for position in range(len(source.lines))]
    records = records.withColumns({f"_lines_{at}": first_of([item.path], find) for at, item in enumerate(source.lines)})
    receipts, found = with_cells(records, header, [*keep, *(f"_lines_{at}" for at in range(len(written)))], source)
    receipts = with_children(receipts, source.line_names, lists_of_lines(source, written), source)
    receipts = receipts.where(F.col("_child_list") == number).withColumns(
        {
            "_is_bare": F.col("_child").isNull() & ~F.col("_children_broken"),
            "_is_negative": all_hold(nested.negative, in_line, source) if nested.negative else F.lit(False),
        }
    )
    cells = [to_cell(field, nested.columns.get(field.name), in_line, source, zone) for field in LINE_FIELDS]
    kept = [name for name in receipts.columns if name != "_child" and not name.startswith("_lines_")]
    lines, found_in_lines = with_cells(receipts, cells, kept, source)
    turned = (
        {name: F.when(F.col("_is_negative"), -F.col(name)).otherwise(F.col(name)) for name in _TURNED} if nested.negative else {}
    )
    return lines.withColumns(turned), found + _unknown_zone(source) + [
        item for item in found_in_lines if item.field not in ("(record)", "version_order")
    ]


def lists_of_lines(source: model.Source, written: Sequence[Column]) -> list[ChildList]:
    """The lists of a receipt's lines; where there are several, a receipt need not have each of them."""
    empty = F.when(F.coalesce(*written).isNotNull(), F.lit("[]"))
    return [(item.only, F.coalesce(text, empty)) for item, text in zip(source.lines, written, strict=True)]


def _with_lines_of_their_own(records: DataFrame, source: model.Source, find: Find, in_row: Find) -> DataFrame:
    """The records that are lines, and the lines that their columns tell beside. Where a document begins, there is a line."""
    is_line = _is_line(source, find, in_row)
    if source.unpivot_lines:
        return unpivot.with_parts(records, amounts_of(source.unpivot_lines, source, in_row), is_line)
    return records.where(is_line) if source.line_rows else records


def only_lines(records: DataFrame, source: model.Source, find: Find, in_row: Find) -> DataFrame:
    """The records that are lines themselves."""
    return records.where(_is_line(source, find, in_row)) if source.line_rows else records


def _is_line(source: model.Source, find: Find, in_row: Find) -> Column:
    is_line = F.col(BROKEN).isNotNull() | is_one_of(source.line_rows, find, source)
    begins = in_row(source.carry_down.group_by) if source.carry_down else None
    return is_line if begins is None else is_line | begins.isNotNull()


def amounts_of(items: Sequence[model.Unpivoted], source: model.Source, in_row: Find) -> list[unpivot.Amount]:
    """What each of the columns tells; a text that is no number counts as told, so that it is found out."""
    amounts = []
    for item in items:
        text = first_of(item.aliases, in_row)
        is_nothing = F.coalesce(number(text, source.locale).try_cast(SPARK_TYPES["amount"]) == 0, F.lit(False))
        is_told = text.isNotNull() & ~is_nothing & all_hold(item.when, in_row, source)
        amounts.append(unpivot.Amount(item, text, is_told))
    return amounts


def cells_of_parts(
    known: Sequence[Field], columns: Mapping[str, model.Column], items: Sequence[model.Unpivoted], read: Reading
) -> list[Cell]:
    """The cells of records, which are taken apart into their amounts where the mapping names such (``items``)."""
    cells = []
    for field in known:
        column, find = columns.get(field.name), read.find
        if items and column is None and (field.name == read.amount_field or any(field.name in item.values for item in items)):
            column, find = _TOLD_BY_PART, _nowhere
        cell = to_cell(field, column, find, read.source, read.zone)
        if items:
            text = unpivot.text_of_part(
                field.name, cell.text, cell.is_list, items, read.amount_field, keeps_others=read.keeps_others
            )
            cell = replace(cell, text=text)
        cells.append(cell)
    return cells


def _nowhere(_name: str) -> None:
    return None


def carried_down(bronze: DataFrame, source: model.Source) -> tuple[DataFrame, Find]:
    """The records, and where a name is found in them: what only the first row of a document says counts for all its rows."""
    find, carry = in_columns(bronze), source.carry_down
    begin = find(carry.group_by) if carry is not None else None
    if carry is None or begin is None:
        return bronze, find
    in_file = Window.partitionBy("_file_id").orderBy("_row")
    in_group = Window.partitionBy("_file_id", "_carried_group").orderBy("_row")
    carried = {
        column_key(name): (f"_carried_{number}", F.last(text, ignorenulls=True).over(in_group))
        for number, name in enumerate(carry.columns)
        if (text := find(name)) is not None
    }
    grouped = bronze.withColumn("_carried_group", F.last(begin, ignorenulls=True).over(in_file))
    names = {column_key(carry.group_by): "_carried_group"} | {key: name for key, (name, _) in carried.items()}

    def find_carried(name: str) -> Column | None:
        column = names.get(column_key(name))
        return F.col(column) if column is not None else find(name)

    return grouped.withColumns(dict(carried.values())), find_carried


def in_columns(records: DataFrame) -> Find:
    names = {column_key(name): name for name in records.columns if not name.startswith("_")}

    def find(name: str) -> Column | None:
        column = names.get(column_key(name))
        return None if column is None else _text(F.col(f"`{column}`"))

    return find


def in_children(names: Sequence[str], child: Column | None = None) -> Find:
    positions = {name: position for position, name in enumerate(names)}
    record = F.col("_child") if child is None else child
    return lambda name: _text(record[f"_{positions[name]}"])


def all_hold(conditions: Sequence[model.Condition], find: Find, source: model.Source) -> Column:
    return reduce(lambda left, right: left & right, (_holds(condition, find, source) for condition in conditions), F.lit(True))


def is_one_of(kinds: Sequence[model.Alternative], find: Find, source: model.Source) -> Column:
    held = [all_hold(kind.when, find, source) for kind in kinds]
    return reduce(lambda left, right: left | right, held) if held else F.lit(True)


def _holds(condition: model.Condition, find: Find, source: model.Source) -> Column:
    """Whether a record fulfils a condition; where the column is missing it has no text."""
    text = first_of(condition.aliases, find)
    if condition.is_given is not None:
        return text.isNotNull() == F.lit(condition.is_given)
    if condition.starts_with:
        begins = (text.startswith(start) for start in condition.starts_with)
        return F.coalesce(reduce(lambda left, right: left | right, begins), F.lit(False))
    if condition.one_of:
        return F.coalesce(text.isin(*condition.one_of), F.lit(False))
    amount = number(text, source.locale).try_cast(SPARK_TYPES["amount"])
    return F.coalesce(amount > 0 if condition.sign == "positive" else amount < 0, F.lit(False))


def _text(column: Column) -> Column:
    """Text without outer blanks; an empty text is missing."""
    return F.nullif(F.trim(column), F.lit(""))


def with_version(records: DataFrame, source: model.Source, find: Find) -> DataFrame:
    """Add the instant that orders two versions of a record, NULL where the source declares none, and its text."""
    order = source.version_order
    text, value = F.lit(None).cast("string"), F.lit(None).cast("timestamp")
    if order is not None:
        text = _captured(order.from_path) if order.from_path else first_of(order.aliases, find)
        value = instant(F.col("_text_version"), order.date_formats, F.lit(order.timezone))
    return records.withColumn("_text_version", text).withColumn("_version_at", value)


def with_cells(
    records: DataFrame, cells: Sequence[Cell], keep: Sequence[str], source: model.Source
) -> tuple[DataFrame, list[Finding]]:
    keep = list(dict.fromkeys([*(name for name in keep if name in records.columns), "_text_version", "_version_at"]))
    texts = records.select(*keep, *(cell.text.alias(f"_text_{cell.field.name}") for cell in cells))
    typed = texts.withColumns(
        {cell.field.name: cell.value for cell in cells}
        | {
            f"_unreadable_{cell.field.name}": F.col(f"_text_{cell.field.name}").isNotNull() & cell.value.isNull()
            for cell in cells
            if cell.can_fail
        }
    )
    found = _found(cells)
    if source.version_order is not None:
        unreadable = F.col(BROKEN).isNull() & F.col("_text_version").isNotNull() & F.col("_version_at").isNull()
        found.append(Finding("field_unreadable", "warning", "version_order", unreadable, F.col("_text_version")))
    return typed, found


def _found(cells: Sequence[Cell]) -> list[Finding]:
    """Violations found by reading: a broken record, a missing mandatory field, a value that cannot be read."""
    sound = F.col(BROKEN).isNull()
    found = [Finding("record_broken", "error", "(record)", ~sound, F.col(BROKEN))]
    for cell in cells:
        name = cell.field.name
        text = F.col(f"_text_{name}")
        shown = masked(text) if cell.field.personal else F.concat_ws(" + ", text) if cell.is_list else text
        if cell.is_required:
            found.append(Finding("field_missing", "error", name, sound & text.isNull(), F.lit(None).cast("string")))
        if cell.can_fail:
            is_error = cell.is_required or not cell.field.is_descriptive
            unreadable = sound & F.col(f"_unreadable_{name}")
            if cell.is_unknown is not None:
                found.append(Finding("value_unknown", _severity(is_error), name, unreadable & cell.is_unknown, shown))
                unreadable = unreadable & ~cell.is_unknown
            found.append(Finding("field_unreadable", _severity(is_error), name, unreadable, shown))
    return found


def _severity(is_error: bool) -> str:
    return "error" if is_error else "warning"


def masked(text: Column) -> Column:
    """Enough to find a personal value in its source, too little to know it."""
    return F.when(F.length(text) >= 8, F.concat(F.lit("***"), F.right(text, F.lit(2)))).otherwise(F.lit("***"))


def to_cell(field: Field, column: model.Column | None, find: Find, source: model.Source, zone: Column) -> Cell:
    """How one field is read. A field that is not mapped is NULL."""
    if column is None:
        return Cell(field, F.lit(None).cast("string"), F.lit(None).cast(SPARK_TYPES[field.type]))
    is_required = field.required or column.required
    if column.sum or column.multiply:
        return _computed_cell(field, column, find, source, is_required)
    text = _origin(column, find)
    for case in reversed(column.cases):
        text = F.when(all_hold(case.when, find, source), _origin(case, find)).otherwise(text)
    if column.default is not None:
        text = F.coalesce(text, F.lit(column.default))
    written = F.col(f"_text_{field.name}")
    values = source.value_maps.get(field.name) or source.value_maps.get(field.like or "")
    translated = _TRANSFORMS[column.transform](written) if column.transform else written
    is_unknown = None
    if values:
        pairs = [F.lit(item) for pair in values.items() for item in pair]
        mapped = F.try_element_at(F.create_map(*pairs), translated)
        is_meant = translated.isin(*values.values(), *field.allowed)
        if field.type == "boolean":
            is_meant = is_meant | F.lower(translated).isin(*YES, *NO)
        translated = F.coalesce(mapped, F.when(is_meant, translated))
        is_unknown = translated.isNull()
    elif field.allowed:
        is_unknown = ~translated.isin(*field.allowed)
    if field.type == "texts":
        return Cell(field, text, _parted(written, column), is_required)
    can_fail = field.type != "text" or bool(values or column.transform)
    return Cell(field, text, _typed(translated, field, source, zone), is_required, can_fail, is_unknown)


def _origin(origin: model.Column | model.Case, find: Find) -> Column:
    """The text of a field as the record has it."""
    if isinstance(origin, model.Column) and origin.from_path:
        return _captured(origin.from_path)
    if origin.value is not None:
        return F.lit(origin.value)
    if isinstance(origin, model.Column) and origin.collect:
        return F.nullif(F.concat_ws(_BETWEEN, *(text for name in origin.collect if (text := find(name)) is not None)), F.lit(""))
    return _joined(origin.join, find) if origin.join else first_of(origin.aliases, find)


def _parted(text: Column, column: model.Column) -> Column:
    """The texts of a field of several, each once; NULL where there is none."""
    marks = _BETWEEN if column.separator is None else f"{_BETWEEN}|{re.escape(column.separator)}"
    change = _TRANSFORMS[column.transform] if column.transform else F.trim
    parts = F.transform(F.split(text, marks), lambda part: change(F.trim(part)))
    given = F.array_distinct(F.filter(parts, lambda part: part != ""))
    return F.when(F.size(given) > 0, given)


def _joined(parts: Sequence[str], find: Find) -> Column:
    """Texts put together with a blank between them; constants alone are none."""
    texts = [F.lit(text) if (text := model.constant(part)) is not None else find(part) for part in parts]
    given = first_of(model.without_constants(parts), find)
    return F.when(given.isNotNull(), F.concat_ws(" ", *(text for text in texts if text is not None)))


def _captured(name: str) -> Column:
    return F.try_element_at(F.col("_captured"), F.lit(name))


def first_of(names: Sequence[str], find: Find) -> Column:
    known = [text for name in names if (text := find(name)) is not None]
    return F.coalesce(*known) if known else F.lit(None).cast("string")


def _computed_cell(field: Field, column: model.Column, find: Find, source: model.Source, is_required: bool) -> Cell:
    """Numbers added up or multiplied, less others; an empty one changes nothing, an unreadable one makes all unreadable."""
    parts = [part for name in column.sum or column.multiply if (part := find(name)) is not None]
    less = [part for name in column.minus if (part := find(name)) is not None]
    kind = SPARK_TYPES[field.type]
    if not parts:
        return Cell(field, F.lit(None).cast("string"), F.lit(None).cast(kind), is_required)
    percent = [] if column.percent is None else [find(column.percent)]
    shares = [F.lit(None).cast("string") if part is None else part for part in percent]
    text = F.when(F.coalesce(*parts).isNotNull(), F.array(*parts, *less, *shares))
    written = F.col(f"_text_{field.name}")

    def read(position: int, neutral: int) -> Column:
        part = F.get(written, F.lit(position))
        given = number(part, source.locale).try_cast(kind)
        return F.when(part.isNull(), F.lit(neutral).cast(kind)).otherwise(given)

    numbers = [read(position, 0 if column.sum else 1) for position in range(len(parts))]
    result = reduce(lambda left, right: left + right if column.sum else left * right, numbers)
    for position in range(len(parts), len(parts) + len(less)):
        result = result - read(position, 0)
    for position in range(len(parts) + len(less), len(parts) + len(less) + len(shares)):
        result = result * read(position, 0) / 100
    value = F.when(written.isNotNull(), result).try_cast(kind)
    return Cell(field, text, value, is_required, can_fail=True, is_list=True)


def _typed(text: Column, field: Field, source: model.Source, zone: Column) -> Column:
    value = text
    match field.type:
        case "code":
            value = F.when(text.isin(*field.allowed), text)
        case "amount" | "price" | "quantity":
            value = number(text, source.locale).try_cast(SPARK_TYPES[field.type])
        case "integer":
            value = F.nullif(F.regexp_extract(text, rf"^([0-9]{{1,9}}){_BREAK}\z", 1), F.lit("")).try_cast("INT")
        case "instant":
            value = instant(text, source.date_formats, zone)
        case "date":
            value = _date(text, source.date_formats)
        case "boolean":
            word = F.lower(text)
            value = F.when(word.isin(*YES), True).when(word.isin(*NO), False)
    return value


def number(text: Column, locale: model.Locale) -> Column:
    """The number in a text as plain digits with a dot, NULL if it is not written as the locale says."""
    written = rf"^{number_pattern(locale)}{_BREAK}\z"
    decimal = rf"[{locale.decimal}]"
    before, digits, behind = (F.regexp_extract(text, written, group) for group in (1, 2, 3))
    sign = F.concat(before, behind)
    unsigned = F.nullif(F.translate(digits, locale.decimal + GROUPING_MARKS[locale.grouping], "."), F.lit(""))
    plain = F.replace(text, F.lit(locale.decimal), F.lit(".")) if locale.decimal != "." else text
    return (
        F.when(text.rlike(rf"^-?[0-9]+({decimal}[0-9]+)?\z"), plain)
        .when(sign.isin("", "+"), unsigned)
        .when(sign.isin("-", "()"), F.concat(F.lit("-"), unsigned))
    )


def instant(text: Column, formats: Sequence[str], zone: Column) -> Column:
    """The instant of a written time; a time without offset is one of ``zone``, its earlier one where it comes twice."""
    readings = []
    for pattern in formats:
        if pattern == "iso":
            with_offset = F.when(text.rlike(rf"^{ISO_DAY}{ISO_TIME}{OFFSET}\z"), text)
            full = with_offset.when(text.rlike(rf"^{ISO_DAY}{ISO_TIME}\z"), F.concat(text, F.lit(" "), zone))
            readings.append(full.try_cast("timestamp"))
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
    return ~text.rlike(rf"[0-9]:[0-9]{{2}}[0-9:.]*{OFFSET}\z")


def _date(text: Column, formats: Sequence[str]) -> Column:
    """The day as it is written; an offset behind it does not move it."""
    return F.coalesce(
        *(
            F.when(text.rlike(rf"^{ISO_DAY}({ISO_TIME}({OFFSET})?)?\z"), F.left(text, F.lit(10))).try_cast("date")
            if pattern == "iso"
            else _utc_day(F.try_to_timestamp(F.concat(text, F.lit(" UTC")), F.lit(f"{pattern} VV")))
            for pattern in formats
            if not _has_zone(pattern) or pattern == "iso"
        ),
        F.lit(None).cast("date"),
    )


def _utc_day(instant: Column) -> Column:
    """The date in UTC; a cast would take the session's time zone."""
    return F.date_from_unix_date(F.floor(F.unix_micros(instant) / 86_400_000_000).cast("int"))


def with_zone(records: DataFrame, source: model.Source, branches: DataFrame, find: Find) -> DataFrame:
    """Add the time zone of naive times: the record's own, the mapping's, or that of its branch (UTC while it is unknown)."""
    if source.timezone_column:
        named = first_of(source.timezone_column, find)
        labels = F.create_map(*(F.lit(text) for pair in RAILS.items() for text in pair))
        own = F.coalesce(F.try_element_at(labels, named), F.when(named.isin(*sorted(iana_zones())), named))
        rest = with_zone(records, source.model_copy(update={"timezone_column": ()}), branches, find)
        unknown = F.when(own.isNull(), named)
        return rest.withColumns({"_zone": F.coalesce(own, F.col("_zone")), _UNKNOWN_ZONE: unknown})
    if source.timezone != "branch":
        return records.withColumn("_zone", F.lit(source.timezone))
    branch = next(field for field in RECEIPT_FIELDS if field.name == "branch_id")
    cell = to_cell(branch, source.columns["branch_id"], find, source, F.lit("UTC"))
    zones = branches.select(F.col("branch_id").alias("_zone_branch"), F.col("time_zone").alias("_branch_zone"))
    joined = (
        records.withColumn("_text_branch_id", cell.text)
        .withColumn("_branch_id", cell.value)
        .join(F.broadcast(zones), on=F.col("_branch_id") == F.col("_zone_branch"), how="left")
    )
    return joined.withColumn("_zone", F.coalesce("_branch_zone", F.lit("UTC"))).drop(
        "_text_branch_id", "_branch_id", "_zone_branch", "_branch_zone"
    )


def _unknown_zone(source: model.Source) -> list[Finding]:
    """A time whose zone nobody knows is no instant."""
    if not source.timezone_column:
        return []
    unknown = F.col(_UNKNOWN_ZONE)
    return [Finding("value_unknown", "error", "timezone_column", F.col(BROKEN).isNull() & unknown.isNotNull(), unknown)]


def with_children(records: DataFrame, names: Sequence[str], lists: Sequence[ChildList], source: model.Source) -> DataFrame:
    """One row per child record in ``lists``; a record whose children cannot be read stays as one row and is marked.

    ``_child_list`` is the list that it lies in, ``_child_position`` its place in all of them. The names of the export become
    positions, since Spark would take names that differ only in case for one.
    """
    children = F.concat(*(_entries(number, names, only, text, source) for number, (only, text) in enumerate(lists)))
    exploded = records.withColumn("_children", children).select(
        "*", F.posexplode_outer("_children").alias("_child_index", "_entry")
    )
    return exploded.withColumns(
        {
            "_child": F.col("_entry.record"),
            "_child_list": F.coalesce("_entry.list", F.lit(0)),
            "_child_position": F.coalesce(F.col("_child_index"), F.lit(0)) + 1,
            "_children_broken": F.col("_children").isNull(),
        }
    ).drop("_children", "_child_index", "_entry")


def _entries(number: int, names: Sequence[str], only: Sequence[model.Alternative], text: Column, source: model.Source) -> Column:
    written = ", ".join(f"`{name.replace('`', '``')}`: string" for name in names)
    by_position = ", ".join(f"_{position}: string" for position in range(len(names)))
    children = F.from_json(text, f"array<struct<{written}>>").cast(f"array<struct<{by_position}>>")
    if only:
        children = F.filter(children, lambda child: is_one_of(only, in_children(names, child), source))
    return F.transform(children, lambda child: F.struct(F.lit(number).alias("list"), child.alias("record")))


def with_line_number(lines: DataFrame, source: model.Source, position: str = "_child_position") -> DataFrame:
    """Lines without a number of their own are counted: in the order of the file, or in that of their contents.

    What columns tell beside (shipping, a tip) comes last, so that a refund in a newer export leaves the other numbers alone.
    """
    has_parts = unpivot.PART in lines.columns
    if source.depth == "totals" and not source.unpivot_lines:
        return lines.withColumn("line_number", F.coalesce("line_number", F.lit(1)))
    if source.line_number == "column" and source.depth == "lines":
        return lines
    if source.lines:
        return lines.withColumn("line_number", F.col(position))
    receipt = ["branch_id", "register_id", "closing_id", "receipt_id"]
    order = [F.col(f"{unpivot.PART}.is_beside")] if has_parts else []
    order += [F.col(name) for name in _CONTENT] if source.line_number == "by_content" else []
    order += [F.col("_row"), F.col(f"{unpivot.PART}.position")] if has_parts else [F.col("_row")]
    in_file = Window.partitionBy("_file_id", *receipt).orderBy(*order)
    return lines.withColumn("line_number", F.row_number().over(in_file))


def _without_apostrophe(text: Column) -> Column:
    """Text without the apostrophe by which a spreadsheet is told to leave digits alone."""
    return F.regexp_replace(text, "^'", "")


def _gtin(text: Column) -> Column:
    """A GTIN of 8, 12, 13 or 14 digits; one that lost zeros in front gets them back if its check digit then fits.

    Anything else (such as 4,00639E+12, damaged by a spreadsheet) is unreadable.
    """
    digits = _without_apostrophe(text)
    is_short = digits.rlike(r"^([0-9]{7}|[0-9]{9,11})\z")
    restored = F.when(F.length(digits) < 8, F.lpad(digits, 8, "0")).otherwise(F.lpad(digits, 12, "0"))
    is_sound = _check_digit(digits) == F.right(digits, F.lit(1)).try_cast("INT")
    return F.when(digits.rlike(r"^([0-9]{8}|[0-9]{12,14})\z"), digits).when(is_short & is_sound, restored)


def _check_digit(digits: Column) -> Column:
    """What the last digit of a GTIN must be (GS1): weights 3 and 1 from the right; zeros in front change nothing."""
    padded = F.lpad(digits, 14, "0")
    weighed = [F.substring(padded, place, 1).try_cast("INT") * (3 if place % 2 else 1) for place in range(1, 14)]
    return (10 - reduce(lambda left, right: left + right, weighed) % 10) % 10


def _ungrouped(text: Column) -> Column:
    """The digits of an id that a system writes as a number, such as 1.204; any other text stays as it is."""
    is_grouped = text.rlike(r"^[0-9]{1,3}((,[0-9]{3})+|([.][0-9]{3})+|('[0-9]{3})+)\z")
    return F.when(is_grouped, F.regexp_replace(text, "[.,']", "")).otherwise(text)


def _salesforce_id(text: Column) -> Column:
    """The 15 characters of an id; exports by API write three more behind it, which only repeat them for systems without case."""
    return F.when(text.rlike(r"^[A-Za-z0-9]{15}([A-Z0-5]{3})?\z"), F.left(text, F.lit(15)))


_TRANSFORMS: dict[str, Callable[[Column], Column]] = {
    "strip_apostrophe": _without_apostrophe,
    "ungroup_integer": _ungrouped,
    "strip_leading_zeros": lambda text: F.regexp_replace(text, "^0+(.)", "$1"),
    "gtin": _gtin,
    "lower": F.lower,
    "upper": F.upper,
    "salesforce_id": _salesforce_id,
}
