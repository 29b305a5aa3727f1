"""Tables of operation: what was delivered, what ran, whether it adds up."""

from __future__ import annotations

from tillhouse.tables.contract import MONTH, MONTH_COLUMN, Table

FILE_LEDGER = Table(
    schema="ops",
    name="file_ledger",
    grain="one row per delivered file and path that bronze has seen",
    columns="""
        source STRING COMMENT 'name of the mapping that the path belongs to; NULL where none does',
        path STRING NOT NULL COMMENT 'path below the landing area',
        file_id STRING COMMENT 'identity of the content: hash of source, sha256 and the fields captured from the path',
        sha256 STRING COMMENT 'hash of the bytes',
        size_bytes BIGINT NOT NULL COMMENT 'size of the file',
        modified_at TIMESTAMP NOT NULL COMMENT 'change time of the file; path, size and this decide whether to look again',
        status STRING NOT NULL COMMENT 'loaded, duplicate, rejected, held (waits for a decision) or refused (a decision)',
        reason STRING COMMENT 'why the file was not loaded, and the remedy',
        rows_read BIGINT NOT NULL COMMENT 'records in the file without title, header and total lines',
        rows_accepted BIGINT NOT NULL COMMENT 'records that can be read as the mapping says',
        rows_rejected BIGINT NOT NULL COMMENT 'broken records; kept in bronze with _broken',
        rows_ignored BIGINT NOT NULL COMMENT 'title, total and empty lines that the mapping tells to skip',
        run_id STRING NOT NULL COMMENT 'run that decided',
        loaded_at TIMESTAMP NOT NULL COMMENT 'when that run started',
        checks ARRAY<STRUCT<rule: STRING, severity: STRING, found: STRING, limit: STRING>> COMMENT 'limits that the file exceeds'
    """,
    key=("path", "run_id"),
    change_feed=True,
    version=3,
)

FILE_COLUMN = Table(
    schema="ops",
    name="file_column",
    grain="one row per loaded file and column",
    columns="""
        source STRING NOT NULL COMMENT 'name of the mapping',
        file_id STRING NOT NULL COMMENT 'the file, see ops.file_ledger',
        column_name STRING NOT NULL COMMENT 'name in the file, or of the field where a column is missing',
        decision STRING NOT NULL COMMENT 'mapped, renamed (not the first alias), ignored, new, missing (optional field)',
        field STRING COMMENT 'canonical field that it feeds',
        run_id STRING NOT NULL COMMENT 'run that loaded the file'
    """,
    key=("file_id", "column_name", "decision"),
)

RUN_STEP = Table(
    schema="ops",
    name="run_step",
    grain="one row per run and step",
    columns="""
        run_id STRING NOT NULL COMMENT 'the run',
        step STRING NOT NULL COMMENT 'the step, see pipeline.py',
        status STRING NOT NULL COMMENT 'done, unchanged (nothing to do) or failed',
        reason STRING COMMENT 'why the step had to work, or what failed',
        started_at TIMESTAMP NOT NULL COMMENT 'start of the step',
        seconds DOUBLE NOT NULL COMMENT 'wall-clock seconds',
        figures MAP<STRING, BIGINT> COMMENT 'what the step counted'
    """,
    key=("run_id", "step"),
)

RUN_AUDIT = Table(
    schema="ops",
    name="run_audit",
    grain="one row per run, step, source and audited measure",
    columns="""
        run_id STRING NOT NULL COMMENT 'the run',
        step STRING NOT NULL COMMENT 'step after which it was measured',
        source STRING COMMENT 'source, NULL for the whole lake',
        measure STRING NOT NULL COMMENT 'what must agree',
        expected DECIMAL(38,5) COMMENT 'figure on the giving side',
        actual DECIMAL(38,5) COMMENT 'figure on the taking side',
        ok BOOLEAN NOT NULL COMMENT 'expected = actual'
    """,
    key=("run_id", "step", "source", "measure"),
)

WATERMARK = Table(
    schema="ops",
    name="watermark",
    grain="one row per step, target and what it depends on: an upstream table or a part of conf",
    columns="""
        step STRING NOT NULL COMMENT 'the step',
        target STRING NOT NULL COMMENT 'table that the step writes',
        upstream STRING NOT NULL COMMENT 'table that the step read, "conf: " and a part of conf, or "made: " and a table',
        table_id STRING NOT NULL COMMENT 'Delta id of the table; another id means it was made anew',
        version BIGINT NOT NULL COMMENT 'version of the table that the target reflects, or that the step left',
        fingerprint STRING NOT NULL COMMENT 'hash of the part of conf; the date itself for as_of'
    """,
    key=("step", "target", "upstream"),
)

DELIVERY = Table(
    schema="ops",
    name="delivery",
    grain="one row per source, branch and open trading day that was delivered or is overdue",
    columns=f"""
        source STRING NOT NULL COMMENT 'name of the mapping',
        branch_id STRING NOT NULL COMMENT 'branch that the delivery is of',
        business_date DATE NOT NULL COMMENT 'trading day that should be delivered',
        period_start DATE NOT NULL COMMENT 'first day of the delivery that the day belongs to',
        due_at TIMESTAMP NOT NULL COMMENT 'instant at which the delivery has to be there, as conf says',
        exported_at TIMESTAMP COMMENT 'export time that the first delivery of the day declares (version_order)',
        status STRING NOT NULL COMMENT 'on_time, late (exported after due_at), missing (overdue), partial (numbers are missing)',
        is_file_there BOOLEAN NOT NULL COMMENT 'a file or receipts of the period have come, if not of this branch and day',
        missing_numbers BIGINT NOT NULL COMMENT 'closing and receipt numbers that the tills have counted and that did not come',
        gaps STRING COMMENT 'which ones: field, register, numbers; the first ten gaps',
        {MONTH_COLUMN}
    """,
    key=("source", "branch_id", "business_date"),
    partition_by=(MONTH,),
    sort_by=("branch_id", "business_date"),
    change_feed=True,
)

SOURCE_BRANCH = Table(
    schema="ops",
    name="source_branch",
    grain="one row per source and branch that it has delivered receipts of",
    columns="""
        source STRING NOT NULL COMMENT 'name of the mapping',
        branch_id STRING NOT NULL COMMENT 'branch',
        first_date DATE NOT NULL COMMENT 'first trading day delivered; from then on deliveries are expected'
    """,
    key=("source", "branch_id"),
)

TABLES = (FILE_LEDGER, FILE_COLUMN, DELIVERY, SOURCE_BRANCH, RUN_STEP, RUN_AUDIT, WATERMARK)
