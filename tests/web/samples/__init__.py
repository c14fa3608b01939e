"""What each page may be given: one sample a page and state, without a database.

The shapes are those that the comment on top of each template promises; the views give the same.
"""

from __future__ import annotations

from tests.web.samples import administration, billing, entrance, integration, partner, work
from tests.web.samples.frame import NOW

__all__ = ["NOW", "SAMPLES"]

SAMPLES = {
    **entrance.SAMPLES,
    **work.SAMPLES,
    **billing.SAMPLES,
    **integration.SAMPLES,
    **administration.SAMPLES,
    **partner.SAMPLES,
}
