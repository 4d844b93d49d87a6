"""A partner's events in a terminal, and forwarded to a local address as its webhooks would be: for whoever writes the receiver.

It follows the API as any client does, as server-sent events, and goes on behind the last event after a cut. What it forwards is signed as
Standard Webhooks v1 has it, under a secret of its own, and is sent once: the terminal shows what the receiver answered.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from app.graphql_sse import EVENT_STREAM, LAST_EVENT_ID
from domain.event import EventType
from domain.webhook_payload import DEFAULT_SHAPE
from domain.webhook_signature import signed_headers

# What webhooks are sent when no document shapes them, of the wanted types.
DOCUMENT = DEFAULT_SHAPE.replace("subscription {", "subscription ($types: [EventType!]) {", 1).replace(
    "transactionEvents {", "transactionEvents(types: $types) {", 1
)
QUIET_S = 60.0  # the API pings every 20 s: what is quiet for so long was cut
CONNECT_S = 10.0
FORWARD_S = 15.0  # for the receiver, as webhooks have it
PAUSE_S, PAUSE_CAP_S = 1.0, 30.0  # between two tries to connect, doubling
COME_AGAIN = frozenset({429, 502, 503, 504})  # answers of an API, or of what is in front of it, that is not there just now
SHOWN_OF_AN_ANSWER = 300  # characters of what was said by something that may not be our API


class NotServed(Exception):
    """The API does not serve this; to ask again would not help. The message is the API's."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to follow, and where to send it."""

    url: str
    key: str = field(repr=False)
    types: Sequence[EventType] | None = None
    after: str | None = None
    forward_to: str | None = None
    secret: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What the receiver answered: its status, or why there was none; and how long that took."""

    status: int | None
    problem: str | None
    milliseconds: int

    @property
    def is_taken(self) -> bool:
        """Whether it would count as delivered."""
        return self.status is not None and 200 <= self.status < 300


class Listener:
    """`show` is given each event, and what became of forwarding it; `say` what happens besides. The clients are the caller's."""

    def __init__(
        self,
        wish: Wish,
        api: httpx.AsyncClient,
        receiver: httpx.AsyncClient,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        show: Callable[[Mapping[str, Any], Forwarded | None], None],
        say: Callable[[str], None],
    ) -> None:
        self._wish = wish
        self._api, self._receiver = api, receiver
        self._now, self._sleep = now, sleep
        self._show, self._say = show, say
        self._last = wish.after
        self._pause_s = PAUSE_S

    async def listen(self) -> None:
        """Until it is cancelled. Raises NotServed."""
        while True:
            try:
                await self._follow()
                self._say("The stream has ended.")
            except httpx.TransportError as error:
                self._say(f"No connection to the API ({type(error).__name__}).")
            await self._sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, PAUSE_CAP_S)

    async def _follow(self) -> None:
        """One connection, to its end."""
        types = None if self._wish.types is None else [each.name for each in self._wish.types]
        headers = {"Authorization": f"Bearer {self._wish.key}", "Accept": EVENT_STREAM}
        headers |= {LAST_EVENT_ID: self._last} if self._last else {}
        body = {"query": DOCUMENT, "variables": {"types": types}}
        timeout = httpx.Timeout(QUIET_S, connect=CONNECT_S)
        async with self._api.stream("POST", self._wish.url, json=body, headers=headers, timeout=timeout) as response:
            if response.status_code in COME_AGAIN:
                self._say(f"The API asks to come again ({response.status_code}).")
                return
            if response.status_code != 200 or not response.headers.get("content-type", "").startswith(EVENT_STREAM):
                raise NotServed(_what_it_says(response.status_code, await response.aread()))
            self._say("Listening." if self._last is None else f"Listening, behind {self._last}.")
            async with aclosing(_messages(response)) as messages:
                async for message in messages:
                    await self._take(message)

    async def _take(self, message: Mapping[str, str]) -> None:
        """One message of the stream."""
        if message.get("event") == "complete":
            raise NotServed("The API has ended the stream.")
        if message.get("event") == "next":
            result = json.loads(message["data"])
            event = (result.get("data") or {}).get("transactionEvents")
            if event is None:
                error = (result.get("errors") or [{}])[0]
                if error.get("extensions", {}).get("code") in ("SERVICE_UNAVAILABLE", "TOO_SLOW"):
                    self._say(str(error.get("message")))
                    return  # and the stream ends: come again
                raise NotServed(str(error.get("message", "The API answered with nothing.")))
            self._pause_s = PAUSE_S
            self._show(event, await self._forward(event) if self._wish.forward_to else None)
        self._last = message.get("id") or self._last  # when it has been shown: a cut before would lose it

    async def _forward(self, event: Mapping[str, Any]) -> Forwarded:
        """Send it on, once, as a webhook is sent."""
        assert self._wish.forward_to is not None
        envelope = {"type": EventType[event["type"]].value, "timestamp": event["occurredAt"], "data": event}
        body, at = json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode(), self._now()
        headers = {"Content-Type": "application/json", **signed_headers([self._wish.secret], event["id"], at, body)}
        status, problem = None, None
        try:
            answer = await self._receiver.post(self._wish.forward_to, content=body, headers=headers, timeout=FORWARD_S)
            status = answer.status_code
        except httpx.HTTPError as error:
            problem = type(error).__name__
        return Forwarded(status, problem, round((self._now() - at).total_seconds() * 1000))


async def _messages(response: httpx.Response) -> AsyncGenerator[dict[str, str], None]:
    """The messages of an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html); comments are nobody's."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line:
            if fields:
                yield fields
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value


def _what_it_says(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["errors"][0]["message"])
    except (ValueError, LookupError, TypeError):
        return f"There is no API of ours at this address: {status}, {body[:SHOWN_OF_AN_ANSWER].decode(errors='replace')!r}"
