"""The bank's rules about money (contract §3 and §6): each method is the bank's one database transaction.

Nothing in here awaits. On one event loop that serialises the authorizations of a card, and everything else.
"""

import random
import sqlite3
from typing import Final

from bank.mock.accounts import Account
from bank.mock.errors import (
    ALREADY_REFUNDED,
    AMOUNT_MISMATCH,
    AUTHORIZATION_ALREADY_USED,
    AUTHORIZATION_EXPIRED,
    AUTHORIZATION_NOT_FOUND,
    CAPTURE_NOT_FOUND,
    CARD_EXPIRED,
    CARD_NOT_FOUND,
    CVV_MISMATCH,
    DATABASE_FAILED,
    INSUFFICIENT_FUNDS,
    Refused,
)
from bank.mock.journal import Journal
from bank.mock.records import Capture, Hold, Refund, State, Void
from bank.mock.timestamps import HOUR_NANOS, is_card_expired, to_micros
from bank.mock.validation import dashed

_VERSION_MASK: Final = ~((0xF << 76) | (0x3 << 62))
_VERSION_4: Final = (0x4 << 76) | (0x2 << 62)


class Ledger:
    """Accounts, holds, captures, voids and refunds. Amounts are whole cents."""

    def __init__(self, state: State, journal: Journal, random: random.Random, auth_expiry_hours: int) -> None:
        self.state = state
        self.journal = journal
        self._random = random
        self.expiry_ns = auth_expiry_hours * HOUR_NANOS

    def authorize(self, card_number: str, cvv: str, amount: int, key: str, now_ns: int) -> Hold:
        """Hold money: available −amount. Checks 4 to 7 of §3, in that order; raises `Refused`."""
        account = self.state.accounts.get(card_number)
        if account is None:
            raise Refused(CARD_NOT_FOUND)
        if account.cvv != cvv:
            raise Refused(CVV_MISMATCH)
        if is_card_expired(account.expiry_month, account.expiry_year, now_ns):
            raise Refused(CARD_EXPIRED)
        if account.available < amount:
            raise Refused(INSUFFICIENT_FUNDS)
        created_us, expires_us = to_micros(now_ns), to_micros(now_ns + self.expiry_ns)
        hold = Hold(self.new_id("auth_"), account, amount, created_us, expires_us, key)
        balance, available = account.balance, account.available - amount
        try:
            self.journal.authorized(hold, balance, available)
        except sqlite3.Error as error:
            raise Refused(DATABASE_FAILED) from error
        self.state.holds[hold.authorization_id] = hold
        _settle(account, balance, available)
        return hold

    def capture(self, authorization_id: str, amount: int, key: str, now_ns: int) -> Capture:
        """Take the held money: balance −amount. The only step that looks at a hold's expiry (§3, §6)."""
        hold = self._active_hold(authorization_id)
        if to_micros(now_ns) > hold.expires_us:
            raise Refused(AUTHORIZATION_EXPIRED)
        if amount != hold.amount:
            raise Refused(AMOUNT_MISMATCH)
        capture = Capture(self.new_id("cap_"), hold, amount, to_micros(now_ns), key)
        balance, available = hold.account.balance - amount, hold.account.available
        try:
            self.journal.captured(capture, balance, available)
        except sqlite3.Error as error:
            raise Refused(DATABASE_FAILED) from error
        self.state.captures[capture.capture_id] = capture
        hold.state = "captured"
        _settle(hold.account, balance, available)
        return capture

    def void(self, authorization_id: str, key: str, now_ns: int) -> Void:
        """Give the hold back: available +amount. An expired hold can be voided, and only so is freed (§3, §6)."""
        hold = self._active_hold(authorization_id)
        void = Void(self.new_id("void_"), hold, to_micros(now_ns), key)
        balance, available = hold.account.balance, hold.account.available + hold.amount
        try:
            self.journal.voided(void, balance, available)
        except sqlite3.Error as error:
            raise Refused(DATABASE_FAILED) from error
        self.state.voids[void.void_id] = void
        hold.state = "voided"
        _settle(hold.account, balance, available)
        return void

    def refund(self, capture_id: str, amount: int, key: str, now_ns: int) -> Refund:
        """Give captured money back: balance and available +amount, at any age of the capture (§3, §6)."""
        capture = self.state.captures.get(capture_id)
        if capture is None:
            raise Refused(CAPTURE_NOT_FOUND)
        if amount != capture.amount:
            raise Refused(AMOUNT_MISMATCH)
        if capture.refunded:
            raise Refused(ALREADY_REFUNDED)
        refund = Refund(self.new_id("ref_"), capture, amount, to_micros(now_ns), key)
        account = capture.hold.account
        balance, available = account.balance + amount, account.available + amount
        try:
            self.journal.refunded(refund, balance, available)
        except sqlite3.Error as error:
            raise Refused(DATABASE_FAILED) from error
        self.state.refunds[refund.refund_id] = refund
        capture.refunded = True
        _settle(account, balance, available)
        return refund

    def move_expiry(self, hold: Hold, expires_us: int) -> None:
        """Let a hold expire at another time: the control app's, not the contract's."""
        self.journal.expiry_moved(hold, expires_us)
        hold.expires_us = expires_us

    def _active_hold(self, authorization_id: str) -> Hold:
        hold = self.state.holds.get(authorization_id)
        if hold is None:
            raise Refused(AUTHORIZATION_NOT_FOUND)
        if hold.state != "active":
            raise Refused(AUTHORIZATION_ALREADY_USED)
        return hold

    def new_id(self, prefix: str) -> str:
        """A fresh id of this kind."""
        # uuid.UUID would do the same in four times the time, and this runs once in every effect.
        return prefix + dashed(f"{self._random.getrandbits(128) & _VERSION_MASK | _VERSION_4:032x}")


def _settle(account: Account, balance: int, available: int) -> None:
    account.balance, account.available = balance, available
