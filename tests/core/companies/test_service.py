"""Setting up companies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from threading import Barrier

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from hub.core.companies.models import NumberSeries
from hub.core.companies.service import country_code, lock_series, only_company, set_company, time_zone_name
from hub.core.errors import NotFound, RuleBroken


def make(hub, name="Firm", **values):
    return hub.transact(
        lambda session: set_company(session, name=name, **{"country": "de", "currency": "eur", **values}).to_record()
    )


def test_a_new_company_takes_the_time_zone_of_its_country(hub):
    company = make(hub)
    assert (company.country, company.currency, company.time_zone) == ("DE", "EUR", "Europe/Berlin")
    assert make(hub, "Other", country="IS").time_zone == "Atlantic/Reykjavik"


def test_a_new_company_needs_a_country_and_a_currency(hub):
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: set_company(session, name="Firm") and None)
    assert list(refusal.value.fields) == ["country", "currency"]


def test_what_is_not_named_stays(hub):
    first = make(hub, tax_rate=Decimal(19))
    changed = hub.transact(lambda session: set_company(session, name="Firm", payment_days=14).to_record())
    assert (changed.id, changed.tax_rate, changed.payment_days) == (first.id, 19, 14)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"country": "Germany"}, "country"),
        ({"currency": "Euro"}, "currency"),
        ({"time_zone": "Berlin"}, "time_zone"),
        ({"time_zone": "../etc"}, "time_zone"),
        ({"tax_rate": Decimal(100)}, "tax_rate"),
        ({"tax_rate": Decimal(-1)}, "tax_rate"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(hub, values, field):
    with pytest.raises(RuleBroken) as refusal:
        make(hub, **values)
    assert list(refusal.value.fields) == [field]


def test_numbers_of_two_companies_are_never_the_same(hub):
    ids = [make(hub, name).id for name in ("One", "Two")]

    def take(session):
        return [lock_series(session, id, "invoice").take() for id in ids]

    assert hub.transact(take) == ["INV-00001", "INV2-00001"]
    assert hub.transact(take) == ["INV-00002", "INV2-00002"]


def test_companies_made_at_the_same_moment_never_share_their_numbers(hub):
    ready = Barrier(3)

    def make(number):
        ready.wait()
        with suppress(IntegrityError):  # then it is made once more, with the next prefix
            hub.transact(lambda session: set_company(session, name=f"C{number}", country="GB", currency="GBP") and None)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(make, range(3)))

    with hub.read() as session:
        prefixes = session.scalars(select(NumberSeries.prefix)).all()
    assert prefixes
    assert len(prefixes) == len(set(prefixes))


def test_the_only_company_need_not_be_named(hub):
    with hub.read() as session, pytest.raises(RuleBroken, match="hub company set"):
        only_company(session)
    one = make(hub)
    with hub.read() as session:
        assert only_company(session).id == one.id
    two = make(hub, "Two")
    with hub.read() as session, pytest.raises(RuleBroken, match="say which one"):
        only_company(session)
    with hub.read() as session:
        assert only_company(session, two.id).name == "Two"


def test_an_unknown_series_or_company_is_said_to_be_so(hub):
    company = make(hub)
    with pytest.raises(NotFound, match="no number series for tickets"):
        hub.transact(lambda session: lock_series(session, company.id, "tickets") and None)


def test_codes_are_written_as_their_standards_do():
    assert (country_code(" gb "), time_zone_name("Europe/London")) == ("GB", "Europe/London")
