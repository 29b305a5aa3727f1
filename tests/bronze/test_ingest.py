"""Five runs over one landing area; each test looks at what one of them has left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, Row, SparkSession

from tests.sources.mappings import JSON, source
from tillhouse.bronze import files, ingest
from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.ops.runs import utc_now
from tillhouse.sources.model import Source
from tillhouse.sources.readers import MAX_FILE_BYTES
from tillhouse.store import Since, Store
from tillhouse.tables import Table, ops
from tillhouse.tables.bronze import bronze_table

HEADER = "Filiale;Bonnr;Datum;Betrag"
LINE = "F1;1;31.01.2026;1,00"
RECEIPT = '{"branch":"F1","id":7,"time":"2026-01-31T10:00:00Z","items":[{"line":1,"amount":0.10}]}'
COUNTS = ("files_new", "files_loaded", "files_duplicate", "files_rejected", "files_held", "rows_read", "rows_broken")
ODD_NAMES = ("w 1", "ü#1%20+&='\"\\", "{x}[1]*?")


def text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def receipt(number: int) -> str:
    return LINE.replace(";1;", f";{number};")


@dataclass(frozen=True)
class State:
    """What a run has counted and left."""

    counts: dict[str, int]
    bronze: list[Row]
    cloud: list[Row]
    ledger: list[Row]
    columns: list[Row]
    commits: list[int]

    def rows_of(self, path: str) -> list[Row]:
        return sorted((row for row in self.bronze if row["_file"] == path), key=lambda row: int(row["_row"]))

    def told(self, path: str) -> list[Row]:
        """The ledger's rows about a path, the newest last."""
        return sorted((row for row in self.ledger if row["path"] == path), key=lambda row: str(row["loaded_at"]))

    def decided(self, path: str) -> dict[str, tuple[str, str | None]]:
        file_id = self.told(path)[-1]["file_id"]
        return {row["column_name"]: (row["decision"], row["field"]) for row in self.columns if row["file_id"] == file_id}


