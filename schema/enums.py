"""The domain's enums as GraphQL's, every value with its description. Annotate fields with the domain's classes."""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, TypeVar, cast

import strawberry

from domain.audit import ActorKind
from domain.card import CardBrand
from domain.discrepancy import DiscrepancyKind, Remedy
from domain.event import EventType
from domain.order import ShipReason
from domain.partner import Mode
from domain.payment import DeclineCode, PaymentState, ReviewReason, Verb
from domain.reconciliation import Trigger
from domain.request import WaitFor
from domain.scope import Scope
from domain.tier import TierName
from domain.usage import Grouping


class ErrorCode(StrEnum):
    """What kind of refusal a UserError is, for programs."""

    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    INVALID_TRANSITION = "INVALID_TRANSITION"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    IDEMPOTENCY_IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS"
    ORDER_ALREADY_PAID = "ORDER_ALREADY_PAID"
    INSUFFICIENT_SCOPE = "INSUFFICIENT_SCOPE"
    API_KEY_NOT_USABLE = "API_KEY_NOT_USABLE"
    LIMIT_REACHED = "LIMIT_REACHED"
    CARD_NOT_USABLE = "CARD_NOT_USABLE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    EXTERNAL_ID_TAKEN = "EXTERNAL_ID_TAKEN"
    USER_NOT_USABLE = "USER_NOT_USABLE"
    WEBHOOK_ENDPOINT_DISABLED = "WEBHOOK_ENDPOINT_DISABLED"
    ISSUING_UNAVAILABLE = "ISSUING_UNAVAILABLE"
    BANK_UNAVAILABLE = "BANK_UNAVAILABLE"
    CARD_ALREADY_REVEALED = "CARD_ALREADY_REVEALED"


_E = TypeVar("_E", bound=Enum)


def _publish(enum: type[_E], name: str, description: str, values: Mapping[_E, str]) -> None:
    """Make `enum` a GraphQL enum. Every member has to be described: a missing one fails at import."""
    assert set(values) == set(enum), f"{name}: each value has a description"
    strawberry.enum(enum, name=name, description=description)
    for value in cast(Any, enum).__strawberry_definition__.values:
        value.description = values[enum[value.name]]


