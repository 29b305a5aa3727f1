"""What a connector asks for: its first page, the page after another, and where it ends."""

from __future__ import annotations

from datetime import datetime

from tillhouse.config import fingerprint
from tillhouse.pull.client import Request
from tillhouse.pull.landing import Unfinished
from tillhouse.pull.model import Connector
from tillhouse.pull.pages import Page, less_overlap, order_of, with_value


def asked_of(connector: Connector) -> str:
    """A hash of what is asked for; where it has changed, a cursor of before means nothing."""
    return fingerprint(
        connector.url, connector.parameters, connector.body, connector.records, connector.paging, connector.since or ""
    )


def begin(connector: Connector, since: str | None, now: datetime) -> Unfinished:
    """A new pull: what it asks for stays the same until it is complete."""
    rule = connector.since
    if rule is not None:
        first = order_of(rule.first, rule, connector) if rule.first else None
        since = less_overlap(since, rule) if since is not None else first
    until = now.isoformat(timespec="seconds").replace("+00:00", "Z") if rule and rule.until_parameter else None
    return Unfinished(asked_of(connector), now.strftime("%Y%m%dT%H%M%S"), since, until)


def request_after(done: Unfinished, connector: Connector) -> Request:
    """What leads to the next page."""
    paging, rule = connector.paging, connector.since
    if done.next is not None and paging.style in ("link", "next_url"):
        return Request(done.next)
    added: dict[str, str] = {}
    if rule is not None and done.since is not None:
        added[rule.parameter] = done.since
    if rule is not None and rule.until_parameter is not None and done.until is not None:
        added[rule.until_parameter] = done.until
    if paging.parameter is not None and (done.next is not None or paging.style != "cursor"):
        added[paging.parameter] = done.next if done.next is not None else str(_first(connector))
    if connector.body is None:
        return Request(connector.url, {**connector.parameters, **added})
    body = connector.body
    for place, text in added.items():
        body = with_value(body, place, text)
    return Request(connector.url, connector.parameters, body)


def following_of(page: Page, done: Unfinished, connector: Connector) -> str | None:
    """The cursor, address or number of the page that follows; None after the last one."""
    paging = connector.paging
    if paging.style not in ("page", "offset"):
        return page.next
    if not page.lines or (paging.size is not None and len(page.lines) < paging.size):
        return None
    here = int(done.next) if done.next is not None else _first(connector)
    return str(here + (1 if paging.style == "page" else len(page.lines)))


def _first(connector: Connector) -> int:
    paging = connector.paging
    return paging.first if paging.first is not None else (1 if paging.style == "page" else 0)
