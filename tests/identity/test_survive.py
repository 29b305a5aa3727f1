"""What survives of several records of a customer, over rows by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from tests.conftest import settings
from tillhouse.config import read_model, read_yaml, to_model
from tillhouse.errors import ConfigError
from tillhouse.identity.rules import FieldRule, IdentityRules, Survivorship
from tillhouse.identity.survive import GROUPS, LISTS, NUMBERS, survive, to_consents, to_customers, to_fields
from tillhouse.store import FOR_LITTLE
from tillhouse.tables import entities
from tillhouse.tables.vault import CUSTOMER, PARTY

CONF = Path(__file__).resolve().parents[2] / "conf"
RECORDS = (
    PARTY.columns.replace(" NOT NULL", "") + ", customer_id STRING, party_type STRING, language STRING, changed_at TIMESTAMP, "
    "version_at TIMESTAMP, company_customer_id STRING"
)
OLD, MIDDLE, NEW = (datetime(2025, month, 1, 12, tzinfo=UTC) for month in (1, 2, 3))
Record = Mapping[str, Any]
Survive = Callable[..., "Result"]


class Result:
    """Customers by id, and (rule, party_key) by customer and field."""

    def __init__(self, customers: Sequence[Row], fields: Sequence[Row]) -> None:
        self.customers = {row.customer_id: row for row in customers}
        self.rows = sorted(fields)
        self.fields = {(row.customer_id, row.field): row for row in fields}
        assert len(self.customers) == len(customers)
        assert len(self.fields) == len(fields)

    def why(self, field: str, customer: str = "c1") -> tuple[str, str]:
        row = self.fields[customer, field]
        return row.rule, row.party_key

    @property
    def one(self) -> Row:
        [row] = self.customers.values()
        return row


def of(customer: str, *records: Record) -> list[Record]:
    return [{**row, "customer_id": customer} for row in records]


def record(key: str, changed_at: datetime | None = None, source: str = "crm", **values: object) -> Record:
    return {
        "party_key": key, "source": source, "customer_id": "c1", "party_type": "person", "changed_at": changed_at, **values,
    }  # fmt: skip


@pytest.fixture(scope="module")
def few_rows(spark: SparkSession) -> Iterator[None]:
    """Spark as the store sets it for a handful of rows: compiling would take longer than the work."""
    with settings(spark, FOR_LITTLE):
        yield


@pytest.fixture(scope="module")
def survived(spark: SparkSession, few_rows: None) -> Survive:  # noqa: ARG001 - for its effect
    names = spark.createDataFrame([], RECORDS).columns

    def survived(*records: Record, **rules: FieldRule) -> Result:
        assert {name for row in records for name in row} <= set(names)
        rows = [tuple(row.get(name) for name in names) for row in records]
        # One after the other in partitions of their own, so that what comes first differs from run to run.
        survivors = survive(spark.createDataFrame(rows, RECORDS).repartition(2), Survivorship(**rules)).localCheckpoint()
        return Result(to_customers(survivors).collect(), to_fields(survivors).collect())

    return survived


@pytest.mark.usefixtures("spark")
def test_the_groups_are_those_of_the_conf_and_fill_every_column_of_a_customer() -> None:
    assert set(GROUPS) == {*Survivorship.model_fields, "company_id"}
    columns = [column for group in GROUPS.values() for column in group.columns]
    assert {*columns, *NUMBERS, "customer_id", "customer_type"} == set(CUSTOMER.column_names)
    assert len(columns) == len(set(columns))


def test_a_value_of_one_record_survives_alone(survived: Survive) -> None:
    found = survived(record("a", OLD, tax_id="DE1"), record("b", NEW, gender="female"))
    assert (found.one.tax_id, found.one.gender, found.one.birth_date, found.one.emails) == ("DE1", "female", None, None)
    assert {name: found.why(name) for _, name in found.fields} == {"tax_id": ("only_one", "a"), "gender": ("only_one", "b")}
    assert found.fields["c1", "tax_id"].changed_at == OLD.replace(tzinfo=None)


def test_the_most_recent_record_wins_and_one_without_time_is_older_than_any(survived: Survive) -> None:
    found = survived(
        *of("new", record("a", None, language="it"), record("b", NEW, language="de"), record("c", OLD, language="fr")),
        *of("old", record("a", None, language="it"), record("b", datetime(1900, 1, 1, tzinfo=UTC), language="de")),
    )
    assert found.customers["new"].language == found.customers["old"].language == "de"
    assert found.why("language", "new") == found.why("language", "old") == ("most_recent", "b")


def test_the_time_of_the_version_counts_only_where_no_change_is_told(survived: Survive) -> None:
    exported = record("a", None, language="it", version_at=MIDDLE)
    found = survived(
        *of("changed before", exported, record("b", OLD, language="de", version_at=NEW)),
        *of("changed later", exported, record("b", NEW, language="de", version_at=OLD)),
    )
    assert (found.customers["changed before"].language, found.customers["changed later"].language) == ("it", "de")
    assert found.fields["changed before", "language"].changed_at is None


def test_equally_recent_ones_go_by_source_then_by_smallest_key(survived: Survive) -> None:
    a = {"gender": "female", "language": "it", "tax_id": "1", "birth_date": date(1980, 1, 1)}
    b = {"gender": "male", "language": "de", "tax_id": "2", "birth_date": date(1980, 1, 2)}
    rules = {
        "gender": FieldRule(sources=("crm", "shop")), "language": FieldRule(sources=("crm",)),
        "tax_id": FieldRule(sources=("erp",)),
    }  # fmt: skip
    found = survived(
        *of("new", record("a", NEW, "shop", **a), record("b", NEW, "crm", **b)),
        *of("no time", record("a", None, "shop", **a), record("b", None, "crm", **b)),
        **rules,
    )
    for customer in ("new", "no time"):
        assert found.why("gender", customer) == found.why("language", customer) == ("source_priority", "b")
        assert found.why("tax_id", customer) == found.why("birth_date", customer) == ("smallest_key", "a")


def test_priority_does_not_stop_a_more_recent_record_where_nothing_is_protected(survived: Survive) -> None:
    two = (record("a", OLD, "crm", gender="female"), record("b", NEW, "shop", gender="male"))
    found = survived(*two, gender=FieldRule(sources=("crm",)))
    assert (found.why("gender"), found.fields["c1", "gender"].is_protected) == (("most_recent", "b"), False)


def test_what_a_named_source_says_is_not_overwritten(survived: Survive) -> None:
    erp, crm, shop = (
        record(source, at, source, birth_date=date(1980, 1, day))
        for day, (source, at) in enumerate((("erp", None), ("crm", OLD), ("shop", NEW)), start=1)
    )
    found = survived(
        *of("all", shop, crm, erp), *of("two", shop, crm), *of("one", shop),
        birth_date=FieldRule(sources=("erp", "crm"), protected=True),
    )  # fmt: skip
    assert found.customers["all"].birth_date == date(1980, 1, 1)
    assert {customer: found.why("birth_date", customer) for customer in found.customers} == {
        "all": ("protected_source", "erp"), "two": ("protected_source", "crm"), "one": ("only_one", "shop"),
    }  # fmt: skip
    is_protected = {customer: row.is_protected for (customer, _), row in found.fields.items()}
    assert is_protected == {"all": True, "two": True, "one": False}


def test_a_protected_source_that_says_nothing_protects_nothing(survived: Survive) -> None:
    rule = FieldRule(sources=("erp",), protected=True)
    assert survived(record("a", NEW, "erp", city="  "), record("b", OLD, "shop", city="Ulm"), address=rule).one.city == "Ulm"


def test_within_a_protected_source_and_among_those_not_named_the_most_recent_wins(survived: Survive) -> None:
    found = survived(
        *of("named", record("a", OLD, tax_id="1"), record("b", MIDDLE, tax_id="2"), record("c", NEW, "shop", tax_id="3")),
        *of("not named", record("a", OLD, "shop", tax_id="1"), record("b", NEW, "web", tax_id="2")),
        tax_id=FieldRule(sources=("crm",), protected=True),
    )
    assert found.why("tax_id", "named") == found.why("tax_id", "not named") == ("most_recent", "b")
    assert (found.fields["named", "tax_id"].is_protected, found.fields["not named", "tax_id"].is_protected) == (True, False)


def test_protection_of_one_field_does_not_reach_another(survived: Survive) -> None:
    two = (
        record("a", OLD, "crm", tax_id="1", given_name="Anna"), record("b", NEW, "shop", tax_id="2", given_name="Anne"),
    )  # fmt: skip
    found = survived(*two, name=FieldRule(sources=("crm",), protected=True))
    assert (found.one.given_name, found.one.tax_id) == ("Anna", "2")


def test_nothing_never_replaces_something(survived: Survive) -> None:
    texts = ("given_name", "city", "company", "contact_person", "gender", "tax_id", "language")
    some = dict.fromkeys(texts, "Something")
    filled = record("a", None, "shop", emails=["x@y.de"], phones=["1"], birth_date=date(1980, 1, 1), **some)
    blanks = {
        name: record("b", NEW, "crm", emails=[text], phones=[], **dict.fromkeys(texts, text))
        for name, text in (("null", None), ("empty", ""), ("blank", "   "))
    }
    rules = {name: FieldRule(sources=("crm",), protected=True) for name in Survivorship.model_fields}
    found = survived(
        *(row for name, blank in blanks.items() for row in (*of(name, filled, blank), *of(f"{name} alone", blank))), **rules
    )
    for name in blanks:
        row, nothing = found.customers[name], found.customers[f"{name} alone"]
        assert {row[text] for text in texts} == {"Something"}
        assert (row.emails, row.phones, row.birth_date) == (["x@y.de"], ["1"], date(1980, 1, 1))
        assert {field for field, value in nothing.asDict().items() if value is not None} == {"customer_id", "customer_type"}
    assert {(row.customer_id, row.party_key, row.rule) for row in found.rows} == {(name, "a", "only_one") for name in blanks}


def test_an_address_comes_from_one_record_with_its_gaps(survived: Survive) -> None:
    whole = record("a", OLD, street="Ring 1", postal_code="89073", city="Ulm", country="DE")
    found = survived(whole, record("b", NEW, city="Köln", salutation="Frau"))
    assert (found.one.street, found.one.postal_code, found.one.city, found.one.country) == (None, None, "Köln", None)
    assert ("c1", "street") not in found.fields
    assert (found.why("city"), found.one.salutation) == (("most_recent", "b"), None)


def test_a_country_or_a_form_of_address_alone_is_neither_address_nor_name(survived: Survive) -> None:
    mains = [("street", "country"), ("postal_code", "country"), ("city", "country")]
    mains += [("given_name", "salutation"), ("family_name", "title")]
    found = survived(
        *(row for main, rest in mains for row in of(main, record("a", OLD, **{main: "x"}), record("b", NEW, **{rest: "y"})))
    )
    assert [(found.customers[main][main], found.customers[main][rest]) for main, rest in mains] == [("x", None)] * len(mains)


def test_a_name_is_not_put_together(survived: Survive) -> None:
    found = survived(
        record("a", OLD, given_name="Kim", family_name="Kurz", title="Dr."), record("b", NEW, family_name="Lang"),
        record("c", NEW, salutation="Frau", title="Prof."),
    )  # fmt: skip
    assert (found.one.salutation, found.one.title, found.one.given_name, found.one.family_name) == (None, None, None, "Lang")
    assert {name for _, name in found.fields} == {"family_name"}


def test_the_surviving_address_comes_first_and_all_others_follow(survived: Survive) -> None:
    found = survived(
        *of("recent", record("a", OLD, emails=["d@x.de", "b@x.de"], phones=["2"]),
            record("b", NEW, emails=["", "c@x.de", "a@x.de", "b@x.de"]), record("c", MIDDLE, phones=["3", "1", "2"])),
        *of("protected", record("a", OLD, emails=["z@x.de"]), record("b", NEW, "shop", emails=["a@x.de"])),
        emails=FieldRule(sources=("crm",), protected=True),
    )  # fmt: skip
    assert found.customers["recent"].emails == ["c@x.de", "a@x.de", "b@x.de", "d@x.de"]
    assert found.customers["recent"].phones == ["3", "1", "2"]
    assert (found.why("emails", "recent"), found.why("phones", "recent")) == (("most_recent", "b"), ("most_recent", "c"))
    assert found.customers["protected"].emails == ["z@x.de", "a@x.de"]


def test_all_numbers_stand_sorted(survived: Survive) -> None:
    found = survived(
        record("a", OLD, card_number="9", customer_number="K2"), record("b", NEW, card_number="10", customer_number=" "),
        record("c", None, card_number="9"),
    )  # fmt: skip
    assert (found.one.card_numbers, found.one.customer_numbers) == (["10", "9"], ["K2"])
    assert found.rows == []


BUYERS: list[tuple[list[Record], str]] = [
    ([{"given_name": "Anna"}], "B2C"),
    ([{"party_type": "company", "company": "Bau GmbH"}], "B2B"),
    ([{"given_name": "Anna"}, {"party_type": "company"}], "B2B"),
    ([{"company": "Bau GmbH"}], "B2C"),
    ([{"company": "Bau GmbH", "family_name": "Kurz"}], "B2B"),
    ([{"company": "Bau GmbH"}, {"family_name": "Kurz"}], "B2B"),
    ([{"company": "  ", "family_name": "Kurz"}], "B2C"),
    ([{"company_customer_id": "c9"}], "B2B"),
    ([{"company_customer_id": "c9"}, {"given_name": "Anna"}], "B2B"),
    ([{"company_customer_id": "9"}], "B2C"),  # itself
    ([{"party_type": None}], "B2C"),
]


def test_who_buys_for_a_company(survived: Survive) -> None:
    found = survived(
        *(
            row
            for number, (records, _) in enumerate(BUYERS)
            for row in of(str(number), *(record(str(key), NEW, **each) for key, each in enumerate(records)))
        )
    )
    assert [found.customers[str(number)].customer_type for number in range(len(BUYERS))] == [kind for _, kind in BUYERS]
    assert found.customers["9"].company_id is None


def test_of_several_companies_the_most_recent_record_decides(survived: Survive) -> None:
    found = survived(
        record("a", OLD, company_customer_id="c8"), record("b", MIDDLE, company_customer_id="c9"), record("c", NEW, gender="male")
    )
    assert (found.one.company_id, found.why("company_id")) == ("c9", ("most_recent", "b"))


def test_customers_do_not_mix_and_each_value_is_that_of_the_record_that_is_named(survived: Survive) -> None:
    """Random records, shuffled: the same customers; each value is its record's, and what has one somewhere has one at last."""
    draw = random.Random(4)
    texts = ("salutation", "title", "given_name", "family_name", "street", "postal_code", "city", "country", "company", "tax_id")

    def some(row: int, name: str) -> str | None:
        return draw.choice([None, "", f"{name}-{row % 3}", f"{name}-{row}"])

    records = [
        record(
            f"p{row:02}", draw.choice([None, OLD, MIDDLE, NEW]), draw.choice(["crm", "shop", "erp", "web"]),
            customer_id=f"c{row % 9}", **{name: some(row, name) for name in texts},
            **{name: draw.choice([None, [], ["x", f"{row}"], [f"{row % 4}", "a"]]) for name in LISTS},
        )
        for row in range(60)
    ]  # fmt: skip
    rules = {
        name: FieldRule(sources=("erp", "crm"), protected=number % 2 == 0)
        for number, name in enumerate(Survivorship.model_fields)
    }
    found = survived(*records, **rules)
    by_key = {row["party_key"]: row for row in records}
    for (customer, field), row in found.fields.items():
        its_record, survives = by_key[row.party_key], found.customers[customer][field]
        assert its_record["customer_id"] == customer
        assert survives
        assert (survives[0] == its_record[field][0]) if field in LISTS else (survives == its_record[field])
    for customer, row in found.customers.items():
        of_customer = [each for each in records if each["customer_id"] == customer]
        for group in GROUPS.values():
            told = [each for each in of_customer if any(each.get(name) for name in group.main)]
            assert bool(told) == any(row[name] for name in group.main)
            assert {name for name in group.columns if row[name]} == {
                name for name in group.columns if (customer, name) in found.fields
            }
            keys = {found.fields[customer, name].party_key for name in group.columns if row[name]}
            assert len(keys) <= 1
        for name in LISTS:
            everything = {value for each in of_customer for value in each[name] or ()}
            assert sorted(row[name] or ()) == sorted(everything)
    for _ in range(2):
        again = survived(*draw.sample(records, len(records)), **rules)
        assert again.customers == found.customers
        assert again.rows == found.rows