class Chain:
    """A landing area and a lake with nothing but bronze."""

    def __init__(self, folder: Path, spark: SparkSession) -> None:
        self.landing = folder / "landing"
        self.landing.mkdir()
        self.store = Store(spark, str(folder / "lake"), str(folder / "vault"))
        self.tables = [bronze_table("till", False), bronze_table("cloud", False), ops.FILE_LEDGER, ops.FILE_COLUMN]
        self.store.create_missing(self.tables)
        self.runs = 0

    def deliver(self, path: str, content: str) -> None:
        target = self.landing / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, "utf-8")

    def run(self, sources: Sequence[Source]) -> dict[str, int]:
        self.runs += 1
        started_at = datetime(2026, 2, 1) + timedelta(hours=self.runs)  # noqa: DTZ001 - as the pipeline hands it over
        return ingest.run(self.store, sources, str(self.landing), f"r{self.runs}", started_at)

    def state(self, counts: dict[str, int]) -> State:
        bronze, cloud, ledger, columns = (self.store.read(table).collect() for table in self.tables)
        return State(counts, bronze, cloud, ledger, columns, [self.store.version(table)[1] for table in self.tables])


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> list[State]:
    chain = Chain(tmp_path_factory.mktemp("bronze"), spark)
    sources = [source(changes="file_pattern: '*/{week}.csv'"), source(JSON)]
    for number, name in enumerate(ODD_NAMES, start=11):
        chain.deliver(f"till/{name}.csv", text(HEADER, receipt(number)))
    chain.deliver("till/a.csv", text(HEADER + ";_row;Betrag", LINE + ";x;", "F1;2", "", LINE + ";;7"))
    chain.deliver("till/b.csv", text("BETRAG;Datum;Bonnummer;Filiale", "1,00;;3;F2"))
    chain.deliver("till/same.csv", text(HEADER, receipt(4)))
    chain.deliver("copies/same.csv", text(HEADER, receipt(4)))
    chain.deliver("till/empty.csv", text(HEADER))
    chain.deliver("till/renamed.csv", text(HEADER.replace("Betrag", "Summe"), receipt(5)))
    chain.deliver("till/quote.csv", text(HEADER, LINE, 'F1;2;"x'))
    chain.deliver("till/a:b.csv", text(HEADER, receipt(6)))
    chain.deliver("till/zero bytes ü.csv", "")
    chain.deliver("cloud/zero.jsonl", "")
    chain.deliver("till/_writing.csv", text(HEADER, receipt(7)))
    chain.deliver(".cache/w.csv", text(HEADER, receipt(8)))
    chain.deliver("elsewhere/c.txt", text(HEADER, receipt(9)))
    chain.deliver("cloud/w.jsonl", text(RECEIPT, "oops"))
    states = [chain.state(chain.run(sources))]
    states.append(chain.state(chain.run(sources)))

    chain.deliver("till/quote.csv", text(HEADER, LINE, receipt(2)))
    chain.deliver("till/b.csv", text("BETRAG;Datum;Bonnummer;Filiale", "1,00;;3;F2", "2,00;;4;F2"))
    os.utime(chain.landing / "till/w 1.csv", (1, 1))
    wider = "{file_pattern: '*/{week}.csv', columns: {gross_amount: {aliases: [Betrag, Summe]}}}"
    sources = [source(changes=wider), source(JSON)]
    states.append(chain.state(chain.run(sources)))

    chain.deliver("till/late.csv", text(HEADER, *map(receipt, range(20, 23))))
    chain.deliver("cloud/late.jsonl", text(RECEIPT.replace("7", "8")))
    append = Store.append

    def killed(store: Store, table: Table, rows: DataFrame) -> None:
        if table is ops.FILE_LEDGER:
            raise KeyboardInterrupt
        append(store, table, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            chain.run(sources)
    states.append(chain.state({}))
    chain.deliver("till/late.csv", text(HEADER, *map(receipt, range(20, 24))))
    states.append(chain.state(chain.run(sources)))
    return states


@pytest.fixture(scope="module")
def first(states: list[State]) -> State:
    return states[0]


@pytest.fixture(scope="module")
def corrected(states: list[State]) -> State:
    return states[2]


def test_files_are_loaded_whatever_their_names(first: State) -> None:
    for name in ODD_NAMES:
        [row] = first.rows_of(f"till/{name}.csv")
        assert (row["_captured"], row["_row"], row["Betrag"]) == ({"week": name}, 2, "1,00")


def test_names_that_say_that_a_file_is_being_written_are_left_alone(first: State) -> None:
    assert not [row for row in first.ledger if "_writing" in row["path"] or ".cache" in row["path"]]


def test_bronze_holds_sound_and_broken_records_as_text_with_where_they_came_from(first: State) -> None:
    names = ["_row", "_broken", "_text", "Filiale", "Betrag", "row", "Betrag__2", "Bonnummer", "_run_id"]
    assert [[row[name] for name in names] for row in first.rows_of("till/a.csv") + first.rows_of("till/b.csv")] == [
        [2, None, None, "F1", "1,00", "x", "", None, "r1"],
        [3, "2 columns instead of 6", "F1;2", None, None, None, None, None, "r1"],
        [5, None, None, "F1", "1,00", "", "7", None, "r1"],
        [2, None, None, "F2", "1,00", None, None, "3", "r1"],
    ]
    sound, broken = sorted(first.cloud, key=lambda row: int(row["_row"]))
    assert (sound["id"], sound["items"]) == ("7", '[{"line":"1","amount":"0.10"}]')
    assert (broken["_row"], broken["_text"], broken["id"]) == (2, "oops", None)


def test_the_ledger_says_what_each_file_held(first: State) -> None:
    names = ["source", "status", "reason", "rows_read", "rows_accepted", "rows_rejected", "rows_ignored"]
    paths = ("till/a.csv", "cloud/w.jsonl", "till/empty.csv", "cloud/zero.jsonl")
    told = {path: [first.told(path)[0][name] for name in names] for path in paths}
    assert told == {
        "till/a.csv": ["till", "loaded", None, 3, 2, 1, 1],
        "cloud/w.jsonl": ["cloud", "loaded", None, 2, 1, 1, 0],
        "till/empty.csv": ["till", "loaded", None, 0, 0, 0, 0],
        "cloud/zero.jsonl": ["cloud", "loaded", None, 0, 0, 0, 0],
    }
    assert len(first.bronze) + len(first.cloud) == sum(row["rows_read"] for row in first.ledger) == first.counts["rows_read"]


def test_new_renamed_and_missing_columns_are_recorded(first: State) -> None:
    assert first.decided("till/a.csv") == {
        "Filiale": ("mapped", "branch_id"),
        "Bonnr": ("mapped", "receipt_id"),
        "Datum": ("mapped", "business_date"),
        "Betrag": ("mapped", "gross_amount"),
        "row": ("new", None),
        "Betrag__2": ("new", None),
    }
    assert first.decided("till/b.csv")["Bonnummer"] == ("renamed", "receipt_id")
    assert first.decided("cloud/w.jsonl")["items.amount"] == ("mapped", "gross_amount")


def test_the_same_content_under_another_name_is_a_duplicate(first: State) -> None:
    paths = ("copies/same.csv", "till/same.csv")
    assert [first.told(path)[0]["status"] for path in paths] == ["loaded", "duplicate"]
    assert [len(first.rows_of(path)) for path in paths] == [1, 0]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("till/renamed.csv", "column missing for gross_amount [Betrag]; not known to the mapping: Summe. Rule: mandatory field."),
        ("till/quote.csv", 'row 3: a quote " is opened and never closed. Rule: a text table. Remedy: export again;'),
        ("till/zero bytes ü.csv", "row 1: no header line. Rule: the first line after skip_rows (0) names the columns. Remedy: "),
        ("till/a:b.csv", "Hadoop cannot open a file with a colon in its name. Rule: no : in names. Remedy: deliver it under"),
        ("elsewhere/c.txt", "no source in conf/sources has a file_pattern for this path. Rule: every file belongs to a source."),
    ],
)
def test_a_rejected_file_has_its_reason_in_the_ledger_and_no_row_in_bronze(first: State, path: str, reason: str) -> None:
    [row] = first.told(path)
    assert (row["source"], row["status"], row["rows_read"]) == (None if "c.txt" in path else "till", "rejected", 0)
    assert row["reason"].startswith(reason)
    assert first.rows_of(path) == []


