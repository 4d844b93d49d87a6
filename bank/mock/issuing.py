"""Cards that the bank makes: an extension of this mock's own, which the contract does not have. `BANK_ISSUING=off` takes it away.

POST /issuing/v1/cards                    make a virtual card; needs an Idempotency-Key, and no body
GET  /issuing/v1/cards/{card_id}/details  its number, CVV and expiry

Where the contract leaves windows, this has none: a key is kept with its card, in one transaction and for ever, so that asking again
with the same key answers the same card.
"""

import sqlite3
from typing import Final

from bank.mock.answers import Answer, json_answer
from bank.mock.errors import DATABASE_FAILED, NOT_FOUND, Refused
from bank.mock.handlers import Circumstances
from bank.mock.ledger import Ledger
from bank.mock.records import IssuedCard
from bank.mock.timestamps import NANOS_PER_MICRO, to_micros, to_rfc3339
from bank.mock.validation import canonical_id

CARDS: Final = "/issuing/v1/cards"
DETAILS: Final = "/details"
_PREFIX: Final = "icard_"
_MAX_TRIES: Final = 100  # of ids whose numbers are taken already; there are a billion


def issue(ledger: Ledger, _: bytes, at: Circumstances) -> Answer:
    """POST /issuing/v1/cards. A key that has made a card answers that card, whatever has become of the stored answer."""
    if at.database_down:
        raise Refused(DATABASE_FAILED)
    card = ledger.state.issued_under(at.key)
    if card is None:
        card = _new_card(ledger, at)
        try:
            ledger.journal.issued(card)
        except sqlite3.Error as error:
            raise Refused(DATABASE_FAILED) from error
        ledger.state.add_issued(card)
    content = {
        "card_id": card.card_id,
        "status": "issued",
        "last4": card.account.last4,
        "expiry_month": card.account.expiry_month,
        "expiry_year": card.account.expiry_year,
        "issued_at": to_rfc3339(card.issued_us * NANOS_PER_MICRO),
    }
    return json_answer(200, content, card.card_id)


def issued_details(ledger: Ledger, text: str, at: Circumstances) -> Answer:
    """GET /issuing/v1/cards/{card_id}/details, as often as it is asked for."""
    card = None if at.database_down else ledger.state.issued.get(canonical_id(_PREFIX, text) or "")
    if card is None:
        raise Refused(NOT_FOUND)
    content = {
        "card_id": card.card_id,
        "card_number": card.account.card_number,
        "cvv": card.account.cvv,
        "expiry_month": card.account.expiry_month,
        "expiry_year": card.account.expiry_year,
    }
    return json_answer(200, content)


def _new_card(ledger: Ledger, at: Circumstances) -> IssuedCard:
    for _ in range(_MAX_TRIES):
        card = IssuedCard(ledger.new_id(_PREFIX), to_micros(at.now_ns), at.key)
        if card.account.card_number not in ledger.state.accounts:
            return card
    raise AssertionError("a billion numbers are not enough")
