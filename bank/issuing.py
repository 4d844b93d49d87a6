"""What a bank that can issue cards answers. Not in the contract: the real bank can't, and the mock has an extension (docs/bank-mock.md).

Issued          the bank has made a virtual card; under the same key it is the same card, for ever
Details         its number, CVV and expiry
CannotIssue     this bank has no such thing
Unclear         ask again: nothing is lost by it
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bank.answer import Unclarity, Unclear, asked_to_wait_s, json_object
from domain.card import is_card_number, is_cvv

CARDS_PATH = "/issuing/v1/cards"
_REFERENCE = re.compile(r"icard_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_UNKNOWN_PATH = frozenset({404, 405, 501})  # in plain text, or whatever a bank says of what it does not have
_FIRST_YEAR, _LAST_YEAR = 2000, 2999  # as the table of cards has it


@dataclass(frozen=True, slots=True)
class Issued:
    """The bank's name of a card that it has made."""

    reference: str


@dataclass(frozen=True, slots=True)
class Details:
    """What is printed on a card. Its repr says nothing that a log may not hold."""

    number: str = field(repr=False)
    cvv: str = field(repr=False)
    expiry_month: int = field(repr=False)
    expiry_year: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class CannotIssue:
    """The bank does not issue cards."""


def read_issued(status: int, headers: Mapping[str, str], body: bytes) -> Issued | CannotIssue | Unclear:
    """What the answer to `POST /issuing/v1/cards` means."""
    document = json_object(body)
    if status == 200 and document is not None:
        reference = document.get("card_id")
        if isinstance(reference, str) and _REFERENCE.fullmatch(reference) and document.get("status") == "issued":
            return Issued(reference)
    return _otherwise(status, headers, is_error=document is not None and "error" in document)


def read_details(status: int, headers: Mapping[str, str], body: bytes, reference: str) -> Details | CannotIssue | Unclear:
    """What the answer to `GET /issuing/v1/cards/{reference}/details` means. It has to be of that card."""
    document = json_object(body)
    if status == 200 and document is not None and document.get("card_id") == reference:
        number, cvv = document.get("card_number"), document.get("cvv")
        month, year = document.get("expiry_month"), document.get("expiry_year")
        if (
            isinstance(number, str)
            and is_card_number(number)
            and isinstance(cvv, str)
            and is_cvv(cvv)
            and type(month) is int
            and 1 <= month <= 12
            and type(year) is int
            and _FIRST_YEAR <= year <= _LAST_YEAR
        ):
            return Details(number, cvv, month, year)
    return _otherwise(status, headers, is_error=document is not None and "error" in document)


def _otherwise(status: int, headers: Mapping[str, str], *, is_error: bool) -> CannotIssue | Unclear:
    if status in _UNKNOWN_PATH and not is_error:
        return CannotIssue()
    is_bank_error = status >= 500 or status == 429 or is_error
    return Unclear(
        why=Unclarity.BANK_ERROR if is_bank_error else Unclarity.UNINTELLIGIBLE,
        detail=f"status {status}",
        may_have_acted=True,
        retry_after_s=asked_to_wait_s(headers),
    )
