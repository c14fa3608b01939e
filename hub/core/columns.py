"""Column types of the hub: exact money on every database, aware instants."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine


class ScaledInteger(TypeDecorator[Decimal]):
    """A decimal kept as an integer of fixed scale, so that SUM in SQL is exact on every database.

    A value with more decimals than the scale is refused: it would be changed silently.
    """

    impl = BigInteger
    cache_ok = True

    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = places

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        scaled = Decimal(value).scaleb(self.places)
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{value} has more than {self.places} decimals")
        return int(scaled)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        # SUM of bigint is numeric on PostgreSQL, so the driver may hand over a Decimal.
        return None if value is None else Decimal(int(value)).scaleb(-self.places)

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        return self


def Amount() -> ScaledInteger:
    """Money: four decimals."""
    return ScaledInteger(4)


def Rate() -> ScaledInteger:
    """Rates, quantities and percentages: six decimals."""
    return ScaledInteger(6)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant in UTC. A naive value is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
