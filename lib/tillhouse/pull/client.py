"""One request to an API: bounded, repeated where that helps, and never to another host. No secret is in what it tells."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase

from tillhouse.errors import SourceError
from tillhouse.pull.credentials import hidden
from tillhouse.pull.model import Connector

RETRIED = (408, 425, 429, 500, 502, 503, 504)
REDIRECTS = (301, 302, 303, 307, 308)
MAX_REDIRECTS = 5
CONNECT_SECONDS = 10
FIRST_WAIT_SECONDS = 1.0
_CHUNK = 1 << 16
_SHOWN = 200


@dataclass(frozen=True)
class Clock:
    """Where time comes from; tests bring their own. ``jitter`` is from 0 to 1."""

    utc: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True)
class Request:
    """What is asked: an address with parameters, and a body where the API wants one."""

    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What came back."""

    url: str
    content: bytes
    next_link: str | None


class RefusedError(SourceError):
    """The API does not accept the request (400, 404, 410, 422)."""


class _Unanswered(Exception):  # noqa: N818 - no error yet: it is tried again
    """A request that may succeed later; ``after`` are the seconds that the API asks to wait."""

    def __init__(self, what: str, after: float = 0.0) -> None:
        super().__init__(what)
        self.after = after


class _NoAuth(AuthBase):
    """Keeps requests from sending what a .netrc of this machine says about the host."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Session(requests.Session):
    """Leaves redirects to us; otherwise it would read the whole answer first, however long."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - as requests declares it
        return None


