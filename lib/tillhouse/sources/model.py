"""The language of ``conf/sources/*.yml``: how an export becomes canonical records. Columns, names and styles, no logic."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tillhouse.sources import entities, fields
from tillhouse.sources.delivery import Delivery
from tillhouse.sources.json_objects import Jsonl
from tillhouse.sources.policy import Quality
from tillhouse.sources.time_zones import iana_zones
from tillhouse.strict import StrictModel, did_you_mean

Transform = Literal["strip_apostrophe", "ungroup_integer", "strip_leading_zeros", "gtin", "lower", "upper", "salesforce_id"]
_DATED = ("started_at", "ended_at", "business_date")
ABOVE = "../"  # before the name of a column of the record that a child record lies in
# The part of Spark's date patterns that means the same on every machine. In them Y, D and w are weeks and days of the year.
_DATE_PATTERN = re.compile(r"(y{4}|yy|M{1,4}|dd?|HH?|hh?|mm?|ss?|S{1,6}|a|X{1,3}|x{1,3}|Z|VV|'[^']*'|[^A-Za-z'\[\]{}#])+")
_CAPTURE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def _date_format(text: str) -> str:
    if text != "iso" and not _DATE_PATTERN.fullmatch(text):
        raise ValueError(
            f"{text!r} is no date format; write iso or letters such as dd.MM.yyyy HH:mm:ss "
            "(d day, M month, y year, H hour, m minute, s second, S fraction, XXX offset), other words in single quotes"
        )
    return text


def _encoding(text: str) -> str:
    try:
        "".encode(text)
        codecs.lookup(text)
    except (LookupError, ValueError):
        raise ValueError(f"{text!r} is unknown; for example utf-8, cp1252, iso-8859-15") from None
    return text


def _zone(text: str) -> str:
    if text not in iana_zones():
        raise ValueError(f"{text!r} is unknown{did_you_mean(text, iana_zones())}; use an IANA name such as Europe/Berlin")
    return text


def _branch_or_zone(text: str) -> str:
    return text if text == "branch" else _zone(text)


Text = Annotated[str, Field(min_length=1)]
DateFormat = Annotated[str, AfterValidator(_date_format)]
Encoding = Annotated[str, AfterValidator(_encoding)]
Zone = Annotated[str, AfterValidator(_zone)]
BranchOrZone = Annotated[str, AfterValidator(_branch_or_zone)]


class Condition(StrictModel):
    """A question to a record of the export: what stands in one column of it, named by ``aliases``."""

    aliases: tuple[Text, ...] = Field(min_length=1)
    one_of: tuple[Text, ...] = ()
    starts_with: tuple[Text, ...] = ()
    sign: Literal["positive", "negative"] | None = None
    is_given: bool | None = None

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        _exactly_one(self, ("one_of", "starts_with", "sign", "is_given"), "for example {aliases: [Typ], one_of: [Refund]}")
        return self


class Alternative(StrictModel):
    """A kind of child record: it fulfils every condition of ``when``."""

    when: tuple[Condition, ...] = Field(min_length=1)


class Unpivoted(StrictModel):
    """An amount in a column of its own that is a line or payment by itself, wherever it is neither empty nor 0."""

    aliases: tuple[Text, ...] = Field(min_length=1)
    when: tuple[Condition, ...] = ()
    values: dict[str, Text] = Field(default_factory=dict)
    negative: bool = False

    @property
    def asked_columns(self) -> tuple[str, ...]:
        """Names in the export that it looks at."""
        return (*self.aliases, *(name for condition in self.when for name in condition.aliases))


class Case(StrictModel):
    """Where a field comes from in records that fulfil every condition of ``when``."""

    when: tuple[Condition, ...]
    aliases: tuple[Text, ...] = ()
    join: tuple[Text, ...] = ()
    value: Text | None = None
    empty: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        _exactly_one(self, ("aliases", "join", "value", "empty"), "for example value: VOIDED")
        return self

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Names in the export that the case looks at."""
        asked = (name for condition in self.when for name in condition.aliases)
        return (*self.aliases, *without_constants(self.join), *asked)


