"""The silver step: from bronze text to typed, checked, versioned records, and what is wrong with the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.keys import with_tokens
from tillhouse.products.rules import ProductRules
from tillhouse.quality.duties import Duties
from tillhouse.quality.rules import REJECTED
from tillhouse.silver import (
    closings,
    details,
    duplicates,
    entities,
    exceptions,
    lines,
    master,
    receipts,
    registers,
    settlement,
    versions,
)
from tillhouse.silver.catalogue import Catalogue
from tillhouse.silver.exceptions import Judged
from tillhouse.silver.identifiers import with_token
from tillhouse.silver.products import is_of_record
from tillhouse.sources.model import Source
from tillhouse.store import Since, Store, on_days, quoted
from tillhouse.tables import Table, ops, silver, vault
from tillhouse.tables.bronze import bronze_table

_SETTING = ("time_zone", "currency", "day_start", "opened_on", "closed_on")  # of a branch, that its receipts depend on
EVERYTHING = "true"
_OF_RECEIPTS = ("receipt", "receipt_line", *(kind.entity for kind in details.KINDS))


@dataclass(frozen=True)
class Batch:
    """Receipts to be worked on together.

    ``delivered`` holds the bronze rows of each source; ``where`` (SQL over the receipt tables) says that these are all rows of
    the receipts that it selects, and ``only`` selects their lines. Without ``where`` they are new rows, of which the receipts
    that they name are touched.
    """

    delivered: Sequence[tuple[Source, DataFrame]]
    where: str | None = None
    only: Column | None = None


def run(
    store: Store,
    sources: Sequence[Source],
    *,
    rules: ProductRules,
    token_key: bytes,
    run_id: str,
    seen_at: datetime,
    since: Since | None,
    duties: Duties,
) -> dict[str, int]:
    """Bring silver up to what bronze holds; returns what was counted.

    Tables that decide what has to be done (branches, products) are written last, so that a run after a kill decides the same.
    """
    ledger = store.read(ops.FILE_LEDGER)
    news = _news(store, since)
    of_files = union([exceptions.of_files(ledger), exceptions.of_checks(ledger)])
    judged = [Judged(of_files, F.col("entity") == "file")]
    known_branches = branches = store.read(silver.BRANCH)
    products = store.read(silver.PRODUCT)
    branch_sources, product_sources = _of(sources, "branch"), _of(sources, "product")
    is_news_of_branches = _is_news(branch_sources, news, since)
    catalogue = Catalogue(store, sources, rules, since)
    is_news_of_products = _is_news(catalogue.product_sources, news, since)
    if is_news_of_branches and branch_sources:
        branches, found_in_branches = _write_branch_versions(store, branch_sources)
        judged.append(found_in_branches)
    if is_news_of_products and product_sources:
        records = _records(store, product_sources, "product")
        told = store.keep(master.to_product_statements(records, len(product_sources) > 1))
        products = master.to_products(told)
        judged.append(Judged(exceptions.of_records(records, "product", "product_id"), is_of_record()))

    changed_branches = _changed_branches(known_branches, branches) if since is not None and is_news_of_branches else []
    counted: dict[str, int] = {}
    sold = []
    for batch in _batches(store, sources, news, changed_branches, since):
        if not batch.delivered:
            judged += _forget(store, batch)
            counted["sources_gone"] = 1
            continue
        found, settled, figures = _run_batch(store, batch, branches, ledger, token_key)
        judged += found
        sold.append(settled)
        counted |= {name: counted.get(name, 0) + value for name, value in figures.items()}
    masters = ({"branch": branches} if branch_sources else {}) | ({"product": products} if product_sources else {})
    is_news_of_masters = is_news_of_branches or is_news_of_products
    work = entities.Work(
        store, sources, news, token_key, lambda source: _bronze(store, source), since, masters, is_news_of_masters
    )
    found, figures = entities.run(work)
    judged += found
    counted |= figures
    if is_news_of_products and product_sources:
        products, wrong = catalogue.completed(products, records)
        judged.append(wrong)
        store.overwrite(silver.PRODUCT_VERSION, catalogue.versions(told, products))
    judged += catalogue.judge(sold, products, is_news_of_products)
    judged += registers.judge(store, sources, since)
    if is_news_of_products:
        store.overwrite(silver.PRODUCT, products)
    judged = settlement.with_settlements(judged, store, sources, since)
    judged += duplicates.judge(store, since)
    exceptions.record(store, judged, run_id, seen_at, duties=duties, branches=branches)
    if is_news_of_branches:
        store.overwrite(silver.BRANCH, branches)
    return counted


def _write_branch_versions(store: Store, sources: Sequence[Source]) -> tuple[DataFrame, Judged]:
    """Write the history of branches; returns them as last delivered, and what is wrong in their records."""
    records = store.keep(_records(store, sources, "branch"))
    told = store.keep(master.to_branch_statements(records, len(sources) > 1))
    store.overwrite(silver.BRANCH_VERSION, master.to_branch_versions(told))
    found = Judged(exceptions.of_records(records, "branch", "branch_id"), F.col("entity") == "branch")
    return master.to_branches(told), found


def _of(sources: Sequence[Source], entity: str) -> list[Source]:
    return [source for source in sources if source.entity == entity]


def _news(store: Store, since: Since | None) -> dict[str, list[str]]:
    """Sources with newly loaded files, and the runs that loaded them."""
    if since is None:
        ledger = store.read(ops.FILE_LEDGER).where("status = 'loaded'")
        store.expect(ledger.agg(F.sum("rows_read")).collect()[0][0] or 0)
        return {}
    if not store.has_news(ops.FILE_LEDGER, since):
        return {}
    added = store.changes(ops.FILE_LEDGER, since).where("_is_new AND status = 'loaded'")
    loaded = added.groupBy("source", "run_id").agg(F.sum("rows_read").alias("rows")).collect()
    if not since.changed_parts and not since.again:
        store.expect(sum(row["rows"] for row in loaded))
    news: dict[str, list[str]] = {}
    for row in loaded:
        news.setdefault(row["source"], []).append(row["run_id"])
    return news


def _is_news(sources: Sequence[Source], news: dict[str, list[str]], since: Since | None) -> bool:
    return since is None or any(source.name in news or since.has_changed(f"source {source.name}") for source in sources)


def _changed_branches(old: DataFrame, new: DataFrame) -> list[str]:
    """Branches that are new, or of which something has changed that their receipts depend on."""
    before, after = old.select("branch_id", *_SETTING), new.select("branch_id", *_SETTING)
    differing = before.exceptAll(after).unionByName(after.exceptAll(before))
    return sorted(row["branch_id"] for row in differing.select("branch_id").distinct().collect())


def _batches(
    store: Store, sources: Sequence[Source], news: Mapping[str, list[str]], branches: Sequence[str], since: Since | None
) -> list[Batch]:
    """What has to be worked on: everything, or sources and branches that have changed, and new rows of the others."""
    of_receipts = _of(sources, "receipt")
    if since is None:
        return [Batch([(source, _bronze(store, source)) for source in of_receipts], EVERYTHING)] if of_receipts else []
    changed = {part.removeprefix("source ") for part in since.changed_parts if part.startswith("source ")} - {
        source.name for source in sources if source.entity != "receipt"
    }
    again = [source for source in of_receipts if source.name in changed]
    others = [source for source in of_receipts if source.name not in changed]
    batches = []
    if changed:
        batches.append(Batch([(source, _bronze(store, source)) for source in again], f"source IN ({quoted(changed)})"))
    scopes = [f"branch_id IN ({quoted(branches)})"] if branches else []
    scopes += [since.again] if since.again else []
    scope = " OR ".join(f"({part})" for part in scopes) or "false"
    in_scope = F.coalesce(F.expr(scope), F.lit(False))
    if scopes and others:
        where = f"({scope}) AND source IN ({quoted(source.name for source in others)})"
        batches.append(Batch([(source, _bronze(store, source)) for source in others], where, in_scope))
    added = [
        (source, _bronze(store, source).where(F.col("_run_id").isin(news[source.name])))
        for source in others
        if source.name in news
    ]
    if added:
        batches.append(Batch(added, only=~in_scope if scopes else None))
    return batches


def _records(store: Store, sources: Sequence[Source], entity: str) -> DataFrame:
    to_records = {"branch": master.to_branch_records, "product": master.to_product_records}[entity]
    return union([to_records(_bronze(store, source), source) for source in sources])


def _bronze(store: Store, source: Source) -> DataFrame:
    return store.read(bronze_table(source.name, source.personal_data))


def _run_batch(
    store: Store, batch: Batch, branches: DataFrame, ledger: DataFrame, token_key: bytes
) -> tuple[list[Judged], DataFrame, dict[str, int]]:
    """Write the batch's receipts; returns what was judged, the lines written and what was counted."""
    delivered = union([lines.to_lines(bronze, source, branches) for source, bronze in batch.delivered])
    marked = lines.with_marks(delivered)
    delivered = store.keep(marked if batch.only is None else marked.where(batch.only))
    ranked = _ranked(store, batch, delivered, ledger)
    write = _Writer.of(store, batch, ranked)
    write(silver.RECEIPT_VERSION, ranked)

    current = versions.only_current(lines.accepted(delivered), ranked)
    tells_vouchers = any(source.tells("voucher_number") for source, _ in batch.delivered)
    settled = with_token(  # a voucher's number pays whoever knows it
        lines.settle(current), "voucher_number", "voucher", "voucher_token", token_key if tells_vouchers else None
    )
    settled = write(silver.RECEIPT_LINE, receipts.to_receipt_lines(settled))
    headers = with_tokens(receipts.to_headers(current), {"card_number": "card", "operator": "operator"}, token_key)
    headers = store.keep(headers)
    parties = receipts.to_parties(headers)
    _add_missing(store, vault.PARTY, vault.PARTY.filled(parties))
    _add_missing(store, silver.PARTY, receipts.to_silver_parties(parties))
    documents = write(silver.RECEIPT, receipts.to_receipts(headers, receipts.to_totals(settled)))

    found = [exceptions.of_lines(versions.only_current(delivered, ranked)), exceptions.of_totals(documents)]
    for kind in details.KINDS:
        found += _write_details(write, kind, branches, ranked, (documents, settled), token_key=token_key)
    judged = write.judged(found, ranked, documents)
    judged += closings.write(
        store, batch.delivered, branches, ledger, receipt_lines=delivered, where=batch.where, only=batch.only
    )
    return judged, settled, _count(ranked.where("NOT _is_stored"))


