"""What the mapping makes of text. Many cases share one Spark job; each case says what is written and what it means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from tests.conftest import time_zone
from tests.sources.mappings import JSON, source
from tillhouse.quality.rules import VIOLATIONS, Finding, with_violations
from tillhouse.sources import details, mapping, model
from tillhouse.sources.fields import PRODUCT_FIELDS
from tillhouse.sources.model import Locale, Source

ZONES = ("UTC", "America/New_York", "Asia/Tokyo")
TECHNICAL = "_file STRING, _file_id STRING, _row BIGINT, _run_id STRING, _captured MAP<STRING, STRING>, _broken STRING"


def bronze(spark: SparkSession, columns: str, rows: Iterable[Sequence[str | None]], broken: str | None = None) -> DataFrame:
    """A bronze table of one file with the captured part ``week``; ``columns`` are names separated by blanks."""
    schema = f"{TECHNICAL}, " + ", ".join(f"`{name}` STRING" for name in columns.split())
    data = [("f.csv", "f1", i, "r1", {"week": "w05"}, broken, *row) for i, row in enumerate(rows, start=2)]
    return spark.createDataFrame(data, schema)


def branches(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([("F1", "Europe/Berlin"), ("F2", "America/Chicago")], "branch_id STRING, time_zone STRING")


def judged(mapped: tuple[DataFrame, list[Finding]]) -> list[Row]:
    records, found = mapped
    return with_violations(records, (), found).collect()


def violations(row: Row) -> list[tuple[str, str, str, str | None]]:
    return [tuple(violation) for violation in row[VIOLATIONS]]


def evaluated(spark: SparkSession, cases: Sequence[str], read: Column) -> list[Any]:
    """What ``read`` makes of the column ``written``, case by case."""
    rows = [(i, text) for i, text in enumerate(cases)]
    frame = spark.createDataFrame(rows, "i INT, written STRING").select("i", read.alias("value"))
    return [row["value"] for row in sorted(frame.collect(), key=lambda row: int(row["i"]))]


NUMBERS: dict[str, tuple[Locale, dict[str, str | None]]] = {
    "German": (
        Locale(decimal=",", grouping="."),
        {
            "1.234,50": "1234.50",
            "1.234.567,8": "1234567.8",
            "1234,50": "1234.50",
            "1.234": "1234",
            "0,482": "0.482",
            ",50": "0.50",
            "007": "7",
            "+3": "3",
            "-3": "-3",
            "- 3": "-3",
            "4,82-": "-4.82",
            "4,82-\r\n": "-4.82",
            "4,82 -": "-4.82",
            "(19,99)": "-19.99",
            "( 19,99 )": "-19.99",
            "\u00a01.234,50\u00a0": "1234.50",
            "12.34": None,
            "12.3456": None,
            "1.2345,6": None,
            "1234.567": None,
            "1.23.456": None,
            "1,234.50": None,
            "1,2,3": None,
            "1,": None,
            "": None,
            "-": None,
            ",": None,
            ".": None,
            "--3": None,
            "-3-": None,
            "+-3": None,
            "+3-": None,
            "(3": None,
            "3)": None,
            "(-3)": None,
            "-(3)": None,
            "()": None,
            "1e5": None,
            "4,00639E+12": None,
            "NaN": None,
            "Infinity": None,
            "0x10": None,
            "1 234": None,
            "1'234": None,
            "3 €": None,
            "drei": None,
            "٣": None,
            "3\n": "3",
            "3\n4": None,
        },
    ),
    "American": (
        Locale(decimal=".", grouping=",", strip=("$", "USD")),
        {
            "1,234.50": "1234.50",
            "$1,149.00": "1149.00",
            "$1,149.00 ": "1149.00",
            "-$12.00": "-12.00",
            "$-12.00": "-12.00",
            "($12.00)": "-12.00",
            "$(12.00)": "-12.00",
            "12.00- USD": "-12.00",
            "12.00 USD": "12.00",
            ".5": "0.5",
            "-.5": "-0.5",
            "1.234,50": None,
            "1,23": None,
            "12$50": None,
            "$": None,
            "12.": None,
            "12 EUR": None,
        },
    ),
    "Swiss": (
        Locale(decimal=".", grouping="'", strip=("CHF", "Fr.")),
        {
            "1'234.50": "1234.50",
            "1’234.50": "1234.50",
            "CHF 12.50": "12.50",
            "Fr. 12.50": "12.50",
            "12'34": None,
            "1,234.50": None,
        },
    ),
    "French": (
        Locale(decimal=",", grouping=" ", strip=("€",)),
        {"1 234,50 €": "1234.50", "1\u202f234,50\u00a0€": "1234.50", "12€50": None, "12 34": None, "1  234": None},
    ),
    "plain": (Locale(), {"1234.5": "1234.5", "-0.10": "-0.10", "1,234": None, "1 234": None, "12,50": None}),
}


PARTED = model.Column(aliases=("Telefon",), separator=";")


def test_several_texts_in_one_cell_are_told_apart(spark: SparkSession) -> None:
    cases = {" 0171 1; 0172 2 ;;0171 1": ["0171 1", "0172 2"], "0": ["0"], " ; ": None, "a.b": ["a.b"]}
    assert dict(zip(cases, evaluated(spark, list(cases), mapping._parted(F.col("written"), PARTED)), strict=True)) == cases


def test_a_number_is_read_as_its_locale_says_or_not_at_all(spark: SparkSession) -> None:
    wrong: dict[tuple[str, str], Any] = {}
    for name, (locale, cases) in NUMBERS.items():
        found = evaluated(spark, list(cases), mapping.number(F.col("written"), locale).cast("DECIMAL(18,5)"))
        expected = [None if text is None else Decimal(text) for text in cases.values()]
        wrong |= {(name, w): (f, e) for w, f, e in zip(cases, found, expected, strict=True) if f != e}
    assert wrong == {}


INSTANTS: dict[str, list[tuple[str, str | None]]] = {
    "iso": [
        ("2026-01-31T10:00:00Z", "2026-01-31 10:00"),
        ("2026-01-31T10:00:00.123Z", "2026-01-31 10:00"),
        ("2026-01-31 10:00:00+02:00", "2026-01-31 08:00"),
        ("2026-01-31T10:00:00-0530", "2026-01-31 15:30"),
        ("2026-01-31T10:00:00 +02", "2026-01-31 08:00"),
        ("2026-01-31T10:00:00", "2026-01-31 09:00"),
        ("2026-07-31 10:00:00", "2026-07-31 08:00"),
        ("2026-02-30T10:00:00Z", None),
        ("2026-01-31T25:00:00Z", None),
        ("2026-01-31", None),
        ("10:00:00", None),
        ("now", None),
        ("epoch", None),
        ("1769853600", None),
        ("31.01.2026 10:00", None),
    ],
    "dd.MM.yyyy HH:mm": [
        ("31.01.2026 10:00", "2026-01-31 09:00"),
        ("31.02.2026 10:00", None),
        ("29.02.2024 10:00", "2024-02-29 09:00"),
        ("29.02.2026 10:00", None),
        ("31.01.26 10:00", None),
        ("1.2.2026 10:00", None),
        ("31.01.2026 10:00 Uhr", None),
        ("29.03.2026 02:30", "2026-03-29 01:30"),
        ("25.10.2026 02:30", "2026-10-25 00:30"),
        ("25.10.2026 03:30", "2026-10-25 02:30"),
    ],
    "dd.MM.yy HH:mm": [("26.10.25 02:30", "2025-10-26 00:30"), ("26.10.2025 02:30", None)],
    "dd.MM.yyyy, HH:mm": [("16.04.2026, 12:03", "2026-04-16 10:03")],
    "yyyyMMdd'T'HHmm": [("20260416T1203", "2026-04-16 10:03")],
    "yyyy-MM-dd'T'HH:mm:ssXXX": [("2026-01-31T10:00:00+02:00", "2026-01-31 08:00"), ("2026-01-31T10:00:00", None)],
    "MM/dd/yyyy hh:mm a": [("01/31/2026 03:05 PM", "2026-01-31 14:05")],
}
DATES: dict[str, list[tuple[str, str | None]]] = {
    "iso": [
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31T23:30:00-05:00", "2026-01-31"),
        ("2026-01-31 00:00:00", "2026-01-31"),
        ("2026-02-30", None),
        ("2026-1-31", None),
        ("tomorrow", None),
    ],
    "dd.MM.yyyy": [("31.01.2026", "2026-01-31"), ("31.02.2026", None), ("31.01.26", None), ("01.01.1900", "1900-01-01")],
    "dd.MM.yy": [("31.01.26", "2026-01-31"), ("31.01.2026", None)],
    "dd.MM.yyyy HH:mm": [("31.01.2026 23:30", "2026-01-31")],
}


@pytest.mark.parametrize("session_zone", ZONES)
def test_times_and_days_are_read_as_written_whatever_the_session_says(spark: SparkSession, session_zone: str) -> None:
    berlin = F.lit("Europe/Berlin")
    written = F.col("written")
    wrong: dict[tuple[str, str], Any] = {}
    with time_zone(spark, session_zone):
        for pattern, times in INSTANTS.items():
            instant = F.unix_seconds(mapping.instant(written, [pattern], berlin))
            found = evaluated(spark, [text for text, _ in times], instant)
            for (text, expected), seconds in zip(times, found, strict=True):
                shown = None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
                if shown != expected:
                    wrong[pattern, text] = (shown, expected)
        for pattern, days in DATES.items():
            found = evaluated(spark, [text for text, _ in days], mapping._date(written, [pattern]))
            for (text, expected), day in zip(days, found, strict=True):
                if (day and day.isoformat()) != expected:
                    wrong[pattern, text] = (day, expected)
    assert wrong == {}


def test_the_first_format_that_fits_counts(spark: SparkSession) -> None:
    read = mapping._date(F.col("written"), ["dd.MM.yyyy", "dd.MM.yy", "iso"])
    assert evaluated(spark, ["01.02.2026", "01.02.26", "2026-02-01", "02/01/2026"], read) == [date(2026, 2, 1)] * 3 + [None]


FIELDS = """
personal_data: true
locale: {decimal: ",", grouping: "."}
columns:
  business_date:
  started_at: {join: [Datum, Uhrzeit]}
  register_id: {aliases: [Kasse]}
  receipt_number: {from_path: week}
  card_number: {aliases: [Karte], transform: gtin}
  status: {aliases: [Status], default: fertig}
  channel: {value: store}
  quantity: {aliases: [Menge]}
  discount_amount: {sum: [Rabatt, Aktion]}
  is_void: {aliases: [Storno]}
  transaction_type: {aliases: [Vorgang]}
  gtin: {aliases: [EAN], transform: gtin}
  product_ref: {aliases: [ArtNr], transform: strip_leading_zeros}
  category_ref: {aliases: [WG], transform: ungroup_integer}
