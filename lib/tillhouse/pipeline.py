"""The way through the house on one page: which step reads and writes what, and when it has to work."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

from pyspark.sql import functions as F

from tillhouse.bronze import ingest
from tillhouse.config import Config, fingerprint
from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.gold import calendar, facts, receipt_facts, record_facts, returns, tie_out, vouchers
from tillhouse.gold import step as gold_step
from tillhouse.identity import conf as identity_conf
from tillhouse.identity import step as identity_step
from tillhouse.insight import step as insight_step
from tillhouse.kpi import metrics, restatement
from tillhouse.kpi import rules as kpi_rules
from tillhouse.kpi import step as kpi_step
from tillhouse.ops import audit, deliveries, gate, rotate
from tillhouse.ops import identity as identity_run
from tillhouse.ops.lease import Lease
from tillhouse.ops.runs import Run, StepResult, new_run_id, record_steps, tell, utc_now
from tillhouse.quality import expectations, rules
from tillhouse.silver import lines, records
from tillhouse.silver import step as silver_step
from tillhouse.sources.entities import CONTACT
from tillhouse.store import Since
from tillhouse.tables import Table, gold, gold_members, ops, silver, vault
from tillhouse.tables.entities import BUNDLE_COMPONENT, CAMPAIGN, CATEGORY, CONSENT, PARTY_VERSION, PLAN, PRODUCT_REFERENCE
from tillhouse.tables.gold_facts import RECORD_FACTS
from tillhouse.tables.lake import bronze_tables, entity_tables, tables_of

# Watermarks of a step hold, beside the tables that it reads, the parts of conf that it depends on, and the tables that it made.
PART = "conf: "
MADE = "made: "
AS_OF = "as_of"
DUTIES = "exceptions.yml"  # says of exceptions only who answers for them until when
Mark = tuple[str, int, str]


@dataclass(frozen=True)
class Step:
    """One step: the tables that it reads and writes, the parts of conf and rules that it depends on, and the work itself.

    ``run`` gets what its tables reflect already, or None where everything is to be made anew; it counts nothing where no record
    was concerned, and then there is nothing to audit. A changed part named ``source X`` touches that source's records, any other
    part touches everything. A step that ``may_find_nothing`` tells no figures then.
    """

    name: str
    reads: Callable[[Config], Sequence[Table]]
    writes: Callable[[Config], Sequence[Table]]
    depends_on: Callable[[Run], Mapping[str, object]]
    run: Callable[[Run, Since | None], Mapping[str, int]]
    audit: Callable[[Run, Since | None], Sequence[audit.Measured]] = lambda run, since: ()
    always: bool = False
    may_find_nothing: bool = False


def _gold(run: Run, since: Since | None) -> dict[str, int]:
    config = run.config
    figures = gold_step.run(
        run.store, config.products, config.entities, run.as_of, since, payers=config.payers, returns=config.returns
    )
    calendar.publish(run.store, calendar.load(config), since)
    tie_out.run(run.store, tie_out.Told.by(config.sources), run.as_of, since)
    vouchers.run(run.store, run.as_of, since, payers=config.payers)
    return figures


def _of_customers(run: Run) -> insight_step.Rules:
    return insight_step.Rules.of(run.config, kpi_rules.load(run.config).week_anomaly.score_above)


STEPS = (
    Step(
        name="bronze",
        reads=lambda config: (),
        writes=lambda config: (*bronze_tables(config.sources), ops.FILE_LEDGER, ops.FILE_COLUMN),
        depends_on=lambda run: {},
        run=lambda run, since: ingest.run(
            run.store,
            run.config.sources,
            run.config.landing,
            run.run_id,
            run.started_at,
            gate=lambda found: gate.judge(run, found),
            since=since,
        ),
        audit=audit.bronze,
        always=True,
    ),
    Step(
        name="silver",
        reads=lambda config: (*bronze_tables(config.sources), ops.FILE_LEDGER),
        writes=lambda config: (
            silver.BRANCH, silver.BRANCH_VERSION, silver.PRODUCT, silver.PRODUCT_VERSION, silver.RECEIPT_VERSION,
            silver.RECEIPT_LINE, silver.RECEIPT, silver.RECEIPT_PAYMENT, silver.RECEIPT_LINE_TAX,
            silver.RECEIPT_REFERENCE, silver.RECEIPT_ADJUSTMENT, silver.CLOSING_TOTAL, vault.PARTY, silver.PARTY,
            *entity_tables(config.sources), silver.EXCEPTION,
        ),
        depends_on=lambda run: {
            "rules": (rules.RECEIPT_RULES, rules.BRANCH_RULES, lines.RULES_VERSION, records.RULES_VERSION),
            "products.yml": run.config.products.of_master_data,
            DUTIES: run.config.exceptions,
            rotate.KEY: rotate.check_of(run.config.token_key()),
            **{f"source {source.name}": source.without_policy for source in run.config.sources},
        },
        run=lambda run, since: silver_step.run(
            run.store,
            run.config.sources,
            rules=run.config.products,
            token_key=run.config.token_key(),
            run_id=run.run_id,
            seen_at=run.started_at,
            since=since,
            duties=run.config.duties,
        ),
        audit=audit.silver_,
    ),
    Step(
        name="delivery",
        reads=lambda config: (ops.FILE_LEDGER, silver.RECEIPT, silver.RECEIPT_VERSION, silver.BRANCH),
        writes=lambda config: (ops.DELIVERY, silver.EXCEPTION, ops.SOURCE_BRANCH),
        depends_on=lambda run: {
            "deliveries": [(source.name, source.delivery) for source in run.config.sources if source.delivery is not None],
            AS_OF: run.as_of,
        },
        run=deliveries.run,
    ),
    Step(
        name="identity",
        reads=lambda config: (
            silver.PARTY, vault.PARTY, silver.RECEIPT, silver.IDENTITY_DECISION, silver.BRANCH,
            *((CONSENT, PARTY_VERSION) if CONTACT in config.entities else ()),
        ),
        writes=lambda config: (
            silver.PARTY_CUSTOMER, silver.PARTY_WITHOUT_CUSTOMER, silver.PARTY_LINK, silver.STAFF_CARD_DAY,
            silver.CUSTOMER_VERSION, silver.IDENTITY_REVIEW, vault.IDENTITY_RECORD, vault.CUSTOMER, vault.CUSTOMER_FIELD,
            vault.CONSENT, silver.EXCEPTION,
        ),
        depends_on=lambda run: {
            "rules": identity_step.RULES_VERSION, identity_conf.RULES: identity_conf.load(run.config),
            identity_step.SOURCES: sorted(source.name for source in run.config.sources),
        },
        run=identity_run.run,
        audit=audit.identity,
        may_find_nothing=True,
    ),
    Step(
        name="gold",
        reads=lambda config: (
            silver.RECEIPT, silver.RECEIPT_LINE, *receipt_facts.TOLD_BESIDE, silver.RECEIPT_REFERENCE, silver.PRODUCT,
            silver.PRODUCT_VERSION,
            silver.BRANCH_VERSION, silver.PARTY_CUSTOMER, silver.PARTY_WITHOUT_CUSTOMER, silver.IDENTITY_DECISION,
            silver.CLOSING_TOTAL, silver.CUSTOMER_VERSION,
            *(table for table in (PRODUCT_REFERENCE, CATEGORY, BUNDLE_COMPONENT, CAMPAIGN) if table.name in config.entities),
            *(kind.records for kind in record_facts.kinds_of(config.entities)),
        ),
        writes=lambda config: (
            gold.DIM_BRANCH, gold.DIM_PRODUCT, gold.DIM_CUSTOMER, gold.DIM_DATE, gold.DIM_HOLIDAY, *gold_members.TABLES,
            gold.FCT_SALE_LINE, gold.FCT_PAYMENT, gold.FCT_TAX, gold.FCT_DISCOUNT, *RECORD_FACTS, gold.FCT_RETURN,
            gold.FCT_RECEIPT,
            gold.CLOSING_TIE_OUT, gold.FCT_VOUCHER, gold.VOUCHER_LIABILITY, gold.VOUCHER, gold.VOUCHER_BALANCE,
        ),
        depends_on=lambda run: {
            "products.yml": run.config.products, AS_OF: run.as_of, "payers": run.config.payers,
            "returns.yml": run.config.returns,
            calendar.FILE: calendar.load(run.config),
            "rules": (
                facts.RULES_VERSION, receipt_facts.RULES_VERSION, record_facts.RULES_VERSION, returns.RULES_VERSION,
            ),
            "records": [kind.records.name for kind in record_facts.kinds_of(run.config.entities)],
            "closings": tie_out.Told.by(run.config.sources),
        },
        run=_gold,
        audit=audit.gold_,
    ),
    Step(
        name="kpi",
        reads=lambda config: (
            gold.FCT_RECEIPT, gold.DIM_BRANCH, gold.DIM_CUSTOMER, gold.DIM_DATE, gold.DIM_HOLIDAY, silver.EXCEPTION, ops.DELIVERY,
            *((PLAN,) if PLAN.name in config.entities else ()),
            gold.CLOSED_PERIOD, silver.RECEIPT, silver.RECEIPT_VERSION, ops.FILE_LEDGER,
        ),
        writes=lambda config: (gold.KPI_BRANCH_DAY, gold.KPI_BRANCH_WEEK, gold.RESTATEMENT),
        depends_on=lambda run: {
            "measures": metrics.RECEIPTS.definition, "rules": kpi_step.RULES_VERSION,
            kpi_rules.FILE: kpi_rules.load(run.config),
        },
        run=lambda run, since: {
            **kpi_step.run(run.store, kpi_rules.load(run.config), run.config.entities, since),
            **restatement.run(run.store, run.run_id, run.as_of, since),
        },
        audit=audit.kpi,
        may_find_nothing=True,
    ),
    Step(
        name="insight",
        reads=lambda config: (*insight_step.READS, vault.CONSENT),
        writes=lambda config: insight_step.WRITES,
        depends_on=lambda run: {AS_OF: run.as_of, **_of_customers(run).parts},
        run=lambda run, since: insight_step.run(run.store, _of_customers(run), run.as_of, since),
        audit=audit.insight,
        may_find_nothing=True,
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
        ConfigError: the tables were made by another release; nothing was changed.
        LeaseError: another run works on the lake, or has taken it over.
        StoreError: the lake cannot be written, or a table's log is damaged.
        TillhouseError: a step failed; what it did is recorded, and the next run repeats it.
    """
    with run.store.told(), Lease.take(run.store, run.run_id, run.wait_seconds), run.store.alone():
        return _run_steps(run, steps, show)


