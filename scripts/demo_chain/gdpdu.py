"""An archive as the German tax export wants it: tables as text, described by index.xml (GDPdU)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MADE_AT = (2017, 1, 1, 0, 0, 0)  # of all members, so that every run writes the same bytes


@dataclass(frozen=True)
class Table:
    """A table by its logical name: file, columns (numbers end in #), and the SQL expressions of its cells."""

    name: str
    file: str
    cells: Mapping[str, str]
    source: str

    @property
    def columns(self) -> list[str]:
        return [column.rstrip("#") for column in self.cells]

    @property
    def query(self) -> str:
        """Rows of each delivery as one text."""
        row = " || ';' || ".join(f"coalesce(CAST({cell} AS VARCHAR), '')" for cell in self.cells.values())
        return (
            f"SELECT branch_id, week, string_agg(row, '' ORDER BY row) FROM (SELECT branch_id, week, {row} || E'\\r\\n' AS row "
            f"FROM {self.source}) GROUP BY branch_id, week"
        )


def write_archive(path: Path, tables: Sequence[Table], texts: Mapping[str, str], *, german: bool) -> None:
    """Write the tables and the index that tells how their numbers are written."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        described = "".join(_described(table, german) for table in tables)
        _add(archive, "index.xml", f"{_HEAD}{described}</Media></DataSet>")
        for table in tables:
            _add(archive, table.file, ";".join(table.columns) + "\r\n" + texts.get(table.name, ""))


_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE DataSet SYSTEM "gdpdu-01-09-2004.dtd">\n'
    "<DataSet><Version>1.0</Version><Media><Name>DSFinV-K</Name>"
)


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    member = zipfile.ZipInfo(name, MADE_AT)
    member.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(member, text.encode())


def _described(table: Table, german: bool) -> str:
    kinds = {True: "<Numeric><Accuracy>5</Accuracy></Numeric>", False: "<AlphaNumeric/>"}
    columns = "".join(
        f"<VariableColumn><Name>{column.rstrip('#')}</Name>{kinds[column.endswith('#')]}</VariableColumn>"
        for column in table.cells
    )
    decimal, grouping = (",", ".") if german else (".", "")
    return (
        f"<Table><URL>{table.file}</URL><Name>{table.name}</Name><UTF8/><DecimalSymbol>{decimal}</DecimalSymbol>"
        f"<DigitGroupingSymbol>{grouping}</DigitGroupingSymbol><Range><From>2</From></Range><VariableLength>"
        "<ColumnDelimiter>;</ColumnDelimiter><RecordDelimiter>&#13;&#10;</RecordDelimiter>"
        f"<TextEncapsulator>&quot;</TextEncapsulator>{columns}</VariableLength></Table>"
    )
