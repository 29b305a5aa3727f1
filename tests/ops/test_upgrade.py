"""A lake of the previous release: a run refuses it, an upgrade brings it forward, and the figures stay what they were."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from tests.conftest import ROOT, Chain
from tillhouse.config import Config, load_config
from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.ops import upgrade
from tillhouse.store import Store, Stored
from tillhouse.tables import Table, gold, ops, receipt_details, silver
from tillhouse.tables.lake import tables_of

# silver as contract version 1 had it
OLD_VERSION = Table(
    schema="silver",
    name="receipt_version",
    grain="one row per receipt and file that delivered it",
    columns="""
        receipt_key STRING NOT NULL, source STRING NOT NULL, _file_id STRING NOT NULL, version_at TIMESTAMP,
        content_hash STRING NOT NULL, status STRING NOT NULL, record_count BIGINT NOT NULL, line_count BIGINT NOT NULL,
        amount_read DECIMAL(38,5) NOT NULL, rejected_count BIGINT NOT NULL, rejected_amount DECIMAL(38,5) NOT NULL,
        repeated_count BIGINT NOT NULL, repeated_amount DECIMAL(38,5) NOT NULL
    """,
    key=("receipt_key", "_file_id"),
)
OLD_EXCEPTION = Table(
    schema="silver",
    name="exception",
    grain="one row per fault of a record, file or reference; the same fault tomorrow is the same row",
    columns="""
        exception_id STRING NOT NULL, rule STRING NOT NULL, severity STRING NOT NULL, source STRING, entity STRING NOT NULL,
        record_key STRING NOT NULL, branch_id STRING, business_date DATE, amount DECIMAL(18,2), currency STRING,
        context STRING NOT NULL, owner STRING, assigned_to STRING, due_at TIMESTAMP, escalate_to STRING, status STRING NOT NULL,
        first_seen_run STRING NOT NULL, resolved_run STRING, resolution STRING, reason STRING, decided_by STRING,
        decided_at TIMESTAMP
    """,
    key=("exception_id",),
)
SINCE_VERSION_2 = ("tillhouse.contractVersion", "delta.enableChangeDataFeed", "delta.dataSkippingStatsColumns")


def make_old(store: Store, table: Table) -> None:
    """Put a table's rows into the layout of version 1."""
    schema = table.struct
    rows = store.spark.createDataFrame(store.read(table).select(*schema.names).collect(), schema)
    shutil.rmtree(store.path(table))
    store.create_missing([table])
    store.append(table, rows)


def forget_properties(store: Store, tables: Sequence[Table]) -> None:
    names = ", ".join(f"'{name}'" for name in SINCE_VERSION_2)
    for table in tables:
        store.spark.sql(f"ALTER TABLE delta.`{store.path(table)}` UNSET TBLPROPERTIES IF EXISTS ({names})")


def content(store: Store, table: Table) -> list[Row]:
    names = [name for name in table.column_names if not name.startswith("_")]
    return sorted(store.read(table).select(*names).collect(), key=str)


