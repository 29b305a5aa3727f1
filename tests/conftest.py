"""One Spark session for all tests of a process, and the small chains that they share."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tillhouse import pipeline
from tillhouse.config import Config, load_config
from tillhouse.frames import IS_LITTLE
from tillhouse.ops.runs import Run, StepResult, new_run_id, utc_now
from tillhouse.session import open_session
from tillhouse.store import FOR_LITTLE, Store
from tillhouse.tables import Table

# Hadoop starts a process for each look at a link and for each right that it sets: a cheap start saves as much as some tests take.
CHEAP_STARTS = "-Djdk.lang.Process.launchMechanism=VFORK"
# A JVM that a test starts lives for less than it would take to compile its code well; the session's lives for half an hour.
SHORT_LIVED = f"{CHEAP_STARTS} -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
os.environ["JDK_JAVA_OPTIONS"] = CHEAP_STARTS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from make_demo_exports import make_exports  # noqa: E402 - a script, not a package

# Words of test files that use a chain which several files share; those of one chain stay in one process.
SHARED_CHAINS = {"demo": ("demo_lake",), "readme": ("readme_lake", "readme_copy"), "library": ("library: Chain",)}
SLOWEST = (
    "library", "demo", "tests/integration/test_increments.py", "tests/integration/test_plain_demo.py", "readme",
    "tests/identity/test_step.py", "tests/integration/test_whole_chain.py", "tests/integration/test_deliveries.py",
    "tests/ops/test_deliveries.py", "tests/integration/test_records.py",
)  # fmt: skip
SLOW_ROOMS = ("tests/integration", "tests/faults", "tests/ops", "tests/bronze", "tests/test_jobs.py", "tests/identity")

# What a run sets for as little as nearly all tests have; with two partitions, so that rows meet and part.
LITTLE = {**FOR_LITTLE, "spark.sql.shuffle.partitions": "2"}
# What it sets for much.
MUCH = {
    IS_LITTLE: "false",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.adaptive.enabled": "true",
}


MEASURED_AS_OF = date(2017, 2, 15)  # and as of the first of February: customers move in between
BY_MONTH = """
every: month
reorder: {population: all}
affinity: {minimum_baskets: 5, minimum_pairs: 3}
"""


class ByChain(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process the files of a chain, or a single file, at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.split("::", maxsplit=1)[0])


@cache
def group_of(path: str) -> str:
    text = (ROOT / path).read_text("utf-8")
    return next((chain for chain, words in SHARED_CHAINS.items() if any(word in text for word in words)), path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByChain:
    return ByChain(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the tests that take minutes each")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long begins first; what takes very long is left out unless it is asked for."""
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]

    def rank(item: pytest.Item) -> tuple[int, str]:
        group = group_of(item.nodeid.split("::")[0])
        if group in SLOWEST:
            return SLOWEST.index(group), group
        return len(SLOWEST) + (not group.startswith(SLOW_ROOMS)), group

    items.sort(key=rank)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = open_session(
        "tests",
        {
            "spark.master": "local[2]",
            "spark.driver.memory": "3g",
            **LITTLE,
            "spark.default.parallelism": "2",
            "spark.databricks.delta.snapshotPartitions": "1",
            "spark.ui.enabled": "false",
        },
    )
    os.environ["JDK_JAVA_OPTIONS"] = SHORT_LIVED
    yield session
    session.stop()