def _run_steps(run: Run, steps: Sequence[Step], show: Callable[[StepResult], None]) -> list[StepResult]:
    store, config = run.store, run.config
    tables = tables_of(config.sources)
    store.refuse_damaged(tables)
    store.create_missing(tables)
    _refuse_used_run_id(run, steps)
    results: list[StepResult] = []
    measured: list[tuple[str, audit.Measured]] = []
    marks = _watermarks(run)
    set_back = _forget_set_back(run, marks)
    kept = dict(marks)
    try:
        for step in steps:
            started_at, clock = utc_now(), time.monotonic()
            now = _state(run, step)
            reason, since = _why(run, step, marks.get(step.name, {}), now)
            reason = set_back.get(step.name, reason)
            since = _as_silver_read_it(run, marks) if step.always else since
            tell("step starts", run_id=run.run_id, step=step.name, reason=reason or "nothing new")
            figures: Mapping[str, int] = {}
            store.expect(None if since is None else 0)
            if reason and not step.always:
                expectations.preload()
            try:
                if reason:
                    with store.told():
                        figures = step.run(run, since)
                    found = step.audit(run, since) if figures and not _did_nothing(step, figures) else []
                    measured += [(step.name, item) for item in found]
                    if now and all(item.ok for item in found):  # what does not add up is worked on again by the next run
                        marks[step.name] = now | _made(run, step)
                        if identity_run.run is step.run:
                            marks.pop(rotate.STEP, None)
                        if since is None:  # the day's work is little: all its marks are kept at the end, in one commit
                            _keep_watermarks(run, marks)
                            kept = dict(marks)
            except Exception as error:
                seconds = time.monotonic() - clock
                # Our own errors hold no personal data; what others print may.
                text = str(error)[:2000] if isinstance(error, TillhouseError) else "see the log"
                results.append(StepResult(step.name, "failed", f"{type(error).__name__}: {text}", started_at, seconds, {}))
                show(results[-1])
                raise
            status = "done" if reason and not _did_nothing(step, figures) else "unchanged"
            result = StepResult(step.name, status, reason, started_at, time.monotonic() - clock, figures)
            tell("step ends", run_id=run.run_id, step=step.name, status=status, seconds=round(result.seconds, 1), **figures)
            results.append(result)
            show(result)
    finally:
        store.expect(None)
        _record(run, results, marks if marks != kept else None)
    audit.record(run, measured)
    return results