def _write_details(
    write: _Writer,
    kind: details.Kind,
    branches: DataFrame,
    ranked: DataFrame,
    kept: tuple[DataFrame, DataFrame],
    *,
    token_key: bytes,
) -> list[DataFrame]:
    """Write what the batch's sources tell beside lines; returns exceptions. ``kept``: the batch's receipts and their lines."""
    store, batch = write.store, write.batch
    told = [(source, bronze) for source, bronze in batch.delivered if kind.key in source.details]
    if not told:
        if batch.where and store.version(kind.table)[1]:
            write(kind.table, store.read(kind.table).where("false"))
        return []
    read = details.read(told, kind, branches)
    read = read.join(ranked.select("receipt_key").distinct(), on="receipt_key", how="left_semi")
    read = store.keep(versions.only_current(read, ranked))
    sound = read.where(~F.col(REJECTED))
    for column, (identifier, name) in kind.tokens.items():
        is_told = any(source.tells_detail(kind.key, column) for source, _ in told)
        sound = sound.transform(with_token, column, identifier, name, token_key if is_told else None)
    rows = write(kind.table, kind.to_rows(sound, *kept))
    return [exceptions.of_records(read, kind.entity, "_place", "receipt_key"), *kind.differences(*kept, sound, rows)]


def _ranked(store: Store, batch: Batch, delivered: DataFrame, ledger: DataFrame) -> DataFrame:
    """Every version of the batch's receipts with its status; those that silver knows already are ``_is_stored``."""
    found = versions.to_versions(delivered)
    if batch.where is None:
        found = store.keep(found)
        found = found.unionByName(versions.of_receipts(store.read(silver.RECEIPT_VERSION), found))
    return store.keep(versions.rank_versions(found, ledger.where("status = 'loaded'")))


