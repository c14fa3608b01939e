"""Connectors that break what is promised of reading the past."""

from __future__ import annotations

from dataclasses import replace

from hub.testing.reference.connector import Notebook
from tests.testing.conformance.sabotage import breaks


@breaks("G23")
class EveryVersionIsTheFirst(Notebook):
    """So that what was listed long ago looks the same as what was changed since."""

    def _page(self, stream, rows, cursor):
        page = super()._page(stream, rows, cursor)
        return replace(page, changes=tuple(replace(change, version="1") for change in page.changes))
