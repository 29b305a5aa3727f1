"""The console script and what the spark-submit jobs share: arguments, exit codes, readable tables."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TextIO

from tillhouse import pipeline
from tillhouse.config import Config, load_config, read_model
from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.gold import calendar
from tillhouse.identity import conf as identity_conf
from tillhouse.insight import rules as insight_rules
from tillhouse.insight import score_rules, segment_rules
from tillhouse.insight import step as insight_step
from tillhouse.kpi import rules as kpi_rules
from tillhouse.ops import (
    check,
    check_report,
    close,
    customer_command,
    doctor,
    kpi_command,
    maintain,
    overdue,
    repair,
    rotate,
    score_command,
    segment_command,
    status,
    text,
    tie_out,
    upgrade,
    worklist,
)
from tillhouse.ops.runs import Run, StepResult, log_to_stderr, new_run_id, tell, utc_now
from tillhouse.pull import command as pull_command
from tillhouse.pull.client import Clock
from tillhouse.serving import sql
from tillhouse.session import open_light_session, open_session
from tillhouse.sources import profile
from tillhouse.sources.entities import FIELDS
from tillhouse.sources.model import Source
from tillhouse.store import Store, quoted
from tillhouse.tables import silver
from tillhouse.tables.lake import tables_of


def main(arguments: Sequence[str] | None = None) -> int:
    """``tillhouse``: the commands of a chain, see README.md."""
    parser = argparse.ArgumentParser(prog="tillhouse", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="bring the lake up to what lies in the landing area")
    _add_run_arguments(run)
    _add_step_arguments(run)
    pull_command.add_arguments(commands.add_parser("pull", help="bring the pages of APIs into the landing area"))
    report = commands.add_parser("status", help="last runs, audit, deliveries, coverage, open exceptions by owner")
    _add_lake_arguments(report)
    report.add_argument("--json", action="store_true", help="as JSON")
    kpi = commands.add_parser("kpi", help="ask measures by dimensions, for example: tillhouse kpi revenue --by region,week")
    kpi_command.add_arguments(kpi, _add_lake_arguments)
    _add_exceptions(
        commands.add_parser(
            "exceptions", help="list, show, assign, waive, resolve, reopen, export what is wrong; what is overdue"
        )
    )
    customer_command.add_arguments(
        commands.add_parser("customer", help="who is who: find, show, explain, merge, keep apart, split; answer questions"),
        _add_lake_arguments,
    )
    segment_command.add_arguments(
        commands.add_parser("segment", help="segments: sizes, members, moves, and why a customer is in one"), _add_lake_arguments
    )
    score_command.add_arguments(
        commands.add_parser("score", help="the quality score: list, groups, statistics, what other rules would change"),
        _add_lake_arguments,
    )
    close.add_arguments(
        commands.add_parser(
            "close", help="keep the figures of a period as published; list what changes later, for example 2017-06"
        ),
        _add_lake_arguments,
    )
    tie_out.add_arguments(
        commands.add_parser("tie-out", help="Z reports beside what has come of their till closings"), _add_lake_arguments
    )
    source = commands.add_parser("source", help="look at an export before it is connected").add_subparsers(
        dest="action", required=True
    )
    look = source.add_parser("profile", help="what an export is, and a mapping for it")
    look.add_argument("file", type=Path, help="one file of the export")
    look.add_argument("--library", type=Path, default=Path("conf/library"), help="folder of the shipped mappings (conf/library)")
    look.add_argument(
        "--kind", choices=FIELDS, metavar="KIND", help="kind of record, where the guess is wrong: " + ", ".join(FIELDS)
    )
    _add_check(source.add_parser("check", help="what a run would make of a file, without a lake"))
    served = commands.add_parser("serve", help="let other programs ask gold").add_subparsers(dest="action", required=True)
    by_sql = served.add_parser("sql", help="by JDBC, ODBC or the HiveServer2 protocol, for programs of this machine")
    _add_lake_arguments(by_sql)
    by_sql.add_argument("--host", default=sql.LOOPBACK, help=f"loopback address to listen on ({sql.LOOPBACK})")
    by_sql.add_argument("--port", type=int, default=sql.PORT, help=f"({sql.PORT})")
    _add_lake_arguments(commands.add_parser("maintain", help="join small files, delete what no promised version needs"))
    _add_lake_arguments(commands.add_parser("upgrade", help="bring the lake of an older release forward to this one"))
    _add_lake_arguments(commands.add_parser("repair", help="set damaged files aside that the logs of tables end in"))
    _add_lake_arguments(commands.add_parser("rotate-key", help="prepare the lake for another secret of tokens"))
    check = commands.add_parser("doctor", help="Java, Python, jars, versions that must match, write permission, damaged logs")
    _add_lake_arguments(check)
    key = commands.add_parser("make-key", help="make a secret for tokens of personal identifiers")
    key.add_argument("file", type=Path, help="where to write it; outside lake and repository")
    given = parser.parse_args(arguments)
    handlers = {
        "run": _run, "pull": _pull, "status": _status, "kpi": _kpi, "exceptions": _exceptions, "customer": _customer,
        "source": _source, "close": _close, "tie-out": _tie_out, "serve": _serve, "segment": _segment, "score": _score,
        "doctor": _doctor, "make-key": _make_key, **_UPKEEP,
    }  # fmt: skip
    return guarded(lambda: handlers[given.command](given))


def run_job(step: str | None, description: str, arguments: Sequence[str] | None = None) -> int:
    """The body of every job: one step, all of them, upkeep of the lake, or the pull of APIs."""
    parser = argparse.ArgumentParser(description=description)
    if step == "pull":
        pull_command.add_arguments(parser)
        given = parser.parse_args(arguments)
        return guarded(lambda: _pull(given))
    if step in _UPKEEP:
        _add_lake_arguments(parser)
        upkeep, of_lake = _UPKEEP[step], parser.parse_args(arguments)
        return guarded(lambda: upkeep(of_lake))
    _add_run_arguments(parser)
    if step is None:
        _add_step_arguments(parser)
    given = parser.parse_args(arguments)
    if step is not None:
        given.only, given.from_step, given.to_step = step, None, None
    return guarded(lambda: _run(given))


def guarded(action: Callable[[], int]) -> int:
    """Exit code of an action: 0 done, 1 failed, 2 wrong usage or conf, 3 a quality gate kept a table from being published."""
    try:
        return action()
    except TillhouseError as error:
        _say(f"{type(error).__name__}: {error}", to=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted; the next run goes on where this one stopped", to=sys.stderr)
        return 1


def _add_lake_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--conf-dir", type=Path, default=Path("conf"), help="folder with lake.yml and sources/ (conf)")
    parser.add_argument("--lake", help="root of the lake: a path or an object-store URI; wins over TILLHOUSE_LAKE and lake.yml")
    parser.add_argument("--vault", help="root of the vault; wins over TILLHOUSE_VAULT and lake.yml")
    parser.add_argument("--landing", help="where exports are delivered; wins over TILLHOUSE_LANDING and lake.yml")


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    _add_lake_arguments(parser)
    parser.add_argument("--as-of", type=text.to_date, help="business time, exclusive: only trading days before it (all)")
    parser.add_argument("--run-id", help="name of the run (time of its start)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what the run did, and how the lake is, as JSON")
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--full", action="store_true", help="recompute everything from bronze")
    scope.add_argument("--from", dest="first", type=text.to_date, help="recompute from this trading day on, from bronze")
    parser.add_argument("--to", dest="last", type=text.to_date, help="recompute up to and with this trading day (the last)")
    parser.add_argument("--branch", nargs="+", default=(), metavar="ID", help="recompute these branches, within --from and --to")
    parser.add_argument(
        "--wait", type=_minutes, default=0.0, metavar="MINUTES", help="how long to wait while another run works on the lake (0)"
    )


def _add_step_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(step.name for step in pipeline.STEPS)
    parser.add_argument("--only", help=f"run one step: {names}")
    parser.add_argument("--from-step", help="first step to run")
    parser.add_argument("--to-step", help="last step to run")


def _again(given: argparse.Namespace) -> str | None:
    """The receipts to recompute, as SQL."""
    if given.full and (given.last or given.branch):
        raise ConfigError("--full recomputes everything; leave it out to recompute days (--from, --to) or branches (--branch)")
    if given.first and given.last and given.first > given.last:
        raise ConfigError(f"--from {given.first} is after --to {given.last}")
    parts = [f"business_date >= DATE'{given.first}'"] if given.first else []
    parts += [f"business_date <= DATE'{given.last}'"] if given.last else []
    parts += [f"branch_id IN ({quoted(given.branch)})"] if given.branch else []
    return " AND ".join(parts) or None


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes; write for example 30")
    return minutes


def _config(given: argparse.Namespace) -> Config:
    return load_config(given.conf_dir, given.lake, given.vault, given.landing)


def _open_lake(config: Config) -> Store:
    """The store of a lake whose tables can be read."""
    store = Store(open_session(), config.lake, config.vault)
    store.refuse_damaged(tables_of(config.sources))
    return store


def _run(given: argparse.Namespace) -> int:
    config = _config(given)
    steps = pipeline.select(given.only, given.from_step, given.to_step)
    config.token_key()
    for room in (identity_conf, calendar, kpi_rules, insight_rules, segment_rules, score_rules):
        room.load(config)
    log_to_stderr()
    now = utc_now()
    spark = open_session()
    run = Run(
        store=Store(spark, config.lake, config.vault),
        config=config,
        run_id=given.run_id or new_run_id(now),
        started_at=now,
        as_of=given.as_of,
        full=given.full,
        again=_again(given),
        wait_seconds=given.wait * 60,
    )
    results: list[StepResult] = []

    def show(result: StepResult) -> None:
        results.append(result)
        _show_step(result)

    error: Exception | None = None
    try:
        pipeline.run(run, steps, show)
        pipeline.check_audit(run)
        pipeline.check_held(run, steps)
    except Exception as failure:
        error = failure
        raise
    finally:
        if given.report is not None:
            status.write_report(run, results, error, given.report)
    if all(result.status == "unchanged" for result in results):
        _say("nothing new: no table outside ops was written")
    return 0


def _pull(given: argparse.Namespace) -> int:
    log_to_stderr()
    return pull_command.run(given, Clock(utc_now), tell, _say, lambda text: _say(text, to=sys.stderr))


def _show_step(result: StepResult) -> None:
    figures = ", ".join(f"{name} {value:,}" for name, value in result.figures.items())
    _say(f"{result.step:<9} {result.status:<10} {result.seconds:6.1f} s  {figures}")


def _maintain(given: argparse.Namespace) -> int:
    config = _config(given)
    log_to_stderr()
    now = utc_now()
    run = Run(_open_lake(config), config, new_run_id(now), now)
    done = maintain.maintain(run)
    for name, item in done.items():
        if item.is_changed:
            _say(f"{name:<24} files {item.files_before:,} -> {item.files_after:,}, deleted {item.files_removed:,}")
    if not any(item.is_changed for item in done.values()):
        _say("nothing to do: no table outside ops was written")
    return 0


def _upgrade(given: argparse.Namespace) -> int:
    config = _config(given)
    log_to_stderr()
    done = upgrade.upgrade(_open_lake(config), config)
    _say("\n".join(done) or "nothing to do: the lake is that of this release")
    return 0


def _repair(given: argparse.Namespace) -> int:
    config = _config(given)
    log_to_stderr()
    done = repair.repair(Store(open_session(), config.lake, config.vault), config)
    _say("\n".join([*done, "now start the next run: it makes everything again from bronze"] if done else ["nothing is damaged"]))
    return 0


def _rotate_key(given: argparse.Namespace) -> int:
    config = _config(given)
    log_to_stderr()
    parties = rotate.rotate(_open_lake(config), config)
    _say(f"prepared for the new token key: {parties:,} parties; now start the next run, which makes everything anew under it")
    return 0


_UPKEEP: dict[str | None, Callable[[argparse.Namespace], int]] = {
    "maintain": _maintain, "upgrade": _upgrade, "repair": _repair, "rotate-key": _rotate_key,
}  # fmt: skip


def _status(given: argparse.Namespace) -> int:
    config = _config(given)
    report = status.read(_open_lake(config))
    _say(json.dumps(report, default=str, indent=2) if given.json else status.as_text(report))
    return 0


def _kpi(given: argparse.Namespace) -> int:
    config = _config(given)
    return kpi_command.run(given, config, lambda: _open_lake(config), _say)


def _segment(given: argparse.Namespace) -> int:
    config = _config(given)
    told = insight_rules.load(config)
    measures = segment_command.Measures(
        lambda store, as_of, months: insight_step.fields_of(store, told, as_of, months), insight_step.categories_of
    )
    return segment_command.run(given, config, lambda: _open_lake(config), measures, _say)


def _score(given: argparse.Namespace) -> int:
    config = _config(given)
    return score_command.run(given, config, lambda: _open_lake(config), _say)


def _serve(given: argparse.Namespace) -> int:
    sql.serve(_config(given), given.host, given.port, _say)
    return 0


def _add_exceptions(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    helps = {
        "list": "open ones, errors and large amounts first",
        "show": "all that is known of some",
        "assign": "give them to somebody",
        "waive": "let them be, with reason and name",
        "resolve": "close what is known to be repaired, with reason and name",
        "reopen": "take such decisions back",
        "export": "a work list as CSV",
    }
    parsers = {name: actions.add_parser(name, help=text) for name, text in helps.items()}
    for name, action in parsers.items():
        _add_lake_arguments(action)
        action.add_argument("ids", nargs="*", metavar="ID", help="exception_id, or its first characters")
        for key in ("rule", "source", "branch", "file", "owner"):
            action.add_argument(f"--{key}", help=f"only those of this {key}")
        action.add_argument("--overdue", action="store_true", help="only open ones that are past their due time")
        if name in ("list", "export"):
            action.add_argument("--status", default="open", choices=("open", "waived", "resolved", "any"), help="(open)")
    parsers["list"].add_argument("--limit", type=int, default=50, help="at most so many (50)")
    parsers["list"].add_argument("--json", action="store_true", help="as JSON")
    parsers["assign"].add_argument("--to", required=True, help="who works on them")
    parsers["waive"].add_argument("--reason", required=True, help="why they may stay as they are")
    parsers["resolve"].add_argument("--reason", required=True, help="how they were repaired")
    for name in ("assign", "waive", "resolve", "reopen"):
        parsers[name].add_argument("--by", required=True, help="who decides")
    parsers["export"].add_argument("--to", type=Path, required=True, metavar="FILE", help="the CSV file to write")
    late = actions.add_parser("overdue", help="how many are overdue, by who answers for them and level of escalation")
    _add_lake_arguments(late)
    late.add_argument("--as-of", type=text.to_date, help="overdue at the beginning of this day, UTC (now)")
    late.add_argument("--json", action="store_true", help="as JSON lines")


def _overdue(given: argparse.Namespace) -> int:
    store = _open_lake(_config(given))
    upgrade.expect_lake(store)
    at = datetime.combine(given.as_of, time(), UTC) if given.as_of else utc_now()
    late = overdue.to_overdue(store.read(silver.EXCEPTION), at)
    _say(
        text.as_json_lines(late)
        if given.json
        else "\n".join(overdue.as_lines([row.asDict() for row in late.collect()])) or "none"
    )
    return 0


def _exceptions(given: argparse.Namespace) -> int:
    if given.action == "overdue":
        return _overdue(given)
    config = _config(given)
    store, now = _open_lake(config), utc_now()
    state = getattr(given, "status", "any")
    wanted = worklist.Filter(
        ids=given.ids,
        rule=given.rule,
        source=given.source,
        branch_id=given.branch,
        file=given.file,
        owner=given.owner,
        status=None if state == "any" else state,
        overdue_at=now if given.overdue else None,
    )
    run = Run(store, config, new_run_id(now), now)
    match given.action:
        case "assign":
            _say(f"{worklist.assign(run, wanted, given.to, given.by):,} assigned to {given.to}")
        case "waive":
            _say(f"{worklist.waive(run, wanted, given.reason, given.by):,} waived; figures follow with the next run")
        case "resolve":
            _say(f"{worklist.resolve(run, wanted, given.reason, given.by):,} resolved; figures follow with the next run")
        case "reopen":
            _say(f"{worklist.reopen(run, wanted, given.by):,} open again; figures follow with the next run")
        case "export":
            rows = worklist.find(store, wanted).collect()
            worklist.write_csv(rows, given.to)
            _say(f"wrote {len(rows):,} exceptions to {given.to}")
        case "show":
            rows = worklist.find(store, wanted, worklist.HISTORY).collect() if not wanted.is_empty else []
            _say("\n\n".join(worklist.as_page(row) for row in rows) or "none is meant by that")
        case _:
            found = worklist.find(store, wanted)
            rows = found.limit(given.limit).collect()
            _say(worklist.as_json(rows) if given.json else worklist.as_lines(rows) or "none")
            more = found.count() - len(rows)
            if more > 0 and not given.json:
                _say(f"and {more:,} more; --limit, or narrow it down")
    return 0


def _customer(given: argparse.Namespace) -> int:
    config = _config(given)
    return customer_command.run(given, config, _open_lake(config), utc_now(), _say)


def _close(given: argparse.Namespace) -> int:
    config = _config(given)
    return close.run(given, config, _open_lake(config), utc_now(), _say)


def _tie_out(given: argparse.Namespace) -> int:
    return tie_out.run(given, _open_lake(_config(given)), _say)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="name of a source in conf/sources")
    parser.add_argument("file", type=Path, help="one file of its export")
    parser.add_argument("--conf-dir", type=Path, default=Path("conf"), help="folder with lake.yml and sources/ (conf)")
    parser.add_argument("--landing", help="where master data of branches is looked for; wins over TILLHOUSE_LANDING and lake.yml")
    parser.add_argument("--branches", type=Path, metavar="FILE", help="master data of branches, in place of the landing area's")
    parser.add_argument("--as", dest="path", help="where below the landing area such a file will lie (its own path tells)")
    parser.add_argument("--first", type=int, default=3, metavar="N", help="how many receipts or records to show (3)")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _source(given: argparse.Namespace) -> int:
    return _profile(given) if given.action == "profile" else _check(given)


def _check(given: argparse.Namespace) -> int:
    """Exit code 0 where something of the file would count, else 1."""
    config = load_config(given.conf_dir, landing=given.landing)
    source = config.source(given.name)
    inspection, content = check.inspect(source, given.file, given.path)
    found = check.Checked(source, inspection)
    if not inspection.reason:
        with open_light_session() as spark:
            found = check.check(spark, config, inspection, content, given.branches)
    report = check_report.to_report(found, given.first)
    _say(json.dumps(report, default=str, indent=2, ensure_ascii=False) if given.json else check_report.as_text(report))
    return 0 if report["is_fine"] else 1


def _profile(given: argparse.Namespace) -> int:
    """Exit code 0 where a mapping fits or the proposal has all that is mandatory, else 1."""
    library = [read_model(Source, path) for path in sorted(given.library.glob("*.yml"))]
    try:
        content = given.file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{given.file}: cannot be read: {error.strerror}") from None
    name = f"{given.file.resolve().parent.name}/{given.file.name}"
    found = profile.profile(content, name, library, given.kind)
    _say(profile.as_text(found).rstrip())
    return 1 if found.missing else 0


def _doctor(given: argparse.Namespace) -> int:
    checks = doctor.examine(_config(given))
    for item in checks:
        _say(f"{'ok  ' if item.ok else 'BAD '} {item.name}: {item.found}" + ("" if item.ok else f"\n     {item.remedy}"))
    return 0 if all(item.ok for item in checks) else 1


def _make_key(given: argparse.Namespace) -> int:
    if given.file.exists():
        raise ConfigError(f"{given.file} exists; another key would make every known card a new customer")
    given.file.parent.mkdir(parents=True, exist_ok=True)
    given.file.touch(mode=0o600)
    given.file.write_text(secrets.token_hex(32) + "\n", "utf-8")
    _say(f"wrote {given.file}; keep a copy where the lake is not")
    return 0


def _say(told: str, to: TextIO | None = None) -> None:
    stream = to or sys.stdout
    stream.write(told + "\n")
    stream.flush()
