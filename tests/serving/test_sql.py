"""BI reads gold through the Thrift server: by JDBC and from Python, to the cent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest
from impala.dbapi import connect

from tests.conftest import ROOT, Chain
from tests.serving.readers import Sums, sums_query, told
from tillhouse.errors import ConfigError
from tillhouse.kpi.ask import ask, open_view
from tillhouse.serving import sql

JAVA = Path(os.environ["JAVA_HOME"], "bin", "java") if "JAVA_HOME" in os.environ else Path("java")
START = "import sys; from tillhouse.cli import main; sys.exit(main(sys.argv[1:]))"
PATIENCE = 240


@pytest.fixture(scope="module")
def port(demo_lake: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server over the small demo, as ``tillhouse serve sql`` starts it."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind((sql.LOOPBACK, 0))
        free = int(probe.getsockname()[1])
    roots = ["--lake", str(demo_lake.lake), "--vault", str(demo_lake.vault), "--conf-dir", str(ROOT / "conf")]
    command = [sys.executable, "-c", START, "serve", "sql", "--port", str(free), *roots]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
    try:
        deadline = time.monotonic() + PATIENCE
        while "jdbc:hive2" not in (folder / "log").read_text("utf-8"):
            assert server.poll() is None, (folder / "log").read_text("utf-8")
            assert time.monotonic() < deadline, (folder / "log").read_text("utf-8")
            time.sleep(0.2)
        yield free
    finally:
        server.terminate()
        assert server.wait(60) == 0
        assert [path.name for path in folder.iterdir()] == ["log"]


def test_a_python_client_reads_every_table_of_gold_to_the_cent(sums: tuple[Sums, dict[str, Sums]], port: int) -> None:
    with connect(sql.LOOPBACK, port, auth_mechanism="PLAIN", user="bi", timeout=PATIENCE) as connection:
        cursor = connection.cursor()
        cursor.execute(sums_query(lambda table: table.full_name))
        assert told(cursor.fetchall()) == sums[0]
        cursor.execute("DESCRIBE TABLE gold.fct_receipt")
        texts = {name: text for name, _, text in cursor.fetchall()}
        assert texts["revenue_amount"] == "KPI 1: signed sum of the revenue lines"


def test_jdbc_asks_the_metric_view(demo_lake: Chain, port: int) -> None:
    query = "SELECT region, MEASURE(revenue), MEASURE(baskets) FROM gold.sales GROUP BY region ORDER BY region"
    jars = Path(pyspark.__file__).parent / "jars"
    url = f"jdbc:hive2://{sql.LOOPBACK}:{port}/gold"
    options = ["-u", url, "-n", "bi", "--outputformat=csv2", "--showHeader=false", "--silent=true", "-e", query]
    command = [str(JAVA), "-cp", f"{jars}/*", "org.apache.hive.beeline.BeeLine", *options]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    open_view(demo_lake.store)
    rows = ask(demo_lake.store, ["revenue", "baskets"], ["region"]).collect()
    assert len(rows) > 1
    answers = [line.split("> ")[-1] for line in found.stdout.splitlines() if line.count(",") == 2]
    assert answers == [f"{row['region'] or ''},{row['revenue']},{row['baskets']}" for row in rows], found.stderr


def test_the_server_listens_on_this_machine_alone() -> None:
    sql.refuse_other_than_loopback("127.0.0.1")
    sql.refuse_other_than_loopback("::1")
    for host in ("0.0.0.0", "192.0.2.1", "localhost.example.org"):
        with pytest.raises(ConfigError, match=r"not a loopback address\. .* listens on 127\.0\.0\.1 only"):
            sql.refuse_other_than_loopback(host)


def test_a_port_that_is_taken_is_told_before_anything_starts() -> None:
    with socket.socket() as other:
        other.bind((sql.LOOPBACK, 0))
        other.listen()
        with pytest.raises(ConfigError, match=r"--port \d+: cannot be listened on"):
            sql.refuse_taken(sql.LOOPBACK, int(other.getsockname()[1]))
