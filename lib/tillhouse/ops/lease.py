"""One run works on a lake at a time: it holds the lake's lease, which ends by itself when the run no longer renews it.

The lease is a chain of small files, ``<lake>/ops/_lease/<number>.json``; the newest says who holds it. Taking, renewing and
releasing it is each the writing of the next number, which succeeds for one writer only. Hosts have to agree on the time
within a third of the lease.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from py4j.java_gateway import JavaObject  # type: ignore[import-untyped]
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]

from tillhouse.errors import LeaseError
from tillhouse.ops.runs import tell, utc_now
from tillhouse.store import Store

SECONDS = 600.0
POLL_SECONDS = 2.0
KEPT_FILES = 5
PROC = Path("/proc")
_abandoned: set[str] = set()  # tokens of leases of this process that could not be released: their runs have ended
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class Process:
    """Python and its JVM, which may go on for a moment when Python was killed.

    The times of their start tell them from later processes with the same numbers.
    """

    holder: str
    host: str
    machine: str
    pid: int
    pid_started: str
    jvm_pid: int
    jvm_started: str

    def is_dead(self) -> bool:
        """Whether it is known to have ended, which can be said of processes of this machine alone."""
        if (self.host, self.machine) != (socket.gethostname(), _machine()):
            return False
        return _is_gone(self.pid, self.pid_started) and _is_gone(self.jvm_pid, self.jvm_started)


@dataclass(frozen=True)
class Entry:
    """One file of the chain: which run of which process holds the lease. ``token`` is that of one ``Lease`` object."""

    run_id: str
    holder: str
    host: str
    machine: str
    pid: int
    pid_started: str
    jvm_pid: int
    jvm_started: str
    token: str
    acquired_at: str
    expires_at: str
    released: bool = False

    @property
    def process(self) -> Process:
        return Process(**{field.name: getattr(self, field.name) for field in fields(Process)})

    def is_over(self, now: datetime) -> bool:
        return now >= datetime.fromisoformat(self.expires_at)


class Lease:
    """The right to write to a lake. Within ``with``, every commit of the store checks it first.

    ``take`` makes one that is held; a daemon thread renews it every third of its duration until it is released.
    """

    def __init__(self, store: Store, run_id: str, seconds: float, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._chain = Chain(store)
        self._seconds = seconds
        self._clock = clock
        self._hook = store.before_commit
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._keep_renewing, name=f"lease of run {run_id}", daemon=True)
        self._lost: str | None = None
        self._number = 0
        self._entry = Entry(**asdict(this_process(store)), run_id=run_id, token=uuid.uuid4().hex, acquired_at="", expires_at="")

    @classmethod
    def take(
        cls,
        store: Store,
        run_id: str,
        wait_seconds: float = 0,
        *,
        seconds: float = SECONDS,
        clock: Callable[[], datetime] = utc_now,
        poll_seconds: float = POLL_SECONDS,
    ) -> Lease:
        """The lease of the store's lake, at once or as soon as its holder releases it, is dead or lets it expire.

        Raises:
            LeaseError: another run still holds it after ``wait_seconds``.
        """
        lease = cls(store, run_id, seconds, clock)
        deadline = time.monotonic() + wait_seconds
        waits_for = None
        while True:
            number, held = lease._chain.newest()
            now = clock()
            reason = _why_free(held, now)
            if held is None or reason:
                if lease._write(number + 1, replace(lease._entry, acquired_at=_text(now)), now):
                    break
                continue  # somebody else was quicker: look again
            left = deadline - time.monotonic()
            if left <= 0:
                raise LeaseError(_refusal(store.lake, held, now))
            if held.token != waits_for:
                waits_for = held.token
                tell("waits for the lake", run_id=run_id, held_by=held.run_id, host=held.host, pid=held.pid)
            time.sleep(min(poll_seconds, left))
        if held is not None and not held.released:
            tell("takes over the lake", run_id=run_id, held_by=held.run_id, host=held.host, pid=held.pid, reason=reason)
        lease._chain.forget(lease._number - KEPT_FILES)
        lease._renewer.start()
        return lease

    def check(self) -> None:
        """Nothing may be written any more once the lease is lost. Looks only at what is in memory.

        Raises:
            LeaseError: another run has taken it over, or it could not be renewed before it expired.
        """
        lost = self._lost
        if lost is None and self._ended.is_set():
            lost = "it was released"
        if lost is None and self._entry.is_over(self._clock()):
            lost = f"it expired at {self._entry.expires_at} and could not be renewed; the log says why"
        if lost:
            raise LeaseError(
                f"run {self._entry.run_id} has lost the lease of {self._store.lake}: {lost}. It stops before its next commit; "
                "what it has committed is complete. Start it again: the next run goes on where this one stopped."
            )

    def release(self) -> None:
        """Let the next run in. A lease that was lost is somebody else's and stays as it is."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._renewer.join(timeout=min(self._seconds / 3, 10))
        try:
            while self._lost is None and not self._write_next(released=True):
                pass
        except Exception as error:  # how the run ended is what counts; the lease expires by itself
            _abandoned.add(self._entry.token)
            tell("could not release the lake", run_id=self._entry.run_id, error=_kind(error))

    def __enter__(self) -> Self:
        hook = self._hook = self._store.before_commit

        def before_commit(table: str) -> None:
            hook(table)
            self.check()

        self._store.before_commit = before_commit
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._store.before_commit = self._hook
        self.release()

    def _keep_renewing(self) -> None:
        pause = self._seconds / 3
        while not self._ended.wait(pause):
            try:
                self._write_next()
                pause = self._seconds / 3
            except Exception as error:  # whatever it is, there is time for more attempts
                tell("could not renew the lease", run_id=self._entry.run_id, error=_kind(error))
                pause = self._seconds / 30
            if self._lost or self._entry.is_over(self._clock()):
                return

    def _write_next(self, released: bool = False) -> bool:
        """Write the next entry behind our last one. If somebody else's stands there, or ours is over, the lease is lost."""
        number, held = self._chain.newest(self._number)
        now = self._clock()
        if held is None:
            self._lost = f"{self._chain.folder.path} is gone"
        elif held.token != self._entry.token:
            self._lost = f"run {held.run_id} of {held.holder} (pid {held.pid}) took it over at {held.acquired_at}"
        elif held.is_over(now) and not released:
            self._lost = f"it expired at {held.expires_at} before it was renewed"
        if self._lost:
            tell("has lost the lake", run_id=self._entry.run_id, held_by=held.run_id if held else None)
            return False
        return self._write(number + 1, replace(self._entry, released=released), now)

    def _write(self, number: int, entry: Entry, now: datetime) -> bool:
        """Whether the entry has become the newest one."""
        entry = replace(entry, expires_at=_text(now + timedelta(seconds=self._seconds)))
        if not self._chain.put(number, json.dumps(asdict(entry))):
            return False
        # A writer that was asleep may have filled a gap that old files have left.
        newest, held = self._chain.newest(number)
        if newest != number or held != entry:
            return False
        self._number, self._entry = number, entry
        return True


