"""Refusals as types: each kind of `domain.answer.Refusal` has one here, and a test proves that none is missing."""

import strawberry

from domain import answer
from domain.ids import IdKind, encode_id
from domain.payment import PaymentState
from domain.scope import Scope
from schema.card_errors import CardLimitExceededError, CardNotUsableError, card_error_of
from schema.end_user_errors import ExternalIdTakenError, UserNotUsableError, end_user_error_of
from schema.enums import ErrorCode
from schema.issuing_errors import BankUnavailableError, CardAlreadyRevealedError, IssuingUnavailableError, issuing_error_of
from schema.user_error import UserError


@strawberry.type(description="One thing wrong with the input.")
class InputProblem:
    path: list[str] = strawberry.field(description="Where in the arguments.")
    message: str = strawberry.field(description="What was wrong and what to do.")


@strawberry.type(description="The input breaks a rule. The idempotency key is not used up.")
class InvalidInputError(UserError):
    problems: list[InputProblem] = strawberry.field(description="Everything that is wrong; `path` and `message` are the first's.")


@strawberry.type(description="There is no such thing among yours.")
class NotFoundError(UserError):
    pass


@strawberry.type(description="The payment's state, an operation under way, or the bank stands against it.")
class InvalidTransitionError(UserError):
    payment_id: strawberry.ID = strawberry.field(description="The payment.")
    current_state: PaymentState = strawberry.field(description="Its state.")


@strawberry.type(description="The idempotency key was used before with other input. Use a new key for a new request.")
class IdempotencyMismatchError(UserError):
    pass


@strawberry.type(description="The first request with this idempotency key is still running. Repeat this one in a moment.")
class IdempotencyInProgressError(UserError):
    pass


@strawberry.type(description="The order has a live payment: pending, authorized or captured.")
class OrderAlreadyPaidError(UserError):
    payment_id: strawberry.ID = strawberry.field(description="The live payment.")
    current_state: PaymentState = strawberry.field(description="Its state.")


@strawberry.type(description="The API key can do more than the one that asks, which could so get what it was not given.")
class InsufficientScopeError(UserError):
    scopes: list[Scope] = strawberry.field(description="What the key of this request lacks.")


@strawberry.type(description="The API key has ended, or has a successor already.")
class ApiKeyNotUsableError(UserError):
    api_key_id: strawberry.ID = strawberry.field(description="The key.")


@strawberry.type(description="There are as many as there may be.")
class LimitReachedError(UserError):
    limit: int = strawberry.field(description="How many there may be.")


@strawberry.type(description="The webhook endpoint is disabled: enable it first.")
class WebhookEndpointDisabledError(UserError):
    webhook_endpoint_id: strawberry.ID = strawberry.field(description="The endpoint.")


ErrorType = (
    InvalidInputError
    | NotFoundError
    | InvalidTransitionError
    | IdempotencyMismatchError
    | IdempotencyInProgressError
    | OrderAlreadyPaidError
    | InsufficientScopeError
    | ApiKeyNotUsableError
    | LimitReachedError
    | CardNotUsableError
    | CardLimitExceededError
    | ExternalIdTakenError
    | UserNotUsableError
    | WebhookEndpointDisabledError
    | IssuingUnavailableError
    | BankUnavailableError
    | CardAlreadyRevealedError
)
KEY_PATH = ["input", "idempotencyKey"]
_USED_BEFORE = (
    "This idempotency key was used before with other input. Nothing was done; use a new key for a new request, "
    "or repeat the first one unchanged."
)


def error_of(refusal: answer.Refusal) -> ErrorType:
    """A refusal as the schema shows it."""
    match refusal:
        case answer.InvalidInput(problems):
            return InvalidInputError(
                code=ErrorCode.INVALID_INPUT,
                message=problems[0].message,
                path=list(problems[0].path),
                problems=[InputProblem(path=list(each.path), message=each.message) for each in problems],
            )
        case answer.NotFound(path, what):
            return NotFoundError(
                code=ErrorCode.NOT_FOUND,
                message=f"There is no {what} of yours with this id.",
                path=list(path),
            )
        case answer.InvalidTransition(payment_id, state, message):
            return InvalidTransitionError(
                code=ErrorCode.INVALID_TRANSITION,
                message=message,
                path=["input", "paymentId"],
                payment_id=strawberry.ID(encode_id(IdKind.PAYMENT, payment_id)),
                current_state=state,
            )
        case answer.IdempotencyMismatch():
            return IdempotencyMismatchError(
                code=ErrorCode.IDEMPOTENCY_MISMATCH,
                message=_USED_BEFORE,
                path=KEY_PATH,
            )
        case answer.IdempotencyInProgress():
            return IdempotencyInProgressError(
                code=ErrorCode.IDEMPOTENCY_IN_PROGRESS,
                message="The first request with this idempotency key is still running. Repeat this one in a moment.",
                path=KEY_PATH,
            )
        case answer.InsufficientScope(path, lacking):
            return InsufficientScopeError(
                code=ErrorCode.INSUFFICIENT_SCOPE,
                message="This key can do what the key of this request can't. Ask with a key that has all of its scopes.",
                path=list(path),
                scopes=[scope for scope in Scope if scope in lacking],
            )
        case answer.KeyNotUsable() | answer.EndpointDisabled():
            return _unusable_error_of(refusal)
        case answer.LimitReached(limit, what):
            return LimitReachedError(
                code=ErrorCode.LIMIT_REACHED, message=f"There are {limit} {what}", path=["input"], limit=limit
            )
        case answer.CardNotUsable() | answer.CardLimitExceeded():
            return card_error_of(refusal)
        case answer.ExternalIdTaken() | answer.UserNotUsable():
            return end_user_error_of(refusal)
        case answer.OrderAlreadyPaid(_, payment_id, state):
            return OrderAlreadyPaidError(
                code=ErrorCode.ORDER_ALREADY_PAID,
                message=(
                    f"This order has a payment that is {state.value}. Void or refund that one before the order is paid again."
                ),
                path=["input", "orderId"],
                payment_id=strawberry.ID(encode_id(IdKind.PAYMENT, payment_id)),
                current_state=state,
            )
        case _:
            return issuing_error_of(refusal)


def _unusable_error_of(
    refusal: answer.KeyNotUsable | answer.EndpointDisabled,
) -> ApiKeyNotUsableError | WebhookEndpointDisabledError:
    match refusal:
        case answer.KeyNotUsable(key_id, message):
            return ApiKeyNotUsableError(
                code=ErrorCode.API_KEY_NOT_USABLE,
                message=message,
                path=["input", "apiKeyId"],
                api_key_id=strawberry.ID(encode_id(IdKind.API_KEY, key_id)),
            )
        case answer.EndpointDisabled(endpoint_id):
            return WebhookEndpointDisabledError(
                code=ErrorCode.WEBHOOK_ENDPOINT_DISABLED,
                message="This endpoint is disabled, and nothing is sent there. Enable it by `updateWebhookEndpoint` first.",
                path=["input", "webhookEndpointId"],
                webhook_endpoint_id=strawberry.ID(encode_id(IdKind.WEBHOOK_ENDPOINT, endpoint_id)),
            )