value_maps:
  status: {fertig: FINAL, offen: OPEN}
  register_id: {Kasse 1: "1"}
  transaction_type: {Verkauf: SALE}
  is_void: {S: "true"}
date_formats: ["dd.MM.yyyy HH:mm"]
timezone: branch
"""
NAMES = "Filiale Bonnr Betrag Datum Uhrzeit Kasse Karte Status Menge Rabatt Aktion Storno EAN ArtNr WG Vorgang"
GOOD = (
    "F1", "7", "1.234,50", "31.01.2026", "10:00", "Kasse 1", "12345678", "offen", "0,482", "0,10", "1,00-", "ja",
    "'4006381333931", "00042", "1.204", "Verkauf",
)  # fmt: skip


def changed(**values: str | None) -> tuple[str | None, ...]:
    return tuple(values.get(name, good) for name, good in zip(NAMES.split(), GOOD, strict=True))


@pytest.fixture(scope="module")
def lines(spark: SparkSession) -> list[Row]:
    """One job for all cases of mapped lines; a test picks its case by the receipt's id."""
    cases = [
        GOOD,
        changed(Bonnr="defaults", Status=None, Rabatt="", Aktion=" ", Storno=None, Kasse=None, Karte=" ", WG="1.2045"),
        changed(Bonnr="damaged", EAN="4,00639E+12", Karte="4,00639E+12"),
        changed(Bonnr="missing", Filiale=" ", Betrag=None),
        changed(Bonnr="unreadable", Betrag="12.34", Menge="1e5", Rabatt="0.10", Storno="vielleicht", Datum="31.02.2026"),
        changed(Bonnr="unknown", Status="halb", Kasse="Kasse 9"),
        changed(Bonnr="target", Status="FINAL", Kasse="1"),
        changed(Bonnr="own terms", Vorgang="RETURN", Storno="Nein", Status="VOIDED"),
        changed(Bonnr="elsewhere", Filiale="F2"),
        changed(Bonnr="nowhere", Filiale="F9"),
        changed(Bonnr="inner plus", Rabatt="1 + 2"),
    ]
    return judged(mapping.map_receipt_lines(bronze(spark, NAMES, cases), source(changes=FIELDS), branches(spark), 0))


