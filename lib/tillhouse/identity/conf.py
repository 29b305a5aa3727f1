"""What a chain decides about who is who, and the model that it has chosen: ``identity.yml`` and ``identity_model.json``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tillhouse.config import Config, read_model
from tillhouse.errors import ConfigError
from tillhouse.identity.model import IdentityModel, load_model
from tillhouse.identity.rules import IdentityRules

RULES, MODEL = "identity.yml", "identity_model.json"


@dataclass(frozen=True)
class Conf:
    """Rules of business and frozen model."""

    rules: IdentityRules
    model: IdentityModel


def load(config: Config) -> Conf | None:
    """The conf of a chain; None without ``identity.yml``: then a contact is a customer of its own.

    Raises:
        ConfigError: one of the files is wrong, or the model is missing.
    """
    path = config.conf_dir / RULES
    if not path.exists():
        return None
    found = _load(path)
    faults = found.rules.survivorship.unknown_sources(source.name for source in config.sources)
    if faults:
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults))
    return found


@lru_cache(4)  # several steps of a run ask for it, and reading it takes longer than they do
def _load(path: Path) -> Conf:
    rules = read_model(IdentityRules, path)
    return Conf(rules, load_model(path.parent / MODEL, rules.compared))
