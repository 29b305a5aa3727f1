"""SQL for BI: Spark's Thrift server over the gold tables and metric views of a lake (JDBC, ODBC, HiveServer2 protocol)."""

from __future__ import annotations

import ipaddress
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from tillhouse.config import Config
from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.kpi.ask import open_view
from tillhouse.kpi.metrics import VIEWS
from tillhouse.session import open_session
from tillhouse.store import Store
from tillhouse.tables import gold
from tillhouse.tables.lake import tables_of

LOOPBACK = "127.0.0.1"
PORT = 10000


def serve(config: Config, host: str, port: int, say: Callable[[str], None]) -> None:
    """Answer queries until the process is asked to end.

    Raises:
        ConfigError: the address is not a loopback one, or the port is taken.
        TillhouseError: there is no lake yet.
    """
    refuse_other_than_loopback(host)
    refuse_taken(host, port)
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    with tempfile.TemporaryDirectory(prefix="tillhouse-sql-") as folder:
        spark = open_session("tillhouse sql", session_conf(folder, host, port))
        store = Store(spark, config.lake, config.vault)
        store.refuse_damaged(tables_of(config.sources))
        views = publish(store)
        with started(spark, folder):
            say(f"{len(gold.TABLES)} tables and {', '.join(views)} at jdbc:hive2://{host}:{port}/gold; Ctrl-C ends it")
            ended.wait()
        spark.stop()


def refuse_other_than_loopback(host: str) -> None:
    """The server asks nobody for a name or password: only programs of this machine may reach it.

    Raises:
        ConfigError: the address can be reached from elsewhere, or is a name.
    """
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ConfigError(
            f"--host {host}: not a loopback address. The server lets everybody in who reaches it, so it listens on {LOOPBACK} "
            "only; people elsewhere come through something that knows them, such as an ssh tunnel."
        )


def refuse_taken(host: str, port: int) -> None:
    """Raises ConfigError if another program listens there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"--port {port}: cannot be listened on: {error.strerror}. Give another one.") from None


def session_conf(folder: str, host: str, port: int) -> dict[str, str]:
    """Settings of the server's session. What Hive wants to write lies in a folder that goes with the server."""
    hive = {
        "hive.server2.thrift.bind.host": host,
        "hive.server2.thrift.port": str(port),
        "hive.exec.scratchdir": f"{folder}/scratch",
        "hive.exec.local.scratchdir": f"{folder}/local",
        "hive.downloaded.resources.dir": f"{folder}/resources",
        "hive.querylog.location": f"{folder}/queries",
        "hive.server2.logging.operation.log.location": f"{folder}/operations",
    }
    return {"spark.sql.warehouse.dir": f"{folder}/warehouse", **{f"spark.hadoop.{name}": value for name, value in hive.items()}}


def publish(store: Store) -> list[str]:
    """Make every gold table and metric view known by its location; returns the names of the views.

    The catalogue is derived and lives in memory, the lake stays the truth: each query reads the newest version.

    Raises:
        TillhouseError: a table does not exist.
    """
    missing = [table.full_name for table in gold.TABLES if not store.exists(table)]
    if missing:
        raise TillhouseError(f"{store.lake} has no {', '.join(missing)} yet; start with `tillhouse run` or `tillhouse upgrade`")
    store.register(*gold.TABLES)
    open_view(store, *VIEWS)
    known = {table.name for table in gold.TABLES}
    return [
        f"gold.{row['tableName']}" for row in store.spark.sql("SHOW TABLES IN gold").collect() if row["tableName"] not in known
    ]


@contextmanager
def started(spark: SparkSession, folder: str) -> Iterator[None]:
    """The server in this session's JVM, with what its database in memory (Derby) logs in a folder; ended on the way out."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    jvm.java.lang.System.setProperty("derby.system.home", folder)
    server = jvm.org.apache.spark.sql.hive.thriftserver.HiveThriftServer2.startWithSparkSession(spark._jsparkSession, False)
    try:
        yield
    finally:
        server.stop()
