"""The language of ``conf/connectors/*.yml``: how the pages of an API are asked for, and where they are put."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from tillhouse.pull.credentials import Secret, is_secret_name
from tillhouse.strict import StrictModel

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_USED = ("{pulled}", "{page}")

Text = Annotated[str, Field(min_length=1)]


def names_in(value: object) -> Iterator[str]:
    """All names in nested keys and values."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or password; name it in secret_headers by environment variable or file")
    if not host or parts.fragment or parts.query:
        raise ValueError("is no address such as https://shop.example/api/orders.json; query parameters go under parameters")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise ValueError("must begin with https://, or anybody on the way could read the records; http only for this machine")
    return text


class Paging(StrictModel):
    """How a page leads to the next one.

    ``link``: the header ``Link`` with ``rel="next"``. ``next_url``: an address in the page. ``cursor``: a value in the page that
    is sent as ``parameter``. ``page`` and ``offset``: ``parameter`` counts pages or records. ``none``: there is one page.
    """

    style: Literal["link", "next_url", "cursor", "page", "offset", "none"]
    next: Text | None = None
    parameter: Text | None = None
    first: int | None = Field(default=None, ge=0, strict=True)
    size: int | None = Field(default=None, ge=1, strict=True)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        needed = {"next_url": ("next",), "cursor": ("next", "parameter"), "page": ("parameter",), "offset": ("parameter", "size")}
        allowed = {"page": ("parameter", "first", "size"), "offset": ("parameter", "first", "size")}
        wanted = needed.get(self.style, ())
        given = [name for name in ("next", "parameter", "first", "size") if getattr(self, name) is not None]
        missing = [name for name in wanted if name not in given]
        surplus = [name for name in given if name not in allowed.get(self.style, wanted)]
        if missing or surplus:
            text = " and ".join(wanted) or "no further key"
            raise ValueError(f"style {self.style} needs {text}" + (f"; remove {', '.join(surplus)}" if surplus else ""))
        return self


class Since(StrictModel):
    """Only what has changed: the highest ``field`` of all records is sent as ``parameter`` with the next pull."""

    parameter: Text
    field: Text
    kind: Literal["instant", "number"] = "instant"
    first: Text | None = None
    overlap_seconds: int = Field(default=0, ge=0, strict=True)
    until_parameter: Text | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.kind == "number" and (self.overlap_seconds or self.until_parameter):
            raise ValueError("overlap_seconds and until_parameter go with kind: instant; remove them")
        return self


class Limits(StrictModel):
    """What one pull may take at most; it then ends with an error, and the next one goes on from there."""

    pages: int = Field(default=10_000, ge=1, strict=True)
    minutes: int = Field(default=60, ge=1, strict=True)
    total_mebibytes: int = Field(default=4_096, ge=1, strict=True)
    response_mebibytes: int = Field(default=64, ge=1, le=1_024, strict=True)


class Connector(StrictModel):
    """One kind of record of one API."""

    name: str = Field(alias="connector", pattern=r"^[a-z][a-z0-9_]*$")
    description: Text
    url: Annotated[str, AfterValidator(_url)]
    parameters: dict[str, Text] = Field(default_factory=dict)
    body: dict[str, Any] | None = None
    headers: dict[str, Text] = Field(default_factory=dict)
    secret_headers: dict[str, Secret] = Field(default_factory=dict)
    records: Text | None = None
    paging: Paging
    since: Since | None = None
    target: Text
    requests_per_second: float = Field(default=2.0, gt=0, le=1_000)
    timeout_seconds: int = Field(default=60, ge=1, le=600, strict=True)
    retries: int = Field(default=5, ge=0, le=20, strict=True)
    longest_wait_seconds: int = Field(default=300, ge=1, strict=True)
    limits: Limits = Limits()

    @field_validator("headers", "parameters", "body", mode="before")
    @classmethod
    def _no_secret_in_conf(cls, given: object) -> object:
        """Before anything else, because what is wrong with a value is told with the value."""
        for name in names_in(given):
            if is_secret_name(name):
                raise ValueError(f"{name} is a secret and may not stand in conf; name it in secret_headers by env or file")
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = [*self._problems_of_headers(), *self._problems_of_target(), *self._problems_of_body()]
        if problems:
            raise ValueError("\n".join(f"key {key!r}: {problem}" for key, problem in problems))
        return self

    @property
    def conf_file(self) -> str:
        return f"conf/connectors/{self.name}.yml"

    def credentials(self) -> dict[str, str]:
        """The secret of each secret header. Raises ConfigError if one is not there."""
        return {name: secret.read(name, self.conf_file) for name, secret in self.secret_headers.items()}

    def path_of(self, pulled: str, page: int) -> str:
        """The path of a page below the landing area."""
        return self.target.replace("{pulled}", pulled).replace("{page}", f"{page:06d}")

    def _problems_of_headers(self) -> Iterable[tuple[str, str]]:
        for key, names in (("headers", self.headers), ("secret_headers", self.secret_headers)):
            for name in names:
                if not _HEADER.fullmatch(name):
                    yield f"{key}.{name}", "is no name of a header; write letters, digits and -"
        for name, text in self.headers.items():
            if not (text.isascii() and text.isprintable()):
                yield f"headers.{name}", "must be one line of plain ASCII characters"
        for name in sorted({name.lower() for name in self.headers} & {name.lower() for name in self.secret_headers}):
            yield f"secret_headers.{name}", "stands under headers too; keep one of them"

    def _problems_of_target(self) -> Iterable[tuple[str, str]]:
        for mark in _USED:
            if self.target.count(mark) != 1:
                yield "target", f"must hold {mark} once, so that no page replaces another one"
        if re.search(r"[{}*\\:]", self.target.replace("{pulled}", "").replace("{page}", "")):
            yield "target", "holds a character that is no part of a file's name; only {pulled} and {page} stand for something"
        if any(part in ("", ".", "..") or part.startswith((".", "_")) for part in self.target.split("/")):
            yield "target", "is no path below the landing area; no part may be empty, .. or begin with . or _"

    def _problems_of_body(self) -> Iterable[tuple[str, str]]:
        if self.body is not None and self.paging.style in ("link", "next_url"):
            yield "body", f"is sent with each request, and paging style {self.paging.style} asks an address without one"
        elif self.body is not None and self.since is not None and self.since.until_parameter == self.since.parameter:
            yield "since.until_parameter", "is the same place as parameter"
