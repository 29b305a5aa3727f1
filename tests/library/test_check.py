"""``tillhouse source check`` tells of every export of the library what a run makes of it, to the record and to the cent."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import Any

import pytest
from deltalake import DeltaTable

from tests.conftest import ROOT, Chain
from tests.library.trial import Trial
from tillhouse.silver.exceptions import CONFLICTING, PRODUCT_UNKNOWN
from tillhouse.silver.products import AMBIGUOUS, CATEGORY_UNKNOWN, NOT_DIVIDED, REUSED
from tillhouse.silver.references import REFERENCE
from tillhouse.silver.settlement import PAYMENTS_DIFFER
from tillhouse.tables import Table, entities, ops, silver

Row = dict[str, Any]
TABLES = {table.full_name: table for table in (*silver.TABLES, *entities.TABLES) if table.schema == "silver"}
# A run ranks the versions of all files, and knows the master data of other sources.
OF_SEVERAL_FILES = {
    silver.RECEIPT_VERSION.full_name: {"status"},
    entities.RECORD_VERSION.full_name: {"status"},
    silver.PRODUCT.full_name: {"category_l1", "category_l2", "category_l3"},  # of category_ref, by the mapping of categories
}
HISTORIES = tuple(table.full_name for table in (silver.BRANCH_VERSION, silver.PRODUCT_VERSION, entities.PARTY_VERSION))
OF_SEVERAL_RULES = (CONFLICTING, PRODUCT_UNKNOWN, AMBIGUOUS, CATEGORY_UNKNOWN, REUSED, NOT_DIVIDED, REFERENCE)
PAID_ELSEWHERE = (PAYMENTS_DIFFER, "square_items")  # what is told by another export, no single file shows
TELLS = (
    "exception_id",
    "rule",
    "severity",
    "source",
    "entity",
    "record_key",
    "branch_id",
    "business_date",
    "amount",
    "currency",
    "owner",
)


@pytest.fixture(scope="module")
def trials(library: Chain, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> list[Trial]:
    """What a check tells of files of every kind; with ``--long`` of each that is no copy of another."""
    target = tmp_path_factory.mktemp("trials") / "trials.pickle"
    command = [sys.executable, "-m", "tests.library.trial", str(library.conf_dir), str(library.landing), str(target)]
    if pytestconfig.getoption("--long"):
        command.append("--long")
    subprocess.run(command, cwd=ROOT, check=True, timeout=900)
    return [Trial(**told) for told in pickle.loads(target.read_bytes())]


@pytest.fixture(scope="module")
def lake(library: Chain) -> dict[str, list[Row]]:
    """The tables of silver and of the files as the run has left them."""
    tables = (*TABLES.values(), ops.FILE_LEDGER, ops.FILE_COLUMN)
    return {table.full_name: DeltaTable(library.store.path(table)).to_pyarrow_table().to_pylist() for table in tables}


def test_every_kind_of_export_is_tried(trials: list[Trial], lake: dict[str, list[Row]], pytestconfig: pytest.Config) -> None:
    tried = {trial.path for trial in trials}
    delivered = {row["path"] for row in lake["ops.file_ledger"] if row["status"] != "duplicate"}
    assert tried == delivered if pytestconfig.getoption("--long") else tried < delivered
    assert len(trials) > 25


def test_files_are_read_and_their_columns_decided_alike(trials: list[Trial], lake: dict[str, list[Row]]) -> None:
    ledger = {row["path"]: row for row in lake["ops.file_ledger"]}
    for trial in trials:
        told = ledger[trial.path]
        assert trial.file_id == told["file_id"], trial.path
        if told["status"] == "loaded":
            assert trial.rows == (told["rows_read"], told["rows_rejected"], told["rows_ignored"]), trial.path
            assert trial.reason is None
        if told["status"] == "rejected":
            assert trial.reason == told["reason"]
        decided = {
            (row["column_name"], row["decision"], row["field"])
            for row in lake["ops.file_column"]
            if row["file_id"] == trial.file_id
        }
        assert set(trial.columns) == decided, trial.path


def test_every_row_of_silver_is_the_same(trials: list[Trial], lake: dict[str, list[Row]]) -> None:
    compared = 0
    for trial in trials:
        current = current_receipts(lake, trial)
        for name, rows in trial.tables.items():
            is_history = name in HISTORIES  # of all files together
            is_assumed = name == silver.BRANCH.full_name and trial.source != "branches"
            if name == silver.EXCEPTION.full_name or is_history or is_assumed:
                continue
            table, every = TABLES[name], by_key(TABLES[name], lake[name])
            here = by_key(table, own(table, rows, trial, current))
            there = by_key(table, own(table, lake[name], trial, current))
            # Of a record that several files tell, the lake has what the newest says.
            here = {key: row for key, row in here.items() if key in every and is_of_file(every[key], trial)}
            if table is silver.PARTY:  # which several files may name
                there = {key: every[key] for key in here}
            assert here == there, f"{trial.path}: {name}"
            compared += len(there)
    assert compared > 150


def test_every_exception_is_the_same(trials: list[Trial], lake: dict[str, list[Row]]) -> None:
    compared = 0
    for trial in trials:
        current = current_receipts(lake, trial)
        open_ones = [row | {"context": json.loads(row["context"])} for row in lake["silver.exception"] if row["status"] == "open"]
        here, there = (
            {row["exception_id"]: told(row) for row in rows if is_of(row, trial, current)}
            for rows in (trial.exceptions, open_ones)
        )
        assert here == there, trial.path
        compared += len(there)
    assert compared > 5


def current_receipts(lake: dict[str, list[Row]], trial: Trial) -> set[str]:
    """The receipts and other records that are in the lake as this file tells them."""
    keys = {silver.RECEIPT_VERSION: "receipt_key", entities.RECORD_VERSION: "record_key"}
    return {
        row[key]
        for table, key in keys.items()
        for row in lake[table.full_name]
        if row["_file_id"] == trial.file_id and row["status"] in ("current", "rejected")
    }


def own(table: Table, rows: list[Row], trial: Trial, current: set[str]) -> list[Row]:
    """The rows that this file has brought into a table."""
    if table is not silver.RECEIPT_VERSION and "receipt_key" in table.column_names:
        return [row for row in rows if row["receipt_key"] in current]
    return [row for row in rows if is_of_file(row, trial)]


def is_of_file(row: Row, trial: Trial) -> bool:
    """Whether a row is of this file, or of none: a party that receipts name."""
    return row.get("_file_id") in (None, trial.file_id)


def by_key(table: Table, rows: list[Row]) -> dict[tuple[Any, ...], Row]:
    """The rows of a table without what depends on other files or on the run."""
    left_out = {"_run_id", *OF_SEVERAL_FILES.get(table.full_name, ())}
    return {
        tuple(row[name] for name in table.key): {name: value for name, value in row.items() if name not in left_out}
        for row in rows
    }


def is_of(row: Row, trial: Trial, current: set[str]) -> bool:
    """Whether an exception is of this file alone: of a receipt that it has brought, or of a record without key."""
    if (row["rule"], row["source"]) == PAID_ELSEWHERE:
        return False
    if row["source"] != trial.source or row["rule"] in OF_SEVERAL_RULES or row["context"].get("file") != trial.path:
        return False
    return row["_scope"] is None or row["_scope"] in current


def told(row: Row) -> Row:
    return {name: row[name] for name in (*TELLS, "context")}
