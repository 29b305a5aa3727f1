"""Every notebook runs on the small demo chain as it is committed: without outputs, and without logic of its own."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

if TYPE_CHECKING:
    from tests.conftest import Chain

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
IMPORTS = {"__future__", "os", "pathlib", "matplotlib", "pandas", "tillhouse"}
LOGIC = {"withColumn", "withColumns", "groupBy", "agg", "sql", "write", "selectExpr", "expr", "overwrite", "append"}

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def read(path: Path) -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@each_notebook
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    for cell in code_cells(read(path)):
        assert not cell.outputs, cell.id
        assert cell.execution_count is None, cell.id


@each_notebook
def test_a_notebook_computes_no_figure_of_its_own(path: Path) -> None:
    tree = ast.parse("\n".join(cell.source for cell in code_cells(read(path))))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.split(".")[0] for module in modules} <= IMPORTS
    assert not {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & LOGIC
    assert not [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


@each_notebook
def test_a_notebook_runs_and_shows_its_plots(
    path: Path, demo_lake: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("PYSPARK_", "SPARK_", "TILLHOUSE_"))]:
        monkeypatch.delenv(name)  # the notebook's kernel is a reader's: it knows nothing of this session
    monkeypatch.setenv("TILLHOUSE_LAKE", str(demo_lake.lake))
    monkeypatch.setenv("TILLHOUSE_VAULT", str(demo_lake.vault))
    monkeypatch.setenv("TILLHOUSE_CONF", str(demo_lake.conf_dir))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = read(path)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert [output for output in outputs if "image/png" in output.get("data", {})]
    silent = [cell.id for cell in code_cells(notebook) if not cell.outputs]
    assert not silent
