"""The GraphQL documents that FicMart sends. A test validates each against the published schema."""

from typing import Final

from domain.payment import Verb

_RECEIPT: Final = """
fragment Receipt on Payment {
  id reference orderId customerId
  amount { minorUnits currency formatted }
  state
  card { brand lastFour }
  createdAt
  history { state at }
  bankReferences { authorization capture void refund }
  decline { code message }
  needsReview reviewReasons
  pendingOperation { verb since attempts }
}
"""

_REFUSAL: Final = """
fragment Refusal on UserError {
  __typename code message path
  ... on InvalidTransitionError { paymentId currentState }
  ... on OrderAlreadyPaidError { paymentId currentState }
}
"""

_ANSWER: Final = "{ __typename ... on PaymentPayload { replayed payment { ...Receipt } } ...Refusal }"


def _operation(verb: str) -> str:
    name = verb.capitalize()
    field = f"{verb}Payment(input: $input)"
    return f"mutation {name}($input: {name}PaymentInput!) {{ {field} {_ANSWER} }}{_RECEIPT}{_REFUSAL}"


AUTHORIZE: Final = _operation("authorize")
CAPTURE: Final = _operation("capture")
VOID: Final = _operation("void")
REFUND: Final = _operation("refund")
OPERATIONS: Final = {Verb.CAPTURE: CAPTURE, Verb.VOID: VOID, Verb.REFUND: REFUND}

AUTHORIZE_BRIEFLY: Final = (
    "mutation AuthorizeBriefly($input: AuthorizePaymentInput!) { authorizePayment(input: $input) "
    "{ __typename ... on PaymentPayload { replayed payment { state id card { lastFour } amount { formatted } } } "
    f"...Refusal }} }}{_REFUSAL}"
)
PAYMENT: Final = f"query Payment($id: ID!) {{ payment(id: $id) {{ ...Receipt }} }}{_RECEIPT}"
ORDER_PAYMENT: Final = (
    "query OrderPayment($orderId: String!) { orderPayment(orderId: $orderId) { readyToShip reason state payment { id } } }"
)
PAYMENTS: Final = (
    "query Payments($first: Int, $after: String, $filter: PaymentFilter) "
    "{ payments(first: $first, after: $after, filter: $filter) "
    "{ edges { cursor node { ...Receipt } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"
    f"{_RECEIPT}"
)
COUNTED_PAYMENTS: Final = (
    "query CountedPayments($first: Int, $after: String, $filter: PaymentFilter) "
    "{ payments(first: $first, after: $after, filter: $filter) { totalCount "
    "edges { cursor node { ...Receipt } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"
    f"{_RECEIPT}"
)
VIEWER: Final = "query Viewer { viewer { partner { name } apiKey { name prefix } } }"

ALL: Final = (AUTHORIZE, AUTHORIZE_BRIEFLY, CAPTURE, VOID, REFUND, PAYMENT, ORDER_PAYMENT, PAYMENTS, COUNTED_PAYMENTS, VIEWER)