# Consent: one declaration is (state, at); the n-th one's record is named n.
Said = tuple[str, datetime | None]
DECLARED = entities.CONSENT.columns.replace(" NOT NULL", "") + ", customer_id STRING"


@pytest.fixture(scope="module")
def consents(spark: SparkSession) -> Callable[[Sequence[Sequence[Said]]], list[Row]]:
    names = spark.createDataFrame([], DECLARED).columns

    def of(cases: Sequence[Sequence[Said]]) -> list[Row]:
        """One customer per case; numbers of keys go with the order of declarations in the case."""
        rows = [
            {
                "customer_id": f"{number:04}", "channel": "email", "purpose": "marketing", "party_key": f"p{place}",
                "state": state, "at": at, "proof": f"proof {place}",
            }
            for number, case in enumerate(cases)
            for place, (state, at) in enumerate(case)
        ]  # fmt: skip
        declared: DataFrame = spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], DECLARED)
        return sorted(to_consents(declared.repartition(2)).collect())

    return of


G, D, U = "granted", "denied", "unknown"
CASES: list[tuple[list[Said], tuple[str, str, int]]] = [
    # nothing is said
    ([(U, None)], (U, "nothing_said", 0)),
    ([(U, NEW)], (U, "nothing_said", 0)),
    ([(U, OLD), (U, None)], (U, "nothing_said", 0)),
    # dated: the latest decides
    ([(G, OLD)], (G, "latest", 0)),
    ([(D, OLD)], (D, "latest", 0)),
    ([(G, OLD), (G, NEW)], (G, "latest", 1)),
    ([(D, OLD), (D, NEW)], (D, "latest", 1)),
    ([(G, OLD), (D, NEW)], (D, "latest", 1)),
    ([(D, OLD), (G, NEW)], (G, "latest", 1)),
    ([(G, NEW), (G, NEW)], (G, "latest", 0)),
    ([(D, NEW), (D, NEW)], (D, "latest", 0)),
    ([(G, OLD), (D, MIDDLE), (G, NEW)], (G, "latest", 2)),
    ([(D, OLD), (G, MIDDLE), (D, NEW)], (D, "latest", 2)),
    # both at one time
    ([(G, NEW), (D, NEW)], (D, "contradictory", 1)),
    ([(G, NEW), (D, NEW), (D, NEW)], (D, "contradictory", 1)),
    ([(G, NEW), (D, NEW), (G, OLD)], (D, "contradictory", 1)),
    ([(G, OLD), (D, OLD), (G, NEW)], (G, "latest", 2)),
    ([(G, OLD), (D, OLD), (D, NEW)], (D, "latest", 2)),
    # undated alone
    ([(G, None)], (D, "undated", 0)),
    ([(D, None)], (D, "undated", 0)),
    ([(G, None), (G, None)], (D, "undated", 0)),
    ([(G, None), (D, None)], (D, "undated", 1)),
    # undated beside dated
    ([(G, OLD), (D, None)], (D, "contradictory", 1)),
    ([(D, OLD), (G, NEW), (D, None)], (D, "contradictory", 2)),
    ([(G, OLD), (D, NEW), (D, None)], (D, "latest", 1)),
    ([(D, OLD), (D, None)], (D, "latest", 0)),
    ([(G, NEW), (D, NEW), (D, None)], (D, "contradictory", 1)),
    ([(D, OLD), (G, None)], (D, "latest", 0)),
    ([(G, OLD), (G, None)], (G, "latest", 0)),
    ([(G, OLD), (G, None), (D, None)], (D, "contradictory", 2)),
    # who says nothing changes nothing, however recent
    ([(G, OLD), (U, NEW)], (G, "latest", 0)),
    ([(D, OLD), (U, NEW)], (D, "latest", 0)),
    ([(G, None), (U, NEW)], (D, "undated", 0)),
    ([(U, NEW), (D, None)], (D, "undated", 1)),
    ([(G, OLD), (U, NEW), (D, None)], (D, "contradictory", 2)),
]


