"""What an operator can say, as options of `partner-api payments settle`, and what each flag asks of an operator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

import click

from domain.payment import ReviewReason, Verb
from domain.settlement import (
    PREFIXES,
    Acknowledge,
    AskAgain,
    ConfirmDone,
    LearnReference,
    RuleOut,
    Settlement,
    is_reference,
)

_LEARN: Mapping[Verb, str] = {
    Verb.CAPTURE: "--capture-reference",
    Verb.VOID: "--void-reference",
    Verb.REFUND: "--refund-reference",
}
_DONE: Mapping[Verb, str] = {
    Verb.AUTHORIZE: "--authorized",
    Verb.CAPTURE: "--captured",
    Verb.VOID: "--voided",
    Verb.REFUND: "--refunded",
}
_NOT_DONE: Mapping[Verb, str] = {
    Verb.AUTHORIZE: "--not-authorized",
    Verb.CAPTURE: "--not-captured",
    Verb.VOID: "--not-voided",
    Verb.REFUND: "--not-refunded",
}
_THING: Mapping[Verb, str] = {
    Verb.AUTHORIZE: "hold the money",
    Verb.CAPTURE: "capture",
    Verb.VOID: "void the hold",
    Verb.REFUND: "refund",
}
REASONS = [reason.value for reason in ReviewReason]


def settlement_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options by which an operator says one thing; `said` reads them."""
    options = [
        click.option(
            "--acknowledge",
            type=click.Choice(REASONS),
            metavar="REASON",
            help="Looked into, and nothing has to change: take this flag down.",
        ),
        *(
            click.option(
                name, metavar=f"{PREFIXES[verb]}_…", help=f"The bank's reference of the {verb.value.lower()}, which was lost."
            )
            for verb, name in _LEARN.items()
        ),
        *(
            click.option(name, metavar=f"{PREFIXES[verb]}_…", help=f"The bank did {_THING[verb]}, under this reference.")
            for verb, name in _DONE.items()
        ),
        *(
            click.option(name, is_flag=True, help=f"The bank did not {_THING[verb]}, and will not.")
            for verb, name in _NOT_DONE.items()
        ),
        click.option("--ask-again", is_flag=True, help="Ask the bank again now, before the attempt's rest is over."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def said(given: Mapping[str, Any]) -> Settlement:
    """The one thing that an operator said. Raises UsageError for none and for several, and ClickException for a bad reference."""
    things: list[Settlement] = [Acknowledge(ReviewReason(given["acknowledge"]))] if given["acknowledge"] else []
    things += [LearnReference(verb, text) for verb, name in _LEARN.items() if (text := given[_parameter(name)]) is not None]
    things += [ConfirmDone(verb, text) for verb, name in _DONE.items() if (text := given[_parameter(name)]) is not None]
    things += [RuleOut(verb) for verb, name in _NOT_DONE.items() if given[_parameter(name)]]
    things += [AskAgain()] if given["ask_again"] else []
    if len(things) != 1:
        names = ", ".join(["--acknowledge", *_LEARN.values(), *_DONE.values(), *_NOT_DONE.values(), "--ask-again"])
        raise click.UsageError(f"Say exactly one thing: one of {names}.")
    (thing,) = things
    if isinstance(thing, LearnReference | ConfirmDone) and not is_reference(thing.verb, thing.reference):
        raise click.ClickException(
            f"This is not a reference of the bank's: {PREFIXES[thing.verb]}_ and a UUID in lower case, as the bank writes it, for "
            f"instance {PREFIXES[thing.verb]}_0f8fad5b-d9cb-469f-a165-70867728950e."
        )
    return thing


def _parameter(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def option_of(settlement: Settlement) -> str:
    """How an operator says it."""
    match settlement:
        case Acknowledge(reason):
            return f"--acknowledge {reason.value}"
        case LearnReference(verb, reference):
            return f"{_LEARN[verb]} {reference}"
        case ConfirmDone(verb, reference):
            return f"{_DONE[verb]} {reference}"
        case RuleOut(verb):
            return _NOT_DONE[verb]
        case AskAgain():
            return "--ask-again"
        case _:
            assert_never(settlement)


@dataclass(frozen=True, slots=True)
class Advice:
    """What a flag means, and what to find out at the bank before it is settled."""

    meaning: str
    find_out: str


ADVICE: Mapping[ReviewReason, Advice] = {
    ReviewReason.POSSIBLE_ORPHAN_HOLD: Advice(
        "A try to authorize ended without an answer: the bank may hold the amount a second time, under a hold that we don't know.",
        "How many holds it made for the keys of the attempts below, or of this amount on this card at that time. Have every one "
        "released that is not this payment's; an expired one, too. Then acknowledge.",
    ),
    ReviewReason.CAPTURE_REFERENCE_UNKNOWN: Advice(
        "The bank captured, but the answer with its reference was lost. Without it the payment can't be refunded through the API.",
        "Which capture (cap_…) belongs to this payment's hold.",
    ),
    ReviewReason.VOID_REFERENCE_UNKNOWN: Advice(
        "The bank gave the hold up, but the answer with its reference was lost. The money is free; only our record lacks it.",
        "Which void (void_…) belongs to this payment's hold. If nobody needs it, acknowledge.",
    ),
    ReviewReason.REFUND_REFERENCE_UNKNOWN: Advice(
        "The bank paid the money back, but the answer with its reference was lost. Only our record lacks it.",
        "Which refund (ref_…) belongs to this payment's capture. If nobody needs it, acknowledge.",
    ),
    ReviewReason.BANK_DISAGREES: Advice(
        "The bank refused what our records allow, or shows something else than they do: somebody else used the hold or the capture, "
        "or one of the two books is wrong.",
        "What happened to the hold and the capture below, when, and who asked for it. If the bank captured, voided or refunded, say so "
        "with its reference. If it should not have, or did not, have it put right there, then acknowledge.",
    ),
    ReviewReason.BANK_KEY_EXPIRED: Advice(
        "The bank may have held the money, did not say so for a day, and has forgotten the key by which it could be asked again: "
        "that could hold the money twice. The payment rests PENDING.",
        "Whether it holds the amount on this card since then, and under which authorization (auth_…).",
    ),
    ReviewReason.BANK_UNINTELLIGIBLE: Advice(
        "The bank kept answering something that its contract does not know. While the attempt is open, it is asked on and on.",
        "What its answer means (the log has its status), and whether it did what the open attempt asks for. If nothing is open "
        "any more, it was understood in the end: acknowledge.",
    ),
    ReviewReason.RECONCILED: Advice(
        "The reconciliation has put this payment right by the bank's word, and the amount is one that somebody should know of.",
        "Whether the bank agrees with what reconciliation found below. Then acknowledge.",
    ),
}
