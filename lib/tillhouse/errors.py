"""Errors say what is wrong, where, with which names, and what to do. Bad rows never raise; bad data sets and conf do."""

from __future__ import annotations


class TillhouseError(Exception):
    """Root of all errors that tillhouse raises on purpose."""

    exit_code = 1


class ConfigError(TillhouseError):
    """The configuration or the call is wrong; nothing was changed."""

    exit_code = 2


class LeaseError(TillhouseError):
    """Another run works on the lake; nothing was changed, or nothing more is."""


class StoreError(TillhouseError):
    """The lake cannot be written or read: no space, no permission, a damaged log. What was committed before is complete."""


class SourceError(TillhouseError):
    """A delivered file cannot be read as its mapping says; the file is rejected as a whole."""


class ContractError(TillhouseError):
    """A table does not have the columns that its contract promises."""


class QualityError(TillhouseError):
    """A quality gate kept a table from being published; what was published before stays."""

    exit_code = 3


class HeldError(QualityError):
    """The run is done, but files are held back by a limit of their source; what they feed is as it was published before."""