class Chain:
    """The files of a lake's lease. Of several writers of one number, one succeeds."""

    def __init__(self, store: Store) -> None:
        self.folder = _Folder.of(store)

    def newest(self, start: int = 0) -> tuple[int, Entry | None]:
        """Highest number and its entry; 0 and None if there is none from ``start`` on.

        Raises:
            LeaseError: the entry is not readable.
        """
        attempts = 0
        while True:
            number = max(self.folder.numbers(start), default=0)
            if not number:
                return 0, None
            text = self.folder.read(number)
            if text is None:
                continue  # others have gone on and have deleted it meanwhile
            try:
                return number, Entry(**json.loads(text))
            except (ValueError, TypeError):
                attempts += 1
                if attempts < 10:  # perhaps it is being written
                    time.sleep(0.1)
                    continue
                raise LeaseError(
                    f"{self.folder.path}/{_name(number)} does not say who works on the lake; if no run does, delete that file"
                ) from None

    def put(self, number: int, text: str) -> bool:
        """Write a file that must not exist; False if it does."""
        return self.folder.create(number, text)

    def forget(self, last: int) -> None:
        """Delete old files up to this number."""
        for number in self.folder.numbers(0):
            if number <= last:
                self.folder.delete(number)


class _Folder:
    """A folder that Delta's log store writes to: what makes commits exclusive, as safely as Delta is on that file system."""

    def __init__(self, store: Store) -> None:
        jvm = store.spark.sparkContext._jvm
        assert jvm is not None
        self._jvm: Any = jvm
        self._session = store.spark._jsparkSession
        self._conf = self._session.sessionState().newHadoopConf()
        root = jvm.org.apache.hadoop.fs.Path(f"{store.lake}/ops/_lease")
        self._files = root.getFileSystem(self._conf)
        self._root = self._files.makeQualified(root)
        self.path = str(self._root.toString())

    @staticmethod
    def of(store: Store) -> _Folder:
        folder = _LocalFolder(store)
        return folder if folder.is_local else _Folder(store)

    @property
    def is_local(self) -> bool:
        return bool(self._files.getUri().getScheme() == "file")

    @cached_property
    def _log_store(self) -> JavaObject:
        return self._jvm.org.apache.spark.sql.delta.storage.LogStore.apply(self._session)

    def numbers(self, start: int) -> list[int]:
        try:
            found = self._log_store.listFrom(self._file(start), self._conf)
        except Py4JJavaError as error:
            if _kind(error) == "FileNotFoundException":
                return []
            raise
        names = []
        while found.hasNext():
            names.append(str(found.next().getPath().getName()))
        return _numbers(names, start)

    def read(self, number: int) -> str | None:
        """Content of a file; None if there is none."""
        try:
            return str(self._log_store.read(self._file(number), self._conf).mkString(""))
        except Py4JJavaError as error:
            if _kind(error) == "FileNotFoundException":
                return None
            raise

    def create(self, number: int, text: str) -> bool:
        if number == 1:
            self._files.mkdirs(self._root)
        try:
            self._log_store.write(self._file(number), self._jvm.scala.collection.Iterator.single(text), False, self._conf)
        except Py4JJavaError as error:
            if _kind(error) == "FileAlreadyExistsException":
                return False
            raise
        return True

    def delete(self, number: int) -> None:
        self._files.delete(self._file(number), False)

    def _file(self, number: int) -> JavaObject:
        return self._jvm.org.apache.hadoop.fs.Path(self._root, _name(number))


