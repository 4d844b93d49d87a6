"""What the bank answers when it doesn't do as asked, and what goes wrong inside it (contract §4).

Refused            an answer: a status, a code and a text, as JSON
Undecodable        an answer: 400 text/plain, the body was not what the decoder wanted
AnswerDropped      the connection ends without (the rest of) an answer
BankStateError     the state cannot be opened; the bank refuses to start
"""

from typing import Final, NamedTuple


class Refusal(NamedTuple):
    """`{"error": code, "message": text}` under `status`."""

    status: int
    code: str
    message: str


class Refused(Exception):
    """Carries a refusal out of the rules; made anew each time, since a raised exception keeps its traceback."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class Undecodable(Exception):
    """The body is not JSON of the right types: 400 text/plain (§3)."""


class AnswerDropped(ConnectionError):
    """The bank closes the connection before its answer is complete (§7.6, and the scripted faults).

    Over real sockets the connection is closed and nobody sees this. Over `httpx.ASGITransport`, which has no
    connection, it is raised through to the caller, for whom it is what a reset is.
    """


class BankStateError(ValueError):
    """The bank's state cannot be used, and the message says why."""


INVALID_CARD_NUMBER: Final = Refusal(400, "invalid_card", "card number is invalid")
INVALID_CVV: Final = Refusal(400, "invalid_cvv", "CVV must be 3 or 4 digits")
INVALID_AMOUNT: Final = Refusal(400, "invalid_amount", "amount must be greater than zero")
CARD_NOT_FOUND: Final = Refusal(400, "invalid_card", "card not found or invalid")
CVV_MISMATCH: Final = Refusal(400, "invalid_cvv", "CVV does not match")
CARD_EXPIRED: Final = Refusal(400, "card_expired", "card has expired")
INSUFFICIENT_FUNDS: Final = Refusal(402, "insufficient_funds", "insufficient funds")
AUTHORIZATION_NOT_FOUND: Final = Refusal(400, "authorization_not_found", "authorization not found")
AUTHORIZATION_EXPIRED: Final = Refusal(400, "authorization_expired", "authorization has expired")
AUTHORIZATION_ALREADY_USED: Final = Refusal(400, "authorization_already_used", "authorization has already been used")
AMOUNT_MISMATCH: Final = Refusal(400, "amount_mismatch", "amount does not match")
CAPTURE_NOT_FOUND: Final = Refusal(400, "capture_not_found", "capture not found")
ALREADY_REFUNDED: Final = Refusal(400, "already_refunded", "capture has already been refunded")
NOT_FOUND: Final = Refusal(404, "not_found", "not found")
# 400, not 500: the bank takes its own database's failure for the caller's (§4, §7.3).
DATABASE_FAILED: Final = Refusal(400, "internal_error", "an internal error occurred")
RANDOM_FAILURE: Final = Refusal(500, "internal_error", "Random failure injection")

# Every code that a client can meet; the OpenAPI document lists them from here.
CODES: Final = tuple(
    sorted(
        {
            refusal.code
            for refusal in (
                INVALID_CARD_NUMBER,
                INVALID_CVV,
                INVALID_AMOUNT,
                CARD_EXPIRED,
                INSUFFICIENT_FUNDS,
                AUTHORIZATION_NOT_FOUND,
                AUTHORIZATION_EXPIRED,
                AUTHORIZATION_ALREADY_USED,
                AMOUNT_MISMATCH,
                CAPTURE_NOT_FOUND,
                ALREADY_REFUNDED,
                NOT_FOUND,
                RANDOM_FAILURE,
            )
        }
    )
)
