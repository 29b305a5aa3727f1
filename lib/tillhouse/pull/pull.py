"""One pull: page after page into the landing area, each remembered before the next is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tillhouse.config import read_model
from tillhouse.errors import ConfigError, SourceError
from tillhouse.pull.asking import asked_of, begin, following_of, request_after
from tillhouse.pull.client import Client, Clock, RefusedError
from tillhouse.pull.landing import Landing, State, Unfinished
from tillhouse.pull.model import Connector
from tillhouse.pull.pages import Page, earlier, later, order_of, read_page
from tillhouse.sources.model import Source
from tillhouse.strict import did_you_mean

Tell = Callable[..., None]


@dataclass(frozen=True)
class Result:
    """What a pull has brought."""

    connector: str
    pages: int
    records: int
    files: int
    requests: int


def load_connectors(conf_dir: Path, names: Sequence[str], sources: Sequence[Source] | None) -> list[Connector]:
    """The connectors of those names, or all of ``conf/connectors``; each writes what one of the sources, if given, reads.

    Raises:
        ConfigError: anything is wrong with one of them.
    """
    folder = conf_dir / "connectors"
    paths = {path.stem: path for path in sorted(folder.glob("*.yml")) if not path.name.startswith(".")}
    if not paths:
        raise ConfigError(f"{folder}: no connector is declared; conf/library/connectors has some to copy")
    for name in names:
        if name not in paths:
            raise ConfigError(f"no connector named {name!r}{did_you_mean(name, paths)}; {folder} has: {', '.join(paths)}")
    connectors = [load_connector(paths[name]) for name in dict.fromkeys(names or paths)]
    for connector in connectors if sources is not None else ():
        check_target(connector, sources or ())
    return connectors


def load_connector(path: Path) -> Connector:
    connector = read_model(Connector, path)
    if connector.name != path.stem:
        raise ConfigError(f"{path}: key 'connector': {connector.name!r} must equal the file's name; write connector: {path.stem}")
    if connector.since is not None and connector.since.first is not None:
        try:
            order_of(connector.since.first, connector.since, connector)
        except SourceError:
            raise ConfigError(
                f"{path}: key 'since.first' is no {connector.since.kind}; write for example 2026-01-01T00:00:00Z"
            ) from None
    return connector


def check_target(connector: Connector, sources: Sequence[Source]) -> None:
    """Raises ConfigError unless one source of JSON lines reads what the connector writes."""
    path = connector.path_of("20260101T000000", 1)
    readers = [source for source in sources if source.match_path(path) is not None]
    if len(readers) != 1 or readers[0].format != "jsonl":
        found = ", ".join(f"{source.conf_file} ({source.format})" for source in readers) or "none"
        raise ConfigError(
            f"{connector.conf_file}: key 'target': {path} must be read by one source of format jsonl, but is by {found}; "
            "write a mapping whose file_pattern matches it"
        )


def pull(connector: Connector, landing: str, clock: Clock, tell: Tell, since: str | None = None) -> Result:
    """Bring what is new. ``since`` begins again from that value instead of where the last pull ended.

    Raises:
        ConfigError: a credential is not there, or the landing area is none.
        TillhouseError: the API or the landing area fails; what was pulled before is complete, and the next pull goes on.
    """
    if since is not None:
        since = _checked(since, connector)
    place = Landing(landing, connector)
    client = Client(connector, clock)
    try:
        with place.locked():
            return _Pull(connector, client, place, clock, tell).run(since)
    finally:
        client.close()


def sample(connector: Connector, file: Path, clock: Clock) -> int:
    """The records of the first page in a file, for ``tillhouse source profile``: no mapping is needed, nothing is remembered."""
    if file.exists():
        raise ConfigError(f"{file} exists; name another file")
    client = Client(connector, clock)
    try:
        request = request_after(begin(connector, None, clock.utc()), connector)
        page = read_page(client.ask(client.same_host(request)), connector)
    finally:
        client.close()
    file.touch(mode=0o600)
    file.write_text("".join(f"{line}\n" for line in page.lines), "utf-8", newline="\n")
    return len(page.lines)


def _checked(since: str, connector: Connector) -> str:
    if connector.since is None:
        raise ConfigError(f"--since: {connector.conf_file} has no key since; it pulls all records each time")
    try:
        return order_of(since, connector.since, connector)
    except SourceError:
        raise ConfigError(f"--since {since!r} is no {connector.since.kind}; write for example 2026-01-01T00:00:00Z") from None


class _Pull:
    """A pull under way."""

    def __init__(self, connector: Connector, client: Client, landing: Landing, clock: Clock, tell: Tell) -> None:
        self._connector, self._client, self._landing, self._clock, self._tell = connector, client, landing, clock, tell
        self._deadline = clock.monotonic() + connector.limits.minutes * 60
        self._bytes = 0

    def run(self, since: str | None) -> Result:
        state, name = self._landing.read_state() if since is None else State(since), self._connector.name
        resumed = state.unfinished if state.unfinished and state.unfinished.asked == asked_of(self._connector) else None
        before = done = resumed or begin(self._connector, state.since, self._clock.utc())
        if resumed is not None:
            self._tell("pull goes on", connector=name, pulled=resumed.pulled, after_page=resumed.page)
        is_complete = False
        while not is_complete:
            self._within_limits(done.page - before.page)
            try:
                page = self._ask(done)
            except RefusedError:
                if done is not resumed:
                    raise
                self._tell("the API does not know the cursor of the last pull any more; all of it again", connector=name)
                before = done = begin(self._connector, state.since, self._clock.utc())
                continue
            done, is_complete = self._with(page, done)
            self._landing.write_state(self._ended(state, done) if is_complete else State(state.since, done))
            self._tell("page", connector=name, page=done.page, records=len(page.lines))
        counted = (done.page - before.page, done.records - before.records, done.files - before.files)
        return Result(name, *counted, requests=self._client.requests)

    def _ended(self, state: State, done: Unfinished) -> State:
        """Where the next pull begins; never after the begin of this one, or a record of the future would hide all others."""
        rule = self._connector.since
        if rule is None:
            return State()
        highest = later(state.since, done.highest, rule)
        return State(highest if highest is None or rule.kind == "number" else earlier(highest, done.pulled))

    def _within_limits(self, pages: int) -> None:
        limits = self._connector.limits
        reached = {
            f"limits.pages ({limits.pages:,})": pages >= limits.pages,
            f"limits.minutes ({limits.minutes})": self._clock.monotonic() > self._deadline,
            f"limits.total_mebibytes ({limits.total_mebibytes:,})": self._bytes > limits.total_mebibytes << 20,
        }
        for limit, is_reached in reached.items():
            if is_reached:
                raise SourceError(
                    f"{self._connector.name}: not complete after {pages:,} pages. Rule: {limit} in "
                    f"{self._connector.conf_file}. Remedy: pull again, it goes on after the last page; or raise the limit."
                )

    def _ask(self, done: Unfinished) -> Page:
        answer = self._client.ask(self._client.same_host(request_after(done, self._connector)))
        self._bytes += len(answer.content)
        return read_page(answer, self._connector)

    def _with(self, page: Page, done: Unfinished) -> tuple[Unfinished, bool]:
        """Put the page into the landing area; what is done then, and whether it was the last."""
        following = following_of(page, done, self._connector)
        mark = _mark(following) if following is not None else None
        content = _mark("\n".join(page.lines))
        is_again = self._connector.paging.style in ("page", "offset") and page.lines and content == done.last
        if mark in done.seen or is_again:
            raise SourceError(
                f"{self._connector.name}: after page {done.page:,} the API leads to a page that was there before. Rule: each "
                f"page once. Remedy: check paging in {self._connector.conf_file}: style, next and parameter."
            )
        if following is not None and self._client.tells_secret(following):
            raise SourceError(
                f"{self._connector.name}: the address of the next page holds a credential, which may not be kept. Rule: "
                f"credentials in headers. Remedy: use paging style cursor, page or offset in {self._connector.conf_file}."
            )
        done = self._landing.put_page(done, page.lines)
        rule = self._connector.since
        highest = later(done.highest, page.highest, rule) if rule is not None else None
        seen = done.seen if mark is None else (*done.seen, mark)
        done = replace(done, page=done.page + 1, next=following, highest=highest, seen=seen, last=content)
        return done, following is None


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
