"""What ``tillhouse source profile`` says of exports of systems for which a mapping is shipped, and how it says it."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from openpyxl import Workbook

from tests.conftest import ROOT
from tests.library.exports import GERMAN, dsfinvk, dynamics, parquet, workbook
from tillhouse import cli
from tillhouse.config import read_model, to_model
from tillhouse.errors import TillhouseError
from tillhouse.sources import profile, synonyms
from tillhouse.sources.entities import FIELDS
from tillhouse.sources.model import Source
from tillhouse.sources.readers import read_records

LANDING = ROOT / "tests" / "library" / "landing"
LIBRARY = [read_model(Source, path) for path in sorted((ROOT / "conf" / "library").glob("*.yml"))]
BRANCHES = LANDING / "branches" / "branches.csv"  # written by hand for the tests, of no system
MADE = {
    "dsfinvk/dresden.zip": lambda: dsfinvk(("K-DD-1", "2025-10-25T20:05:00", "1.204"), GERMAN),
    "erp_xlsx/bons_20251026T0500.xlsx": workbook,
    "receipts_parquet/day_20260330T0500.parquet": parquet,
    "dynamics/contacts_20261001T0600.xlsx": dynamics,
}
EXPORTS = {str(path.relative_to(LANDING)): path.read_bytes for path in sorted(LANDING.rglob("*.*")) if path != BRANCHES} | MADE


def mapping_of(path: str) -> Source:
    """The shipped mapping that a run would read the file with."""
    [source] = [source for source in LIBRARY if source.match_path(path) is not None]
    return source


def written_as(content: bytes, source: Source, delimiter: str) -> bytes:
    """A text table with its columns from the last to the first, with another delimiter and without what stands above it."""
    records = read_records(content, source)
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow(reversed(records.columns))
    writer.writerows(reversed(row) for row in zip(*(column.to_pylist() for column in records.table.columns), strict=True))
    return buffer.getvalue().encode("utf-8")


@pytest.mark.parametrize("path", EXPORTS)
def test_every_export_of_a_known_system_is_recognised_by_what_it_holds(path: str) -> None:
    found = profile.profile(EXPORTS[path](), "export", LIBRARY)
    assert (found.known_as, found.known and found.known.changes) == (mapping_of(path).name, {})


@pytest.mark.parametrize("path", [path for path in EXPORTS if path.endswith((".csv", ".tsv"))])
def test_a_known_export_is_recognised_in_other_order_and_with_another_delimiter(path: str) -> None:
    """As another version of the system writes it, or a spreadsheet through which it went; what to change is said."""
    source = mapping_of(path)
    delimiter = "|" if source.csv.delimiter == ";" else ";"
    content = written_as(EXPORTS[path](), source, delimiter)
    found = profile.profile(content, "export", LIBRARY)
    assert found.known is not None
    assert found.known_as == source.name
    changed = source.model_copy(update=found.known.changes)
    assert changed.csv.delimiter == delimiter
    assert len(read_records(content, changed).rows) == len(read_records(EXPORTS[path](), source).rows)


def test_a_known_export_whose_numbers_and_days_are_written_otherwise_is_recognised_with_what_to_change() -> None:
    text = "Filiale;Kasse;Bonnr;Datum;Uhrzeit;EAN;Artikel;Menge;Betrag\n1;1;7;2025-10-25;14:05;;Gouda;1.5;1'204.82\n"
    found = profile.profile(text.encode(), "bons.csv", LIBRARY)
    assert found.known is not None
    assert found.known_as == "erp_receipts_de"
    changed = to_model(Source, yaml.safe_load(profile.as_text(found)) | BARE, "the copy")
    assert (changed.locale.decimal, changed.locale.grouping, changed.csv.skip_rows) == (".", "'", 0)
    assert "yyyy-MM-dd HH:mm" in changed.date_formats


BARE = {
    "source": "x", "entity": "receipt", "description": "x", "owner": "x", "format": "csv", "file_pattern": "x/*",
    "line_number": "ordinal",
    "columns": {name: {"aliases": [name]} for name in ("branch_id", "receipt_id", "started_at", "gross_amount")},
}  # fmt: skip


def test_files_that_share_a_few_common_names_with_a_shipped_mapping_are_not_taken_for_it() -> None:
    for text in ("Email,First Name,Last Name\na@example.com,Ann,Archer\n", "id,type,value\n1,a,2\n"):
        assert profile.profile(text.encode(), "x.csv", LIBRARY).known_as is None


def test_the_branches_of_a_chain_are_a_kind_of_record_too() -> None:
    found = profile.profile(BRANCHES.read_bytes(), BRANCHES.name, LIBRARY)
    assert (found.known_as, found.kinds[0].kind, found.missing) == (None, "branch", [])
    assert found.mapping["columns"] == {
        "branch_id": {"aliases": ["Filiale"]}, "time_zone": {"aliases": ["Zeitzone"]}, "currency": {"aliases": ["Waehrung"]},
    }  # fmt: skip


def test_a_damaged_value_does_not_hide_how_the_others_are_written() -> None:
    days = ["31/01/2025 09:05"] * 8 + ["31/01/2025 25:00"]
    text = "Laden|Quittung|Verkaufszeit|Total CHF\n" + "".join(f"A|{number}|{day}|2.50\n" for number, day in enumerate(days))
    found = profile.profile(text.encode(), "journal_20250131.txt")
    assert (found.mapping["date_formats"], found.missing) == (["dd/MM/yyyy HH:mm"], [])
    assert (found.mapping["source"], found.mapping["columns"]["gross_amount"]) == ("journal", {"aliases": ["Total_CHF"]})


def test_what_is_unclear_is_said() -> None:
    found = profile.profile(b"store,receipt,date,amount\nS,1,01/02/2025,1.234\nS,2,03/02/2025,2.345\n", "x.csv")
    assert found.doubts == [
        "date could be MM/dd/yyyy as well: no day in this file is after the 12th",
        "amount holds numbers such as 1.234: decimal mark . is a guess",
    ]
    found = profile.profile(b"Bonnr;Datum;Betrag\n1;31.01.2025;2,50\n", "x.csv")
    assert found.missing == ["branch_id"]
    assert "branch_id: {from_path: branch}" in profile.as_text(found)
    with pytest.raises(TillhouseError, match="no header line"):
        profile.profile(b"1;2;3\n4;5;6\n", "x.csv")
    with pytest.raises(TillhouseError, match="no shipped mapping of format xml fits"):
        profile.profile(b"<a><b/></a>", "x.xml", LIBRARY)


def test_on_the_command_line_operators_and_cards_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bons.csv"
    file.write_text("Filiale;Bonnr;Datum;Betrag;Bediener;Kundenkarte\n1;1;31.01.2025;2,50;Erika;123456789\n", "utf-8")
    assert cli.main(["source", "profile", str(file), "--library", str(ROOT / "conf" / "library")]) == 0
    said = capsys.readouterr().out
    assert "operator: {aliases: [Bediener]}" in said
    assert "Erika" not in said
    assert "123456789" not in said
    assert cli.main(["source", "profile", str(tmp_path / "none.csv")]) == 2


def test_of_a_large_file_the_beginning_and_the_last_line_are_enough() -> None:
    rows = "".join(f'{number};"Notiz, die; lang ist\nund weiter geht";31.01.2025;2,50\n' for number in range(20_000))
    text = f"Bonnr;Notiz;Datum;Betrag\n{rows}Summe;;;50.000,00\n"
    found = profile.profile(text.encode(), "filiale_7.csv")
    assert found.mapping["csv"] == {"delimiter": ";", "footer_prefix": ["Summe"]}
    assert (found.kinds[0].kind, found.missing) == ("receipt", ["branch_id"])


def test_titles_and_totals_of_a_workbook_are_told() -> None:
    book = Workbook()
    day = datetime.fromisoformat("2025-01-31")
    head = ["Lager", "Material", "Per", "Bestand"]
    for row in (["Bestandsliste"], [], head, ["7", "A1", day, 12.5], ["Total", None, None, 12.5]):
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    found = profile.profile(buffer.getvalue(), "lagerliste.xlsx", kind="stock")
    assert found.mapping["workbook"] == {"skip_rows": 2, "footer_prefix": ["Total"]}
    assert found.kinds[0].kind == "stock"


def test_what_tells_of_persons_is_not_shown_and_consent_is_left_to_people() -> None:
    people = "Id;Vorname;Name;Mail;Handy;Geb.-Datum;Newsletter\n1;Erika;Muster;erika@example.com;0171 3920001;31.01.1980;ja\n"
    said = profile.as_text(profile.profile(people.encode(), "kunden.csv"))
    assert not any(text in said for text in ("Erika", "Muster", "erika@", "0171", "1980"))
    assert "consent in docs/sources.md: Newsletter" in said
    misplaced = "Filiale;Bonnr;Datum;Betrag;Team\n1;1;31.01.2025;2,50;erika@example.com\n"
    assert "erika@" not in profile.as_text(profile.profile(misplaced.encode(), "bons.csv"))


def test_the_kind_of_record_can_be_said_where_the_guess_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "export.csv"
    file.write_text("Nr;Bezeichnung;Start;Ende\n1;Herbst;01.09.2025;30.09.2025\n", "utf-8")
    library = ["--library", str(ROOT / "conf" / "library")]
    assert cli.main(["source", "profile", str(file), *library, "--kind", "product"]) == 0
    assert "product_id: {aliases: [Nr]}" in capsys.readouterr().out
    assert cli.main(["source", "profile", str(file), *library]) == 0
    assert "# Records of the kind campaign: 0.99; less likely: " in capsys.readouterr().out


def test_codes_are_translated_and_words_that_nobody_knows_are_asked_for() -> None:
    rows = "".join(f"{kind[:2]};{kind};31.01.2025;9,50;0\n" for kind in ("Rechnung", "Gutschrift", "Abschlag"))
    text = f"Belegnr;Belegart;Belegdatum;Betrag;Offen\n{rows}"
    found = profile.profile(text.encode(), "posten.csv")
    assert found.mapping["value_maps"] == {"item_type": {"Rechnung": "invoice", "Gutschrift": "credit_note"}}
    assert "Belegart holds Abschlag: say in value_maps which of invoice, credit_note, payment, dunning" in found.doubts


def test_every_field_has_names_and_every_name_is_of_a_field() -> None:
    fields = {name for known in FIELDS.values() for name in (field.name for field in known)}
    own = {f"{kind}.{field.name}" for kind, known in FIELDS.items() for field in known}
    assert synonyms.NAMES.keys() - {synonyms.TIME_OF_DAY} == fields
    assert synonyms.NAMES_OF_KIND.keys() <= own
    assert synonyms.CODES.keys() <= own | fields
    codes = {(name, code) for name, words in synonyms.CODES.items() for code in words}
    allowed = {(f"{kind}.{field.name}", code) for kind, known in FIELDS.items() for field in known for code in field.allowed}
    assert codes <= allowed | {(place.split(".")[1], code) for place, code in allowed}
    assert synonyms.KINDS.keys() == FIELDS.keys()


def test_the_proposed_pattern_is_that_of_the_file_in_its_folder_whatever_its_day() -> None:
    found = profile.profile(b"Filiale;Bonnr;Datum;Betrag\n1;1;31.01.2025;2,50\n", "journal/bons_20250131T2300-B7.csv")
    source = to_model(Source, yaml.safe_load(profile.as_text(found)), "proposal")
    assert (source.name, source.file_pattern) == ("bons", "journal/bons_*-B*.csv")
    assert source.match_path("journal/bons_20250201T2300-B12.csv") is not None
