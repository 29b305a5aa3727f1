"""Files made to harm: each is refused with a reason, in no time and with little memory, whoever reads it."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.library.exports import GERMAN, dsfinvk
from tests.sources.mappings import CSV, source
from tests.sources.test_gdpdu_zip import DRESDEN, SOURCE
from tests.sources.test_typed_files import HEADER, book, excel
from tests.sources.test_xml_document import HEAD, xml
from tillhouse.errors import SourceError
from tillhouse.sources import archive, parquet_file
from tillhouse.sources.readers import read_records


def repacked(content: bytes, change: Callable[[zipfile.ZipFile], None], without: str = "") -> bytes:
    """An archive with its members as they were, and then changed."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as after:
        for member in before.infolist():
            if member.filename != without:
                after.writestr(member, before.read(member))
        change(after)
    return result.getvalue()


def with_sheet(change: Callable[[bytes], bytes]) -> bytes:
    """A workbook whose sheet was changed by hand."""
    name, whole = "xl/worksheets/sheet1.xml", book([HEADER, ("B1", 1, "31.01.2025", 5)])
    sheet = zipfile.ZipFile(io.BytesIO(whole)).read(name)
    assert change(sheet) != sheet
    return repacked(whole, lambda after: after.writestr(name, change(sheet)), without=name)


