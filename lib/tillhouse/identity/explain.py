"""Why two records are one customer, or are not: what agrees, what it weighs, what was decided, and which links join them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tillhouse.identity.compare import BY_NAME, DIFFERS
from tillhouse.identity.decide import APART, AUTO, REVIEW, WITHOUT_DUPLICATES
from tillhouse.identity.decisions import TOGETHER
from tillhouse.identity.model import IdentityModel
from tillhouse.identity.rules import IdentityRules, Levels


@dataclass(frozen=True)
class Side:
    """One of the two records. ``is_compared``: it is a contact record; others are joined by the identifiers that they name."""

    party_key: str
    customer_id: str | None
    source: str | None
    is_compared: bool


@dataclass(frozen=True)
class Weight:
    """What was found of one attribute, its weight in bits given those before, and log2 of the odds after it."""

    comparison: str
    level: str
    meaning: str
    weight: float
    log_odds: float


@dataclass(frozen=True)
class Verdict:
    """What conf says now of two compared records."""

    log_odds: float
    decision: str
    rule: str | None
    weights: tuple[Weight, ...]
    keys: tuple[str, ...]
    proofs: tuple[str, ...]
    contradictions: tuple[str, ...]


@dataclass(frozen=True)
class Decided:
    """What a person has decided about two records."""

    decision_id: str
    kind: str
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True)
class Joint:
    """Two records that are one customer, by a rule or by a person."""

    left: str
    right: str
    by: str
    log_odds: float | None = None


@dataclass(frozen=True)
class Membership:
    """A customer that a record had from a run on, and up to which (None: it has it still)."""

    party_key: str
    customer_id: str
    rule: str
    score: float | None
    from_run: str
    to_run: str | None


@dataclass(frozen=True)
class Explanation:
    """All of it, for two records. ``verdict`` is None where one of them is no contact record."""

    left: Side
    right: Side
    verdict: Verdict | None
    decided: Decided | None
    path: tuple[Joint, ...]
    history: tuple[Membership, ...]

    @property
    def is_one_customer(self) -> bool:
        return self.left.customer_id is not None and self.left.customer_id == self.right.customer_id

    @property
    def conclusion(self) -> str:
        """Whether they are one customer, and why, in one sentence."""
        return _why_one(self) if self.is_one_customer else _why_two(self)


def judge(
    levels: Mapping[str, str],
    sources: tuple[str, str],
    scored: tuple[str, str | None],
    model: IdentityModel,
    rules: IdentityRules,
) -> Verdict:
    """``levels`` of two records in the order of the rules' comparisons; ``scored``: decision and rule of ``match.score``."""
    weights = tuple(
        Weight(step.comparison, step.level, meaning(step.comparison, step.level), step.weight, step.log_odds)
        for step in model.explain(levels)
    )
    log_odds = weights[-1].log_odds
    return Verdict(
        log_odds=log_odds,
        decision=scored[0],
        rule=scored[1],
        weights=weights,
        keys=tuple(_keys(levels, sources, rules)),
        proofs=tuple(f"{name} {levels[name]}" for name, names in rules.proof.items() if levels.get(name) in names),
        contradictions=tuple(_contradictions(levels, sources, log_odds, rules)),
    )


def meaning(comparison: str, level: str) -> str:
    """A level in the words of its comparison."""
    if comparison not in BY_NAME:
        return "what is known of two records that a rule has brought together"
    found = {item.name: item.meaning for item in BY_NAME[comparison].levels}
    return found.get(level, "not the same" if level == DIFFERS else "one of the two does not say")


def shortest_path(joints: Iterable[Joint], start: str, end: str) -> tuple[Joint, ...]:
    """The fewest joints that lead from one record to another, of equally many the surer ones; empty where none do."""
    of: dict[str, list[tuple[str, Joint]]] = {}
    for joint in sorted(joints, key=lambda item: (-(item.log_odds or float("inf")), item.left, item.right)):
        of.setdefault(joint.left, []).append((joint.right, joint))
        of.setdefault(joint.right, []).append((joint.left, joint))
    came_by: dict[str, tuple[str, Joint]] = {}
    waiting = deque([start])
    while waiting and end not in came_by:
        record = waiting.popleft()
        for other, joint in of.get(record, ()):
            if other not in came_by and other != start:
                came_by[other] = (record, joint)
                waiting.append(other)
    path = []
    while end in came_by:
        end, joint = came_by[end]
        path.append(joint)
    return tuple(reversed(path))


