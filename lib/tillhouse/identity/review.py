"""What a steward is asked: one question per record of which the evidence does not say whose it is."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tillhouse.identity import vault
from tillhouse.identity.decide import AUTO
from tillhouse.identity.decisions import APART, TOGETHER
from tillhouse.identity.references import UNCLEAR
from tillhouse.identity.rules import IdentityRules
from tillhouse.keys import surrogate_key
from tillhouse.store import Store
from tillhouse.tables import silver
from tillhouse.tables.silver import IDENTITY_REVIEW

OPEN, DECIDED, GONE = "open", "decided", "gone"  # states of a question
SAME, DIFFERENT = "same", "different"  # answers
POSSIBLE, CONTRADICTION, BETWEEN_TWO = "possible", "contradiction", "between_two"  # why it is asked; or UNCLEAR
_NEW = {"owner": "STRING", "opened_at": "TIMESTAMP", "due_at": "TIMESTAMP", "escalate_to": "STRING"}
_ASKED = ("party_key", "party_keys", "reason", "evidence", "value_amount")


def write(store: Store, rules: IdentityRules, run_id: str, seen_at: datetime) -> bool:
    """Bring silver.identity_review up to what is known now; returns whether that changed anything."""
    made = store.read(silver.IDENTITY_DECISION)
    receipts = store.read(silver.RECEIPT).where("party_key IS NOT NULL").groupBy("party_key")
    questions = to_questions(
        store.read(silver.PARTY_CUSTOMER).where("valid_to_run IS NULL"),
        store.read(silver.PARTY_LINK),
        store.read(silver.PARTY_WITHOUT_CUSTOMER),
        decided=decided_pairs(made),
        values=receipts.agg(F.sum("gross_amount").alias("value_amount")),
        records=vault.records(store),
    )
    said = rules.review
    return store.overwrite(
        IDENTITY_REVIEW,
        with_state(
            store.keep(questions),
            store.read(IDENTITY_REVIEW),
            made,
            owner=said.owner,
            due=said.due,
            escalate_to=said.escalate_to,
            run_id=run_id,
            seen_at=seen_at,
        ),
    )


def decided_pairs(decisions: DataFrame) -> DataFrame:
    """Two records that a person has decided about (left, right, kind, decision_id, decided_by, decided_at): the latest counts."""
    active = decisions.where(f"undone_at IS NULL AND kind IN ('{TOGETHER}', '{APART}')")
    each = active.withColumn("_one", F.explode("left_keys")).withColumn("_other", F.explode("right_keys"))
    latest = Window.partitionBy("left", "right").orderBy(F.desc("decided_at"), F.desc("decision_id"))
    return (
        each.where("_one <> _other")
        .withColumns({"left": F.least("_one", "_other"), "right": F.greatest("_one", "_other")})
        .withColumn("_place", F.row_number().over(latest))
        .where("_place = 1")
        .select("left", "right", "kind", "decision_id", "decided_by", "decided_at")
    )


def to_questions(
    customers: DataFrame, links: DataFrame, without: DataFrame, *, decided: DataFrame, values: DataFrame, records: DataFrame
) -> DataFrame:
    """Rows of silver.identity_review, without their state.

    ``customers``: valid rows of silver.party_customer. ``decided``: pairs of records (left, right) that a person has decided
    about; two customers of which any two records are decided about are not asked again. ``values``: gross amount of receipts
    (party_key, value_amount). ``records``: rows of vault.identity_record, of which masked values are shown.
    """
    of = customers.select("party_key", "customer_id")
    answered = _between_customers(decided, of)
    doubts = _doubtful_links(links, of).unionByName(_unclear(without, of))
    doubts = doubts.join(answered, on=_both("of_record", "of_other"), how="left_anti")
    asked = doubts.transform(_to_the_busiest)
    shown, worth = masked(records), _values_of_customers(values, of)
    candidates = asked.join(shown.select(F.col("record_id").alias("other"), "masked"), on="other", how="left").join(
        worth.select(F.col("_owner").alias("of_other"), F.col("_value").alias("_other_value")), on="of_other", how="left"
    )
    grouped = candidates.groupBy("record", "of_record").agg(
        F.array_sort(F.collect_list(_candidate()), _nearest_first).alias("_candidates"),
        F.sum("_other_value").alias("_others_value"),
        F.bool_or("_is_unclear").alias("_is_unclear"),
        F.bool_or(F.coalesce(F.col("decision") == AUTO, F.lit(False))).alias("_is_between"),
        F.bool_or(F.col("contradiction").isNotNull()).alias("_contradicts"),
    )
    questions = grouped.join(shown.select(F.col("record_id").alias("record"), "masked"), on="record", how="left").join(
        worth.select(F.col("_owner").alias("of_record"), "_value"), on="of_record", how="left"
    )
    keys = F.transform("_candidates", lambda candidate: candidate["party_key"])
    evidence = F.struct(
        F.col("of_record").alias("customer_id"), F.col("masked"), F.col("_candidates").alias("candidates")
    )  # fmt: skip
    zero = F.lit(0).cast("DECIMAL(18,2)")
    return questions.select(
        surrogate_key("record", F.array_join(F.sort_array(keys), ",")).alias("review_id"),
        F.col("record").alias("party_key"),
        F.concat(F.array("record"), keys).alias("party_keys"),
        _reason().alias("reason"),
        F.to_json(evidence).alias("evidence"),
        (F.coalesce("_value", zero) + F.coalesce("_others_value", zero)).cast("DECIMAL(18,2)").alias("value_amount"),
    )


def with_state(
    questions: DataFrame,
    stored: DataFrame,
    decisions: DataFrame,
    *,
    owner: str,
    due: timedelta,
    escalate_to: str | None,
    run_id: str,
    seen_at: datetime,
) -> DataFrame:
    """All rows of silver.identity_review as they are after a run: asked now, decided, or gone.

    A question that is asked again tomorrow stays as it is; one that was gone and comes back is asked anew. What a person has
    answered is decided, until the answer is taken back.
    """
    found = questions.alias("q").join(stored.alias("s"), on="review_id", how="full_outer").join(
        answers(decisions).alias("a"), on="review_id", how="left"
    )  # fmt: skip
    is_asked, is_answered = F.col("q.party_key").isNotNull(), F.col("a.decision").isNotNull()
    state = F.when(is_answered, DECIDED).when(is_asked, OPEN).otherwise(GONE)
    is_kept = F.col("s.party_key").isNotNull() & ~(is_asked & (F.col("s.status") == GONE))
    new = {"owner": owner, "opened_at": seen_at, "due_at": seen_at + due, "escalate_to": escalate_to}
    return IDENTITY_REVIEW.conform(
        found.select(
            "review_id",
            *(F.when(is_asked, F.col(f"q.{name}")).otherwise(F.col(f"s.{name}")).alias(name) for name in _ASKED),
            state.alias("status"),
            *(F.col(f"a.{name}").alias(name) for name in ("decision", "decided_by", "decided_at")),
            *(
                F.when(is_kept, F.col(f"s.{name}")).otherwise(F.lit(new[name]).cast(kind)).alias(name)
                for name, kind in _NEW.items()
            ),
            F.coalesce("s.first_seen_run", F.lit(run_id)).alias("first_seen_run"),
        )
    )


def answers(decisions: DataFrame) -> DataFrame:
    """What people have answered, by question: ``same:`` with the records named, or ``different``."""
    active = decisions.where("undone_at IS NULL AND review_id IS NOT NULL")
    same = F.sort_array(F.flatten(F.collect_list(F.when(F.col("kind") == TOGETHER, F.col("right_keys")))))
    return active.groupBy("review_id").agg(
        F.when(F.size(same) > 0, F.concat(F.lit(f"{SAME}:"), F.array_join(same, ","))).otherwise(DIFFERENT).alias("decision"),
        F.max_by("decided_by", "decided_at").alias("decided_by"),
        F.max("decided_at").alias("decided_at"),
    )


def with_answers(stored: DataFrame, decisions: DataFrame) -> DataFrame:
    """Rows of silver.identity_review with what people have answered by now, before a run asks anew."""
    told = stored.drop("decision", "decided_by", "decided_at").join(answers(decisions), on="review_id", how="left")
    state = F.when(F.col("decision").isNotNull(), DECIDED).when(F.col("status") == DECIDED, OPEN).otherwise(F.col("status"))
    return IDENTITY_REVIEW.conform(told.withColumn("status", state))


def masked(records: DataFrame) -> DataFrame:
    """Records (record_id, masked) as a person may see them who must not know who it is: initials, year of birth, endings."""
    shown = {
        "source": "source",
        "name": "nullif(concat_ws(' ', upper(left(given, 1)) || '***', upper(left(family, 1)) || '***'), '')",
        "company": "upper(left(company, 1)) || '***'",
        "birth_year": "left(birth_date, 4)",
        "postal_code": "left(postal_code, 2) || '***'",
        "emails": "transform(emails, x -> left(x, 1) || '***@' || left(substring_index(x, '@', -1), 1) || '***')",
        **{
            name: f"transform({name}, x -> CASE WHEN length(x) > 4 THEN '***' || right(x, 2) ELSE '***' END)"
            for name in ("phones", "cards", "customer_numbers")
        },
    }
    return records.select("record_id", F.struct(*(F.expr(sql).alias(name) for name, sql in shown.items())).alias("masked"))


def _both(one: str, other: str) -> list[Column]:
    """Two customers, whichever comes first, against columns ``_first`` and ``_second``."""
    return [F.least(one, other) == F.col("_first"), F.greatest(one, other) == F.col("_second")]


def _between_customers(decided: DataFrame, of: DataFrame) -> DataFrame:
    """Customers between which a person has decided. A party that has none stands for itself."""
    sides = [
        of.select(F.col("party_key").alias(side), F.col("customer_id").alias(f"_{side}_customer")) for side in ("left", "right")
    ]
    both = decided.select("left", "right").join(sides[0], on="left", how="left").join(sides[1], on="right", how="left")
    one, other = (F.coalesce(f"_{side}_customer", side) for side in ("left", "right"))
    return both.select(F.least(one, other).alias("_first"), F.greatest(one, other).alias("_second")).distinct()


def _doubtful_links(links: DataFrame, of: DataFrame) -> DataFrame:
    """Links between two customers, seen from each of their records: to be asked about, or automatic and not followed."""
    left = of.select(F.col("party_key").alias("left_key"), F.col("customer_id").alias("_left_customer"))
    right = of.select(F.col("party_key").alias("right_key"), F.col("customer_id").alias("_right_customer"))
    apart = links.join(left, on="left_key", how="inner").join(right, on="right_key", how="inner")

    def seen_from(one: str, two: str) -> Column:
        names = {"record": f"{one}_key", "other": f"{two}_key", "of_record": f"_{one}_customer", "of_other": f"_{two}_customer"}
        return F.struct(*(F.col(column).alias(name) for name, column in names.items()))

    ways = F.explode(F.array(seen_from("left", "right"), seen_from("right", "left")))
    directed = apart.where("_left_customer <> _right_customer").withColumn("_way", ways)
    return directed.select("_way.*", "decision", "contradiction", "log_odds", "levels", F.lit(False).alias("_is_unclear"))


def _unclear(without: DataFrame, of: DataFrame) -> DataFrame:
    """Parties that name identifiers of several customers, with a record of each."""
    each = without.where(f"reason = '{UNCLEAR}'").select(
        F.col("party_key").alias("record"), F.explode("candidates").alias("other")
    )
    of_other = of.select(F.col("party_key").alias("other"), F.col("customer_id").alias("of_other"))
    return each.join(of_other, on="other", how="inner").select(
        "record",
        "other",
        F.col("record").alias("of_record"),
        "of_other",
        F.lit(None).cast("STRING").alias("decision"),
        F.lit(None).cast("STRING").alias("contradiction"),
        F.lit(None).cast("DOUBLE").alias("log_odds"),
        F.lit(None).cast("MAP<STRING, STRING>").alias("levels"),
        F.lit(True).alias("_is_unclear"),
    )


def _to_the_busiest(doubts: DataFrame) -> DataFrame:
    """Of two customers one pair: that of the record with the most doubts (the smallest of several), and its nearest one."""
    of_record = doubts.withColumn("_doubts", F.count(F.lit(1)).over(Window.partitionBy("record")))
    best = Window.partitionBy(F.least("of_record", "of_other"), F.greatest("of_record", "of_other")).orderBy(
        F.desc("_doubts"), "record", F.desc_nulls_last("log_odds"), "other"
    )
    return of_record.withColumn("_place", F.row_number().over(best)).where("_place = 1").drop("_place", "_doubts")


def _candidate() -> Column:
    told = F.map_filter("levels", lambda _, level: level != "missing")
    return F.struct(
        F.col("of_other").alias("customer_id"),
        F.col("other").alias("party_key"),
        F.round("log_odds", 2).alias("log_odds"),
        F.col("contradiction"),
        told.alias("levels"),
        F.col("masked"),
    )


def _nearest_first(one: Column, other: Column) -> Column:
    left, right = (F.coalesce(side["log_odds"], F.lit(0.0)) for side in (one, other))
    by_key = F.when(one["party_key"] < other["party_key"], -1).when(one["party_key"] > other["party_key"], 1).otherwise(0)
    return F.when(left > right, -1).when(left < right, 1).otherwise(by_key)


def _reason() -> Column:
    said = F.when(F.col("_is_unclear"), UNCLEAR).when(F.col("_is_between"), BETWEEN_TWO)
    return said.when(F.col("_contradicts"), CONTRADICTION).otherwise(POSSIBLE)


def _values_of_customers(values: DataFrame, of: DataFrame) -> DataFrame:
    """Gross amount of all receipts of a customer, or of a party that has none."""
    owned = values.join(of, on="party_key", how="left")
    return owned.groupBy(F.coalesce("customer_id", "party_key").alias("_owner")).agg(F.sum("value_amount").alias("_value"))
