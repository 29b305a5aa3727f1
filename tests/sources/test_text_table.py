from __future__ import annotations

import pytest

from tests.sources.mappings import source
from tillhouse.errors import SourceError
from tillhouse.sources.readers import read_records
from tillhouse.sources.records import Records

HEADER = "Filiale;Bonnr;Datum;Betrag;Text\n"
LINE = "F1;1;31.01.2026;1,00;Milch\n"


def read(text: str | bytes, changes: str = "") -> Records:
    return read_records(text if isinstance(text, bytes) else text.encode(), source(changes=changes))


def texts(records: Records) -> list[str]:
    """The last column of the sound records."""
    return [str(value) for value in records.table.column("Text").to_pylist()]


def broken(records: Records) -> list[tuple[int, str, str]]:
    return [(record.row, record.reason, record.text) for record in records.broken]


def rejection(text: str | bytes, changes: str = "") -> str:
    with pytest.raises(SourceError) as error:
        read(text, changes)
    return str(error.value)


def test_every_value_stays_the_text_that_was_written() -> None:
    records = read(HEADER + "001;0001;31.01.2026; 1.234,50 ;NULL\nNaN;;31.02.2026;1e5;\n")
    assert records.table.to_pylist() == [
        {"Filiale": "001", "Bonnr": "0001", "Datum": "31.01.2026", "Betrag": " 1.234,50 ", "Text": "NULL"},
        {"Filiale": "NaN", "Bonnr": "", "Datum": "31.02.2026", "Betrag": "1e5", "Text": ""},
    ]


def test_a_row_number_is_the_line_of_the_file() -> None:
    assert read(HEADER + LINE * 3).rows.to_pylist() == [2, 3, 4]


def test_rows_after_a_value_of_several_lines_keep_their_line() -> None:
    records = read(HEADER + 'F1;1;d;1,00;"two\nlines"\n' + 'F1;2;d;1,00;"a ""quoted"" word\r\nand\r\nmore"\nF1;3\n' + LINE)
    assert texts(records) == ["two\nlines", 'a "quoted" word\r\nand\r\nmore', "Milch"]
    assert records.rows.to_pylist() == [2, 4, 8]
    assert broken(records) == [(7, "2 columns instead of 5", "F1;3")]


def test_a_broken_record_of_several_lines_is_one_record() -> None:
    records = read(HEADER + 'F1;1;"two\nlines"\n' + LINE)
    assert broken(records) == [(2, "3 columns instead of 5", 'F1;1;"two\nlines"')]
    assert records.rows.to_pylist() == [4]


def test_rows_with_too_few_or_too_many_columns_are_kept_with_reason_and_text() -> None:
    records = read(HEADER + LINE + "F1;2\n" + LINE + "F1;3;d;1,00;Müsli;Nuss\n")
    assert broken(records) == [
        (3, "2 columns instead of 5", "F1;2"),
        (5, "6 columns instead of 5", "F1;3;d;1,00;Müsli;Nuss"),
    ]
    assert records.rows.to_pylist() == [2, 4]
    assert records.rows_read == 4


def test_no_line_is_lost() -> None:
    text = "Export of 1 February\n\n" + HEADER + LINE + "\n;;;;\nF1;2\n   \n" + LINE + "Summe;;;2,00;\n Summe\n;;\n"
    records = read(text, "csv: {delimiter: ;, skip_rows: 2, footer_prefix: [Summe]}")
    assert records.rows.to_pylist() == [4, 9]
    assert [record.row for record in records.broken] == [7]
    assert records.ignored == 2 + 6
    assert text.count("\n") == 1 + records.ignored + records.rows_read


def test_a_single_column_is_a_table_too() -> None:
    gone = "branch_id: , receipt_id: , business_date: , gross_amount: "
    mapped = source(changes=f"{{entity: product, columns: {{{gone}, product_id: {{aliases: [ArtNr]}}}}}}")
    records = read_records(b"ArtNr\n1\n\n2\n3;4\n", mapped)
    assert records.table.to_pydict() == {"ArtNr": ["1", "2"]}
    assert records.rows.to_pylist() == [2, 4]
    assert (broken(records), records.ignored) == ([(5, "2 columns instead of 1", "3;4")], 1)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way_and_the_last_one_need_not_end(end: str) -> None:
    records = read((HEADER + LINE + LINE + "F1").replace("\n", end))
    assert texts(records) == ["Milch", "Milch"]
    assert broken(records) == [(4, "1 columns instead of 5", "F1")]


def test_a_separator_of_unicode_does_not_end_a_line() -> None:
    records = read(HEADER + "F1;1;d;1;a\u2028b\u2029c\x85d\x0be\n" + LINE)
    assert texts(records) == ["a\u2028b\u2029c\x85d\x0be", "Milch"]
    assert records.rows.to_pylist() == [2, 3]


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert read(b"\xef\xbb\xbf" + (HEADER + LINE).encode()).columns == ["Filiale", "Bonnr", "Datum", "Betrag", "Text"]


def test_a_header_line_alone_is_a_file_without_records() -> None:
    for text in (HEADER, HEADER.rstrip("\n")):
        records = read(text)
        assert (records.rows_read, records.ignored, records.columns[0]) == (0, 0, "Filiale")


@pytest.mark.parametrize("text", ["", "\n", "  \n" + HEADER])
def test_a_file_without_header_line_is_rejected(text: str) -> None:
    assert rejection(text) == (
        "row 1: no header line. Rule: the first line after skip_rows (0) names the columns. "
        "Remedy: check skip_rows in conf/sources/till.yml, or export again."
    )


