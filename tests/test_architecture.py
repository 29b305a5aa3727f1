"""The house keeps its order: who imports whom, who writes, where time and schemas come from. Read from the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import make_docs
import pytest

from tillhouse.config import Config, load_config
from tillhouse.kpi import branch_day, metrics
from tillhouse.pipeline import STEPS, Step
from tillhouse.tables import Table, entities, gold, ops, silver, vault
from tillhouse.tables.bronze import bronze_table

ROOT = Path(__file__).resolve().parent.parent
LIB = ROOT / "lib" / "tillhouse"
MODULES = sorted(LIB.rglob("*.py"))
JOBS = sorted((ROOT / "jobs").glob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))

LAYERS = ("bronze", "silver", "identity", "gold", "kpi", "insight")
SHARED = (
    "config", "errors", "faults", "frames", "keys", "money", "products", "quality", "session", "sources", "store", "strict",
    "tables",
)  # fmt: skip
BEFORE = ("pull",)  # writes what the first layer reads; no layer knows it
AFTER = ("serving",)  # hands out what the last layers have made
KNOW_LAYERS = ("pipeline", "cli", "ops")
IN_OPS = {"delivery": ("deliveries.py",), "identity": ("identity.py",)}  # what of a step knows several layers

TABLES = (
    bronze_table("till", personal=False), *silver.TABLES, *vault.TABLES, *entities.TABLES, *gold.TABLES, *ops.TABLES,
)  # fmt: skip
# Written by commands; a step only renames the parties in the former.
BY_PEOPLE = {silver.IDENTITY_DECISION.full_name, gold.CLOSED_PERIOD.full_name}
CONTRACTS = {"silver": silver, "vault": vault, "gold": gold, "ops": ops}

# What BI, notebooks and checks rely on. More columns are welcome; one of these goes only for a reason that is written down.
PUBLIC = {
    "ops.file_ledger": "source path sha256 size_bytes status reason rows_read rows_accepted rows_rejected run_id loaded_at",
    "ops.run_audit": "run_id step source measure expected actual ok",
    "silver.exception": "exception_id rule severity source entity record_key branch_id business_date amount context owner "
    "assigned_to due_at escalate_to status first_seen_run resolved_run resolution reason decided_by decided_at",
    "silver.receipt": "receipt_key source branch_id register_id closing_id receipt_id receipt_number transaction_type status "
    "started_at ended_at business_date operator_token team channel fulfilment currency gross_amount net_amount tax_amount "
    "discount_amount party_key detail_level",
    "silver.receipt_line": "receipt_key line_number line_type product_ref gtin quantity unit unit_price gross_amount net_amount "
    "tax_amount discount_amount return_reason parent_line_number",
    "silver.party": "party_key source source_id party_type is_complete",
    "silver.consent": "party_key channel purpose state proof source at",
    "silver.identity_review": "review_id party_keys reason evidence status decision decided_by owner due_at escalate_to",
    "vault.customer": "customer_id",
    "vault.customer_field": "customer_id field party_key rule is_protected changed_at",
    "vault.consent": "customer_id channel purpose state",
    "silver.party_customer": "party_key customer_id rule score evidence valid_from_run valid_to_run",
    "gold.dim_branch": "branch_key branch_id branch_name region location format time_zone currency opened_on closed_on "
    "valid_from valid_to is_current",
    "gold.dim_product": "product_key product_id gtin product_name category_l1 category_l2 category_l3 product_line brand "
    "price_tier variant_of is_bundle valid_from valid_to is_current",
    "gold.dim_customer": "customer_key customer_id customer_type home_branch_id first_purchase_date company_id age_band "
    "postal_area language valid_from valid_to is_current",
    "gold.dim_date": "date iso_year iso_week year_month quarter year weekday is_weekend",
    "gold.fct_receipt": "receipt_key branch_id branch_key customer_id customer_key customer_status business_date started_at "
    "local_hour register_id team channel fulfilment transaction_type return_status payment_types gross_amount net_amount "
    "tax_amount discount_amount revenue_amount item_count line_count source receipt_number detail_level",
    "gold.fct_sale_line": "receipt_key line_number branch_id business_date product_key product_id line_type is_revenue "
    "is_return quantity gross_amount net_amount discount_amount",
    "gold.fct_return": "receipt_key line_number branch_id business_date product_id quantity gross_amount reason "
    "original_receipt_key original_line_number original_branch_id original_date days_to_return link_method link_confidence",
    "gold.fct_payment": "receipt_key payment_number branch_id business_date currency tender_type amount tendered_amount "
    "change_amount tip_amount foreign_currency foreign_amount",
    "gold.fct_tax": "receipt_key tax_number branch_id business_date currency told_by tax_code tax_rate net_amount tax_amount "
    "gross_amount",
    "gold.fct_discount": "receipt_key told_by discount_number branch_id business_date currency level line_number discount_type "
    "reason promotion_id discount_amount receipt_discount_amount",
    "gold.fct_contact": "record_key source contact_kind customer_id customer_status contacted_on started_at ended_at "
    "duration_seconds is_contact event channel direction campaign_id test_group branch_id branch_key branch_status",
    "gold.fct_ticket": "record_key source ticket_id customer_id customer_status ticket_type status is_open opened_at opened_on "
    "due_at closed_at closed_on hours_to_close is_closed_late branch_id branch_key branch_status product_id product_key "
    "product_status",
    "gold.fct_open_item": "record_key source item_id item_type invoice_id dunning_level customer_id customer_status issued_on "
    "due_on paid_on is_open currency amount invoiced_amount credited_amount paid_amount dunned_amount open_amount branch_id "
    "branch_key branch_status",
    "gold.warranty": "record_key source serial_number model customer_id customer_status purchased_on starts_on ends_on branch_id "
    "branch_key branch_status product_id product_key product_status",
    "gold.preference": "record_key source customer_id customer_status preference_type category value planned_on budget_amount "
    "currency product_id product_key product_status",
    "gold.kpi_branch_day": "branch_id business_date currency sales_before_returns return_amount revenue revenue_excl_tax "
    "receipts baskets items average_basket items_per_basket customers new_customers returning_customers revenue_per_customer "
    "identified_share unclear_amount excluded_amount lines_share discount_amount return_rate open_exceptions delivery_status",
    "gold.dim_holiday": "date region name",
    "gold.kpi_branch_week": "branch_id iso_year iso_week currency sales_before_returns return_amount revenue revenue_excl_tax "
    "receipts baskets items average_basket items_per_basket customers new_customers returning_customers revenue_per_customer "
    "identified_share unclear_amount excluded_amount lines_share discount_amount return_rate open_exceptions "
    "previous_week_revenue last_year_revenue change deviation_score is_anomaly anomaly_reason repurchase_rate",
    "gold.customer_state": "as_of customer_id home_branch_id last_purchase_date inactivity_days purchase_count revenue_total "
    "average_basket return_count return_rate main_return_reason favourite_category channels clv_12m churn_probability "
    "quality_score quality_colour service_level loyalty_points loyalty_tier",
    "gold.kpi_repurchase": "as_of dimension member window_days buyers repeat_buyers repurchase_rate median_days_to_next "
    "mean_days_to_next p90_days_to_next open_gaps",
    "gold.kpi_cohort": "as_of dimension member cohort_month month_number cohort_size active_customers retention revenue",
    "gold.kpi_return": "iso_year iso_week branch_id category_l1 product_line reason return_amount sales_amount return_rate "
    "expected_rate is_hotspot trend",
    "gold.segment_member": "as_of rule_set segment definition_version customer_id branch_id",
    "gold.segment_size": "as_of rule_set segment branch_id customers revenue revenue_share",
    "gold.segment_move": "rule_set from_as_of to_as_of from_segment to_segment customers",
    "gold.quality_score": "as_of customer_id score colour points",
    "gold.quality_group": "as_of points_from customers customers_cumulative",
    "gold.product_affinity": "as_of product_a product_b receipts_both support confidence lift",
    "gold.closed_period": "period closing_number first_date last_date branch_id business_date currency revenue return_amount "
    "receipts baskets closed_by closed_at reopened_by reopened_at reopen_reason",
    "gold.restatement": "period branch_id business_date currency measure published now difference cause receipt_keys",
}

each_module = pytest.mark.parametrize("path", [*MODULES, *JOBS], ids=lambda path: str(path.relative_to(ROOT)))
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.full_name)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def room_of(path: Path) -> str:
    """The folder or module right below tillhouse."""
    return path.relative_to(LIB).parts[0].removesuffix(".py")


def modules_of(room: str) -> list[Path]:
    return [path for path in MODULES if room_of(path) == room]


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything that is imported, at whatever depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide which room is meant"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_used_by(room: str) -> set[str]:
    names = {name for path in modules_of(room) for name in imports_of(tree_of(path))}
    return {name.split(".")[1] for name in names if name.startswith("tillhouse.")} - {room}


def test_every_room_is_known_to_this_test() -> None:
    assert {room_of(path) for path in MODULES} - {"__init__"} == {*LAYERS, *SHARED, *BEFORE, *AFTER, *KNOW_LAYERS}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_uses_only_the_shared_rooms(layer: str) -> None:
    assert rooms_used_by(layer) <= set(SHARED)


@pytest.mark.parametrize("room", [*SHARED, *BEFORE])
def test_a_shared_room_knows_no_layer(room: str) -> None:
    assert rooms_used_by(room) <= set(SHARED)


@pytest.mark.parametrize("room", AFTER)
def test_what_hands_out_figures_knows_the_layer_of_figures_alone(room: str) -> None:
    assert rooms_used_by(room) <= {*SHARED, "kpi", "insight"}


def test_a_pull_needs_neither_spark_nor_a_lake() -> None:
    used = {name.split(".")[0] for path in modules_of("pull") for name in imports_of(tree_of(path))}
    assert not used & {"pyspark", "delta", "pyarrow"}
    assert "store" not in rooms_used_by("pull")


def test_a_job_and_the_command_line_reach_the_layers_by_one_way() -> None:
    used = {name for path in JOBS for name in imports_of(tree_of(path)) if name.startswith("tillhouse")}
    assert used == {"tillhouse.cli.run_job"}
    assert rooms_used_by("ops") & {"pipeline", "cli"} == set()
    assert "cli" not in rooms_used_by("pipeline")


@each_module
def test_only_the_store_reads_and_writes_delta(path: Path) -> None:
    tree = tree_of(path)
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    writers = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (
            node.attr in ("writeStream", "writeTo", "saveAsTable", "insertInto")
            or (node.attr == "write" and node not in called)  # rows.write.format(...), not stream.write(text)
        )
    ]
    delta = [name for name in imports_of(tree) if name.split(".")[0] in ("delta", "deltalake")]
    named = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "DeltaTable"]
    statements = [text for text in strings_of(tree) if re.match(r"\s*(INSERT|MERGE|UPDATE|DELETE|TRUNCATE)\s+\w", text)]
    found = [*writers, *delta, *named, *statements]
    assert not found or path == LIB / "store.py"


@pytest.mark.parametrize("path", [*MODULES, *JOBS, *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_great_expectations_is_imported_in_one_place_and_not_at_start(path: Path) -> None:
    names = [name for name in imports_of(tree_of(path)) if name.split(".")[0] == "great_expectations"]
    at_start = [node for node in tree_of(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not names or path == LIB / "quality" / "expectations.py"
    assert not [name for node in at_start for name in imports_of(node) if name.split(".")[0] == "great_expectations"]


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_a_job_only_hands_over(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 25
    assert not [mark for mark in ("F.", ".withColumn", "spark.sql", ".select(") if mark in text]


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "conf")


def test_each_table_that_a_step_reads_is_written_by_an_earlier_step(config: Config) -> None:
    written: set[str] = set()
    for step in STEPS:
        assert {table.full_name for table in step.reads(config)} - BY_PEOPLE <= written, step.name
        written |= {table.full_name for table in step.writes(config)}


def test_each_table_has_one_step_that_writes_it(config: Config) -> None:
    """Exceptions are the only place where several steps tell what they have found, each what is of its own entity."""
    written = [table.full_name for step in STEPS for table in step.writes(config)]
    several = {name for name in written if written.count(name) > 1}
    assert several == {silver.EXCEPTION.full_name}
    of_the_run = {ops.RUN_STEP, ops.RUN_AUDIT, ops.WATERMARK}
    expected = {
        table.full_name for table in (*silver.TABLES, *vault.TABLES, *gold.TABLES, *ops.TABLES) if table not in of_the_run
    } - BY_PEOPLE
    assert set(written) == expected | {f"bronze.{source.name}" for source in config.sources}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_declares_every_table_that_its_layer_touches(config: Config, step: Step) -> None:
    """An undeclared table would not make the step work again when it changes."""
    reads = {table.full_name for table in step.reads(config)}
    writes = {table.full_name for table in step.writes(config)}
    paths = [] if step.name == "delivery" else modules_of(step.name)
    paths += [LIB / "ops" / name for name in IN_OPS.get(step.name, ())]
    calls = [call for path in paths for call in store_calls(tree_of(path))]
    assert calls
    assert {table for method, table in calls if method in READING} <= reads | writes
    assert {table for method, table in calls if method in WRITING} <= writes | BY_PEOPLE


READING = ("read", "read_before", "register", "version", "exists", "has_news", "changes", "touched")
WRITING = ("overwrite", "append", "replace", "replace_where", "remove")


def store_calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Calls such as ``store.read(silver.RECEIPT)``: the method and the table."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in (*READING, *WRITING):
            for argument in node.args:
                if (
                    isinstance(argument, ast.Attribute)
                    and isinstance(argument.value, ast.Name)
                    and argument.value.id in CONTRACTS
                ):
                    table = getattr(CONTRACTS[argument.value.id], argument.attr)
                    assert isinstance(table, Table)
                    yield node.func.attr, table.full_name


@each_module
def test_no_column_is_made_before_there_is_a_session(path: Path) -> None:
    made = [node for statement in tree_of(path).body for node in run_at_import(statement) if is_column_call(node)]
    assert not [f"line {node.lineno}" for node in made]


def run_at_import(node: ast.AST) -> Iterator[ast.expr]:
    """Expressions that are evaluated when a module is imported: not the bodies of functions, but their defaults."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        parts: list[ast.AST] = [*node.decorator_list, *node.args.defaults, *(part for part in node.args.kw_defaults if part)]
    elif isinstance(node, ast.Lambda):
        parts = [*node.args.defaults, *(part for part in node.args.kw_defaults if part)]
    else:
        parts = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.expr):
            yield node
    for part in parts:
        yield from run_at_import(part)


