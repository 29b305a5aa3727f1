from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.mappings import CSV
from tillhouse.config import Config, fingerprint, load_config
from tillhouse.errors import ConfigError

LAKE = "lake: demo/lake\nvault: demo/vault\nlanding: demo/landing\n"
ROOT = Path(__file__).resolve().parent.parent


def write_conf(folder: Path, **files: str) -> Path:
    """A conf folder with one source; ``files`` replaces or adds: name without ending, sources as ``sources__name``."""
    texts = {"lake": LAKE, "products": "piece_units: [pcs]\n", "sources__till": CSV} | files
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def fault(folder: Path, **files: str) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(write_conf(folder, **files))
    assert error.value.exit_code == 2
    return str(error.value)


def test_the_conf_of_the_project_can_be_read() -> None:
    config = load_config(ROOT / "conf")
    assert config.duties.of_conf
    assert {source.entity for source in config.sources} == {"receipt", "product", "branch"}


def test_a_call_wins_over_the_environment_and_the_environment_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLHOUSE_LAKE", "from-environment")
    monkeypatch.setenv("TILLHOUSE_VAULT", "from-environment")
    config = load_config(write_conf(tmp_path), lake="from-call")
    assert (config.lake, config.vault, config.landing) == ("from-call", "from-environment", "demo/landing")


def test_a_missing_file_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lake\.yml: file not found; --conf-dir must name a folder like conf/"):
        load_config(tmp_path / "nowhere")


def test_a_folder_without_sources_is_an_error(tmp_path: Path) -> None:
    conf = write_conf(tmp_path)
    (conf / "sources" / "till.yml").unlink()
    with pytest.raises(ConfigError, match="sources: no source is declared; add one YAML file per source"):
        load_config(conf)


def test_a_source_file_with_another_ending_is_not_silently_left_out(tmp_path: Path) -> None:
    conf = write_conf(tmp_path)
    (conf / "sources" / "other.yaml").write_text(CSV, "utf-8")
    with pytest.raises(ConfigError, match=r"other\.yaml: would not be read; rename it to other\.yml"):
        load_config(conf)


def test_a_source_must_be_named_like_its_file(tmp_path: Path) -> None:
    text = fault(tmp_path, sources__cash=CSV.replace("{week}", "{day}"))
    assert text == f"{tmp_path}/sources/cash.yml: key 'source': 'till' must equal the file's name; write source: cash"


def test_two_sources_with_one_pattern_are_an_error(tmp_path: Path) -> None:
    text = fault(tmp_path, sources__till2=CSV.replace("source: till", "source: till2"))
    assert (
        text == f"{tmp_path}/sources/till2.yml: key 'file_pattern' is that of conf/sources/till.yml; a file belongs to one source"
    )


@pytest.mark.parametrize(
    ("yaml_text", "expected"),
    [
        ("lake: [unclosed", "not readable as YAML in UTF-8: while parsing a flow sequence"),
        ("lake: a\nlake: b\n", "not readable as YAML in UTF-8: key 'lake' is written twice\n  in"),
        ("- a\n- b\n", "must hold keys and values, but holds a list"),
        ("just words", "must hold keys and values, but holds a text"),
        ("", "must hold keys and values, but is empty"),
        ("? [a, b]\n: c\n", "not readable as YAML in UTF-8: while constructing a mapping"),
    ],
)
def test_what_is_no_yaml_of_keys_and_values_is_told_with_its_place(tmp_path: Path, yaml_text: str, expected: str) -> None:
    assert fault(tmp_path, lake=yaml_text).startswith(f"{tmp_path}/lake.yml: {expected}")


def test_yaml_in_another_encoding_is_told(tmp_path: Path) -> None:
    conf = write_conf(tmp_path)
    (conf / "lake.yml").write_bytes("lake: größe\n".encode("cp1252"))
    with pytest.raises(ConfigError, match=r"lake\.yml: not readable as YAML in UTF-8"):
        load_config(conf)


