"""The newest file of a table's log is damaged: nothing is read or changed, and after the repair gold is what it was to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Chain
from tests.faults.conftest import NIGHT, arguments, assert_same, copy_of
from tillhouse import cli
from tillhouse.errors import StoreError, TillhouseError
from tillhouse.faults import DAMAGED, can_do_without, find_damage
from tillhouse.store import Store, table_path
from tillhouse.tables import Table, gold, ops
from tillhouse.tables.lake import tables_of

pytestmark = pytest.mark.usefixtures("in_this_session")
Harm = Callable[[bytes], bytes]


def emptied(_: bytes) -> bytes:
    return b""


def torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def torn_between_lines(content: bytes) -> bytes:
    """What is left is a commit that adds nothing."""
    return content[: content.index(b"\n") + 1]


def zeroed(content: bytes) -> bytes:
    return bytes(len(content))


def log_of(chain: Chain, table: Table) -> Path:
    return Path(table_path(table, str(chain.lake), str(chain.vault)), "_delta_log")


def newest_commit(chain: Chain, table: Table) -> Path:
    return max(path for path in log_of(chain, table).iterdir() if path.suffix == ".json" and not path.name.startswith("."))


def damage(chain: Chain, table: Table, harm: Harm) -> Path:
    file = newest_commit(chain, table)
    assert int(file.stem) > 0
    file.write_bytes(harm(file.read_bytes()))
    return file


def table_named(chain: Chain, name: str) -> Table:
    [table] = [table for table in tables_of(chain.config.sources) if table.full_name == name]
    return table


@pytest.mark.parametrize(
    ("harm", "tables"),
    [
        (torn_between_lines, ["gold.kpi_branch_day", "gold.fct_receipt", "silver.receipt_line"]),
        pytest.param(zeroed, ["ops.file_ledger"], marks=pytest.mark.long),
    ],
)
def test_a_damaged_log_is_told_and_repaired_and_the_next_run_makes_good_what_was_lost(
    readme_lake: Chain, tmp_path: Path, harm: Harm, tables: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    chain = copy_of(readme_lake, tmp_path / "chain")
    damaged = {name: damage(chain, table_named(chain, name), harm) for name in tables}
    before = {path: path.stat().st_size for path in chain.lake.rglob("*") if "_lease" not in path.parts}
    assert cli.main([*NIGHT, *arguments(chain)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("StoreError: ")
    for name, file in damaged.items():
        assert f"{name}: {file} " in said
    assert "tillhouse repair" in said
    assert {path: path.stat().st_size for path in chain.lake.rglob("*") if "_lease" not in path.parts} == before

    assert cli.main(["doctor", *arguments(chain)]) == 1
    said = capsys.readouterr().out
    assert [line.split(": ")[0] for line in said.splitlines() if line.startswith("BAD")] == [
        f"BAD  log of {table.full_name}" for table in tables_of(chain.config.sources) if table.full_name in damaged
    ]

    assert cli.main(["repair", *arguments(chain)]) == 0
    assert cli.main(["doctor", *arguments(chain)]) == 0
    assert cli.main([*NIGHT, *arguments(chain)]) == 0
    assert_same(chain, readme_lake)
    for file in damaged.values():
        assert file.with_name(file.name + DAMAGED).exists()


def test_files_that_are_lost_and_no_longer_delivered_are_named_and_nothing_is_changed(readme_lake: Chain, tmp_path: Path) -> None:
    chain = copy_of(readme_lake, tmp_path / "chain")
    for name in ("bronze.corner_till", "vault.party", "silver.party_customer", "ops.watermark"):
        damage(chain, table_named(chain, name), torn)
    assert cli.main(["repair", *arguments(chain)]) == 0
    [gone] = (chain.landing / "corner_till").iterdir()
    gone.rename(tmp_path / gone.name)
    before = chain.store.version(ops.FILE_LEDGER)
    with pytest.raises(TillhouseError, match=rf"1 files that are no longer .* corner_till/{gone.name}"):
        chain.run()
    assert chain.store.version(ops.FILE_LEDGER) == before
    (tmp_path / gone.name).rename(gone)
    chain.run()
    assert_same(chain, readme_lake)


def test_a_table_that_was_brought_back_from_an_older_copy_is_made_good(readme_lake: Chain, tmp_path: Path) -> None:
    chain = copy_of(readme_lake, tmp_path / "chain")
    for table in (gold.FCT_SALE_LINE, gold.KPI_BRANCH_DAY):
        newest = newest_commit(chain, table)
        for file in newest.parent.glob(f"*{newest.stem}*"):
            file.unlink()
    results = {result.step: result for result in chain.run()}
    assert results["gold"].reason == "older than before, or made anew: gold.fct_sale_line"
    assert results["kpi"].reason == "older than before, or made anew: gold.kpi_branch_day"
    assert_same(chain, readme_lake)


def test_a_sound_lake_has_nothing_to_repair(readme_lake: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["repair", *arguments(readme_lake)]) == 0
    assert "nothing is damaged" in capsys.readouterr().out


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of a table of 21 commits and a checkpoint, as far as a look at its end can tell."""
    folder = tmp_path / "table" / "_delta_log"
    folder.mkdir(parents=True)
    for version in range(21):
        (folder / f"{version:020d}.json").write_text('{"commitInfo":{}}\n{"add":{}}\n', "utf-8")
    (folder / f"{20:020d}.checkpoint.parquet").write_bytes(b"PAR1 rows PAR1")
    (folder / "_last_checkpoint").write_text('{"version":20}', "utf-8")
    return folder