def _record(run: Run, results: list[StepResult], marks: Mapping[str, Mapping[str, Mark]] | None) -> None:
    """Keep how far the steps have come and what they did. Where one has failed its error counts, not that this fails too."""
    try:
        if marks is not None:
            _keep_watermarks(run, marks)
        record_steps(run, results)
    except Exception as error:
        if not results or results[-1].status != "failed":
            raise
        tell("could not record the steps", run_id=run.run_id, error=type(error).__name__)


def _refuse_used_run_id(run: Run, steps: Sequence[Step]) -> None:
    """A run's id says which run wrote a row; a step that has ended under it cannot run under it again."""
    if run.run_id == new_run_id(run.started_at):  # nobody has chosen it
        return
    of_run = (F.col("run_id") == run.run_id) & (F.col("status") != "failed")
    ended = run.store.read(ops.RUN_STEP).where(of_run).select("step").collect()
    used = sorted({row["step"] for row in ended} & {step.name for step in steps})
    if used:
        raise ConfigError(f"run id {run.run_id!r} has been used for {', '.join(used)}; leave --run-id out or give a new one")


def _did_nothing(step: Step, figures: Mapping[str, int]) -> bool:
    """Whether a step has looked and found nothing to do; one that tells no figure at all has written nothing."""
    return not any(figures.values()) if step.always else step.may_find_nothing and not figures


