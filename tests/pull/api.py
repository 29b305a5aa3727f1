"""An API on this machine that says what a test wants, and a clock that only moves when somebody waits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tillhouse.pull.client import Clock
from tillhouse.pull.model import Connector

SECRET = "shpat_0123456789abcdef"
START = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """A request as the API has got it."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Told:
    """What the API answers. ``cut`` bytes of the content are announced and not sent."""

    content: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0


def page(value: object, **headers: str) -> Told:
    return Told(json.dumps(value).encode(), headers=headers)


@dataclass
class Api:
    """``answer`` says what comes back; ``asked`` is what has been asked for so far."""

    url: str = ""
    answer: Callable[[Asked], Told] = lambda _: Told()
    asked: list[Asked] = field(default_factory=list)

    def in_turn(self, *told: Told) -> None:
        """Answer so, one after the other; the last one for ever."""
        waiting = list(told)
        self.answer = lambda _: waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def queries(self, name: str) -> list[str | None]:
        return [asked.query.get(name) for asked in self.asked]


@contextmanager
def serve() -> Iterator[Api]:
    """An API at a free port."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            api.asked.append(Asked(self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers), body))
            told = api.answer(api.asked[-1])
            self.send_response(told.status)
            for name, text in told.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(told.content) + told.cut))
            self.end_headers()
            self.wfile.write(told.content)

        do_POST = do_GET  # noqa: N815 - as http.server names it

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Time:
    """Seconds since ``START``, and how long was waited."""

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    per_look: float = 0.0

    def wait(self, seconds: float) -> None:
        self.waits.append(round(seconds, 3))
        self.seconds += seconds

    def look(self) -> float:
        self.seconds += self.per_look
        return self.seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: START + timedelta(seconds=self.seconds), self.look, self.wait, lambda: 1.0)


def connector(api: Api, **keys: Any) -> Connector:  # noqa: ANN401 - as YAML has it
    """A connector of that API; ``keys`` as in its YAML file."""
    given = {
        "connector": "orders", "description": "orders", "url": f"{api.url}/orders.json", "records": "orders",
        "paging": {"style": "link"}, "target": "shop/orders_{pulled}_{page}.jsonl", "requests_per_second": 1000,
        "secret_headers": {"X-Token": {"env": "SHOP_TOKEN"}},
    }  # fmt: skip
    return Connector.model_validate({**given, **keys})
