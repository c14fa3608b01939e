"""Platinum: can be operated at scale. The kit checks none of these yet."""

from __future__ import annotations

from hub.testing.conformance.rules import not_checked_yet

not_checked_yet("P01", "It passes strict type checking.")
not_checked_yet("P02", "All its calls go by the HTTP client that the hub gives it, so that limits and traces hold.")
not_checked_yet("P03", "Every call over there is one span of a trace that began in the hub.")
not_checked_yet("P04", "Hooks on the way of a request make no call, and 95 % of them take under 5 ms.")
not_checked_yet("P05", "Settings, streams and cursors of the last release still work, or a guide says what to do.")
not_checked_yet("P06", "A thousand random courses of edits, faults and deaths all end with both sides equal.")
not_checked_yet("P07", "A simulated day of work lets no memory, lock or open error grow.")
not_checked_yet("P08", "Its throughput and lag are published, as measured by the kit.")
not_checked_yet("P09", "Its texts can be translated, and no zone, currency or date format is fixed in it.")
not_checked_yet("P10", "A page of what it can do is made from the results of the kit.")
not_checked_yet("P11", "Its configuration goes out and in again unchanged to the byte.")
not_checked_yet("P12", "Its diagnostics hold no secret, and enough to play a failure again on the fake remote.")
