"""What partners may ask, checked. Raw values come in as the client sent them; a request or all its problems come out."""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.answer import InputProblem, InvalidInput
from domain.card import CardDetails, has_expired, is_card_number, is_cvv, normalise_number
from domain.ids import IdKind, decode_id_of
from domain.money import CURRENCY, MAX_MINOR_UNITS, Money

MAX_NAME_LENGTH = 255  # order, customer and idempotency keys: what fits the bank's header and one index entry
FARTHEST_EXPIRY_YEARS = 50  # issuers print at most 20; anything beyond 50 is a typing error

Path = tuple[str, ...]

OUTCOME_WAIT_S = 8.0  # unless the operator says otherwise: three tries at the bank's slowest, and below common client timeouts


class WaitFor(StrEnum):
    """What a caller of authorizePayment waits for."""

    OUTCOME = "OUTCOME"
    ACCEPTANCE = "ACCEPTANCE"


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """A checked wish to hold money on a card for an order."""

    idempotency_key: str
    order_id: str
    customer_id: str
    amount: Money
    card: "CardDetails | ChosenCard" = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChosenCard:
    """A stored card, with the CVV that its holder has just typed. `card_id` is None when no card can have that id."""

    card_id: UUID | None
    cvv: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OperateRequest:
    """A checked wish to capture, void or refund a payment. `payment_id` is None when no payment can have that id."""

    idempotency_key: str
    payment_id: UUID | None


@dataclass(frozen=True, slots=True)
class RawCard:
    """A card as the client sent it."""

    number: str = field(repr=False)
    cvv: str = field(repr=False)
    expiry_month: int = field(repr=False)
    expiry_year: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class RawStoredCard:
    """A stored card as the client named it."""

    card_id: str
    cvv: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RawAuthorize:
    """The input of authorizePayment as the client sent it; `minor_units` may still be any number or text."""

    idempotency_key: str
    order_id: str
    customer_id: str
    minor_units: object
    currency: str
    card: RawCard | RawStoredCard


class Problems:
    """Collects, so that a client learns of everything at once."""

    def __init__(self) -> None:
        self.found: list[InputProblem] = []

    def add(self, path: Path, message: str) -> None:
        self.found.append(InputProblem(path, message))

    def name(self, path: Path, text: str) -> str:
        """A name chosen by the partner, in its one spelling."""
        normal = normal_name(text)
        if not normal:
            self.add(path, "It is empty; give 1 to 255 printable characters.")
        elif len(normal) > MAX_NAME_LENGTH:
            self.add(path, f"It has {len(normal)} characters; at most {MAX_NAME_LENGTH} are allowed.")
        elif not normal.isprintable():
            self.add(path, "It has a character that can't be printed; give 1 to 255 printable characters.")
        elif normal.isspace():
            self.add(path, "It is blank; give 1 to 255 printable characters.")
        return normal

    def minor_units(self, path: Path, raw: object) -> int:
        value = as_integer(raw)
        if value is None:
            self.add(path, "It is not a whole number; give the amount in cents, for instance 1999 for $19.99.")
        elif value <= 0:
            self.add(path, "It is not positive; give the amount in cents, at least 1.")
        elif value > MAX_MINOR_UNITS:
            self.add(path, f"It is more than {MAX_MINOR_UNITS}, the largest amount there is.")
        else:
            return value
        return 0


def normal_name(text: str) -> str:
    """The one spelling of a name, however it was typed: what is stored, and so what has to be looked for."""
    return unicodedata.normalize("NFC", text)


def as_integer(raw: object) -> int | None:
    """A whole number, given as one or as decimal text (JavaScript's numbers end at 2^53); None for anything else."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int):
        return raw
    if isinstance(raw, float) and raw.is_integer() and (abs(raw) < 2**53 or raw >= 2**63 or raw < -(2**63)):
        return int(raw)  # 100.0: JSON does not tell it from 100; in between, a float may not be the number that was meant
    if isinstance(raw, str) and len(raw) <= 20:  # 20 characters hold every 64-bit integer and its sign
        digits = raw[1:] if raw[:1] == "-" else raw
        return int(raw) if digits.isascii() and digits.isdigit() else None
    return None


def parse_authorize(raw: RawAuthorize, now: datetime) -> AuthorizeRequest | InvalidInput:
    """The request, or each problem with its path in the input. Messages never repeat what was sent: it may be a card number."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), raw.idempotency_key)
    order_id = problems.name(("input", "orderId"), raw.order_id)
    customer_id = problems.name(("input", "customerId"), raw.customer_id)
    minor_units = problems.minor_units(("input", "amount", "minorUnits"), raw.minor_units)
    if raw.currency != CURRENCY:
        problems.add(("input", "amount", "currency"), f"Only {CURRENCY} can be charged.")
    card = _parse_source(problems, raw.card, now)
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return AuthorizeRequest(key, order_id, customer_id, Money(minor_units), card)


def _parse_source(problems: Problems, raw: RawCard | RawStoredCard, now: datetime) -> CardDetails | ChosenCard:
    if isinstance(raw, RawCard):
        return _parse_card(problems, ("input", "source", "card"), raw, now)
    _check_cvv(problems, ("input", "source", "storedCard", "cvv"), raw.cvv)
    return ChosenCard(decode_id_of(IdKind.CARD, raw.card_id), raw.cvv)


def _check_cvv(problems: Problems, path: Path, cvv: str) -> None:
    if not is_cvv(cvv):
        problems.add(path, "It is not a CVV: three or four digits.")


def _parse_card(problems: Problems, path: Path, raw: RawCard, now: datetime) -> CardDetails:
    number = parse_number(problems, path, raw.number)
    _check_cvv(problems, (*path, "cvv"), raw.cvv)
    check_expiry(problems, path, raw.expiry_month, raw.expiry_year, now)
    return CardDetails(number, raw.cvv, raw.expiry_month, raw.expiry_year)


def parse_number(problems: Problems, path: Path, raw: str) -> str:
    """A card's bare number, given as `number` below this path."""
    number = normalise_number(raw)
    if not is_card_number(number):
        problems.add((*path, "number"), "It is not a card number: 13 to 19 digits that pass the Luhn check.")
    return number


def check_expiry(problems: Problems, path: Path, month: int, year: int, now: datetime) -> None:
    """A card's expiry, given as `expiryMonth` and `expiryYear` below this path, has to lie ahead."""
    if not 1 <= month <= 12:
        problems.add((*path, "expiryMonth"), "It is not a month; give 1 to 12.")
    elif not 2000 <= year <= now.year + FARTHEST_EXPIRY_YEARS:
        problems.add((*path, "expiryYear"), "It is not a year on a card; give all four digits, for instance 2030.")
    elif has_expired(month, year, now):
        problems.add((*path, "expiryYear" if year < now.year else "expiryMonth"), "The card has expired.")


def parse_operate(idempotency_key: str, payment_id: str) -> OperateRequest | InvalidInput:
    """The request to capture, void or refund, or what is wrong with its key."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return OperateRequest(key, decode_id_of(IdKind.PAYMENT, payment_id))
