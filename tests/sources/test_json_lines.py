from __future__ import annotations

import json

import pytest

from tests.sources.mappings import JSON, source
from tillhouse.errors import SourceError
from tillhouse.sources.readers import read_records
from tillhouse.sources.records import Records

RECEIPT = '{"branch": "F1", "id": "7", "time": "2026-01-31T10:00:00Z", "items": [{"line": 1, "amount": 1.50}]}'


def read(*lines: str, changes: str = "", end: str = "\n") -> Records:
    return read_records("".join(line + end for line in lines).encode(), source(JSON, changes))


def test_numbers_stay_the_text_that_was_written() -> None:
    amounts = ["0.10", "1e5", "-0", "12345678901234567890.123456789", "1.50"]
    lines = [RECEIPT.replace("1.50", amount)[:-1] + f', "total": {amount}}}' for amount in amounts]
    records = read(*lines)
    assert records.table.column("total").to_pylist() == amounts
    items = [json.loads(text)[0]["amount"] for text in records.table.column("items").to_pylist()]
    assert items == amounts


def test_values_of_other_kinds_become_text_or_null() -> None:
    records = read(RECEIPT[:-1] + ', "a": true, "b": null, "c": {"d": [1.0, null, "ü\u2028"]}, "e": "\\u00e4"}', RECEIPT)
    rows = records.table.select(["a", "b", "c", "e"]).to_pylist()
    assert rows == [
        {"a": "true", "b": None, "c": '{"d":["1.0",null,"ü\u2028"]}', "e": "ä"},
        {"a": None, "b": None, "c": None, "e": None},
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_row_number_is_the_line_of_the_file(end: str) -> None:
    records = read(RECEIPT, "", RECEIPT, "  ", "oops", RECEIPT, end=end)
    assert records.rows.to_pylist() == [1, 3, 6]
    assert [record.row for record in records.broken] == [5]
    assert records.ignored == 2
    assert records.ignored + records.rows_read == 6


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (RECEIPT[:50], "not JSON: Unterminated string starting at character 37"),
        (RECEIPT.replace("1.50", "NaN"), "not JSON: NaN is no JSON number"),
        (RECEIPT.replace("1.50", "-Infinity"), "not JSON: -Infinity is no JSON number"),
        (RECEIPT.replace("F1", "\\ud83d"), "not JSON: 'utf-8' codec can't encode character"),
        (RECEIPT.replace("1.50", "[" * 100_000), "not JSON: maximum recursion depth exceeded"),
        (RECEIPT.replace("1.50", "[" * 100_000 + "]" * 100_000), "not JSON: maximum recursion depth exceeded"),
        ("[1, 2]", "not JSON: a line must hold one object with names and values"),
        ("{}", "not JSON: a line must hold one object with names and values"),
        (RECEIPT + RECEIPT, "not JSON: Extra data at character"),
        ("\0\0\0", "not JSON: Expecting value at character 1"),
        (RECEIPT.replace("F1", "a\tb"), "not JSON: Invalid control character at"),
    ],
)
def test_a_line_that_is_no_object_is_a_broken_record_with_reason_and_text(line: str, reason: str) -> None:
    records = read(RECEIPT, line, RECEIPT)
    assert records.rows.to_pylist() == [1, 3]
    [record] = records.broken
    assert (record.row, record.text) == (2, line)
    assert record.reason.startswith(reason)


def test_a_last_line_that_was_cut_off_is_a_broken_record() -> None:
    records = read_records(f"{RECEIPT}\n{RECEIPT[:70]}".encode(), source(JSON))
    assert (records.rows.to_pylist(), [record.row for record in records.broken]) == ([1], [2])


def test_any_depth_that_json_text_keeps_is_kept() -> None:
    deep = "[" * 200 + "1" + "]" * 200
    assert read(RECEIPT.replace("1.50", deep)).table.column("items").to_pylist()[0].count("[") == 201


def test_a_byte_order_mark_is_no_part_of_the_first_record() -> None:
    assert read_records(b"\xef\xbb\xbf" + RECEIPT.encode(), source(JSON)).rows_read == 1


def test_an_empty_file_is_a_file_without_records() -> None:
    assert read().rows_read == 0


def test_a_file_of_which_no_line_is_an_object_is_rejected() -> None:
    with pytest.raises(SourceError, match=r"row 1: not JSON: .* Rule: at least one of 3 rows can be read. Remedy: check format"):
        read("[", RECEIPT + ",", "]")


def test_wrong_bytes_are_rejected_with_their_row() -> None:
    with pytest.raises(SourceError, match=r"row 2: byte 0xe4 is not utf-8. Rule: strict decoding. Remedy: set encoding"):
        read_records(f"{RECEIPT}\n{RECEIPT.replace('F1', 'ä')}".encode("cp1252"), source(JSON))


