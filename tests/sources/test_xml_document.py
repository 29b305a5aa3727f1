"""XML documents become records with nested lists; what could harm the reader is refused before it is read."""

from __future__ import annotations

import json

import pytest

from tests.sources.mappings import JSON, source
from tillhouse.errors import SourceError
from tillhouse.sources.model import Source
from tillhouse.sources.readers import read_records

HEAD = "<Store>B1</Store><No>7</No><At>2025-01-31T09:05:00Z</At>"
LINE = "<Line no='1'><Sale><Amount>2.50</Amount></Sale></Line>"


def xml(changes: str = "") -> Source:
    base = """
    format: xml
    file_pattern: cloud/{week}.xml
    xml: {record: Receipt, lists: [Line], lifted: [Card], told_apart_by: {Total: kind}}
    columns: {branch_id: {aliases: [Store]}, receipt_id: {aliases: ["No"]}, started_at: {aliases: [At]}}
    lines: {path: Line, columns: {line_number: {aliases: ["@no"]}, gross_amount: {aliases: [Sale/Amount]}}}
    """
    return source(JSON, f"{base}\n    {changes}")


def read(body: str, changes: str = "") -> list[dict[str, str | None]]:
    rows: list[dict[str, str | None]] = read_records(f"<Log>{body}</Log>".encode(), xml(changes)).table.to_pylist()
    return rows


def test_elements_attributes_and_lists_become_columns_whatever_their_namespace() -> None:
    [record] = read(
        f"<x:Receipt xmlns:x='urn:x' x:training='true'>{HEAD}<Total kind='net'>2.10</Total><Total kind='gross'>2.50</Total>"
        f"<Note>one</Note><Note>two</Note><Line no='1'><Sale><Amount>2.50</Amount></Sale><Card><Id>0042</Id></Card></Line>{LINE}"
        "</x:Receipt>"
    )
    lines = json.loads(record.pop("Line") or "")
    assert record == {
        "Store": "B1", "No": "7",
        "At": "2025-01-31T09:05:00Z", "@training": "true", "Total[net]": "2.10", "Total[net]@kind": "net",
        "Total[gross]": "2.50", "Total[gross]@kind": "gross", "Note": "one | two", "Card/Id": "0042",
    }  # fmt: skip
    assert lines == [{"@no": "1", "Sale/Amount": "2.50", "Card/Id": "0042"}, {"@no": "1", "Sale/Amount": "2.50"}]


def test_a_list_in_a_list_is_nested_in_its_record_and_may_be_named_by_the_end_of_its_path() -> None:
    line = (
        "<Line no='1'><Sale><Amount>2.50</Amount><Tax><Rate>19</Rate></Tax><Tax><Rate>7</Rate></Tax></Sale><Tax>0.40</Tax></Line>"
    )
    [record] = read(f"<Receipt>{HEAD}{line}</Receipt>", "xml: {record: Receipt, lists: [Line, Sale/Tax]}")
    [found] = json.loads(record["Line"] or "")
    assert found == {"@no": "1", "Sale/Amount": "2.50", "Tax": "0.40", "Sale/Tax": [{"Rate": "19"}, {"Rate": "7"}]}


def test_records_are_numbered_as_they_come_and_one_without_lines_has_an_empty_list() -> None:
    records = read_records(f"<Log><Receipt>{HEAD}{LINE}</Receipt><Receipt>{HEAD}</Receipt></Log>".encode(), xml())
    assert records.rows.to_pylist() == [1, 2]
    assert records.table.column("Line").to_pylist()[1] == "[]"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (f"<Log><Receipt>{HEAD}", "not well-formed XML"),
        ("<Log><Ticket/></Log>", "no element named Receipt in the document Log"),
        (f"<!DOCTYPE Log [<!ENTITY a 'aaaa'>]><Log><Receipt>{HEAD}<Note>&a;</Note></Receipt></Log>", "declares entities"),
        (f"<!DOCTYPE Log [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><Log><Receipt>{HEAD}</Receipt></Log>", "declares entities"),
        (f"<Log><Receipt>{'<a>' * 60}{'</a>' * 60}</Receipt></Log>", "nested deeper than"),
    ],
)
def test_what_is_broken_or_hostile_is_refused_with_a_reason(document: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        read_records(document.encode(), xml())


def test_the_declared_encoding_counts() -> None:
    content = f"<?xml version='1.0' encoding='ISO-8859-1'?><Log><Receipt>{HEAD}<Name>Müller</Name></Receipt></Log>"
    assert read_records(content.encode("latin-1"), xml()).table.column("Name").to_pylist() == ["Müller"]


def test_a_list_that_is_not_declared_is_told_at_the_start() -> None:
    with pytest.raises(Exception, match=r"key 'lines.path': ends in no name of xml.lists \(none\)"):
        xml("xml: {record: Receipt, lists: []}")
