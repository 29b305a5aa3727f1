"""What people ask and decide about customers, on a small lake whose tables are written directly."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import DataType

from tillhouse import cli
from tillhouse.config import load_config, read_model
from tillhouse.identity import review
from tillhouse.identity.compare import COMPARISONS
from tillhouse.identity.model import load_model
from tillhouse.identity.records import comparable
from tillhouse.identity.rules import IdentityRules
from tillhouse.keys import token
from tillhouse.ops import customers, identity_decisions
from tillhouse.ops.lease import Lease
from tillhouse.store import Store
from tillhouse.tables import Table, gold, ops, silver, vault

CONF = Path(__file__).resolve().parents[2] / "conf"
LONG_AGO = datetime(2025, 3, 1, 12, tzinfo=UTC)
FILLED: dict[str, object] = {
    "string": "x", "boolean": False, "int": 0, "bigint": 0, "date": date(2025, 3, 1), "timestamp": LONG_AGO,
}  # fmt: skip
TABLES = (
    ops.RUN_STEP, silver.PARTY, silver.PARTY_CUSTOMER, silver.PARTY_LINK, silver.PARTY_WITHOUT_CUSTOMER,
    silver.IDENTITY_DECISION, silver.IDENTITY_REVIEW,
    silver.RECEIPT, vault.IDENTITY_RECORD, vault.CUSTOMER, gold.FCT_RECEIPT,
)  # fmt: skip
OF = {  # record: customer
    "anna-crm": "cust-anna", "anna-shop": "cust-anna", "anna-card": "cust-anna", "bert-crm": "cust-bert",
    "bert-shop": "cust-bert", "carl-crm": "cust-carl",
}  # fmt: skip
PEOPLE = {
    "anna-crm": ("Anna", "Szczepański", "1980-02-03", "anna@lindenpost.de", "0171 2345678", "Lindenstr. 5", "80331"),
    "anna-shop": ("Anna", "Szczepanski", None, "anna@lindenpost.de", "+49 171 2345678", "Lindenstraße 5", "80331"),
    "bert-crm": ("Bert", "Szczepański", "1978-05-06", None, "0171 2345678", "Lindenstr. 5", "80331"),
    "bert-shop": ("Bert", "Szczepański", None, "bert@lindenpost.de", None, "Lindenstr. 5", "80331"),
    "carl-crm": ("Carl", "Berg", None, "carl@lindenpost.de", None, "Hauptstr. 1", "10115"),
}


def fill(store: Store, table: Table, *rows: dict[str, Any]) -> None:
    """Append rows of which only what matters is said."""

    def default(kind: DataType) -> object:
        return FILLED.get(kind.simpleString(), Decimal(0) if kind.typeName() == "decimal" else None)

    full = [tuple(row.get(item.name, None if item.nullable else default(item.dataType)) for item in table.struct) for row in rows]
    store.append(table, store.spark.createDataFrame(full, table.struct))


def evidence(*candidates: str, name: str = "A*** S***") -> str:
    found = [
        {"customer_id": OF[key], "party_key": key, "log_odds": 2.25, "levels": {"given_name": "nickname"},
         "masked": {"name": "B*** S***", "phones": ["***78"]}}
        for key in candidates
    ]  # fmt: skip
    return json.dumps({"masked": {"name": name}, "candidates": found})


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Anna has two contact records and a card, Bert two records; Carl's record was once another customer's."""
    folder = tmp_path_factory.mktemp("customers")
    store = Store(spark, str(folder / "lake"), str(folder / "vault"))
    store.expect(1)  # few rows: Spark interprets its plans
    store.create_missing(TABLES)
    key = load_config(CONF).token_key()
    model = load_model(CONF / "identity_model.json", COMPARISONS)
    parties, compared = [], []
    for party, (given, family, born, email, phone, street, code) in PEOPLE.items():
        known = dict.fromkeys(vault.PARTY.column_names) | {
            "party_key": party, "source": party[5:], "given_name": given, "family_name": family, "street": street,
            "postal_code": code, "birth_date": date.fromisoformat(born) if born else None, "city": "München",
            "emails": [email] if email else None, "phones": [phone] if phone else None,
        }  # fmt: skip
        compared.append(comparable(known, model.frequencies, date(2025, 6, 1)) | {"birth_date": known["birth_date"]})
        parties.append(
            {"party_key": party, "source": party[5:], "party_type": "person", "is_complete": True,
             "email_tokens": [token("email", email, key)] if email else None,
             "phone_tokens": [token("phone", "+491712345678", key)] if phone else None}
        )  # fmt: skip
    card = {"party_key": "anna-card", "source": "till", "party_type": "person", "card_token": token("card", "2900000000017", key)}
    fill(store, silver.PARTY, *parties, card)
    fill(store, vault.IDENTITY_RECORD, *compared)
    rows = [
        {
            "party_key": party,
            "customer_id": customer,
            "rule": "card" if party == "anna-card" else "score",
            "valid_from_run": "run-2",
        }
        for party, customer in OF.items()
    ]
    old = {
        "party_key": "carl-crm",
        "customer_id": "cust-once",
        "rule": "score",
        "valid_from_run": "run-1",
        "valid_to_run": "run-2",
    }
    fill(store, silver.PARTY_CUSTOMER, *rows, old)
    link = {"left_key": "anna-crm", "right_key": "anna-shop", "decision": "auto", "rule": "score", "log_odds": 12.0, "levels": {},
            "found_by": ["email"]}  # fmt: skip
    between = {**link, "left_key": "anna-crm", "right_key": "bert-shop", "decision": "review", "rule": None, "log_odds": 2.25}
    fill(store, silver.PARTY_LINK, link, between)
    fill(store, vault.CUSTOMER, {"customer_id": "cust-anna", "given_name": "Anna", "family_name": "Szczepański"})
    fill(
        store, gold.FCT_RECEIPT, {"customer_id": "cust-anna", "currency": "EUR", "revenue_amount": Decimal("12.50")},
        {"customer_id": "cust-bert", "currency": "EUR", "revenue_amount": Decimal("99.00")},
    )  # fmt: skip
    fill(
        store,
        silver.RECEIPT,
        {"receipt_key": "receipt-1", "party_key": "anna-card", "gross_amount": Decimal("12.50")},
        {"receipt_key": "receipt-2"},
    )
    asked = {"party_key": "anna-crm", "reason": "possible", "status": "open", "owner": "data-steward", "due_at": LONG_AGO}
    later = datetime(2125, 1, 1, tzinfo=UTC)
    fill(
        store,
        silver.IDENTITY_REVIEW,
        {**asked, "review_id": "question-1", "party_keys": ["anna-crm", "bert-crm", "carl-crm"], "value_amount": Decimal(5),
         "evidence": evidence("bert-crm", "carl-crm")},
        {**asked, "review_id": "question-2", "party_keys": ["anna-shop", "carl-crm"], "value_amount": Decimal(50),
         "due_at": later, "evidence": evidence("carl-crm", name="=1+1"), "party_key": "anna-shop"},
        {**asked, "review_id": "question-3", "party_keys": ["anna-shop", "bert-shop"], "status": "gone",
         "evidence": evidence("bert-shop")},
    )  # fmt: skip
    yield store
    store.expect(None)


