"""The jobs as a scheduler sees them: arguments, exit codes, and what they leave behind. They run the README's example."""

from __future__ import annotations

import json
import logging
import os
import re
import runpy
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.test_docs import README, write_shown_files
from tillhouse import cli
from tillhouse.errors import ConfigError, ContractError, QualityError, SourceError, TillhouseError
from tillhouse.pipeline import STEPS
from tillhouse.store import Store
from tillhouse.tables import gold, ops, silver

ROOT = Path(__file__).resolve().parent.parent
UPKEEP = ("maintain", "upgrade", "repair", "rotate_key")
NO_LAKE = ("pull",)
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("*.py"))


@dataclass(frozen=True)
class Example:
    """The README's chain in a folder, and how a scheduler runs a job on it."""

    folder: Path
    spark: SparkSession

    @property
    def store(self) -> Store:
        return Store(self.spark, str(self.folder / "lake"), str(self.folder / "vault"))

    def arguments(self, landing: str = "landing") -> list[str]:
        roots = [f"--{name}={self.folder / name}" for name in ("lake", "vault")]
        return ["--conf-dir", str(self.folder), *roots, f"--landing={self.folder / landing}"]

    def run(self, job: str, *more: str) -> int:
        return run_job(job, *self.arguments(), *more)


def run_job(job: str, *arguments: str) -> int:
    """The job's file as the main program, in this session; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{job}.py", *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "jobs" / f"{job}.py"), run_name="__main__")
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture(scope="module", autouse=True)
def _one_session_and_the_log_as_before(spark: SparkSession) -> Iterator[None]:
    log = logging.getLogger("tillhouse")
    before = (log.handlers, log.level, log.propagate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "open_session", lambda: spark)
        yield
    log.handlers, log.level, log.propagate = before


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Example:
    """The README's chain after one job for each step, in order."""
    chain = Example(write_shown_files(tmp_path_factory.mktemp("readme")), spark)
    codes = {step.name: chain.run(step.name, "--run-id", f"night-1-{step.name}") for step in STEPS}
    assert codes == dict.fromkeys(codes, 0)
    return chain


def test_there_is_a_job_for_each_step_one_for_all_those_of_upkeep_and_the_pull() -> None:
    assert set(JOBS) == {"pipeline", *(step.name for step in STEPS), *UPKEEP, *NO_LAKE}


def test_one_job_for_each_step_arrives_at_the_figures_that_the_readme_says(example: Example) -> None:
    [day] = example.store.read(gold.KPI_BRANCH_DAY).collect()
    found = (day["branch_id"], str(day["business_date"]), day["revenue"], day["return_amount"], day["receipts"], day["baskets"])
    assert found == ("B07", "2025-03-03", Decimal("14.29"), Decimal("3.49"), 3, 2)
    said = re.search(
        r"The day of (\w+) has revenue ([\d.]+) \(.*?return ([\d.]+); .*?\), (\d) receipts and (\d) baskets", README, re.S
    )
    assert said
    assert said.groups() == ("B07", "14.29", "3.49", "3", "2")


def test_the_example_has_the_exceptions_that_the_readme_says(example: Example) -> None:
    found = {(row["rule"], row["record_key"]) for row in example.store.read(silver.EXCEPTION).where("status = 'open'").collect()}
    assert found == {("product_unknown", "4711"), ("product_unknown", "4720")}


def test_a_job_runs_its_own_step_under_the_name_that_it_was_given(example: Example) -> None:
    steps = example.store.read(ops.RUN_STEP).where("run_id LIKE 'night-1-%'").collect()
    assert {(row["run_id"], row["step"], row["status"]) for row in steps} == {
        (f"night-1-{step.name}", step.name, "done") for step in STEPS
    }


