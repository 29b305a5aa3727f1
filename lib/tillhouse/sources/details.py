"""The mapping engine for what is told beside receipts and lines: payments, taxes, references, adjustments, totals of closings.

One row per detail, with the fields of its receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.quality.rules import Finding
from tillhouse.sources import model, unpivot
from tillhouse.sources.fields import DETAILS, LINE_FIELDS, RECEIPT_FIELDS
from tillhouse.sources.mapping import (
    LINEAGE,
    Cell,
    Find,
    Reading,
    all_hold,
    amounts_of,
    carried_down,
    cells_of_parts,
    first_of,
    in_children,
    in_columns,
    is_one_of,
    lists_of_lines,
    only_lines,
    to_cell,
    with_cells,
    with_children,
    with_line_number,
    with_version,
    with_zone,
)
from tillhouse.tables.bronze import BROKEN

_KEPT = (
    *LINEAGE, BROKEN, "_zone", "_child_position", "_line_position", "_children_broken", "_is_negative", "_is_told", unpivot.PART,
    unpivot.IS_FIRST,
)  # fmt: skip


def map_details(
    bronze: DataFrame, source: model.Source, branches: DataFrame, kind: str, item: model.Details
) -> tuple[DataFrame, list[Finding]]:
    """One typed row per detail (``kind`` as in ``DETAILS``) with the fields of its receipt, and what reading it finds.

    ``_child_position`` counts the details of a record, or of a line. A record without any has no row; one whose details cannot be
    read has one, with a violation. What is wrong with the receipt's own fields is told by its lines.
    """
    bronze, find = carried_down(bronze, source)
    records = bronze.transform(with_zone, source, branches, find).transform(with_version, source, find)
    details, inside, cells = _taken_apart(records, bronze, find, source, item)
    within = _looking_above(inside, find)
    zone = F.col("_zone")
    cells += [to_cell(field, source.columns.get(field.name), find, source, zone) for field in RECEIPT_FIELDS]
    own = [field for field in DETAILS[kind].fields if field.name != "line_number" or item.level == "receipt"]
    if item.unpivot:
        details = unpivot.with_parts(details, amounts_of(item.unpivot, source, inside), is_own=F.lit(False))
    reading = Reading(within, source, zone, "payment_amount", keeps_others=True)
    cells += cells_of_parts(own, item.columns, item.unpivot, reading)
    details = details.withColumns(
        {
            "_is_negative": all_hold(item.negative, within, source) if item.negative else F.lit(False),
            "_is_told": _is_told(kind, item, inside, within, source),
        }
    )
    counts_rows = item.level == "line" and not source.lines  # those without a detail count too
    typed, found = with_cells(details if counts_rows else details.where("_is_told"), cells, _KEPT, source)
    if item.level == "line":
        typed = with_line_number(typed, source, "_line_position")
    amounts = [field.name for field in own if field.type == "amount"]
    for name in amounts:
        typed = typed.withColumn(name, F.when(F.col("_is_negative"), -F.col(name)).otherwise(F.col(name)))
    if item.unpivot:
        typed = typed.transform(_with_parts_apart, [name for name in amounts if name != "payment_amount"])
    names = {field.name for field in own}
    found = [finding for finding in found if finding.field in names]
    if item.path:
        torn = F.col("_children_broken")
        found.append(Finding("field_unreadable", "error", item.path, torn, F.lit(None).cast("string")))
    return typed.where("_is_told"), found


def _with_parts_apart(payments: DataFrame, others: Sequence[str]) -> DataFrame:
    """Payments that columns tell, counted in their order; what their record says once, such as a tip, counts with the first."""
    apart = payments.withColumns({name: F.when(F.col(unpivot.IS_FIRST), F.col(name)) for name in others})
    position = F.col(f"{unpivot.PART}.position")
    return apart.withColumns({"payment_amount": unpivot.signed("payment_amount"), "_child_position": position})


def _taken_apart(
    records: DataFrame, bronze: DataFrame, find: Find, source: model.Source, item: model.Details
) -> tuple[DataFrame, Find, list[Cell]]:
    """One row per record that may tell a detail, where names are found in it, and the number of the line that it lies in."""
    is_numbered = source.depth == "totals" or (source.depth == "lines" and source.line_number == "column")
    number = next(field for field in LINE_FIELDS if field.name == "line_number")
    if item.level == "line" and source.lines:
        column = source.lines[0].columns.get("line_number") if is_numbered else None
        of_line = (*column.raw_columns, *column.asked_columns) if column else ()
        wanted = (item.path,) if item.path else item.names
        names = tuple(dict.fromkeys((*wanted, *of_line, *(name for lines in source.lines for name in lines.asked_columns))))
        written = [first_of([lines.path], find) for lines in source.lines]
        told = records.where(F.coalesce(*written).isNotNull())
        lines = with_children(told, names, lists_of_lines(source, written), source)
        lines = lines.where("_child IS NOT NULL")
        if not item.path:
            in_line = in_children(names)
            numbered = lines.withColumn("_line_position", F.col("_child_position"))
            return numbered, in_line, [to_cell(number, column, in_line, source, F.col("_zone"))]
        renamed = {"_child": "_line", "_child_position": "_line_position"}
        lines = lines.drop("_children_broken").withColumnsRenamed(renamed)
        in_line = in_children(names, F.col("_line"))
        details = _children(lines, in_line(item.path), item, source)
        return details, in_children(item.names), [to_cell(number, column, in_line, source, F.col("_zone"))]
    records = records.withColumn("_line_position", F.lit(1))
    if item.path:
        return _children(records, first_of([item.path], find), item, source), in_children(item.names), []
    # What is said once of a document is told once: columns are not carried down here.
    records = records.withColumns({"_child_position": F.lit(1), "_children_broken": F.lit(False)})
    if item.level == "receipt":
        return records, in_columns(bronze), []
    column = source.columns.get("line_number") if is_numbered else None
    rows = only_lines(records, source, find, in_columns(bronze))
    return rows, in_columns(bronze), [to_cell(number, column, find, source, F.col("_zone"))]


def _children(records: DataFrame, text: Column | None, item: model.Details, source: model.Source) -> DataFrame:
    if text is None:
        text = F.lit(None).cast("string")
    children = with_children(records.where(text.isNotNull()), item.names, [((), text)], source)
    return children.where("_child IS NOT NULL OR _children_broken")


def _looking_above(inside: Find, find: Find) -> Find:
    """Names that begin with ``../`` are columns of the record that holds the detail."""
    return lambda name: find(name.removeprefix(model.ABOVE)) if name.startswith(model.ABOVE) else inside(name)


def _is_told(kind: str, item: model.Details, inside: Find, within: Find, source: model.Source) -> Column:
    """Whether the record is a detail: one of those that count and, unless it is an entry of a list, with something to tell."""
    counts = is_one_of(item.only, within, source)
    if item.path:
        return F.col("_children_broken") | counts
    if item.unpivot:
        return counts
    return counts & _any_given(_names_told_by(kind, item), inside)


def _names_told_by(kind: str, item: model.Details) -> list[str]:
    columns = [item.columns[name] for name in DETAILS[kind].told_by if name in item.columns]
    return [name for column in columns for name in column.origins]


def _any_given(names: Sequence[str], find: Find) -> Column:
    given = (text.isNotNull() for name in names if (text := find(name)) is not None)
    return reduce(lambda left, right: left | right, given, F.lit(False))