def test_a_file_that_begins_with_data_is_rejected_without_repeating_it() -> None:
    told = rejection("F1;1;d;1,00;4000123\n" + LINE)
    assert told == (
        "none of the 5 names in the header is known; needed: branch_id [Filiale], receipt_id [Bonnr, Bonnummer], "
        "gross_amount [Betrag], business_date [Datum]. Rule: a header line. "
        "Remedy: check skip_rows, delimiter and encoding in conf/sources/till.yml, or export again with column names."
    )


def test_names_may_stand_in_a_header_of_several_lines() -> None:
    records = read('Filiale;Bonnr;Datum;Betrag;"Text\n(lang)"\n' + LINE)
    assert records.columns[-1] == "Text_lang"
    assert records.rows.to_pylist() == [3]


def test_a_header_that_cannot_be_read_is_rejected() -> None:
    assert rejection('Filiale;"Bonnr\n' + LINE).startswith(
        "row 1: the header cannot be read: unexpected end of data. Rule: a header"
    )


def test_bytes_of_another_encoding_are_rejected_with_their_row() -> None:
    assert rejection((HEADER + LINE + LINE.replace("Milch", "Käse")).encode("cp1252")) == (
        "row 3: byte 0xe4 is not utf-8. Rule: strict decoding. "
        "Remedy: set encoding in conf/sources/till.yml to what the system exports, or export again."
    )
    assert rejection((HEADER + LINE).encode("utf-16")).startswith("row 1: byte 0xff is not utf-8.")


def test_utf8_is_not_taken_for_a_single_byte_encoding() -> None:
    text = HEADER + LINE.replace("Milch", "Käse")
    assert texts(read(text.encode("cp1252"), "encoding: cp1252")) == ["Käse"]
    assert rejection(text, "encoding: cp1252").startswith(
        "the file is utf-8, not cp1252. Rule: strict decoding. Remedy: set encoding"
    )


def test_utf16_is_read_where_it_is_declared() -> None:
    assert texts(read((HEADER + LINE).encode("utf-16"), "encoding: utf-16")) == ["Milch"]


def test_a_nul_character_is_no_text() -> None:
    assert rejection(HEADER + LINE + "\0\0\0").startswith(
        "row 3: a NUL character. Rule: a text table. Remedy: check encoding in conf/"
    )


@pytest.mark.parametrize("text", ['F1;1;d;1,00;"open\n', 'F1;"1;d;1,00;open\n', 'F1;1;d;1,00;"'])
def test_a_quote_that_is_never_closed_is_rejected_with_its_row(text: str) -> None:
    assert rejection(HEADER + LINE + text + LINE * 2) == (
        'row 3: a quote " is opened and never closed. Rule: a text table. Remedy: export again; '
        "if the system does not quote its texts, say csv: {quote: ''} in conf/sources/till.yml."
    )


def test_lines_that_stray_quotes_glue_together_are_broken_and_not_one_record() -> None:
    records = read(HEADER + 'F1;1;d;1,00;"Knusper" Müsli\nF1;"2;d;2,00;x\nF1;"3";d;3,00;y\n' + LINE)
    reason = 'a quote " opened in row 3 is closed inside a value of a later row'
    assert texts(records) == ["Knusper Müsli", "Milch"]
    assert broken(records) == [(3, reason, 'F1;"2;d;2,00;x'), (4, reason, 'F1;"3";d;3,00;y')]
    assert records.rows.to_pylist() == [2, 5]


def test_a_system_that_does_not_quote_may_write_quotes() -> None:
    records = read(HEADER + 'F1;1;d;1,00;"open\n' + LINE, "csv: {delimiter: ;, quote: ''}")
    assert texts(records) == ['"open', "Milch"]


def test_a_very_long_line_is_a_line() -> None:
    records = read(HEADER + LINE.replace("Milch", "x" * 3_000_000) + "y" * 3_000_000 + "\n" + LINE)
    assert [len(text) for text in texts(records)] == [3_000_000, 5]
    assert [(record.row, len(record.text)) for record in records.broken] == [(3, 3_000_000)]


def test_a_file_of_which_no_row_fits_the_header_is_rejected() -> None:
    assert rejection(HEADER + LINE.replace("\n", ";\n") * 2) == (
        "row 2: 6 columns instead of 5. Rule: at least one of 2 rows can be read. "
        "Remedy: check format, delimiter, quote and skip_rows in conf/sources/till.yml, or export again."
    )


def test_the_sample_of_a_german_erp_can_be_read() -> None:
    text = (
        "Exportdatum: 27.10.2025;;;;;;;;\r\nFiliale;Kasse;Bonnr;Datum;Uhrzeit;EAN;Artikel;Menge;Betrag €\r\n"
        '001;1;000123;25.10.2025;14:05;4,00639E+12;Müsli "Knusper; Nuss";1,000;1.234,50\r\n'
        "001;1;000123;25.10.2025;14:05;0401234567890;Käse Gouda;0,482;4,82-\r\nSumme;;;;;;;2,482;1.259,31\r\n"
    )
    layout = "{delimiter: ;, skip_rows: 1, footer_prefix: [Summe]}"
    changes = f"{{encoding: cp1252, csv: {layout}, columns: {{gross_amount: {{aliases: [Betrag €]}}}}}}"
    records = read(text.encode("cp1252"), changes)
    assert records.table.column("Artikel").to_pylist() == ["Käse Gouda"]
    assert (records.rows.to_pylist(), records.ignored) == ([4], 2)
    assert [(record.row, record.reason) for record in records.broken] == [(3, "10 columns instead of 9")]
