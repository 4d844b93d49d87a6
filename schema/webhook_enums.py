"""The enums of webhooks as GraphQL's, every value with its description."""

from domain.webhook import DeadWhy, DeliveryState, DisabledWhy, Failure
from domain.webhook_health import Circuit
from schema.enums import _publish as publish

__all__ = ["Circuit", "DeadWhy", "DeliveryState", "DisabledWhy", "Failure"]

publish(
    DisabledWhy,
    "WebhookDisabledReason",
    "Why an endpoint gets nothing.",
    {
        DisabledWhy.BY_PARTNER: "You have disabled it.",
        DisabledWhy.GONE: "It answered 410: it wants nothing any more.",
        DisabledWhy.FAILING: "For more than a day nothing got through. Mend it, enable it, and replay what failed since.",
    },
)
publish(
    DeliveryState,
    "WebhookDeliveryState",
    "Where a delivery stands.",
    {
        DeliveryState.PENDING: "It is tried, now or later.",
        DeliveryState.DELIVERED: "The receiver answered 2xx.",
        DeliveryState.DEAD: "It is not tried any more by itself. `replayWebhookDeliveries` begins anew.",
    },
)
publish(
    DeadWhy,
    "WebhookDeadReason",
    "Why a delivery is not tried any more.",
    {
        DeadWhy.EXHAUSTED: "Ten attempts failed.",
        DeadWhy.GONE: "The receiver answered 410.",
        DeadWhy.ENDPOINT_DISABLED: "The endpoint was disabled.",
        DeadWhy.UNSENDABLE: "There was nothing to send: the event has left the log, or the message would be larger than 256 kB.",
    },
)
publish(
    Failure,
    "WebhookFailure",
    "What went wrong with an attempt.",
    {
        Failure.STATUS: "The answer was not 2xx. A redirect is not followed.",
        Failure.ADDRESS_REFUSED: "The host, or an address that its name leads to, is not one of the public internet.",
        Failure.NAME_UNKNOWN: "The host's name leads nowhere.",
        Failure.NOT_CONNECTED: "No connection could be made.",
        Failure.TLS_FAILED: "The receiver's certificate is not good for its name, or TLS failed otherwise.",
        Failure.TIMED_OUT: "No connection within 5 s, or no answer within 15 s.",
        Failure.BROKEN_OFF: "The connection ended without an answer, or what came is not HTTP.",
        Failure.NOT_SENT: "There was nothing to send.",
    },
)
publish(
    Circuit,
    "WebhookCircuit",
    "Whether an endpoint is called.",
    {
        Circuit.CLOSED: "It is.",
        Circuit.OPEN: "Of its requests in five minutes 70 % or more failed. Deliveries wait, and lose none of their attempts.",
        Circuit.HALF_OPEN: "One delivery tries whether it is back.",
    },
)
