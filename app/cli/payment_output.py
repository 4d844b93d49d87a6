"""Payments for the platform's staff: as JSON for programs, as tables and sentences for people. Times are UTC."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from app.cli.settling import ADVICE, option_of
from app.cli.staff_output import printable, show_table
from app.staff_payments import LogEntry, Review
from domain.audit import AuditEntry
from domain.dossier import AttemptLine, Dossier
from domain.ids import IdKind, encode_id
from domain.payment import Payment, Standing
from domain.settlement import Settlement, fitting

Json = dict[str, Any]


def at(time: datetime) -> str:
    """For people."""
    return f"{time:%Y-%m-%d %H:%M:%S}"


# --- As JSON ----------------------------------------------------------------------------------------------------------


def receipt_json(payment: Payment) -> Json:
    """A payment as the API names its parts; of the card its brand and its last four digits."""
    bank, decline = payment.bank, payment.decline
    return {
        "payment": encode_id(IdKind.PAYMENT, payment.id),
        "reference": payment.reference,
        "orderId": payment.order_id,
        "customerId": payment.customer_id,
        "amount": {"minorUnits": payment.amount.minor_units, "currency": payment.amount.currency},
        "card": {"brand": payment.card.brand.value, "lastFour": payment.card.last_four},
        "state": payment.state.value,
        "history": [{"state": state.value, "at": since.isoformat()} for state, since in payment.history],
        "bankReferences": {
            "authorization": bank.authorization,
            "capture": bank.capture,
            "void": bank.void,
            "refund": bank.refund,
        },
        "decline": {"code": decline.code.value, "message": decline.message} if decline else None,
        "reviewReasons": sorted(reason.value for reason in payment.review_reasons),
    }


def review_json(review: Review) -> Json:
    """A line of the list."""
    pending = review.standing.pending
    return {
        "partner": encode_id(IdKind.PARTNER, review.tenant_id),
        **receipt_json(review.standing.payment),
        "pendingOperation": (
            {"verb": pending.verb.value, "since": pending.since.isoformat(), "attempts": pending.attempts} if pending else None
        ),
    }


def entry_json(entry: AuditEntry) -> Json:
    """An entry of the audit log."""
    return {
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "payment": encode_id(IdKind.PAYMENT, entry.payment_id) if entry.payment_id else None,
        "note": entry.note,
        "before": receipt_json(entry.before) if entry.before else None,
        "after": receipt_json(entry.after) if entry.after else None,
    }


def log_json(line: LogEntry) -> Json:
    """The same, with whose it is."""
    return {"partner": encode_id(IdKind.PARTNER, line.tenant_id), **entry_json(line.entry)}


def dossier_json(dossier: Dossier, now: datetime) -> Json:
    """All of a dossier, and what can be said of the payment."""
    reasons = sorted(dossier.payment.review_reasons)
    return {
        "partner": encode_id(IdKind.PARTNER, dossier.tenant_id),
        **receipt_json(dossier.payment),
        "advice": [{"reason": each.value, "meaning": ADVICE[each].meaning, "findOut": ADVICE[each].find_out} for each in reasons],
        "settle": [option_of(each) for each in fitting(dossier.payment, dossier.attempt, now)],
        "attempts": [_attempt_json(each) for each in dossier.attempts],
        "events": [
            {
                "sequence": each.sequence,
                "type": each.type.value,
                "at": each.occurred_at.isoformat(),
                "previousState": each.previous_state.value if each.previous_state else None,
            }
            for each in dossier.events
        ],
        "discrepancies": [
            {
                "foundAt": each.found_at.isoformat(),
                "kind": each.discrepancy.kind.value,
                "done": each.remedy.value,
                "ours": each.discrepancy.ours,
                "theBanks": each.discrepancy.the_banks,
            }
            for each in dossier.discrepancies
        ],
        "log": [entry_json(each) for each in dossier.entries],
    }


def _attempt_json(attempt: AttemptLine) -> Json:
    return {
        "bankKey": attempt.bank_key,
        "verb": attempt.verb.value,
        "idempotencyKey": attempt.idempotency_key,
        "ours": attempt.is_ours,
        "openedAt": attempt.opened_at.isoformat(),
        "closedAt": attempt.closed_at.isoformat() if attempt.closed_at else None,
        "tries": attempt.tries,
        "unanswered": attempt.unanswered,
        "lease": None if attempt.closed_at else {"held": attempt.is_held, "until": attempt.lease_until.isoformat()},
        "state": attempt.state.value if attempt.state else None,
        "refusal": attempt.refusal,
    }


# --- For people -------------------------------------------------------------------------------------------------------


def show_reviews(reviews: list[Review]) -> None:
    """The list, as a table."""
    show_table(
        ["partner", "payment", "order", "amount", "state", "since (UTC)", "why", "under way"],
        [
            [
                encode_id(IdKind.PARTNER, each.tenant_id),
                f"{encode_id(IdKind.PAYMENT, payment.id)}\n{payment.reference}",
                payment.order_id,
                payment.amount.formatted,
                payment.state.value,
                at(payment.reached[payment.state]),
                "\n".join(sorted(payment.review_reasons)),
                _pending(each.standing),
            ]
            for each in reviews
            for payment in [each.standing.payment]
        ],
    )


def _pending(standing: Standing) -> str:
    pending = standing.pending
    return f"{pending.verb.value}, {pending.attempts} tries\nsince {at(pending.since)}" if pending else ""


def show_log(lines: list[LogEntry]) -> None:
    """The audit log, as a table."""
    show_table(
        ["at (UTC)", "who", "what", "partner", "payment", "note", "changed"],
        [
            [
                at(line.entry.at),
                line.entry.actor,
                line.entry.action,
                encode_id(IdKind.PARTNER, line.tenant_id),
                encode_id(IdKind.PAYMENT, line.entry.payment_id) if line.entry.payment_id else "",
                line.entry.note,
                "\n".join(_changes_of(line.entry)),
            ]
            for line in lines
        ],
    )


def _changes_of(entry: AuditEntry) -> list[str]:
    return list(changes(entry.before, entry.after)) if entry.before and entry.after else []


def changes(before: Payment, after: Payment) -> Iterator[str]:
    """What is not the same in two receipts of a payment, a line for each."""
    if before.state is not after.state:
        yield f"{before.state.value} → {after.state.value}"
    for name in ("authorization", "capture", "void", "refund"):
        was, is_now = getattr(before.bank, name), getattr(after.bank, name)
        if was != is_now:
            yield f"{name}: {was or 'unknown'} → {is_now or 'unknown'}"
    for reason in sorted(before.review_reasons - after.review_reasons):
        yield f"no longer {reason.value}"
    for reason in sorted(after.review_reasons - before.review_reasons):
        yield f"flagged {reason.value}"


def show_dossier(dossier: Dossier, now: datetime) -> None:
    """Everything, from the receipt to what can be said."""
    payment = dossier.payment
    for name, value in _facts(dossier):
        click.echo(printable(f"{name:<12} {value}"))
    _heading("Attempts at the bank")
    show_table(
        ["bank key", "verb", "asked by", "opened (UTC)", "tries", "unanswered", "came to"],
        [
            [
                each.bank_key,
                each.verb.value,
                _asker(each),
                at(each.opened_at),
                str(each.tries),
                str(each.unanswered),
                _outcome(each, now),
            ]
            for each in dossier.attempts
        ],
    )
    _heading("Events")
    show_table(
        ["number", "event", "at (UTC)"], [[str(each.sequence), each.type.value, at(each.occurred_at)] for each in dossier.events]
    )
    if dossier.discrepancies:
        _heading("What reconciliation found")
        show_table(
            ["at (UTC)", "kind", "done", "ours", "the bank's"],
            [
                [
                    at(each.found_at),
                    each.discrepancy.kind.value,
                    each.remedy.value,
                    each.discrepancy.ours,
                    each.discrepancy.the_banks,
                ]
                for each in dossier.discrepancies
            ],
        )
    if dossier.entries:
        _heading("What operators and the reconciliation did")
        show_table(
            ["at (UTC)", "who", "what", "note", "changed"],
            [[at(each.at), each.actor, each.action, each.note, "\n".join(_changes_of(each))] for each in dossier.entries],
        )
    for reason in sorted(payment.review_reasons):
        _heading(reason.value)
        click.echo(f"{ADVICE[reason].meaning}\nFind out at the bank: {ADVICE[reason].find_out}")
    if not payment.review_reasons:
        _heading("It needs no review")
    said = fitting(payment, dossier.attempt, now)
    if said:
        click.echo("\nWhat can be said of it:")
        show_commands(encode_id(IdKind.PARTNER, dossier.tenant_id), encode_id(IdKind.PAYMENT, payment.id), said)


def show_commands(partner: str, payment: str, settlements: list[Settlement]) -> None:
    """The commands that fit, to be copied."""
    for each in settlements:
        click.echo(f"  partner-api payments settle {payment} --partner {partner} {option_of(each)} --by NAME --note TEXT")


def _heading(text: str) -> None:
    click.echo(f"\n{text}")


def _facts(dossier: Dossier) -> Iterator[tuple[str, str]]:
    payment, bank = dossier.payment, dossier.payment.bank
    yield "payment", f"{encode_id(IdKind.PAYMENT, payment.id)}, on the phone {payment.reference}"
    yield "partner", encode_id(IdKind.PARTNER, dossier.tenant_id)
    yield "order", f"{payment.order_id}, of customer {payment.customer_id}"
    yield "amount", f"{payment.amount.formatted} on {payment.card.brand.value} …{payment.card.last_four}"
    for state, since in payment.history:
        yield state.value, at(since)
    for name, reference in (
        ("hold", bank.authorization),
        ("capture", bank.capture),
        ("void", bank.void),
        ("refund", bank.refund),
    ):
        if reference is not None:
            yield name, reference
    if payment.decline is not None:
        yield "because", f"{payment.decline.code.value}: {payment.decline.message}"


def _asker(attempt: AttemptLine) -> str:
    if attempt.is_ours:
        return "us"
    return attempt.idempotency_key or "a key that is forgotten"


def _outcome(attempt: AttemptLine, now: datetime) -> str:
    if attempt.closed_at is not None:
        state = attempt.state.value if attempt.state else "?"
        return f"{state} at {at(attempt.closed_at)}" + (f"\n{attempt.refusal}" if attempt.refusal else "")
    if attempt.lease_until <= now:
        return "open, and due now"
    return f"open, {'asked by somebody' if attempt.is_held else 'rests'} until {at(attempt.lease_until)}"
