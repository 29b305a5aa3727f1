"""The contracts of tables as a data dictionary, and what has changed since they were last published.

docs/columns.csv and docs/tables.csv hold every public column and table as last published. Columns and tables that are new need
no reason; where a public column goes, gets another type or may be empty now, or a key changes, docs/changes.yml says why.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from tillhouse.kpi import metrics
from tillhouse.tables import Table, entities, gold, ops, silver, vault
from tillhouse.tables.bronze import bronze_table

TABLES = (
    bronze_table("{source}", personal=False), *silver.TABLES, *vault.TABLES, *entities.TABLES, *gold.TABLES, *ops.TABLES,
)  # fmt: skip
TABLES_FILE, COLUMNS_FILE, CHANGES_FILE = "tables.csv", "columns.csv", "changes.yml"
TABLES_HEAD = ("table", "grain", "key", "partitioned_by", "sorted_by", "contract_version")
COLUMNS_HEAD = ("table", "column", "type", "nullable", "unit", "references", "meaning")
CHANGES_HEAD = "# Why public columns changed. Made by scripts/make_docs.py --reason 'TEXT', see docs/tables.md.\n"
REMEDY = "raise the version of the table's contract, then run: scripts/make_docs.py --reason 'WHY READERS HAVE TO LIVE WITH IT'"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a contract."""

    name: str
    type: str
    is_nullable: bool
    comment: str | None


@cache
def to_columns(table: Table) -> tuple[TableColumn, ...]:
    """The columns of a contract, read from its DDL without a Spark session.

    Raises:
        ValueError: a column is written in a way that this reading does not know.
    """
    columns = []
    for part in _split(table.columns):
        found = re.fullmatch(r"(\w+)\s+([A-Z].*?)(\s+NOT NULL)?(?:\s+COMMENT\s+'((?:[^'\\]|\\.)*)')?", part, re.DOTALL)
        if not found:
            raise ValueError(f"{table.full_name}: cannot read {part!r}; write name TYPE [NOT NULL] [COMMENT 'text']")
        name, kind, not_null, comment = found.groups()
        columns.append(TableColumn(name, kind, not not_null, comment))
    return tuple(columns)


def _split(ddl: str) -> list[str]:
    """The parts between the commas that stand neither in quotes nor in parentheses or angle brackets."""
    parts, part, depth, quoted = [], "", 0, False
    for character in ddl:
        quoted ^= character == "'"
        depth += 0 if quoted else (character in "(<") - (character in ")>")
        if character == "," and not quoted and not depth:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    return [*parts, part.strip()] if part.strip() else parts


def is_public(column: str) -> bool:
    return not column.startswith("_")


# What a column holds


def unit_of(table: Table, column: TableColumn) -> str:
    """The unit of a column's values, as the rules for names say; empty for texts and numbers of things."""
    names = {other.name for other in to_columns(table)}
    measure = metrics.measure(column.name) if table.schema == "gold" else None
    kind = measure.unit if measure is not None and measure.unit in ("money", "ratio", "pieces") else ""
    money = "money, in currency" if "currency" in names else "money"
    rules = (
        (column.type == "DATE", "day"),
        (column.type == "TIMESTAMP", "instant, UTC"),
        (column.type == "BOOLEAN", "true or false"),
        (kind == "ratio" or column.name.endswith(("_rate", "_share")), "0..1"),
        (kind == "money" or column.type == "DECIMAL(18,2)" or column.name.endswith("_price"), money),
        (kind == "pieces" or column.name.endswith("item_count"), "pieces"),
        (column.name == "quantity", "units of the product"),
        (column.name.startswith("days_") or column.name.endswith("_days"), "days"),
        (column.name.endswith("_bytes"), "bytes"),
    )
    return next((unit for holds, unit in rules if holds), "")


def reference_of(table: Table, column: TableColumn, tables: Iterable[Table] = TABLES) -> str:
    """The table and column that a foreign key points to, in the same schema; empty for other columns.

    A column names its target: ``original_receipt_key`` is a ``receipt_key``. A natural id of a dimension with history (``_id``)
    points to several versions, of which one is current.
    """
    targets = {name: target for name, (of, target) in _targets(table.schema, tuple(tables)).items() if of != table.full_name}
    if table.key == (column.name,):
        return ""
    if column.type == "DATE" and column.name.endswith("_date"):
        return targets.get("date", "")
    natural_of_own = table.key[0].removesuffix("_key") + "_id" if table.name.startswith("dim_") else ""
    fitting = [
        name for name in targets if column.name == name or (name.endswith(("_key", "_id")) and column.name.endswith(f"_{name}"))
    ]
    if not fitting or column.name == natural_of_own or not is_public(column.name):
        return ""
    return targets[max(fitting, key=len)]


