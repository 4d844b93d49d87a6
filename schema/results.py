"""What mutations answer: a payload, or one of the refusals that can happen there."""

from typing import Annotated

import strawberry

from schema.card_errors import CardLimitExceededError, CardNotUsableError
from schema.errors import (
    IdempotencyInProgressError,
    IdempotencyMismatchError,
    InvalidInputError,
    InvalidTransitionError,
    NotFoundError,
    OrderAlreadyPaidError,
)
from schema.payment import Payment


@strawberry.type(description="The payment after the operation.")
class PaymentPayload:
    payment: Payment = strawberry.field(
        description="As it was when the bank answered; still with a `pendingOperation` if the bank has not answered yet."
    )
    replayed: bool = strawberry.field(description="Whether this answers a request that was made before with the same key.")


AuthorizePaymentResult = Annotated[
    PaymentPayload
    | InvalidInputError
    | NotFoundError
    | CardNotUsableError
    | CardLimitExceededError
    | OrderAlreadyPaidError
    | IdempotencyMismatchError
    | IdempotencyInProgressError,
    strawberry.union("AuthorizePaymentResult", description="The payment, DECLINED ones too, or why nothing was done."),
]
_Operated = (
    PaymentPayload
    | InvalidInputError
    | NotFoundError
    | InvalidTransitionError
    | IdempotencyMismatchError
    | IdempotencyInProgressError
)
CapturePaymentResult = Annotated[
    _Operated, strawberry.union("CapturePaymentResult", description="The payment, or why nothing was captured.")
]
VoidPaymentResult = Annotated[
    _Operated, strawberry.union("VoidPaymentResult", description="The payment, or why nothing was voided.")
]
RefundPaymentResult = Annotated[
    _Operated, strawberry.union("RefundPaymentResult", description="The payment, or why nothing was refunded.")
]
