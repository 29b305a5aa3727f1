"""Archives (ZIP): bounded before anything in them is unpacked. Members are read in memory, none is written to a path."""

from __future__ import annotations

import io
import zipfile

from tillhouse.errors import SourceError
from tillhouse.sources.model import Source

MAX_UNPACKED_BYTES = 2 << 30
MAX_RATIO = 1_000  # tables of equal cells are packed well; an archive that unpacks further is no export
MAX_MEMBERS = 10_000


def open_archive(content: bytes, source: Source, remedy: str) -> zipfile.ZipFile:
    """The archive, if it is one and within bounds.

    Raises:
        SourceError: it is no ZIP archive, is encrypted, or unpacks to too much.
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
    return archive
