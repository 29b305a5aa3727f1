"""XML documents (ARTS POSLog and the like): each record element becomes a record of text, its lists become nested records."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import pyarrow as pa
from lxml import etree

from tillhouse.errors import SourceError
from tillhouse.sources.model import Source
from tillhouse.sources.records import Records, as_json, to_table

MAX_DEPTH = 50
_Child = Mapping[str, object]  # texts, and lists of further child records
_REPEATED = " | "  # between the texts of an element that comes again where no list is declared


def read_xml_document(content: bytes, source: Source) -> Records:
    """The elements named ``xml.record``, numbered in the order of the document; namespaces make no difference.

    Entities are not expanded and nothing outside the document is read.

    Raises:
        SourceError: the document is not well-formed, declares entities, or holds other records.
    """
    found: list[dict[str, str]] = []
    children: dict[str, dict[str, None]] = {}
    for element in _elements(content, source):
        cells, lists = _flatten(element, source)
        for path, items in lists.items():
            children.setdefault(path, {}).update((key, None) for item in items for key in item)
        # A document without lines has none of them, instead of no list.
        nested = dict.fromkeys(source.nested_paths, "[]") | {path: as_json(items) for path, items in lists.items()}
        found.append(cells | nested)
    rows = pa.array(range(1, len(found) + 1), pa.int64())
    return Records(to_table(found), rows, children={path: list(keys) for path, keys in children.items()})


def parse_xml(content: bytes, source: Source) -> etree._Element:
    """A small document as a whole, such as the description of an archive. Raises SourceError as ``read_xml_document``."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise _not_well_formed(error, source) from None
    _refuse_entities(root, source)
    return root


def local_name(element: etree._Element) -> str:
    return _without_namespace(element.tag)


def _without_namespace(name: str | bytes) -> str:
    """{urn:x}Sale is Sale. Each element passes here; lxml's own way to ask takes five times as long."""
    return str(name).rpartition("}")[2]


def _elements(content: bytes, source: Source) -> Iterator[etree._Element]:
    """The record elements one by one; what has been read is let go."""
    events = etree.iterparse(
        io.BytesIO(content), events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    depth, inside, root, found = 0, 0, None, False
    try:
        for event, element in events:
            if event == "start":
                depth += 1
                if root is None:
                    root = element
                    _refuse_entities(root, source)
                if inside == 0 and local_name(element) == source.xml.record:
                    inside = depth
                if depth > MAX_DEPTH:
                    raise SourceError(f"elements are nested deeper than {MAX_DEPTH}. Rule: an export. Remedy: export again.")
                continue
            if inside == depth:
                inside, found = 0, True
                yield element
            if inside == 0 and element is not root:
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
            depth -= 1
    except etree.XMLSyntaxError as error:
        raise _not_well_formed(error, source) from None
    if not found and root is not None and len(root):
        raise SourceError(
            f"no element named {source.xml.record} in the document {local_name(root)}. Rule: xml.record in {source.conf_file}. "
            "Remedy: name the element there that holds one receipt."
        )


def _not_well_formed(error: etree.XMLSyntaxError, source: Source) -> SourceError:
    line = error.lineno or 1
    return SourceError(
        f"row {line}: not well-formed XML: {str(error.msg)[:200]}. Rule: format is {source.format} in {source.conf_file}. "
        "Remedy: export again; an interrupted export ends in the middle."
    )


def _refuse_entities(root: etree._Element, source: Source) -> None:
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(declared.iterentities(), None) is not None:  # type: ignore[attr-defined]
        raise SourceError(
            f"the document declares entities. Rule: none in a file of {source.name}. Remedy: export again without a DOCTYPE."
        )


def _flatten(record: etree._Element, source: Source) -> tuple[dict[str, str], dict[str, list[_Child]]]:
    cells: dict[str, str] = {}
    lists: dict[str, list[_Child]] = {}

    def put(name: str, text: str | None) -> None:
        text = (text or "").strip()
        if text:
            cells[name] = f"{cells[name]}{_REPEATED}{text}" if name in cells else text

    def walk(element: etree._Element, path: str) -> None:
        for attribute, text in element.attrib.items():
            put(f"{path}@{_without_namespace(attribute)}", str(text))
        put(path, element.text)
        for child in element.iterchildren(etree.Element):
            name = local_name(child)
            below = f"{path}/{name}" if path else name
            if source.is_list(below):
                inside, lists_inside = _flatten(child, source)
                lists.setdefault(below, []).append({**inside, **lists_inside})
                for found, text in inside.items():
                    if found.split("/", 1)[0].split("@", 1)[0] in source.xml.lifted:
                        put(found, text)
                continue
            distinguishing = source.xml.told_apart_by.get(name)
            apart = child.get(distinguishing) if distinguishing else None
            walk(child, f"{below}[{apart}]" if apart else below)

    walk(record, "")
    return cells, lists