def of(lines: list[Row], receipt: str) -> Row:
    return next(row for row in lines if row["receipt_id"] == receipt)


def test_a_record_becomes_typed_fields_by_alias_join_sum_path_value_and_transform(lines: list[Row]) -> None:
    row = of(lines, "7")
    assert violations(row) == []
    assert (row["branch_id"], row["register_id"], row["receipt_number"], row["channel"]) == ("F1", "1", "w05", "store")
    assert (row["gross_amount"], row["quantity"], row["discount_amount"]) == (
        Decimal("1234.5"),
        Decimal("0.482"),
        Decimal("-0.9"),
    )
    assert (row["status"], row["is_void"]) == ("OPEN", True)
    assert (row["gtin"], row["product_ref"], row["category_ref"]) == ("4006381333931", "42", "1204")
    assert (row["_file"], row["_row"], row["net_amount"]) == ("f.csv", 2, None)


def test_an_empty_text_is_missing_and_a_default_fills_it(lines: list[Row]) -> None:
    row = of(lines, "defaults")
    assert violations(row) == []
    assert (row["status"], row["discount_amount"], row["is_void"], row["register_id"]) == ("FINAL", None, None, None)
    assert row["category_ref"] == "1.2045"


def test_p09_a_gtin_gets_lost_zeros_back_only_if_its_check_digit_then_fits(spark: SparkSession) -> None:
    cases: dict[str, str | None] = {
        "4006381333931": "4006381333931",
        "'4006381333931": "4006381333931",
        "614141000036": "614141000036",
        "36000291452": "036000291452",
        "36000291453": None,
        "1234565": "01234565",
        "1234566": None,
        "4,00639E+12": None,
        "123456": None,
        "40063813339312345": None,
    }
    assert evaluated(spark, list(cases), mapping._gtin(F.col("written"))) == list(cases.values())