class Column(StrictModel):
    """Where one canonical field comes from: exactly one origin, and ``cases``, the first of which that holds goes before it.

    ``aliases`` are the names that one column has had in the export over time; where a record has several of them filled,
    the first counts. ``default`` is used where the record has none, and is read like the record's own text. A field of several
    texts takes them from each column of ``collect``; ``separator`` parts several that stand in one cell.
    """

    aliases: tuple[Text, ...] = ()
    collect: tuple[Text, ...] = ()
    separator: str | None = Field(default=None, min_length=1, max_length=3)
    join: tuple[Text, ...] = ()
    sum: tuple[Text, ...] = ()
    multiply: tuple[Text, ...] = ()
    minus: tuple[Text, ...] = ()
    percent: Text | None = None
    from_path: Text | None = None
    value: Text | None = None
    cases: tuple[Case, ...] = ()
    required: bool = False
    default: Text | None = None
    transform: Transform | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = ("aliases", "collect", "join", "sum", "multiply", "from_path", "value")
        if not self.cases or any(getattr(self, name) for name in origins):
            _exactly_one(self, origins, "for example {aliases: [Name in the export]}")
        if self.cases and (self.sum or self.multiply):
            raise ValueError("cases choose between texts; sum and multiply have none")
        if self.minus and not (self.sum or self.multiply):
            raise ValueError("minus goes with sum or multiply, for example {sum: [Price], minus: [Discount]}")
        if self.percent and not self.multiply:
            raise ValueError("percent goes with multiply, for example {multiply: [Quantity, Price], percent: Discount}")
        return self

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Names in the export that feed the field."""
        return self.aliases or self.collect or without_constants(self.join) or self.sum or self.multiply

    @property
    def origins(self) -> tuple[str, ...]:
        """Names in the export that its text may come from."""
        return (*self.raw_columns, *(name for case in self.cases for name in (*case.aliases, *without_constants(case.join))))

    @property
    def asked_columns(self) -> tuple[str, ...]:
        """Further names in the export that it looks at, none of which a file must have."""
        share = () if self.percent is None else (self.percent,)
        return (*self.minus, *share, *(name for case in self.cases for name in case.raw_columns))


def _asked(unpivoted: Iterable[Unpivoted]) -> Iterable[str]:
    return (name for item in unpivoted for name in item.asked_columns)


def _exactly_one(model: StrictModel, names: Iterable[str], example: str) -> None:
    names = tuple(names)
    given = [name for name in names if getattr(model, name) not in ((), None)]
    if len(given) != 1:
        raise ValueError(
            f"needs exactly one of {', '.join(names)}, but has {' and '.join(given) or 'none'}; "
            + ("keep one of them" if given else example)
        )


def constant(part: str) -> str | None:
    """The text of a part of ``join`` in single quotes, which stands for itself; None for the name of a column."""
    return part[1:-1] if len(part) > 1 and part.startswith("'") and part.endswith("'") else None


def without_constants(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for part in parts if constant(part) is None)


class Locale(StrictModel):
    """How numbers are written. ``1.234`` is 1234 or 1.234 only by declaration."""

    decimal: Literal[".", ","] = "."
    grouping: Literal["", ".", ",", "'", " "] = ""
    strip: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.decimal == self.grouping:
            raise ValueError(f"decimal and grouping are both {self.decimal!r}; numbers would be ambiguous")
        if any(character in "0123456789+-()" for mark in self.strip for character in mark):
            raise ValueError("strip names what may stand beside a number, such as € or EUR; no digit, sign or parenthesis")
        return self


class Csv(StrictModel):
    """Layout of a text table. ``quote: ''`` for a system that does not quote its texts."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)
    skip_rows: int = Field(default=0, ge=0)
    footer_prefix: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.quote!r}; they must differ")
        if not (self.delimiter + self.quote).isascii() or self.delimiter in "\r\n":
            raise ValueError("delimiter and quote must be plain ASCII characters, such as ; , | or a tab")
        return self


class Workbook(StrictModel):
    """Which sheet of a workbook holds the records, and where they begin."""

    sheet: Text | None = None
    skip_rows: int = Field(default=0, ge=0)
    footer_prefix: tuple[Text, ...] = ()


class Xml(StrictModel):
    """Which elements of an XML document are records, and how their inner elements become columns.

    Names are those of elements without namespace. A column is the path of an element below the record, with / between, and @
    before the name of an attribute.
    """

    record: Text = "Transaction"
    lists: tuple[Text, ...] = ()
    lifted: tuple[Text, ...] = ()
    told_apart_by: dict[str, Text] = Field(default_factory=dict)


