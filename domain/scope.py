"""Scopes: what a key may do. Each kind of thing has one to read it and, where it can be changed, one to write it."""

from enum import StrEnum


class Scope(StrEnum):
    """One permission; the value is its name in commands and in messages."""

    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    CARDS_READ = "cards:read"
    CARDS_WRITE = "cards:write"
    CARDS_REVEAL = "cards:reveal"  # apart: it is the one that shows a card's number
    PAYMENTS_READ = "payments:read"
    PAYMENTS_WRITE = "payments:write"
    REFUNDS_WRITE = "refunds:write"  # apart from payments: it is the one that takes money out of the partner's pocket
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    EVENTS_READ = "events:read"
    USAGE_READ = "usage:read"
    AUDIT_READ = "audit:read"


ALL_SCOPES = frozenset(Scope)
USUAL_SCOPES = ALL_SCOPES - {Scope.CARDS_REVEAL}  # of a key that is made without naming any