def test_a_merge_key_is_not_a_repeated_key(tmp_path: Path) -> None:
    conf = write_conf(tmp_path, lake=f"{LAKE}token_key_file: key\n", products="piece_units: &units [pcs]\n")
    (conf / "lake.yml").write_text("<<: {lake: a, vault: b}\nlanding: c\n", "utf-8")
    assert load_config(conf).vault == "b"


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = fault(tmp_path, lake="lake: 7\nvault: no\nlandign: x\ntoken_key_file: [a]\n")
    assert text.splitlines() == [
        f"{tmp_path}/lake.yml: key 'lake' must be a text, but YAML reads a number here (7); write it in quotes",
        f"{tmp_path}/lake.yml: key 'vault' must be a text, but YAML reads a yes/no value here (False); write it in quotes",
        f"{tmp_path}/lake.yml: key 'landing' is missing; add it",
        f"{tmp_path}/lake.yml: key 'token_key_file' must be one text, but is a list",
        f"{tmp_path}/lake.yml: key 'landign' is unknown (did you mean 'landing'?). "
        "Allowed here: lake, landing, time_travel_days, token_key_file, vault",
    ]


def test_the_days_of_time_travel_are_30_unless_the_conf_says_otherwise(tmp_path: Path) -> None:
    assert load_config(write_conf(tmp_path)).time_travel_days == 30
    assert load_config(write_conf(tmp_path, lake=f"{LAKE}time_travel_days: 90\n")).time_travel_days == 90


@pytest.mark.parametrize("days", ["6", "4000", "7.5", '"30"', "true", "[30]"])
def test_days_of_time_travel_that_cannot_be_kept_are_an_error(tmp_path: Path, days: str) -> None:
    assert "key 'time_travel_days'" in fault(tmp_path, lake=f"{LAKE}time_travel_days: {days}\n")


def test_a_wrong_key_of_a_mapping_is_told_with_what_is_allowed(tmp_path: Path) -> None:
    text = fault(tmp_path, products="counted_by_line: {category_l9: [FUEL]}\n")
    assert text == (
        f"{tmp_path}/products.yml: key 'counted_by_line.category_l9': 'category_l9' is not allowed "
        "(did you mean 'category_l3'?). Allowed: 'category_l1', 'category_l2' or 'category_l3'"
    )


def test_an_unknown_source_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no source named 'cash'; conf/sources has: till"):
        load_config(write_conf(tmp_path)).source("cash")


def test_the_token_key_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(write_conf(tmp_path))
    monkeypatch.setenv("TILLHOUSE_TOKEN_KEY", "k" * 32)
    assert config.token_key() == b"k" * 32
    monkeypatch.delenv("TILLHOUSE_TOKEN_KEY")
    (tmp_path / "key").write_text("f" * 40 + "\n", "utf-8")
    monkeypatch.setenv("TILLHOUSE_TOKEN_KEY_FILE", str(tmp_path / "key"))
    assert config.token_key() == b"f" * 40


@pytest.mark.parametrize(("key", "expected"), [(None, "no token key"), ("short", "has 5 characters; at least 32 are needed")])
def test_a_missing_or_short_token_key_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None, expected: str
) -> None:
    config: Config = load_config(write_conf(tmp_path))
    monkeypatch.delenv("TILLHOUSE_TOKEN_KEY", raising=False)
    monkeypatch.delenv("TILLHOUSE_TOKEN_KEY_FILE", raising=False)
    if key is not None:
        monkeypatch.setenv("TILLHOUSE_TOKEN_KEY", key)
    with pytest.raises(ConfigError, match=expected):
        config.token_key()


def test_a_fingerprint_changes_with_any_part_of_a_mapping(tmp_path: Path) -> None:
    before = load_config(write_conf(tmp_path)).sources
    assert fingerprint(before) == fingerprint(load_config(tmp_path).sources)
    after = load_config(write_conf(tmp_path, sources__till=CSV.replace("[Betrag]", '[Betrag, "Betrag €"]'))).sources
    assert fingerprint(before) != fingerprint(after)