def test_a_gtin_that_a_spreadsheet_has_damaged_is_a_warning(lines: list[Row]) -> None:
    row = of(lines, "damaged")
    assert row["gtin"] is None
    assert ("field_unreadable", "warning", "gtin", "4,00639E+12") in violations(row)


def test_a_personal_value_is_masked_in_what_is_told_about_it(lines: list[Row]) -> None:
    assert ("field_unreadable", "warning", "card_number", "***12") in violations(of(lines, "damaged"))


def test_a_missing_mandatory_field_is_an_error(lines: list[Row]) -> None:
    assert violations(of(lines, "missing")) == [
        ("field_missing", "error", "branch_id", None),
        ("field_missing", "error", "gross_amount", None),
    ]


def test_a_value_that_cannot_be_read_is_null_and_an_error_with_its_text(lines: list[Row]) -> None:
    row = of(lines, "unreadable")
    assert violations(row) == [
        ("field_unreadable", "error", "started_at", "31.02.2026 10:00"),
        ("field_unreadable", "error", "quantity", "1e5"),
        ("field_unreadable", "error", "gross_amount", "12.34"),
        ("field_unreadable", "error", "discount_amount", "0.10 + 1,00-"),
        ("value_unknown", "error", "is_void", "vielleicht"),
    ]
    assert [row[name] for name in ("gross_amount", "quantity", "discount_amount", "is_void", "started_at")] == [None] * 5


def test_a_part_of_a_sum_is_not_read_as_several(lines: list[Row]) -> None:
    assert violations(of(lines, "inner plus")) == [("field_unreadable", "error", "discount_amount", "1 + 2 + 1,00-")]


def test_a_value_that_the_mapping_does_not_translate_is_an_error_where_the_key_depends_on_it(lines: list[Row]) -> None:
    assert violations(of(lines, "unknown")) == [
        ("value_unknown", "error", "register_id", "Kasse 9"),
        ("value_unknown", "error", "status", "halb"),
    ]
    assert violations(of(lines, "target")) == []
    assert of(lines, "target")["status"] == "FINAL"


