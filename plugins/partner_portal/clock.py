"""The clock and the next step of a deal, in the words its partner and its approver read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from plugins.partner_portal.rules import REJECTION_REASONS, State, decision_due_at

SOON_DAYS = 14
"""Protection that ends within so many days is marked."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What is running. text: empty when nothing is. tone: calm, warn or bad. due_at: when an answer is due."""

    text: str = ""
    tone: str = "calm"
    due_at: datetime | None = None


def clock_of(
    state: State, *, now: datetime, today: date, submitted_at: datetime | None, protected_until: date | None
) -> Clock:
    """The clock of a deal: until the decision while it waits, until the end of protection once it is approved."""
    if state is State.SUBMITTED and submitted_at is not None:
        return _decision(decision_due_at(submitted_at), now)
    if state is State.APPROVED and protected_until is not None:
        return _protection(protected_until, today)
    return Clock()


def next_step(state: State, *, reason: str | None = None, text: str = "") -> str:
    """What the partner can expect or do now. reason, text: of a rejection."""
    if state is State.REJECTED:
        why = REJECTION_REASONS.get(reason or "", "")
        return " ".join(part for part in (why if reason != "other" else "", text) if part)
    return {
        State.DRAFT: "Complete the deal and submit it: your place in line starts then.",
        State.SUBMITTED: "We look at it and answer in time. You can withdraw it until then.",
        State.APPROVED: "The customer is yours for these products. Tell us when the deal is won or lost.",
        State.WITHDRAWN: "You took this deal back. Register it anew if it comes alive again.",
        State.WON: "Congratulations: the work goes on as a project, and nothing is left for you to do.",
        State.LOST: "The deal is closed and the customer is free for others.",
    }[state]


def lasting(span: timedelta) -> str:
    """A span of time in its two largest units: "1 day 3 h", "3 h 20 min", "5 min"."""
    minutes = int(span.total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} {'day' if days == 1 else 'days'}" if days else "", f"{hours} h" if hours else ""]
    parts.append(f"{minutes} min" if minutes and not days else "")
    return " ".join(part for part in parts if part) or "less than a minute"


def _decision(due_at: datetime, now: datetime) -> Clock:
    if now > due_at:
        return Clock(f"Decision overdue by {lasting(now - due_at)}", "bad", due_at)
    left = due_at - now
    return Clock(f"Decision due in {lasting(left)}", "warn" if left < timedelta(hours=12) else "calm", due_at)


def _protection(until: date, today: date) -> Clock:
    day = f"{until.day} {until:%b %Y}"
    days = (until - today).days
    if days < 0:
        return Clock(f"Protection ended {day}", "bad")
    left = "last day" if days == 0 else f"{days} {'day' if days == 1 else 'days'}"
    return Clock(f"Protection ends {day} ({left})", "warn" if days <= SOON_DAYS else "calm")