def is_column_call(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "F"
    )


def strings_of(tree: ast.AST) -> list[str]:
    """Texts in the code, without docstrings."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body and isinstance(node.body[0], ast.Expr)
    }
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
    return [node.value for node in constants if isinstance(node.value, str)]


@each_module
def test_no_figure_depends_on_the_clock(path: Path) -> None:
    """Today is the argument ``--as-of``; only a run knows when it was started."""
    clocks = {"now", "today", "utcnow", "time_ns", "current_date", "current_timestamp", "localtimestamp", "curdate"}
    tree = tree_of(path)
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [node.attr for node in called if isinstance(node, ast.Attribute)]
    names += [node.id for node in called if isinstance(node, ast.Name)]
    found = [name for name in names if name in clocks]
    found += [ast.unparse(node) for node in called if ast.unparse(node) == "time.time"]
    in_sql = r"\b(current_date|current_timestamp|localtimestamp|curdate)\b|\bnow\s*\("
    found += [text for text in strings_of(tree) if re.search(in_sql, text, re.IGNORECASE)]
    assert not found or path == LIB / "ops" / "runs.py"


@each_table
def test_every_column_of_a_contract_says_what_it_means(table: Table) -> None:
    assert not [column.name for column in make_docs.to_columns(table) if not column.comment]


@each_table
def test_key_and_layout_of_a_contract_are_columns_of_it(table: Table) -> None:
    names = [column.name for column in make_docs.to_columns(table)]
    assert len(names) == len(set(names))
    assert table.key
    assert {*table.key, *table.partition_by, *table.sort_by} <= set(names)
    assert table.grain.startswith("one row per ")


@each_table
def test_money_is_decimal_and_an_amount_is_in_cents(table: Table) -> None:
    money = {measure.name for measure in metrics.MEASURES if measure.unit == "money"}
    types = {column.name: column.type for column in make_docs.to_columns(table)}
    amounts = {name: kind for name, kind in types.items() if name.endswith(("_amount", "_price")) or name in money}
    assert {name: kind for name, kind in amounts.items() if not kind.startswith("DECIMAL")} == {}
    ratios = {"average_basket", "revenue_per_customer", "unit_price", "list_price"}
    readings = {name for name in amounts if name.startswith("_") or table is silver.RECEIPT_VERSION}
    assert {name: kind for name, kind in amounts.items() if name not in ratios | readings and kind != "DECIMAL(18,2)"} == {}


@pytest.mark.parametrize("table", gold.TABLES, ids=lambda table: table.full_name)
def test_gold_holds_no_floating_point_number(table: Table) -> None:
    assert not [column.name for column in make_docs.to_columns(table) if re.search("DOUBLE|FLOAT", column.type)]


def test_instants_and_days_have_the_type_that_their_name_says() -> None:
    for table in TABLES:
        for column in make_docs.to_columns(table):
            if column.name.endswith("_at"):
                assert column.type == "TIMESTAMP", f"{table.full_name}.{column.name}"
            if column.name.endswith(("_date", "_on")):
                assert column.type == "DATE", f"{table.full_name}.{column.name}"


@pytest.mark.parametrize("name", PUBLIC)
def test_the_public_columns_are_there(name: str) -> None:
    [table] = [table for table in TABLES if table.full_name == name]
    assert set(PUBLIC[name].split()) - {column.name for column in make_docs.to_columns(table)} == set()


def test_currency_is_a_column_wherever_money_is() -> None:
    for table in gold.TABLES:
        names = {column.name for column in make_docs.to_columns(table)}
        has_money = any(name.endswith("_amount") for name in names)
        assert "currency" in names or not has_money, table.full_name


def test_every_measure_of_a_branch_day_is_declared_once() -> None:
    columns = {column.name for column in make_docs.to_columns(gold.KPI_BRANCH_DAY)}
    names = [measure.name for measure in metrics.ALL_MEASURES]
    assert len(names) == len(set(names))
    assert set(branch_day.MEASURES) <= {measure.name for measure in metrics.RECEIPTS.measures}
    assert columns == {*branch_day.GRAIN, *branch_day.MEASURES, "excluded_amount", "open_exceptions", "delivery_status"}
    of_weeks = {column.name for column in make_docs.to_columns(gold.KPI_BRANCH_WEEK)}
    assert set(branch_day.MEASURES) <= of_weeks
