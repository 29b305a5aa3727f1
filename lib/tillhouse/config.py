"""Configuration: YAML read into frozen models. An unknown, missing or mistyped key is an error with file, key and remedy."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from tillhouse.errors import ConfigError
from tillhouse.products.returns import ReturnRules
from tillhouse.products.rules import ProductRules
from tillhouse.quality.duties import Duties, ExceptionsFile
from tillhouse.sources.model import Source
from tillhouse.strict import StrictModel, did_you_mean

M = TypeVar("M", bound=BaseModel)


class LakeFile(StrictModel):
    """``conf/lake.yml``: where the data lies. The command line and the environment win over it."""

    lake: str
    vault: str
    landing: str
    token_key_file: str | None = None
    time_travel_days: int = Field(default=30, ge=7, le=3650, strict=True)


@dataclass(frozen=True, slots=True)
class Config:
    """All that a run needs to know."""

    lake: str
    vault: str
    landing: str
    token_key_file: str | None
    sources: tuple[Source, ...]
    products: ProductRules
    time_travel_days: int
    exceptions: ExceptionsFile = field(default_factory=ExceptionsFile)
    returns: ReturnRules = field(default_factory=ReturnRules)
    conf_dir: Path = Path("conf")

    @property
    def duties(self) -> Duties:
        """Who answers for which exception until when."""
        return Duties(self.exceptions.responsible, self.sources)

    def sources_of(self, entity: str) -> tuple[Source, ...]:
        return tuple(source for source in self.sources if source.entity == entity)

    @property
    def entities(self) -> frozenset[str]:
        """What the records of the sources are about."""
        return frozenset(source.entity for source in self.sources)

    @property
    def payers(self) -> tuple[str, ...]:
        """Sources whose documents tell payments of the receipts of others."""
        return tuple(sorted(source.name for source in self.sources if source.pays is not None))

    def source(self, name: str) -> Source:
        for source in self.sources:
            if source.name == name:
                return source
        raise ConfigError(f"no source named {name!r}; conf/sources has: {', '.join(s.name for s in self.sources)}")

    def token_key(self) -> bytes:
        """The secret that personal identifiers are tokenised with; from the environment or a file, never from conf or lake.

        Raises:
            ConfigError: there is no key, or it is too short.
        """
        text = os.environ.get("TILLHOUSE_TOKEN_KEY")
        origin = "TILLHOUSE_TOKEN_KEY"
        if text is None:
            path = os.environ.get("TILLHOUSE_TOKEN_KEY_FILE") or self.token_key_file
            if path is None or not Path(path).is_file():
                raise ConfigError(
                    f"no token key: {path or 'TILLHOUSE_TOKEN_KEY_FILE is not set'}. Make one with "
                    "`tillhouse make-key FILE` outside lake and repository and name it in TILLHOUSE_TOKEN_KEY_FILE; "
                    "keep it: with another key the same card is another customer."
                )
            origin, text = path, Path(path).read_text("utf-8").strip()
        if len(text) < 32:
            raise ConfigError(f"token key in {origin} has {len(text)} characters; at least 32 are needed")
        return text.encode()


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that is written twice; plain YAML would silently take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is written twice", key.start_mark)
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML, repeats a key or is not a mapping.
    """
    try:
        data = yaml.load(path.read_text("utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise ConfigError(f"{path}: file not found; --conf-dir must name a folder like conf/ of this project") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not readable as YAML in UTF-8: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must hold keys and values, but {'is empty' if data is None else 'holds ' + _kind(data)}")
    return data


def read_model(model: type[M], path: Path) -> M:
    """A YAML file as a typed model.

    Raises:
        ConfigError: with file, key, value and what is allowed, for every fault found.
    """
    return to_model(model, read_yaml(path), str(path))


def to_model(model: type[M], data: Mapping[str, Any], origin: str) -> M:
    """Keys and values as a typed model.

    Raises:
        ConfigError: as ``read_model``; ``origin`` is named as the file.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [line for fault in error.errors() for line in _told(model, fault)]
        raise ConfigError("\n".join(f"{origin}: {fault}" for fault in faults)) from None


def _told(model: type[BaseModel], fault: ErrorDetails) -> list[str]:
    """One sentence for each thing that is wrong: key, value, and what is allowed."""
    location = [str(part) for part in fault["loc"] if part != "[key]"]
    key, found = ".".join(location), fault["input"]
    match fault["type"]:
        case "extra_forbidden" | "invalid_key":
            allowed = _allowed_keys(model, location[:-1])
            text = f"is unknown{did_you_mean(location[-1], allowed)}. Allowed here: {', '.join(allowed)}"
        case "missing":
            text = "is missing; add it"
        case "string_type" if found is None:
            text = "has no value; write a text or remove the key"
        case "string_type" if isinstance(found, (list, dict)):
            text = f"must be one text, but is {_kind(found)}"
        case "string_type":
            text = f"must be a text, but YAML reads {_kind(found)} here ({found}); write it in quotes"
        case "tuple_type":
            text = f"must be a list such as [a, b], but is {_kind(found)}"
        case "model_type" | "dict_type":
            allowed = _allowed_keys(model, location)
            text = f"must hold keys and values, but is {_kind(found)}" + (
                f". Allowed here: {', '.join(allowed)}" if allowed else ""
            )
        case "literal_error":
            allowed = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
            text = f"{found!r} is not allowed{did_you_mean(str(found), allowed)}. Allowed: {fault['ctx']['expected']}"
        case "bool_type" | "bool_parsing":
            text = f"must be true or false, but is {found!r}"
        case "value_error":
            lines = fault["msg"].removeprefix("Value error, ").split("\n")
            return lines if not location else [f"key {key!r}: {line}" for line in lines]
        case _:
            text = f"{fault['msg']}, but is {found!r}"
    return [f"key {key!r} {text}" if text.startswith(("is ", "has ", "must ")) else f"key {key!r}: {text}"]


def _kind(value: object) -> str:
    names = {bool: "a yes/no value", int: "a number", float: "a number", str: "a text", list: "a list", dict: "keys and values"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _allowed_keys(annotation: Any, location: Sequence[str]) -> list[str]:  # noqa: ANN401 - any type that a field can have
    """The keys that may stand at a place inside a model."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        by_key = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        if not location:
            return sorted(by_key)
        return _allowed_keys(by_key[location[0]], location[1:]) if location[0] in by_key else []
    inner = get_args(annotation)
    if get_origin(annotation) in (dict, tuple):  # a name, or the number of an entry
        of_each = inner[1] if get_origin(annotation) is dict else inner[0]
        return _allowed_keys(of_each, location[1:]) if location else []
    return next((keys for arg in inner if (keys := _allowed_keys(arg, location))), [])


def load_config(conf_dir: Path, lake: str | None = None, vault: str | None = None, landing: str | None = None) -> Config:
    """The configuration of a chain: ``lake.yml`` and one file for each source in ``sources/``.

    Raises:
        ConfigError: anything is wrong; all faults of a file are named at once.
    """
    lake_file = read_model(LakeFile, conf_dir / "lake.yml")
    sources = _load_sources(conf_dir / "sources")
    return Config(
        lake=lake or os.environ.get("TILLHOUSE_LAKE") or lake_file.lake,
        vault=vault or os.environ.get("TILLHOUSE_VAULT") or lake_file.vault,
        landing=landing or os.environ.get("TILLHOUSE_LANDING") or lake_file.landing,
        token_key_file=lake_file.token_key_file,
        sources=sources,
        products=_load_product_rules(conf_dir / "products.yml", [source.name for source in sources]),
        time_travel_days=lake_file.time_travel_days,
        exceptions=_load_exceptions(conf_dir / "exceptions.yml", sources),
        returns=_load_return_rules(conf_dir / "returns.yml"),
        conf_dir=conf_dir,
    )


def _load_exceptions(path: Path, sources: Sequence[Source]) -> ExceptionsFile:
    """Without the file each source's own owner and due_days count."""
    if not path.exists():
        return ExceptionsFile()
    found = read_model(ExceptionsFile, path)
    faults = found.unknown_names(source.name for source in sources)
    if faults:
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults))
    return found


