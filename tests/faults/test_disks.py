"""Disk full, target read-only: a clear error that names place and remedy, and after it the gold of an undisturbed run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.sql import SparkSession

from tests.conftest import Chain
from tests.faults.conftest import NIGHT, arguments, assert_same, fresh_copy_of
from tests.faults.disks import read_only, small_disk
from tillhouse import cli
from tillhouse.faults import to_store_error

pytestmark = pytest.mark.usefixtures("in_this_session", "tables_are_truly_made")
WHAT = r"StoreError: (the lake|\w+\.\w+) cannot be "


def test_a_full_disk_or_a_read_only_target_is_told_and_the_run_after_it_ends_as_if_nothing_had_been(
    readme_lake: Chain, tmp_path: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", spark) as disk:
        chain = fresh_copy_of(readme_lake, disk.folder)

        def failed() -> str:
            capsys.readouterr()
            assert cli.main([*NIGHT, *arguments(chain)]) == 1
            said = capsys.readouterr().err
            assert len(said.splitlines()) == 1, said
            return said

        with read_only(disk.folder):
            said = failed()
            assert re.match(WHAT + "read or written: (read-only file system|permission denied)", said)
            assert str(chain.lake) in said
        chain.vault.mkdir()
        with read_only(chain.vault):
            said = failed()
            assert re.match(WHAT + "read or written: (read-only file system|permission denied)", said)
            assert str(chain.vault) in said
            assert cli.main(["doctor", *arguments(chain)]) == 1
            assert f"BAD  vault {chain.vault}: " in capsys.readouterr().out
        for free in disk.shortages:
            disk.leave(free)
            said = failed()
            disk.leave(None)
            assert re.match(WHAT + "written: (no space left on device|file too large)", said)
            assert "Remedy: make space, then start again" in said
        assert cli.main([*NIGHT, *arguments(chain)]) == 0
        assert_same(chain, readme_lake)
        assert {path.suffix for path in (chain.lake / "ops" / "_lease").iterdir()} == {".json"}


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
