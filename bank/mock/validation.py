"""The checks that need no database, in the contract's order (§3), and the forms of an id (§2)."""

import re
from typing import Final

from bank.mock.errors import INVALID_AMOUNT, INVALID_CARD_NUMBER, INVALID_CVV, Refused

_DIGITS: Final = frozenset("0123456789")
_UUID: Final = re.compile(
    r"""(?:urn:uuid:)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
    | \{[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}
    | [0-9a-f]{32}""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
# What a digit in an even place from the right counts in Luhn's sum.
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn_sum(digits: str) -> int:
    """Luhn's sum over ASCII digits; a card number is plausible when it is a multiple of ten."""
    places = [int(digit) for digit in reversed(digits)]
    return sum(places[::2]) + sum(_DOUBLED[digit] for digit in places[1::2])


def check_digit(digits: str) -> str:
    """The digit that makes `digits` plausible when appended."""
    return str(-luhn_sum(digits + "0") % 10)


def is_plausible_card_number(card_number: str) -> bool:
    """Luhn over the digits only, and 13 to 19 of them: separators don't matter here (§3.1)."""
    digits = "".join(character for character in card_number if character in _DIGITS)
    return 13 <= len(digits) <= 19 and luhn_sum(digits) % 10 == 0


def check_authorization(card_number: str, cvv: str, amount: int) -> None:
    """The first three checks of an authorization; raises `Refused` at the first that fails (§3.1-3)."""
    if not is_plausible_card_number(card_number):
        raise Refused(INVALID_CARD_NUMBER)
    if not (3 <= len(cvv) <= 4 and _DIGITS.issuperset(cvv)):
        raise Refused(INVALID_CVV)
    if amount <= 0:
        raise Refused(INVALID_AMOUNT)


def canonical_id(prefix: str, text: str) -> str | None:
    """`auth_<uuid>` in lower case with dashes, from any form the bank accepts, or None (§2).

    Upper case, no dashes and braces are the contract's; `urn:uuid:` is the fourth form of the same Go parser.
    """
    if not text.startswith(prefix):
        return None
    form = text[len(prefix) :]
    if _UUID.fullmatch(form) is None:
        return None
    digits = form.lower().removeprefix("urn:uuid:").strip("{}").replace("-", "")
    return prefix + dashed(digits)


def dashed(digits: str) -> str:
    """32 hexadecimal digits as 8-4-4-4-12."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
