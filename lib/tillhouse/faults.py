"""Faults of the disk below a lake: no space, no permission, a log that ends in a damaged file. Each in words with a remedy."""

from __future__ import annotations

import json
import os
import re
import struct
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tillhouse.errors import StoreError

SPACE = ("No space left on device", "Disk quota exceeded", "File too large")
PERMISSION = ("Read-only file system", "Permission denied", "Operation not permitted")
_COMMIT = re.compile(r"\d{20}\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*parquet")
_PARQUET = b"PAR1"
_LAST_CHECKPOINT = "_last_checkpoint"
DAMAGED = ".damaged"


def to_store_error(error: BaseException, what: str, folders: Iterable[str]) -> StoreError | None:
    """The error in our words where the disk is to blame; None where it is not.

    ``what`` was being written, ``folders`` are the roots below which it lies.
    """
    text = _text(error)
    reason = next((reason for reason in (*SPACE, *PERMISSION) if reason in text), None)
    roots = [local for folder in folders if (local := local_path(folder)) is not None]
    place = next((found for root in roots if (found := _path_in(text, root))), None)
    if reason is None or (reason in PERMISSION and place is None):  # what fails next often says something else: ask the disk
        place, reason = next(((str(root), found) for root in roots if (found := _refusal(root))), (None, None))
    if reason is None:
        return None
    done = "What was committed before is complete, and nobody sees what was not."
    if reason in SPACE:
        temporary = Path(os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")[0])
        free = ", ".join(f"{root} {_free(root)}" for root in dict.fromkeys([*roots, temporary]))
        return StoreError(
            f"{what} cannot be written: {reason.lower()}. Free now: {free} (there Spark keeps its temporary files). {done} "
            "Remedy: make space, then start again: the next run goes on where this one stopped."
        )
    return StoreError(
        f"{what} cannot be read or written: {reason.lower()} ({place}). {done} "
        "Remedy: give the user of the run the right to read and write there, or mount it writable (`tillhouse doctor` tries it); "
        "then start again: the next run goes on where this one stopped."
    )


def try_to_write(folder: Path) -> None:
    """Write a megabyte to a folder and delete it.

    Raises:
        OSError: it cannot be done.
    """
    with tempfile.NamedTemporaryFile(prefix=".write-", dir=folder, buffering=0) as probe:
        probe.write(bytes(1 << 20))


def local_path(folder: str) -> Path | None:
    """A folder of this machine as a path; None if it is elsewhere."""
    if folder.startswith("file:"):
        return Path("/" + folder.removeprefix("file:").lstrip("/"))
    return None if "://" in folder else Path(folder)


def _text(error: BaseException | None) -> str:
    """All that an error and its causes say, those of the JVM among them."""
    parts = []
    while error is not None:
        parts.append(f"{error.strerror} {error.filename or ''}" if isinstance(error, OSError) else "")
        java: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
        while java is not None:
            parts.append(str(java.toString()))
            java = java.getCause()
        error = error.__cause__
    return "\n".join(parts)


def _refusal(folder: Path) -> str | None:
    """Why nothing can be written below a folder; None if it can."""
    while not folder.exists():
        folder = folder.parent
    try:
        try_to_write(folder)
    except OSError as error:
        return error.strerror
    return None


def _free(folder: Path) -> str:
    try:
        found = os.statvfs(folder)
    except OSError:
        return "unknown"
    return f"{found.f_bavail * found.f_frsize / 2**20:,.1f} MiB"


def _path_in(text: str, root: Path) -> str | None:
    found = re.search(re.escape(str(root)) + r"[^\s:()]*", text)
    return found.group() if found else None


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that a table's log ends in and that nobody can read, and the files that go with it."""

    file: Path
    what: str
    companions: tuple[Path, ...] = ()

    def __str__(self) -> str:
        return f"{self.file} {self.what}"

    def set_aside(self) -> None:
        """Rename the files, so that the log ends before them. Readers of Delta take no notice of the new names."""
        for file in (*self.companions, self.file):  # the file itself last: after a kill it is still found
            file.rename(file.with_name(file.name + DAMAGED))
        log = self.file.parent
        if not any(_COMMIT.fullmatch(name) or _CHECKPOINT.fullmatch(name) for name in os.listdir(log)):
            log.parent.rename(log.parent.with_name(log.parent.name + DAMAGED))  # of a table without any version nothing is left


def find_damage(table: str) -> Damage | None:
    """What is wrong with the end of a table's log; None if nothing is, or if the table does not lie on this machine.

    Looks at the newest commit, the newest checkpoint and the note that names it: an interrupted machine may leave them empty
    or torn, and then Delta fails, or sees no change where there was one.
    """
    folder = local_path(table)
    log = None if folder is None else folder / "_delta_log"
    if log is None or not log.is_dir():
        return None
    names = sorted(os.listdir(log))
    commits = [name for name in names if _COMMIT.fullmatch(name)]
    checkpoints = [name for name in names if _CHECKPOINT.fullmatch(name)]
    if commits and (what := _fault_of_commit(log / commits[-1])):
        version = commits[-1].removesuffix(".json")
        found = [f".{version}.json.crc", f"{version}.crc", f".{version}.crc.crc"]
        return Damage(log / commits[-1], what, _there(log, found))
    if checkpoints and (what := _fault_of_checkpoint(log / checkpoints[-1])):
        return Damage(log / checkpoints[-1], what, _there(log, [f".{checkpoints[-1]}.crc", _LAST_CHECKPOINT]))
    if _LAST_CHECKPOINT in names and (what := _fault_of_json(log / _LAST_CHECKPOINT)):
        return Damage(log / _LAST_CHECKPOINT, what, _there(log, [f".{_LAST_CHECKPOINT}.crc"]))
    return None


def can_do_without(damage: Damage) -> bool:
    """Whether the rest of the log still tells what the table holds: a checkpoint may stand for commits that are gone."""
    log = damage.file.parent
    match = _CHECKPOINT.fullmatch(damage.file.name)
    if match is None:
        return True
    versions = {int(name.removesuffix(".json")) for name in os.listdir(log) if _COMMIT.fullmatch(name)}
    earlier = [int(found[1]) for name in os.listdir(log) if (found := _CHECKPOINT.fullmatch(name)) and found[1] != match[1]]
    return versions >= set(range(max(earlier, default=-1) + 1, int(match[1]) + 1))


def _there(log: Path, names: Iterable[str]) -> tuple[Path, ...]:
    return tuple(log / name for name in names if (log / name).exists())


def _fault_of_commit(file: Path) -> str | None:
    return _fault_of_json(file, is_lines=True) or ("differs from its checksum" if _differs_from_checksum(file) else None)


def _fault_of_json(file: Path, is_lines: bool = False) -> str | None:
    data = file.read_bytes()
    if not data.strip():
        return "is empty"
    try:
        entries = [json.loads(line) for line in (data.splitlines() if is_lines else [data])]
    except ValueError:
        return "is torn or overwritten"
    return None if all(isinstance(entry, dict) for entry in entries) else "is overwritten"


def _differs_from_checksum(file: Path) -> bool:
    """Whether Hadoop's checksums of each 512 bytes say something else; on a local file system they lie beside the file."""
    checksums = file.with_name(f".{file.name}.crc")
    told = checksums.read_bytes() if checksums.exists() else b""
    size = int.from_bytes(told[4:8], "big")
    if told[:4] != b"crc\0" or not size or len(told) % 4:
        return False
    data = file.read_bytes()
    found = [zlib.crc32(data[start : start + size]) for start in range(0, len(data), size)]
    return struct.pack(f">{len(found)}I", *found) != told[8:]


def _fault_of_checkpoint(file: Path) -> str | None:
    with file.open("rb") as stream:
        first = stream.read(len(_PARQUET))
        stream.seek(-min(len(_PARQUET), file.stat().st_size), os.SEEK_END)
        last = stream.read()
    if not first:
        return "is empty"
    return None if first == last == _PARQUET else "is torn or overwritten"
