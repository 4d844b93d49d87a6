"""Answers as bytes: what the handlers make, what the idempotency row keeps and what the wire sends."""

from typing import Any, Final, NamedTuple

import orjson

from bank.mock.errors import Refusal

Header = tuple[bytes, bytes]

JSON: Final = (b"content-type", b"application/json")
# The two headers that Go's `http.Error` sets, and so every text/plain error of the bank carries (§4).
PLAIN: Final = ((b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff"))
HTML: Final = (b"content-type", b"text/html; charset=utf-8")
REPLAYED: Final = (b"x-idempotent-replayed", b"true")


class Answer(NamedTuple):
    """A whole response. `reference` names the effect behind a creation: its auth_, cap_, void_ or ref_ id."""

    status: int
    body: bytes
    headers: tuple[Header, ...]
    reference: str = ""


def json_answer(status: int, content: dict[str, Any], reference: str = "") -> Answer:
    """JSON and a newline, which is how the bank ends every JSON body (§4)."""
    return Answer(status, orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE), (JSON,), reference)


def plain_answer(status: int, text: str, *more: Header) -> Answer:
    """text/plain: bad keys, bad bodies, unknown routes and wrong methods (§4)."""
    return Answer(status, f"{text}\n".encode(), (*PLAIN, *more))


def refusal_answer(refusal: Refusal) -> Answer:
    """`{"error": CODE, "message": TEXT}` and a newline (§4)."""
    return json_answer(refusal.status, {"error": refusal.code, "message": refusal.message})


def replay_answer(body: bytes, reference: str) -> Answer:
    """The stored bytes once more, under 200 and `X-Idempotent-Replayed: true` (§5)."""
    return Answer(200, body, (JSON, REPLAYED), reference)