class Consent(StrictModel):
    """What one column of the export tells of the consent of a person, for one channel and purpose.

    Its texts mean yes or no where nothing is listed. Blank is unknown. ``inverted``: it is an opt-out, so that yes means denied;
    no is unknown, unless the mapping says ``granted_unless_opted_out``.
    """

    channel: Literal["email", "phone", "sms", "whatsapp", "push", "post", "fax", "any"]
    purpose: Literal["marketing", "scoring", "survey"] = "marketing"
    aliases: tuple[Text, ...] = Field(min_length=1)
    granted: tuple[Text, ...] = ()
    denied: tuple[Text, ...] = ()
    unknown: tuple[Text, ...] = ()
    inverted: bool = False
    granted_unless_opted_out: bool = False
    proof: tuple[Text, ...] = ()
    at: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.inverted and (self.granted or self.denied):
            raise ValueError("inverted turns yes and no; where granted or denied are listed they say it themselves")
        if self.granted_unless_opted_out and not self.inverted:
            raise ValueError("granted_unless_opted_out says what no means in an opt-out; it goes with inverted: true")
        listed = [text for texts in (self.granted, self.denied, self.unknown) for text in texts]
        twice = sorted({text for text in listed if listed.count(text) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands in more than one of granted, denied, unknown; keep one")
        return self

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Names in the export that it looks at."""
        return (*self.aliases, *self.proof, *self.at)


class CarryDown(StrictModel):
    """Columns that an export fills only on the first row of each document; ``group_by`` begins a new one."""

    group_by: Text
    columns: tuple[Text, ...] = Field(min_length=1)


class Children(StrictModel):
    """Which child records of a record count, and how they are read."""

    only: tuple[Alternative, ...] = ()
    negative: tuple[Condition, ...] = ()
    columns: dict[str, Column]

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the child records that the mapping looks at."""
        return tuple(name for name in self._all_names if not name.startswith(ABOVE))

    @property
    def names_above(self) -> tuple[str, ...]:
        """Names in the record that holds the child records (written with ``../``) that the mapping looks at."""
        return tuple(name.removeprefix(ABOVE) for name in self._all_names if name.startswith(ABOVE))

    @property
    def asked_columns(self) -> tuple[str, ...]:
        """Names that only conditions look at."""
        conditions = (*(condition for kind in self.only for condition in kind.when), *self.negative)
        return tuple(name for condition in conditions for name in condition.aliases)

    @property
    def _all_names(self) -> tuple[str, ...]:
        mapped = (name for column in self.columns.values() for name in (*column.raw_columns, *column.asked_columns))
        return tuple(dict.fromkeys((*mapped, *self.asked_columns)))


class Nested(Children):
    """Child records inside a record, such as the lines of a JSON receipt."""

    path: Text


class Details(Children):
    """Payments, taxes or the like: child records as ``Nested``, or without ``path`` one in each record that tells one.

    ``level: line``: they lie in the lines, in place of the receipt.
    """

    path: Text | None = None
    level: Literal["receipt", "line"] = "receipt"
    unpivot: tuple[Unpivoted, ...] = ()

    @property
    def asked_columns(self) -> tuple[str, ...]:
        """Names that only conditions and amounts of their own look at."""
        return (*super().asked_columns, *_asked(self.unpivot))


def _as_list(value: object) -> object:
    """One mapping counts as a list of one."""
    return [value] if isinstance(value, dict) else value


SeveralDetails = Annotated[tuple[Details, ...], BeforeValidator(_as_list)]
SeveralLines = Annotated[tuple[Nested, ...], BeforeValidator(_as_list)]


class VersionOrder(StrictModel):
    """What orders two versions of the same record: a change time in the record or the export time of the file."""

    aliases: tuple[Text, ...] = ()
    from_path: Text | None = None
    date_formats: tuple[DateFormat, ...] = Field(min_length=1)
    timezone: Zone = "UTC"

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.aliases) == bool(self.from_path):
            raise ValueError("needs exactly one of aliases (a column) and from_path (a name captured from the path)")
        return self


class Source(StrictModel):
    """One export of one system.

    ``file_pattern`` is a path below the landing area: ``*`` stands for anything but ``/``, ``{name}`` captures such a part.
    """

    name: str = Field(alias="source", pattern=r"^[a-z][a-z0-9_]*$")
    entity: Literal[
        "receipt", "product", "branch", "contact", "ticket", "interaction", "campaign", "campaign_contact", "coupon",
        "coupon_redemption", "web_event", "open_item", "survey_answer", "preference", "warranty", "plan", "product_reference",
        "category", "bundle_component", "price_list", "stock",
    ]  # fmt: skip
    description: Text
    owner: Text
    due_days: int = Field(default=7, ge=0)
    format: Literal["csv", "jsonl", "xlsx", "parquet", "xml", "gdpdu_zip"]
    file_pattern: Text
    encoding: Encoding = "utf-8"
    csv: Csv = Csv()
    jsonl: Jsonl = Jsonl()
    workbook: Workbook = Workbook()
    xml: Xml = Xml()
    locale: Locale = Locale()
    date_formats: tuple[DateFormat, ...] = ()
    timezone: BranchOrZone = "branch"
    timezone_column: tuple[Text, ...] = ()
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    phone_region: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    depth: Literal["lines", "categories", "totals"] = "lines"
    document: Literal["receipt", "day"] = "receipt"
    sign_rule: Literal["signed", "by_quantity", "by_type"] = "signed"
    void_rule: Literal["signed", "as_original"] = "signed"
    line_number: Literal["column", "ordinal", "by_content"] = "column"
    registers: Literal["of_branch", "of_chain"] = "of_branch"
    line_rows: tuple[Alternative, ...] = ()
    unpivot_lines: tuple[Unpivoted, ...] = ()
    pays: Text | None = None
    personal_data: bool = False
    new_columns: Literal["keep", "reject"] = "keep"
    ignored_columns: tuple[Text, ...] = ()
    carry_down: CarryDown | None = None
    columns: dict[str, Column]
    lines: SeveralLines = ()
    payments: SeveralDetails = ()
    taxes: SeveralDetails = ()
    references: SeveralDetails = ()
    adjustments: SeveralDetails = ()
    closing_totals: SeveralDetails = ()
    consent: tuple[Consent, ...] = ()
    value_maps: dict[str, dict[str, str]] = Field(default_factory=dict)
    version_order: VersionOrder | None = None
    delivery: Delivery | None = None
    quality: Quality | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = [
            *self._problems_of_pattern(),
            *self._problems_of_delivery(),
            *self._problems_of_quality(),
            *self._problems_of_layout(),
            *self._unknown_fields(),
            *self._missing_fields(),
            *self._problems_of_fields(),
            *self._problems_of_entity(),
        ]
        if problems:
            raise ValueError("\n".join(f"key {key!r}: {problem}" for key, problem in problems))
        return self

    @property
    def conf_file(self) -> str:
        return f"conf/sources/{self.name}.yml"

    @property
    def without_policy(self) -> Self:
        """What decides how records are read; the limits for files do not."""
        return self.model_copy(update={"quality": None})

    @property
    def captures(self) -> tuple[str, ...]:
        return tuple(_CAPTURE.findall(self.file_pattern))

    @property
    def details(self) -> dict[str, tuple[Details, ...]]:
        """What is mapped beside receipts and lines, by its key."""
        return {kind: getattr(self, kind) for kind in fields.DETAILS if getattr(self, kind)}

    @property
    def nested_paths(self) -> tuple[str, ...]:
        """Columns of a record that hold child records."""
        lines = (item.path for item in self.lines)
        of_receipt = (item.path for items in self.details.values() for item in items if item.path and item.level == "receipt")
        return tuple(dict.fromkeys((*lines, *of_receipt)))

    def is_list(self, path: str) -> bool:
        """Whether the element at a path of an XML record comes several times: it, or the end of its path, is in ``xml.lists``."""
        return any(path == name or path.endswith(f"/{name}") for name in self.xml.lists)

    def tells(self, field: str) -> bool:
        """Whether a field of receipts or lines is mapped."""
        return field in self.columns or any(field in item.columns for item in self.lines)

    def tells_detail(self, kind: str, field: str) -> bool:
        """Whether a field of what is told beside lines is mapped; ``kind`` as in ``details``."""
        return any(field in item.columns for item in self.details.get(kind, ()))

    @property
    def line_names(self) -> tuple[str, ...]:
        """Names in nested lines that the mapping looks at, whichever list they lie in."""
        return tuple(dict.fromkeys(name for item in self.lines for name in item.names))

    @property
    def lists_of_lines(self) -> range:
        """Numbers of the lists that lines are read from; 0 where records are lines themselves."""
        return range(len(self.lines) or 1)

    @property
    def placed_lines(self) -> list[tuple[str, Nested]]:
        """Each list of lines with its place in the mapping: ``lines``, or ``lines[1]`` where there are several."""
        return [("lines" if len(self.lines) == 1 else f"lines[{number}]", item) for number, item in enumerate(self.lines)]

    @property
    def placed_details(self) -> list[tuple[str, str, Details]]:
        """Kind, place in the mapping (``taxes``, or ``taxes[1]`` where there are several) and what stands there."""
        return [
            (kind, kind if len(items) == 1 else f"{kind}[{number}]", item)
            for kind, items in self.details.items()
            for number, item in enumerate(items)
        ]

    @property
    def asked_columns(self) -> tuple[str, ...]:
        """Names in the export that no field is read from, but that the mapping looks at."""
        asked = (name for kind in self.line_rows for condition in kind.when for name in condition.aliases)
        return (*self.timezone_column, *asked, *_asked(self.unpivot_lines))

    @property
    def amounts_paid(self) -> tuple[str, ...]:
        """Columns that tell a payment each; a file must have one of them."""
        return tuple(name for item in self.payments for part in item.unpivot for name in part.aliases)

    @property
    def needed(self) -> list[dict[str, tuple[str, ...]]]:
        """Fields that a file must have a column for, with that column's names; of each group at least one."""
        groups = [
            {field.name if place in ("columns", "lines.columns") else f"{place}.{field.name}": mapped[field.name].raw_columns}
            for place, mapped, known in self._mapped()
            for field in known
            if field.name in mapped and (field.required or mapped[field.name].required or self._is_numbered(field.name))
        ]
        if self.entity == "receipt":
            groups.append({name: self.columns[name].raw_columns for name in _DATED if name in self.columns})
        if self.lines:
            groups.append({item.path: (item.path,) for item in self.lines})
        if self.amounts_paid:
            groups.append({"payments.unpivot": self.amounts_paid})
        given = {name for _, mapped, _ in self._mapped() for name, column in mapped.items() if column.default}
        groups = [group for group in groups if not given & group.keys()]
        return [group for group in [*groups, *self._needed_of_payments()] if all(group.values())]

    def _needed_of_payments(self) -> list[dict[str, tuple[str, ...]]]:
        """Where several columns tell one payment each, one of them is enough."""
        payments = [(place, item.columns) for kind, place, item in self.placed_details if kind == "payments"]
        required = {
            f"{place}.{field.name}": columns[field.name].raw_columns
            for place, columns in payments
            for field in fields.PAYMENT_FIELDS
            if field.name in columns and (field.required or columns[field.name].required) and not columns[field.name].default
        }
        if len(payments) > 1:
            return [{name: columns for name, columns in required.items() if name.endswith(".payment_amount")}]
        return [{name: columns} for name, columns in required.items()]

    def match_path(self, path: str) -> dict[str, str] | None:
        """What ``file_pattern`` captures from a path below the landing area; None if the path is not of this source."""
        return _captured(self.file_pattern, path)

    def has_control_at(self, path: str) -> bool:
        """Whether a path is that of a control file, which states what a file holds and is none of the source itself."""
        control = self.quality.control_file if self.quality else None
        return control is not None and _captured(control.pattern, path) is not None

    def _is_numbered(self, field: str) -> bool:
        return field == "line_number" and self.line_number == "column" and self.depth == "lines"

    def _unpivoted(self, place: str) -> set[str]:
        """Fields of payments that ``unpivot`` fills, so that no column has to."""
        items = [part for _, key, item in self.placed_details if place == f"{key}.columns" for part in item.unpivot]
        if not items:
            return set()
        return {"payment_amount"} | set(items[0].values).intersection(*(item.values for item in items))

    def _mapped(self) -> list[tuple[str, Mapping[str, Column], tuple[fields.Field, ...]]]:
        """The mapped columns by place, each with the fields that may be filled there."""
        mapped: list[tuple[str, Mapping[str, Column], tuple[fields.Field, ...]]] = []
        if not self.lines:
            mapped.append(("columns", self.columns, entities.FIELDS[self.entity]))
        else:
            mapped.append(("columns", self.columns, fields.RECEIPT_FIELDS))
            mapped += [(f"{place}.columns", item.columns, fields.LINE_FIELDS) for place, item in self.placed_lines]
        return mapped

    def _all_mapped(self) -> list[tuple[str, Mapping[str, Column], tuple[fields.Field, ...]]]:
        """As ``_mapped``, with what is mapped beside receipts and lines."""
        details = [(f"{place}.columns", item.columns, fields.DETAILS[kind].fields) for kind, place, item in self.placed_details]
        return [*self._mapped(), *details]

    def _problems_of_pattern(self) -> Iterable[tuple[str, str]]:
        rest = _CAPTURE.sub("", self.file_pattern)
        if "{" in rest or "}" in rest:
            yield "file_pattern", f"{self.file_pattern!r}: write a captured part as {{name}} in small letters, digits and _"
        if self.file_pattern.startswith(("/", "./")) or "\\" in rest:
            yield "file_pattern", f"{self.file_pattern!r}: write the path below the landing area, with / between folders"
        for name in sorted({name for name in self.captures if self.captures.count(name) > 1}):
            yield "file_pattern", f"{{{name}}} is captured twice; give the second one another name"

    def _problems_of_delivery(self) -> Iterable[tuple[str, str]]:
        if self.delivery is None:
            return
        if self.entity != "receipt":
            yield "delivery", f"is told of receipts only, this source is a {self.entity}; remove the key"
        for key in ("from_path", "branch_from_path"):
            name = getattr(self.delivery, key)
            if name and name not in self.captures:
                yield f"delivery.{key}", self._not_captured(name)
        mapped = self.columns.keys()
        for name, counter in self.delivery.numbered.items():
            needed = {name, "register_id"} | ({"closing_id"} if counter == "closing" else set())
            for missing in sorted(needed - mapped):
                yield f"delivery.numbered.{name}", f"needs the field {missing}; map it under columns"

    def _problems_of_quality(self) -> Iterable[tuple[str, str]]:
        if self.quality is None:
            return
        control, trailer = self.quality.control_file, self.quality.trailer
        for name in _CAPTURE.findall(control.pattern) if control else ():
            if name not in self.captures:
                yield "quality.control_file.pattern", self._not_captured(name)
        if trailer is not None and (self.format != "csv" or trailer.prefix not in self.csv.footer_prefix):
            yield (
                "quality.trailer.prefix",
                f"only a text table has a trailer, and {trailer.prefix!r} must be one of csv.footer_prefix, or the line would "
                "count as a record",
            )
        if self.quality.stated_totals is not None and "stated_gross_amount" not in self.columns:
            yield "quality.stated_totals", "needs the field stated_gross_amount; map it under columns"
        is_timed = self.version_order is not None and self.version_order.from_path is not None
        if self.quality.delay is not None and not (is_timed and self.delivery is not None and self.delivery.from_path):
            yield "quality.delay", "needs delivery.from_path (the period) and version_order.from_path (the time of the export)"

    def _problems_of_layout(self) -> Iterable[tuple[str, str]]:
        for place, nested in self.placed_lines:
            yield from self._problems_of_children(place, nested.path)
        if len(self.lines) > 1 and self.line_number == "column":
            yield "line_number", "several lists of lines are counted one after the other; say line_number: ordinal"
        for kind, place, item in self.placed_details:
            yield from self._problems_of_details(kind, place, item)
        if self.carry_down is not None and self.format not in ("csv", "xlsx"):
            yield "carry_down", "is for tables, which repeat the fields of a receipt on each row; remove the key"
        if self.entity != "receipt":
            if self.carry_down is not None:
                yield "carry_down", f"is for receipts, this source is a {self.entity}; remove the key"
            return
        yield from self._problems_of_parts()
        if len({item.level for item in self.taxes}) > 1:
            yield "taxes", "are told for lines or for receipts, not for both: they would count twice"
        if self._is_numbered("line_number") and not self.tells("line_number"):
            yield "line_number", "column needs the field line_number; map it or say line_number: ordinal"
        if self.document == "day" and self.depth == "lines":
            yield "document", "day needs depth: categories or totals"
        if self.void_rule == "as_original" and not self.tells("is_void"):
            yield "void_rule", "as_original needs the field is_void; map it"
        if self.sign_rule == "by_type" and "transaction_type" not in self.columns:
            yield "sign_rule", "by_type needs the field transaction_type; map it under columns"

    def _problems_of_children(self, key: str, path: str) -> Iterable[tuple[str, str]]:
        if self.entity != "receipt":
            yield key, f"only a receipt has {key}, this source is a {self.entity}; remove the key"
        elif self.format in ("csv", "xlsx"):
            yield key, "a table has no nested records; map its columns under columns"
        elif self.format == "xml" and not self.is_list(path):
            yield f"{key}.path", f"ends in no name of xml.lists ({', '.join(self.xml.lists) or 'none'}); name the element there"

    def _problems_of_details(self, kind: str, place: str, item: Details) -> Iterable[tuple[str, str]]:
        known = fields.DETAILS[kind]
        if item.path or self.entity != "receipt":
            yield from self._problems_of_children(place, item.path or "")
        if item.level == "line" and not known.may_be_of_line:
            yield f"{place}.level", f"a {known.meaning} is of no line; remove the key"
        if item.level == "line" and "line_number" in item.columns:
            yield f"{place}.columns.line_number", "is that of the line that holds it (level: line); remove it"
        if item.level == "line" and not self.lines and self.line_number == "by_content":
            yield f"{place}.level", "line needs lines that are numbered by a column or in the order of the file"
        if item.unpivot:
            yield from self._problems_of_unpivot(kind, place, item)
            return
        told_by = [item.columns[name] for name in known.told_by if name in item.columns]
        if not told_by and len(known.told_by) > 1:
            yield f"{place}.columns", f"one of {', '.join(known.told_by)} is missing"
        elif told_by and not item.path and not any(column.origins for column in told_by):
            name = next(name for name in known.told_by if name in item.columns)
            yield f"{place}.columns.{name}", f"must be read from a column, or every row would be a {known.meaning}; or name path"

    def _problems_of_unpivot(self, kind: str, place: str, item: Details) -> Iterable[tuple[str, str]]:
        if kind != "payments":
            yield f"{place}.unpivot", f"is for payments; write a list of {kind}, one for each column"
        elif item.path:
            yield f"{place}.unpivot", "is for payments told in columns of the record; name either path or unpivot"
        elif "payment_amount" in item.columns:
            yield f"{place}.columns.payment_amount", f"is what {place}.unpivot tells; remove one of them"

    def _problems_of_parts(self) -> Iterable[tuple[str, str]]:
        for key in ("line_rows", "unpivot_lines"):
            if getattr(self, key) and self.lines:
                yield (
                    key,
                    "is for records that are lines themselves; these are nested under lines: say lines.only, or remove the key",
                )
        if self.pays is not None and not self.payments:
            yield "pays", "says whose receipts the payments belong to; map payments, or remove the key"
        kind = self.columns.get("transaction_type")
        if self.pays is not None and (kind is None or kind.value not in fields.NO_SALES):
            yield "pays", "its documents must not count beside those that they pay; say transaction_type: {value: CONTROL}"
        if self.pays == self.name:
            yield "pays", "names this source itself; remove the key"
        yield from self._problems_of_unpivoted()

    def _problems_of_unpivoted(self) -> Iterable[tuple[str, str]]:
        places = [("unpivot_lines", self.unpivot_lines, fields.LINE_FIELDS)] + [
            (f"{place}.unpivot", item.unpivot, fields.PAYMENT_FIELDS) for _, place, item in self.placed_details
        ]
        for place, items, known in places:
            allowed = {field.name: field for field in known if field.type in ("text", "code")}
            for number, item in enumerate(items):
                for name, text in item.values.items():
                    key = f"{place}[{number}].values.{name}"
                    if name not in allowed:
                        yield key, f"is none of {', '.join(allowed)}{did_you_mean(name, allowed)}"
                    elif allowed[name].allowed and text not in allowed[name].allowed:
                        yield key, f"{text!r} is not allowed. Allowed: {', '.join(allowed[name].allowed)}"

    def _unknown_fields(self) -> Iterable[tuple[str, str]]:
        for place, mapped, known in self._all_mapped():
            allowed = [field.name for field in known]
            for name in mapped:
                if name not in allowed:
                    hint = did_you_mean(name, allowed)
                    kind = fields.DETAILS.get(re.split(r"[.\[]", place)[0])
                    what = kind.meaning if kind else self.entity
                    yield f"{place}.{name}", f"no such field of a {what}{hint}. Allowed here: {', '.join(allowed)}"
        names = {name for _, mapped, _ in self._all_mapped() for name in mapped}
        for name in self.value_maps:
            if name not in names:
                yield f"value_maps.{name}", f"the field is not mapped{did_you_mean(name, names)}; map it under columns"

    def _missing_fields(self) -> Iterable[tuple[str, str]]:
        for place, mapped, known in self._all_mapped():
            for field in known:
                implied = field.name == "receipt_id" and self.document == "day"
                implied |= field.name in self._unpivoted(place)
                if field.required and field.name not in mapped and not implied:
                    yield f"{place}.{field.name}", f"is missing ({field.meaning}); say which column holds it"
        if self.entity == "receipt" and not set(_DATED) & self.columns.keys():
            yield "columns", f"one of {', '.join(_DATED)} is missing; a receipt needs a day"
        if self.registers == "of_chain" and "register_id" not in self.columns:
            yield "registers", "of_chain needs the field register_id; map it under columns"
        personal = [f.name for _, mapped, known in self._all_mapped() for f in known if f.personal and f.name in mapped]
        declared = entities.BY_NAME.get(self.entity)
        if declared is not None and declared.personal and not personal:
            personal = [f"a {self.entity}"]
        if personal and not self.personal_data:
            yield "personal_data", f"must be true, because {', '.join(personal)} is personal data; bronze then lies in the vault"

    def _problems_of_fields(self) -> Iterable[tuple[str, str]]:
        for place, mapped, known in self._all_mapped():
            for field in known:
                if field.name in mapped:
                    yield from self._problems_of_field(f"{place}.{field.name}", field, mapped[field.name])
        order = self.version_order
        if order and order.from_path and order.from_path not in self.captures:
            yield "version_order.from_path", self._not_captured(order.from_path)

    def _problems_of_entity(self) -> Iterable[tuple[str, str]]:
        """What holds for records that are neither receipts nor products nor branches."""
        if self.consent and self.entity != entities.CONTACT:
            yield "consent", f"is told of contacts, this source is a {self.entity}; remove the key"
        if any(item.at for item in self.consent) and not self.date_formats:
            yield "date_formats", "is missing; say how the times of consent are written, for example [iso]"
        if self.entity not in entities.BY_NAME:
            return
        mapped = {field.name: field for field in entities.FIELDS[self.entity] if field.name in self.columns}
        times = [name for name, field in mapped.items() if field.type == "instant"] + ["consent.at"] * any(
            item.at for item in self.consent
        )
        if times and self.timezone == "branch":
            yield "timezone", f"must be named for {', '.join(times)}, because no branch tells it; for example Europe/Berlin"
        phones = [name for name, field in mapped.items() if field.identifier == "phone"]
        if phones and self.phone_region is None:
            yield "phone_region", f"is missing; say of which country {', '.join(phones)} without prefix are, for example DE"

    def _problems_of_field(self, key: str, field: fields.Field, column: Column) -> Iterable[tuple[str, str]]:
        values = self.value_maps.get(field.name, {})
        allowed = field.allowed or (("true", "false") if field.type == "boolean" else ())
        wrong = sorted(set(values.values()) - set(allowed)) if allowed else ()
        if wrong:
            yield f"value_maps.{field.name}", f"{', '.join(wrong)} is not allowed. Allowed: {', '.join(allowed)}"
        cases = [(f"cases[{number}].value", case.value) for number, case in enumerate(column.cases)]
        for name, text in (("value", column.value), ("default", column.default), *cases):
            if field.allowed and text is not None and text not in field.allowed and text not in values:
                hint = did_you_mean(text, field.allowed)
                yield f"{key}.{name}", f"{text!r} is not allowed{hint}. Allowed: {', '.join(field.allowed)}"
        if field.type in ("instant", "date") and not self.date_formats:
            yield "date_formats", f"is missing; say how {field.name} is written, for example [dd.MM.yyyy HH:mm:ss] or [iso]"
        is_number = field.type in ("amount", "price", "quantity")
        for name in ("sum", "multiply"):
            if getattr(column, name) and not is_number:
                yield f"{key}.{name}", "is for numbers; use join for text"
        for name in ("collect", "separator"):
            if getattr(column, name) and field.type != "texts":
                yield f"{key}.{name}", "is for fields of several texts; use aliases, of which the first that is filled counts"
        if column.join and is_number:
            yield f"{key}.join", "makes a text of several columns; use sum for amounts"
        if column.from_path and column.from_path not in self.captures:
            yield f"{key}.from_path", self._not_captured(column.from_path)

    def _not_captured(self, name: str) -> str:
        hint = did_you_mean(name, self.captures)
        return f"{name!r} is not captured in file_pattern {self.file_pattern!r}{hint}; write {{{name}}} where the path holds it"


def _captured(pattern: str, path: str) -> dict[str, str] | None:
    parts = re.split(r"(\*|\{[a-z][a-z0-9_]*\})", _composed(pattern))
    expression = "".join(
        "[^/]*" if part == "*" else f"(?P<{part[1:-1]}>[^/]+?)" if part.startswith("{") else re.escape(part) for part in parts
    )
    found = re.fullmatch(expression, _composed(path))
    return found.groupdict() if found else None


def _composed(text: str) -> str:
    """Umlauts as one character; some systems write them in paths as two."""
    return unicodedata.normalize("NFC", text)