@dataclass(frozen=True)
class _Writer:
    """Writes a batch's rows into the receipt tables, in place of what the batch replaces; returns them as they are stored."""

    store: Store
    batch: Batch
    named: DataFrame
    decided: DataFrame
    dates: Sequence[date | None]

    @classmethod
    def of(cls, store: Store, batch: Batch, ranked: DataFrame) -> _Writer:
        """``named`` are the receipts of the batch, ``decided`` those that one of its versions decides now."""
        named = ranked.select("receipt_key").distinct()
        decided = ranked.where("status IN ('current', 'deleted') AND NOT _is_stored").select("receipt_key")
        if batch.where:
            return cls(store, batch, named, decided, ())
        days = [row[0] for row in ranked.select("business_date").distinct().collect()]
        return cls(store, batch, store.keep(named), store.keep(decided), days)

    def __call__(self, table: Table, rows: DataFrame) -> DataFrame:
        if self.batch.where:
            self.store.overwrite(table, rows, self.batch.where)
            return self.store.read(table).where(self.batch.where)
        rows = self.store.keep(rows)
        touched = self.named if table is silver.RECEIPT_VERSION else self.decided
        if table is silver.RECEIPT_PAYMENT:  # what other documents tell of these receipts stays
            touched = touched.toDF("_document_key")
        self.store.replace(table, rows, touched, self.dates)
        return rows

    def judged(self, found: Sequence[DataFrame], ranked: DataFrame, documents: DataFrame) -> list[Judged]:
        """What was found in the batch, and which exceptions are decided anew by it."""
        of_receipts = F.col("entity").isin(*_OF_RECEIPTS)
        if self.batch.where:
            conflicts = exceptions.of_versions(ranked, documents)
            return [Judged(union([*found, conflicts]), of_receipts & F.expr(self.batch.where))]
        is_conflict = F.col("rule") == exceptions.CONFLICTING
        stored = self.store.read(silver.RECEIPT).where(on_days(self.dates, silver.RECEIPT))
        return [
            Judged(union(found), of_receipts & ~is_conflict, "_scope", self.decided),
            Judged(exceptions.of_versions(ranked, stored), is_conflict, "_scope", self.named),
        ]


