"""A pull from the first request to the files that bronze reads, against an API on this machine."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pull.api import SECRET, Api, Asked, Time, Told, connector, page, serve
from tillhouse.errors import SourceError, TillhouseError
from tillhouse.pull.landing import Landing, State
from tillhouse.pull.model import Connector
from tillhouse.pull.pull import Result, pull

RECORDS = [{"id": number, "updated_at": f"2026-09-0{number}T10:00:00+02:00"} for number in range(1, 6)]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv("SHOP_TOKEN", f"{SECRET}\n")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as api:
        yield api


def go(connector: Connector, landing: Path, time: Time | None = None, since: str | None = None) -> Result:
    return pull(connector, str(landing), (time or Time()).clock, lambda *_, **__: None, since)


def files_in(landing: Path) -> dict[str, list[Any]]:
    """What bronze would look at: path and records."""
    found = sorted(path.relative_to(landing) for path in landing.rglob("*") if path.is_file())
    seen = [path for path in found if not any(part.startswith(("_", ".")) for part in path.parts)]
    return {str(path): [json.loads(line) for line in (landing / path).read_text("utf-8").splitlines()] for path in seen}


def ids_in(landing: Path) -> list[int]:
    return [record["id"] for records in files_in(landing).values() for record in records]


def state_of(landing: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((landing / "_pull" / "orders" / "state.json").read_text("utf-8"))
    return told


def by_link(api: Api, asked: Asked) -> Told:
    start = int(asked.query.get("page_info", "0"))
    is_last = start + 2 >= len(RECORDS)
    links = (
        {} if is_last else {"Link": f'<{api.url}/orders.json?page_info={start + 2}>; rel="next", <{api.url}/x>; rel="previous"'}
    )
    return page({"orders": RECORDS[start : start + 2]}, **links)


def by_place_in_page(asked: Asked) -> Told:
    start = int(asked.query.get("after") or (asked.body or {}).get("search", {}).get("after") or 0)
    following = start + 2 if start + 2 < len(RECORDS) else None
    paging = {"next": {"after": following and str(following), "link": following and f"/orders.json?after={following}"}}
    return page({"data": {"orders": RECORDS[start : start + 2]}, "paging": paging})


def by_number(asked: Asked) -> Told:
    number = int(asked.query["page"])
    return page(RECORDS[2 * number - 2 : 2 * number])


def by_offset(asked: Asked) -> Told:
    start = int(asked.query["start"])
    return page({"orders": RECORDS[start : start + 2]})


@pytest.mark.parametrize(
    ("style", "keys"),
    [
        ("link", {"paging": {"style": "link"}}),
        ("place", {"records": "data.orders", "paging": {"style": "next_url", "next": "paging.next.link"}}),
        ("place", {"records": "data.orders", "paging": {"style": "cursor", "next": "paging.next.after", "parameter": "after"}}),
        (
            "place",
            {
                "records": "data.orders",
                "body": {"search": {"sort": "id"}},
                "paging": {"style": "cursor", "next": "paging.next.after", "parameter": "search.after"},
            },
        ),
        ("number", {"records": None, "paging": {"style": "page", "parameter": "page", "size": 2}}),
        ("number", {"records": None, "paging": {"style": "page", "parameter": "page"}}),
        ("offset", {"paging": {"style": "offset", "parameter": "start", "size": 2}}),
    ],
    ids=["link", "next_url", "cursor", "cursor_in_body", "page_of_a_size", "page", "offset"],
)
def test_each_style_of_paging_brings_every_record_once_and_in_order(
    api: Api, tmp_path: Path, style: str, keys: dict[str, Any]
) -> None:
    answers = {
        "link": lambda asked: by_link(api, asked), "place": by_place_in_page, "number": by_number, "offset": by_offset,
    }  # fmt: skip
    api.answer = answers[style]
    result = go(connector(api, **keys), tmp_path)
    assert (ids_in(tmp_path), result.records, result.files) == ([1, 2, 3, 4, 5], 5, 3)
    assert list(files_in(tmp_path)) == [f"shop/orders_20261122T190000_00000{number}.jsonl" for number in (1, 2, 3)]
    assert {asked.headers.get("X-Token") for asked in api.asked} == {SECRET}
    assert {asked.method for asked in api.asked} == {"POST" if "body" in keys else "GET"}
    assert state_of(tmp_path)["unfinished"] is None


def test_a_record_is_kept_as_it_was_written(api: Api, tmp_path: Path) -> None:
    text = 'a\\nb \\u00e4 \u2028 {[\\"'
    record = f'{{"id": 12345678901234567890,\r\n   "price": 1.10, "text": "{text}", "lines": [ {{"n":1}}\n,{{"n":2e0}} ] }}'
    api.answer = lambda _: Told(f' {{"count": 2, "orders": [{record} , {{"id":2}}], "orders_of": []}} '.encode())
    go(connector(api), tmp_path)
    [file] = tmp_path.rglob("*.jsonl")
    assert file.read_bytes().decode() == record.replace("\r", " ").replace("\n", " ") + '\n{"id":2}\n'


def test_a_page_without_records_makes_no_file(api: Api, tmp_path: Path) -> None:
    for content in (b'{"orders": []}', b"{}"):
        api.in_turn(Told(content))
        assert go(connector(api), tmp_path).files == 0
    assert files_in(tmp_path) == {}


SINCE = {"parameter": "updated_at_min", "field": "updated_at", "until_parameter": "updated_at_max"}


def test_the_next_pull_asks_for_what_has_changed_since_the_highest_time_seen(api: Api, tmp_path: Path) -> None:
    unsorted = [RECORDS[1], RECORDS[4], RECORDS[0]]
    api.in_turn(page({"orders": unsorted}), page({"orders": []}), page({"orders": [{"id": 9, "updated_at": None}]}), page({}))
    asks = connector(api, since={**SINCE, "first": "2026-01-01T00:00:00+01:00"}, parameters={"status": "any"})
    for _ in range(4):
        go(asks, tmp_path)
    assert api.queries("updated_at_min") == ["2025-12-31T23:00:00Z", *["2026-09-05T08:00:00Z"] * 3]
    assert api.queries("updated_at_max") == ["2026-11-22T19:00:00Z"] * 4
    assert api.queries("status") == ["any"] * 4


def test_a_record_of_the_future_does_not_hide_what_comes_before_it(api: Api, tmp_path: Path) -> None:
    api.in_turn(page({"orders": [{"id": 1, "updated_at": "2099-01-01T00:00:00Z"}]}))
    asks = connector(api, since={"parameter": "updated_at_min", "field": "updated_at"})
    for seconds in (0, 60):
        go(asks, tmp_path, Time(seconds))
    assert api.queries("updated_at_min") == [None, "2026-11-22T19:00:00Z"]


def test_an_overlap_asks_again_for_what_may_have_become_visible_late(api: Api, tmp_path: Path) -> None:
    api.in_turn(page({"orders": RECORDS}))
    asks = connector(api, since={**SINCE, "overlap_seconds": 90})
    go(asks, tmp_path)
    go(asks, tmp_path)
    assert api.queries("updated_at_min") == [None, "2026-09-05T07:58:30Z"]


def test_since_may_be_a_number_and_be_set_again_by_hand(api: Api, tmp_path: Path) -> None:
    api.in_turn(page({"orders": [{"id": 9}, {"id": 10}]}))
    asks = connector(api, since={"parameter": "since_id", "field": "id", "kind": "number"})
    for since in (None, None, "7", None):
        go(asks, tmp_path, since=since)
    assert api.queries("since_id") == [None, "10", "7", "10"]


def test_a_pull_that_fails_goes_on_after_the_last_complete_page(api: Api, tmp_path: Path) -> None:
    api.answer = lambda asked: Told(b'{"orders": [', status=200) if "4" in asked.query.values() else by_link(api, asked)
    asks = connector(api, since={"parameter": "since_id", "field": "id", "kind": "number"})
    with pytest.raises(SourceError, match=r"orders: a page is no JSON: .*Rule: JSON in UTF-8 in conf/connectors/orders\.yml"):
        go(asks, tmp_path)
    assert ids_in(tmp_path) == [1, 2, 3, 4]
    assert state_of(tmp_path)["since"] is None
    api.answer = lambda asked: by_link(api, asked)
    assert go(asks, tmp_path, Time(3600)).records == 1
    assert ids_in(tmp_path) == [1, 2, 3, 4, 5]
    assert api.queries("page_info") == [None, "2", "4", "4"]
    assert state_of(tmp_path) == {"since": "5", "unfinished": None}


@pytest.mark.parametrize("page_number", [1, 2, 3])
def test_a_kill_between_page_and_cursor_loses_nothing_and_writes_nothing_twice(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page_number: int
) -> None:
    api.answer = lambda asked: by_link(api, asked)
    write, written = Landing.write_state, 0

    def killed(self: Landing, state: State) -> None:
        nonlocal written
        written += 1
        if written == page_number:
            raise KeyboardInterrupt
        write(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(Landing, "write_state", killed)
        with pytest.raises(KeyboardInterrupt):
            go(connector(api), tmp_path)
    before = files_in(tmp_path)
    assert len(before) == page_number
    go(connector(api), tmp_path, Time(0.5 if page_number == 1 else 3600))
    assert ids_in(tmp_path) == [1, 2, 3, 4, 5]
    assert before.items() <= files_in(tmp_path).items()


def test_a_page_that_differs_when_it_is_asked_again_does_not_replace_the_one_that_is_there(api: Api, tmp_path: Path) -> None:
    api.in_turn(page({"orders": [{"id": 1}]}), page({"orders": [{"id": 1}, {"id": 2}]}))
    go(connector(api), tmp_path)
    go(connector(api), tmp_path)
    assert list(files_in(tmp_path).values()) == [[{"id": 1}], [{"id": 1}, {"id": 2}]]


def test_no_part_of_a_page_is_ever_visible(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answer = lambda asked: by_link(api, asked)
    sync = os.fsync
    seen: list[list[int]] = []

    def look(file: int) -> None:
        seen.append([len(records) for records in files_in(tmp_path).values()])
        sync(file)

    monkeypatch.setattr(os, "fsync", look)
    go(connector(api), tmp_path)
    assert seen[0] == []
    assert all(set(sizes) <= {1, 2} for sizes in seen)
    assert list(tmp_path.rglob("*part*")) == []


def test_a_cursor_that_the_api_has_forgotten_begins_the_pull_again(api: Api, tmp_path: Path) -> None:
    api.answer = lambda asked: Told(b"{", 200) if asked.query.get("page_info") == "2" else by_link(api, asked)
    with pytest.raises(SourceError):
        go(connector(api), tmp_path)
    expired = [Told(b"page_info expired", 400)]
    api.answer = lambda asked: expired.pop() if expired else by_link(api, asked)
    go(connector(api), tmp_path, Time(60))
    assert sorted(set(ids_in(tmp_path))) == [1, 2, 3, 4, 5]
    assert api.queries("page_info") == [None, "2", "2", None, "2", "4"]


def test_a_changed_connector_does_not_use_the_cursor_of_before(api: Api, tmp_path: Path) -> None:
    api.answer = lambda asked: Told(b"{", 200) if asked.query.get("page_info") == "2" else by_link(api, asked)
    with pytest.raises(SourceError):
        go(connector(api), tmp_path)
    api.answer = lambda asked: by_link(api, asked)
    go(connector(api, parameters={"status": "any"}), tmp_path)
    assert api.queries("page_info") == [None, "2", None, "2", "4"]


def test_a_fault_that_passes_is_tried_again_with_growing_waits(api: Api, tmp_path: Path) -> None:
    time = Time()
    short = Told(b'{"orders": []}', cut=10)
    api.in_turn(Told(status=503), Told(status=500), short, page({"orders": [{"id": 1}]}))
    assert go(connector(api), tmp_path, time).requests == 4
    assert time.waits == [1, 2, 4]
    assert ids_in(tmp_path) == [1]


@pytest.mark.parametrize("after", ["7", "Sun, 22 Nov 2026 19:00:07 GMT"])
def test_the_api_says_how_long_to_wait_in_seconds_or_as_a_date(api: Api, tmp_path: Path, after: str) -> None:
    time = Time()
    api.in_turn(Told(status=429, headers={"Retry-After": after}), page({"orders": []}))
    go(connector(api), tmp_path, time)
    assert time.waits == [7]


def test_waiting_and_trying_have_an_end(api: Api, tmp_path: Path) -> None:
    time = Time()
    api.in_turn(Told(status=429, headers={"Retry-After": "86400"}))
    with pytest.raises(SourceError, match=r"answered 429, and asks to wait 86,400 seconds\. Rule: at most 300"):
        go(connector(api), tmp_path, time)
    api.in_turn(Told(status=502, headers={"Retry-After": "Thu"}))
    with pytest.raises(SourceError, match=r"answered 502, 3 times\. Rule: at most 2 retries\. Remedy: pull again later"):
        go(connector(api, retries=2), tmp_path, time)
    assert time.waits == [1, 2]


def test_an_answer_that_trickles_or_does_not_come_is_given_up(api: Api, tmp_path: Path) -> None:
    api.in_turn(page({"orders": []}))
    with pytest.raises(SourceError, match="no complete answer in time, 1 times"):
        go(connector(api, retries=0), tmp_path, Time(per_look=61))
    with pytest.raises(SourceError, match=r"the connection failed \(ConnectionError\), 2 times"):
        go(connector(Api("http://127.0.0.1:9"), retries=1), tmp_path)


def test_requests_keep_their_pace(api: Api, tmp_path: Path) -> None:
    time = Time()
    api.answer = lambda asked: by_link(api, asked)
    go(connector(api, requests_per_second=0.5), tmp_path, time)
    assert time.waits == [2, 2]


def test_refused_credentials_are_told_by_their_place_and_not_tried_again(api: Api, tmp_path: Path) -> None:
    api.in_turn(Told(f"bad token {SECRET}".encode(), 401))
    with pytest.raises(
        SourceError, match=r"the credentials are refused \(401\).*sent: X-Token from environment variable SHOP_TOKEN"
    ) as told:
        go(connector(api), tmp_path)
    assert SECRET not in str(told.value)
    assert len(api.asked) == 1


def test_a_secret_is_in_no_error_and_in_no_file(api: Api, tmp_path: Path) -> None:
    told: list[str] = []
    for status in (400, 418, 503):
        api.in_turn(Told(f'{{"error": "no such shop for {SECRET}"}}'.encode(), status))
        with pytest.raises(SourceError) as error:
            go(connector(api, retries=0), tmp_path)
        told.append(str(error.value))
    assert 'answered 400: {"error": "no such shop for ***"}' in told[0]
    api.in_turn(page({"orders": []}, Link=f'<{api.url}/orders.json?token={SECRET}&page=2>; rel="next"'))
    with pytest.raises(SourceError, match="the address of the next page holds a credential") as error:
        go(connector(api), tmp_path)
    written = [path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in (*told, str(error.value), *written) if SECRET in text]


def test_a_secret_comes_from_a_file_and_stands_behind_its_prefix(api: Api, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n", "utf-8")
    api.in_turn(page({"orders": []}))
    secret = {"Authorization": {"file": str(tmp_path / "token"), "prefix": "Bearer "}}
    go(connector(api, secret_headers=secret, headers={"X-Version": "2"}), tmp_path)
    assert (api.asked[0].headers["Authorization"], api.asked[0].headers["X-Version"]) == (f"Bearer {SECRET}", "2")


def test_what_a_netrc_says_of_the_host_is_not_sent(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    api.in_turn(page({"orders": []}))
    go(connector(api), tmp_path)
    assert "Authorization" not in api.asked[0].headers


def test_a_redirect_is_followed_inside_of_the_host_and_nowhere_else(api: Api, tmp_path: Path) -> None:
    moved = Told(status=302, headers={"Location": "/v2/orders.json?page_info=4"})
    api.answer = lambda asked: moved if asked.path == "/orders.json" else by_link(api, asked)
    go(connector(api), tmp_path)
    assert ids_in(tmp_path) == [5]
    api.in_turn(moved)
    with pytest.raises(SourceError, match="more than 5 redirects"):
        go(connector(api), tmp_path)
    with serve() as other:
        api.in_turn(Told(status=307, headers={"Location": f"{other.url}/orders.json"}))
        with pytest.raises(SourceError, match=r"Rule: credentials go to no other host than that of url"):
            go(connector(api), tmp_path)
        api.in_turn(page({"orders": RECORDS[:1]}, Link=f'<{other.url}/orders.json>; rel="next"'))
        with pytest.raises(SourceError, match=r"leads to http://127\.0\.0\.1"):
            go(connector(api), tmp_path)
        api.in_turn(page({"orders": RECORDS[:1]}, Link=f'<{api.url.replace("//", "//me:key@")}/orders.json>; rel="next"'))
        with pytest.raises(SourceError, match="leads to"):
            go(connector(api), tmp_path)
        assert other.asked == []


def test_a_cursor_that_comes_again_ends_the_pull(api: Api, tmp_path: Path) -> None:
    api.answer = lambda asked: page(
        {"orders": [{"id": 1}]}, Link=f'<{api.url}/orders.json?page_info={len(api.asked) % 3}>; rel="next"'
    )
    with pytest.raises(SourceError, match="after page 3 the API leads to a page that was there before"):
        go(connector(api), tmp_path)


def test_an_api_that_does_not_know_the_parameter_of_pages_ends_the_pull(api: Api, tmp_path: Path) -> None:
    api.in_turn(page({"orders": RECORDS}))
    with pytest.raises(SourceError, match=r"after page 1 the API leads to a page that was there before.*check paging"):
        go(connector(api, paging={"style": "page", "parameter": "page"}), tmp_path)
    assert ids_in(tmp_path) == [1, 2, 3, 4, 5]


def test_a_limit_ends_the_pull_and_the_next_one_goes_on(api: Api, tmp_path: Path) -> None:
    api.answer = lambda asked: by_link(api, asked)
    asks = connector(api, limits={"pages": 2})
    with pytest.raises(SourceError, match=r"not complete after 2 pages\. Rule: limits\.pages \(2\)"):
        go(asks, tmp_path)
    go(asks, tmp_path)
    assert ids_in(tmp_path) == [1, 2, 3, 4, 5]
    with pytest.raises(SourceError, match=r"limits\.minutes \(60\)"):
        go(connector(api, requests_per_second=0.0002), tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_is_too_long_is_not_read_to_its_end(api: Api, tmp_path: Path, packed: bool) -> None:
    content = b'{"orders": [' + b" " * (3 << 20)
    api.in_turn(Told(gzip.compress(content), headers={"Content-Encoding": "gzip"}) if packed else Told(content))
    with pytest.raises(SourceError, match=r"more than 1 MiB in one answer\. Rule: limits\.response_mebibytes"):
        go(connector(api, limits={"response_mebibytes": 1}), tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<html>Log in</html>", "a page is no JSON: Expecting value"),
        (b'{"orders": []} []', "more text after character 14"),
        (b'{"orders": [{"id": NaN}]}', "NaN is no JSON number"),
        (b'{"orders": [{"id": "\xff"}]}', "byte 20 is not UTF-8"),
        (b"[" * 100_000, "a page is no JSON"),
        (b'{"items": [], "total": 0}', r"no list under orders; the page has: items, total\. Rule: records"),
        (b'{"orders": [1]}', "a record is no object"),
    ],
)
def test_a_page_that_cannot_be_read_leaves_nothing_behind(api: Api, tmp_path: Path, content: bytes, told: str) -> None:
    api.in_turn(Told(content))
    with pytest.raises(SourceError, match=told):
        go(connector(api), tmp_path)
    assert files_in(tmp_path) == {}


def test_a_value_that_is_no_time_is_told_without_showing_it(api: Api, tmp_path: Path) -> None:
    api.in_turn(page({"orders": [{"email": "ada@example.com"}]}))
    with pytest.raises(SourceError, match=r"email is no instant\. Rule: since\.kind is instant") as told:
        go(connector(api, since={"parameter": "since", "field": "email"}), tmp_path)
    assert "ada" not in str(told.value)


def test_one_connector_is_pulled_once_at_a_time(api: Api, tmp_path: Path) -> None:
    own = tmp_path / "_pull" / "orders"
    own.mkdir(parents=True)
    with (own / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TillhouseError, match="orders is being pulled by another process"):
            go(connector(api), tmp_path)
    assert api.asked == []


def test_a_state_that_nobody_can_read_is_told_with_the_way_out(api: Api, tmp_path: Path) -> None:
    api.in_turn(page({"orders": []}))
    go(connector(api), tmp_path)
    state = tmp_path / "_pull" / "orders" / "state.json"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    state.write_text("{", "utf-8")
    with pytest.raises(TillhouseError, match=r"state\.json: does not say how far orders has come\. Remedy: .* --since"):
        go(connector(api), tmp_path)


def test_the_time_in_a_name_is_that_of_the_pulls_begin(api: Api, tmp_path: Path) -> None:
    api.answer = lambda asked: by_link(api, asked)
    go(connector(api), tmp_path, Time(3661))
    assert {re.findall(r"_(\w+)_", path)[0] for path in files_in(tmp_path)} == {"20261122T200101"}
