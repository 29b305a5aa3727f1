"""Disk full, target read-only: a clear error that names place and remedy, and after it the gold of an undisturbed run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.sql import SparkSession

from tests.conftest import Chain
from tests.faults.conftest import arguments, assert_same, copy_of
from tests.faults.disks import read_only, small_disk
from tillhouse import cli
from tillhouse.faults import to_store_error


@pytest.fixture(autouse=True)
def _one_session(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cli, "open_session", lambda: spark)
    monkeypatch.setattr(cli, "log_to_stderr", lambda: None)
    yield
    monkeypatch.undo()


def test_a_full_disk_is_told_and_the_run_after_it_ends_as_if_it_had_not_been_full(
    evening: Chain, morning: Chain, tmp_path: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", spark) as disk:
        chain = copy_of(evening, disk.folder)
        for free in disk.shortages:
            disk.leave(free)
            code = cli.main(["run", *arguments(chain)])
            said = capsys.readouterr().err
            disk.leave(None)
            assert code == 1, free
            assert re.match(r"StoreError: (the lake|\w+\.\w+) cannot be written: (no space left on device|file too large)", said)
            assert "Remedy: make space, then start again" in said
            assert len(said.splitlines()) == 1, said
        assert cli.main(["run", *arguments(chain)]) == 0
        assert_same(chain, morning)
        assert not [path for path in (chain.lake / "ops" / "_lease").iterdir() if path.suffix != ".json"]


@pytest.mark.parametrize("target", ["lake", "vault"])
def test_a_read_only_target_is_told_and_once_it_is_writable_the_run_ends_as_usual(
    target: str, evening: Chain, morning: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = copy_of(evening, tmp_path / "chain")
    root = chain.folder / target
    with read_only(root):
        assert cli.main(["run", *arguments(chain)]) == 1
        said = capsys.readouterr().err
        assert re.match(
            r"StoreError: (the lake|\w+\.\w+) cannot be read or written: (read-only file system|permission denied)", said
        )
        assert str(root) in said
        assert "the right to read and write there" in said
        assert len(said.splitlines()) == 1, said
        assert cli.main(["doctor", *arguments(chain)]) == 1
        assert f"BAD  {target} {root}: " in capsys.readouterr().out
        assert cli.main(["status", *arguments(chain)]) == 0
    assert cli.main(["run", *arguments(chain)]) == 0
    assert_same(chain, morning)


def test_an_error_that_is_none_of_the_disk_stays_what_it_is(tmp_path: Path) -> None:
    assert to_store_error(ZeroDivisionError("x"), "gold.fact", [str(tmp_path)]) is None
    elsewhere = PermissionError(13, "Permission denied", "/elsewhere/file.csv")
    assert to_store_error(elsewhere, "gold.fact", [str(tmp_path)]) is None
    assert to_store_error(Py4JError("x"), "gold.fact", ["s3a://bucket/lake"]) is None


def test_the_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    error = PermissionError(30, "Read-only file system", str(tmp_path / "gold" / "x.parquet"))
    found = to_store_error(error, "gold.fact", [f"file:{tmp_path}"])
    assert found is not None
    assert f"gold.fact cannot be read or written: read-only file system ({tmp_path}/gold/x.parquet)" in str(found)