_publish(
    PaymentState,
    "PaymentState",
    "Where a payment stands: PENDING → AUTHORIZED → CAPTURED → REFUNDED, with DECLINED, VOIDED and EXPIRED as other ends.",
    {
        PaymentState.PENDING: "Accepted and durable; the bank has not answered the authorization yet.",
        PaymentState.AUTHORIZED: "The bank holds the amount on the card. It can be captured or voided.",
        PaymentState.CAPTURED: "The money has been taken. It can be refunded.",
        PaymentState.VOIDED: "The hold was given up before a capture; nothing was charged. Final.",
        PaymentState.REFUNDED: "The captured money has been paid back. Final.",
        PaymentState.DECLINED: "The bank refused the authorization; `decline` says why. Final; the order can be tried again.",
        PaymentState.EXPIRED: "The hold ran out before a capture; nothing was charged. Final; the order can be tried again.",
    },
)
_publish(
    Verb,
    "PaymentOperation",
    "What can be asked of the bank for a payment.",
    {
        Verb.AUTHORIZE: "Hold the amount on the card.",
        Verb.CAPTURE: "Take the held amount.",
        Verb.VOID: "Give the hold up.",
        Verb.REFUND: "Pay the captured amount back.",
    },
)
_publish(
    CardBrand,
    "CardBrand",
    "The card's network.",
    {
        CardBrand.VISA: "Visa.",
        CardBrand.MASTERCARD: "Mastercard.",
        CardBrand.AMERICAN_EXPRESS: "American Express.",
        CardBrand.DISCOVER: "Discover.",
        CardBrand.OTHER: "Any other network.",
    },
)
_publish(
    DeclineCode,
    "DeclineCode",
    "Why the bank refused an authorization.",
    {
        DeclineCode.INVALID_CARD: "The bank knows no such card.",
        DeclineCode.INVALID_CVV: "The security code is not this card's.",
        DeclineCode.CARD_EXPIRED: "The card has expired at the bank, whatever is printed on it.",
        DeclineCode.INSUFFICIENT_FUNDS: "The available balance is less than the amount.",
        DeclineCode.REFUSED: "Another reason; the message has the bank's words.",
    },
)
_publish(
    ReviewReason,
    "ReviewReason",
    "What our operators have to look at.",
    {
        ReviewReason.POSSIBLE_ORPHAN_HOLD: (
            "A try to authorize ended without an answer: a second hold on the card can't be ruled out until it expires."
        ),
        ReviewReason.CAPTURE_REFERENCE_UNKNOWN: (
            "The bank captured but its answer was lost; without its reference the payment can't be refunded through the API."
        ),
        ReviewReason.VOID_REFERENCE_UNKNOWN: "The bank voided but its answer was lost; only its reference is missing.",
        ReviewReason.REFUND_REFERENCE_UNKNOWN: "The bank refunded but its answer was lost; only its reference is missing.",
        ReviewReason.BANK_DISAGREES: "The bank refused what our records allow.",
        ReviewReason.BANK_KEY_EXPIRED: (
            "The bank may have authorized, did not say so for a day, and can no longer be asked again safely. The payment stays "
            "PENDING until our operators have found out."
        ),
        ReviewReason.BANK_UNINTELLIGIBLE: "The bank keeps giving an answer that its contract does not know.",
        ReviewReason.RECONCILED: (
            "A reconciliation with the bank has put this payment right; its amount is so large that our operators look at it too."
        ),
    },
)
_publish(
    DiscrepancyKind,
    "DiscrepancyKind",
    "In which way our records and the bank's books differed.",
    {
        DiscrepancyKind.HOLD_EXPIRED: "We counted on a hold that had run out. The payment became EXPIRED, and the hold is voided.",
        DiscrepancyKind.HOLD_USED_ELSEWHERE: "The bank captured or voided a hold, and not because we asked it to.",
        DiscrepancyKind.HOLD_NOT_USED: "We recorded a capture or a void, and the bank still has the hold open.",
        DiscrepancyKind.HOLD_NOT_RELEASED: "The hold of an expired payment had never been voided. It is now.",
        DiscrepancyKind.HOLD_FOUND: "An authorization without an answer, which could not be asked for again, had succeeded.",
        DiscrepancyKind.ORPHAN_HOLD: "The bank holds money for a payment that we recorded as declined.",
        DiscrepancyKind.SECOND_HOLD: "The bank has another hold under our key than the one that we recorded.",
        DiscrepancyKind.REFERENCE_FOUND: "A reference that had been lost together with an answer.",
        DiscrepancyKind.OTHER_CAPTURE: "The bank has another capture under our key than the one that we recorded.",
        DiscrepancyKind.OTHER_VOID: "The bank has another void under our key than the one that we recorded.",
        DiscrepancyKind.OTHER_REFUND: "The bank has another refund under our key than the one that we recorded.",
        DiscrepancyKind.REFUSED_BUT_DONE: "We recorded that the bank had refused an operation, and it has done it.",
    },
)
_publish(
    Remedy,
    "DiscrepancyRemedy",
    "What was done about a discrepancy.",
    {
        Remedy.REPAIRED: "The bank's word settles it, and our records were put right. A large payment is flagged for review as well.",
        Remedy.FLAGGED: (
            "Nothing was put right: our operators have to find out more. The payment needs review; unless there was so much to repair "
            "in one run that the rest was only reported."
        ),
    },
)
_publish(
    Trigger,
    "ReconciliationTrigger",
    "Who began a reconciliation.",
    {
        Trigger.SCHEDULE: "It was due.",
        Trigger.OPERATOR: "One of our operators.",
    },
)
_publish(
    ShipReason,
    "ShipReason",
    "Why an order may, or may not, be shipped.",
    {
        ShipReason.FUNDS_HELD: "Ready: the amount is held. Capture when the goods leave.",
        ShipReason.FUNDS_CAPTURED: "Ready: the money has been taken.",
        ShipReason.NO_PAYMENT: "Not ready: nobody has tried to pay this order.",
        ShipReason.AWAITING_BANK: "Not ready: the bank has not answered the authorization yet.",
        ShipReason.OPERATION_PENDING: "Not ready: a capture, a void or a refund is under way. Ask again in a moment.",
        ShipReason.DECLINED: "Not ready: the bank refused the card.",
        ShipReason.VOIDED: "Not ready: the hold was given up.",
        ShipReason.REFUNDED: "Not ready: the money was paid back.",
        ShipReason.HOLD_EXPIRED: "Not ready: the hold has run out, or will any moment.",
    },
)
_publish(
    WaitFor,
    "WaitFor",
    "What the answer of authorizePayment waits for.",
    {
        WaitFor.OUTCOME: (
            "The bank's answer, for some seconds at most (8 unless we agreed on others); after that the payment is answered as "
            "PENDING and its outcome follows. "
            "While the bank can't be reached at all, PENDING is answered at once."
        ),
        WaitFor.ACCEPTANCE: "Only that the payment is durable: PENDING is answered at once and the outcome follows.",
    },
)
_publish(
    ErrorCode,
    "ErrorCode",
    "What kind of refusal a UserError is, for programs. A refusal means that nothing was done.",
    {
        ErrorCode.INVALID_INPUT: "The input breaks a rule; `path` says where. The idempotency key is not used up.",
        ErrorCode.NOT_FOUND: "There is no such thing among yours.",
        ErrorCode.INVALID_TRANSITION: "The payment's state, an operation under way, or the bank stands against it.",
        ErrorCode.IDEMPOTENCY_MISMATCH: "The idempotency key was used before with other input.",
        ErrorCode.IDEMPOTENCY_IN_PROGRESS: "The first request with this idempotency key is still running. Ask again.",
        ErrorCode.ORDER_ALREADY_PAID: "The order has a live payment: pending, authorized or captured.",
        ErrorCode.INSUFFICIENT_SCOPE: "The API key can do more than the one that asks.",
        ErrorCode.API_KEY_NOT_USABLE: "The API key has ended, or has a successor already.",
        ErrorCode.LIMIT_REACHED: "There are as many as there may be.",
        ErrorCode.WEBHOOK_ENDPOINT_DISABLED: "The webhook endpoint is disabled, and nothing is sent there.",
        ErrorCode.CARD_NOT_USABLE: "The card's state stands against it, or its user's.",
        ErrorCode.LIMIT_EXCEEDED: "The payment would pass a limit of the card.",
        ErrorCode.EXTERNAL_ID_TAKEN: "Another request has made a user with this external id.",
        ErrorCode.USER_NOT_USABLE: "The user's state stands against it.",
        ErrorCode.ISSUING_UNAVAILABLE: "The bank does not issue cards. Nothing was done.",
        ErrorCode.BANK_UNAVAILABLE: "The bank did not answer. Nothing was done; repeat it with the same key.",
        ErrorCode.CARD_ALREADY_REVEALED: "The card's number was shown before, and is shown once.",
    },
)
_publish(
    Mode,
    "Mode",
    "Whether money moves.",
    {
        Mode.LIVE: "Payments are real.",
        Mode.TEST: "A sandbox with data of its own: no money moves.",
    },
)
_publish(
    Scope,
    "Scope",
    "What a key may do: read one kind of thing, or write it.",
    {
        Scope.USERS_READ: "Look at end users.",
        Scope.USERS_WRITE: "Make and change end users.",
        Scope.CARDS_READ: "Look at stored cards.",
        Scope.CARDS_WRITE: "Add, issue and change stored cards.",
        Scope.CARDS_REVEAL: "See the number of an issued card, once. No key has it unless it was named.",
        Scope.PAYMENTS_READ: "Look at payments, orders and reports of the reconciliation.",
        Scope.PAYMENTS_WRITE: "Authorize, capture and void payments.",
        Scope.REFUNDS_WRITE: "Pay captured money back.",
        Scope.WEBHOOKS_READ: "Look at webhook endpoints and deliveries.",
        Scope.WEBHOOKS_WRITE: "Make and change webhook endpoints, and send deliveries again.",
        Scope.KEYS_READ: "Look at API keys.",
        Scope.KEYS_WRITE: "Make, rotate and revoke API keys.",
        Scope.EVENTS_READ: "Read and follow events.",
        Scope.USAGE_READ: "See what was used.",
        Scope.AUDIT_READ: "Read the audit log.",
    },
)
_publish(
    ActorKind,
    "AuditActorKind",
    "What kind of actor did something.",
    {
        ActorKind.API_KEY: "One of your keys, by a mutation.",
        ActorKind.OPERATOR: "One of our operators.",
        ActorKind.RECONCILIATION: "The comparison with the bank's books.",
    },
)
_publish(
    EventType,
    "EventType",
    "What happened.",
    {
        EventType.PAYMENT_CREATED: "A payment was accepted, and is PENDING.",
        EventType.PAYMENT_AUTHORIZED: "The bank holds the amount.",
        EventType.PAYMENT_DECLINED: "The bank refused the authorization.",
        EventType.PAYMENT_CAPTURED: "The money was taken.",
        EventType.PAYMENT_VOIDED: "The hold was given up.",
        EventType.PAYMENT_REFUNDED: "The money was paid back.",
        EventType.PAYMENT_EXPIRED: "The hold ran out.",
        EventType.USER_CREATED: "A user was made.",
        EventType.USER_UPDATED: "A user's name, e-mail or metadata was changed.",
        EventType.USER_DEACTIVATED: "A user was deactivated: nothing is paid with their cards.",
        EventType.USER_REACTIVATED: "A user came back.",
        EventType.USER_ERASED: "A user's personal data was erased.",
        EventType.CARD_ADDED: "A card was added by its number.",
        EventType.CARD_ISSUED: "A card was issued.",
        EventType.CARD_ACTIVATED: "A card was activated.",
        EventType.CARD_FROZEN: "A card was frozen.",
        EventType.CARD_UNFROZEN: "A card was unfrozen.",
        EventType.CARD_CLOSED: "A card was closed.",
        EventType.CARD_RENEWED: "A card's number was added again, with another expiry.",
        EventType.CARD_LIMITS_CHANGED: "A card's limits were changed.",
        EventType.API_KEY_CREATED: "An API key was made.",
        EventType.API_KEY_ROTATED: "An API key was given a successor.",
        EventType.API_KEY_REVOKED: "An API key was revoked.",
        EventType.WEBHOOK_ENDPOINT_CREATED: "A webhook endpoint was made.",
        EventType.WEBHOOK_ENDPOINT_UPDATED: "A webhook endpoint was changed, or its secret rotated.",
        EventType.WEBHOOK_ENDPOINT_FAILING: (
            "Nearly nothing gets through to a webhook endpoint: its deliveries wait. The tenth time in a row disables it."
        ),
        EventType.WEBHOOK_ENDPOINT_DISABLED: "A webhook endpoint was disabled, by us or by you.",
        EventType.WEBHOOK_ENDPOINT_DELETED: "A webhook endpoint was deleted.",
    },
)
_publish(
    Grouping,
    "UsageGrouping",
    "By what usage is added up.",
    {
        Grouping.DAY: "By day (UTC).",
        Grouping.MONTH: "By month (UTC).",
        Grouping.KEY: "By API key.",
    },
)
_publish(
    TierName,
    "TierName",
    "How much of the platform a partner may use.",
    {
        TierName.TRIAL: "A desk that tries things out; every sandbox.",
        TierName.STANDARD: "A shop.",
        TierName.ENTERPRISE: "Thousands of payments a second.",
    },
)
