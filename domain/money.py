"""Money is an integer of minor units and a currency; there is no float anywhere near it."""

from dataclasses import dataclass

MAX_MINOR_UNITS = 2**63 - 1  # what the bank's int64 and the database's bigint hold
CURRENCY = "USD"  # the bank settles in nothing else (bank contract §2)
_EXPONENT = {"USD": 2}
_SYMBOL = {"USD": "$"}


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the minor unit of its currency: `Money(1999)` is $19.99."""

    minor_units: int
    currency: str = CURRENCY

    def __post_init__(self) -> None:
        # Nothing is an amount, too: of what is left, say. That a payment is of more is checked where it is asked for.
        assert 0 <= self.minor_units <= MAX_MINOR_UNITS, "amounts are not negative and fit 64 bits"
        assert self.currency in _EXPONENT, "an unknown currency has no minor unit"

    @property
    def formatted(self) -> str:
        """For people: `$1,234.56`."""
        digits = _EXPONENT[self.currency]
        major, minor = divmod(self.minor_units, 10**digits)
        return f"{_SYMBOL[self.currency]}{major:,}.{minor:0{digits}d}"
