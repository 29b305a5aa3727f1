"""Credentials of an API: named in conf, kept in the environment or in a file, and never shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import quote

from pydantic import Field, model_validator

from tillhouse.errors import ConfigError
from tillhouse.strict import StrictModel

HIDDEN = "***"
_SECRET_NAME = re.compile(
    r"authori[sz]ation|token|secret|passw|api[-_]?key|access[-_]?key|cookie|credential|signature", re.IGNORECASE
)


def is_secret_name(name: str) -> bool:
    """Whether a header or parameter of this name holds a credential."""
    return bool(_SECRET_NAME.search(name))


class Secret(StrictModel):
    """Where the secret part of a header is: ``prefix`` stands before it, such as ``"Bearer "``."""

    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    file: Annotated[str, Field(min_length=1)] | None = None
    prefix: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("needs exactly one of env (an environment variable) and file (a path)")
        return self

    @property
    def place(self) -> str:
        return f"environment variable {self.env}" if self.env is not None else f"file {self.file}"

    def read(self, header: str, conf_file: str) -> str:
        """The secret itself.

        Raises:
            ConfigError: it is not there, or is no text that a header may hold; never tells it.
        """
        text = os.environ.get(self.env) if self.env is not None else _content(Path(self.file or ""))
        told = f"{conf_file}: key 'secret_headers.{header}':"
        if text is None or not text.strip():
            raise ConfigError(f"{told} {self.place} is not there or empty; put the credential of the API into it")
        if not (text.strip().isascii() and text.strip().isprintable()):
            raise ConfigError(f"{told} {self.place} must hold one line of plain ASCII characters; write the credential alone")
        return text.strip()


def _content(path: Path) -> str | None:
    try:
        return path.expanduser().read_text("utf-8")
    except (OSError, ValueError):
        return None


def hidden(text: str, secrets: Iterable[str]) -> str:
    """A text of the other side in which no secret can be read."""
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text
