"""What columns tell of consent, read by the same engine as every field: each declaration is a text, a proof and a time."""

from __future__ import annotations

from collections.abc import Iterable

from tillhouse.sources.fields import Field
from tillhouse.sources.model import Column, Consent, Source

GRANTED, DENIED, UNKNOWN = "granted", "denied", "unknown"
YES = ("1", "true", "yes", "ja", "y", "j", "x", "wahr")
NO = ("0", "false", "no", "nein", "n", "-", "falsch")


def consent_fields(source: Source) -> list[Field]:
    """The fields that hold the state, the proof and the time of each declaration of a mapping."""
    return [field for number in range(len(source.consent)) for field in _fields(number)]


def _fields(number: int) -> tuple[Field, Field, Field]:
    state, proof, at = names(number)
    return (
        Field(state, "text", "state of consent"),
        Field(proof, "text", "proof of consent", personal=True),
        Field(at, "instant", "time of the declaration", describes=True),
    )


def names(number: int) -> tuple[str, str, str]:
    """Names of the fields of a declaration: its state, its proof, its time."""
    return f"consent_{number}", f"consent_{number}_proof", f"consent_{number}_at"


def with_consents(source: Source) -> Source:
    """The mapping with its declarations of consent as columns and value maps."""
    columns, value_maps = dict(source.columns), dict(source.value_maps)
    for number, consent in enumerate(source.consent):
        state, proof, at = names(number)
        columns[state] = Column(aliases=consent.aliases)
        value_maps[state] = meanings(consent)
        for name, aliases in ((proof, consent.proof), (at, consent.at)):
            if aliases:
                columns[name] = Column(aliases=aliases)
    return source.model_copy(update={"columns": columns, "value_maps": value_maps})


def meanings(consent: Consent) -> dict[str, str]:
    """What the texts of a column mean. Where nothing is listed, yes and no in any writing.

    Who has not opted out has declared nothing: that grants only where the mapping says so.
    """
    yes, no = (DENIED, GRANTED if consent.granted_unless_opted_out else UNKNOWN) if consent.inverted else (GRANTED, DENIED)
    said: dict[str, str] = {}
    if not (consent.granted or consent.denied):
        said = dict.fromkeys(_writings(YES), yes) | dict.fromkeys(_writings(NO), no)
    listed = ((consent.granted, GRANTED), (consent.denied, DENIED), (consent.unknown, UNKNOWN))
    return said | {text: state for texts, state in listed for text in texts}


def _writings(words: Iterable[str]) -> list[str]:
    return [text for word in words for text in (word, word.upper(), word.capitalize())]