def test_the_job_for_all_steps_finds_nothing_new_and_says_so(
    example: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example.run("pipeline", "--report", str(tmp_path / "new" / "report.json")) == 0
    said = capsys.readouterr()
    report = json.loads((tmp_path / "new" / "report.json").read_text("utf-8"))
    assert (report["status"], report["error"]) == ("unchanged", None)
    assert [(step["step"], step["status"]) for step in report["steps"]] == [(step.name, "unchanged") for step in STEPS]
    assert all(item["ok"] for item in report["audit"])
    assert "nothing new: no table outside ops was written" in said.out
    assert '"message": "step ends"' in said.err


def test_status_tells_what_each_step_worked_on_for_people_and_for_programs(
    example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", *example.arguments()]) == 0
    text = capsys.readouterr().out
    assert re.search(r"gold +done .* receipts=\d", text)
    assert "deliveries (branch days)\n  none is expected by conf" in text
    assert cli.main(["status", "--json", *example.arguments()]) == 0
    told = json.loads(capsys.readouterr().out)
    steps = {step["step"]: step for run in told["runs"] for step in run["steps"] if run["run_id"].startswith("night-1-")}
    assert steps["gold"]["figures"]["receipts"] > 0
    assert steps["gold"]["reason"] == "first run"


def test_bi_reads_the_figures_as_the_readme_shows(example: Example, capfd: pytest.CaptureFixture[str]) -> None:
    [block] = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert "demo/lake" in block
    exec(compile(block.replace("demo/lake", str(example.folder / "lake")), "README.md", "exec"), {})
    assert re.search(r"North\s*│\s*14\.29", capfd.readouterr().out)


def test_a_quality_gate_ends_with_3_and_leaves_what_was_published(example: Example, tmp_path: Path) -> None:
    shutil.copytree(example.folder, tmp_path, dirs_exist_ok=True)
    broken = Example(tmp_path, example.spark)
    lines = broken.store.read(silver.RECEIPT_LINE)
    broken.store.overwrite(
        silver.RECEIPT_LINE, broken.spark.createDataFrame(lines.where("line_number = 1").collect(), lines.schema)
    )
    before = broken.store.version(gold.FCT_RECEIPT)
    assert broken.run("gold", "--report", str(tmp_path / "report.json")) == 3
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert (report["status"], [step["status"] for step in report["steps"]]) == ("failed", ["failed"])
    assert report["error"].startswith("QualityError: gold was not published")
    assert broken.store.version(gold.FCT_RECEIPT) == before
    failed = broken.store.read(ops.RUN_STEP).where("status = 'failed'").collect()
    assert [row["step"] for row in failed] == ["gold"]


@pytest.mark.parametrize("job", JOBS)
def test_every_job_tells_its_arguments(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(job, "--help") == 0
    arguments = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert {"--conf-dir", "--landing"} <= arguments
    assert ({"--lake", "--vault"} <= arguments) == (job not in NO_LAKE)
    assert ({"--as-of", "--run-id", "--full"} <= arguments) == (job not in (*UPKEEP, *NO_LAKE))
    assert ({"--only", "--from-step", "--to-step"} <= arguments) == (job == "pipeline")


@pytest.mark.parametrize(
    ("job", "arguments", "told"),
    [
        ("bronze", ["--conf-dir", "nowhere"], r"nowhere/lake\.yml: file not found; --conf-dir must name a folder like conf/"),
        ("silver", ["--as-of", "yesterday"], "'yesterday' is not a date; write yyyy-mm-dd"),
        ("gold", ["--only", "kpi"], "unrecognized arguments: --only"),
        (
            "pipeline",
            ["--only", "platinum"],
            "no step named 'platinum'; there are: bronze, silver, delivery, identity, gold, kpi",
        ),
        ("pipeline", ["--from-step", "kpi", "--to-step", "bronze"], "kpi comes after bronze; the order is: bronze, silver"),
        ("pipeline", ["--lakes", "x"], "unrecognized arguments: --lakes"),
    ],
)
def test_a_wrong_call_ends_with_2_and_says_what_is_right(
    job: str, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert run_job(job, *arguments) == 2
    assert re.search(told, capsys.readouterr().err)


def test_a_run_without_token_key_ends_with_2_before_anything_is_made(
    tmp_path: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TILLHOUSE_TOKEN_KEY")
    monkeypatch.delenv("TILLHOUSE_TOKEN_KEY_FILE", raising=False)
    chain = Example(write_shown_files(tmp_path), spark)
    assert chain.run("pipeline") == 2
    assert "no token key" in capsys.readouterr().err
    assert not (chain.folder / "lake").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TillhouseError("x"), 1), (ConfigError("x"), 2), (SourceError("x"), 1), (ContractError("x"), 1), (QualityError("x"), 3),
        (KeyboardInterrupt(), 1),
    ],
)  # fmt: skip
def test_each_kind_of_failure_has_its_exit_code(error: BaseException, code: int) -> None:
    def fail() -> int:
        raise error

    assert cli.guarded(fail) == code


def test_a_fault_that_nobody_foresaw_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        cli.guarded(lambda: 1 // 0)


def test_spark_submit_hands_the_exit_code_on() -> None:
    submit = Path(sys.executable).parent / "spark-submit"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK_", "SPARK_"))}
    environment |= {"PYSPARK_PYTHON": sys.executable}
    command = [str(submit), "--master", "local[1]", str(ROOT / "jobs" / "gold.py"), "--conf-dir", "nowhere"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "nowhere/lake.yml: file not found" in done.stdout  # where spark-submit puts both streams of a job


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "secrets" / "token.key"
    assert cli.main(["make-key", str(key)]) == 0
    made = key.read_text("utf-8")
    assert re.fullmatch(r"[0-9a-f]{64}\n", made)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert cli.main(["make-key", str(key)]) == 2
    assert key.read_text("utf-8") == made
    assert "another key would make every known card a new customer" in capsys.readouterr().err


def test_the_doctor_tells_what_is_wrong_and_what_to_do(
    tmp_path: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = Example(write_shown_files(tmp_path), spark)
    assert cli.main(["doctor", *chain.arguments()]) == 0
    assert "BAD" not in capsys.readouterr().out
    assert cli.main(["doctor", *chain.arguments(landing="nowhere")]) == 1
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line.startswith("BAD ")] == [
        f"BAD  landing {tmp_path}/mychain/nowhere: no such folder"
    ]
    assert "Create the folder" in said