def test_a_text_that_the_field_itself_allows_needs_no_translation(lines: list[Row]) -> None:
    row = of(lines, "own terms")
    assert (row["transaction_type"], row["is_void"], row["status"], violations(row)) == ("RETURN", False, "VOIDED", [])


def test_naive_times_are_those_of_the_branch(lines: list[Row]) -> None:
    hours = {name: of(lines, name)["_zone"] for name in ("7", "elsewhere", "nowhere")}
    assert hours == {"7": "Europe/Berlin", "elsewhere": "America/Chicago", "nowhere": "UTC"}
    difference = of(lines, "elsewhere")["started_at"] - of(lines, "7")["started_at"]
    assert difference.total_seconds() == 7 * 3600


def test_a_column_that_no_delivery_has_is_null_and_a_broken_record_has_one_violation(spark: SparkSession) -> None:
    changes = """
personal_data: true
columns: {register_id: {aliases: [file]}, started_at: {join: [Tag, Zeit]}, card_number: {aliases: [Karte]},
          tax_amount: {sum: [a, b]}, status: {aliases: [_row], default: OPEN}}
date_formats: [iso]
"""
    data = bronze(spark, "filiale BONNR Datum", [("F1", "7", "2026-01-31")], broken="2 columns instead of 3")
    sound = data.withColumn("_broken", F.lit(None).cast("string")).withColumn("_row", F.lit(9).cast("bigint"))
    rows = judged(mapping.map_receipt_lines(data.unionByName(sound), source(changes=changes), branches(spark), 0))
    broken, row = sorted(rows, key=lambda row: int(row["_row"]))
    assert violations(broken) == [("record_broken", "error", "(record)", "2 columns instead of 3")]
    assert violations(row) == [("field_missing", "error", "gross_amount", None)]
    assert (row["branch_id"], row["receipt_id"], row["business_date"]) == ("F1", "7", date(2026, 1, 31))
    assert [row[name] for name in ("register_id", "started_at", "card_number", "tax_amount", "status")] == [None] * 4 + ["OPEN"]


def test_the_branch_may_come_from_the_path_and_be_translated(spark: SparkSession) -> None:
    changes = "{columns: {branch_id: {aliases: , from_path: week}}, value_maps: {branch_id: {w05: F2}}}"
    data = bronze(spark, "Bonnr Datum Betrag", [("7", "31.01.2026", "1.00")])
    [row] = judged(mapping.map_receipt_lines(data, source(changes=changes), branches(spark), 0))
    assert (row["branch_id"], row["_zone"], violations(row)) == ("F2", "America/Chicago", [])


CLOUD = """
locale: {decimal: "."}
lines:
  columns:
    product_ref: {aliases: [_id, "a b,c", SKU, sku]}
    discount_amount: {sum: [d1, d2]}
payments: {path: paid, columns: {tender_type: {aliases: [by]}, payment_amount: {aliases: [sum]}}}
value_maps: {tender_type: {cash: CASH}}
"""


def cloud(spark: SparkSession, items: Sequence[str | None], paid: str | None = None) -> tuple[DataFrame, Source]:
    rows = [("F1", str(i), "2026-01-31T10:00:00Z", nested, paid) for i, nested in enumerate(items)]
    return bronze(spark, "branch id time items paid", rows), source(JSON, CLOUD)


def test_nested_lines_become_rows_in_their_order_and_none_is_lost(spark: SparkSession) -> None:
    items = [
        '[{"line":"1","amount":"1.50","sku":"a","d1":"0.10"},{"line":"2","amount":"-2","SKU":"b"}]',
        '[{"line":"1","amount":"1.50","_id":"c","sku":"d"},null]',
        "[]",
        "[1]",
        '"oops"',
        None,
        '[{"line":"1","amount":"1.50","a b,c":"e","amount ":"9"}]',
        '[{"line":"1","amount":{"value":"1.50"}}]',
        '{"line":"1","amount":"3.00"}',
    ]
    data, mapped = cloud(spark, items)
    rows = judged(mapping.map_receipt_lines(data, mapped, branches(spark), 0))
    shown = sorted(
        (int(r["receipt_id"]), r["_child_position"], r["gross_amount"], r["product_ref"], r["_children_broken"])
        for r in rows
        if r["gross_amount"]
    )
    assert shown == [
        (0, 1, Decimal("1.5"), "a", False),
        (0, 2, Decimal("-2"), "b", False),
        (1, 1, Decimal("1.5"), "c", False),
        (6, 1, Decimal("1.5"), "e", False),
        (8, 1, Decimal("3"), None, False),
    ]
    without = {(int(r["receipt_id"]), r["_child_position"]): r for r in rows if r["gross_amount"] is None}
    assert without.keys() == {(1, 2), (2, 1), (3, 1), (4, 1), (5, 1), (7, 1)}
    assert {key[0] for key, row in without.items() if row["_children_broken"]} == {3, 4, 5}
    assert violations(without[7, 1]) == [("field_unreadable", "error", "gross_amount", '{"value":"1.50"}')]
    assert all(("field_missing", "error", "gross_amount", None) in violations(without[key]) for key in ((1, 2), (2, 1)))


