"""The delivery step: what each source should have delivered of each branch and day, and what of it has come.

Nothing here asks the clock: a delivery is overdue when its due time lies before the start of the day ``as_of``, and late when the
export time that it declares lies after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce

from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.ops.runs import Run, tell
from tillhouse.silver import exceptions
from tillhouse.silver.exceptions import Judged
from tillhouse.sources.delivery import Delivery
from tillhouse.sources.mapping import instant
from tillhouse.sources.model import Source
from tillhouse.store import Since, Store, on_days, quoted
from tillhouse.tables import ops, silver

LOOK_BACK = timedelta(days=31)  # a till's numbers are compared with those of this many days before
GAPS_TOLD = 10
_ONE_DAY = timedelta(days=1)
_CALENDAR = "source STRING, business_date DATE, period_start DATE, due_at TIMESTAMP, is_due BOOLEAN, needs_receipts BOOLEAN"
_FILES = "source STRING, period_start DATE, file_branch_id STRING, exported STRING"
_NUMBERS = ("source", "branch_id", "register_id", "closing_id", "business_date")

Pair = tuple[str, str]  # source, branch
Days = dict[str, set[date]]  # of each source
_Pairs = tuple[Mapping[Pair, date], Mapping[Pair, date]]  # first days, as known before and as they are


def run(run: Run, since: Since | None) -> dict[str, int]:
    """Bring ops.delivery up to what has been delivered and what is overdue; returns what was counted.

    ops.source_branch, which decides what is expected, is written last, so that a run after a kill decides the same.
    """
    store, sources = run.store, [source for source in run.config.sources if source.delivery is not None]
    if since is not None and not sources:
        return {}
    known = {(row["source"], row["branch_id"]): row["first_date"] for row in store.read(ops.SOURCE_BRANCH).collect()}
    if since is not None and _is_news_of_branches(store, sources, since, known):
        since = None
    first = _first_dates(store, sources, known, since)
    until = _until(store, run.as_of)
    days = _all_days(first, until) if since is None else _touched_days(store, sources, since, until, (known, first))
    if since is None or any(days.values()):
        found = store.keep(_examine(store, sources, first, days, until))
        counted = _publish(run, sources, found, days, since)
    else:
        counted = {}
    pairs = [(*pair, day) for pair, day in sorted(first.items())]
    if first != known:
        store.overwrite(ops.SOURCE_BRANCH, store.spark.createDataFrame(pairs, ops.SOURCE_BRANCH.struct))
    return {"branch_days": sum(counted.values()), **{status: counted.get(status, 0) for status in ("late", "missing", "partial")}}


def _publish(run: Run, sources: Sequence[Source], found: DataFrame, days: Days, since: Since | None) -> dict[str, int]:
    store = run.store
    is_judged = F.col("entity") == exceptions.DELIVERY
    if since is None:
        store.overwrite(ops.DELIVERY, found)
    else:
        rows = [(name, day) for name, of_source in days.items() for day in sorted(of_source)]
        touched = store.spark.createDataFrame(rows, "source STRING, business_date DATE")
        store.replace(ops.DELIVERY, found, touched, _every_day(days))
        judged = [(F.col("source") == name) & F.col("business_date").isin(sorted(of)) for name, of in days.items() if of]
        is_judged = is_judged & reduce(lambda left, right: left | right, judged)
    counted = {row["status"]: row["count"] for row in found.groupBy("status").count().collect()}
    is_open = is_judged & (F.col("status") == "open")
    if counted.keys() & {"missing", "partial"} or not store.read(silver.EXCEPTION).where(is_open).isEmpty():
        by_branch = {source.name for source in sources if source.delivery and source.delivery.branch_from_path}
        judgement = Judged(exceptions.of_deliveries(found, by_branch), is_judged)
        duties, branches = run.config.duties, store.read(silver.BRANCH)
        exceptions.record(store, [judgement], run.run_id, run.started_at, duties=duties, branches=branches)
    return counted


def _examine(store: Store, sources: Sequence[Source], first: Mapping[Pair, date], days: Days, until: date) -> DataFrame:
    """The rows of ops.delivery for the days of each source."""
    spark, examined = store.spark, _every_day(days)
    calendar = spark.createDataFrame(to_calendar(sources, days, until), _CALENDAR)
    pairs = spark.createDataFrame([(*pair, day) for pair, day in expected_from(sources, first).items()], ops.SOURCE_BRANCH.struct)
    expected = to_expected(pairs, calendar, store.read(silver.BRANCH), sources)
    on = on_days(examined, silver.RECEIPT_VERSION)
    versions = store.read(silver.RECEIPT_VERSION).where(on).where("status <> 'unreadable'")
    receipts = to_delivered_days(versions, sources)
    ledger = store.read(ops.FILE_LEDGER).where("status = 'loaded'")
    gaps = to_gaps(_numbered(store, sources, examined), sources)
    return ops.DELIVERY.conform(to_deliveries(expected, _files(ledger, sources, days), receipts, gaps, sources))


def to_calendar(
    sources: Sequence[Source], days: Mapping[str, set[date]], until: date
) -> list[tuple[str, date, date, datetime, bool, bool]]:
    """The days on which a source's chain trades, each with its period and due time. ``until`` is exclusive."""
    now = datetime.combine(until, time(), UTC)
    rows = []
    for source in sources:
        plan = _plan(source)
        for day in sorted(days.get(source.name, ())):
            if day < until and plan.is_open(day):
                start = plan.start_of(day)
                due_at = plan.due_at(start)
                rows.append((source.name, day, start, due_at, due_at <= now, not plan.empty_days))
    return rows


