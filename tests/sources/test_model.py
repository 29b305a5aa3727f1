from __future__ import annotations

import pytest

from tests.sources.mappings import CSV, JSON, source
from tillhouse.errors import ConfigError


def faults(changes: str, base: str = CSV) -> list[str]:
    """What is told about a mapping, without the file's name, which stands before each fault."""
    with pytest.raises(ConfigError) as error:
        source(base, changes)
    lines = str(error.value).splitlines()
    prefix = f"conf/sources/{'till' if base is CSV else 'cloud'}.yml: "
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            "encodng: utf-8",
            "key 'encodng' is unknown (did you mean 'encoding'?). Allowed here: adjustments, carry_down, closing_totals, ",
        ),
        (
            "columns: {gross_amount: {aliass: [x]}}",
            "key 'columns.gross_amount.aliass' is unknown (did you mean 'aliases'?). Allowed here: aliases, cases, collect, ",
        ),
        ("csv: {delimeter: ;}", "key 'csv.delimeter' is unknown (did you mean 'delimiter'?). Allowed here: delimiter, footer"),
        ("version_order: {alias: [x]}", "key 'version_order.date_formats' is missing; add it"),
        ("owner: ", "key 'owner' is missing; add it"),
        ("owner: 7", "key 'owner' must be a text, but YAML reads a number here (7); write it in quotes"),
        ("owner: 2026-01-31", "key 'owner' must be a text, but YAML reads a date here (2026-01-31); write it in quotes"),
        ("owner: ''", "key 'owner': String should have at least 1 character, but is ''"),
        ("source: Till 1", "key 'source': String should match pattern '^[a-z][a-z0-9_]*$', but is 'Till 1'"),
        (
            "entity: receipts",
            "key 'entity': 'receipts' is not allowed (did you mean 'receipt'?). Allowed: 'receipt', 'product', ",
        ),
        (
            "columns: {branch_id: Filiale}",
            "key 'columns.branch_id' must hold keys and values, but is a text. Allowed here: aliases",
        ),
        (
            "columns: {branch_id: {aliases: Filiale}}",
            "key 'columns.branch_id.aliases' must be a list such as [a, b], but is a text",
        ),
        (
            "columns: {branch_id: {aliases: [no]}}",
            "key 'columns.branch_id.aliases.0' must be a text, but YAML reads a yes/no value",
        ),
        ("columns: {branch_id: {required: maybe}}", "key 'columns.branch_id.required' must be true or false, but is 'maybe'"),
        (
            "due_days: soon",
            "key 'due_days': Input should be a valid integer, unable to parse string as an integer, but is 'soon'",
        ),
        (
            "columns: {status: {cases: [{when: [{aliases: [a]}], value: VOIDED}]}}",
            "key 'columns.status.cases.0.when.0': needs exactly one of one_of, starts_with, sign, is_given, but has none",
        ),
        (
            "columns: {status: {cases: [{when: [{aliases: [a], is_given: true}], value: void}]}}",
            "key 'columns.status.cases[0].value': 'void' is not allowed",
        ),
        ("columns: {gross_amount: {aliases: [Betrag], minus: [Rabatt]}}", "key 'columns.gross_amount': minus goes with sum or"),
        (
            "columns: {gross_amount: {aliases: , sum: [a], cases: [{when: [{aliases: [b], is_given: true}], value: '1'}]}}",
            "key 'columns.gross_amount': cases choose",
        ),
        (
            "payments: {columns: {tender_type: {value: CASH}, payment_amount: {value: '1'}}}",
            "key 'payments.columns.payment_amount': must be read from a column",
        ),
        (
            "payments: [{columns: {tender_type: {value: CASH}}}, {columns: {tender_typ: {value: CASH}}}]",
            "key 'payments[1].columns.tender_typ': no such field of a payment (did you mean 'tender_type'?)",
        ),
        (
            "taxes: {lvel: line, columns: {}}",
            "key 'taxes.0.lvel' is unknown (did you mean 'level'?). Allowed here: columns, level",
        ),
        ("payments: {level: line, columns: {}}", "key 'payments.level': a payment is of no line; remove the key"),
        (
            "references: {columns: {ref_type: {value: VOID_OF}}}",
            "key 'references.columns': one of ref_receipt_id, external_ref is",
        ),
        (
            "taxes: [{columns: {tax_amount: {aliases: [a]}}}, {level: line, columns: {tax_amount: {aliases: [b]}}}]",
            "key 'taxes': are told for lines or for receipts, not for both",
        ),
        (
            "adjustments: {level: line, columns: {line_number: {aliases: [a]}, adjustment_amount: {aliases: [b]}}}",
            "key 'adjustments.columns.line_number': is that of the line that holds it",
        ),
        ("csv: {skip_rows: -1}", "key 'csv.skip_rows': Input should be greater than or equal to 0, but is -1"),
        ("csv: {delimiter: '||'}", "key 'csv.delimiter': String should have at most 1 character, but is '||'"),
        ("csv: {delimiter: §}", "key 'csv': delimiter and quote must be plain ASCII characters"),
        ("csv: {delimiter: '\"'}", "key 'csv': delimiter and quote are both '\"'; they must differ"),
        ("locale: {decimal: ',', grouping: ','}", "key 'locale': decimal and grouping are both ','; numbers would be ambiguous"),
        (
            "locale: {strip: ['-']}",
            "key 'locale': strip names what may stand beside a number, such as € or EUR; no digit, sign or",
        ),
        (
            "columns: {branch_id: {join: [a, b]}}",
            "key 'columns.branch_id': needs exactly one of aliases, collect, join, sum, multiply, from_path, value, but has ",
        ),
        (
            "columns: {branch_id: {aliases: []}}",
            "key 'columns.branch_id': needs exactly one of aliases, collect, join, sum, multiply, from_path, value, but has none",
        ),
        (
            "columns: {branch_id: {transform: uper}}",
            "key 'columns.branch_id.transform': 'uper' is not allowed (did you mean 'upper'?). Allowed: 'strip_apostrophe', ",
        ),
        ("encoding: utf-9", "key 'encoding': 'utf-9' is unknown; for example utf-8, cp1252, iso-8859-15"),
        ("encoding: base64", "key 'encoding': 'base64' is unknown; for example utf-8, cp1252, iso-8859-15"),
        ("timezone: Europe/Berln", "key 'timezone': 'Europe/Berln' is unknown (did you mean 'Europe/Berlin'?); use an IANA name"),
        (
            "version_order: {from_path: week, date_formats: [iso], timezone: Berlin}",
            "key 'version_order.timezone': 'Berlin' is unknown",
        ),
        (
            "version_order: {from_path: exported, date_formats: [iso]}",
            "key 'version_order.from_path': 'exported' is not captured in file_pattern 'till/{week}.csv'; write {exported} where",
        ),
        ("version_order: {date_formats: [iso]}", "key 'version_order': needs exactly one of aliases (a column) and from_path"),
        (
            "date_formats: [DD.MM.YYYY]",
            "key 'date_formats.0': 'DD.MM.YYYY' is no date format; write iso or letters such as dd.MM",
        ),
        ("date_formats: [uuuu-MM-dd]", "key 'date_formats.0': 'uuuu-MM-dd' is no date format"),
        ("date_formats: [EEE dd.MM.yyyy]", "key 'date_formats.0': 'EEE dd.MM.yyyy' is no date format"),
        ("date_formats: ", "key 'date_formats': is missing; say how business_date is written, for example [dd.MM.yyyy HH:mm:ss]"),
        ("currency: Euro", "key 'currency': String should match pattern '^[A-Z]{3}$', but is 'Euro'"),
        (
            "columns: {gross_amout: {aliases: [x]}}",
            "key 'columns.gross_amout': no such field of a receipt (did you mean 'gross_amount'?). Allowed here: branch_id, ",
        ),
        ("columns: {receipt_id: }", "key 'columns.receipt_id': is missing (id of the receipt in its source); say which column"),
        (
            "columns: {business_date: }",
            "key 'columns': one of started_at, ended_at, business_date is missing; a receipt needs a day",
        ),
        ("line_number: column", "key 'line_number': column needs the field line_number; map it or say line_number: ordinal"),
        ("document: day", "key 'document': day needs depth: categories or totals"),
        ("sign_rule: by_type", "key 'sign_rule': by_type needs the field transaction_type; map it under columns"),
        (
            "columns: {card_number: {aliases: [Karte]}}",
            "key 'personal_data': must be true, because card_number is personal data; bronze then lies in the vault",
        ),
        (
            "columns: {register_id: {from_path: til}}",
            "key 'columns.register_id.from_path': 'til' is not captured in file_pattern 'till/{week}.csv'; write {til} where",
        ),
        (
            "columns: {register_id: {sum: [a, b]}}",
            "key 'columns.register_id.sum': is for numbers; use join for text",
        ),
        ("columns: {tax_amount: {join: [a, b]}}", "key 'columns.tax_amount.join': makes a text of several columns; use sum for"),
        (
            "columns: {transaction_type: {value: SALES}}",
            "key 'columns.transaction_type.value': 'SALES' is not allowed (did you mean 'SALE'?). Allowed: SALE, RETURN, ",
        ),
        (
            "{columns: {status: {aliases: [a]}}, value_maps: {status: {fertig: DONE}}}",
            "key 'value_maps.status': DONE is not allowed. Allowed: FINAL, OPEN, VOIDED",
        ),
        (
            "{columns: {is_void: {aliases: [a]}}, value_maps: {is_void: {S: storno}}}",
            "key 'value_maps.is_void': storno is not allowed. Allowed: true, false",
        ),
        (
            "{columns: {is_void: {aliases: [a]}}, value_maps: {is_void: {S: true}}}",
            "key 'value_maps.is_void.S' must be a text, but YAML reads a yes/no value here (True); write it in quotes",
        ),
        (
            "{columns: {status: {aliases: [a]}}, value_maps: {status: {1: OPEN}}}",
            "key 'value_maps.status.1' must be a text, but YAML reads a number here (1); write it in quotes",
        ),
        (
            "{line_number: column, lines: [{path: a, columns: {line_number: {aliases: [n]}, gross_amount: {aliases: [b]}}}, "
            "{path: b, columns: {gross_amount: {aliases: [b]}}}], format: jsonl, csv: }",
            "key 'line_number': several lists of lines are counted one after the other; say line_number: ordinal",
        ),
        ("void_rule: as_original", "key 'void_rule': as_original needs the field is_void; map it"),
        ("value_maps: {state: {a: OPEN}}", "key 'value_maps.state': the field is not mapped; map it under columns"),
        ("lines: {path: items, columns: {gross_amount: {aliases: [a]}}}", "key 'lines': a table has no nested records; map"),
        (
            "file_pattern: /till/{week}.csv",
            "key 'file_pattern': '/till/{week}.csv': write the path below the landing area, with /",
        ),
        (
            "file_pattern: 'till/{Week}.csv'",
            "key 'file_pattern': 'till/{Week}.csv': write a captured part as {name} in small letters",
        ),
        (
            "unpivot_lines: [{aliases: [Versand], values: {line_type: FREIGHT}}]",
            "key 'unpivot_lines[0].values.line_type': 'FREIGHT' is not allowed. Allowed: ITEM, DISCOUNT",
        ),
        (
            "unpivot_lines: [{aliases: [Versand], values: {gross_amount: x}}]",
            "key 'unpivot_lines[0].values.gross_amount': is none of line_type, product_ref",
        ),
        (
            "payments: {unpivot: [{aliases: [Bar]}], columns: {tender_type: {value: CASH}, payment_amount: {aliases: [Bar]}}}",
            "key 'payments.columns.payment_amount': is what payments.unpivot tells; remove one of them",
        ),
        (
            "payments: {unpivot: [{aliases: [Bar]}], columns: {}}",
            "key 'payments.columns.tender_type': is missing",
        ),
        (
            "{pays: items, payments: {columns: {tender_type: {value: CASH}, payment_amount: {aliases: [Bar]}}}}",
            "key 'pays': its documents must not count beside those that they pay; say transaction_type: {value: CONTROL}",
        ),
        ("{pays: items}", "key 'pays': says whose receipts the payments belong to; map payments, or remove the key"),
        ("columns: {gross_amount: {aliases: [Betrag], percent: a}}", "key 'columns.gross_amount': percent goes with multiply"),
        ("file_pattern: 'till/{w}/{w}.csv'", "key 'file_pattern': {w} is captured twice; give the second one another name"),
    ],
)
def test_a_wrong_mapping_is_told_with_key_and_remedy(changes: str, expected: str) -> None:
    found = faults(changes)
    assert any(fault.startswith(expected) for fault in found), found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ("lines: {columns: {amont: {aliases: [a]}}}", "key 'lines.columns.amont': no such field of a receipt"),
        (
            "lines: {columns: {gross_amount: }}",
            "key 'lines.columns.gross_amount': is missing (amount of the line with VAT, as charg",
        ),
        ("columns: {quantity: {aliases: [a]}}", "key 'columns.quantity': no such field of a receipt. Allowed here: branch_id"),
        (
            "lines: {columns: {gross_amount: {aliass: [x]}}}",
            "key 'lines.0.columns.gross_amount.aliass' is unknown (did you mean 'ali",
        ),
        ("lines: {pth: x}", "key 'lines.0.pth' is unknown (did you mean 'path'?). Allowed here: columns, negative, only, path"),
        (
            "payments: {path: p, columns: {payment_amount: {aliases: [a]}}}",
            "key 'payments.columns.tender_type': is missing (means of payment); say which column holds it",
        ),
    ],
)
def test_a_wrong_nested_mapping_is_told_with_key_and_remedy(changes: str, expected: str) -> None:
    found = faults(changes, JSON)
    assert any(fault.startswith(expected) for fault in found), found


