"""The cards that FicMart's customers pay with: the four that the bank knows (bank contract, section 6), and typing errors."""

from dataclasses import dataclass, field, replace
from typing import Final

from domain.card import CardDetails

GOOD: Final = CardDetails("4111111111111111", "123", 12, 2030)  # $10,000
POOR: Final = CardDetails("4242424242424242", "456", 6, 2030)  # $500
EMPTY: Final = CardDetails("5555555555554444", "789", 9, 2030)  # $0
EXPIRED_AT_THE_BANK: Final = CardDetails("5105105105105100", "321", 12, 2034)  # the bank's own records say 03/2020
WRONG_CVV: Final = replace(GOOD, cvv="999")
MISTYPED: Final = replace(GOOD, number="4111111111111112")  # fails the Luhn check

# What no answer may ever contain.
NUMBERS: Final = tuple(card.number for card in (GOOD, POOR, EMPTY, EXPIRED_AT_THE_BANK, MISTYPED))


@dataclass(frozen=True, slots=True)
class DecliningCard:
    """A card, an amount, and the bank's no to it."""

    why: str
    card: CardDetails = field(repr=False)
    amount_minor: int
    code: str


DECLINING: Final = (
    DecliningCard("$501 on a card with $500", POOR, 50_100, "INSUFFICIENT_FUNDS"),
    DecliningCard("a card with $0", EMPTY, 210, "INSUFFICIENT_FUNDS"),
    DecliningCard("expired at the bank, not on paper", EXPIRED_AT_THE_BANK, 220, "CARD_EXPIRED"),
    DecliningCard("a wrong CVV", WRONG_CVV, 230, "INVALID_CVV"),
)
