"""What the bank's answers mean, as one table. Anything that the table does not hold is Unclear: asked again, never guessed.

Done        the bank did it, or had done it: 200 with a body that says what we asked for
Refused     the bank will not do it, and asking again changes nothing
Unclear     it may have done it or not: an error of its own, no answer at all, or one that makes no sense

A look-up (`BankClient.look_up`) asks for nothing to be done, and has answers of its own:

Kept        the bank has done it, and this is its reference
NotKept     under this key it keeps nothing
Unclear     as above
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, assert_never

import orjson

from domain.discrepancy import HoldStanding
from domain.payment import Verb

REPLAYED_HEADER = "x-idempotent-replayed"
MAX_MESSAGE_LENGTH = 255  # of the bank's words that we keep and show
MAX_RETRY_AFTER_S = 60.0  # a Retry-After beyond this is not obeyed: recovery asks at least once a minute anyway


class Unclarity(StrEnum):
    """Why an answer is no answer."""

    NOT_SENT = "NOT_SENT"
    """No connection: the bank can't have seen the request."""
    NO_ANSWER = "NO_ANSWER"
    """Sent, and nothing complete came back: the bank may have done it."""
    BANK_ERROR = "BANK_ERROR"
    """The bank answered with an error of its own (5xx, 429, 400 `internal_error`)."""
    UNINTELLIGIBLE = "UNINTELLIGIBLE"
    """An answer that the contract does not know."""


@dataclass(frozen=True, slots=True)
class Done:
    """The bank's reference of what it did, and whether this was a replay of an earlier answer."""

    reference: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The bank's final no: its code (contract §4) and its words."""

    code: str
    message: str

    @property
    def is_doubtful(self) -> bool:
        """Whether the bank says the same when its database fails in the look-up of a card (contract §7.4): worth a second question."""
        return (self.code, self.message) == ("invalid_card", NO_SUCH_CARD)


@dataclass(frozen=True, slots=True)
class Unclear:
    """Ask again with the same key. `may_have_acted`: whether the bank may have done it all the same."""

    why: Unclarity
    detail: str
    may_have_acted: bool
    retry_after_s: float | None = None


BankAnswer = Done | Refused | Unclear


@dataclass(frozen=True, slots=True)
class Kept:
    """The bank has done what it was asked under the key, and keeps its reference there."""

    reference: str


@dataclass(frozen=True, slots=True)
class NotKept:
    """Nothing under the key: it was refused, lost (contract §7.1), forgotten after a day, or never asked. That proves nothing.

    `hold`: of a capture, where the hold stands now, which is proof.
    """

    hold: HoldStanding | None = None


LookedUp = Kept | NotKept | Unclear

# Contract §3: what refuses an operation for good. `…_not_found` is missing on purpose: for an id that the bank itself gave us it
# means that its database failed (§7.4), so it is Unclear. `internal_error` is too (§7.3).
REFUSALS: Mapping[Verb, frozenset[str]] = {
    Verb.AUTHORIZE: frozenset({"invalid_card", "invalid_cvv", "invalid_amount", "card_expired", "insufficient_funds"}),
    Verb.CAPTURE: frozenset({"authorization_already_used", "authorization_expired", "amount_mismatch"}),
    Verb.VOID: frozenset({"authorization_already_used"}),
    Verb.REFUND: frozenset({"already_refunded", "amount_mismatch"}),
}
BANK_ERRORS: Mapping[Verb, frozenset[str]] = {
    Verb.AUTHORIZE: frozenset({"internal_error"}),
    Verb.CAPTURE: frozenset({"internal_error", "authorization_not_found"}),
    Verb.VOID: frozenset({"internal_error", "authorization_not_found"}),
    Verb.REFUND: frozenset({"internal_error", "capture_not_found"}),
}
# Contract §1: the injected 500 comes before any work. No other error of the bank's promises that.
HARMLESS_500 = ("internal_error", "Random failure injection")
# A 4xx means that nothing was done, but for what a proxy in between says while the bank may be at it, and for a conflict, which may be
# one with an earlier try of ours.
DOUBTFUL_4XX = frozenset({408, 409, 499})
# Contract §2: for each operation its id in the answer, and the status that it then has.
_REFERENCE: Mapping[Verb, tuple[str, str]] = {
    Verb.AUTHORIZE: ("authorization_id", "approved"),
    Verb.CAPTURE: ("capture_id", "captured"),
    Verb.VOID: ("void_id", "voided"),
    Verb.REFUND: ("refund_id", "refunded"),
}

