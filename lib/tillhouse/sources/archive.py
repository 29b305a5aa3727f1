"""Archives (ZIP): bounded before anything in them is used. Members are read in memory, none is written to a path."""

from __future__ import annotations

import copy
import io
import re
import stat
import zipfile
import zlib

from tillhouse.errors import SourceError
from tillhouse.sources.model import Source

MAX_UNPACKED_BYTES = 2 << 30
MAX_RATIO = 1_000  # tables of equal cells are packed well; an archive that unpacks further is no export
MAX_MEMBERS = 10_000
_PART = 1 << 20
_OUTSIDE = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)")


def open_archive(content: bytes, source: Source, remedy: str) -> zipfile.ZipFile:
    """The archive, if it is one and within bounds.

    Raises:
        SourceError: it is no ZIP archive, is encrypted, unpacks to too much or to more than it says, or has members that are
            links or lie outside of it.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise SourceError(f"no ZIP archive. Rule: format is {source.format} in {source.conf_file}. Remedy: {remedy}.") from None
    members = archive.infolist()
    unpacked, packed = sum(member.file_size for member in members), max(len(content), 1)
    if len(members) > MAX_MEMBERS or unpacked > MAX_UNPACKED_BYTES or unpacked > MAX_RATIO * packed:
        raise SourceError(
            f"the archive holds {len(members):,} members and unpacks from {packed:,} to {unpacked:,} bytes. Rule: at most "
            f"{MAX_MEMBERS:,} members, {MAX_UNPACKED_BYTES:,} bytes and {MAX_RATIO:,} times its size. Remedy: smaller files."
        )
    if any(member.flag_bits & 1 for member in members):
        raise SourceError("the archive is encrypted. Rule: archives without a password. Remedy: export again without one.")
    for member in members:
        if _OUTSIDE.search(member.filename) or stat.S_ISLNK(member.external_attr >> 16):
            raise SourceError(
                f"the archive holds {member.filename!r}. Rule: files inside of the archive, no links. Remedy: {remedy}."
            )
        if not _is_honest(archive, member):
            raise SourceError(
                f"{member.filename} unpacks to more than the {member.file_size:,} bytes that the archive says. "
                f"Rule: archives whose size is known beforehand. Remedy: {remedy}."
            )
    return archive


def _is_honest(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Whether a member is not longer than it says; whoever reads it at once would have all of it in memory."""
    longer = copy.copy(member)
    longer.file_size += 1
    del longer.CRC  # of the part that is said to be all; it is looked at when the member is read
    try:
        with archive.open(longer) as file:
            size = sum(len(part) for part in iter(lambda: file.read(_PART), b""))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, UnicodeDecodeError):
        return True  # damaged, as its reader will tell
    return size <= member.file_size
