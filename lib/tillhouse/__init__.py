"""tillhouse: one trusted customer and branch view from the exports of many tills, shops and CRMs."""

from __future__ import annotations

__version__ = "0.1.0"