def _load_return_rules(path: Path) -> ReturnRules:
    """Without the file the defaults count, and reasons stay as the sources tell them."""
    return read_model(ReturnRules, path) if path.exists() else ReturnRules()


def _load_sources(folder: Path) -> tuple[Source, ...]:
    paths = sorted(path for path in folder.glob("*") if path.suffix in (".yml", ".yaml") and not path.name.startswith("."))
    if not paths:
        raise ConfigError(f"{folder}: no source is declared; add one YAML file per source")
    sources: dict[str, Source] = {}
    for path in paths:
        if path.suffix == ".yaml":
            raise ConfigError(f"{path}: would not be read; rename it to {path.stem}.yml")
        source = read_model(Source, path)
        if source.name != path.stem:
            raise ConfigError(f"{path}: key 'source': {source.name!r} must equal the file's name; write source: {path.stem}")
        other = sources.setdefault(source.file_pattern, source)
        if other is not source:
            raise ConfigError(f"{path}: key 'file_pattern' is that of {other.conf_file}; a file belongs to one source")
    names = {source.name for source in sources.values() if source.entity == "receipt"}
    for source in sources.values():
        if source.pays is not None and source.pays not in names:
            hint = did_you_mean(source.pays, names)
            raise ConfigError(f"{source.conf_file}: key 'pays': no receipt source is named {source.pays!r}{hint}; declare it")
    return tuple(sources.values())


def _load_product_rules(path: Path, sources: Sequence[str]) -> ProductRules:
    rules = read_model(ProductRules, path)
    for key, name, allowed in rules.names_of_sources(sources):
        if name not in allowed:
            raise ConfigError(
                f"{path}: key {key!r} names {name!r}, which is no source{did_you_mean(name, allowed)}. "
                f"Allowed here: {', '.join(sorted(allowed))}"
            )
    return rules


def fingerprint(*parts: object) -> str:
    """A short hash of conf and rules: another fingerprint means that a step has to work again."""

    def plain(part: object) -> object:
        if isinstance(part, BaseModel):
            return part.model_dump(mode="json")
        return [plain(item) for item in part] if isinstance(part, (list, tuple)) else str(part)

    return hashlib.sha256(json.dumps([plain(part) for part in parts], sort_keys=True).encode()).hexdigest()[:16]
