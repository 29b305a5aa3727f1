#!/usr/bin/env python3
"""The demo: make a chain's exports, run the jobs on them, show what came out and compare it with the truth."""

from __future__ import annotations

import argparse
import csv
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import duckdb
from check_demo import as_text
from deltalake import DeltaTable
from demo_chain.check import compare, identities, returns
from demo_chain.check_flags import hotspots
from make_demo_exports import make_exports

from tillhouse.session import JVM_OPTIONS

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "demo", help="folder for landing/, lake/, vault/, truth/ (demo)")
    parser.add_argument("--weeks", type=int, help="only the first N weeks (all 53)")
    parser.add_argument("--branches", type=int, help="only the N branches with the most baskets (all 457)")
    parser.add_argument("--plain", action="store_true", help="real purchases only, nothing planted")
    given = parser.parse_args()
    out: Path = given.out.resolve()
    started = time.monotonic()

    say("1. making the chain's exports from real purchases")
    before = read_text(out / "truth" / "chain.json")
    make_exports(out, given.weeks, given.branches, given.plain)
    if before is not None and read_text(out / "truth" / "chain.json") != before:
        say("   the chain has changed: starting with an empty lake")
        for folder in ("lake", "vault"):
            shutil.rmtree(out / folder, ignore_errors=True)

    say("2. running bronze, silver, identity, gold, kpi and insight with spark-submit")
    code = run_pipeline(out, conf_dir(out, given.plain))
    if code:
        say(f"the run failed with exit code {code}; see {out / 'run.log'}")
        return code

    say("")
    wrong = show(out, given.plain)
    say(f"\ndone in {time.monotonic() - started:.0f} s")
    return 1 if wrong else 0


def conf_dir(out: Path, plain: bool) -> Path:
    """The plain chain needs the project's conf alone; that of the whole chain is made with its exports."""
    return ROOT / "conf" if plain else out / "conf"


def run_pipeline(out: Path, conf: Path = ROOT / "conf") -> int:
    """The same job that a scheduler would submit, sized for one machine; its structured log goes to a file."""
    key = out / "secrets" / "token.key"
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32) + "\n", "utf-8")
    environment = {**os.environ, "TILLHOUSE_TOKEN_KEY_FILE": str(key), "PYSPARK_PYTHON": sys.executable}
    command = spark_submit(ROOT / "jobs" / "pipeline.py", "--conf-dir", str(conf))
    for name in ("lake", "vault", "landing"):
        command += [f"--{name}", str(out / name)]
    with (out / "run.log").open("a", encoding="utf-8") as log:
        job = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert job.stdout is not None
        for line in job.stdout:  # spark-submit merges the job's log into its output; what is no JSON line is for people
            log.write(line)
            if not line.startswith("{"):
                say(f"   {line.rstrip()}")
        return job.wait()


def spark_submit(script: Path, *arguments: str, options: Sequence[str] = ()) -> list[str]:
    """The command that submits a script to Spark: on one machine, if its further options do not say otherwise."""
    settings = {
        "spark.sql.shuffle.partitions": "4",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": JVM_OPTIONS,
    }
    command = [str(Path(sys.executable).parent / "spark-submit"), "--master", "local[*]", "--driver-memory", "4g"]
    for name, value in settings.items():
        command += ["--conf", f"{name}={value}"]
    return [*command, *options, str(script), *arguments]


