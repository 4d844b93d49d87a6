"""What is wrong is answered with what is wrong, where, and what to do; and no answer tells a card number."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from app.demo import cards, documents
from app.demo.scene import Scene, Script, Stage, together, told
from app.demo.shop import Answer, Refused
from app.demo.wire import ApiFault
from domain.payment import Verb

CARD = ("input", "source", "card")
AMOUNT = ("input", "amount", "minorUnits")
WORDS_OF_A_SENTENCE = 3


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing wrong with an otherwise good request: what is put where, and which path the answer has to name."""

    what: str
    at: tuple[str, ...]
    value: object
    named: tuple[str, ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        return self.named or self.at


INPUTS = (
    Wrong("a card number that fails the Luhn check", (*CARD, "number"), cards.MISTYPED.number),
    Wrong("a CVV of two digits", (*CARD, "cvv"), "12"),
    Wrong("an expiry in the past", (*CARD, "expiryYear"), 2020),
    Wrong("month 13", (*CARD, "expiryMonth"), 13),
    Wrong("amount 0", AMOUNT, 0),
    Wrong("amount -1", AMOUNT, -1),
    Wrong("amount 1.5", AMOUNT, 1.5),
    Wrong("amount 2^63", AMOUNT, 2**63),
    Wrong('currency "EUR"', ("input", "amount", "currency"), "EUR"),
    Wrong("an empty order id", ("input", "orderId"), ""),
    Wrong("an order id of 10,000 characters", ("input", "orderId"), "x" * 10_000),
    Wrong("an empty customer id", ("input", "customerId"), ""),
    Wrong("an empty idempotency key", ("input", "idempotencyKey"), ""),
)
Row = tuple[str, str, str, str]


async def wrong(scene: Scene, stage: Stage) -> None:
    """Each wrong input by itself, an unknown payment, and requests that are not signed in."""
    rows = await together(
        *(_refused_input(scene, stage, each) for each in INPUTS),
        _unknown_payment(scene, stage),
        _not_signed_in(scene, stage, "no API key", None),
        _not_signed_in(scene, stage, "a malformed API key", "Bearer gp_live_nonsense"),
        _not_signed_in(scene, stage, "another kind of authorization", "Basic Zm9vOmJhcg=="),
    )
    scene.saw(f"{len(rows)} wrong requests; each was answered with its kind, its place and a sentence.")
    scene.show(("input", "answer", "path", "sentence"), list(rows))
    tally = stage.shop.wire.tally
    scene.expect("answers with a card number in them", 0, tally.leaks)
    scene.saw(f"None of the {tally.answers} answers so far contains a card number.")


async def _refused_input(scene: Scene, stage: Stage, wrong_thing: Wrong) -> Row:
    shop = stage.shop
    wish = deepcopy({"input": shop.wish(shop.order(710), cards.GOOD)})
    place: dict[str, Any] = wish
    for name in wrong_thing.at[:-1]:
        place = place[name]
    place[wrong_thing.at[-1]] = wrong_thing.value
    try:
        answer = await shop.send_wish(wish["input"])
    except ApiFault as fault:
        scene.expect(wrong_thing.what, "InvalidInputError", f"HTTP {fault.status} {fault.code}: {fault.message}")
        return (wrong_thing.what, fault.code, "-", fault.message)
    return _row(scene, wrong_thing.what, answer, "InvalidInputError", wrong_thing.path)


async def _unknown_payment(scene: Scene, stage: Stage) -> Row:
    answer = await stage.shop.operate(Verb.CAPTURE, "pay_00000000000000000000000000")
    return _row(scene, "capture of an unknown payment", answer, "NotFoundError", ("input", "paymentId"))


def _row(scene: Scene, what: str, answer: Answer, kind: str, path: tuple[str, ...]) -> Row:
    if not isinstance(answer, Refused):
        scene.expect(what, kind, told(answer))
        return (what, told(answer), "-", "-")
    scene.expect(f"the answer to {what}", (kind, path), (answer.kind, answer.path))
    scene.expect(f"a sentence in the answer to {what}", True, _is_sentence(answer.message))
    return (what, answer.kind, ".".join(answer.path or ("-",)), answer.message)


async def _not_signed_in(scene: Scene, stage: Stage, what: str, authorization: str | None) -> Row:
    try:
        await stage.shop.wire.ask(documents.VIEWER, {}, authorization=authorization)
    except ApiFault as fault:
        scene.expect(f"the HTTP status for {what}", 401, fault.status)
        scene.expect(f"extensions.code for {what}", "a code", "a code" if fault.code else "none")
        scene.expect(f"a sentence for {what}", True, _is_sentence(fault.message))
        return (what, f"HTTP {fault.status} {fault.code}", "-", fault.message)
    scene.expect(f"the HTTP status for {what}", 401, 200)
    return (what, "HTTP 200", "-", "-")


def _is_sentence(message: str) -> bool:
    return len(message.split()) >= WORDS_OF_A_SENTENCE


SCRIPT = Script(
    9,
    "Wrong input is answered with what to do about it",
    "A typed error with the path of what is wrong and a sentence; HTTP 401 with a code for who is not signed in; and no "
    "answer ever contains a card number.",
    wrong,
)