@pytest.fixture(autouse=True)
def _session(spark: SparkSession) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "open_session", lambda: spark)
        yield


class Teller:
    """The command line over the small lake; ``asked`` are its answers."""

    def __init__(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        self._places = ["--conf-dir", str(CONF), "--lake", store.lake, "--vault", store.vault]
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        """What is printed by a call that succeeds."""
        code, out, err = self._tell(arguments)
        assert code == 0, err
        return out

    def refused(self, *arguments: str, code: int = 2) -> str:
        found, _, err = self._tell(arguments)
        assert found == code, err
        return err

    def _tell(self, arguments: tuple[str, ...]) -> tuple[int, str, str]:
        code = cli.main(["customer", *arguments, *self._places])
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def tell(store: Store, capsys: pytest.CaptureFixture[str]) -> Teller:
    return Teller(store, capsys)


@pytest.fixture
def _clean(store: Store) -> Iterator[None]:
    """Decisions of a test are gone after it."""
    yield
    store.remove(silver.IDENTITY_DECISION, "true")
    identity_decisions.mark_questions(store)


def decided(store: Store) -> list[tuple[object, ...]]:
    rows = store.read(silver.IDENTITY_DECISION).orderBy("kind", "left_keys", "right_keys").collect()
    return [(row.kind, row.left_keys, row.right_keys, row.decided_by, row.undone_by) for row in rows]


BY = ("--by", "dora", "--reason", "phoned")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("merge", "cust-a", "nobody"),
            "'nobody': no customer and no record begins like that. Remedy: `tillhouse customer find`",
        ),
        (("merge", "anna-c", "cust-bert"), "'anna-c' is ambiguous: record anna-card, record anna-crm. Remedy: write more of it"),
        (("merge", "anna", "cust-bert"), "'anna': write at least the first 6 characters"),
        (("merge", "cust-a", "cust-anna"), "are the same customer already (cust-anna)"),
        (("merge", "cust-once", "cust-bert"), "a customer no more. Its records are now of: cust-carl. Remedy: name that one"),
        (("keep-apart", "cust-bert", "cust-b"), "are the same customer cust-ber"),
        (("keep-apart", "cust-anna", "anna-crm"), "are a customer and a record of it. Remedy: `tillhouse customer split"),
        (("split", "cust-anna", "bert-crm"), "'bert-crm': no record of customer cust-ann. Remedy: `tillhouse customer show"),
        (("split", "cust-carl", "carl-crm"), "nothing would be left of customer cust-car"),
        (("split", "anna-crm", "anna-shop"), "is a record, not a customer"),
        (("detach-receipt", "receipt"), "'receipt' is ambiguous: receipt-1, receipt-2"),
        (("detach-receipt", "nothing"), "'nothing': no receipt_key begins like that"),
        (("detach-receipt", "receipt-2"), "names nobody and is of no customer already"),
    ],
)
def test_a_decision_about_nothing_is_refused_with_the_remedy(
    tell: Teller, store: Store, arguments: tuple[str, ...], said: str
) -> None:
    assert said in tell.refused(*arguments, *BY)
    assert decided(store) == []