def _forget(store: Store, batch: Batch) -> list[Judged]:
    """The receipts of sources that are no longer in conf go, and what was wrong with them."""
    assert batch.where is not None
    optional = (*(kind.table for kind in details.KINDS), silver.CLOSING_TOTAL)
    filled = [table for table in optional if store.version(table)[1]]
    for table in (silver.RECEIPT_VERSION, silver.RECEIPT_LINE, silver.RECEIPT, *filled):
        store.overwrite(table, store.read(table).where("false"), batch.where)
    entities = (*_OF_RECEIPTS, *closings.ENTITIES)
    return [Judged(None, F.col("entity").isin(*entities) & F.expr(batch.where))]


def _add_missing(store: Store, table: Table, rows: DataFrame) -> None:
    """A party stays known once it was named, also where the receipt that named it has been corrected."""
    new = store.keep(rows.join(store.read(table), on=list(table.key), how="left_anti"))
    if not new.isEmpty():
        store.append(table, new)


def _count(ranked: DataFrame) -> dict[str, int]:
    row = ranked.agg(
        F.count(F.when(F.col("status") == "current", 1)).alias("receipts"),
        F.count(F.when(F.col("status") == "deleted", 1)).alias("receipts_deleted"),
        F.count(F.when(~F.col("status").isin("current", "deleted", "unreadable"), 1)).alias("versions_not_current"),
        F.sum("line_count").alias("lines_accepted"),
        F.sum("rejected_count").alias("lines_rejected"),
        F.sum("repeated_count").alias("lines_repeated"),
    ).collect()[0]
    return {name: value or 0 for name, value in row.asDict().items()}
