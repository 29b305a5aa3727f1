"""Copies of the README's chain for tests that harm them, and the comparison with the lake that nothing has disturbed."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from compare_lakes import COMPARED, compare
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from tests.conftest import Chain
from tillhouse import cli
from tillhouse.store import Store, table_path
from tillhouse.tables import Table, ops, silver
from tillhouse.tables.lake import bronze_tables


def copy_of(chain: Chain, folder: Path) -> Chain:
    """The chain's lake, vault and landing area in another folder."""
    shutil.copytree(chain.folder, folder, dirs_exist_ok=True)
    return chain.in_folder(folder)


def fresh_copy_of(chain: Chain, folder: Path) -> Chain:
    """The chain before its first run, in another folder."""
    fresh = copy_of(chain, folder)
    shutil.rmtree(fresh.lake)
    shutil.rmtree(fresh.vault)
    return fresh


@pytest.fixture
def in_this_session(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of ``cli.main`` work in the session of the tests and leave logging alone."""
    monkeypatch.setattr(cli, "open_session", lambda: spark)
    monkeypatch.setattr(cli, "log_to_stderr", lambda: None)


@pytest.fixture
def tables_are_truly_made(make_table: Callable[[Store, Table], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "_build", make_table)


def rows_of(chain: Chain, table: Table) -> Counter[str]:
    """The rows of a table without technical columns, read without Spark."""
    delta = DeltaTable(table_path(table, str(chain.lake), str(chain.vault)))
    names = [field.name for field in delta.schema().fields if not field.name.startswith("_")]
    return Counter(repr(row) for row in delta.to_pyarrow_table(columns=sorted(names)).to_pylist())


def exceptions(chain: Chain) -> set[tuple[str, str]]:
    delta = DeltaTable(table_path(silver.EXCEPTION, str(chain.lake), str(chain.vault)))
    return {(row["exception_id"], row["status"]) for row in delta.to_pyarrow_table().to_pylist()}


def loaded(chain: Chain) -> Counter[tuple[str, int]]:
    """The files that count as loaded, and their records."""
    delta = DeltaTable(table_path(ops.FILE_LEDGER, str(chain.lake), str(chain.vault)))
    rows = delta.to_pyarrow_table(columns=["path", "status", "rows_read"]).to_pylist()
    return Counter((row["path"], row["rows_read"]) for row in rows if row["status"] == "loaded")


def assert_same(chain: Chain, undisturbed: Chain) -> None:
    """Every record was loaded once, and gold, silver and open exceptions are the same."""
    assert loaded(chain) == loaded(undisturbed)
    for table in bronze_tables(chain.config.sources):
        assert rows_of(chain, table) == rows_of(undisturbed, table), table.full_name
    for table in (*COMPARED, silver.BRANCH, silver.RECEIPT_PAYMENT):
        assert not compare(undisturbed.lake, chain.lake, table).differing, table.full_name
    assert exceptions(chain) == exceptions(undisturbed)


NIGHT = ("run", "--to-step", "kpi")  # all that the lake of before has gone through


def arguments(chain: Chain) -> list[str]:
    """What tells a command which lake it works on."""
    return ["--conf-dir", str(chain.conf_dir), f"--lake={chain.lake}", f"--vault={chain.vault}", f"--landing={chain.landing}"]
