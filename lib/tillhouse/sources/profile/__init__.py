"""What an unknown export is: its layout, whether a shipped mapping fits, else a mapping proposed column by column. No Spark."""

from __future__ import annotations

from tillhouse.sources.profile.look import Profile, profile
from tillhouse.sources.profile.text import as_text

__all__ = ["Profile", "as_text", "profile"]
