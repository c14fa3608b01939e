"""What a plugin with tables of its own imports: the base of tables, column types, and what its services may do.

A service of a plugin is like one of the core: it takes a session, refuses before it changes anything, never commits.
"""

from __future__ import annotations

from hub.core.audit import note
from hub.core.clock import now
from hub.core.columns import Amount, Rate, UtcDateTime
from hub.core.database import Base, Circumstances, Identified, Revised, circumstances, uuid7
from hub.core.kinds import Candidate, HubDocument, RecordKind
from hub.core.outbox import Link, announce

__all__ = [
    "Amount",
    "Base",
    "Candidate",
    "Circumstances",
    "HubDocument",
    "Identified",
    "Link",
    "Rate",
    "RecordKind",
    "Revised",
    "UtcDateTime",
    "announce",
    "circumstances",
    "note",
    "now",
    "uuid7",
]