def test_a_lake_of_the_previous_release_is_brought_forward(readme_copy: Chain) -> None:
    chain = readme_copy
    store, tables = chain.store, tables_of(chain.config.sources)
    waived = F.col("record_key") == "4711"
    decided = store.read(silver.EXCEPTION).withColumns(
        {
            "status": F.when(waived, "waived").otherwise(F.col("status")),
            "reason": F.when(waived, "an own product"),
            "decided_by": F.when(waived, "Ms Example"),
        }
    )
    store.overwrite(silver.EXCEPTION, decided)
    figures = {table.full_name: content(store, table) for table in gold.TABLES}
    exceptions, customers = content(store, OLD_EXCEPTION), content(store, silver.PARTY_CUSTOMER)
    delivered = content(store, silver.RECEIPT_VERSION)
    make_old(store, OLD_VERSION)
    make_old(store, OLD_EXCEPTION)
    forget_properties(store, [table for table in tables if table.version > 1])
    new = receipt_details.TABLES[1:]  # the older release did not have them
    for table in new:
        shutil.rmtree(store.path(table))
    old = [table for table in tables if table not in new]
    on_disk = {table.full_name: store.version(table) for table in old}

    with pytest.raises(ConfigError, match=r"older tillhouse: bronze\.branches, .*run `tillhouse upgrade` \(jobs/upgrade\.py\)"):
        chain.run()
    assert {table.full_name: store.version(table) for table in old} == on_disk

    done = upgrade.upgrade(store, chain.config)
    assert {line.split()[0] for line in done} == {table.full_name for table in tables if table.version > 1}
    assert "silver.exception 1 -> 3: columns added: opened_at, escalations, decisions, _scope" in done
    assert "bronze.corner_till 1 -> 2: properties set" in done
    assert [line for line in done if "made anew" in line] == [
        "silver.receipt_version 1 -> 3: made anew (column is_deletion may not be empty; column _month may not be empty; "
        "partitioned by nothing); the next run fills it"
    ]
    for table in old:
        stored = store.stored(table)
        assert stored is not None
        assert stored.contract_version == table.version
        assert upgrade.to_change(table, stored).obstacles == ()
        assert table.properties.items() <= stored.properties.items()
    assert content(store, OLD_EXCEPTION) == exceptions
    kept = {table.full_name: store.version(table)[0] for table in old if table is not silver.RECEIPT_VERSION}
    assert kept == {name: on_disk[name][0] for name in kept}

    assert upgrade.upgrade(store, chain.config) == []
    results = chain.run()
    assert {result.step: result.reason for result in results if result.step != "bronze"} == dict.fromkeys(
        ("silver", "delivery", "identity", "gold", "kpi"), "first run"
    )
    assert {table.full_name: content(store, table) for table in gold.TABLES} == figures
    assert content(store, OLD_EXCEPTION) == exceptions
    assert all(store.exists(table) for table in new)
    assert content(store, silver.PARTY_CUSTOMER) == customers
    assert content(store, silver.RECEIPT_VERSION) == delivered
    assert [result.status for result in chain.run()] == ["unchanged"] * len(results)


FACT = Table("gold", "fact", "one row", "id INT NOT NULL", ("id",))
WIDER = replace(FACT, columns="id INT NOT NULL, note STRING COMMENT 'what one''s note says'", version=2)
LAID_OUT = replace(FACT, columns="id INT NOT NULL, _month STRING NOT NULL", partition_by=("_month",), version=2)


@pytest.fixture
def config() -> Config:
    return load_config(ROOT / "conf")


@pytest.fixture
def store(tmp_path: Path, spark: SparkSession) -> Store:
    """Two tables of version 1 with a row, and a step that has come to version 7."""
    store = Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault"))
    store.create_missing([ops.RUN_STEP, ops.WATERMARK, FACT, replace(FACT, name="other")])
    for table in (FACT, replace(FACT, name="other")):
        store.append(table, spark.createDataFrame([(1,)], table.struct))
    mark = [("kpi", "gold.kpi_branch_day", "gold.fact", "x", 7, "")]
    store.append(ops.WATERMARK, spark.createDataFrame(mark, ops.WATERMARK.struct))
    return store


def contracts(monkeypatch: pytest.MonkeyPatch, *tables: Table) -> None:
    monkeypatch.setattr(upgrade, "tables_of", lambda sources: (ops.RUN_STEP, ops.WATERMARK, *tables))


