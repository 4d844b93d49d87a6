"""The enums of users and their cards as GraphQL's, every value with its description."""

from domain.answer import LimitName
from domain.stored_card import CardKind, CardReason, CardState
from domain.user import UserState
from schema.enums import _publish as publish

publish(
    UserState,
    "UserState",
    "Where a user stands: ACTIVE ⇄ DEACTIVATED, and ERASED for ever.",
    {
        UserState.ACTIVE: "Cards can be added for them, and paid with.",
        UserState.DEACTIVATED: "No card is added for them, and nothing is paid with those that they have. They can come back.",
        UserState.ERASED: "Their personal data is gone and their cards are closed; their receipts are kept. Final.",
    },
)
publish(
    CardKind,
    "CardKind",
    "Where a card comes from.",
    {
        CardKind.ADDED: "Its user has it from somebody else, and gave its number.",
        CardKind.ISSUED: "Issued for its user through this API.",
    },
)
publish(
    CardState,
    "CardState",
    "Where a card stands.",
    {
        CardState.INACTIVE: "Issued, and not activated yet.",
        CardState.ACTIVE: "Payments can be made with it.",
        CardState.FROZEN: "No payments, until it is unfrozen.",
        CardState.CLOSED: "No payments any more.",
    },
)
publish(
    CardReason,
    "CardReason",
    "Why a card was frozen or closed.",
    {
        CardReason.LOST: "Its holder has lost it.",
        CardReason.STOLEN: "It was stolen.",
        CardReason.FRAUD: "Somebody else has paid with it.",
        CardReason.CUSTOMER_REQUEST: "Its holder wished it.",
        CardReason.EXPIRED: "Its month is over. Never given by you: cards expire by their dates alone.",
    },
)
publish(
    LimitName,
    "CardLimitName",
    "A limit of a card. Days and months are those of UTC.",
    {
        LimitName.PER_TRANSACTION: "Of a single payment.",
        LimitName.PER_DAY: "Of all payments that were accepted on a day.",
        LimitName.PER_MONTH: "Of all payments that were accepted in a month.",
    },
)