SEVERAL = """
locale: {decimal: "."}
line_number: ordinal
lines:
  - path: items
    columns: {gross_amount: {sum: [amount], minus: [cut]}, quantity: {aliases: [count]}}
  - path: back
    negative: [{aliases: [kind], one_of: [return]}]
    only: [{when: [{aliases: [kind], is_given: true}]}]
    columns: {gross_amount: {aliases: [amount]}, quantity: {aliases: [count]}, tax_amount: {aliases: [vat]}}
taxes: {level: line, columns: {tax_amount: {aliases: [vat]}}}
"""


def test_several_lists_of_lines_are_counted_one_after_the_other(spark: SparkSession) -> None:
    sold = '[{"amount":"5","cut":"1","count":"2"},{"amount":"3","vat":"0.30"}]'
    back = '[{"kind":"return","amount":"2","count":"1","vat":"0.20"},{"amount":"9"},{"kind":"fee","amount":"0.50"}]'
    rows = [
        ("F1", "1", sold, back),
        ("F1", "2", None, back),
        ("F1", "3", sold, None),
        ("F1", "4", None, None),
        ("F1", "5", "[]", "[]"),
    ]
    data, mapped = bronze(spark, "branch id items back", rows), source(JSON, SEVERAL)
    found = [row for number in range(2) for row in judged(mapping.map_receipt_lines(data, mapped, branches(spark), number))]
    shown = [
        (row["receipt_id"], row["_child_position"], str(row["gross_amount"]), str(row["quantity"]), str(row["tax_amount"]))
        for row in found
        if row["gross_amount"] is not None
    ]
    assert sorted(shown) == [
        ("1", 1, "4.00000", "2.000", "None"), ("1", 2, "3.00000", "None", "None"),
        ("1", 3, "-2.00000", "-1.000", "-0.20000"), ("1", 4, "0.50000", "None", "None"),
        ("2", 1, "-2.00000", "-1.000", "-0.20000"), ("2", 2, "0.50000", "None", "None"),
        ("3", 1, "4.00000", "2.000", "None"), ("3", 2, "3.00000", "None", "None"),
    ]  # fmt: skip
    without = {row["receipt_id"]: (row["_is_bare"], row["_children_broken"]) for row in found if row["gross_amount"] is None}
    assert without == {"4": (False, True), "5": (True, False)}
    taxed = judged(details.map_details(data, mapped, branches(spark), "taxes", mapped.taxes[0]))
    assert sorted((row["receipt_id"], row["line_number"], str(row["tax_amount"])) for row in taxed) == [
        ("1", 2, "0.30000"), ("1", 3, "0.20000"), ("2", 1, "0.20000"), ("3", 2, "0.30000"),
    ]  # fmt: skip


def test_payments_become_rows_and_unreadable_ones_are_told(spark: SparkSession) -> None:
    good, mapped = cloud(spark, ["[]"], '[{"by":"cash","sum":"5.00"},{"by":"shell","sum":"x"}]')
    torn, _ = cloud(spark, ["[]"], "[1]")
    none, _ = cloud(spark, ["[]"], "[]")
    data = good.unionByName(torn).unionByName(none)
    rows = judged(details.map_details(data, mapped, branches(spark), "payments", mapped.payments[0]))
    told = sorted(
        (r["_child_position"], r["tender_type"] or "", r["payment_amount"], violations(r))
        for r in rows
        if not r["_children_broken"]
    )
    assert told == [
        (1, "CASH", Decimal("5"), []),
        (2, "", None, [("value_unknown", "error", "tender_type", "shell"), ("field_unreadable", "error", "payment_amount", "x")]),
    ]
    [row] = [row for row in rows if row["_children_broken"]]
    assert ("field_unreadable", "error", "paid", None) in violations(row)


