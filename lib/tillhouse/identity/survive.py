"""What survives of several records of a customer: fields by source and recency, consent by its latest declaration."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tillhouse.identity.rules import FieldRule, Survivorship
from tillhouse.tables.vault import CONSENT, CUSTOMER, CUSTOMER_FIELD

_NO_TIME = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Group:
    """Columns that are taken from one record; a record without any of the ``main`` ones has nothing to say."""

    columns: tuple[str, ...]
    main: tuple[str, ...]


def one(column: str) -> Group:
    return Group((column,), (column,))


LISTS = ("emails", "phones")
NUMBERS = {
    "card_numbers": "card_number",
    "customer_numbers": "customer_number",
}  # all of them stand: column of a customer, of a record
GROUPS = {
    "name": Group(("salutation", "title", "given_name", "family_name"), ("given_name", "family_name")),
    "address": Group(("street", "postal_code", "city", "country"), ("street", "postal_code", "city")),
    **{
        column: one(column)
        for column in ("company", "contact_person", "birth_date", "gender", "tax_id", "language", *LISTS, "company_id")
    },
}
_COLUMNS = tuple(column for group in GROUPS.values() for column in group.columns)


def survive(records: DataFrame, rules: Survivorship) -> DataFrame:
    """One row per customer: of each group of fields the values that survive, and of which record and why.

    ``records`` has one row per contact record: customer_id, party_type, the columns of vault.party, language, changed_at,
    version_at, and company_customer_id (the customer that the person belongs to). ``to_customers`` and ``to_fields`` read what
    this returns; it is to be kept between them.
    """
    of_customer = (
        records.transform(_without_blanks)
        .groupBy("customer_id")
        .agg(
            F.bool_or(F.col("party_type") == "company").alias("is_company"),
            *(F.array_sort(F.collect_set(number)).alias(numbers) for numbers, number in NUMBERS.items()),
            F.collect_list(F.struct("party_key", "source", "changed_at", "_time", *_COLUMNS)).alias("_records"),
        )
    )
    of_group = {**dict(rules), "company_id": FieldRule()}
    candidates = {name: ranked(F.col("_records"), group, of_group[name]).alias(name) for name, group in GROUPS.items()}
    return of_customer.select("customer_id", "is_company", *NUMBERS, *candidates.values()).withColumns(
        {name: _survivor(F.col(name), group) for name, group in GROUPS.items()}
    )


def _without_blanks(records: DataFrame) -> DataFrame:
    """Texts of blanks only are no values; nobody belongs to himself."""
    company_id = F.when(F.col("company_customer_id") != F.col("customer_id"), F.col("company_customer_id"))
    records = records.withColumn("company_id", company_id)
    kinds = dict(records.dtypes)
    told = {name: _said(F.col(name), kinds[name]) for name in (*_COLUMNS, *NUMBERS.values())}
    return records.withColumns({**told, "_time": F.unix_micros(F.coalesce("changed_at", "version_at"))})


def _said(value: Column, kind: str) -> Column:
    if kind == "array<string>":
        texts = F.filter(value, lambda text: F.trim(text) != "")
        return F.when(F.size(texts) > 0, texts)
    return F.when(F.trim(value) != "", value) if kind == "string" else value


def ranked(records: Column, group: Group, rule: FieldRule) -> Column:
    """The records that have something to say, the one that survives first: an array whose elements sort by their first fields.

    ``records``: party_key, source, changed_at, _time (microseconds of its last change, NULL if unknown) and the group's columns.
    """

    def candidate(record: Column) -> Column:
        named = (F.when(record["source"] == name, F.lit(place)) for place, name in enumerate(rule.sources))
        place = F.coalesce(*named, F.lit(len(rule.sources)))
        return F.struct(
            (place if rule.protected else F.lit(0)).alias("protection"),
            F.coalesce(-record["_time"], F.lit(_NO_TIME)).alias("age"),
            place.alias("priority"),
            record["party_key"].alias("party_key"),
            (F.lit(rule.protected) & (place < len(rule.sources))).alias("is_protected"),
            record["changed_at"].alias("changed_at"),
            *(record[column].alias(column) for column in group.columns),
        )

    has_value = F.filter(
        records, lambda record: F.coalesce(*(record[column].cast("string") for column in group.main)).isNotNull()
    )
    return F.array_sort(F.transform(has_value, candidate))


def _survivor(ranked: Column, group: Group) -> Column:
    """Values of the first record, and what puts it before the second; NULL if no record says anything."""
    first, second = F.try_element_at(ranked, F.lit(1)), F.try_element_at(ranked, F.lit(2))
    rule = (
        F.when(second.isNull(), "only_one")
        .when(first["protection"] < second["protection"], "protected_source")
        .when(first["age"] < second["age"], "most_recent")
        .when(first["priority"] < second["priority"], "source_priority")
        .otherwise("smallest_key")
    )
    values = (
        _first_then_all(first[column], ranked[column]) if column in LISTS else first[column] for column in group.columns
    )  # fmt: skip
    told = (value.alias(column) for column, value in zip(group.columns, values, strict=True))
    return F.when(
        first.isNotNull(),
        F.struct(*(first[name].alias(name) for name in ("party_key", "is_protected", "changed_at")), rule.alias("rule"), *told),
    )


def _first_then_all(values: Column, of_all: Column) -> Column:
    return F.array_distinct(F.concat(F.slice(values, 1, 1), F.array_sort(F.flatten(of_all))))


def customer_type(is_company: Column, belongs_to_company: Column, names_both: Column) -> Column:
    """B2B is a company, a person who belongs to one, and a person with a company beside the name."""
    return F.when(is_company | belongs_to_company | names_both, "B2B").otherwise("B2C")


def to_customers(survivors: DataFrame) -> DataFrame:
    """One row per customer with the fields that survive."""
    names_both = F.col("company").isNotNull() & F.col("name").isNotNull()
    return CUSTOMER.conform(
        survivors.select(
            "customer_id",
            customer_type(F.col("is_company"), F.col("company_id").isNotNull(), names_both).alias("customer_type"),
            *(F.col(f"{name}.{column}").alias(column) for name, group in GROUPS.items() for column in group.columns),
            *(F.when(F.size(number) > 0, F.col(number)).alias(number) for number in NUMBERS),
        )
    )


def to_fields(survivors: DataFrame) -> DataFrame:
    """One row per customer and field with a value; of a list the record of its first value. Numbers have none: all stand."""
    fields = [
        F.when(
            F.col(f"{name}.{column}").isNotNull(),
            F.struct(
                F.lit(column).alias("field"),
                *(F.col(f"{name}.{told}") for told in ("party_key", "rule", "is_protected", "changed_at")),
            ),
        )
        for name, group in GROUPS.items()
        for column in group.columns
    ]
    return CUSTOMER_FIELD.conform(survivors.select("customer_id", F.inline(F.array_compact(F.array(*fields)))))


def to_consents(declared: DataFrame) -> DataFrame:
    """Per customer, channel and purpose the latest dated declaration; undated and contradictory ones count as denied.

    ``declared`` has the rows of silver.consent with customer_id. A record that says nothing never grants anything.
    """
    dated = F.col("at").isNotNull()
    granted, denied = F.col("state") == "granted", F.col("state") == "denied"
    decided = declared.groupBy("customer_id", "channel", "purpose").agg(
        _latest(granted & dated).alias("grant"),
        _latest(denied & dated).alias("denial"),
        _latest(denied & ~dated).alias("undated_denial"),
        _latest(granted & ~dated).alias("undated_grant"),
        _latest(~granted & ~denied).alias("silence"),
    )
    grant, denial, undated_denial, undated_grant, silence = (
        F.col(name) for name in ("grant", "denial", "undated_denial", "undated_grant", "silence")
    )
    verdict = (
        F.when(grant["at"] == denial["at"], _verdict("denied", "contradictory", denial))
        .when(denial.isNotNull() & F.coalesce(grant["at"] < denial["at"], F.lit(True)), _verdict("denied", "latest", denial))
        .when(grant.isNotNull() & undated_denial.isNotNull(), _verdict("denied", "contradictory", undated_denial))
        .when(grant.isNotNull(), _verdict("granted", "latest", grant))
        .when(undated_denial.isNotNull(), _verdict("denied", "undated", undated_denial))
        .when(undated_grant.isNotNull(), _verdict("denied", "undated", undated_grant))
        .otherwise(_verdict("unknown", "nothing_said", silence))
    )
    return CONSENT.conform(
        decided.select("customer_id", "channel", "purpose", verdict.alias("_verdict")).select(
            "customer_id", "channel", "purpose", "_verdict.*"
        )
    )


def _latest(meant: Column) -> Column:
    """Of the declarations that are meant the latest, an undated one last; of equal ones that of the smallest key."""
    age = F.coalesce(-F.unix_micros("at"), F.lit(_NO_TIME)).alias("_age")
    return F.min(F.when(meant, F.struct(age, "party_key", "proof", "at")))


def _verdict(state: str, rule: str, said: Column) -> Column:
    names = ("party_key", "proof", "at")
    return F.struct(F.lit(state).alias("state"), F.lit(rule).alias("rule"), *(said[name].alias(name) for name in names))