@pytest.mark.usefixtures("_clean")
def test_a_merge_is_kept_told_and_taken_back(tell: Teller, store: Store) -> None:
    assert "; the next run applies it" in tell("merge", "cust-anna", "bert-s", *BY)
    assert decided(store) == [("together", ["anna-crm", "anna-shop"], ["bert-shop"], "dora", None)]
    assert "already decided to be one customer: decision " in tell.refused("merge", "bert-shop", "cust-anna", *BY)
    [made] = json.loads(tell("decisions", "--json"))
    assert " dora " in tell("decisions")
    assert "puts them together; the next run does so" in tell("explain", "cust-anna", "bert-shop")
    assert "is taken back" in tell("undo", made["decision_id"][:8], "--by", "emil")
    assert "taken back already, by emil" in tell.refused("undo", made["decision_id"], "--by", "emil")
    assert "no decision_id begins like that" in tell.refused("undo", "unknown-id", "--by", "emil")
    assert decided(store)[0][-1] == "emil"
    assert "taken back " in tell("decisions")
    tell("merge", "cust-anna", "bert-shop", *BY)
    assert len(decided(store)) == 2


@pytest.mark.usefixtures("_clean")
def test_the_other_decisions_name_the_records_that_they_are_about(tell: Teller, store: Store) -> None:
    tell("keep-apart", "cust-bert", "cust-carl", *BY)
    tell("split", "cust-anna", "anna-shop", *BY)
    tell("detach-receipt", "receipt-1", *BY)
    assert decided(store) == [
        ("apart", ["anna-shop"], ["anna-crm"], "dora", None),
        ("apart", ["bert-crm", "bert-shop"], ["carl-crm"], "dora", None),
        ("detach", None, None, "dora", None),
    ]
    assert "already decided to be different customers" in tell.refused("keep-apart", "anna-crm", "anna-shop", *BY)
    assert "already decided to be of no customer" in tell.refused("detach-receipt", "receipt-1", *BY)


def test_nothing_is_decided_while_a_run_works(tell: Teller, store: Store) -> None:
    with Lease.take(store, "a-run"):
        assert "a-run" in tell.refused("merge", "cust-anna", "cust-bert", *BY, code=1)