def test_consent_by_hand(consents: Callable[[Sequence[Sequence[Said]]], list[Row]]) -> None:
    found = consents([case for case, _ in CASES])
    assert len(found) == len(CASES)
    for (case, (state, rule, place)), row in zip(CASES, found, strict=True):
        at = case[place][1]
        told = (row.state, row.rule, row.party_key, row.proof, row.at)
        assert told == (state, rule, f"p{place}", f"proof {place}", at and at.replace(tzinfo=None)), case


def test_every_combination_of_three_declarations(consents: Callable[[Sequence[Sequence[Said]]], list[Row]]) -> None:
    """All 729: granted needs a dated grant, later than all dated denials, and no undated denial; order never matters."""
    each = list(product((G, D, U), (None, OLD, NEW)))
    cases = list(product(each, repeat=3))
    verdicts: dict[tuple[Said, ...], tuple[str, str]] = {}
    for case, row in zip(cases, consents(cases), strict=True):
        said = [(state, at) for state, at in case if state != U]
        grants = [at for state, at in said if state == G and at]
        denials = [at for state, at in said if state == D and at]
        is_granted = bool(grants) and (D, None) not in said and (not denials or max(grants) > max(denials))
        assert row.state == (G if is_granted else D if said else U), case
        assert (row.rule == "nothing_said") == (not said), case
        assert (row.rule == "undated") == (bool(said) and not grants + denials), case
        assert row.rule != "contradictory" or {state for state, _ in said} == {G, D}, case
        verdicts[case] = (row.state, row.rule)
    assert all(verdicts[case] == verdicts[other] for case in cases for other in permutations(case))