def expected_from(sources: Sequence[Source], first: Mapping[Pair, date]) -> dict[Pair, date]:
    """From which day on a source is expected to deliver a branch.

    Since it first did; where conf names the branches, since it first delivered any of them.
    """
    expected = dict(first)
    for source in sources:
        begun = min((day for (name, _), day in first.items() if name == source.name), default=None)
        if begun is not None:
            expected |= {(source.name, branch): first.get((source.name, branch), begun) for branch in _plan(source).branches}
    return expected


def to_expected(pairs: DataFrame, calendar: DataFrame, branches: DataFrame, sources: Sequence[Source]) -> DataFrame:
    """One row per source, branch and day that should be delivered: open, and after the branch began to deliver.

    A branch is expected between the days of its opening and closing, as far as its master data names them.
    """
    known = branches.select("branch_id", "region", "opened_on", "closed_on")
    expected = (
        calendar.join(F.broadcast(pairs), on="source", how="inner")
        .join(F.broadcast(known), on="branch_id", how="left")
        .where("business_date >= first_date")
        .where("opened_on IS NULL OR business_date >= opened_on")
        .where("closed_on IS NULL OR business_date <= closed_on")
    )
    for source in sources:
        for rule in _plan(source).closed:
            if not rule.is_for_all:
                of_rule = F.col("branch_id").isin(*rule.branches) | F.col("region").isin(*rule.regions)
                on_day = F.date_format("business_date", "EEEE").isin(*(name.capitalize() for name in rule.weekdays))
                on_day = on_day | F.col("business_date").isin(*rule.days)
                is_closed = (F.col("source") == source.name) & F.coalesce(of_rule, F.lit(False)) & on_day
                expected = expected.where(~is_closed)
    return expected.select("source", "branch_id", "business_date", "period_start", "due_at", "is_due", "needs_receipts")


def to_delivered_days(versions: DataFrame, sources: Sequence[Source]) -> DataFrame:
    """Branches and days of which receipts have come, with the first export time that declares itself."""
    by_export = [source.name for source in sources if source.version_order and source.version_order.from_path]
    exported_at = F.min(F.when(F.col("source").isin(*by_export), F.col("version_at")))
    of_sources = versions.where(F.col("source").isin(*(source.name for source in sources)))
    return of_sources.groupBy("source", "branch_id", "business_date").agg(exported_at.alias("_exported_at"))


