"""The shipped connectors against a shop on this machine: what they bring is what the shipped mappings read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.library.conftest import HERE
from tests.pull.api import SECRET, Api, Time, Told, serve
from tillhouse.config import read_model
from tillhouse.pull.model import Connector
from tillhouse.pull.pull import check_target, load_connector, pull
from tillhouse.sources.model import Source
from tillhouse.sources.readers import decide_columns, read_records

LIBRARY = ROOT / "conf" / "library"
SOURCES = [read_model(Source, path) for path in sorted(LIBRARY.glob("*.yml"))]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for name in ("SHOPIFY_TOKEN", "SQUARE_TOKEN", "HUBSPOT_TOKEN", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1" if name == "NO_PROXY" else SECRET)
    with serve() as api:
        yield api


def at(api: Api, name: str) -> Connector:
    """A shipped connector, asking this machine."""
    connector = load_connector(LIBRARY / "connectors" / f"{name}.yml")
    return connector.model_copy(update={"url": f"{api.url}/orders"})


def delivered(folder: str) -> list[list[str]]:
    """The lines of the pages that the library's tests read."""
    return [path.read_text("utf-8").splitlines() for path in sorted((HERE / "landing" / folder).glob("*.jsonl"))]


@pytest.mark.parametrize("path", sorted((LIBRARY / "connectors").glob("*.yml")), ids=lambda path: path.stem)
def test_a_shipped_connector_says_what_to_change_and_a_shipped_mapping_reads_it(path: Path) -> None:
    check_target(load_connector(path), SOURCES)
    assert "Change:" in path.read_text("utf-8")


def read(landing: Path) -> list[tuple[str, int]]:
    """Source and records of each file, as bronze would take it; nothing may be broken."""
    found = []
    for path in sorted(landing.rglob("*.jsonl")):
        [source] = [one for one in SOURCES if one.match_path(str(path.relative_to(landing))) is not None]
        records = read_records(path.read_bytes(), source)
        assert not records.broken
        found.append((source.name, records.rows_read))
    return found


def test_orders_of_shopify_come_page_by_page_and_are_read_by_its_mapping(api: Api, tmp_path: Path) -> None:
    pages = delivered("shopify_api")[:2]
    texts = [f'{{"orders": [{",".join(lines)}]}}'.encode() for lines in pages]
    api.in_turn(Told(texts[0], headers={"Link": f'<{api.url}/orders?page_info=2&limit=250>; rel="next"'}), Told(texts[1]))
    connector = at(api, "shopify_orders")
    pull(connector, str(tmp_path), Time().clock, lambda *_, **__: None)
    assert [path.read_text("utf-8").splitlines() for path in sorted(tmp_path.rglob("*.jsonl"))] == pages
    assert read(tmp_path) == [("shopify_orders_api", 3), ("shopify_orders_api", 5)]  # a refund is a record, too
    pull(connector, str(tmp_path), Time(60).clock, lambda *_, **__: None)
    asked = [one.query for one in api.asked]
    assert asked == [
        {"status": "any", "limit": "250"},
        {"page_info": "2", "limit": "250"},
        {"status": "any", "limit": "250", "updated_at_min": "2026-10-05T06:59:00Z"},
    ]
    assert {one.headers["X-Shopify-Access-Token"] for one in api.asked} == {SECRET}


def test_orders_of_square_are_asked_for_by_a_cursor_in_the_body(api: Api, tmp_path: Path) -> None:
    lines, *_ = delivered("square_api")
    texts = [f'{{"orders": [{",".join(lines[:2])}], "cursor": "c2"}}', f'{{"orders": [{lines[2]}]}}', "{}"]
    api.in_turn(*(Told(text.encode()) for text in texts))
    connector = at(api, "square_orders")
    for seconds in (0, 60):
        pull(connector, str(tmp_path), Time(seconds).clock, lambda *_, **__: None)
    records = [json.loads(line) for path in sorted(tmp_path.rglob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    assert [record["id"] for record in records] == ["SQ1", "SQ2", "SQ3"]
    begins = [one.body["query"]["filter"]["date_time_filter"]["updated_at"]["start_at"] for one in api.asked]
    assert begins == ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-10-05T08:59:00Z"]
    assert [one.body.get("cursor") for one in api.asked] == [None, "c2", None]
    assert {(one.method, one.headers["Authorization"], one.body["limit"]) for one in api.asked} == {
        ("POST", f"Bearer {SECRET}", 500)
    }
    assert read(tmp_path) == [("square_orders_api", 2), ("square_orders_api", 1)]


CUSTOMER = {
    "id": 501, "email": "ada@example.com", "phone": None, "first_name": "Ada", "last_name": "Muster",
    "created_at": "2026-10-01T10:00:00+02:00", "updated_at": "2026-10-03T10:00:00+02:00", "orders_count": 2,
    "default_address": {"company": None, "address1": "Weg 1", "zip": "10115", "city": "Berlin", "country_code": "DE"},
    "email_marketing_consent": {
        "state": "subscribed", "opt_in_level": "confirmed_opt_in", "consent_updated_at": "2026-10-01T10:00:00+02:00",
    },
    "sms_marketing_consent": None,
}  # fmt: skip
CONTACT = {
    "id": "9001", "createdAt": "2026-10-01T10:00:00.000Z", "updatedAt": "2026-10-03T10:00:00.000Z", "archived": False,
    "properties": {"email": "ada@example.com", "firstname": "Ada", "hs_email_optout": "false", "hs_legal_basis": None},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "page", "columns"),
    [
        (
            "shopify_customers",
            {"customers": [CUSTOMER]},
            {"id": "501", "default_address/zip": "10115", "email_marketing_consent/state": "subscribed"},
        ),
        (
            "hubspot_contacts",
            {"results": [CONTACT], "paging": {"next": {"after": "9002", "link": "https://api.hubapi.com/x"}}},
            {"id": "9001", "properties/email": "ada@example.com", "properties/hs_email_optout": "false"},
        ),
    ],
)
def test_contacts_come_with_their_consent_in_columns_that_the_mapping_names(
    api: Api, tmp_path: Path, name: str, page: dict[str, object], columns: dict[str, str]
) -> None:
    api.in_turn(Told(json.dumps(page).encode()), Told(json.dumps({**page, "paging": {}}).encode()))
    pull(at(api, name), str(tmp_path), Time().clock, lambda *_, **__: None)
    assert {found for found, _ in read(tmp_path)} == {f"{name}_api"}
    [mapping] = [one for one in SOURCES if one.name == f"{name}_api"]
    records = read_records(next(tmp_path.rglob("*.jsonl")).read_bytes(), mapping)
    [row] = records.table.to_pylist()
    assert columns.items() <= row.items()
    named = {decision.column: decision.field for decision in decide_columns(records, mapping) if decision.decision == "mapped"}
    assert columns.keys() <= named.keys()