def lying(name: str, size: int) -> bytes:
    """An archive in which a member says that it is one byte long, with the checksum of that byte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, bytes(size))
    content = bytearray(buffer.getvalue())
    said = struct.pack("<L", zlib.crc32(b"\0"))
    start, directory = content.index(b"PK\3\4"), content.index(b"PK\1\2")
    for crc, length in ((start + 14, start + 22), (directory + 16, directory + 24)):
        content[crc : crc + 4], content[length : length + 4] = said, struct.pack("<L", 1)
    return bytes(content)


@pytest.mark.parametrize("mapping", [SOURCE, excel()], ids=["DSFinV-K", "xlsx"])
def test_an_archive_that_unpacks_to_more_than_it_says_is_refused_before_it_fills_the_memory(mapping: object) -> None:
    content = lying("index.xml", 40 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=r"index\.xml unpacks to more than the 1 bytes that the archive says"):
            read_records(content, mapping)  # type: ignore[arg-type]
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_an_archive_of_too_many_or_too_long_members_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dsfinvk(DRESDEN, GERMAN)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 5)
    with pytest.raises(SourceError, match=r"holds 14 members .*Rule: at most 5 members"):
        read_records(whole, SOURCE)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 10)
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 1_000)
    with pytest.raises(SourceError, match="Rule: at most 10 members, 1,000 bytes"):
        read_records(whole, SOURCE)


@pytest.mark.parametrize("name", ["../lines.txt", "a/../../b", "/etc/x", "C:/x", "..\\x", "\\x", "a\\..\\b"])
def test_a_member_outside_of_its_archive_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = repacked(dsfinvk(DRESDEN, GERMAN), lambda after: after.writestr(name, "x"))
    with pytest.raises(SourceError, match="Rule: files inside of the archive, no links"):
        read_records(content, SOURCE)
    assert list(tmp_path.parent.rglob("x")) == []


@pytest.mark.parametrize("name", ["notes..txt", "..notes", "a/b..c"])
def test_two_dots_in_a_name_are_no_way_out(name: str) -> None:
    content = repacked(dsfinvk(DRESDEN, GERMAN), lambda after: after.writestr(name, "x"))
    assert len(read_records(content, SOURCE).rows) == 13


def test_a_link_in_an_archive_is_refused() -> None:
    link = zipfile.ZipInfo("vat.csv")
    link.external_attr = 0o120777 << 16
    with pytest.raises(SourceError, match=r"holds 'vat\.csv'. Rule: files inside of the archive, no links"):
        read_records(repacked(dsfinvk(DRESDEN, GERMAN), lambda after: after.writestr(link, "/etc/passwd")), SOURCE)


def test_an_archive_with_a_password_is_refused() -> None:
    content = bytearray(dsfinvk(DRESDEN, GERMAN))
    content[content.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(SourceError, match="the archive is encrypted"):
        read_records(bytes(content), SOURCE)


def test_an_archive_inside_of_an_archive_is_not_opened() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as inner:
        inner.writestr("lines.csv", bytes(5_000_000))
    content = repacked(dsfinvk(DRESDEN, GERMAN), lambda after: after.writestr("more.zip", bomb.getvalue()))
    assert len(read_records(content, SOURCE).rows) == 13


ENTITIES = "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 10))


@pytest.mark.parametrize(
    "declared",
    [
        f'<!ENTITY a0 "aaaaaaaaaa">{ENTITIES}',
        "<!ENTITY a9 SYSTEM 'file:///etc/passwd'>",
        "<!ENTITY % a9 SYSTEM 'file:///etc/passwd'> %a9;",
        "<!ENTITY a9 SYSTEM 'http://127.0.0.1:9/a'>",
    ],
    ids=["bomb", "file", "parameter", "network"],
)
def test_entities_are_refused_and_nothing_they_name_is_read(declared: str) -> None:
    document = f"<!DOCTYPE Log [{declared}]><Log><Receipt>{HEAD}<Note>&a9;</Note></Receipt></Log>"
    with pytest.raises(SourceError, match=r"declares entities|not well-formed") as told:
        read_records(document.encode(), xml())
    assert "root:" not in str(told.value)


def test_a_description_outside_of_the_document_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "log.dtd").write_text("<!ATTLIST Receipt training CDATA 'true'><!ENTITY a 'from outside'>", "utf-8")
    document = f"<!DOCTYPE Log SYSTEM '{(tmp_path / 'log.dtd').as_uri()}'><Log><Receipt>{HEAD}<Note>x</Note></Receipt></Log>"
    [row] = read_records(document.encode(), xml()).table.to_pylist()
    assert (row["Note"], "@training" in row) == ("x", False)


def test_a_text_of_many_megabytes_in_a_document_is_refused() -> None:
    with pytest.raises(SourceError, match="not well-formed XML"):
        read_records(f"<Log><Receipt>{HEAD}<Note>{'x' * 11_000_000}</Note></Receipt></Log>".encode(), xml())


@pytest.mark.parametrize(
    "change",
    [
        lambda sheet: sheet[:-60],
        lambda sheet: sheet.replace(b'r="D2"', b'r="ZZZZZ2"'),
        lambda sheet: sheet.replace(b"<worksheet", f'<!DOCTYPE w [<!ENTITY a0 "a">{ENTITIES}]><worksheet'.encode(), 1).replace(
            b"<v>5</v>", b"<v>&a9;</v>"
        ),
        lambda sheet: sheet.replace(
            b"<worksheet", b"<!DOCTYPE w [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><worksheet", 1
        ).replace(b"<v>5</v>", b"<v>&a;</v>"),
    ],
    ids=["torn", "column", "bomb", "file"],
)
def test_a_sheet_that_cannot_be_parsed_is_a_fault_of_the_file(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SourceError, match="not readable as a workbook"):
        read_records(with_sheet(change), excel())


def test_a_row_that_says_it_is_the_thousand_millionth_is_not_counted_up_to() -> None:
    content = with_sheet(lambda sheet: sheet.replace(b'<row r="2"', b'<row r="1000000000"'))
    with pytest.raises(SourceError, match="more than 1,048,576 rows"):
        read_records(content, excel())


def test_a_small_parquet_file_of_one_value_many_times_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "MAX_UNPACKED_BYTES", 1_000_000)
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), pa.array(["x" * 1_000]))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"Filiale": values.cast(pa.string())}), buffer)
    assert len(buffer.getvalue()) < 50_000
    with pytest.raises(SourceError, match=r"unpacks to 1,\d\d\d,\d\d\d bytes or more"):
        read_records(buffer.getvalue(), source(CSV, "format: parquet"))


@pytest.mark.parametrize(
    "mapping", [SOURCE, excel(), xml(), source(CSV), source(CSV, "format: parquet")], ids=lambda item: item.format
)
@pytest.mark.parametrize("content", [b"", b"\0" * 1_000, b"PK\5\6" + bytes(18), b"\xff\xfe<\0", b"PAR1PAR1", b"<" * 100_000])
def test_what_is_nothing_at_all_is_refused_as_a_fault_of_the_file(mapping: object, content: bytes) -> None:
    with pytest.raises(SourceError, match="Rule: "):
        read_records(content, mapping)  # type: ignore[arg-type]
