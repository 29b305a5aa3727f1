"""Files of a pull: pages, visible in the landing area when they are complete, and how far a connector has come."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tillhouse.errors import ConfigError, TillhouseError
from tillhouse.pull.model import Connector

FOLDER = "_pull"  # bronze leaves alone what begins with an underscore


@dataclass(frozen=True)
class Unfinished:
    """A pull that is under way: what it asked for, and the last complete page.

    ``next`` leads to the page that follows. ``seen`` holds hashes of the cursors so far, ``last`` one of the last page.
    ``asked`` is one of what the connector asks for: where that has changed, a cursor of before means nothing.
    """

    asked: str
    pulled: str
    since: str | None
    until: str | None
    page: int = 0
    files: int = 0
    records: int = 0
    next: str | None = None
    highest: str | None = None
    seen: tuple[str, ...] = ()
    last: str | None = None


@dataclass(frozen=True)
class State:
    """What a connector remembers between pulls."""

    since: str | None = None
    unfinished: Unfinished | None = None


class Landing:
    """The landing area as one connector uses it: a folder of this machine or mounted on it."""

    def __init__(self, root: str, connector: Connector) -> None:
        if "://" in root:
            raise ConfigError(
                f"landing area {root}: tillhouse pull writes to a folder. Remedy: pull into a folder, name it with --landing, "
                "and let the tool of the object store copy it."
            )
        self._root, self._own = Path(root), Path(root) / FOLDER / connector.name
        self._connector = connector
        if not self._root.is_dir():
            raise ConfigError(f"landing area {root}: no such folder. Remedy: create it, or name the right one with --landing.")
        self._own.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else pulls the same; a lock ends with its process. Raises TillhouseError if somebody does."""
        with (self._own / "lock").open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TillhouseError(f"{self._connector.name} is being pulled by another process; nothing was done") from None
            yield

    def read_state(self) -> State:
        """Raises TillhouseError if it is no state of this connector."""
        path = self._own / "state.json"
        try:
            told: dict[str, Any] = json.loads(path.read_text("utf-8"))
            unfinished = told["unfinished"]
            if unfinished is not None:
                unfinished = Unfinished(**{**unfinished, "seen": tuple(unfinished["seen"])})
            return State(told["since"], unfinished)
        except FileNotFoundError:
            return State()
        except (ValueError, KeyError, TypeError):
            raise TillhouseError(
                f"{path}: does not say how far {self._connector.name} has come. Remedy: remove the file and pull with --since, "
                "from where on records are wanted; what has been loaded before counts once."
            ) from None

    def write_state(self, state: State) -> None:
        self._write(self._own / "state.json", json.dumps(asdict(state), indent=1).encode(), 0o600)

    def put_page(self, pull: Unfinished, lines: list[str]) -> Unfinished:
        """Make a page visible, under its final name and at once; without records there is no file.

        A page that a killed pull has put there already is left as it is; if it holds something else, both stay.
        """
        if not lines:
            return pull
        content, number = "".join(f"{line}\n" for line in lines).encode(), pull.files + 1
        while (target := self._root / self._connector.path_of(pull.pulled, number)).exists():
            if target.read_bytes() == content:
                break
            number += 1
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._write(target, content, 0o666)
        return replace(pull, files=number, records=pull.records + len(lines))

    def _write(self, target: Path, content: bytes, mode: int) -> None:
        """A file that is there as a whole or not at all, also when the machine loses power."""
        part = self._own / "part"
        try:
            part.unlink(missing_ok=True)
            with open(part, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise TillhouseError(
                f"{target}: cannot be written: {error.strerror}. What was pulled before is complete. Remedy: make space or give "
                "this user the right to write there, and pull again."
            ) from None