def table_of(log: Path) -> str:
    return f"file://{log.parent}"


@pytest.mark.parametrize("harm", [emptied, torn, zeroed])
def test_a_damaged_commit_is_set_aside_and_the_one_before_is_looked_at_next(log: Path, harm: Harm) -> None:
    for version in (20, 19):
        file = log / f"{version:020d}.json"
        file.write_bytes(harm(file.read_bytes()))
        found = find_damage(table_of(log))
        assert found is not None
        assert found.file == file
        found.set_aside()
    assert find_damage(table_of(log)) is None


def test_a_table_of_which_no_commit_is_sound_is_set_aside_as_a_whole(log: Path) -> None:
    for file in log.iterdir():
        if file.name != f"{0:020d}.json":
            file.unlink()
    (log / f"{0:020d}.json").write_bytes(b"")
    found = find_damage(table_of(log))
    assert found is not None
    found.set_aside()
    assert not log.exists()
    assert log.parent.with_name("table" + DAMAGED).is_dir()


def test_a_checkpoint_is_done_without_where_the_commits_before_it_are_there(log: Path) -> None:
    checkpoint = log / f"{20:020d}.checkpoint.parquet"
    checkpoint.write_bytes(b"PAR1 ro")
    found = find_damage(table_of(log))
    assert found is not None
    assert found.file == checkpoint
    assert can_do_without(found)
    (log / f"{3:020d}.json").unlink()
    assert not can_do_without(found)
    found.set_aside()
    assert not (log / "_last_checkpoint").exists()
    assert find_damage(table_of(log)) is None


def test_a_note_of_the_last_checkpoint_that_says_nothing_is_damage_too(log: Path) -> None:
    (log / "_last_checkpoint").write_text("", "utf-8")
    found = find_damage(table_of(log))
    assert found is not None
    assert str(found) == f"{log}/_last_checkpoint is empty"


def test_no_look_is_taken_at_an_object_store_or_at_what_is_not_there(tmp_path: Path) -> None:
    assert find_damage("s3a://bucket/lake/gold/fact") is None
    assert find_damage(str(tmp_path / "nowhere")) is None


def test_reports_are_not_made_from_a_damaged_lake(readme_lake: Chain, tmp_path: Path) -> None:
    chain = copy_of(readme_lake, tmp_path / "chain")
    damage(chain, gold.DIM_BRANCH, emptied)
    with pytest.raises(StoreError, match=r"gold\.dim_branch: "):
        Store(chain.spark, str(chain.lake), str(chain.vault)).refuse_damaged(tables_of(chain.config.sources))
    assert cli.main(["status", *arguments(chain)]) == 1