def test_only_a_receipt_has_lines() -> None:
    told = faults("{entity: product, columns: {product_id: {aliases: [a]}}}", JSON)
    assert "key 'lines': only a receipt has lines, this source is a product; remove the key" in told


def test_a_default_may_be_what_the_mapping_translates() -> None:
    mapped = source(
        changes="{columns: {status: {aliases: [a], default: fertig}}, value_maps: {status: {fertig: FINAL}}}",
    )
    assert mapped.columns["status"].default == "fertig"


@pytest.mark.parametrize(
    "pattern",
    [
        "dd.MM.yyyy, HH:mm",
        "yyyyMMdd'T'HHmm",
        "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "d.M.yy",
        "MM/dd/yyyy hh:mm a",
        "iso",
        "dd-MMM-yyyy",
    ],
)
def test_usual_date_formats_are_understood(pattern: str) -> None:
    assert source(changes=f'date_formats: ["{pattern}"]').date_formats == (pattern,)


def test_a_pattern_captures_parts_of_a_path_and_nothing_beyond_a_slash() -> None:
    mapped = source(changes="file_pattern: 'till/*/{branch}_{day}.csv'")
    assert mapped.match_path("till/any thing/F1_2026-01-31.csv") == {"branch": "F1", "day": "2026-01-31"}
    assert mapped.match_path("till/a/b/F1_2026-01-31.csv") is None
    assert mapped.match_path("till/a/F1_2026-01-31.csv.tmp") is None
    assert mapped.match_path("till/a/_2026-01-31.csv") is None


def test_a_path_matches_however_its_umlauts_are_composed() -> None:
    mapped = source(changes="file_pattern: 'Küche/{branch}.csv'")
    assert mapped.match_path("Ku\u0308che/Ko\u0308ln.csv") == {"branch": "Köln"}


def test_a_file_needs_the_columns_of_mandatory_fields_and_one_for_the_day() -> None:
    assert source().needed == [
        {"branch_id": ("Filiale",)},
        {"receipt_id": ("Bonnr", "Bonnummer")},
        {"gross_amount": ("Betrag",)},
        {"business_date": ("Datum",)},
    ]
    changes = (
        "columns: {branch_id: {default: F1}, receipt_id: {aliases: , from_path: week}, quantity: {aliases: [q], required: true}}"
    )
    assert source(changes=changes).needed == [
        {"quantity": ("q",)},
        {"gross_amount": ("Betrag",)},
        {"business_date": ("Datum",)},
    ]
