"""A connector's YAML file: what is wrong with it is told before anybody is asked, and never with a secret."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pull.api import SECRET, Api, page, serve
from tests.test_docs import write_shown_files
from tillhouse import cli
from tillhouse.config import load_config
from tillhouse.errors import ConfigError
from tillhouse.pull.pull import load_connector, load_connectors

ORDERS = """
    connector: orders
    description: orders of the shop
    url: https://shop.example/orders.json
    records: orders
    paging: {style: link}
    target: shop/orders_{pulled}_{page}.jsonl
    secret_headers: {X-Token: {env: SHOP_TOKEN}}
"""
MAPPING = """
    source: shop
    entity: product
    description: articles of the shop
    owner: web-shop-team
    format: jsonl
    file_pattern: shop/orders_{pulled}_*.jsonl
    columns:
      product_id: {aliases: [id]}
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """The README's chain with a web shop and its connector."""
    conf_dir = write_shown_files(tmp_path)
    (conf_dir / "connectors").mkdir()
    (conf_dir / "connectors" / "orders.yml").write_text(textwrap.dedent(ORDERS), "utf-8")
    (conf_dir / "sources" / "shop.yml").write_text(textwrap.dedent(MAPPING), "utf-8")
    return conf_dir


@pytest.fixture
def change(conf: Path) -> Callable[[str, str], Path]:
    def changed(old: str, new: str) -> Path:
        path = conf / "connectors" / "orders.yml"
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
        return path

    return changed


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("records:", "record:", r"orders\.yml: key 'record' is unknown \(did you mean 'records'\?\)"),
        ("connector: orders", "connector: other", "'other' must equal the file's name"),
        ("https://", "http://", "key 'url': must begin with https://"),
        ("https://shop", "https://me:key@shop", "key 'url': holds a user or password"),
        ("orders.json\n", "orders.json?limit=1\n", "query parameters go under parameters"),
        ("https://shop.example", "https://[", "is no address such as"),
        ("{style: link}", "{style: cursor}", "key 'paging': style cursor needs next and parameter"),
        ("{style: link}", "{style: link, parameter: page}", "style link needs no further key; remove parameter"),
        ("{style: link}", "{style: offset, parameter: start}", "style offset needs parameter and size"),
        ("{page}", "page", r"key 'target': must hold \{page\} once"),
        ("shop/orders", "../orders", "key 'target': is no path below the landing area"),
        ("shop/orders", "_shop/orders", "key 'target': is no path below the landing area"),
        ("shop/orders", "shop:orders", "holds a character that is no part of a file's name"),
        ("{env: SHOP_TOKEN}", "{}", "needs exactly one of env"),
        ("paging:", "since: {parameter: s, field: f, kind: number, overlap_seconds: 9}\npaging:", "go with kind: instant"),
        ("paging:", "since: {parameter: s, field: f, first: yesterday}\npaging:", r"key 'since\.first' is no instant"),
        ("paging:", "body: {}\npaging:", "key 'body': is sent with each request, and paging style link asks an address"),
        ("secret_headers: {X-Token", "secret_headers: {X Token", "is no name of a header"),
    ],
)
def test_what_is_wrong_is_told_with_file_key_and_remedy(
    change: Callable[[str, str], Path], old: str, new: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        load_connector(change(old, new))


@pytest.mark.parametrize(
    "line",
    [
        f"headers: {{X-Api-Key: {SECRET}}}",
        "headers: {Authorization: 12345678}",
        f"parameters: {{access_token: {SECRET}}}",
        f"body: {{login: [{{password: {SECRET}}}]}}",
    ],
)
def test_a_secret_in_conf_is_refused_without_being_repeated(change: Callable[[str, str], Path], line: str) -> None:
    with pytest.raises(ConfigError, match="is a secret and may not stand in conf; name it in secret_headers") as told:
        load_connector(change("paging:", f"{line}\npaging:"))
    assert SECRET not in str(told.value)
    assert "12345678" not in str(told.value)


@pytest.mark.parametrize("content", [None, " ", f"{SECRET}\n{SECRET}", f"{SECRET}\u00e9"])
def test_a_credential_that_is_not_there_or_no_text_of_a_header_is_told_by_its_place(
    conf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    if content is not None:
        monkeypatch.setenv("SHOP_TOKEN", content)
    assert cli.main(["pull", "--conf-dir", str(conf), "--landing", str(conf / "landing")]) == 2
    said = capsys.readouterr().err
    assert "conf/connectors/orders.yml: key 'secret_headers.X-Token': environment variable SHOP_TOKEN" in said
    assert SECRET not in said


def test_what_no_source_would_read_is_not_pulled(conf: Path, change: Callable[[str, str], Path]) -> None:
    sources = load_config(conf).sources
    assert [connector.name for connector in load_connectors(conf, [], sources)] == ["orders"]
    change("shop/orders_", "shop/articles_")
    with pytest.raises(ConfigError, match=r"key 'target': .* must be read by one source of format jsonl, but is by none"):
        load_connectors(conf, [], sources)
    with pytest.raises(ConfigError, match=r"no connector named 'order' \(did you mean 'orders'\?\)"):
        load_connectors(conf, ["order"], sources)
    with pytest.raises(ConfigError, match="no connector is declared; conf/library/connectors has some to copy"):
        load_connectors(conf / "sources", [], sources)


@pytest.fixture
def api(conf: Path, change: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The shop of the connector, and another one that is broken."""
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as api:
        path = change("https://shop.example", api.url)
        broken = path.read_text("utf-8").replace("connector: orders", "connector: broken").replace("orders.json", "broken.json")
        (conf / "connectors" / "broken.yml").write_text(broken.replace("orders_", "orders_b"), "utf-8")
        api.answer = lambda asked: page([] if asked.path == "/broken.json" else {"orders": [{"id": 1}]})
        yield api


def test_an_api_that_fails_does_not_keep_the_others_from_being_pulled(
    conf: Path, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["pull", "--conf-dir", str(conf), "--landing", str(conf / "landing")]
    assert cli.main(call) == 1
    said = capsys.readouterr()
    assert "SourceError: broken: no list under orders" in said.err
    assert "orders                   1 records on 1 pages, 1 new files, 1 requests" in said.out
    assert [json.loads(line)["connector"] for line in said.err.splitlines() if line.startswith("{")] == ["orders"]
    assert SECRET not in said.err + said.out
    assert cli.main([*call, "orders"]) == 0
    assert cli.main([*call, "--since", "7"]) == 2
    assert cli.main([*call, "orders", "--since", "7"]) == 2
    assert "has no key since; it pulls all records each time" in capsys.readouterr().err
    assert {asked.path for asked in api.asked} == {"/orders.json", "/broken.json"}


def test_a_first_page_can_be_looked_at_before_there_is_a_mapping(
    conf: Path, api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (conf / "sources" / "shop.yml").unlink()
    api.answer = lambda _: page({"orders": [{"id": 1, "price": "2.50"}]}, Link=f'<{api.url}/orders.json?page=2>; rel="next"')
    call = ["pull", "orders", "--conf-dir", str(conf), "--landing", str(conf / "landing")]
    assert cli.main(call) == 2
    assert cli.main([*call, "--sample", str(tmp_path / "first.jsonl")]) == 0
    assert (tmp_path / "first.jsonl").read_text("utf-8") == '{"id": 1, "price": "2.50"}\n'
    assert len(api.asked) == 1
    assert cli.main([*call, "--sample", str(tmp_path / "first.jsonl")]) == 2
    assert cli.main(["pull", "--conf-dir", str(conf), "--sample", "x"]) == 2
    assert "--since and --sample go with the name of one connector" in capsys.readouterr().err
    assert not (conf / "landing" / "_pull").exists()
    assert cli.main(["source", "profile", str(tmp_path / "first.jsonl")]) in (0, 1)


def test_a_landing_area_that_is_no_folder_here_is_refused(conf: Path, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    for landing, told in (("s3a://bucket/landing", "tillhouse pull writes to a folder"), (str(conf / "no"), "no such folder")):
        assert cli.main(["pull", "orders", "--conf-dir", str(conf), "--landing", landing]) == 2
        assert told in capsys.readouterr().err
    assert api.asked == []