def test_open_questions_are_listed_with_most_value_first(tell: Teller) -> None:
    first, second = tell("review", "list").splitlines()
    assert first.startswith("question")
    assert "50.00" in first
    assert "OVERDUE" not in first
    assert "OVERDUE" in second
    assert "and 1 more" in tell("review", "list", "--limit", "1")
    assert [row["review_id"] for row in json.loads(tell("review", "list", "--json"))] == ["question-2", "question-1"]


def test_a_question_is_shown_with_its_candidates(tell: Teller) -> None:
    page = tell("review", "show", "question-1")
    assert "candidate 2  carl-crm  customer cust-carl" in page
    assert "one is short for the other" in page
    assert "odds 4.8 to 1" in page
    assert "'question' is ambiguous" in tell.refused("review", "show", "question")
    assert "Remedy: `tillhouse customer review list`" in tell.refused("review", "show", "nothing-like-it")


def write_answers(path: Path, answers: dict[tuple[str, str], str], delimiter: str = ",") -> Path:
    """The exported file with answers, as a spreadsheet saves it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["decision"] = answers.get((row["review_id"], row["candidate_party_key"]), "")
        row["reason"] = "seen, together"
    target = path.with_name("answers.csv")
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return target


@pytest.mark.usefixtures("_clean")
def test_answers_come_back_as_decisions_once(tell: Teller, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "questions.csv"
    assert "wrote 2 questions" in tell("review", "export", "--to", str(path))
    assert "'=1+1" in path.read_text("utf-8-sig")
    answers = {("question-1", "carl-crm"): "Same ", ("question-1", "bert-crm"): "different"}
    file = str(write_answers(path, answers, delimiter=";"))
    assert "2 new answers; the next run applies it" in tell("review", "import", file, "--by", "dora")
    assert decided(store) == [
        ("apart", ["anna-crm"], ["bert-crm", "bert-shop"], "dora", None),
        ("together", ["anna-crm"], ["carl-crm"], "dora", None),
    ]
    before = store.version(silver.IDENTITY_DECISION), store.version(silver.IDENTITY_REVIEW)
    assert "nothing new" in tell("review", "import", file, "--by", "dora")
    assert (store.version(silver.IDENTITY_DECISION), store.version(silver.IDENTITY_REVIEW)) == before
    assert "status    decided: same:carl-crm, by dora" in tell("review", "show", "question-1")
    assert len(json.loads(tell("review", "list", "--json"))) == 1
    other = str(write_answers(path, {("question-1", "carl-crm"): "different"}))
    assert "was answered otherwise by dora" in tell.refused("review", "import", other, "--by", "emil")
    for made in json.loads(tell("decisions", "--json")):
        tell("undo", made["decision_id"], "--by", "emil")
    assert "status    open" in tell("review", "show", "question-1")


def test_one_fault_keeps_the_whole_file_out(tell: Teller, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(
        "review_id,candidate_party_key,decision\nquestion-1,bert-crm,same\nquestion-1,anna-crm,same\nquestion-9,bert-crm,same\n"
        "question-1,bert-crm,different\nquestion-3,bert-shop,same\nquestion-1,carl-crm,\n",
        "utf-8",
    )
    said = tell.refused("review", "import", str(path), "--by", "dora")
    assert f"{path}, row 3, column candidate_party_key: 'anna-crm' is no candidate of this question. Remedy: " in said
    assert "row 4, column review_id: 'question-9' is no question" in said
    assert "row 5, column decision: 'different' contradicts an earlier row, which says same" in said
    assert "row 6, column review_id: 'question-3' is no longer asked" in said
    path.write_text("review_id,candidate_party_key,decision\nquestion-1,bert-crm,maybe\n", "utf-8")
    said = tell.refused("review", "import", str(path), "--by", "dora")
    assert "row 2, column decision: 'maybe' is no answer. Remedy: write same, different, or nothing" in said
    path.write_text("review_id;decision\n", "utf-8")
    assert "row 1: no column candidate_party_key. Remedy" in tell.refused("review", "import", str(path), "--by", "dora")
    path.write_bytes("review_id,candidate_party_key,decision,reason\na,b,same,Müller".encode("latin-1"))
    assert "is not UTF-8. Remedy: save it as CSV UTF-8" in tell.refused("review", "import", str(path), "--by", "dora")
    assert "cannot be read" in tell.refused("review", "import", str(tmp_path / "none.csv"), "--by", "dora")
    assert decided(store) == []


def test_a_customer_is_found_by_any_way_of_writing_an_identifier(tell: Teller) -> None:
    def of(*arguments: str) -> list[str]:
        return [row["party_key"] for row in json.loads(tell("find", *arguments, "--json"))]

    assert of("--email", " Anna@Lindenpost.de") == ["anna-crm", "anna-shop"]
    assert of("--phone", "0171/234 5678") == of("--phone", "+49 171 2345678") == ["anna-crm", "anna-shop", "bert-crm"]
    assert of("--card", "2900 0000 00017") == ["anna-card"]
    assert of("--customer-number", "4711") == []
    assert "cust-anna" in tell("find", "--card", "2900000000017")
    assert tell("find", "--email", "nobody@lindenpost.de").startswith("none; only what was delivered")
    assert "--email: what was given is no email. Remedy: write it in full" in tell.refused("find", "--email", "anna")
    assert "say what to find: --email, --phone, --card, --customer-number" in tell.refused("find")


def test_a_customer_is_shown_in_clear_only_if_asked(tell: Teller) -> None:
    page = tell("show", "cust-anna")
    assert "receipts  1  revenue 12.50 EUR" in page
    assert "cards     1" in page
    assert "anna-card  till" in page
    assert "Szczepański" not in page
    assert "family_name        Szczepański" in tell("show", "anna-crm", "--clear")
    assert json.loads(tell("show", "cust-carl", "--clear", "--json"))["clear"] == {}


def test_two_records_are_explained_by_weights_path_and_history(tell: Teller) -> None:
    found = json.loads(tell("explain", "anna-crm", "anna-shop", "--json"))
    assert found["conclusion"] == "One customer: linked by score."
    assert {"email same", "phone same"} <= set(found["verdict"]["proofs"])
    assert (found["verdict"]["decision"], found["verdict"]["rule"]) == ("auto", "score")
    assert [item["from_run"] for item in found["history"]] == ["run-2", "run-2"]
    text = tell("explain", "cust-anna", "cust-bert")
    assert "contradiction  first_name (given_name differs)" in text
    assert "Two customers: first_name (given_name differs) contradicts." in text
    assert not [name for name in ("Szczepa", "szczepa", "lindenpost", "2345678") if name in text]
    text = tell("explain", "carl-crm", "cust-anna")
    assert "run run-1 to run-2" in text


def test_a_record_that_others_only_name_is_explained_by_its_rule(tell: Teller) -> None:
    text = tell("explain", "anna-card", "cust-anna")
    assert "One customer: the record anna-car is joined by card." in text
    assert "there is nothing to compare" in text
    assert "are the same record anna-crm" in tell.refused("explain", "anna-crm", "anna-crm")
    assert "are the same record. Remedy: name two records" in tell.refused("explain", "cust-carl", "carl-crm")


def test_the_overview_counts_records_customers_and_questions(store: Store) -> None:
    assert customers.overview(store) == {"contact_records": 5, "customers": 3, "links": 1, "open_questions": 2}
    odds = [(row.decision, row.log_odds, row.pairs) for row in customers.odds_by_decision(store).collect()]
    assert odds == [("auto", 12.0, 1), ("review", 2.0, 1)]


def test_a_run_asks_what_is_open_and_nothing_when_nothing_is_new(store: Store) -> None:
    """The last of this file, for it changes the questions."""
    rules = read_model(IdentityRules, CONF / "identity.yml")
    assert review.write(store, rules, "run-3", LONG_AGO)
    rows = store.read(silver.IDENTITY_REVIEW).collect()
    assert {row.review_id for row in rows if row.status == "gone"} == {"question-1", "question-2", "question-3"}
    [row] = [row for row in rows if row.status == "open"]
    assert (row.party_keys, row.reason, row.value_amount) == (["anna-crm", "bert-shop"], "possible", Decimal("12.50"))
    masked = json.loads(row.evidence)["masked"]
    assert (masked["name"], masked["birth_year"], masked["emails"]) == ("A*** S***", "1980", ["a***@l***"])
    assert not review.write(store, rules, "run-4", datetime(2025, 4, 1, tzinfo=UTC))