def to_deliveries(
    expected: DataFrame, files: DataFrame, receipts: DataFrame, gaps: DataFrame, sources: Sequence[Source]
) -> DataFrame:
    """Judge each expected branch and day.

    ``files`` (source, period_start, file_branch_id or NULL for all, exported_at) are periods that files name. Where a source's
    files name none, a period has come when receipts of it have.
    """
    unnamed = [source.name for source in sources if not _plan(source).from_path]
    of_periods = (
        expected.where(F.col("source").isin(*unnamed))
        .join(receipts, on=["source", "branch_id", "business_date"], how="inner")
        .groupBy("source", "period_start")
        .agg(F.min("_exported_at").alias("exported_at"))
        .withColumn("file_branch_id", F.lit(None).cast("string"))
    )
    arrived = files.unionByName(of_periods).withColumn("_is_there", F.lit(True)).alias("arrived")
    of_branch = F.col("arrived.file_branch_id").isNull() | (F.col("arrived.file_branch_id") == F.col("branch_id"))
    same_period = F.col("expected.period_start") == F.col("arrived.period_start")
    joined = (
        expected.alias("expected")
        .join(
            F.broadcast(arrived), on=(F.col("expected.source") == F.col("arrived.source")) & same_period & of_branch, how="left"
        )
        .select("expected.*", F.col("arrived.exported_at").alias("_period_exported_at"), "_is_there")
        .join(receipts.withColumn("_has_receipts", F.lit(True)), on=["source", "branch_id", "business_date"], how="left")
        .join(gaps, on=["source", "branch_id", "business_date"], how="left")
    )
    is_there, has_receipts = (F.coalesce(name, F.lit(False)) for name in ("_is_there", "_has_receipts"))
    own = F.when(F.col("source").isin(*unnamed), F.col("_exported_at"))
    judged = joined.withColumns(
        {
            "is_file_there": is_there,
            "exported_at": F.coalesce(own, "_period_exported_at"),
            "missing_numbers": F.coalesce("missing_numbers", F.lit(0).cast("bigint")),
            "_has_come": is_there & (has_receipts | ~F.col("needs_receipts")),
        }
    )
    status = (
        F.when(F.col("_has_come") & (F.col("missing_numbers") > 0), "partial")
        .when(F.col("_has_come") & (F.col("exported_at") > F.col("due_at")), "late")
        .when(F.col("_has_come"), "on_time")
        .when(F.col("is_due"), "missing")
    )
    return judged.withColumn("status", status).where("status IS NOT NULL")


def to_gaps(receipts: DataFrame, sources: Sequence[Source]) -> DataFrame:
    """Numbers that a register, or a closing of it, has left out, by the day of the next number.

    A number that is not higher than the one before starts the count anew and leaves no gap.
    """
    found = []
    for source in sources:
        for field, counter in _plan(source).numbered.items():
            counted_by = ["source", "branch_id", "register_id"] + (["closing_id"] if counter == "closing" else [])
            of_counter = Window.partitionBy(*counted_by).orderBy("business_date", "_number")
            numbers = (
                receipts.where(F.col("source") == source.name)
                .withColumn("_number", F.col(field).try_cast("bigint"))
                .where("_number IS NOT NULL")
                .select(*_NUMBERS, "_number").distinct()
                .withColumn("_before", F.lag("_number").over(of_counter))
                .where("_number > _before + 1")
            )  # fmt: skip
            place = F.concat(
                F.lit(f"{field} of register "), F.coalesce("register_id", F.lit("-")), F.lit(": "),
                (F.col("_before") + 1).cast("string"), F.lit(" to "), (F.col("_number") - 1).cast("string"),
            )  # fmt: skip
            found.append(
                numbers.select(
                    "source",
                    "branch_id",
                    "business_date",
                    (F.col("_number") - F.col("_before") - 1).alias("_count"),
                    place.alias("_gap"),
                )
            )
    if not found:
        empty = "source STRING, branch_id STRING, business_date DATE, missing_numbers BIGINT, gaps STRING"
        return receipts.sparkSession.createDataFrame([], empty)
    return (
        union(found)
        .groupBy("source", "branch_id", "business_date")
        .agg(
            F.sum("_count").alias("missing_numbers"),
            F.array_join(F.slice(F.array_sort(F.collect_list("_gap")), 1, GAPS_TOLD), "; ").alias("gaps"),
        )
    )