def test_a_run_without_anything_new_commits_nothing(states: list[State]) -> None:
    assert states[1].counts == dict.fromkeys(COUNTS, 0)
    assert states[1].commits == states[0].commits


def test_a_rejected_file_loads_when_it_or_its_mapping_is_corrected(corrected: State) -> None:
    assert [row["status"] for row in corrected.told("till/quote.csv")] == ["rejected", "loaded"]
    assert [row["status"] for row in corrected.told("till/renamed.csv")] == ["rejected", "loaded"]
    assert (len(corrected.rows_of("till/quote.csv")), len(corrected.rows_of("till/renamed.csv"))) == (2, 1)
    assert [row["status"] for row in corrected.told("elsewhere/c.txt")] == ["rejected"]


def test_a_path_that_is_delivered_again_with_other_content_is_loaded_again(corrected: State) -> None:
    assert [row["status"] for row in corrected.told("till/b.csv")] == ["loaded", "loaded"]
    assert [(row["_run_id"], row["_row"]) for row in corrected.rows_of("till/b.csv")] == [("r1", 2), ("r3", 2), ("r3", 3)]


def test_a_file_that_was_only_touched_is_a_duplicate(corrected: State) -> None:
    assert {row["status"] for row in corrected.told("till/w 1.csv")} == {"loaded", "duplicate"}
    assert len(corrected.rows_of("till/w 1.csv")) == 1
    assert corrected.counts == dict(zip(COUNTS, (4, 3, 1, 0, 0, 5, 0), strict=True))


def test_what_a_killed_run_has_left_is_taken_back_and_loaded_once(states: list[State]) -> None:
    killed, after = states[3], states[4]
    assert (len(killed.rows_of("till/late.csv")), len(killed.cloud)) == (3, 3)
    assert killed.ledger == states[2].ledger
    assert after.counts == dict(zip(COUNTS, (2, 2, 0, 0, 0, 5, 0), strict=True))
    assert [row["_run_id"] for row in after.rows_of("till/late.csv")] == ["r5"] * 4
    assert len(after.cloud) == 3
    assert {row["run_id"] for row in after.columns} == {"r1", "r3", "r5"}
    assert len(after.columns) == len({(row["file_id"], row["column_name"]) for row in after.columns})


class _Rows:
    """A store with one table of some runs' rows."""

    def __init__(self, rows: DataFrame) -> None:
        self.rows = rows

    def read(self, table: Table) -> DataFrame:
        assert table.schema == "bronze"
        return self.rows