class Client:
    """Asks one API, at its pace.

    The loop of attempts is ours because it must cover the reading of the body too; urllib3's ends with the headers.
    """

    def __init__(self, connector: Connector, clock: Clock) -> None:
        self._connector, self._clock = connector, clock
        secrets = connector.credentials()
        self._secrets = tuple(secrets.values())
        self._session = _Session()
        self._session.auth = _NoAuth()
        self._session.headers.update({"Accept": "application/json", "User-Agent": "tillhouse", **connector.headers})
        prefixes = {name: secret.prefix for name, secret in connector.secret_headers.items()}
        self._session.headers.update({name: prefixes[name] + secret for name, secret in secrets.items()})
        self._next_at = -1.0
        self.requests = 0

    def close(self) -> None:
        self._session.close()

    def tells_secret(self, text: str) -> bool:
        return hidden(text, self._secrets) != text

    def ask(self, request: Request) -> Answer:
        """The answer to a request, after as many attempts as the connector allows.

        Raises:
            RefusedError: the API does not accept the request.
            SourceError: it refuses the credentials, sends us elsewhere or too much, or does not answer.
        """
        connector, waited = self._connector, 0
        while True:
            try:
                return self._follow(request)
            except _Unanswered as failure:
                if waited >= connector.retries:
                    raise SourceError(
                        f"{self._told(request.url)}: {failure}, {waited + 1} times. Rule: at most {connector.retries} retries. "
                        "Remedy: pull again later; it goes on after the last complete page."
                    ) from None
                if failure.after > connector.longest_wait_seconds:
                    raise SourceError(
                        f"{self._told(request.url)}: {failure}, and asks to wait {failure.after:,.0f} seconds. Rule: at most "
                        f"{connector.longest_wait_seconds} (longest_wait_seconds in {self._file}). Remedy: pull again later."
                    ) from None
                backoff = min(FIRST_WAIT_SECONDS * 2**waited, float(connector.longest_wait_seconds))
                self._clock.sleep(max(failure.after, backoff * (0.5 + 0.5 * self._clock.jitter())))
                waited += 1

    def _follow(self, request: Request) -> Answer:
        """One attempt, with redirects inside of the same host."""
        for _ in range(MAX_REDIRECTS + 1):
            self._keep_pace()
            try:
                answer = self._attempt(request)
            except requests.Timeout:
                raise _Unanswered("no answer in time") from None
            except requests.exceptions.SSLError:
                raise SourceError(
                    f"{self._told(request.url)}: the certificate of the host cannot be verified. Rule: no unverified connection. "
                    "Remedy: where a proxy of your own opens connections, name its certificate in REQUESTS_CA_BUNDLE."
                ) from None
            except requests.RequestException as error:
                raise _Unanswered(f"the connection failed ({type(error).__name__})") from None
            if isinstance(answer, Answer):
                return answer
            request = self.same_host(Request(answer, body=request.body))
        raise SourceError(f"{self._told(request.url)}: more than {MAX_REDIRECTS} redirects. Remedy: correct url in {self._file}.")

    def same_host(self, request: Request) -> Request:
        """The request, if it goes to the host of the connector. Raises SourceError otherwise."""
        there, here = urlsplit(request.url), urlsplit(self._connector.url)
        if (there.scheme, there.netloc.lower()) != (here.scheme, here.netloc.lower()):
            raise SourceError(
                f"{self._told(here.geturl())}: leads to {there.scheme}://{there.hostname}. Rule: credentials go to no other host "
                f"than that of url. Remedy: if the API has moved, write its address into url in {self._file}."
            )
        return request

    def _attempt(self, request: Request) -> Answer | str:
        """The answer, or the address that it redirects to."""
        self.requests += 1
        seconds = self._connector.timeout_seconds
        deadline = self._clock.monotonic() + seconds
        with self._session.request(
            "GET" if request.body is None else "POST",
            request.url,
            params=dict(request.parameters),
            json=request.body,
            timeout=(min(CONNECT_SECONDS, seconds), seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            content = self._read(response, deadline)
            if response.status_code in REDIRECTS and "Location" in response.headers:
                return urljoin(response.url, response.headers["Location"])
            self._judge(response, content)
            link = response.links.get("next", {}).get("url")
            return Answer(response.url, content, urljoin(response.url, link) if link else None)

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        limit = self._connector.limits.response_mebibytes << 20
        parts, size = [], 0
        for part in response.iter_content(_CHUNK):
            size += len(part)
            if size > limit:
                raise SourceError(
                    f"{self._told(response.url)}: more than {limit >> 20} MiB in one answer. Rule: limits.response_mebibytes in "
                    f"{self._file}. Remedy: ask for smaller pages, or raise it."
                )
            if self._clock.monotonic() > deadline:
                raise _Unanswered("no complete answer in time")
            parts.append(part)
        return b"".join(parts)

    def _judge(self, response: requests.Response, content: bytes) -> None:
        """Raises an error that fits the status."""
        status, told = response.status_code, self._told(response.url)
        if status in RETRIED:
            raise _Unanswered(f"answered {status}", _retry_after(response.headers.get("Retry-After"), self._clock.utc()))
        if status in (401, 403):
            places = ", ".join(f"{name} from {it.place}" for name, it in self._connector.secret_headers.items())
            raise SourceError(
                f"{told}: the credentials are refused ({status}). Rule: valid credentials that may read this. "
                f"Remedy: renew them or their permission; sent: {places or 'none, add secret_headers'} ({self._file})."
            )
        if status != 200:
            said = " ".join(hidden(content.decode("utf-8", "replace"), self._secrets).split())[:_SHOWN] or "nothing more"
            text = f"{told}: answered {status}: {said}. Rule: 200. Remedy: check url and parameters in {self._file}."
            raise RefusedError(text) if status in (400, 404, 410, 422) else SourceError(text)

    def _keep_pace(self) -> None:
        wait = self._next_at - self._clock.monotonic()
        if wait > 0:
            self._clock.sleep(wait)
        self._next_at = self._clock.monotonic() + 1 / self._connector.requests_per_second

    @property
    def _file(self) -> str:
        return self._connector.conf_file

    def _told(self, url: str) -> str:
        """An address without its parameters, which may be long or secret."""
        parts = urlsplit(url)
        return hidden(f"{self._connector.name}: {parts.hostname}{parts.path}", self._secrets)


def _retry_after(text: str | None, now: datetime) -> float:
    """Seconds to wait: a number of them, or a date."""
    if text is None:
        return 0.0
    if text.strip().isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
