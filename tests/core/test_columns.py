"""Column types: exact sums in SQL, and refusals instead of silent changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal as D

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select
from sqlalchemy.exc import StatementError

from hub.core.columns import Amount, Rate, UtcDateTime
from hub.core.database import Database

probe = Table(
    "probe",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("amount", Amount()),
    Column("rate", Rate()),
    Column("at", UtcDateTime()),
)


@pytest.fixture
def database(database_url):
    database = Database(database_url)
    probe.create(database.engine)
    yield database
    database.close()


def keep(database, *rows):
    database.transact(lambda session: session.execute(insert(probe), list(rows)) and None)


def read(database, query):
    with database.read() as session:
        return session.execute(query).one()


def test_a_sum_in_sql_is_exact(database):
    # As binary floats, ten times 0.1 is 0.9999999999999999.
    keep(database, *({"amount": D("0.1"), "rate": D("0.000001")} for _ in range(10)))
    assert read(database, select(func.sum(probe.c.amount), func.sum(probe.c.rate))) == (D("1.0000"), D("0.000010"))


def test_amounts_are_compared_as_numbers(database):
    keep(database, {"amount": D("9.5")}, {"amount": D("10")}, {"amount": D("-3")})
    over = select(func.count()).where(probe.c.amount > D("9.75"))
    assert read(database, over) == (1,)


@pytest.mark.parametrize("value", ["0", "-0.0001", "123456789012.3456", "1E+3"])
def test_an_amount_comes_back_as_it_went(database, value):
    keep(database, {"amount": D(value)})
    assert read(database, select(probe.c.amount)) == (D(value),)


def test_nothing_stays_nothing(database):
    keep(database, {"amount": None, "rate": None, "at": None})
    assert read(database, select(probe.c.amount, probe.c.rate, probe.c.at)) == (None, None, None)


@pytest.mark.parametrize("row", [{"amount": D("0.00001")}, {"rate": D("0.0000001")}, {"amount": 0.1}])
def test_a_value_with_more_decimals_than_are_kept_is_refused(database, row):
    with pytest.raises(StatementError, match="decimals"):
        keep(database, row)


def test_an_instant_comes_back_in_utc_whatever_zone_it_had(database):
    keep(database, {"at": datetime(2026, 3, 29, 3, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))})
    (found,) = read(database, select(probe.c.at))
    assert found == datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    assert found.utcoffset() == timedelta(0)


def test_an_instant_without_a_zone_is_refused(database):
    with pytest.raises(StatementError, match="has no time zone"):
        keep(database, {"at": datetime(2026, 3, 29, 3, 30)})
