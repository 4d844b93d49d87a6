"""Cards and the money behind them (contract §6), and the form in which further cards are configured.

`BANK_ACCOUNTS` is JSON, inline or in a file: an array of cards and of ranges of cards.

    [{"card_number": "4000000000000002", "cvv": "123", "expiry_month": 12, "expiry_year": 2030, "balance": 10000},
     {"prefix": "400000", "count": 1000, "cvv": "123", "balance": 100000000}]

Balances are cents. A range numbers its cards from 0: prefix, the number padded with zeros to `length` - 1 digits
(`length` is 16 unless said), and Luhn's check digit. Expiry is 12/2035 unless said. A card that already exists
is replaced, so the balance of the contract's four can be set too.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bank.mock.timestamps import MICROS_PER_SECOND
from bank.mock.validation import check_digit, is_plausible_card_number

# A load test needs thousands; a quarter of a million cost ~100 MB, and more is a typing error.
MAX_ACCOUNTS: Final = 250_000
_DEFAULT_EXPIRY: Final = (12, 2035)
_ISSUED_PREFIX: Final = "450000"  # of none of the contract's cards, nor of a range in our documents
_ISSUED_DIGITS: Final = 16
_ISSUED_GOOD_FOR_YEARS: Final = 3
ISSUED_BALANCE: Final = 1_000_000  # cents


@dataclass(slots=True)
class Account:
    """One card. `available` is `balance` less the holds; card data stays out of the repr."""

    card_number: str = field(repr=False)
    cvv: str = field(repr=False)
    expiry_month: int
    expiry_year: int
    balance: int
    available: int
    # Names the account in the ledger and in the state file without spelling the card number.
    fingerprint: str

    @property
    def last4(self) -> str:
        """All of the card number that leaves the bank's control door."""
        return self.card_number[-4:]


def account(card_number: str, cvv: str, expiry: tuple[int, int], balance: int) -> Account:
    """A card with nothing held."""
    fingerprint = hashlib.sha256(card_number.encode()).hexdigest()[:24]
    return Account(card_number, cvv, *expiry, balance, balance, fingerprint)


def issued_account(card_id: str, issued_us: int) -> Account:
    """The account behind a card that the bank has made, full. It follows from the id, so that the books hold no number."""
    digest = int.from_bytes(hashlib.sha256(card_id.encode()).digest())
    digits = _ISSUED_DIGITS - len(_ISSUED_PREFIX) - 1
    stem = f"{_ISSUED_PREFIX}{digest % 10**digits:0{digits}d}"
    issued = datetime.fromtimestamp(issued_us // MICROS_PER_SECOND, UTC)
    cvv = f"{(digest >> 128) % 1000:03d}"
    return account(stem + check_digit(stem), cvv, (issued.month, issued.year + _ISSUED_GOOD_FOR_YEARS), ISSUED_BALANCE)


def contract_accounts() -> list[Account]:
    """The four cards that the bank knows, fresh (§6)."""
    return [
        account("4111111111111111", "123", (12, 2030), 1_000_000),
        account("4242424242424242", "456", (6, 2030), 50_000),
        account("5555555555554444", "789", (9, 2030), 0),
        account("5105105105105100", "321", (3, 2020), 500_000),
    ]


def further_accounts(text: str) -> list[Account]:
    """The cards of `BANK_ACCOUNTS`; raises ValueError with one sentence that holds no card data."""
    source = text.strip()
    if not source.startswith(("[", "{")):
        try:
            source = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"its file cannot be read: {error.strerror}") from error
    try:
        entries = json.loads(source)
    except ValueError as error:
        raise ValueError("it is not JSON") from error
    accounts: list[Account] = []
    for number, entry in enumerate(entries if isinstance(entries, list) else [entries], start=1):
        try:
            accounts += _range(entry) if "prefix" in entry else [_single(entry)]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"its entry {number} is wrong: {_reason(error)}") from error
        if len(accounts) > MAX_ACCOUNTS:
            raise ValueError(f"it describes more than {MAX_ACCOUNTS} cards")
    return accounts


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _single(entry: dict[str, Any]) -> Account:
    card_number = _digits(entry["card_number"], "card_number")
    if not is_plausible_card_number(card_number):
        raise ValueError("card_number fails Luhn's check, so the bank could never find it")
    return _with_terms(card_number, entry)


def _range(entry: dict[str, Any]) -> list[Account]:
    prefix = _digits(entry["prefix"], "prefix")
    length, count = _whole(entry.get("length", 16), "length"), _whole(entry["count"], "count")
    places = length - 1 - len(prefix)
    if not 13 <= length <= 19:
        raise ValueError("length is not between 13 and 19")
    if count > MAX_ACCOUNTS or places < 1 or count > 10**places:
        raise ValueError("count is too large")
    stems = (f"{prefix}{number:0{places}d}" for number in range(count))
    return [_with_terms(stem + check_digit(stem), entry) for stem in stems]


def _with_terms(card_number: str, entry: dict[str, Any]) -> Account:
    month = _whole(entry.get("expiry_month", _DEFAULT_EXPIRY[0]), "expiry_month")
    year = _whole(entry.get("expiry_year", _DEFAULT_EXPIRY[1]), "expiry_year")
    if not 1 <= month <= 12:
        raise ValueError("expiry_month is not between 1 and 12")
    return account(card_number, _digits(entry["cvv"], "cvv"), (month, year), _whole(entry["balance"], "balance"))


def _whole(value: Any, name: str) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is not a whole number")
    return value


def _digits(value: Any, name: str) -> str:
    if not (isinstance(value, str) and value.isascii() and value.isdigit()):
        raise ValueError(f"{name} is not a string of digits")
    return value
