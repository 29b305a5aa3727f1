from __future__ import annotations

import pytest

from tests.sources.mappings import JSON, source
from tillhouse.errors import SourceError
from tillhouse.sources.readers import ColumnDecision, decide_columns, read_records
from tillhouse.sources.records import safe_name, unique_names

RECEIPT = '{"branch": "F1", "id": "7", "time": "2026-01-31T10:00:00Z", "items": [{"line": 1, "amount": 1.50}]}'


def decided(header: str, changes: str = "") -> list[tuple[str, str, str | None]]:
    mapped = source(changes=changes)
    return [(d.column, d.decision, d.field) for d in decide_columns(read_records(f"{header}\n".encode(), mapped), mapped)]


def rejection(header: str, changes: str = "") -> str:
    with pytest.raises(SourceError) as error:
        decided(header, changes)
    return str(error.value)


def test_each_column_is_mapped_renamed_ignored_or_new_and_missing_fields_are_named() -> None:
    changes = "{ignored_columns: [Notiz intern], columns: {quantity: {aliases: [Menge]}, receipt_number: {aliases: [Bonnummer]}}}"
    assert decided("Filiale;Bonnummer;Datum;Betrag;Notiz  intern;Farbe", changes) == [
        ("Filiale", "mapped", "branch_id"),
        ("Bonnummer", "renamed", "receipt_id, receipt_number"),
        ("Datum", "mapped", "business_date"),
        ("Betrag", "mapped", "gross_amount"),
        ("Notiz_intern", "ignored", None),
        ("Farbe", "new", None),
        ("quantity", "missing", "quantity"),
    ]


def test_columns_match_whatever_the_case_and_composition_of_their_letters() -> None:
    changes = "columns: {quantity: {aliases: [Stückzahl]}}"
    found = decided("FILIALE;bonnr;Datum;BETRAG;Stu\u0308ckzahl", changes)
    assert [decision for _, decision, _ in found] == ["mapped"] * 5


def test_a_joined_field_is_missing_if_any_of_its_columns_is() -> None:
    changes = "columns: {operator: {join: [Vorname, Nachname]}, discount_amount: {sum: [Rabatt, Aktion]}}\npersonal_data: true"
    found = decided("Filiale;Bonnr;Datum;Betrag;Vorname;Rabatt", changes)
    assert found[-2:] == [("operator", "missing", "operator"), ("discount_amount", "missing", "discount_amount")]
    assert ("Rabatt", "mapped", "discount_amount") in found


def test_a_column_that_feeds_the_version_is_mapped() -> None:
    found = decided("Filiale;Bonnr;Datum;Betrag;Stand", "version_order: {aliases: [Stand], date_formats: [iso]}")
    assert found[-1] == ("Stand", "mapped", None)


def test_a_missing_mandatory_column_rejects_the_file_and_tells_what_is_new() -> None:
    assert rejection("Filiale;Bonnr;Datum;Betrag (EUR);Farbe") == (
        "column missing for gross_amount [Betrag]; not known to the mapping: Betrag_EUR, Farbe. Rule: mandatory field. "
        "Remedy: add the new name to the field's aliases in conf/sources/till.yml, or export again with the column."
    )


def test_one_of_the_mapped_times_is_enough() -> None:
    changes = "columns: {started_at: {join: [Datum, Uhrzeit]}, ended_at: {aliases: [Ende]}, business_date: }"
    assert ("started_at", "missing", "started_at") in decided("Filiale;Bonnr;Datum;Betrag;Ende", changes)
    told = rejection("Filiale;Bonnr;Datum;Betrag", changes)
    assert told.startswith("column missing for started_at [Datum, Uhrzeit] or ended_at [Ende]; not known to the mapping: none.")


def test_a_column_with_a_default_may_be_missing() -> None:
    assert ("gross_amount", "missing", "gross_amount") in decided(
        "Filiale;Bonnr;Datum", "columns: {gross_amount: {default: '0'}}"
    )


def test_new_columns_may_be_refused() -> None:
    assert rejection("Filiale;Bonnr;Datum;Betrag;Farbe", "new_columns: reject") == (
        "columns not known to the mapping: Farbe. Rule: new_columns is reject. "
        "Remedy: map them or list them in ignored_columns in conf/sources/till.yml."
    )


def test_a_file_with_thousands_of_columns_is_no_table() -> None:
    assert rejection(";".join(f"c{i}" for i in range(2_001))).startswith(
        "the file has 2001 columns. Rule: at most 2000. Remedy: "
    )


def test_nested_columns_are_decided_like_others() -> None:
    mapped = source(
        JSON, "{lines: {columns: {quantity: {aliases: [qty]}, unit: {aliases: [unit]}}}, ignored_columns: [items.note]}"
    )
    items = RECEIPT.replace('"line": 1', '"line": 1, "qty": 1, "note": "x", "colour": "red"')
    found = decide_columns(read_records(f"{items}\n{RECEIPT}\n".encode(), mapped), mapped)
    assert found[4:] == [
        ColumnDecision("items.line", "mapped", "line_number"),
        ColumnDecision("items.qty", "mapped", "quantity"),
        ColumnDecision("items.note", "ignored", None),
        ColumnDecision("items.colour", "new", None),
        ColumnDecision("items.amount", "mapped", "gross_amount"),
        ColumnDecision("unit", "missing", "unit"),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            RECEIPT.replace("amount", "total"),
            "column missing for gross_amount [amount]; not known to the mapping: items.total. Rule",
        ),
        (RECEIPT.replace("items", "lines"), "column missing for items [items]; not known to the mapping: lines. Rule"),
        (RECEIPT.replace('"line"', '"no"'), "column missing for line_number [line]; not known to the mapping: items.no. Rule"),
    ],
)
def test_a_renamed_mandatory_column_of_nested_records_rejects_the_file(line: str, expected: str) -> None:
    with pytest.raises(SourceError) as error:
        read_records(line.encode(), source(JSON))
    assert str(error.value).startswith(expected)


def test_receipts_without_lines_are_no_fault_of_the_file() -> None:
    lines = "\n".join(RECEIPT.replace('[{"line": 1, "amount": 1.50}]', nested) for nested in ("[]", "null"))
    assert read_records(lines.encode(), source(JSON)).rows_read == 2


def test_names_are_safe_for_delta_and_shadow_no_technical_column() -> None:
    assert [safe_name(name) for name in ["_row", " Betrag € ", "a.b,c;d{e}(f)=g`h*i\tj", "", "__", "\ufeffx", "x" * 500]] == [
        "row",
        "Betrag_€",
        "a_b_c_d_e_f_g_h_i_j",
        "column",
        "column",
        "x",
        "x" * 120,
    ]


def test_no_two_columns_have_names_that_delta_takes_for_one() -> None:
    assert unique_names(["Rabatt", "RABATT", "Rabatt__2", "rabatt", "_row", "row"]) == [
        "Rabatt",
        "RABATT__2",
        "Rabatt__2__2",
        "rabatt__3",
        "row",
        "row__2",
    ]
    assert decided("Filiale;Bonnr;Datum;Betrag;Betrag")[-1] == ("Betrag__2", "new", None)
    assert decided("Filiale;Bonnr;Datum;Betrag;Betrag", "columns: {gross_amount: {aliases: [Betrag__2]}}")[-1][1] == "mapped"