def test_channels_purposes_and_customers_are_apart(spark: SparkSession) -> None:
    rows = [
        ("c1", "email", "marketing", "a", G, OLD), ("c1", "phone", "marketing", "a", D, NEW),
        ("c1", "email", "survey", "b", D, NEW), ("c2", "email", "marketing", "c", D, NEW),
    ]  # fmt: skip
    ddl = "customer_id STRING, channel STRING, purpose STRING, party_key STRING, state STRING, at TIMESTAMP, proof STRING"
    found = to_consents(spark.createDataFrame([(*row, None) for row in rows], ddl)).collect()
    assert sorted((row.customer_id, row.channel, row.purpose, row.party_key, row.state) for row in found) == sorted(
        row[:5] for row in rows
    )


def test_the_shipped_rules_name_every_group_and_no_source() -> None:
    shipped = read_yaml(CONF / "identity.yml")["survivorship"]
    assert list(shipped) == list(Survivorship.model_fields)
    rules = read_model(IdentityRules, CONF / "identity.yml")
    assert rules.survivorship == Survivorship()
    data = {key: value for key, value in read_yaml(CONF / "identity.yml").items() if key != "survivorship"}
    assert to_model(IdentityRules, data, "identity.yml") == rules


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"adress": {}}, r"'survivorship\.adress' is unknown \(did you mean 'address'\?\)\. Allowed here: address, birth_date"),
        ({"name": {"source": ["crm"]}}, r"'survivorship\.name\.source' is unknown \(did you mean 'sources'\?\)"),
        ({"name": {"sources": "crm"}}, r"'survivorship\.name\.sources' must be a list"),
        ({"name": {"sources": [""]}}, r"'survivorship\.name\.sources\.0'"),
        ({"name": {"protected": True}}, r"'survivorship\.name': protected without sources protects nothing"),
        ({"name": {"sources": ["crm"], "protected": "perhaps"}}, r"'survivorship\.name\.protected' must be true or false"),
    ],
)
def test_a_mistake_in_the_rules_names_key_and_remedy(section: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        to_model(IdentityRules, read_yaml(CONF / "identity.yml") | {"survivorship": section}, "identity.yml")


def test_sources_that_the_chain_does_not_have_are_told() -> None:
    rules = Survivorship(name=FieldRule(sources=("crm", "shpo")), emails=FieldRule(sources=("erp",)))
    assert rules.unknown_sources(["shop", "crm"]) == [
        "key 'survivorship.name.sources': no source named 'shpo' (did you mean 'shop'?). There are: crm, shop",
        "key 'survivorship.emails.sources': no source named 'erp'. There are: crm, shop",
    ]
    assert Survivorship().unknown_sources([]) == []