@dataclass(frozen=True)
class Chain:
    """A chain on disk with its lake, and how to run it."""

    folder: Path
    conf_dir: Path
    spark: SparkSession

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def truth(self) -> Path:
        return self.folder / "truth"

    @property
    def config(self) -> Config:
        return load_config(self.conf_dir, str(self.lake), str(self.vault), str(self.landing))

    @property
    def store(self) -> Store:
        return Store(self.spark, str(self.lake), str(self.vault))

    def run(
        self,
        as_of: date | None = None,
        full: bool = False,
        now: datetime | None = None,
        *,
        from_step: str | None = None,
        to_step: str = "kpi",
    ) -> list[StepResult]:
        """The steps, as ``tillhouse run`` does, but for figures about customers; the audit must agree."""
        started_at = now or utc_now()
        job = Run(self.store, self.config, new_run_id(started_at), started_at, as_of, full)
        results = pipeline.run(job, pipeline.select(from_step=from_step, to_step=to_step))
        pipeline.check_audit(job)
        return results

    def in_folder(self, folder: Path) -> Chain:
        return replace(self, folder=folder)

    def deliver(self, path: str, content: str | bytes) -> None:
        """Put a file into the landing area."""
        target = self.landing / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture(scope="session", autouse=True)
def _token_key() -> None:
    os.environ["TILLHOUSE_TOKEN_KEY"] = secrets.token_hex(32)


@pytest.fixture(scope="session", autouse=True)
def make_table() -> Iterator[Callable[[Store, Table], None]]:
    """A new table is a copy, with its own id, of the first of its contract: to make a lake's tables takes as long as a run.

    This is how a table is truly made.
    """
    build, made = Store._build, dict[Table, tuple[str, dict[str, str]]]()

    def copy_or_build(store: Store, table: Table) -> None:
        log = Path(store.path(table)) / "_delta_log"
        if table in made:
            old_id, files = made[table]
            new_id = str(uuid.uuid4())
            (log / "_staged_commits").mkdir(parents=True)
            for name, text in files.items():
                (log / name).write_text(text.replace(old_id, new_id), "utf-8")
            store._snapshot(table)  # Delta has looked there before and remembers that there was nothing
        else:
            build(store, table)
            files = {name: (log / name).read_text("utf-8") for name in (f"{0:020}.crc", f"{0:020}.json")}
            made[table] = store.version(table)[0], files

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "_build", copy_or_build)
        yield build


@pytest.fixture(scope="session")
def demo_exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports of four branches and four weeks, both till systems among them."""
    folder = tmp_path_factory.mktemp("demo")
    make_exports(folder, weeks=4, branches=4, plain=True)
    return folder


@pytest.fixture(scope="session")
def demo_lake(demo_exports: Path, spark: SparkSession, pytestconfig: pytest.Config) -> Chain:
    """The small plain demo after one run, by sessions of other time zones; with ``--long`` made as if it were much.

    Customers are measured by months, so that some move in these four weeks. Tests only read it.
    """
    conf = demo_exports / "conf"
    shutil.copytree(ROOT / "conf", conf)
    (conf / "insight.yml").write_text(BY_MONTH, "utf-8")
    chain = Chain(demo_exports, conf, spark)
    with time_zone(spark, "Asia/Tokyo"), settings(spark, MUCH if pytestconfig.getoption("--long") else {}):
        chain.run()
    with time_zone(spark, "America/New_York"):
        chain.run(as_of=MEASURED_AS_OF, from_step="insight", to_step="insight")
    return chain


def time_zone(spark: SparkSession, zone: str) -> AbstractContextManager[None]:
    """A session of that zone; afterwards it is UTC again."""
    return settings(spark, {"spark.sql.session.timeZone": zone})


@contextmanager
def settings(spark: SparkSession, given: Mapping[str, str]) -> Iterator[None]:
    """A session with these settings; afterwards they are what they were."""
    before = {name: str(spark.conf.get(name)) for name in given}
    for name, value in given.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


@pytest.fixture(scope="session")
def readme_lake(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Chain:
    """The README's chain after one run. Tests only read it, or copy it."""
    from tests.test_docs import write_shown_files  # noqa: PLC0415 - pytest has to rewrite its assertions first

    conf_dir = write_shown_files(tmp_path_factory.mktemp("readme_lake"))
    chain = Chain(conf_dir, conf_dir, spark)
    chain.run()
    return chain