def test_an_upgrade_that_is_killed_at_any_commit_is_ended_by_the_next(
    store: Store, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = (WIDER, replace(LAID_OUT, name="other"))
    contracts(monkeypatch, *new)
    commits: list[str] = []

    def once_more(table: str) -> None:
        """Each commit is reached, and the first time it is, the process dies."""
        if table not in commits:
            commits.append(table)
            raise KeyboardInterrupt
        commits.append(table)

    store.before_commit = once_more
    kills = 0
    while True:
        try:
            upgrade.upgrade(store, config)
            break
        except KeyboardInterrupt:
            kills += 1
            with pytest.raises(ConfigError, match="older tillhouse"):
                store.create_missing(new)
    assert kills == 3
    assert store.read(ops.WATERMARK).count() == 0
    assert [tuple(row) for row in store.read(WIDER).collect()] == [(1, None)]
    assert store.read(WIDER).schema["note"].metadata["comment"] == "what one's note says"
    assert store.read(new[1]).count() == 0
    store.create_missing(new)


def test_a_column_is_not_added_twice(store: Store, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    contracts(monkeypatch, WIDER)
    store.add_columns(WIDER, [WIDER.field("note")])
    assert upgrade.upgrade(store, config) == ["gold.fact 1 -> 2: properties set"]


def test_properties_alone_recompute_nothing(store: Store, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    contracts(monkeypatch, replace(FACT, statistics=("id",), version=2))
    assert upgrade.upgrade(store, config) == ["gold.fact 1 -> 2: properties set"]
    assert store.read(ops.WATERMARK).count() == 1
    assert store.read(FACT).count() == 1


def test_comments_become_those_of_the_release(store: Store, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    told = replace(FACT, columns="id INT NOT NULL COMMENT 'what one''s number is'", grain="one row per fact")
    contracts(monkeypatch, told)
    assert upgrade.upgrade(store, config) == ["gold.fact comments: 2 as in the contract"]
    stored = store.stored(told)
    assert stored is not None
    assert (stored.struct, stored.grain) == (told.struct, "one row per fact")
    assert upgrade.upgrade(store, config) == []


def test_what_was_there_before_a_table_was_made_anew_can_still_be_read(
    store: Store, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    contracts(monkeypatch, LAID_OUT)
    before = store.version(FACT)[1]
    upgrade.upgrade(store, config)
    assert store.spark.read.format("delta").option("versionAsOf", before).load(store.path(FACT)).collect() == [Row(id=1)]


def test_a_table_that_only_people_could_fill_again_is_never_emptied(
    store: Store, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = replace(FACT, schema="ops", name="decision")
    store.create_missing([decision])
    contracts(monkeypatch, WIDER, replace(LAID_OUT, schema="ops", name="decision"))
    before = [store.version(table) for table in (FACT, decision, ops.WATERMARK)]
    with pytest.raises(TillhouseError, match=r"ops\.decision: column _month may not be empty, partitioned by nothing"):
        upgrade.upgrade(store, config)
    assert [store.version(table) for table in (FACT, decision, ops.WATERMARK)] == before


def test_a_lake_of_a_newer_release_is_left_alone(store: Store, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    store.set_properties(FACT, {"tillhouse.contractVersion": "3"})
    missing = replace(FACT, name="missing")
    with pytest.raises(ConfigError, match=r"made by a newer tillhouse: gold\.fact\. Remedy: install that release"):
        store.create_missing([WIDER, missing])
    assert not store.exists(missing)
    contracts(monkeypatch, WIDER)
    with pytest.raises(ConfigError, match="made by a newer tillhouse"):
        upgrade.upgrade(store, config)


def test_where_there_is_no_lake_there_is_nothing_to_upgrade(tmp_path: Path, spark: SparkSession, config: Config) -> None:
    with pytest.raises(TillhouseError, match="holds no lake yet"):
        upgrade.upgrade(Store(spark, str(tmp_path / "lake"), str(tmp_path / "vault")), config)
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("columns", "obstacle"),
    [
        ("id BIGINT NOT NULL", "column id was int"),
        ("id INT", "column id could not be empty"),
        ("number INT", "column id is gone"),
        ("id INT NOT NULL, note STRING NOT NULL", "column note may not be empty"),
    ],
)
def test_rows_cannot_be_kept_where_a_column_means_something_else(spark: SparkSession, columns: str, obstacle: str) -> None:
    assert spark
    change = upgrade.to_change(replace(FACT, columns=columns, version=2), Stored(FACT.struct, (), {}))
    assert change.obstacles == (obstacle,)
    assert change.makes_recompute
    assert re.search(r"made anew \(column \w+ .*\); the next run fills it", str(change))
