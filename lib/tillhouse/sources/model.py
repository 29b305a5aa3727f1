"""The language of ``conf/sources/*.yml``: how an export becomes canonical records. Columns, names and styles, no logic."""

from __future__ import annotations

import re
from typing import Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, model_validator

from tillhouse.sources import fields
from tillhouse.strict import StrictModel

Transform = Literal["strip_apostrophe", "ungroup_integer", "strip_leading_zeros", "gtin", "lower", "upper"]


class Column(StrictModel):
    """Where one canonical field comes from: exactly one of ``aliases``, ``join``, ``sum``, ``from_path``, ``value``."""

    aliases: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    sum: tuple[str, ...] = ()
    from_path: str | None = None
    value: str | None = None
    required: bool = False
    default: str | None = None
    transform: Transform | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [name for name in ("aliases", "join", "sum", "from_path", "value") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of aliases, join, sum, from_path, value, but has {given or 'none'}")
        return self

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Names in the export that feed the field."""
        return self.aliases or self.join or self.sum


class Locale(StrictModel):
    """How numbers are written. ``1.234`` is 1234 or 1.234 only by declaration."""

    decimal: Literal[".", ","] = "."
    grouping: Literal["", ".", ",", "'", " "] = ""
    strip: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.decimal == self.grouping:
            raise ValueError(f"decimal and grouping are both {self.decimal!r}; numbers would be ambiguous")
        return self


class Csv(StrictModel):
    """Layout of a text table."""

    delimiter: str = Field(",", min_length=1, max_length=1)
    quote: str = Field('"', min_length=1, max_length=1)
    skip_rows: int = Field(0, ge=0)
    footer_prefix: tuple[str, ...] = ()


class Nested(StrictModel):
    """Child records inside a record, such as the lines of a JSON receipt."""

    path: str
    columns: dict[str, Column]


class VersionOrder(StrictModel):
    """What orders two versions of the same record: a change time in the record or the export time of the file."""

    aliases: tuple[str, ...] = ()
    from_path: str | None = None
    date_formats: tuple[str, ...] = Field(min_length=1)
    timezone: str = "UTC"

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
    entity: Literal["receipt", "product", "branch"]
    description: str
    owner: str
    due_days: int = Field(7, ge=0)
    format: Literal["csv", "jsonl"]
    file_pattern: str
    encoding: str = "utf-8"
    csv: Csv = Csv()  # type: ignore[call-arg]
    locale: Locale = Locale()
    date_formats: tuple[str, ...] = ()
    timezone: str = "branch"
    currency: str | None = None
    depth: Literal["lines", "categories", "totals"] = "lines"
    document: Literal["receipt", "day"] = "receipt"
    sign_rule: Literal["signed", "by_quantity", "by_type"] = "signed"
    line_number: Literal["column", "ordinal"] = "column"
    personal_data: bool = False
    new_columns: Literal["keep", "reject"] = "keep"
    ignored_columns: tuple[str, ...] = ()
    columns: dict[str, Column]
    lines: Nested | None = None
    payments: Nested | None = None
    value_maps: dict[str, dict[str, str]] = {}
    version_order: VersionOrder | None = None

    @model_validator(mode="after")
    def _fits_its_entity(self) -> Self:
        problems = [*self._unknown_fields(), *self._missing_fields(), *self._bad_values(), *self._bad_layout()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unknown_fields(self) -> list[str]:
        problems = []
        for place, mapped, known in self._mapped():
            for name in mapped:
                if name not in {field.name for field in known}:
                    allowed = ", ".join(field.name for field in known)
                    problems.append(f"{place}.{name}: no such field of entity {self.entity}. Allowed: {allowed}")
        return problems

    def _mapped(self) -> list[tuple[str, dict[str, Column], tuple[fields.Field, ...]]]:
        if self.lines is None:
            mapped = [("columns", self.columns, fields.ENTITY_FIELDS[self.entity])]
        else:
            mapped = [
                ("columns", self.columns, fields.RECEIPT_FIELDS),
                ("lines.columns", self.lines.columns, fields.LINE_FIELDS),
            ]
        if self.payments is not None:
            mapped.append(("payments.columns", self.payments.columns, fields.PAYMENT_FIELDS))
        return mapped

    def _missing_fields(self) -> list[str]:
        problems = [
            f"{place}.{field.name} ({field.meaning}) must be mapped"
            for place, mapped, known in self._mapped()
            for field in known
            if field.required and field.name not in mapped and not self._implied(field.name)
        ]
        if self.entity == "receipt" and not {"started_at", "ended_at", "business_date"} & self.columns.keys():
            problems.append("columns: one of started_at, ended_at, business_date must be mapped")
        personal = [name for _, mapped, known in self._mapped() for f in known if f.personal and (name := f.name) in mapped]
        if personal and not self.personal_data:
            problems.append(f"personal_data must be true, because {', '.join(personal)} is personal data")
        return problems

    def _implied(self, field: str) -> bool:
        return field == "receipt_id" and self.document == "day"

    def _bad_values(self) -> list[str]:
        problems = []
        known = {field.name: field for _, _, known in self._mapped() for field in known}
        mapped = {name: column for _, columns, _ in self._mapped() for name, column in columns.items()}
        for name, values in self.value_maps.items():
            if name not in mapped:
                problems.append(f"value_maps.{name}: the field is not mapped in columns")
        for name, column in mapped.items():
            field = known.get(name)
            if field is None:
                continue
            targets = set(self.value_maps.get(name, {}).values()) | {v for v in (column.value, column.default) if v}
            if field.allowed and not targets <= set(field.allowed):
                wrong = ", ".join(sorted(targets - set(field.allowed)))
                problems.append(f"{name}: {wrong} is not one of {', '.join(field.allowed)}")
            if field.type in ("instant", "date") and not self.date_formats:
                problems.append(f"date_formats must say how {name} is written, for example dd.MM.yyyy HH:mm:ss or iso")
            if column.sum and field.type not in ("amount", "price", "quantity"):
                problems.append(f"{name}: sum adds amounts; use join for text")
            if column.from_path and column.from_path not in self.captures:
                problems.append(f"{name}.from_path: {column.from_path!r} is not captured in file_pattern")
        order = self.version_order
        if order and order.from_path and order.from_path not in self.captures:
            problems.append(f"version_order.from_path: {order.from_path!r} is not captured in file_pattern")
        return problems

    def _bad_layout(self) -> list[str]:
        problems = []
        if self.lines is not None and self.format == "csv":
            problems.append("lines: a text table has no nested records; map the line's columns under columns")
        if self.line_number == "column" and self.entity == "receipt" and self.depth == "lines":
            columns = self.lines.columns if self.lines else self.columns
            if "line_number" not in columns:
                problems.append("line_number: column needs the field line_number; else say line_number: ordinal")
        if self.document == "day" and self.depth == "lines":
            problems.append("document: day needs depth categories or totals")
        if self.sign_rule == "by_type" and "transaction_type" not in self.columns:
            problems.append("sign_rule: by_type needs the field transaction_type")
        for nested in (self.lines, self.payments):
            for raw in [name for column in nested.columns.values() for name in column.raw_columns] if nested else []:
                if not re.fullmatch(r"[^\s,;{}()=.`]+", raw):
                    problems.append(f"{nested.path if nested else ''}: name {raw!r} has a blank or one of ,;{{}}()=.`")
        if self.timezone not in ("branch", *available_timezones()):
            problems.append(f"timezone: {self.timezone!r} is unknown; use branch or an IANA name such as Europe/Berlin")
        try:
            "".encode(self.encoding)
        except LookupError:
            problems.append(f"encoding: {self.encoding!r} is unknown; for example utf-8, cp1252, iso-8859-15")
        return problems

    @property
    def captures(self) -> tuple[str, ...]:
        return tuple(re.findall(r"\{([a-z_]+)\}", self.file_pattern))

    def match_path(self, path: str) -> dict[str, str] | None:
        """What ``file_pattern`` captures from a path below the landing area; None if the path is not of this source."""
        parts = re.split(r"(\*|\{[a-z_]+\})", self.file_pattern)
        pattern = "".join(
            "[^/]*" if part == "*" else f"(?P<{part[1:-1]}>[^/]+?)" if part.startswith("{") else re.escape(part)
            for part in parts
        )
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None
