"""DSFinV-K archives: driven by their index, joined by the key chain, and nothing that belongs to no receipt is lost."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.library.exports import GERMAN, OTHER, dsfinvk
from tillhouse.config import read_model
from tillhouse.errors import SourceError
from tillhouse.sources.model import Source
from tillhouse.sources.readers import decide_columns, read_records

SOURCE = read_model(Source, ROOT / "conf" / "library" / "dsfinvk.yml")
DRESDEN = ("K-DD-1", "2025-10-25T20:05:00", "1.204")
MUNICH = ("K-M-1", "2025-10-26T09:00:00Z", "17")


def heads(content: bytes) -> dict[str, dict[str, Any]]:
    rows = read_records(content, SOURCE).table.to_pylist()
    return {row["BON_ID"]: row | {"lines": json.loads(row["lines"])} for row in rows}


def changed(content: bytes, member: str, old: str, new: str) -> bytes:
    """The archive with a text replaced in one member."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(made, "w") as after:
        for name in before.namelist():
            text = before.read(name).decode()
            assert name != member or old in text
            after.writestr(name, text.replace(old, new) if name == member else text)
    return made.getvalue()


def test_numbers_of_both_styles_are_read_as_the_index_declares() -> None:
    german, other = heads(dsfinvk(DRESDEN, GERMAN)), heads(dsfinvk(MUNICH, OTHER, decimal=".", grouping=""))
    assert (german["b7"]["Z_NR"], german["b7"]["UMS_BRUTTO"], german["b7"]["lines"][0]["POS_BRUTTO"]) == (
        "1204",
        "1186.50",
        "1234.50000",
    )
    assert (other["m4"]["Z_NR"], other["m4"]["UMS_BRUTTO"]) == ("17", "-1234.50")
    assert other["m5"]["lines"][0]["POS_BRUTTO"] == "1,23 (not written as index.xml declares)"


def test_a_line_has_the_sum_of_its_tax_keys_and_its_components_beside_it() -> None:
    [menu] = heads(dsfinvk(DRESDEN, GERMAN))["b3"]["lines"]
    assert (menu["POS_BRUTTO"], menu["POS_NETTO"], menu["POS_UST"]) == ("9.98000", "8.85683", "1.12317")
    assert [(tax["UST_SCHLUESSEL"], tax["UST_SATZ"]) for tax in menu["taxes"]] == [("1", "19.00"), ("2", "7.00")]
    assert [part["ZI_NAME"] for part in menu["components"]] == ["Burger", "Cola"]


def test_a_receipt_has_its_closing_payments_and_references() -> None:
    returned = heads(dsfinvk(MUNICH, OTHER, decimal=".", grouping=""))["m4"]
    assert returned["KASSE_BASISWAEH_CODE"] == "EUR"
    assert json.loads(returned["payments"])[0]["BASISWAEH_BETRAG"] == "-1234.50"
    assert json.loads(returned["references"]) == [
        {"REF_TYP": "Transaktion", "REF_Z_KASSE_ID": "K-DD-1", "REF_Z_NR": "1204", "REF_BON_ID": "b7"}
    ]


def test_the_totals_of_a_closing_are_told_once_with_its_first_receipt() -> None:
    receipts = read_records(dsfinvk(DRESDEN, GERMAN), SOURCE).table.to_pylist()
    told = [row["BON_ID"] for row in receipts if row["closing_payments"]]
    assert told == ["b1"]
    assert json.loads(receipts[0]["closing_currencies"]) == [
        {"ZAHLART_WAEH": "EUR", "ZAHLART_BETRAG_WAEH": "46.51"}, {"ZAHLART_WAEH": "CHF", "ZAHLART_BETRAG_WAEH": "8.50"},
    ]  # fmt: skip
    without = {name: GERMAN[name] for name in ("Z_Zahlart",)} | dict.fromkeys(("Bonkopf", "Bonpos", "Bonpos_USt"), "")
    with pytest.raises(SourceError, match=r"payment\.csv: of a closing that the export does not hold"):
        read_records(dsfinvk(DRESDEN, without), SOURCE)


