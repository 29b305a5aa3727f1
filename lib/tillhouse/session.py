"""One Spark session for a whole night, and one without Java for a look at a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from py4j.java_gateway import JavaClass, JavaMember, JavaPackage, JVMView  # type: ignore[import-untyped]
from pyspark import SparkConf
from pyspark.sql import Column, DataFrame, SparkSession

from tillhouse.errors import TillhouseError

# A mapping becomes one large generated method. Above 8,000 bytes the JVM would interpret it for good, at half the speed.
# Spark fills more than the usual 240 MB with code, and would throw away what it has compiled.
JVM_OPTIONS = "-XX:-DontCompileHugeMethods -XX:+UseParallelGC -XX:ReservedCodeCacheSize=512m"

# Spark would take pages of 64 MB from a driver of 4 GB, for each sort, aggregate and broadcast of a handful of rows: a run that
# joins many small tables spends its time on clearing memory. A task may hold 8,192 pages, so that 4 MB are enough for any.
DEFAULTS = {"spark.buffer.pageSize": "4m"}

LOCAL_DEFAULTS = {
    **DEFAULTS,
    "spark.master": "local[*]",
    "spark.driver.memory": "4g",
    "spark.driver.extraJavaOptions": JVM_OPTIONS,
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "1",
}

SUBMITTED_DEFAULTS = {
    **DEFAULTS,
    "spark.executor.extraJavaOptions": JVM_OPTIONS,
    # An executor that was alone for a moment would hold for a minute the only copy of what is to be kept twice.
    "spark.storage.cachedPeersTtl": "0",
}


def open_session(app_name: str = "tillhouse", conf: Mapping[str, str] | None = None) -> SparkSession:
    """A session with Delta, ANSI arithmetic and UTC.

    What spark-submit or the caller sets wins; the sizes for one machine are set only where no master is given. No result
    depends on the session's time zone, UTC only makes what people see the same everywhere.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers need this environment, not the first python3 of PATH
    _remember_names()
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit has started the JVM and its conf holds
    settings = {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.files.maxPartitionBytes": "64m",
        "spark.databricks.delta.schema.autoMerge.enabled": "false",
        "spark.sql.parquet.compression.codec": "zstd",
        # Lines lie sorted by branch: a question about one branch reads a few of a month's row groups. Delta looks for it here.
        "parquet.block.size": str(4 << 20),
        "spark.ui.showConsoleProgress": "false",
        # Each use of a column would be noted with its place in the code: a third of the time that a small run plans.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        "spark.sql.dataFrameQueryContext.enabled": "false",
    }
    if not submitted:
        settings = {**LOCAL_DEFAULTS, **settings, "spark.ui.enabled": "false"}
    else:
        given = SparkConf()
        settings |= {key: value for key, value in SUBMITTED_DEFAULTS.items() if not given.contains(key)}
    builder = SparkSession.builder.appName(app_name)
    for key, value in {**settings, **(conf or {})}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


@cache
def _remember_names() -> None:
    """Ask the JVM for each of its packages, classes and their static methods once.

    PySpark does at each use of a function, Delta for each column of a new table; and each time, the JVM first looks in all of
    its jars for a class of that name, and through the class for the method.
    """
    for kind in (JVMView, JavaPackage, JavaClass):
        kind.__getattr__ = _remembering(kind.__getattr__)


def _remembering(look_up: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def remembered(self: Any, name: str) -> Any:  # noqa: ANN401 - whatever the JVM has
        found = look_up(self, name)
        if isinstance(found, JavaPackage | JavaClass | JavaMember):  # a static field may change
            self.__dict__[name] = found
        return found

    return remembered


@contextmanager
def open_light_session() -> Iterator[SparkSession]:
    """A session that starts in a second, for what one file holds: the same DataFrame code, run without Java.

    PySpark's own client (Spark Connect) hands the plans to Sail, an engine inside of this process. It knows no Delta and no JVM.
    A process has either this session or that of ``open_session``.

    Raises:
        TillhouseError: Sail is not installed.
    """
    os.environ.setdefault("RUST_LOG", "off")  # Sail's log
    os.environ.setdefault("no_grpc_proxy", "127.0.0.1,localhost")
    try:
        from pysail.spark import SparkConnectServer  # noqa: PLC0415 - only this session needs it
    except ImportError:
        raise TillhouseError(
            "pysail is not installed, which runs this without Java. Remedy: scripts/setup, or pip install 'tillhouse[check]'."
        ) from None
    _allow_no_columns()
    server = SparkConnectServer()
    server.start(background=True)
    host, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://{host}:{port}").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    try:
        yield spark
    finally:
        spark.stop()
        server.stop()


def _allow_no_columns() -> None:
    """``withColumns`` of nothing gives the rows as they are, as it does with Java; PySpark's client refuses it."""
    from pyspark.sql.connect.dataframe import DataFrame as ClientDataFrame  # noqa: PLC0415 - needs the client's packages

    with_columns = ClientDataFrame.withColumns

    def with_columns_or_none(rows: ClientDataFrame, *columns: dict[str, Column]) -> DataFrame:
        return with_columns(rows, *columns) if columns[0] else rows

    ClientDataFrame.withColumns = with_columns_or_none  # type: ignore[assignment,method-assign]
