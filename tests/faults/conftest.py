"""A tiny chain in the evening (one night is loaded, the next lies in the landing area), and the morning after a quiet night."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from tests.conftest import Chain
from tests.test_docs import write_shown_files
from tillhouse.store import table_path
from tillhouse.tables import Table, gold, ops, silver
from tillhouse.tables.lake import bronze_tables

RANDOM = {"customer_id", "customer_key"}
COMPARED = (*gold.TABLES, silver.RECEIPT, silver.RECEIPT_LINE, silver.RECEIPT_PAYMENT, silver.RECEIPT_VERSION, silver.BRANCH)
WEDNESDAY = """Receipt;Till;Date;Time;Kind;Article;Quantity;Amount;Customer card
1001;1;04.03.2025;08:30:00;V;4711;1;3,49;2900000000017
1002;1;04.03.2025;10:00:00;V;4730;1;5,00;2900000000024
1002;1;04.03.2025;10:00:00;P;;2;0,50;2900000000024
"""
CORRECTION = """Receipt;Till;Date;Time;Kind;Article;Quantity;Amount;Customer card
1001;1;03.03.2025;09:12:44;V;4711;3;10,47;
"""


def copy_of(chain: Chain, folder: Path) -> Chain:
    """The chain's lake, vault and landing area in another folder."""
    shutil.copytree(chain.folder, folder, dirs_exist_ok=True)
    return chain.in_folder(folder)


@pytest.fixture(scope="package")
def evening(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Chain:
    """The README's chain after a first night; a second trading day and a correction of the first have come since."""
    folder = tmp_path_factory.mktemp("evening")
    conf_dir = write_shown_files(tmp_path_factory.mktemp("faults_conf"))
    chain = Chain(folder, conf_dir, spark)
    shutil.copytree(conf_dir / "landing", chain.landing)
    chain.run()
    chain.deliver("corner_till/sales_B07_20250305T0500.csv", WEDNESDAY)
    chain.deliver("corner_till/sales_B07_20250306T0500.csv", CORRECTION)
    return chain


@pytest.fixture(scope="package")
def morning(evening: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The same chain after a second night that nothing disturbed."""
    chain = copy_of(evening, tmp_path_factory.mktemp("morning"))
    chain.run()
    return chain


def rows_of(chain: Chain, table: Table) -> Counter[str]:
    """The rows of a table without what may differ: technical columns and random ids. Read without Spark."""
    delta = DeltaTable(table_path(table, str(chain.lake), str(chain.vault)))
    names = [field.name for field in delta.schema().fields if not field.name.startswith("_") and field.name not in RANDOM]
    return Counter(repr(row) for row in delta.to_pyarrow_table(columns=sorted(names)).to_pylist())


def customers(chain: Chain) -> set[frozenset[str]]:
    """The customers as sets of their receipts, which no renaming changes."""
    delta = DeltaTable(table_path(gold.FCT_RECEIPT, str(chain.lake), str(chain.vault)))
    receipts: dict[str, set[str]] = {}
    for row in delta.to_pyarrow_table(columns=["customer_id", "receipt_key"]).to_pylist():
        if row["customer_id"] is not None:
            receipts.setdefault(row["customer_id"], set()).add(row["receipt_key"])
    return {frozenset(keys) for keys in receipts.values()}


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
    for table in (*bronze_tables(chain.config.sources), *COMPARED):
        assert rows_of(chain, table) == rows_of(undisturbed, table), table.full_name
    assert customers(chain) == customers(undisturbed)
    assert exceptions(chain) == exceptions(undisturbed)


def arguments(chain: Chain) -> list[str]:
    """What tells a command which lake it works on."""
    return ["--conf-dir", str(chain.conf_dir), f"--lake={chain.lake}", f"--vault={chain.vault}", f"--landing={chain.landing}"]
