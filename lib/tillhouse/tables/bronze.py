"""Bronze: every record of every delivered file as text, with where it came from."""

from __future__ import annotations

from tillhouse.tables.contract import Table

BROKEN = "_broken"
TECHNICAL = ("_file", "_file_id", "_row", "_run_id", "_captured", BROKEN, "_text")


def bronze_table(source: str, personal: bool) -> Table:
    """The bronze table of one source: the export's own columns as text beside the technical ones."""
    return Table(
        schema="bronze",
        name=source,
        grain="one row per record of each loaded file",
        columns="""
            _file STRING NOT NULL COMMENT 'path of the file below the landing area',
            _file_id STRING NOT NULL COMMENT 'identity of the content, see ops.file_ledger',
            _row BIGINT NOT NULL COMMENT 'line of the file that the record starts in, from 1',
            _run_id STRING NOT NULL COMMENT 'run that loaded the file',
            _captured MAP<STRING, STRING> COMMENT 'fields captured from the path',
            _broken STRING COMMENT 'why the record cannot be read; NULL for a sound one',
            _text STRING COMMENT 'the record as delivered, only where it is broken'
        """,
        key=("_file_id", "_row"),
        personal=personal,
        statistics=("_file_id", "_row", "_run_id"),
        version=2,
        open_ended=True,
    )
