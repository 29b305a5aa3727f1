"""Disks that are really full or read-only, made for a test.

A small file system is mounted where mounting is allowed. Elsewhere the kernel limits the size of the JVM's files, and folders
lose their permission, which stops every user but root.
"""

from __future__ import annotations

import os
import resource
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

SPACIOUS = 256 << 20


class Disk(ABC):
    """A folder on a disk whose space a test decides."""

    shortages: tuple[int, ...]  # bytes left that are worth a try

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def leave(self, free: int | None) -> None:
        """Leave so many bytes; None: plenty."""


class _Mounted(Disk):
    shortages = (0, 64 << 10, 900 << 10)

    def leave(self, free: int | None) -> None:
        found = os.statvfs(self.folder)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        _mount("-o", f"remount,size={SPACIOUS if free is None else max(used + free, 4096)}", str(self.folder))


class _Limited(Disk):
    """Files of the JVM cannot grow beyond what is left. Only its own process is asked to obey."""

    shortages = (0, 4 << 10)

    def __init__(self, folder: Path, spark: SparkSession) -> None:
        super().__init__(folder)
        jvm = spark.sparkContext._jvm
        assert jvm is not None
        self._pid = int(jvm.org.apache.spark.util.Utils.getProcessName().split("@")[0])

    def leave(self, free: int | None) -> None:
        _, hard = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (hard if free is None else free, hard))


@contextmanager
def small_disk(folder: Path, spark: SparkSession) -> Iterator[Disk]:
    folder.mkdir()
    if not can_mount(folder):
        limited = _Limited(folder, spark)
        try:
            yield limited
        finally:
            limited.leave(None)
        return
    _mount("-t", "tmpfs", "-o", f"size={SPACIOUS}", "tmpfs", str(folder))
    try:
        yield _Mounted(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """While it lasts, nothing can be written below a folder."""
    if can_mount(folder):
        _mount("--bind", str(folder), str(folder))
        try:
            _mount("-o", "remount,bind,ro", str(folder))
            yield
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    assert os.geteuid() != 0, "permissions do not stop root, and it may not mount: run as another user or with CAP_SYS_ADMIN"
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*")) if path.is_dir()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def can_mount(folder: Path) -> bool:
    try:
        _mount("--bind", str(folder), str(folder))
    except (OSError, subprocess.CalledProcessError):
        return False
    subprocess.run(["umount", "-l", str(folder)], check=True)
    return True


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
