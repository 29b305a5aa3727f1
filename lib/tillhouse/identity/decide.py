"""What becomes of two compared records: linked, shown to a person, or left apart; as SQL that Spark and DuckDB share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tillhouse.identity.rules import Contradiction, IdentityRules, Key

AUTO, REVIEW, NONE = "auto", "review", "none"
SCORE, APART, WITHOUT_DUPLICATES = "score", "odds", "source_without_duplicates"


def contradiction_sql(rules: IdentityRules) -> str:
    """The name of what keeps two records apart, or NULL. Reads ``log_odds``."""
    cases = [f"WHEN {_contradicts(contradiction)} THEN '{name}'" for name, contradiction in rules.contradictions.items()]
    if rules.without_duplicates:
        sources = ", ".join(f"'{source}'" for source in rules.without_duplicates)
        cases.append(f"WHEN left_source = right_source AND left_source IN ({sources}) THEN '{WITHOUT_DUPLICATES}'")
    cases.append(f"WHEN log_odds < {rules.thresholds.apart} THEN '{APART}'")
    return f"CASE {' '.join(cases)} END"


def rule_sql(rules: IdentityRules) -> str:
    """Why two records would be linked: the name of a key, or the score and, where one is asked for, a proof; else NULL.

    Reads ``log_odds``.
    """
    cases = [f"WHEN {_key_holds(name, key)} THEN '{name}'" for name, key in rules.keys.items()]
    proof = f" AND {_any(rules.proof)}" if rules.proof else ""
    cases.append(f"WHEN log_odds >= {rules.thresholds.auto}{proof} THEN '{SCORE}'")
    return f"CASE {' '.join(cases)} END"


def decision_sql(rules: IdentityRules) -> str:
    """auto, review or none. Reads ``rule``, ``contradiction`` and ``log_odds``; what contradicts is never linked."""
    return (
        f"CASE WHEN rule IS NOT NULL AND contradiction IS NULL THEN '{AUTO}' "
        f"WHEN log_odds >= {rules.thresholds.review} THEN '{REVIEW}' ELSE '{NONE}' END"
    )


def _contradicts(contradiction: Contradiction) -> str:
    return f"({_all(contradiction.when)} AND NOT {_any(contradiction.unless)})"


def _key_holds(name: str, key: Key) -> str:
    sources = " OR ".join(
        f"(left_source = '{one}' AND right_source = '{other}') OR (left_source = '{other}' AND right_source = '{one}')"
        for one, other in key.between
    )
    return f"({name} = 'same' AND NOT {_any(key.unless)}{f' AND ({sources})' if sources else ''})"


def _is_one_of(comparison: str, levels: Sequence[str]) -> str:
    return f"{comparison} IN ({', '.join(repr(level) for level in levels)})"


def _all(levels: Mapping[str, Sequence[str]]) -> str:
    return "(" + " AND ".join(_is_one_of(comparison, names) for comparison, names in levels.items()) + ")"


def _any(levels: Mapping[str, Sequence[str]]) -> str:
    return "(" + (" OR ".join(_is_one_of(comparison, names) for comparison, names in levels.items()) or "false") + ")"