def _numbered(store: Store, sources: Sequence[Source], examined: Sequence[date]) -> DataFrame:
    """Receipts of the sources whose numbers have no gaps, on the examined days and before."""
    names = [source.name for source in sources if _plan(source).numbered]
    receipts = store.read(silver.RECEIPT).where(F.col("source").isin(*names))
    if not names or not examined:
        return receipts.where("false")
    since = examined[0] - LOOK_BACK
    return receipts.where(f"business_date BETWEEN DATE'{since}' AND DATE'{examined[-1]}' AND _month >= '{since:%Y-%m}'")


def _files(ledger: DataFrame, sources: Sequence[Source], days: Mapping[str, set[date]]) -> DataFrame:
    """The periods of the examined days of which a loaded file says in its path that it holds them."""
    named = [source for source in sources if _plan(source).from_path]
    starts = {source.name: {_plan(source).start_of(day) for day in days.get(source.name, ())} for source in named}
    paths = _paths(ledger, named)
    found = [
        (source.name, start, branch, exported)
        for source in named
        for start, branch, exported in _periods(paths.get(source.name, ()), source)
        if start in starts[source.name]
    ]
    files = ledger.sparkSession.createDataFrame(found, _FILES)
    exported_at = F.coalesce(
        *(
            F.when(F.col("source") == source.name, instant(F.col("exported"), order.date_formats, F.lit(order.timezone)))
            for source in named
            if (order := source.version_order) is not None and order.from_path
        ),
        F.lit(None).cast("timestamp"),
    )
    return files.groupBy("source", "period_start", "file_branch_id").agg(F.min(exported_at).alias("exported_at"))


def _paths(files: DataFrame, sources: Sequence[Source]) -> dict[str, list[str]]:
    """The paths of each source's files."""
    paths: dict[str, list[str]] = {}
    for row in files.where(F.col("source").isin(*(source.name for source in sources))).select("source", "path").collect():
        paths.setdefault(row["source"], []).append(row["path"])
    return paths


def _periods(paths: Iterable[str], source: Source) -> list[tuple[date, str | None, str | None]]:
    """Period, branch and export time that the paths of a source's files name."""
    plan, order = _plan(source), source.version_order
    assert plan.from_path is not None
    found = []
    for path in paths:
        captured = source.match_path(path) or {}
        start = plan.start_from(captured.get(plan.from_path, ""))
        if start is None:
            tell("the path does not tell its period", source=source.name, path=path)
            continue
        exported = captured.get(order.from_path) if order and order.from_path else None
        found.append((start, captured.get(plan.branch_from_path) if plan.branch_from_path else None, exported))
    return found


def _first_dates(store: Store, sources: Sequence[Source], known: Mapping[Pair, date], since: Since | None) -> dict[Pair, date]:
    """The first day that each source has delivered of each branch."""
    receipts = store.read(silver.RECEIPT).where(F.col("source").isin(*(source.name for source in sources)))
    if since is None:
        return _firsts(receipts)
    if not store.has_news(silver.RECEIPT, since):
        return dict(known)
    changed = _firsts(store.changes(silver.RECEIPT, since))
    names = {source.name for source in sources}
    in_doubt = {pair for pair, day in changed.items() if pair[0] in names and day <= known.get(pair, day)}
    if not in_doubt:
        return dict(known)
    found = _firsts(receipts.where(f"branch_id IN ({quoted(branch for _, branch in in_doubt)})"))
    others = {pair: day for pair, day in known.items() if pair not in in_doubt}
    return others | {pair: day for pair, day in found.items() if pair in in_doubt}


