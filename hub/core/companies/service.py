"""Setting up companies, and taking document numbers."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.core import get_global
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core import audit
from hub.core.companies.models import Company, NumberSeries
from hub.core.errors import NotFound, RuleBroken
from hub.core.money import currency_code
from hub.core.outbox import announce

_ZONE_OF_COUNTRY = {"GB": "Europe/London", "US": "America/New_York", "DE": "Europe/Berlin", "FR": "Europe/Paris"}


def country_code(text: str) -> str:
    """The ISO 3166-1 alpha-2 code in capitals. Raises RuleBroken."""
    code = text.strip().upper()
    if len(code) != 2 or code not in Locale("en").territories:
        raise RuleBroken(
            f"“{text}” is not a country. Use a two-letter ISO 3166 code such as DE.",
            fields={"country": f"“{text}” is not an ISO 3166-1 alpha-2 code."},
        )
    return code


def time_zone_name(text: str) -> str:
    """A name of the IANA database. Raises RuleBroken."""
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RuleBroken(
            f"“{text}” is not a time zone. Use an IANA name such as Europe/Berlin.",
            fields={"time_zone": f"“{text}” is not an IANA time zone."},
        ) from None


def set_company(
    session: Session,
    *,
    name: str,
    country: str | None = None,
    currency: str | None = None,
    time_zone: str | None = None,
    tax_rate: Decimal | None = None,
    payment_days: int | None = None,
) -> Company:
    """Create the company of this name or change what is given. A new one needs country and currency."""
    company = session.scalar(select(Company).where(Company.name == name))
    if company is None:
        if country is None or currency is None:
            raise RuleBroken(
                f"“{name}” is a new company: say its country and its currency.",
                fields={"country": "needed for a new company", "currency": "needed for a new company"},
            )
        code = country_code(country)
        company = Company(name=name, country=code, time_zone=_default_zone(code), currency=currency_code(currency))
        session.add(company)
        session.flush()
        session.add(NumberSeries(company_id=company.id, kind="invoice", prefix=_free_prefix(session)))
    if country is not None:
        company.country = country_code(country)
    if currency is not None:
        company.currency = currency_code(currency)
    if time_zone is not None:
        company.time_zone = time_zone_name(time_zone)
    if tax_rate is not None:
        if not 0 <= tax_rate < 100:
            raise RuleBroken(f"A tax rate of {tax_rate} % cannot be.", fields={"tax_rate": "0 to 99.99 per cent"})
        company.tax_rate = tax_rate
    if payment_days is not None:
        company.payment_days = payment_days
    announce(session, "companies", [company.id])
    return company


def only_company(session: Session, company_id: UUID | None = None) -> Company:
    """The named company, or the firm's only one. Raises NotFound, RuleBroken."""
    if company_id is not None:
        company = session.get(Company, company_id)
        if company is None:
            raise NotFound(f"There is no company with id {company_id}.")
        return company
    companies = session.scalars(select(Company).order_by(Company.id).limit(2)).all()
    if not companies:
        raise RuleBroken("There is no company yet. Set one up with `hub company set`.", code="no-company")
    if len(companies) > 1:
        raise RuleBroken(
            "There are several companies: say which one.", fields={"company_id": "needed when there are several"}
        )
    return companies[0]


def lock_series(session: Session, company_id: UUID, kind: str) -> NumberSeries:
    """The series of a company, locked until the transaction ends. Taken before the document, so nobody waits twice."""
    series = session.scalar(
        select(NumberSeries)
        .where(NumberSeries.company_id == company_id, NumberSeries.kind == kind)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if series is None:
        raise NotFound(f"The company has no number series for {kind}.")
    return series


def move_series_past(session: Session, numbers: Iterable[str]) -> list[str]:
    """Let no number be given that somebody has already. Returns those of the numbers that are of a series of ours.

    numbers: of documents that another system has and the hub does not know.
    """
    ours: list[str] = []
    told = list(numbers)
    for series in session.scalars(select(NumberSeries).order_by(NumberSeries.id).with_for_update()):
        counted = {int(rest): number for number in told if (rest := _counter(series, number))}
        ours += counted.values()
        highest = max(counted, default=0)
        if highest >= series.next_number:
            audit.note(session, "move", "number_series", series.id, next_number=[series.next_number, highest + 1])
            series.next_number = highest + 1
    return sorted(ours)


def _counter(series: NumberSeries, number: str) -> str:
    """What of a document's number is counted, if it is of this series."""
    rest = number.removeprefix(series.prefix)
    return rest if rest != number and rest.isdecimal() and len(rest) >= series.width else ""


def _default_zone(country: str) -> str:
    if country in _ZONE_OF_COUNTRY:
        return _ZONE_OF_COUNTRY[country]
    zones: list[str] = get_global("territory_zones").get(country, [])
    return zones[0] if len(zones) == 1 else "UTC"


def _free_prefix(session: Session) -> str:
    """INV- for the first company, INV2- for the second: numbers of two companies are never the same."""
    count = len(session.scalars(select(NumberSeries.id).where(NumberSeries.kind == "invoice")).all())
    return "INV-" if count == 0 else f"INV{count + 1}-"
