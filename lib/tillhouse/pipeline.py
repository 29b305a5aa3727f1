"""The way through the house on one page: which step reads and writes what, and when it has to work."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import functions as F

from tillhouse.bronze import ingest
from tillhouse.config import Config, fingerprint
from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.gold import facts
from tillhouse.gold import step as gold_step
from tillhouse.identity import resolve
from tillhouse.kpi import branch_day, metrics
from tillhouse.ops import audit
from tillhouse.ops.runs import Run, StepResult, record_steps, tell, utc_now
from tillhouse.quality import rules
from tillhouse.silver import lines
from tillhouse.silver import step as silver_step
from tillhouse.tables import Table, gold, ops, silver, vault
from tillhouse.tables.bronze import bronze_table


@dataclass(frozen=True)
class Step:
    """One step: the tables that it reads and writes, the conf and rules that it depends on, and the work itself."""

    name: str
    reads: Callable[[Config], Sequence[Table]]
    writes: Callable[[Config], Sequence[Table]]
    depends_on: Callable[[Run], Sequence[object]]
    run: Callable[[Run], Mapping[str, int]]
    audit: Callable[[Run], Sequence[audit.Measured]] = lambda run: ()
    always: bool = False


def _bronze_tables(config: Config) -> tuple[Table, ...]:
    return tuple(bronze_table(source.name, source.personal_data) for source in config.sources)


STEPS = (
    Step(
        name="bronze",
        reads=lambda config: (),
        writes=lambda config: (*_bronze_tables(config), ops.FILE_LEDGER, ops.FILE_COLUMN),
        depends_on=lambda run: (),
        run=lambda run: ingest.run(run.store, run.config.sources, run.config.landing, run.run_id, run.started_at),
        audit=audit.bronze,
        always=True,
    ),
    Step(
        name="silver",
        reads=lambda config: (*_bronze_tables(config), ops.FILE_LEDGER),
        writes=lambda config: (
            silver.BRANCH, silver.PRODUCT, silver.RECEIPT_VERSION, silver.RECEIPT_LINE, silver.RECEIPT, silver.RECEIPT_PAYMENT,
            vault.PARTY, silver.PARTY, silver.EXCEPTION,
        ),
        depends_on=lambda run: (run.config.sources, rules.RECEIPT_RULES, rules.BRANCH_RULES, lines.RULES_VERSION),
        run=lambda run: silver_step.run(
            run.store, run.config.sources, run.config.token_key(), run.run_id, run.started_at
        ),
        audit=audit.silver_,
    ),
    Step(
        name="identity",
        reads=lambda config: (silver.PARTY,),
        writes=lambda config: (silver.PARTY_CUSTOMER,),
        depends_on=lambda run: (),
        run=lambda run: resolve.run(run.store, run.run_id),
    ),
    Step(
        name="gold",
        reads=lambda config: (
            silver.RECEIPT, silver.RECEIPT_LINE, silver.RECEIPT_PAYMENT, silver.PRODUCT, silver.BRANCH, silver.PARTY_CUSTOMER,
        ),
        writes=lambda config: (
            gold.DIM_BRANCH, gold.DIM_PRODUCT, gold.DIM_CUSTOMER, gold.DIM_DATE, gold.FCT_SALE_LINE, gold.FCT_RECEIPT,
        ),
        depends_on=lambda run: (run.config.products, run.as_of, facts.RULES_VERSION),
        run=lambda run: gold_step.run(run.store, run.config.products, run.as_of),
        audit=audit.gold_,
    ),
    Step(
        name="kpi",
        reads=lambda config: (gold.FCT_RECEIPT, gold.DIM_BRANCH, gold.DIM_CUSTOMER, gold.DIM_DATE, silver.EXCEPTION),
        writes=lambda config: (gold.KPI_BRANCH_DAY,),
        depends_on=lambda run: (metrics.view_definition(),),
        run=lambda run: branch_day.run(run.store),
        audit=audit.kpi,
    ),
)  # fmt: skip


def select(only: str | None = None, from_step: str | None = None, to_step: str | None = None) -> tuple[Step, ...]:
    """Steps by name; all of them if nothing is said.

    Raises:
        ConfigError: there is no such step, or the range is empty.
    """
    names = [step.name for step in STEPS]
    for name in (only, from_step, to_step):
        if name is not None and name not in names:
            raise ConfigError(f"no step named {name!r}; there are: {', '.join(names)}")
    first = names.index(only or from_step or names[0])
    last = names.index(only or to_step or names[-1])
    if first > last:
        raise ConfigError(f"{from_step} comes after {to_step}; the order is: {', '.join(names)}")
    return STEPS[first : last + 1]


def run(run: Run, steps: Sequence[Step] = STEPS, show: Callable[[StepResult], None] = lambda result: None) -> list[StepResult]:
    """Run steps in order. A step whose inputs, conf and rules are those of its last run does nothing and says so.

    Raises:
        TillhouseError: a step failed; what it did is recorded, and the next run repeats it.
    """
    store, config = run.store, run.config
    store.create_missing([*ops.TABLES, *silver.TABLES, *vault.TABLES, *gold.TABLES, *_bronze_tables(config)])
    _refuse_used_run_id(run, steps)
    results: list[StepResult] = []
    measured: list[tuple[str, audit.Measured]] = []
    marks = _watermarks(run)
    try:
        for step in steps:
            started_at, clock = utc_now(), time.monotonic()
            now = _upstream(run, step)
            print_ = fingerprint(*step.depends_on(run))
            reason = _why(run, step, marks.get(step.name, {}), now, print_)
            tell("step starts", run_id=run.run_id, step=step.name, reason=reason or "nothing new")
            figures: Mapping[str, int] = {}
            try:
                if reason:
                    figures = step.run(run)
                    found = [] if _did_nothing(step, figures) else step.audit(run)
                    measured += [(step.name, item) for item in found]
                    if now and all(item.ok for item in found):  # what does not add up is worked on again by the next run
                        marks[step.name] = {name: (*now[name], print_) for name in now}
                        _keep_watermarks(run, marks)
            except Exception as error:
                seconds = time.monotonic() - clock
                # Our own errors hold no personal data; what others print may.
                text = str(error)[:2000] if isinstance(error, TillhouseError) else "see the log"
                results.append(StepResult(step.name, "failed", f"{type(error).__name__}: {text}", started_at, seconds, {}))
                raise
            finally:
                store.release()
            status = "done" if reason and not _did_nothing(step, figures) else "unchanged"
            result = StepResult(step.name, status, reason, started_at, time.monotonic() - clock, figures)
            tell("step ends", run_id=run.run_id, step=step.name, status=status, seconds=round(result.seconds, 1), **figures)
            results.append(result)
            show(result)
    finally:
        record_steps(run, results)
    audit.record(run, measured)
    return results


def _refuse_used_run_id(run: Run, steps: Sequence[Step]) -> None:
    """A run's id says which run wrote a row; a step that has ended under it cannot run under it again."""
    of_run = (F.col("run_id") == run.run_id) & (F.col("status") != "failed")
    ended = run.store.read(ops.RUN_STEP).where(of_run).select("step").collect()
    used = sorted({row["step"] for row in ended} & {step.name for step in steps})
    if used:
        raise ConfigError(f"run id {run.run_id!r} has been used for {', '.join(used)}; leave --run-id out or give a new one")