def show(out: Path, plain: bool) -> bool:
    """Print the result, read from the Delta tables without Spark; returns whether it differs from the truth."""
    lake = duckdb.connect()
    for table_name in (
        "gold.kpi_branch_day", "gold.fct_receipt", "gold.dim_branch", "gold.dim_product", "silver.exception", "ops.run_audit",
        "ops.file_ledger",
    ):  # fmt: skip
        schema, name = table_name.split(".")
        lake.register(name, DeltaTable(str(out / "lake" / schema / name)).to_pyarrow_dataset())

    table("revenue by region", lake, """
        SELECT region, count(DISTINCT branch_id) AS branches, sum(revenue) AS revenue, sum(baskets)::BIGINT AS baskets,
               round(sum(sales_before_returns) / sum(baskets), 2) AS average_basket
        FROM kpi_branch_day JOIN dim_branch USING (branch_id) WHERE is_current
        GROUP BY region ORDER BY revenue DESC""")  # fmt: skip
    ranked = """
        SELECT branch_id, branch_name, region, sum(revenue) AS revenue, sum(baskets)::BIGINT AS baskets,
               count(DISTINCT business_date) AS days
        FROM kpi_branch_day JOIN dim_branch USING (branch_id) WHERE is_current GROUP BY ALL"""
    table("best branches", lake, f"{ranked} ORDER BY revenue DESC, branch_id LIMIT 5")
    often = "HAVING days >= (SELECT count(DISTINCT business_date) / 2 FROM kpi_branch_day)"
    table(
        "weakest branches (of those that sold on half of the days)", lake, f"{ranked} {often} ORDER BY revenue, branch_id LIMIT 5"
    )
    table("what came from which system", lake, """
        SELECT source, count(DISTINCT branch_id) AS branches, count(*) FILTER (is_receipt) AS receipts,
               sum(revenue_amount) AS revenue, sum(return_amount) AS returned, min(detail_level) AS detail
        FROM fct_receipt GROUP BY source ORDER BY revenue DESC""")  # fmt: skip
    table("coverage", lake, """
        SELECT sum(revenue) AS revenue, round(100 * sum(identified_revenue) / sum(revenue), 1) AS identified_percent,
               sum(unclear_amount) AS unclear, sum(excluded_amount) AS excluded,
               round(100 * sum(lines_revenue) / sum(revenue), 1) AS with_lines_percent
        FROM kpi_branch_day""")  # fmt: skip
    table("open exceptions", lake, """
        SELECT rule, severity, owner, count(*) AS open, sum(amount) AS amount
        FROM exception WHERE status = 'open' GROUP BY ALL ORDER BY severity, open DESC""")  # fmt: skip
    audited = lake.sql("SELECT count(*), count(*) FILTER (ok) FROM run_audit").fetchall()[0]
    files = lake.sql("SELECT count(*), sum(rows_read) FROM file_ledger WHERE status = 'loaded'").fetchall()[0]
    say(f"audit: {audited[1]} of {audited[0]} measures agree; {files[0]} files with {files[1]:,} records loaded, each once\n")

    wrong = differs_from_purchases(out, lake) if plain else differs_from_truth(out)
    say(f"\nthe lake: {out / 'lake'} (Delta folders <schema>/<table>); personal data: {out / 'vault'}; log: {out / 'run.log'}")
    options = f"--conf-dir {os.path.relpath(out / 'conf')}"
    if plain:
        options = "" if out == ROOT / "demo" else " ".join(f"--{name} {out / name}" for name in ("lake", "vault", "landing"))
    say("try next:")
    for command in (
        "status", 'kpi revenue,baskets,average_basket --by region,month', "kpi revenue --by hour --where \"region = 'Nord'\"",
        "kpi return_rate,items,baskets_with --by category_l1", "segment list", "segment moves rf",
        "score groups", "kpi revenue --period 2017-03-04 --drill --limit 5",
        "run", "doctor",
    ):  # fmt: skip
        say(f"  .venv/bin/tillhouse {command} {options}".rstrip())
    say("  notebooks/01_first_look.ipynb, and README.md on how to connect your own till")
    return wrong


def differs_from_truth(out: Path) -> bool:
    """Compare the whole chain with its purchases and with every planted document."""
    compared = compare(out)
    say(as_text(compared))
    say(str(identities(out)))
    came_back = returns(out)
    say(str(came_back))
    flagged = hotspots(out)
    say(str(flagged))
    return not (came_back.ok and flagged.ok and all(part.ok for part in compared))


def differs_from_purchases(out: Path, lake: duckdb.DuckDBPyConnection) -> bool:
    """Compare the plain chain with the truth, which is computed from the purchases themselves in whole cents."""
    truth = json.loads((out / "truth" / "totals.json").read_text("utf-8"))
    found = lake.sql("""
        SELECT sum(revenue), sum(baskets)::BIGINT, count(DISTINCT branch_id), count(DISTINCT business_date), count(*),
               sum(discount_amount), (SELECT count(*) FROM dim_product WHERE NOT is_known)
        FROM kpi_branch_day""").fetchall()[0]
    wanted = (
        ("revenue", Decimal(truth["revenue"])), ("baskets", truth["baskets"]), ("branches", truth["branches"]),
        ("business dates", truth["business_dates"]), ("rows in kpi_branch_day", truth["branch_days"]),
        ("discounts", Decimal(truth["discount"])), ("products without master data", truth["products_without_master"]),
    )  # fmt: skip
    say("compared with the truth")
    wrong = False
    for (name, expected), actual in zip(wanted, found, strict=True):
        wrong |= expected != actual
        say(f"  {name:<30} {actual:>16,}  {'=' if expected == actual else f'DIFFERS from {expected:,}'}")
    for name, columns in (("branch_revenue", "branch_id"), ("branch_day_revenue", "branch_id, business_date::VARCHAR")):
        rows = lake.sql(f"SELECT {columns}, sum(revenue), sum(baskets)::BIGINT FROM kpi_branch_day GROUP BY ALL").fetchall()  # noqa: S608 - fixed names
        actual_rows = {tuple(map(str, row)) for row in rows}
        with (out / "truth" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            keys = columns.replace("::VARCHAR", "").split(", ")
            expected_rows = {(*(row[key] for key in keys), row["revenue"], row["baskets"]) for row in csv.DictReader(file)}
        equal = len(actual_rows & expected_rows)
        wrong |= actual_rows != expected_rows
        say(f"  {name:<30} {equal:>9,} of {len(expected_rows):,} rows equal to the cent")
    return wrong


def table(title: str, lake: duckdb.DuckDBPyConnection, query: str) -> None:
    """Print a query's rows as aligned text."""
    relation = lake.sql(query)
    rows = [
        [f"{value:,}" if isinstance(value, (int, float, Decimal)) else str(value) for value in row] for row in relation.fetchall()
    ]
    say(title)
    widths = [max(len(name), *(len(row[i]) for row in rows), 0) if rows else len(name) for i, name in enumerate(relation.columns)]
    for row in [list(relation.columns), *rows]:
        say(
            "  "
            + "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    say("" if rows else "  none\n")


def read_text(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