def test_rows_that_belong_to_no_receipt_are_broken_records_with_their_table() -> None:
    records = read_records(dsfinvk(MUNICH, OTHER, decimal=".", grouping=""), SOURCE)
    [ghost] = records.broken
    assert ghost.reason == "lines.csv: of a receipt that the export does not hold"
    assert "ghost" in ghost.text
    assert ghost.row not in records.rows.to_pylist()
    tax = dict(GERMAN) | {"Bonpos_USt": GERMAN["Bonpos_USt"] + "\n b3|9|1|1,00|0,84|0,16"}
    assert [record.reason for record in read_records(dsfinvk(DRESDEN, tax), SOURCE).broken] == [
        "lines_vat.csv: of a line that the export does not hold"
    ]


def test_a_row_of_another_width_is_broken_and_the_others_are_read() -> None:
    content = changed(dsfinvk(DRESDEN, GERMAN), "transactions.csv", ";b5;5;", ";b5;5;;")
    records = read_records(content, SOURCE)
    assert len(records.rows) == 12
    assert "transactions.csv, row 6: 14 columns instead of 13" in {record.reason for record in records.broken}


def test_tables_are_known_by_their_logical_name_whatever_the_file_is_called() -> None:
    renamed = dsfinvk(DRESDEN, GERMAN, files={"Bonkopf": "Bonkopf.csv", "Bonkopf_Zahlarten": "bonkopf_zahlarten.csv"})
    assert heads(renamed) == heads(dsfinvk(DRESDEN, GERMAN))


def test_every_column_of_the_shipped_mapping_is_known() -> None:
    records = read_records(dsfinvk(DRESDEN, GERMAN), SOURCE)
    assert [decision.column for decision in decide_columns(records, SOURCE) if decision.decision == "new"] == []


def test_two_exports_in_one_archive_are_refused() -> None:
    content = io.BytesIO(dsfinvk(DRESDEN, GERMAN))
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("again/lines.csv", "")
    with pytest.raises(SourceError, match=r"holds lines\.csv and again/lines\.csv"):
        read_records(content.getvalue(), SOURCE)


@pytest.mark.parametrize("position", range(100, 4000, 600))
def test_a_damaged_archive_is_told_as_a_fault_of_the_file_and_as_nothing_else(position: int) -> None:
    whole = dsfinvk(DRESDEN, GERMAN)
    damaged = whole[:position] + bytes(byte ^ 0xFF for byte in whole[position : position + 40]) + whole[position + 40 :]
    with contextlib.suppress(SourceError):  # a damage may lie where nothing is read; any other exception fails
        read_records(damaged, SOURCE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no archive", "no ZIP archive"),
        (changed(dsfinvk(DRESDEN, GERMAN), "index.xml", "<Table>", "<Tabelle>"), "not well-formed"),
        (dsfinvk(DRESDEN, GERMAN, leave_out=["Bonpos"]), "lines.csv is named in index.xml and not in the archive"),
        (changed(dsfinvk(DRESDEN, GERMAN), "index.xml", "<Name>Bonkopf<", "<Name>Belege<"), None),
        (changed(dsfinvk(DRESDEN, GERMAN), "lines.csv", "BON_ID", "BONID"), "lines.csv: no column BON_ID"),
        (
            changed(
                dsfinvk(DRESDEN, GERMAN),
                "index.xml",
                'SYSTEM "gdpdu-01-09-2004.dtd"',
                "[<!ENTITY a SYSTEM 'file:///etc/passwd'>]",
            ),
            "declares entities",
        ),
    ],
)
def test_an_archive_that_is_not_whole_is_refused_with_a_reason(content: bytes, reason: str | None) -> None:
    if reason is None:  # the file's usual name tells the table too
        assert len(heads(content)) == 13
        return
    with pytest.raises(SourceError, match=reason):
        read_records(content, SOURCE)