def _state(run: Run, step: Step) -> dict[str, Mark]:
    """What the step depends on as it is now: Delta id and version of each table that it reads, and each part of conf."""
    tables = {table.full_name: (*run.store.version(table), "") for table in step.reads(run.config)}
    parts = {
        f"{PART}{name}": ("", 0, str(part or "") if name in (AS_OF, rotate.KEY) else fingerprint(part))
        for name, part in step.depends_on(run).items()
    }
    return tables | parts


def _as_silver_read_it(run: Run, marks: Mapping[str, Mapping[str, Mark]]) -> Since | None:
    """Bronze and its ledger as they were when all of it was in order: silver reads them after that."""
    if run.full:
        return None
    tables = (*bronze_tables(run.config.sources), ops.FILE_LEDGER)
    read = {table: marks.get("silver", {}).get(table.full_name) for table in tables}
    return Since(
        {table.full_name: mark[1] for table, mark in read.items() if mark and mark[0] == run.store.version(table)[0]}, frozenset()
    )


def _made(run: Run, step: Step) -> dict[str, Mark]:
    return {f"{MADE}{table.full_name}": (*run.store.version(table), "") for table in step.writes(run.config)}


def _forget_set_back(run: Run, marks: dict[str, dict[str, Mark]]) -> dict[str, str]:
    """Forget what steps have done with tables that are older now, or others: somebody has brought them back or removed them.

    Returns why, for each of these steps. Before any of them works: it may come to the same version again with other rows.
    """
    tables = {table.full_name: table for table in tables_of(run.config.sources)}
    named = {name.removeprefix(MADE) for of_step in marks.values() for name in of_step} & tables.keys()
    now = {name: run.store.version(tables[name]) for name in named}
    reasons = {}
    for step, of_step in marks.items():
        found = {name.removeprefix(MADE): mark for name, mark in of_step.items() if name.removeprefix(MADE) in now}
        set_back = sorted(name for name, mark in found.items() if now[name][0] != mark[0] or now[name][1] < mark[1])
        if set_back:
            reasons[step] = f"older than before, or made anew: {', '.join(set_back)}"
    if reasons:
        marks |= {step: {} for step in reasons}
        _keep_watermarks(run, marks)
    return reasons


