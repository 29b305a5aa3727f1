"""What is delivered beside receipts, products and branches: from bronze to silver, for every kind of record on one path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tillhouse.frames import union
from tillhouse.silver import exceptions, parties, party_versions, records
from tillhouse.silver.exceptions import Judged
from tillhouse.silver.references import REFERENCE, of_references
from tillhouse.sources.entities import BY_NAME, CONTACT
from tillhouse.sources.model import Source
from tillhouse.store import Since, Store, quoted
from tillhouse.tables import Table, entities, ops, silver, vault

_OF_RECORDS = tuple(BY_NAME)
Read = Callable[[Source], DataFrame]


@dataclass(frozen=True)
class Batch:
    """Records to be worked on together: with ``where`` (SQL over their tables) all of its sources, without it new ones."""

    delivered: Sequence[tuple[Source, DataFrame]]
    where: str | None = None

    @property
    def sources(self) -> str:
        return f"source IN ({quoted(source.name for source, _ in self.delivered)})"


@dataclass(frozen=True)
class Done:
    """What a batch has found: its judgements, the records that it has decided, and figures."""

    judged: Sequence[Judged]
    decided: DataFrame
    figures: Mapping[str, int]


@dataclass(frozen=True)
class Work:
    """What the step knows: sources with newly loaded files and the runs that loaded them, what has changed since, master data.

    ``read`` gives the bronze rows of a source, ``masters`` are the branches and products that records may refer to.
    """

    store: Store
    sources: Sequence[Source]
    news: Mapping[str, Sequence[str]]
    token_key: bytes
    read: Read
    since: Since | None
    masters: Mapping[str, DataFrame]
    is_news_of_masters: bool


def run(work: Work) -> tuple[list[Judged], dict[str, int]]:
    """Bring the records of all kinds up to what bronze holds; returns what was judged, and figures."""
    store, since = work.store, work.since
    of_records = [source for source in work.sources if source.entity in BY_NAME]
    judged = _forget(store, work.sources, since)
    done = [_work(store, batch, work.token_key) for batch in _batches(of_records, work.news, work.read, since)]
    figures: dict[str, int] = {}
    for item in done:
        judged += item.judged
        figures = {name: figures.get(name, 0) + value for name, value in item.figures.items()}
    if of_records and (done or work.is_news_of_masters):
        judged += _references(store, of_records, work.masters, done, since)
    return judged, figures


def _batches(sources: Sequence[Source], news: Mapping[str, Sequence[str]], read: Read, since: Since | None) -> list[Batch]:
    """All records of sources whose mapping has changed, and new ones of the others. A source without news costs nothing."""
    again = [source for source in sources if since is None or since.has_changed(f"source {source.name}")]
    added = [source for source in sources if source not in again and source.name in news]
    batches = []
    if again:
        whole = Batch([(source, read(source)) for source in again])
        batches.append(Batch(whole.delivered, whole.sources))
    if added:
        new = [(source, read(source).where(F.col("_run_id").isin(list(news[source.name])))) for source in added]
        batches.append(Batch(new))
    return batches


def _forget(store: Store, sources: Sequence[Source], since: Since | None) -> list[Judged]:
    """Records go whose source is no longer in conf, or delivers another kind of record now."""
    if since is None:
        return []
    kinds = {source.name: source.entity for source in sources}
    changed = {part.removeprefix("source ") for part in since.changed_parts if part.startswith("source ")}
    gone = changed - kinds.keys()
    for table in (*entities.TABLES, *((silver.PARTY, vault.PARTY) if gone else ())):
        names = {name for name in changed if name in gone or (table in entities.RECORDS and kinds[name] != table.name)}
        if names and store.exists(table):
            where = f"source IN ({quoted(names)})"
            if not store.read(table).where(where).isEmpty():
                store.overwrite(table, store.read(table).where("false"), where)
    if not gone:
        return []
    return [Judged(None, F.col("entity").isin(*_OF_RECORDS) & F.col("source").isin(*sorted(gone)))]


def _work(store: Store, batch: Batch, token_key: bytes) -> Done:
    """Write the records of a batch; every version of theirs is ranked, and those that count are in the table of their kind."""
    found = _read(store, batch, token_key)
    versions = union([records.to_versions(rows, name) for name, rows in found.items()])
    if batch.where is None:
        versions = store.keep(versions)
        stored = store.read(entities.RECORD_VERSION).where(batch.sources)
        versions = versions.unionByName(records.of_records(stored, versions))
    ledger = store.read(ops.FILE_LEDGER).where("status = 'loaded'")
    ranked = store.keep(records.rank_versions(versions, ledger))
    new = ranked.where("NOT _is_stored")
    decided = store.keep(new.where("status IN ('current', 'deleted')").select("record_key", "entity").distinct())
    _write(store, batch, entities.RECORD_VERSION, ranked, ranked.select("record_key").distinct())
    current = new.where("status = 'current'").select("record_key", "_file_id", "_row")
    counting = {name: rows.join(current, on=["record_key", "_file_id", "_row"], how="left_semi") for name, rows in found.items()}
    keys = decided.select("record_key")
    for name, rows in counting.items():
        if name == CONTACT:
            _write_contacts(store, batch, rows, keys.toDF("party_key"))
            _write_party_versions(store, batch, ranked, ledger)
        else:
            table = entities.BY_NAME[name]
            _write(store, batch, table, table.conform(_to_columns(rows, table)), keys)
    _write_texts(store, batch, counting, keys)
    _add_references(store, counting)
    return Done(_judged(batch, found, new, ranked, decided), decided, _count(new))


def _read(store: Store, batch: Batch, token_key: bytes) -> dict[str, DataFrame]:
    """The delivered records by kind."""
    by_kind: dict[str, list[DataFrame]] = {}
    for source, bronze in batch.delivered:
        rows = records.to_records(bronze, source, BY_NAME[source.entity], token_key)
        rows = party_versions.with_told(rows, source) if source.entity == CONTACT else rows
        by_kind.setdefault(source.entity, []).append(rows)
    return {name: store.keep(union(rows, fill=True)) for name, rows in by_kind.items()}


def _write(store: Store, batch: Batch, table: Table, rows: DataFrame, keys: DataFrame) -> None:
    """Rows in place of what the batch replaces: all of its sources, or the records that it decides."""
    rows = table.conform(rows)
    if batch.where:
        store.overwrite(table, rows, batch.where)
    else:
        store.replace_where(table, store.keep(rows), keys, batch.sources)


def _to_columns(rows: DataFrame, table: Table) -> DataFrame:
    """Money in cents, as every table keeps it."""
    money = [field.name for field in table.struct if field.dataType.simpleString() == "decimal(18,2)"]
    return reduce(lambda df, name: df.withColumn(name, F.round(name, 2).cast("DECIMAL(18,2)")), money, rows)


def _of_contacts(batch: Batch) -> Batch:
    only = Batch([(source, bronze) for source, bronze in batch.delivered if source.entity == CONTACT])
    return Batch(only.delivered, only.sources if batch.where else None)


def _write_party_versions(store: Store, batch: Batch, ranked: DataFrame, ledger: DataFrame) -> None:
    """The history of each contact of which the batch holds a version, be it one of the past."""
    of_contacts = ranked.where(F.col("entity") == CONTACT)
    versions = party_versions.to_party_versions(of_contacts, ledger)
    _write(
        store, _of_contacts(batch), entities.PARTY_VERSION, versions, of_contacts.select(F.col("record_key").alias("party_key"))
    )


def _write_contacts(store: Store, batch: Batch, contacts: DataFrame, keys: DataFrame) -> None:
    only = _of_contacts(batch)
    contacts = store.keep(contacts)
    _write(store, only, vault.PARTY, parties.to_vault(contacts), keys)
    _write(store, only, silver.PARTY, parties.to_parties(contacts), keys)
    told = [parties.to_consents(contacts, source) for source, _ in only.delivered if source.consent]
    nothing = store.read(entities.CONSENT).where("false")
    _write(store, only, entities.CONSENT, union([nothing, *told]), keys)


def _write_texts(store: Store, batch: Batch, counting: Mapping[str, DataFrame], keys: DataFrame) -> None:
    """What is personal in records about somebody, in clear, in the vault."""
    texts = []
    for name, rows in counting.items():
        if name == CONTACT or not BY_NAME[name].personal:
            continue
        personal = [field.name for field in BY_NAME[name].fields if field.personal]
        pairs = F.array(*(F.struct(F.lit(field).alias("name"), F.col(field).alias("text")) for field in personal))
        content = F.map_from_entries(F.filter(pairs, lambda pair: pair["text"].isNotNull()))
        texts.append(rows.select("record_key", F.lit(name).alias("entity"), "source", content.alias("content")))
    if texts:
        told = union(texts).where(F.size("content") > 0)
        _write(store, batch, entities.RECORD_TEXT, told, keys)


def _add_references(store: Store, counting: Mapping[str, DataFrame]) -> None:
    """A party stays known once a record has named it."""
    named = [parties.of_references(rows) for name, rows in counting.items() if BY_NAME[name].names_party]
    if not named:
        return
    rows = union(named).dropDuplicates(["party_key"])
    new = store.keep(rows.join(store.read(silver.PARTY).select("party_key"), on="party_key", how="left_anti"))
    if not new.isEmpty():
        in_vault = new.join(store.read(vault.PARTY).select("party_key"), on="party_key", how="left_anti")
        store.append(vault.PARTY, vault.PARTY.filled(in_vault))
        store.append(silver.PARTY, silver.PARTY.filled(new))


def _judged(batch: Batch, found: Mapping[str, DataFrame], new: DataFrame, ranked: DataFrame, decided: DataFrame) -> list[Judged]:
    """Warnings of versions that count, errors of what the source says last, and versions that contradict each other."""
    place = ["record_key", "_file_id", "_row"]
    told = new.where("status = 'current' OR (status = 'rejected' AND _is_newest)").select(*place)
    conflicts = ranked.where("status = 'conflicting'").select(*place)
    of_records = [
        exceptions.of_records(
            rows.join(told, on=place, how="left_semi").withColumn("_scope", F.col("record_key")), name, "_shown_key", "_scope"
        )
        for name, rows in found.items()
    ]
    of_versions = [
        exceptions.of_conflicts(rows.join(conflicts, on=place, how="left_semi"), name, "_shown_key")
        for name, rows in found.items()
    ]
    covers = F.col("entity").isin(*_OF_RECORDS)
    if batch.where:
        return [Judged(union([*of_records, *of_versions]), covers & F.expr(batch.where))]
    is_conflict, is_error = F.col("rule") == exceptions.CONFLICTING, F.col("severity") == "error"
    own = covers & ~is_conflict & (F.col("rule") != REFERENCE)
    spoken = new.where("_is_newest").select("record_key")
    return [
        Judged(union(of_records), own & is_error, "_scope", spoken),
        Judged(None, own & ~is_error, "_scope", decided.select("record_key")),
        Judged(union(of_versions), covers & is_conflict, "_scope", decided.select("record_key")),
    ]


def _references(
    store: Store, sources: Sequence[Source], masters: Mapping[str, DataFrame], done: Sequence[Done], since: Since | None
) -> list[Judged]:
    """References to what nobody has delivered: of the records decided now, and of those that were listed before."""
    is_reference = F.col("rule") == REFERENCE
    touched = [item.decided for item in done]
    if since is not None:
        listed = store.read(silver.EXCEPTION).where(is_reference & (F.col("status") == "open"))
        touched.append(listed.select(F.col("_scope").alias("record_key"), "entity"))
    keys = store.keep(union(touched).distinct())
    kinds = sorted(row["entity"] for row in keys.select("entity").distinct().collect())
    found = [of_references(store, BY_NAME[kind], keys, sources, masters) for kind in kinds if kind in BY_NAME]
    told = [
        exceptions.of_records(rows, kind, "_shown_key", "_scope")
        for kind, rows in zip(kinds, found, strict=True)
        if rows is not None
    ]
    covers = is_reference & F.col("entity").isin(*_OF_RECORDS)
    return [Judged(union(told) if told else None, covers, "_scope", keys.select("record_key"))]


def _count(new: DataFrame) -> dict[str, int]:
    counted = {row["status"]: row["count"] for row in new.groupBy("status").count().collect()}
    names = {"current": "records", "rejected": "records_rejected", "deleted": "records_deleted"}
    figures = {name: counted.get(status, 0) for status, name in names.items()}
    return figures | {"records_not_current": sum(counted.values()) - sum(figures.values())}
