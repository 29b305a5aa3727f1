"""``tillhouse source check``: what it says, and its exit code. That a run does the same: tests/library/test_check.py."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from tests.conftest import ROOT
from tillhouse import cli
from tillhouse.bronze.files import Inspection
from tillhouse.config import load_config, to_model
from tillhouse.ops import check, check_report
from tillhouse.sources.model import Source
from tillhouse.sources.records import column_key
from tillhouse.tables import silver

PAGE = (ROOT / "docs" / "connecting.md").read_text("utf-8")
CUSTOMERS = "mychain/landing/crm/kunden_20251103.csv"
JOURNAL = "mychain/landing/journal/journal_20251103.txt"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The files that the page shows, on disk."""
    for kind, path, text in re.findall(r"^```(yaml|csv)\n# (\S+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text if kind == "csv" else f"# {path}\n{text}", "utf-8")
    (tmp_path / "mychain" / "lake.yml").write_text("lake: lake\nvault: vault\nlanding: mychain/landing\n", "utf-8")
    (tmp_path / "mychain" / "products.yml").write_bytes((ROOT / "conf" / "products.yml").read_bytes())
    return tmp_path


def call(example: Path, *arguments: str) -> list[str]:
    return ["source", "check", "journal", *arguments, "--conf-dir", str(example / "mychain")]


def test_the_example_of_the_page_comes_out_as_the_page_says(example: Path) -> None:
    """In a process of its own: this one has a session with Java."""
    command = [str(Path(sys.executable).with_name("tillhouse"))]
    done = subprocess.run(
        [*command, *call(example, JOURNAL, "--json")], cwd=example, check=True, capture_output=True, timeout=120
    )
    report = json.loads(done.stdout)
    assert report["records"] == {"read": 9, "broken": 0, "left_out": 3}
    assert report["lines"] == {"accepted": 8, "rejected": 1, "repeated": 0}
    assert {(item["rule"], item["count"]) for item in report["exceptions"]} == {
        ("business_date_missing", 1), ("field_unreadable", 1),
    }  # fmt: skip
    [total] = report["totals"]
    assert "\n    CHF: revenue 1,041.30; gross 1,041.30, tax 25.73, of the 4 documents that count\n" in PAGE
    assert (total["currency"], total["revenue"], total["tax"], total["documents_that_count"]) == ("CHF", "1041.30", "25.73", 4)
    assert total["by_line"] == {"DISCOUNT": {"count": 1, "amount": "-114.00"}, "ITEM": {"count": 7, "amount": "1155.30"}}
    [first, *_] = report["first_receipts"]
    assert first["receipt"]["started_at"] == "2025-11-03 07:15:00+00:00"
    assert [(line["product_ref"], line["gross_amount"]) for line in first["receipt_line"]] == [("501", "15.85"), ("77", "6.80")]


def test_what_the_page_saves_is_what_is_proposed_but_for_what_only_people_know(
    example: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example)
    library = ["--library", str(ROOT / "conf" / "library")]
    assert cli.main(["source", "profile", CUSTOMERS, *library]) == 0
    said = capsys.readouterr().out
    assert "# Records of the kind contact: 0.96; less likely: preference 0.25, " in said
    proposed = to_model(Source, yaml.safe_load(said), "proposal")
    saved = load_config(example / "mychain").source("customers")
    only_people_know = {"name", "description", "owner", "consent", "columns", "version_order"}
    assert proposed.model_dump(exclude=only_people_know) == saved.model_dump(exclude=only_people_know)
    of_proposal, of_page = (
        {field: [column_key(name) for name in column.raw_columns] for field, column in source.columns.items()}
        for source in (proposed, saved)
    )
    assert of_proposal == of_page
    assert cli.main(["source", "profile", JOURNAL, *library]) == 0
    journal = to_model(Source, yaml.safe_load(capsys.readouterr().out), "proposal")
    saved = load_config(example / "mychain").source("journal")
    same = {"csv", "file_pattern", "locale", "date_formats", "timezone", "line_number"}
    assert journal.model_dump(include=same) == saved.model_dump(include=same)


def test_the_customers_of_the_page_come_out_as_the_page_says(example: Path) -> None:
    command = [str(Path(sys.executable).with_name("tillhouse")), "source", "check", "customers", CUSTOMERS]
    done = subprocess.run(
        [*command, "--conf-dir", str(example / "mychain"), "--json"], cwd=example, check=True, capture_output=True, timeout=120
    )
    report = json.loads(done.stdout)
    assert report["records"] == {"read": 3, "broken": 0, "left_out": 1}
    assert {(item["rule"], item["field"], item["count"]) for item in report["exceptions"]} == {
        ("field_unreadable", "changed_at", 1), ("field_unreadable", "version_order", 1),
    }  # fmt: skip
    assert "Widmer" not in done.stdout.decode()


@pytest.mark.parametrize(
    ("limits", "code", "held"),
    [
        (
            "{warn: 0.01, stop: 0.1}",
            1,
            "file_share_rejected: 1 of 9 records are kept out (11.11%), stop above 10.00%. Rule: quality in",
        ),
        ("{warn: 0.01}", 0, None),
    ],
)
def test_the_limits_of_the_source_and_who_answers_are_those_of_a_run(
    example: Path, limits: str, code: int, held: str | None
) -> None:
    mapping = example / "mychain" / "sources" / "journal.yml"
    mapping.write_text(mapping.read_text("utf-8") + f"quality: {{rejected: {limits}}}\n", "utf-8")
    duties = "responsible: [{when: {rules: [file_share_rejected]}, owner: night-shift, due: 4 hours}]\n"
    (example / "mychain" / "exceptions.yml").write_text(duties, "utf-8")
    command = [str(Path(sys.executable).with_name("tillhouse")), *call(example, JOURNAL, "--json")]
    done = subprocess.run(command, cwd=example, check=False, capture_output=True, timeout=120)
    report = json.loads(done.stdout)
    assert (done.returncode, report["is_fine"]) == (code, held is None)
    assert (report["held_because"] or "").startswith(held or "")
    assert (report["held_because"] is None) == (held is None)
    assert {(item["rule"], item["severity"], item["owner"], item["due"]) for item in report["exceptions"]} == {
        ("file_share_rejected", "error" if held else "warning", "night-shift", "4 hours"),
        ("business_date_missing", "error", "farm-shops", "7 days"),
        ("field_unreadable", "error", "farm-shops", "7 days"),
    }
    assert report["lines"] == {"accepted": 8, "rejected": 1, "repeated": 0}  # what is held is shown all the same


def test_what_a_control_file_beside_it_states_is_known(example: Path) -> None:
    mapping = example / "mychain" / "sources" / "journal.yml"
    control = "{control_totals: {stop: 0}, control_file: {pattern: 'journal/journal_{day}.ctl', records: Zeilen}}"
    text = mapping.read_text("utf-8").replace("journal_*.txt", "journal_{day}.txt")
    mapping.write_text(f"{text}quality: {control}\n", "utf-8")
    source = load_config(example / "mychain").source("journal")
    assert check.inspect(source, example / JOURNAL)[0].stated == {"records": None}
    (example / JOURNAL).with_suffix(".ctl").write_text("Zeilen\n9\n", "utf-8")
    assert check.inspect(source, example / JOURNAL)[0].stated == {"records": "9"}


def test_a_file_that_would_be_rejected_is_told_with_its_reason(
    example: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example)
    journal = example / JOURNAL
    journal.write_text(journal.read_text("utf-8").replace("Laden|", "Verkaufsstelle|"), "utf-8")
    assert cli.main(call(example, JOURNAL)) == 1
    said = capsys.readouterr().out
    assert "THE FILE WOULD BE REJECTED: column missing for branch_id [Laden]; not known to the mapping: Verkaufsstelle" in said
    assert cli.main(call(example, JOURNAL, "--json")) == 1
    assert json.loads(capsys.readouterr().out)["is_fine"] is False


def test_a_wrong_call_is_told_with_what_to_do(
    example: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example)
    elsewhere = example / "export.txt"
    elsewhere.write_bytes((example / JOURNAL).read_bytes())
    assert cli.main(call(example, str(elsewhere))) == 2
    assert "does not match file_pattern 'journal/journal_*.txt'" in capsys.readouterr().err
    assert cli.main(call(example, "none.txt")) == 2
    assert cli.main(["source", "check", "jurnal", JOURNAL, "--conf-dir", "mychain"]) == 2
    assert "no source named 'jurnal'" in capsys.readouterr().err


def test_a_file_may_lie_anywhere_if_it_is_said_where_it_will_be_delivered(example: Path) -> None:
    source = load_config(example / "mychain").source("journal")
    elsewhere = example / "export.txt"
    elsewhere.write_bytes((example / JOURNAL).read_bytes())
    inspection, _ = check.inspect(source, elsewhere, "journal/journal_x.txt")
    assert (inspection.delivery.path, inspection.reason, inspection.rows_read) == ("journal/journal_x.txt", None, 9)


def test_totals_count_what_becomes_facts_and_show_everything(example: Path) -> None:
    kept = {"source": "journal", "status": "FINAL", "business_date": "2025-11-03", "currency": "CHF", "branch_id": "A"}
    receipts = [
        {
            **kept,
            "receipt_key": "r1",
            "transaction_type": "SALE",
            "gross_amount": Decimal("3.50"),
            "_row": 1,
            "operator_token": "9f",
        },
        {**kept, "receipt_key": "r2", "transaction_type": "TRAINING", "gross_amount": Decimal("9.99"), "_row": 2},
    ]
    line = {"currency": "CHF", "net_amount": None, "tax_amount": None, "is_void": False}
    lines = [
        {
            **line,
            "receipt_key": "r1",
            "line_number": 1,
            "line_type": "ITEM",
            "gross_amount": Decimal("3.00"),
            "discount_amount": Decimal("0.00"),
        },
        {**line, "receipt_key": "r1", "line_number": 2, "line_type": "DEPOSIT", "gross_amount": Decimal("0.50")},
        {**line, "receipt_key": "r2", "line_number": 1, "line_type": "ITEM", "gross_amount": Decimal("9.99")},
    ]
    versions = [{"status": "current", "line_count": 3, "rejected_count": 0, "repeated_count": 0}]
    tables = {silver.RECEIPT: receipts, silver.RECEIPT_LINE: lines, silver.RECEIPT_VERSION: versions}
    source = load_config(example / "mychain").source("journal")
    inspection, _ = check.inspect(source, example / JOURNAL)
    checked = check.Checked(
        source, inspection, {t: pa.Table.from_pylist(rows) for t, rows in tables.items()}, (), frozenset({"r1"})
    )
    report = check_report.to_report(checked, first=1)
    [total] = report["totals"]
    assert (total["revenue"], total["gross"], total["net"]) == (Decimal("3.00"), Decimal("3.50"), None)
    assert (total["documents"], total["documents_that_count"], total["lines_without_tax"]) == (2, 1, 2)
    assert total["by_document"]["TRAINING FINAL"] == {"count": 1, "amount": Decimal("9.99")}
    [first] = report["first_receipts"]
    assert first["receipt"]["operator_token"] == "(token)"
    amounts = {"gross_amount": Decimal("3.00"), "discount_amount": Decimal("0.00")}
    assert first["receipt_line"][0] == {"line_number": 1, "line_type": "ITEM", **amounts}
    said = check_report.as_text(report)
    assert "CHF: revenue 3.00; gross 3.50 (2 lines tell no tax), of the 1 documents that count" in said
    assert "9f" not in said


def test_exceptions_are_told_by_rule_with_the_first_rows(example: Path) -> None:
    source = load_config(example / "mychain").source("journal")
    inspection, _ = check.inspect(source, example / JOURNAL)
    found = [
        {
            "rule": "value_unknown",
            "severity": "error",
            "record_key": f"A/{row}",
            "context": {"row": row, "field": "line_type", "value": "X"},
            "owner": "till-team",
            "opened_at": datetime(2026, 1, 1, tzinfo=UTC),
            "due_at": datetime(2026, 1, 3, tzinfo=UTC),
        }
        for row in (9, 3, 7, 5)
    ]
    report = check_report.to_report(check.Checked(source, inspection, {}, found))
    [group] = report["exceptions"]
    assert (group["count"], [example["row"] for example in group["examples"]]) == (4, [3, 5, 7])
    said = check_report.as_text(report)
    assert "error value_unknown of line_type: 4. Add the value to value_maps in the mapping. (till-team, within 2 days)" in said
    assert "    row 3, A/3: X\n" in said
    assert "    and 1 more" in said
    assert said.endswith("NOTHING OF THE FILE WOULD COUNT")


def test_an_empty_inspection_shows_no_totals(example: Path) -> None:
    source = load_config(example / "mychain").source("journal")
    inspection, _ = check.inspect(source, example / JOURNAL)
    rejected = Inspection(inspection.delivery, "the reason. Rule: a rule. Remedy: a remedy.")
    assert check_report.to_report(check.Checked(source, rejected)).keys() == {
        "source", "entity", "path", "is_fine", "rejected_because", "held_because", "notes", "records", "columns",
    }  # fmt: skip