def _why(run: Run, step: Step, marks: Mapping[str, Mark], now: Mapping[str, Mark]) -> tuple[str | None, Since | None]:
    """Why the step has to work, None if nothing has changed; and since when, None if all has to be made anew."""
    changed = {name.removeprefix(PART) for name in {*now, *marks} if name.startswith(PART) and now.get(name) != marks.get(name)}
    all_anew = _why_all_anew(run, step, marks, now, changed)
    if all_anew:
        return all_anew, None
    versions = {table.full_name: marks[table.full_name][1] for table in step.reads(run.config)}
    news = [name for name, version in versions.items() if now[name][1] != version]
    versions = {table.full_name: marks[f"{MADE}{table.full_name}"][1] for table in step.writes(run.config)} | versions
    reasons = ([f"new in {', '.join(news)}"] if news else []) + ([f"changed: {', '.join(sorted(changed))}"] if changed else [])
    reasons += [f"again: {run.again}"] if run.again else []
    before = marks.get(f"{PART}{AS_OF}", ("", 0, ""))[2]
    since = Since(versions, frozenset(changed), date.fromisoformat(before) if before else None, run.again)
    return "; ".join(reasons) or None, since


def _why_all_anew(
    run: Run, step: Step, marks: Mapping[str, Mark], now: Mapping[str, Mark], changed: AbstractSet[str]
) -> str | None:
    """Why what the step has made before is of no use; None if only what has changed since has to be worked on."""
    reason = None
    touches_all = sorted(
        part
        for part in changed
        if part not in (AS_OF, DUTIES, calendar.FILE, identity_step.SOURCES) and not part.startswith("source ")
    )
    if step.always:
        reason = "looks for new files"
    elif run.full:
        reason = "--full"
    elif not marks:
        reason = "first run"
    elif touches_all:
        reason = f"changed: {', '.join(touches_all)}"
    if reason:
        return reason
    now = {**now, **_made(run, step)}
    tables = {table.full_name: table for table in step.reads(run.config)}
    tables |= {f"{MADE}{table.full_name}": table for table in step.writes(run.config)}
    for name, table in tables.items():
        (table_id, version, _), mark = now[name], marks.get(name)
        if mark is None or mark[0] != table_id:
            reason = f"{table.full_name} was made anew"
        elif not run.store.can_read_changes(table, mark[1], version):
            reason = f"the log of {table.full_name} no longer tells what changed since version {mark[1]}"
    return reason


def _watermarks(run: Run) -> dict[str, dict[str, Mark]]:
    stored = run.store.read(ops.WATERMARK).collect()
    rotate.refuse_other_key(stored, run.config)
    marks: dict[str, dict[str, Mark]] = {}
    for row in stored:
        marks.setdefault(row["step"], {})[row["upstream"]] = (row["table_id"], row["version"], row["fingerprint"])
    return marks


def _keep_watermarks(run: Run, marks: Mapping[str, Mapping[str, Mark]]) -> None:
    targets = {step.name: step.writes(run.config)[-1].full_name for step in STEPS}
    rows = [
        (step, targets.get(step, upstream), upstream, *mark)
        for step, of_step in marks.items()
        for upstream, mark in of_step.items()
    ]
    run.store.overwrite(ops.WATERMARK, run.store.spark.createDataFrame(rows, ops.WATERMARK.struct), is_news=True)


def check_audit(run: Run) -> None:
    """Raises TillhouseError if a measure of this run's audit does not agree."""
    broken = run.store.read(ops.RUN_AUDIT).where((F.col("run_id") == run.run_id) & ~F.col("ok")).collect()
    if broken:
        text = "; ".join(
            f"{row['step']} {row['source'] or ''} {row['measure']}: {row['expected']} <> {row['actual']}" for row in broken
        )
        raise TillhouseError(f"the audit of run {run.run_id} does not agree: {text}. See ops.run_audit.")


def check_held(run: Run, steps: Sequence[Step] = STEPS) -> None:
    """Raises HeldError if files are held and the last step has been done, so that nothing else is left to be published."""
    if STEPS[-1] in steps:
        gate.check(run)
