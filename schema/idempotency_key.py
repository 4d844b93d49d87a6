"""What every mutation's input says of its idempotency key."""

IDEMPOTENCY_KEY = (
    "1 to 255 printable characters that name this request. The same key with the same input answers what the first request "
    "answered; with other input it is refused. Kept for at least 30 days."
)