@cache
def _targets(schema: str, tables: tuple[Table, ...]) -> dict[str, tuple[str, str]]:
    """What columns of a schema may refer to by name: the table, and how the column is told."""
    targets: dict[str, tuple[str, str]] = {}
    for table in tables:
        if table.schema != schema or len(table.key) != 1 or not is_public(table.key[0]):
            continue
        names = {column.name for column in to_columns(table)}
        [key] = table.key
        targets.setdefault(key, (table.full_name, f"{table.full_name}.{key}"))
        natural = key.removesuffix("_key") + "_id"
        if table.name.startswith("dim_") and natural in names:
            current = " (is_current)" if "is_current" in names else ""
            targets.setdefault(natural, (table.full_name, f"{table.full_name}.{natural}{current}"))
    return targets


# The dictionary as files


def columns_csv(tables: Sequence[Table] = TABLES) -> str:
    """Every public column with type, unit, foreign key and meaning, one a line."""
    rows = [
        (
            table.full_name, column.name, column.type, "yes" if column.is_nullable else "no", unit_of(table, column),
            reference_of(table, column, tables), column.comment or "",
        )
        for table in tables
        for column in to_columns(table)
        if is_public(column.name)
    ]  # fmt: skip
    return _csv(COLUMNS_HEAD, rows)


def tables_csv(tables: Sequence[Table] = TABLES) -> str:
    """Every table with grain, key and layout, one a line."""
    rows = [
        (t.full_name, t.grain, " ".join(t.key), " ".join(t.partition_by), " ".join(t.sort_by), str(t.version)) for t in tables
    ]
    return _csv(TABLES_HEAD, rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


# What has changed


@dataclass(frozen=True, slots=True)
class Change:
    """A difference that a reader of the published table may stumble over. ``published``: the version of its contract."""

    table: str
    what: str
    published: int

    def __str__(self) -> str:
        return f"{self.table}: {self.what}"


def changes(folder: Path, tables: Sequence[Table] = TABLES) -> list[Change]:
    """What of the tables published in a folder is no longer as it was; what is new is none."""
    now = {table.full_name: table for table in tables}
    found = []
    published = {row["table"]: row for row in _read(folder / TABLES_FILE)}
    for name, row in published.items():
        version = int(row["contract_version"])
        if name not in now:
            found.append(Change(name, "the table is gone", version))
        elif now[name].key != tuple(row["key"].split()):
            found.append(Change(name, f"its key was {row['key']}, is {' '.join(now[name].key)}", version))
    for row in _read(folder / COLUMNS_FILE):
        table, version = now.get(row["table"]), int(published[row["table"]]["contract_version"])
        if table is None:
            continue
        column = next((item for item in to_columns(table) if item.name == row["column"]), None)
        if column is None:
            found.append(Change(row["table"], f"column {row['column']} is gone", version))
        elif column.type != row["type"]:
            found.append(Change(row["table"], f"column {column.name} was {row['type']}, is {column.type}", version))
        elif column.is_nullable and row["nullable"] == "no":
            found.append(Change(row["table"], f"column {column.name} may be empty now", version))
    return found


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def explain(folder: Path, reason: str, tables: Sequence[Table] = TABLES) -> list[str]:
    """Write down why published tables change. Returns what stands in the way; nothing is written then.

    A changed table needs a higher version of its contract, because lakes that exist hold the old one.
    """
    found = changes(folder, tables)
    versions = {table.full_name: table.version for table in tables}
    faults = [
        f"{change}; its contract still has version {change.published}: {REMEDY}"
        for change in found
        if versions.get(change.table) == change.published
    ]
    if not reason.strip() or faults:
        return faults or [f"{change}; {REMEDY}" for change in found]
    entries = [
        {"table": change.table, "version": versions.get(change.table, change.published), "change": change.what, "reason": reason}
        for change in found
    ]
    if entries:
        text = yaml.safe_dump([*explained(folder), *entries], sort_keys=False, allow_unicode=True, width=130)
        (folder / CHANGES_FILE).write_text(CHANGES_HEAD + text, "utf-8")
    return []


def explained(folder: Path) -> list[dict[str, str | int]]:
    """The changes that have a reason, oldest first."""
    path = folder / CHANGES_FILE
    return (yaml.safe_load(path.read_text("utf-8")) or []) if path.exists() else []
