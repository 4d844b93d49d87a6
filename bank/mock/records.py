"""What the bank remembers: holds, captures, voids, refunds and stored answers.

Each effect carries the idempotency key that caused it, stored or not, so that a checker can count effects by key.
"""

from dataclasses import dataclass
from typing import Final, Literal

from bank.mock.accounts import Account, issued_account

HoldState = Literal["active", "captured", "voided"]
CURRENCY: Final = "USD"


@dataclass(slots=True)
class Hold:
    """An authorization. Its real state is the bank's secret: a GET says "approved" whatever it is (§2)."""

    authorization_id: str
    account: Account
    amount: int
    created_us: int
    expires_us: int
    key: str
    state: HoldState = "active"


@dataclass(slots=True)
class Capture:
    """A hold turned into money taken."""

    capture_id: str
    hold: Hold
    amount: int
    captured_us: int
    key: str
    refunded: bool = False


@dataclass(slots=True)
class Void:
    """A hold given back; the contract has no way to look one up."""

    void_id: str
    hold: Hold
    voided_us: int
    key: str


@dataclass(slots=True)
class Refund:
    """A capture given back."""

    refund_id: str
    capture: Capture
    amount: int
    refunded_us: int
    key: str


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """A card that the bank has made, by the extension of `bank.mock.issuing`. Its number follows from its id."""

    card_id: str
    issued_us: int
    key: str

    @property
    def account(self) -> Account:
        """What is behind it, as it was on its first day."""
        return issued_account(self.card_id, self.issued_us)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An idempotency row: what a replay of (key, path) answers, until it is 24 hours old (§5)."""

    key: str
    path: str
    body: bytes
    reference: str
    stored_ns: int


class State:
    """All of it, by id. The accounts are by card number, as the bank looks them up."""

    def __init__(self, accounts: list[Account]) -> None:
        self.accounts = {account.card_number: account for account in accounts}
        self.holds: dict[str, Hold] = {}
        self.captures: dict[str, Capture] = {}
        self.voids: dict[str, Void] = {}
        self.refunds: dict[str, Refund] = {}
        self.answers: dict[tuple[str, str], StoredAnswer] = {}
        self.issued: dict[str, IssuedCard] = {}
        self._issued_by_key: dict[str, IssuedCard] = {}

    def issued_under(self, key: str) -> IssuedCard | None:
        """The card that this key has made."""
        return self._issued_by_key.get(key)

    def add_issued(self, card: IssuedCard) -> None:
        """Know it, and let it be charged."""
        self.issued[card.card_id] = self._issued_by_key[card.key] = card
        self.accounts.setdefault(card.account.card_number, card.account)
