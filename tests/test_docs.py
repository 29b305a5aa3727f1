"""The pages say what the code does: docs/ is made from it, and what the README shows can be done."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import make_docs
import pytest
from pyspark.sql import SparkSession

from tillhouse import cli
from tillhouse.config import Config, load_config
from tillhouse.kpi.metrics import DIMENSIONS, MEASURES
from tillhouse.sources.readers import decide_columns, read_records
from tillhouse.tables import Table, gold, ops, silver, vault
from tillhouse.tables.bronze import bronze_table

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TABLES = (bronze_table("till", personal=False), *silver.TABLES, *vault.TABLES, *gold.TABLES, *ops.TABLES)
VARIABLES = re.compile(r"TILLHOUSE_[A-Z_]+")


def shown_files() -> dict[str, str]:
    """The files that the README shows, by the path in their first line; a text table is shown below that line."""
    files = {}
    for kind, path, text in re.findall(r"^```(yaml|csv)\n# (\S+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE):
        files[path] = text if kind == "csv" else f"# {path}\n{text}"
    return files


def write_shown_files(folder: Path) -> Path:
    """The README's example on disk; returns its conf folder."""
    for path, text in shown_files().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    (folder / "mychain" / "products.yml").write_bytes((ROOT / "conf" / "products.yml").read_bytes())
    return folder / "mychain"


@pytest.fixture
def example(tmp_path: Path) -> Config:
    return load_config(write_shown_files(tmp_path))


def shown_commands() -> list[list[str]]:
    """The calls of ``tillhouse`` that the README shows."""
    lines = [line.split("&&")[0] for line in README.splitlines() if line.startswith("    .venv/bin/tillhouse ")]
    return [shlex.split(line)[1:] for line in lines]


def test_the_pages_of_docs_are_what_the_code_says() -> None:
    found = make_docs.drift(make_docs.DOCS, make_docs.make_pages())
    assert not found, f"run scripts/make_docs.py and commit docs/:\n{found}"


def test_a_page_that_differs_is_told_by_its_lines(tmp_path: Path) -> None:
    pages = {"tables.md": "# Tables\nsilver.receipt\n"}
    (tmp_path / "tables.md").write_text("# Tables\nsilver.bon\n", "utf-8")
    (tmp_path / "gone.md").write_text(f"{make_docs.MADE}\n", "utf-8")
    found = make_docs.drift(tmp_path, pages)
    assert "-silver.bon\n+silver.receipt" in found
    assert "docs/gone.md is made by nothing" in found


def test_a_thing_of_the_code_without_a_sentence_is_told() -> None:
    with pytest.raises(ValueError, match=r"LINE_TYPES: describe \['TIP'\], remove \['TOTAL'\]"):
        make_docs.expect_all("LINE_TYPES", ["ITEM", "TOTAL"], ["ITEM", "TIP"])


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.full_name)
def test_the_columns_of_a_page_are_those_that_spark_reads_from_the_contract(table: Table, spark: SparkSession) -> None:
    assert spark
    found = make_docs.to_columns(table)
    assert [column.name for column in found] == table.column_names
    for column in found:
        field = table.field(column.name)
        assert column.type.lower().replace(" ", "") == field.dataType.simpleString().replace(" ", ""), column.name
        assert column.is_nullable == field.nullable, column.name
        assert column.comment == field.metadata.get("comment"), column.name


def test_a_column_written_in_an_unknown_way_is_told() -> None:
    table = Table("gold", "t", "one row", "day DATE DEFAULT now(),,", ("day",))
    with pytest.raises(ValueError, match=r"gold\.t: cannot read"):
        make_docs.to_columns(table)


def test_the_mappings_in_the_readme_are_read(example: Config) -> None:
    assert [(source.name, source.entity) for source in example.sources] == [("branches", "branch"), ("corner_till", "receipt")]
    assert (example.lake, example.vault, example.landing) == ("mychain/lake", "mychain/vault", "mychain/landing")


def test_each_mapping_in_the_readme_fits_the_file_that_is_shown_with_it(example: Config) -> None:
    deliveries = {path.removeprefix("mychain/landing/"): text for path, text in shown_files().items() if "/landing/" in path}
    read = {}
    for path, text in deliveries.items():
        [(source, captured)] = [(s, found) for s in example.sources if (found := s.match_path(path)) is not None]
        records = read_records(text.encode(source.encoding), source)
        assert not records.broken
        assert {decision.decision for decision in decide_columns(records, source)} <= {"mapped", "missing"}
        read[source.name] = (records.rows_read, captured)
    assert read == {
        "branches": (1, {"day": "2025-01-01"}),
        "corner_till": (5, {"branch": "B07", "exported": "20250304T0500"}),
    }


def test_the_readme_shows_only_calls_that_tillhouse_understands(capsys: pytest.CaptureFixture[str]) -> None:
    commands = shown_commands()
    assert {command[0] for command in commands} == {"run", "status", "kpi", "source", "doctor", "make-key"}
    for command in commands:
        with pytest.raises(SystemExit) as end:
            cli.main([*command, "--help"])
        assert end.value.code == 0
        usage = capsys.readouterr().out
        assert {word for word in command if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", usage))


def test_the_readme_names_every_command_and_argument_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    [commands] = re.findall(r"\{([a-z,-]+)\}", capsys.readouterr().out)[:1]
    assert set(commands.split(",")) == set(re.findall(r"^\| `tillhouse ([a-z-]+)", README, re.MULTILINE))
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    arguments = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    rows = [line for line in README.splitlines() if line.startswith("| `--")]
    assert arguments == {name for row in rows for name in re.findall(r"--[a-z-]+", row)}


def test_the_measures_and_dimensions_that_the_readme_asks_for_exist() -> None:
    for command in [command for command in shown_commands() if command[0] == "kpi"]:
        assert set(command[1].split(",")) <= {measure.name for measure in MEASURES}
        assert set(command[command.index("--by") + 1].split(",")) <= {dimension.name for dimension in DIMENSIONS}


def test_the_readme_names_the_variables_that_the_code_reads() -> None:
    code = {name for path in (ROOT / "lib").rglob("*.py") for name in VARIABLES.findall(path.read_text("utf-8"))}
    assert set(VARIABLES.findall(README)) == code


def test_the_files_that_the_readme_names_exist() -> None:
    places = re.findall(r"(?<![\w/])((?:conf|jobs|lib|notebooks|scripts|tests|docs)/[\w./-]*)", README)
    assert len(places) > 15
    assert [place for place in places if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        file, _, anchor = target.partition("#")
        to = page.parent / file if file else page
        assert to.exists(), target
        headings = re.findall(r"^#+ (.+)$", to.read_text("utf-8"), re.MULTILINE)
        assert not anchor or anchor in {make_docs.to_anchor(heading) for heading in headings}, target


def test_the_python_that_the_readme_shows_is_python() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")