class _LocalFolder(_Folder):
    """A folder on a disk of this machine, or mounted like one.

    There Delta's log store looks and renames in two moves, so that two processes can both succeed; a link is one move.
    """

    @cached_property
    def _local(self) -> Path:
        return Path(self._root.toUri().getPath())

    def numbers(self, start: int) -> list[int]:
        try:
            return _numbers(os.listdir(self._local), start)
        except FileNotFoundError:
            return []

    def read(self, number: int) -> str | None:
        try:
            return (self._local / _name(number)).read_text("utf-8")
        except FileNotFoundError:
            return None

    def create(self, number: int, text: str) -> bool:
        if number == 1:
            self._local.mkdir(parents=True, exist_ok=True)
        return _create(self._local / _name(number), text)

    def delete(self, number: int) -> None:
        (self._local / _name(number)).unlink(missing_ok=True)


def _name(number: int) -> str:
    return f"{number:020d}.json"


def _numbers(names: Iterable[str], start: int) -> list[int]:
    numbers = [int(name.removesuffix(".json")) for name in names if re.fullmatch(r"\d{20}\.json", name)]
    return [number for number in numbers if number >= start]


def _create(file: Path, text: str) -> bool:
    written = file.with_name(f".{uuid.uuid4().hex}")
    try:
        written.write_text(text, "utf-8")
        file.hardlink_to(written)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return _create_without_link(file, text)
    finally:
        written.unlink(missing_ok=True)
    return True


def _create_without_link(file: Path, text: str) -> bool:
    """For mounts that know no links; others may see the file before it is written."""
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    except OSError:
        file.unlink(missing_ok=True)  # an empty one would keep everybody out
        raise
    return True


def this_process(store: Store) -> Process:
    host = socket.gethostname()
    jvm = store.spark.sparkContext._jvm
    assert jvm is not None
    pids = os.getpid(), int(jvm.org.apache.spark.util.Utils.getProcessName().split("@")[0])
    starts = [_state_and_start(pid)[1] for pid in pids]
    return Process(host, host, _machine(), pids[0], starts[0], pids[1], starts[1])


def _is_gone(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it belongs to somebody else, but lives
    state, found = _state_and_start(pid)
    return state in ("Z", "X") or bool(found and started and found != started)


def _machine() -> str:
    """Tells machines and containers with the same host name apart: their process numbers have nothing to do with each other."""
    try:
        return f"{(PROC / 'sys/kernel/random/boot_id').read_text('ascii').strip()} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, str]:
    """State of a process, and when it started in ticks since the machine did; empty where the system does not tell."""
    try:
        parts = (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return "", ""
    return parts[0], parts[19]


def _why_free(held: Entry | None, now: datetime) -> str | None:
    """Why a lease can be taken; None if it cannot."""
    if held is None or held.released:
        return "nobody holds it"
    if held.is_over(now):
        return f"expired at {held.expires_at}"
    if held.process.is_dead():
        return "its process has ended"
    if held.token in _abandoned:
        return "its run has ended and could not release it"
    return None


def _refusal(lake: str, held: Entry, now: datetime) -> str:
    age = max(0, int((now - datetime.fromisoformat(held.acquired_at)).total_seconds()))
    return (
        f"run {held.run_id} of {held.holder} (pid {held.pid}) has been working on {lake} for {_duration(age)}; nothing was "
        f"changed. Wait until it has ended, or start with --wait MINUTES. If it is dead, its lease ends at {held.expires_at} "
        "and the next run takes it over."
    )


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")


def _kind(error: Exception) -> str:
    """Name of the error alone: what others print may hold anything."""
    return str(error.java_exception.getClass().getSimpleName()) if isinstance(error, Py4JJavaError) else type(error).__name__