# What a look-up gets when its key is not kept, once its body has been refused. Each of these codes comes out of the bank's database:
# what comes before that (of `{}`, say) is said of a kept key, too, while the database is down (§7.3). For an authorization and a void
# a failed locking read says the same (§7.4), after a look-up of the key that worked.
NOT_KEPT: Mapping[Verb, Mapping[str, NotKept]] = {
    Verb.AUTHORIZE: {"invalid_card": NotKept()},
    Verb.CAPTURE: {
        "authorization_already_used": NotKept(HoldStanding.USED),
        "authorization_expired": NotKept(HoldStanding.EXPIRED),
        "amount_mismatch": NotKept(HoldStanding.ACTIVE),
    },
    Verb.VOID: {"authorization_not_found": NotKept()},
    Verb.REFUND: {"amount_mismatch": NotKept()},
}
NO_SUCH_CARD = "card not found or invalid"  # §3: the database's `invalid_card`; the validation's comes before it


def read_answer(verb: Verb, expected: Mapping[str, object], status: int, headers: Mapping[str, str], body: bytes) -> BankAnswer:
    """What a complete HTTP response means. `expected`: fields that a 200 must repeat from the request, such as the amount."""
    if status == 200:
        return _read_success(verb, expected, headers, body)
    document = json_object(body) or {}  # on anything but 200 it may as well be text (contract §4)
    code, message = str(document.get("error", "")), str(document.get("message", ""))
    if status in (400, 402) and code in REFUSALS[verb]:
        return Refused(code, message[:MAX_MESSAGE_LENGTH])
    is_bank_error = status >= 500 or status == 429 or code in BANK_ERRORS[verb]
    return Unclear(
        why=Unclarity.BANK_ERROR if is_bank_error else Unclarity.UNINTELLIGIBLE,
        detail=f"status {status}",
        may_have_acted=_may_have_acted(status, code, message),
        retry_after_s=asked_to_wait_s(headers),
    )


def _may_have_acted(status: int, code: str, message: str) -> bool:
    if 400 <= status < 500:
        return status in DOUBTFUL_4XX
    return status != 500 or (code, message) != HARMLESS_500


def read_look_up(verb: Verb, expected: Mapping[str, object], status: int, headers: Mapping[str, str], body: bytes) -> LookedUp:
    """What a complete HTTP response to a look-up means. `expected`: fields that a kept answer must have."""
    if status == 400:
        document = json_object(body) or {}
        code, message = str(document.get("error", "")), document.get("message")
        if code in NOT_KEPT[verb] and (verb is not Verb.AUTHORIZE or message == NO_SUCH_CARD):
            return NOT_KEPT[verb][code]
    answer = read_answer(verb, expected, status, headers, body)
    match answer:
        case Done(reference, replayed=True):
            return Kept(reference)
        case Done():
            return Unclear(Unclarity.UNINTELLIGIBLE, "status 200 that is no replay", may_have_acted=True)
        case Refused(code):
            return Unclear(Unclarity.UNINTELLIGIBLE, f"{code} for a look-up", may_have_acted=False)
        case Unclear():
            return answer if status < 300 else replace(answer, may_have_acted=False)  # nothing was asked for that could be done
        case _:
            assert_never(answer)


def _read_success(verb: Verb, expected: Mapping[str, object], headers: Mapping[str, str], body: bytes) -> BankAnswer:
    document = json_object(body)
    if document is None:
        return Unclear(Unclarity.UNINTELLIGIBLE, "status 200 without a JSON object", may_have_acted=True)
    name, bank_status = _REFERENCE[verb]
    reference = document.get(name)
    if not isinstance(reference, str) or not 0 < len(reference) <= 255:
        return Unclear(Unclarity.UNINTELLIGIBLE, f"status 200 without {name}", may_have_acted=True)
    for field, value in {"status": bank_status, **expected}.items():
        found = document.get(field)
        if found != value or type(found) is not type(value):  # true and 1.0 equal 1
            return Unclear(Unclarity.UNINTELLIGIBLE, f"status 200 with another {field}", may_have_acted=True)
    return Done(reference, headers.get(REPLAYED_HEADER, "").lower() == "true")


def json_object(body: bytes) -> dict[str, Any] | None:
    """A body that is a JSON object; None for anything else."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def asked_to_wait_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the bank, or a proxy, asks us to wait, capped. A date counts from the answer's own (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "")
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), MAX_RETRY_AFTER_S)
    until, since = _date(text), _date(headers.get("date", ""))
    if until is None or since is None:
        return None
    return min(max((until - since).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
