"""The pages say what the code does: docs/ is made from it, and what the README shows can be done."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import contract_docs
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


def test_no_public_column_changes_without_a_reason() -> None:
    found = contract_docs.changes(make_docs.DOCS)
    assert not found, f"{'; '.join(map(str, found))}: {contract_docs.REMEDY}"
    assert all(str(item["reason"]).strip() for item in contract_docs.explained(make_docs.DOCS))


SOLD = Table("gold", "sold", "one row per sale", "id STRING NOT NULL, amount DECIMAL(18,2) NOT NULL, note STRING", ("id",))


def publish(folder: Path, *tables: Table) -> None:
    (folder / "tables.csv").write_text(contract_docs.tables_csv(tables), "utf-8")
    (folder / "columns.csv").write_text(contract_docs.columns_csv(tables), "utf-8")


def test_what_a_reader_of_a_table_may_stumble_over_needs_a_reason(tmp_path: Path) -> None:
    publish(tmp_path, SOLD, replace(SOLD, name="gone"))
    changed = replace(
        SOLD, columns="id STRING, amount DECIMAL(18,5) NOT NULL, day DATE, _file STRING", key=("id", "day"), version=2
    )
    what = [
        "gold.sold: its key was id, is id day", "gold.gone: the table is gone", "gold.sold: column id may be empty now",
        "gold.sold: column amount was DECIMAL(18,2), is DECIMAL(18,5)", "gold.sold: column note is gone",
    ]  # fmt: skip
    assert [str(change) for change in contract_docs.changes(tmp_path, [changed])] == what
    assert len(contract_docs.explain(tmp_path, "", [changed])) == 5
    [*_, fault] = contract_docs.explain(tmp_path, "a sale has a day", [replace(changed, version=1)])
    assert fault.startswith("gold.sold: column note is gone; its contract still has version 1: raise the version")
    assert contract_docs.explained(tmp_path) == []
    assert contract_docs.explain(tmp_path, "a sale has a day", [changed]) == []
    publish(tmp_path, changed)
    assert contract_docs.changes(tmp_path, [changed]) == []
    assert [f"{item['table']}: {item['change']}" for item in contract_docs.explained(tmp_path)] == what
    assert {item["reason"] for item in contract_docs.explained(tmp_path)} == {"a sale has a day"}


def test_new_tables_and_columns_and_another_order_need_no_reason(tmp_path: Path) -> None:
    publish(tmp_path, SOLD)
    more = replace(
        SOLD, columns="note STRING NOT NULL, day DATE, amount DECIMAL(18,2) NOT NULL COMMENT 'sum', id STRING NOT NULL"
    )
    assert contract_docs.changes(tmp_path, [replace(SOLD, name="other"), more]) == []


def test_a_column_tells_its_unit_and_what_it_refers_to() -> None:
    told = {
        f"{table.full_name}.{column.name}": (contract_docs.unit_of(table, column), contract_docs.reference_of(table, column))
        for table in gold.TABLES
        for column in contract_docs.to_columns(table)
    }
    assert told["gold.fct_sale_line.gross_amount"] == ("money, in currency", "")
    assert told["gold.fct_sale_line.product_key"] == ("", "gold.dim_product.product_key")
    assert told["gold.dim_customer.first_purchase_receipt_key"] == ("", "gold.fct_receipt.receipt_key")
    assert told["gold.dim_customer.home_branch_id"] == ("", "gold.dim_branch.branch_id (is_current)")
    assert told["gold.kpi_branch_day.business_date"] == ("day", "gold.dim_date.date")
    assert told["gold.kpi_branch_day.return_rate"] == ("0..1", "")
    assert told["gold.fct_receipt.receipt_key"] == told["gold.dim_branch.branch_id"] == ("", "")


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