def test_lists_in_a_list_become_one_with_what_their_holder_says_once() -> None:
    line = RECEIPT[:-1] + (
        ', "returns": [{"of": "6", "back": [{"sku": "A", "money": {"amount": 250}}, {"sku": "B"}], "notes": ["x"]},'
        ' {"of": "5", "back": null}, {"back": [{"sku": "C", "of": "own"}]}]}'
    )
    changes = "jsonl: {objects: [money], cents: [money/amount], joined: [returns/back]}"
    records = read(line, RECEIPT, changes=changes)
    first, second = records.table.column("returns/back").to_pylist()
    assert json.loads(first) == [
        {"returns/of": "6", "sku": "A", "money/amount": "2.50"},
        {"returns/of": "6", "sku": "B"},
        {"sku": "C", "of": "own"},
    ]
    assert second == "[]"


def test_a_document_in_a_record_is_a_record_with_what_its_holder_says_once() -> None:
    line = RECEIPT[:-1] + ', "refunds": [{"id": 8, "items": [{"sku": "A"}]}, {"id": 9, "items": []}]}'
    changes = "{jsonl: {documents: [refunds]}, payments: {path: refunds/items, columns: {payment_amount: {aliases: [sku]}, "
    changes += "tender_type: {value: CASH}}}}"
    records = read(RECEIPT, line, changes=changes)
    assert records.rows.to_pylist() == [1, 2, 2, 2]
    table = records.table.select(["id", "time", "items", "refunds/id", "refunds/items"])
    nested = '[{"line":"1","amount":"1.50"}]'
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("7", "2026-01-31T10:00:00Z", nested, None, None),
        ("7", "2026-01-31T10:00:00Z", nested, None, None),
        ("7", "2026-01-31T10:00:00Z", None, "8", '[{"sku":"A"}]'),
        ("7", "2026-01-31T10:00:00Z", None, "9", "[]"),
    ]
    assert records.children["refunds/items"] == ["sku"]


@pytest.mark.parametrize("refunds", ['"none"', "[1]", '{"id": 8}'])
@pytest.mark.parametrize("layout", ["documents: [refunds]", "joined: [refunds/items]"])
def test_what_should_be_a_list_of_objects_and_is_none_breaks_its_record(refunds: str, layout: str) -> None:
    records = read(RECEIPT, RECEIPT[:-1] + f', "refunds": {refunds}}}', changes=f"jsonl: {{{layout}}}")
    assert [(record.row, record.reason) for record in records.broken] == [(2, "not JSON: refunds is no list of objects")]


def test_declared_objects_are_columns_in_the_record_and_in_nested_ones() -> None:
    line = """{"branch": "F1", "id": "7", "time": "2026-01-31T10:00:00Z", "place": {"city": "Ulm", "geo": {"x": 1.50}},
        "other": {"a": 1}, "items": [
            {"line": 1, "money": {"amount": 1050, "currency": "EUR"}, "cuts": [{"money": {"amount": 7}}, {"money": null}, {}]},
            {"line": 2, "money": {"amount": -5}, "cuts": []}, {"line": 3, "money": {"amount": "9.5"}}]}""".replace("\n", " ")
    changes = """
      jsonl: {objects: [place, geo, money], summed: [cuts/money/amount], cents: [money/amount]}
      columns: {register_id: {aliases: [place/geo/x]}}
      lines: {columns: {amount: null, gross_amount: {aliases: [money/amount]}, discount_amount: {aliases: [cuts/money/amount]}}}
    """
    records = read(line, changes=changes)
    [row] = records.table.to_pylist()
    assert {name: row[name] for name in ("place/city", "place/geo/x", "other")} == {
        "place/city": "Ulm", "place/geo/x": "1.50", "other": '{"a":"1"}',
    }  # fmt: skip
    items = json.loads(row["items"])
    assert [item["money/amount"] for item in items] == ["10.50", "-0.05", "9.5 (no whole number of cents)"]
    assert [item.get("cuts/money/amount") for item in items] == ["0.07", "0", None]
    assert {"money/amount", "money/currency", "cuts/money/amount"} <= set(records.children["items"])


def test_a_record_may_lack_a_list_only_if_the_mapping_says_so() -> None:
    without = RECEIPT.replace('"items"', '"other"')
    with pytest.raises(SourceError, match=r"column missing for items \[items\]"):
        read(without)
    records = read(without, RECEIPT, changes="jsonl: {optional_lists: [items]}")
    assert records.table.column("items").to_pylist() == ["[]", '[{"line":"1","amount":"1.50"}]']


@pytest.mark.parametrize("number", ['"1e999999999"', "1e999999999", '"x"'])
def test_what_cannot_be_added_up_stays_as_it_is(number: str) -> None:
    line = RECEIPT.replace('"amount": 1.50', f'"amount": 1.50, "cuts": [{{"amount": 1}}, {{"amount": {number}}}]')
    records = read(line, changes="jsonl: {summed: [cuts/amount]}")
    [item] = json.loads(records.table.column("items")[0].as_py())
    assert item["cuts/amount"] == f"1 + {number.strip(chr(34))}"