def test_master_data_has_its_version_and_an_unreadable_one_is_told(spark: SparkSession) -> None:
    gone = "branch_id: , receipt_id: , business_date: , gross_amount: "
    mapped = source(
        changes=f"""
entity: product
columns: {{{gone}, product_id: {{aliases: [ArtNr]}}, category_l1: {{aliases: [WG], transform: upper}},
          is_bundle: {{aliases: [Set]}}}}
value_maps: {{category_l1: {{MOPRO: dairy}}}}
version_order: {{aliases: [Stand], date_formats: ["dd.MM.yyyy HH:mm"], timezone: Europe/Berlin}}
"""
    )
    cases = [("1", "mopro", "WAHR", "31.01.2026 10:00"), ("2", "?", "NEIN", "gestern"), (None, None, "vielleicht", None)]
    rows = judged(mapping.map_records(bronze(spark, "ArtNr WG Set Stand", cases), mapped, PRODUCT_FIELDS))
    first, second, third = sorted(rows, key=lambda row: int(row["_row"]))
    assert (first["category_l1"], first["is_bundle"], violations(first)) == ("dairy", True, [])
    assert first["_version_at"].astimezone(UTC) == datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert violations(second) == [
        ("value_unknown", "warning", "category_l1", "?"),
        ("field_unreadable", "warning", "version_order", "gestern"),
    ]
    assert violations(third) == [
        ("field_missing", "error", "product_id", None),
        ("field_unreadable", "error", "is_bundle", "vielleicht"),
    ]


PARTS = """
{locale: {strip: ["$"]}, unpivot_lines: [
  {aliases: [Versand], values: {line_type: SURCHARGE}}, {aliases: [Erstattet], negative: true, values: {line_type: TOTAL}}],
 columns: {product_ref: {aliases: [Artikel]}, discount_amount: {multiply: [Betrag], percent: Prozent}},
 payments: {unpivot: [{aliases: [Bar], values: {tender_type: CASH}}, {aliases: [Karte], values: {tender_type: CREDIT}}],
            columns: {tender_name: {aliases: [Name]}, tip_amount: {aliases: [Tip]}}}}
"""


def test_amounts_in_columns_of_their_own_are_lines_and_payments_and_nothing_of_the_record_else(spark: SparkSession) -> None:
    columns = "Filiale Bonnr Datum Betrag Prozent Artikel Versand Erstattet Bar Karte Name Tip"
    given = ("F1", "1", "31.01.2025", "20.00", "10", "A1", "4.90", "$3.00", "10.00", "11.90", "x", "1.00")
    none = ("F1", "2", "31.01.2025", "5.00", None, "A2", "0.00", None, "0", None, "y", None)
    unreadable = ("F1", "3", "31.01.2025", "5.00", None, "A2", "viel", None, None, None, None, None)
    rows = bronze(spark, columns, [given, none, unreadable])
    mapped = judged(mapping.map_receipt_lines(rows, source(changes=PARTS), branches(spark), 0))
    lines = [
        (r["receipt_id"], r["line_type"], r["product_ref"], str(r["gross_amount"]), str(r["discount_amount"])) for r in mapped
    ]
    assert sorted(lines, key=str) == sorted([
        ("1", None, "A1", "20.00000", "2.00000"), ("1", "SURCHARGE", None, "4.90000", "None"),
        ("1", "TOTAL", None, "-3.00000", "None"), ("2", None, "A2", "5.00000", "0.00000"),
        ("3", None, "A2", "5.00000", "0.00000"), ("3", "SURCHARGE", None, "None", "None"),
    ], key=str)  # fmt: skip
    assert [violations(r) for r in mapped if r["gross_amount"] is None] == [
        [("field_unreadable", "error", "gross_amount", "viel")]
    ]
    parts = source(changes=PARTS)
    paid = judged(details.map_details(rows, parts, branches(spark), "payments", parts.payments[0]))
    found = [(r["receipt_id"], r["tender_type"], r["tender_name"], str(r["payment_amount"]), str(r["tip_amount"])) for r in paid]
    assert sorted(found) == [("1", "CASH", "x", "10.00000", "1.00000"), ("1", "CREDIT", "x", "11.90000", "None")]