def _did_nothing(step: Step, figures: Mapping[str, int]) -> bool:
    return step.always and not any(figures.values())


def _upstream(run: Run, step: Step) -> dict[str, tuple[str, int]]:
    """Delta id and version of each table that the step reads."""
    return {table.full_name: run.store.version(table) for table in step.reads(run.config)}


def _why(
    run: Run, step: Step, marks: Mapping[str, tuple[str, int, str]], now: Mapping[str, tuple[str, int]], print_: str
) -> str | None:
    """Why the step has to work; None if nothing has changed since its last run."""
    if step.always:
        return "looks for new files"
    if run.full:
        return "--full"
    if not marks:
        return "first run"
    if any(mark[2] != print_ for mark in marks.values()):
        return "conf or rules changed"
    changed = [name for name, version in now.items() if name not in marks or marks[name][:2] != version]
    return f"new in {', '.join(changed)}" if changed else None


def _watermarks(run: Run) -> dict[str, dict[str, tuple[str, int, str]]]:
    marks: dict[str, dict[str, tuple[str, int, str]]] = {}
    for row in run.store.read(ops.WATERMARK).collect():
        marks.setdefault(row["step"], {})[row["upstream"]] = (row["table_id"], row["version"], row["fingerprint"])
    return marks


def _keep_watermarks(run: Run, marks: Mapping[str, Mapping[str, tuple[str, int, str]]]) -> None:
    rows = [
        (step.name, step.writes(run.config)[-1].full_name, upstream, *mark)
        for step in STEPS
        for upstream, mark in marks.get(step.name, {}).items()
    ]
    if rows:
        run.store.overwrite(ops.WATERMARK, run.store.spark.createDataFrame(rows, ops.WATERMARK.struct))


def check_audit(run: Run) -> None:
    """Raises TillhouseError if a measure of this run's audit does not agree."""
    broken = run.store.read(ops.RUN_AUDIT).where((F.col("run_id") == run.run_id) & ~F.col("ok")).collect()
    if broken:
        text = "; ".join(
            f"{row['step']} {row['source'] or ''} {row['measure']}: {row['expected']} <> {row['actual']}" for row in broken
        )
        raise TillhouseError(f"the audit of run {run.run_id} does not agree: {text}. See ops.run_audit.")
