"""Amounts."""

import strawberry

from domain.money import Money as DomainMoney
from schema.scalars import CurrencyCode, MinorUnits


@strawberry.type(description="An amount of money.")
class Money:
    minor_units: MinorUnits = strawberry.field(description="In the currency's minor unit: 1999 is $19.99.")
    currency: CurrencyCode = strawberry.field(description="Its currency.")
    formatted: str = strawberry.field(description="For people: `$1,234.56`.")


def money_of(money: DomainMoney) -> Money:
    """A domain amount as the schema shows it."""
    return Money(
        minor_units=MinorUnits(money.minor_units),
        currency=CurrencyCode(money.currency),
        formatted=money.formatted,
    )
