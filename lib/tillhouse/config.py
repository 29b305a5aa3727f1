"""Configuration: YAML read into frozen models. An unknown, missing or mistyped key is an error with file, key and remedy."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from tillhouse.errors import ConfigError
from tillhouse.sources.model import Source
from tillhouse.strict import StrictModel

M = TypeVar("M", bound=BaseModel)


class LakeFile(StrictModel):
    """``conf/lake.yml``: where the data lies. The command line and the environment win over it."""

    lake: str
    vault: str
    landing: str
    token_key_file: str | None = None


class ProductRules(StrictModel):
    """``conf/products.yml``: which lines are counted as one item whatever their quantity."""

    counted_by_line: dict[Literal["category_l1", "category_l2", "category_l3"], tuple[str, ...]] = {}
    piece_units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """All that a run needs to know."""

    lake: str
    vault: str
    landing: str
    token_key_file: str | None
    sources: tuple[Source, ...]
    products: ProductRules

    def sources_of(self, entity: str) -> tuple[Source, ...]:
        return tuple(source for source in self.sources if source.entity == entity)

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
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is written twice", node.start_mark)
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
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML (UTF-8): {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must hold keys and values, but holds {type(data).__name__}")
    return data


def read_model(model: type[M], path: Path) -> M:
    """A YAML file as a typed model.

    Raises:
        ConfigError: with file, key, value and what is allowed, for every fault found.
    """
    return to_model(model, read_yaml(path), str(path))


def to_model(model: type[M], data: Mapping[str, Any], origin: str) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [_fault(model, fault) for fault in error.errors()]
        raise ConfigError("\n".join(f"{origin}: {fault}" for fault in faults)) from None


def _fault(model: type[BaseModel], fault: Any) -> str:
    location = [str(part) for part in fault["loc"]]
    key = ".".join(location) or "(whole file)"
    if fault["type"] == "extra_forbidden":
        allowed = _allowed_keys(model, location[:-1])
        close = difflib.get_close_matches(location[-1], allowed, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"key {key!r} is unknown{hint} Allowed here: {', '.join(allowed)}"
    if fault["type"] == "missing":
        return f"key {key!r} is missing; add it"
    message = fault["msg"].removeprefix("Value error, ")
    return f"key {key!r}: {message}" + ("" if fault["type"] == "value_error" else f" (found {fault['input']!r})")


def _allowed_keys(model: type[BaseModel], location: Iterable[str]) -> list[str]:
    """Keys that are allowed at a place inside a model; follows optional, tuple and mapping types."""
    current: Any = model
    for part in location:
        if isinstance(current, type) and issubclass(current, BaseModel):
            by_alias = {field.alias or name: field for name, field in current.model_fields.items()}
            current = by_alias[part].annotation
        while not (isinstance(current, type) and issubclass(current, BaseModel)):
            inner = [arg for arg in get_args(current) if arg not in (type(None), str, ...)]
            if not inner:
                return []
            current = inner[-1]
            if get_args(current) or (isinstance(current, type) and issubclass(current, BaseModel)):
                break
    while not (isinstance(current, type) and issubclass(current, BaseModel)):
        inner = [arg for arg in get_args(current) if arg not in (type(None), str, ...)]
        if not inner:
            return []
        current = inner[-1]
    return sorted(field.alias or name for name, field in current.model_fields.items())


def load_config(
    conf_dir: Path, lake: str | None = None, vault: str | None = None, landing: str | None = None
) -> Config:
    """The configuration of a chain: ``lake.yml`` and one file for each source in ``sources/``.

    Raises:
        ConfigError: anything is wrong; all faults of a file are named at once.
    """
    lake_file = read_model(LakeFile, conf_dir / "lake.yml")
    paths = sorted((conf_dir / "sources").glob("*.yml"))
    if not paths:
        raise ConfigError(f"{conf_dir / 'sources'}: no source is declared; add one YAML file per source")
    sources = []
    for path in paths:
        source = read_model(Source, path)
        if source.name != path.stem:
            raise ConfigError(f"{path}: key 'source': {source.name!r} must equal the file's name {path.stem!r}")
        sources.append(source)
    return Config(
        lake=lake or os.environ.get("TILLHOUSE_LAKE") or lake_file.lake,
        vault=vault or os.environ.get("TILLHOUSE_VAULT") or lake_file.vault,
        landing=landing or os.environ.get("TILLHOUSE_LANDING") or lake_file.landing,
        token_key_file=lake_file.token_key_file,
        sources=tuple(sources),
        products=read_model(ProductRules, conf_dir / "products.yml"),
    )


def fingerprint(*parts: object) -> str:
    """A short hash of conf and rules: another fingerprint means that a step has to work again."""

    def plain(part: object) -> object:
        if isinstance(part, BaseModel):
            return part.model_dump(mode="json")
        return [plain(item) for item in part] if isinstance(part, (list, tuple)) else str(part)

    return hashlib.sha256(json.dumps([plain(part) for part in parts], sort_keys=True).encode()).hexdigest()[:16]
