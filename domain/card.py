"""Payment cards: what a number must look like, and what of it may be shown."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import accumulate

MIN_DIGITS, MAX_DIGITS = 13, 19  # bank contract §3: 13–19 digits
_FIRST_DIGITS = "23456"  # of payment cards (ISO/IEC 7812-1); times in milliseconds begin with another
_DIGITS = re.compile(r"[0-9](?:[ -]{0,2}[0-9])+")


class CardBrand(StrEnum):
    """The card's network, as its first digits tell."""

    VISA = "VISA"
    MASTERCARD = "MASTERCARD"
    AMERICAN_EXPRESS = "AMERICAN_EXPRESS"
    DISCOVER = "DISCOVER"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class CardSummary:
    """All that is kept of a card once it has been charged."""

    brand: CardBrand
    last_four: str


@dataclass(frozen=True, slots=True)
class CardDetails:
    """A whole card, on its way to the bank. Its repr says nothing that a log may not hold."""

    number: str = field(repr=False)
    cvv: str = field(repr=False)
    expiry_month: int = field(repr=False)
    expiry_year: int = field(repr=False)

    @property
    def summary(self) -> CardSummary:
        return CardSummary(brand_of(self.number), self.number[-4:])


def normalise_number(text: str) -> str:
    """The number without the spaces and dashes that people type; the bank finds an account by its bare digits only."""
    return text.replace(" ", "").replace("-", "")


def is_card_number(digits: str) -> bool:
    """Whether 13–19 ASCII digits pass the Luhn check (ISO/IEC 7812-1, annex B)."""
    if not (MIN_DIGITS <= len(digits) <= MAX_DIGITS and digits.isascii() and digits.isdigit()):
        return False
    doubled = [int(digit) * (1 + position % 2) for position, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def holds_card_number(text: str) -> bool:
    """Whether a free text has something in it that can be a card number, grouped by spaces and dashes or not.

    It takes a moment for every digit, and not for every stretch of them: a request may have tens of thousands.
    """
    return any(_stretch_is_card_number(normalise_number(run)) for run in _DIGITS.findall(text))


def _stretch_is_card_number(digits: str) -> bool:
    """Whether 13–19 of these digits, one behind the other, are one. `is_card_number` of each stretch would say the same."""
    plain = [int(digit) for digit in digits]
    doubled = [value * 2 - 9 * (value > 4) for value in plain]
    # The checksum of a stretch is a difference of two sums from the beginning; it depends on where the stretch ends which digits are
    # doubled: all that are an odd number of places before its last one.
    sums = [
        list(accumulate((pair[(index + parity) % 2] for index, pair in enumerate(zip(plain, doubled, strict=True))), initial=0))
        for parity in (0, 1)
    ]
    for start in range(len(digits) - MIN_DIGITS + 1):
        if digits[start] in _FIRST_DIGITS:
            for end in range(start + MIN_DIGITS, min(start + MAX_DIGITS, len(digits)) + 1):
                of = sums[(end - 1) % 2]
                if (of[end] - of[start]) % 10 == 0:
                    return True
    return False


def is_cvv(text: str) -> bool:
    """Three or four ASCII digits (bank contract §3)."""
    return len(text) in (3, 4) and text.isascii() and text.isdigit()


def has_expired(month: int, year: int, now: datetime) -> bool:
    """A card is good to the end of its month, in UTC."""
    return (year, month) < (now.year, now.month)


_BRANDS: tuple[tuple[int, int, int, CardBrand], ...] = (  # digits compared, from, to (issuer identification numbers)
    (1, 4, 4, CardBrand.VISA),
    (2, 51, 55, CardBrand.MASTERCARD),
    (4, 2221, 2720, CardBrand.MASTERCARD),
    (2, 34, 34, CardBrand.AMERICAN_EXPRESS),
    (2, 37, 37, CardBrand.AMERICAN_EXPRESS),
    (4, 6011, 6011, CardBrand.DISCOVER),
    (3, 644, 649, CardBrand.DISCOVER),
    (2, 65, 65, CardBrand.DISCOVER),
)


def brand_of(number: str) -> CardBrand:
    """The network of a card number."""
    for length, first, last, brand in _BRANDS:
        if first <= int(number[:length]) <= last:
            return brand
    return CardBrand.OTHER
