"""Planted faults: files and rows that cannot be read, branches that nobody knows, the same file again under another name."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import duckdb

FIRST_ID = 90_500_000_000
AMOUNT = 999  # cents, of each broken row
# Rows of the ERP and the rule that each of them breaks.
ERP_ROWS = (
    ("F99999;1;{id};1;{day};09:00:00;;{product};1;9,99;0,00;0,00;0,00", "branch_unknown"),
    ("{branch};1;{id};1;{day};09:00:00;;{product};1;9,9O;0,00;0,00;0,00", "field_unreadable"),
    ("{branch};1;{id};1;{day};09:00:00;;{product};eins;9,99;0,00;0,00;0,00", "field_unreadable"),
    (";1;{id};1;{day};09:00:00;;{product};1;9,99;0,00;0,00;0,00", "field_missing"),
    ("{branch};1;{id};1;{day}", "record_broken"),
)
KEPT_OUT = 2  # the row of known branch, day and amount


def plant_broken(con: duckdb.DuckDBPyConnection, landing: Path) -> None:
    """Spoil the written deliveries; nothing that counts is touched."""
    _plant_erp_rows(con, landing / "erp" / "sales")
    _plant_cloud_row(con, landing / "cloud_till" / "sales")
    _plant_unknown_branch(con, landing / "poslog")
    _plant_broken_files(con, landing)
    _plant_again(con, landing / "dsfinvk")


def _first(folder: Path, pattern: str) -> Path | None:
    return next(iter(sorted(folder.glob(pattern))), None)


def _plant_erp_rows(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    found = con.execute(
        """
        SELECT branch_id, CAST(local_at AS DATE), product_id, receipts.week
        FROM receipts JOIN lines USING (basket_id, week, delay)
        WHERE system = 'erp' AND delay = 0 ORDER BY week, basket_id, position LIMIT 1
        """
    ).fetchone()
    if found is None:
        return
    branch, day, product, _ = found
    path = _first(folder, "kassenbons_*.csv")
    assert path is not None
    rows = []
    for number, (row, rule) in enumerate(ERP_ROWS):
        receipt = FIRST_ID + number
        rows.append(row.format(branch=branch, id=receipt, day=f"{day:%d.%m.%Y}", product=product))
        fate = "kept out by an error" + (", its amount is excluded" if number == KEPT_OUT else "")
        _note(con, rule, ("broken_row", "erp_sales", str(receipt), fate))
    con.execute(
        "UPDATE planted SET branch_id = $1, business_date = $2, excluded = $3 WHERE receipt_id = $4",
        [branch, day, AMOUNT, str(FIRST_ID + KEPT_OUT)],
    )
    with path.open("ab") as file:
        file.write("".join(f"{row}\r\n" for row in rows).encode("cp1252"))


def _plant_cloud_row(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    path = _first(folder, "receipts_*.jsonl")
    if path is None:
        return
    with path.open("ab") as file:
        file.write(b'{"receipt_id":"90500000100","location":"F1","items":[{"line":1,\n')
    _note(con, "record_broken", ("broken_row", "cloud_till_sales", "90500000100", "kept out by an error"))


def _plant_unknown_branch(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """A transaction of a branch without master data."""
    path = _first(folder, "*.xml")
    if path is None:
        return
    text = path.read_text("utf-8")
    end = text.index("</Transaction>") + len("</Transaction>\n")
    start = text.index("<Transaction")
    first = text[start:end]
    branch = first.split("</UnitID>")[0].rsplit(">", 1)[1]
    strange = first.replace(f">{branch}</UnitID>", ">F99998</UnitID>")
    path.write_text(text[:end] + strange + text[end:], "utf-8")
    _note(con, "branch_unknown", ("unknown_branch", "poslog", "F99998", "kept out until the branch's master data are there"))


def _plant_broken_files(con: duckdb.DuckDBPyConnection, landing: Path) -> None:
    """A further copy of a delivery, as a broken-off or changed export leaves it; the sound one counts."""
    broken: list[tuple[str, Path, bytes]] = []
    if path := _first(landing / "dsfinvk", "*.zip"):
        broken.append(("dsfinvk", path.with_name("broken_off.zip"), path.read_bytes()[:-200]))
    if path := _first(landing / "poslog", "*.xml"):
        content = path.read_bytes()
        broken.append(("poslog", _stamped(path, "T0501"), content[: len(content) * 2 // 3]))
    if path := _first(landing / "erp" / "sales", "kassenbons_*.csv"):
        header, _, rows = path.read_bytes().partition(b"\r\n")
        broken.append(("erp_sales", _stamped(path, "T0501"), header.replace(b";Betrag;", b";Wert;") + b"\r\n" + rows))
    if path := _first(landing / "category_totals", "*/*.csv"):
        broken.append(
            ("category_totals", _stamped(path, "T0501"), path.read_bytes() + "F1;01.01.2017;Gemüse;1;1,00\r\n".encode("cp1252"))
        )
    for source, path, content in broken:
        path.write_bytes(content)
        _note(con, "file_rejected", ("broken_file", source, str(path.relative_to(landing)), "rejected as a whole"))
    if (landing / "erp").is_dir():
        (landing / "erp" / "sales" / "hinweise.txt").write_text("Kassen 3 und 4 in Wartung\n", "utf-8")
        _note(con, "file_unmatched", ("broken_file", None, "erp/sales/hinweise.txt", "of no source"))


def _stamped(path: Path, stamp: str) -> Path:
    return path.with_name(path.name.replace("T0500", stamp))


def _plant_again(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """The same bytes under another name: told as a duplicate, read once."""
    path = _first(folder, "*T0500.zip")
    if path is not None:
        copy = path.with_name("once_more.zip")
        shutil.copyfile(path, copy)
        _plant(con, ("identical_file", "dsfinvk", f"dsfinvk/{copy.name}", "ignored as a duplicate"))


def _note(con: duckdb.DuckDBPyConnection, rule: str, row: tuple[str, str | None, str, str]) -> None:
    """Note a fault: kind, source, key and fate of what is planted, and the rule that lists it."""
    _plant(con, row)
    _, source, key, _ = row
    con.execute("INSERT INTO faults VALUES (?, ?, ?)", [rule, source, key if rule == "file_rejected" else None])


def _plant(con: duckdb.DuckDBPyConnection, row: Iterable[object]) -> None:
    con.execute("INSERT INTO planted (kind, source, receipt_id, fate) VALUES (?, ?, ?, ?)", list(row))
