"""``tillhouse pull``: arguments, and one connector after the other."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from tillhouse.config import load_config
from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.pull.client import Clock
from tillhouse.pull.pull import Result, Tell, load_connectors, pull, sample

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="connectors in conf/connectors (all of them)")
    parser.add_argument(
        "--conf-dir", type=Path, default=Path("conf"), help="folder with lake.yml, sources/ and connectors/ (conf)"
    )
    parser.add_argument("--landing", help="where exports are delivered; wins over TILLHOUSE_LANDING and lake.yml")
    parser.add_argument("--since", metavar="VALUE", help="begin again there: a time such as 2026-01-01T00:00:00Z, or a number")
    parser.add_argument(
        "--sample", type=Path, metavar="FILE", help="write the first page to a file and do no more, before there is a mapping"
    )


def run(given: argparse.Namespace, clock: Clock, tell: Tell, say: Say, complain: Say) -> int:
    """Pull; one API that fails does not keep the others from being pulled. Exit code 1 if one has failed.

    Raises:
        ConfigError: conf, a credential or the call is wrong; nothing was pulled.
    """
    if (given.since or given.sample) and len(given.names) != 1:
        raise ConfigError("--since and --sample go with the name of one connector")
    if given.sample is not None:
        [connector] = load_connectors(given.conf_dir, given.names, sources=None)
        count = sample(connector, given.sample, clock)
        say(f"wrote {count:,} records to {given.sample}; now: tillhouse source profile {given.sample}")
        return 0
    config = load_config(given.conf_dir, landing=given.landing)
    connectors = load_connectors(given.conf_dir, given.names, config.sources)
    for connector in connectors:
        connector.credentials()
    failed = 0
    for connector in connectors:
        try:
            say(_as_line(pull(connector, config.landing, clock, tell, given.since)))
        except ConfigError:
            raise
        except TillhouseError as error:
            failed += 1
            complain(f"{type(error).__name__}: {error}")
    return 1 if failed else 0


def _as_line(result: Result) -> str:
    return (
        f"{result.connector:<24} {result.records:,} records on {result.pages:,} pages, {result.files:,} new files, "
        f"{result.requests:,} requests"
    )