def _firsts(receipts: DataFrame) -> dict[Pair, date]:
    rows = receipts.groupBy("source", "branch_id").agg(F.min("business_date").alias("day")).collect()
    return {(row["source"], row["branch_id"]): row["day"] for row in rows}


def _until(store: Store, as_of: date | None) -> date:
    """The day before which everything is judged: ``as_of``, else the day after the last trading day."""
    if as_of is not None:
        return as_of
    last: date | None = store.read(silver.RECEIPT).agg(F.max("business_date")).collect()[0][0]
    return date.min if last is None else last + _ONE_DAY


def _all_days(first: Mapping[Pair, date], until: date) -> Days:
    days: Days = {}
    for name in {name for name, _ in first}:
        begun = min(day for (source, _), day in first.items() if source == name)
        days[name] = set(_range(begun, until))
    return days


def _touched_days(store: Store, sources: Sequence[Source], since: Since, until: date, pairs: _Pairs) -> Days:
    """Days of which something has come or changed since then, or that have become due, by source."""
    known, first = pairs
    changed: dict[str, set[date]] = {source.name: set() for source in sources}
    for row in _changed_versions(store, since):
        if row["source"] in changed:
            changed[row["source"]].add(row["business_date"])
    if store.has_news(ops.FILE_LEDGER, since):
        named = [source for source in sources if _plan(source).from_path]
        paths = _paths(store.changes(ops.FILE_LEDGER, since).where("status = 'loaded'"), named)
        for source in named:
            changed[source.name] |= {start for start, _, _ in _periods(paths.get(source.name, ()), source)}
    for pair in {*known, *first}:
        old, new = known.get(pair, until), first.get(pair, until)
        if pair[0] in changed:
            changed[pair[0]] |= set(_range(min(old, new), max(old, new)))
    last: date | None = store.read(ops.DELIVERY).agg(F.max("business_date")).collect()[0][0]
    judged = until if last is None else last + _ONE_DAY
    touched: Days = {}
    for source in sources:
        plan = _plan(source)
        days = set(changed[source.name])
        if plan.numbered:
            days |= {day for start in changed[source.name] for day in _range(start, min(start + LOOK_BACK, max(until, judged)))}
        undue = timedelta(days=len(list(plan.days_of(until))) + plan.due_days + 1)
        days |= set(_range(min(until, judged) - undue, max(until, judged)))
        touched[source.name] = plan.whole_periods(days)  # a missing file is one exception, with all its days
    return touched


def _changed_versions(store: Store, since: Since) -> list[Row]:
    changed = [store.read(silver.RECEIPT_VERSION).where(since.again)] if since.again else []
    if store.has_news(silver.RECEIPT_VERSION, since):
        changed.append(store.changes(silver.RECEIPT_VERSION, since))
    days = [rows.select("source", "business_date").where("business_date IS NOT NULL") for rows in changed]
    return union(days).distinct().collect() if days else []


def _is_news_of_branches(store: Store, sources: Sequence[Source], since: Since, known: Mapping[Pair, date]) -> bool:
    """Whether something has changed that says on which days a branch is expected that has delivered or is named in conf."""
    if not store.has_news(silver.BRANCH, since):
        return False
    told = ["branch_id", "opened_on", "closed_on"]
    told += ["region"] if any(rule.regions for source in sources for rule in _plan(source).closed) else []
    expected = {branch for _, branch in known} | {branch for source in sources for branch in _plan(source).branches}
    return any(row["branch_id"] in expected for row in store.touched(silver.BRANCH, since, ["branch_id"], told).collect())


def _range(start: date, end: date) -> Iterable[date]:
    return (start + timedelta(days=number) for number in range((end - start).days))


def _every_day(days: Mapping[str, set[date]]) -> list[date]:
    return sorted({day for of_source in days.values() for day in of_source})


def _plan(source: Source) -> Delivery:
    assert source.delivery is not None
    return source.delivery