def test_a_lost_ledger_does_not_make_bronze_lose_its_rows(spark: SparkSession) -> None:
    store: Any = _Rows(spark.createDataFrame([("r1",), ("r2",), ("r2",)], "_run_id STRING"))
    with pytest.raises(
        TillhouseError, match=r"bronze.till holds rows of runs that ops.file_ledger does not know: r1, r2\. Nothing"
    ):
        ingest._take_back(cast(Store, store), bronze_table("till", False), "_run_id", [])


def test_a_landing_area_may_be_empty_but_not_missing(spark: SparkSession, tmp_path: Path) -> None:
    assert files.list_deliveries(spark, str(tmp_path), [source()]) == []
    (tmp_path / "file").touch()
    for name in ("nowhere", "file"):
        with pytest.raises(
            TillhouseError, match=rf"{name}: no such folder\. Nothing was changed\. Remedy: create it, or name the"
        ):
            files.list_deliveries(spark, str(tmp_path / name), [source()])


def test_a_path_that_two_sources_match_is_told_with_both(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "till").mkdir()
    (tmp_path / "till/a.csv").touch()
    other = source(JSON, "file_pattern: 'till/*'")
    with pytest.raises(ConfigError) as error:
        files.list_deliveries(spark, str(tmp_path), [source(), other])
    assert str(error.value) == (
        "conf/sources/till.yml and conf/sources/cloud.yml: key 'file_pattern': both match till/a.csv; make the patterns distinct"
    )


def test_a_file_that_is_too_large_is_rejected_unread(spark: SparkSession) -> None:
    large = files.Delivery("till/a.csv", "nowhere", MAX_FILE_BYTES + 1, datetime(2026, 2, 1), source(), {})  # noqa: DTZ001
    [item] = files.inspect(spark, [large])
    assert (item.status, item.sha256, item.file_id) == ("rejected", None, None)
    assert item.reason == "the file is too large. Rule: at most 1024 MiB. Remedy: deliver it in parts."


def test_a_file_that_changes_while_it_is_read_is_not_loaded(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "till").mkdir()
    (tmp_path / "till/a.csv").write_text(text(HEADER, LINE))
    [item] = files.inspect(spark, files.list_deliveries(spark, str(tmp_path), [source()]))
    (tmp_path / "till/a.csv").write_text(text(HEADER, LINE, LINE))
    with pytest.raises(
        PythonException, match=r"till/a.csv was changed while it was read; nothing was loaded\. Remedy: run again"
    ):
        ingest.to_bronze(spark, source(), [item], "r1").collect()


def test_the_same_content_is_another_file_where_the_path_says_more() -> None:
    def loaded(path: str, branch: str) -> files.Inspection:
        delivery = files.Delivery(path, path, 1, datetime(2026, 2, 1), source(), {"branch": branch})  # noqa: DTZ001
        return files.Inspection(delivery, reason=None, sha256="same")

    found = files.with_duplicates([loaded("F1/a.csv", "F1"), loaded("F1/b.csv", "F1"), loaded("F2/a.csv", "F2")], set())
    assert [item.status for item in found] == ["loaded", "duplicate", "loaded"]


def test_a_table_is_counted_where_it_is_not_as_the_last_night_left_it(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, sources = Chain(tmp_path, spark), [source(changes="file_pattern: '*/{week}.csv'"), source(JSON)]
    chain.deliver("till/a.csv", text(HEADER, receipt(1)))
    chain.run(sources)
    left = Since({table.full_name: chain.store.version(table)[1] for table in chain.tables}, frozenset())
    counted, count = list[str](), Store.row_count

    def row_count(store: Store, table: Table) -> int:
        counted.append(table.name)
        return count(store, table)

    monkeypatch.setattr(Store, "row_count", row_count)

    def again() -> dict[str, int]:
        return ingest.run(chain.store, sources, str(chain.landing), "again", utc_now(), since=left)

    assert again()["files_loaded"] == 0
    assert counted == []
    till = bronze_table("till", False)
    chain.store.remove(till, "true")  # somebody has taken its rows away
    assert again()["files_loaded"] == 1
    assert counted == ["till"]
    assert chain.store.read(till).count() == 1
    ingest.run(chain.store, sources, str(chain.landing), "once more", utc_now())
    assert counted == ["till", "till", "cloud"]