def as_text(found: Explanation) -> str:
    """For people. Holds keys, sources and levels, and nothing of the persons."""
    sides = [
        f"{name:<8} {side.party_key}  {side.source or '-'}  customer {side.customer_id or 'none'}"
        for name, side in (("record", found.left), ("and", found.right))
    ]
    lines = [*sides, "", found.conclusion, ""]
    lines += _of_verdict(found.verdict) if found.verdict else ["one of them is no contact record, so there is nothing to compare"]
    if found.path:
        lines += ["", "joined by"]
        lines += [f"  {joint.left[:8]} - {joint.right[:8]}  {joint.by}{_odds_after(joint.log_odds)}" for joint in found.path]
    lines += ["", "since when"]
    lines += [
        f"  {item.party_key[:8]}  customer {item.customer_id[:8]}  {item.rule:<20} run {item.from_run}"
        + (f" to {item.to_run}" if item.to_run else "")
        for item in found.history
    ]
    return "\n".join(lines)


def _of_verdict(verdict: Verdict) -> list[str]:
    lines = [f"{'bits':>7} {'odds':>8}  attribute"]
    lines += [
        f"{step.weight:>+7.2f} {step.log_odds:>8.2f}  {f'{step.comparison} {step.level}'.strip():<32} {step.meaning}"
        for step in verdict.weights
    ]
    lines.append(f"odds {to_odds(verdict.log_odds)} that the two are one customer: {verdict.decision}")
    told = {"key": verdict.keys, "proof": verdict.proofs, "contradiction": verdict.contradictions}
    return [*lines, *(f"{name:<14} {text}" for name, texts in told.items() for text in texts)]


def to_odds(log_odds: float) -> str:
    """``30 to 1`` for one, ``1 to 30`` against: a text that no spreadsheet takes for a time."""
    size = 2 ** min(abs(log_odds), 60)
    text = f"{size:,.0f}" if size >= 10 else f"{size:.1f}"
    return f"{text} to 1" if log_odds >= 0 else f"1 to {text}"


def _odds_after(log_odds: float | None) -> str:
    return "" if log_odds is None else f"  odds {to_odds(log_odds)}"


def _why_one(found: Explanation) -> str:
    waits = found.decided is not None and found.decided.kind != TOGETHER
    suffix = f" {_person(found.decided)} keeps them apart; the next run does so." if waits and found.decided else ""
    if not found.path:
        other = next((side for side in (found.left, found.right) if not side.is_compared), None)
        rule = next(
            (item.rule for item in found.history if other and item.party_key == other.party_key and not item.to_run), None
        )
        why = (
            f"the record {other.party_key[:8]} is joined by {rule}" if other and rule else "by an earlier run; no link is stored"
        )
        return f"One customer: {why}.{suffix}"
    if len(found.path) == 1:
        return f"One customer: {found.path[0].by}.{suffix}"
    return f"One customer: joined over {len(found.path) - 1} other records, see below.{suffix}"


def _why_two(found: Explanation) -> str:  # noqa: PLR0911 - one sentence for each reason
    if found.decided is not None:
        if found.decided.kind == TOGETHER:
            return f"Two customers still: {_person(found.decided)} puts them together; the next run does so."
        return f"Two customers: {_person(found.decided)} keeps them apart."
    verdict = found.verdict
    if verdict is None:
        return "Two customers: nothing joins them."
    if verdict.contradictions:
        return f"Two customers: {verdict.contradictions[0]} contradicts."
    if verdict.decision == AUTO:
        return (
            "Two customers: the link is not followed, because a record of one contradicts one of the other, "
            "or fits two who contradict each other."
        )
    if verdict.decision == REVIEW:
        return "Two customers: the evidence is not enough without a person's answer."
    return "Two customers: the evidence is not enough."


def _person(decided: Decided) -> str:
    return f"decision {decided.decision_id[:8]} by {decided.decided_by} ({decided.decided_at:%Y-%m-%d})"


def _holds_all(levels: Mapping[str, str], wanted: Levels) -> bool:
    return all(levels.get(name) in names for name, names in wanted.items())


def _holds_any(levels: Mapping[str, str], wanted: Levels) -> bool:
    return any(levels.get(name) in names for name, names in wanted.items())


def _keys(levels: Mapping[str, str], sources: tuple[str, str], rules: IdentityRules) -> Iterable[str]:
    for name, key in rules.keys.items():
        is_between = not key.between or sources in key.between or sources[::-1] in key.between
        if levels.get(name) == "same" and is_between and not _holds_any(levels, key.unless):
            yield name


def _contradictions(
    levels: Mapping[str, str], sources: tuple[str, str], log_odds: float, rules: IdentityRules
) -> Iterable[str]:  # fmt: skip
    for name, contradiction in rules.contradictions.items():
        if _holds_all(levels, contradiction.when) and not _holds_any(levels, contradiction.unless):
            yield f"{name} ({_said(levels, list(contradiction.when))})"
    if sources[0] == sources[1] and sources[0] in rules.without_duplicates:
        yield f"{WITHOUT_DUPLICATES} ({sources[0]} has each customer once)"
    if log_odds < rules.thresholds.apart:
        yield f"{APART} (below {to_odds(rules.thresholds.apart)})"


def _said(levels: Mapping[str, str], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {levels[name]}" for name in names)
