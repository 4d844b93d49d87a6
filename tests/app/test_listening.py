"""`partner-api listen`: shows events, forwards them signed, goes on after a cut, and says in a sentence what it can't do."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from app.cli import listen as listen_command
from app.listening import Forwarded, Listener, NotServed, Wish
from domain.event import EventType
from domain.webhook_signature import show_secret
from tests.app.command_line import Run
from tests.app.serving import Api, DatabaseLine
from tests.app.sockets import listening
from tests.conftest import PATIENCE_S

SECRET = b"s" * 32
RECEIVER = "http://127.0.0.1:4000/webhooks"


class Terminal:
    """What was shown and said, and a receiver that notes what it gets."""

    def __init__(self, status: int = 204) -> None:
        self.shown: list[tuple[Mapping[str, Any], Forwarded | None]] = []
        self.said: list[str] = []
        self.received: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.status = status
        self.when_shown: Callable[[], Awaitable[None]] | None = None
        self._moved = asyncio.Event()

    def receive(self, request: httpx.Request) -> httpx.Response:
        self.received.append(request)
        if self.status == 0:
            raise httpx.ConnectError("nobody listens", request=request)
        return httpx.Response(self.status)

    def show(self, event: Mapping[str, Any], forwarded: Forwarded | None) -> None:
        self.shown.append((event, forwarded))
        self._moved.set()

    def say(self, text: str) -> None:
        self.said.append(text)
        self._moved.set()

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0.01)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._moved.clear()
                await self._moved.wait()

    def listener(self, wish: Wish, api: httpx.AsyncClient) -> Listener:
        receiver = httpx.AsyncClient(transport=httpx.MockTransport(self.receive))
        return Listener(wish, api, receiver, now=lambda: datetime.now(UTC), sleep=self.sleep, show=self.show, say=self.say)


@pytest.fixture
async def wires(api: Api) -> AsyncIterator[DatabaseLine]:
    """The line between the terminal and the API, which can be cut."""
    async with listening(api.app) as address:
        relay = DatabaseLine(f"http://{address}")
        await relay.restore()
        yield relay
        await relay.cut()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """The terminal's client."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


def wish_of(api: Api, wires: DatabaseLine, **how: Any) -> Wish:
    return Wish(f"http://127.0.0.1:{wires.port}/graphql", api.key, **{"forward_to": RECEIVER, "secret": SECRET, **how})


async def test_each_event_is_shown_and_forwarded_as_the_receiver_will_get_it(
    api: Api, wires: DatabaseLine, http: httpx.AsyncClient
) -> None:
    terminal = Terminal()
    task = asyncio.create_task(terminal.listener(wish_of(api, wires), http).listen())
    await terminal.until(lambda: "Listening." in terminal.said)
    while not api.app.state.house.feed._tails:  # noqa: ASYNC110 - it is said before the API has begun the stream
        await asyncio.sleep(0)

    payment = await api.payment()
    await terminal.until(lambda: len(terminal.shown) == 2)
    task.cancel()

    (created, _), (authorized, forwarded) = terminal.shown
    assert (created["type"], authorized["type"]) == ("PAYMENT_CREATED", "PAYMENT_AUTHORIZED")
    assert authorized["payment"]["id"] == payment["id"]
    assert forwarded is not None
    assert forwarded.is_taken
    request = terminal.received[-1]
    body = Webhook(show_secret(SECRET)).verify(request.content, dict(request.headers))
    assert body == {"type": "payment.authorized", "timestamp": authorized["occurredAt"], "data": authorized}
    assert request.headers["webhook-id"] == authorized["id"]


async def test_after_a_cut_it_goes_on_without_a_gap(api: Api, wires: DatabaseLine, http: httpx.AsyncClient) -> None:
    terminal = Terminal()
    payment = await api.payment()
    (first, *_) = (await api.ask("{ events { nodes { id } } }"))["events"]["nodes"]
    task = asyncio.create_task(terminal.listener(wish_of(api, wires, after=first["id"]), http).listen())
    await terminal.until(lambda: len(terminal.shown) == 1)

    await wires.cut()
    await api.operate("capture", payment["id"])  # while nobody is connected
    await terminal.until(lambda: len(terminal.pauses) >= 3)
    await wires.restore()
    await terminal.until(lambda: len(terminal.shown) == 2)
    await api.operate("refund", payment["id"])
    await terminal.until(lambda: len(terminal.shown) == 3)
    task.cancel()

    assert [event["sequence"] for event, _ in terminal.shown] == [2, 3, 4]
    assert terminal.pauses[:3] == [1.0, 2.0, 4.0]
    assert any("No connection" in each for each in terminal.said)


@pytest.mark.parametrize(("status", "problem"), [(500, None), (302, None), (0, "ConnectError")])
async def test_a_receiver_that_does_not_take_it_is_shown_and_the_next_event_follows(
    api: Api, wires: DatabaseLine, http: httpx.AsyncClient, status: int, problem: str | None
) -> None:
    terminal = Terminal(status)
    payment = await api.payment()
    await api.operate("void", payment["id"])
    (first, *_) = (await api.ask("{ events { nodes { id } } }"))["events"]["nodes"]

    task = asyncio.create_task(terminal.listener(wish_of(api, wires, after=first["id"]), http).listen())
    await terminal.until(lambda: len(terminal.shown) == 2)
    task.cancel()

    told = [forwarded for _, forwarded in terminal.shown if forwarded is not None]
    assert [(each.status, each.problem, each.is_taken) for each in told] == [(status or None, problem, False)] * 2


async def test_only_the_wanted_types_are_shown(api: Api, wires: DatabaseLine, http: httpx.AsyncClient) -> None:
    terminal = Terminal()
    payment = await api.payment()
    await api.operate("void", payment["id"])
    (first, *_) = (await api.ask("{ events { nodes { id } } }"))["events"]["nodes"]
    wish = wish_of(api, wires, after=first["id"], types=[EventType.PAYMENT_VOIDED], forward_to=None)

    task = asyncio.create_task(terminal.listener(wish, http).listen())
    await terminal.until(lambda: len(terminal.shown) == 1)
    task.cancel()

    assert [(event["type"], forwarded) for event, forwarded in terminal.shown] == [("PAYMENT_VOIDED", None)]
    assert terminal.received == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"key": "gp_live_nonsense"}, "not an API key"),
        ({"after": "evt_nothing"}, "no event of yours"),
        ({"url": "x/y"}, "no API of ours"),
    ],
)
async def test_what_cant_be_served_is_said_once(
    api: Api, wires: DatabaseLine, http: httpx.AsyncClient, changes: dict[str, str], says: str
) -> None:
    terminal, wish = Terminal(), wish_of(api, wires)
    url = f"http://127.0.0.1:{wires.port}/healthz" if "url" in changes else wish.url
    wish = Wish(url, changes.get("key", api.key), after=changes.get("after"))

    with pytest.raises(NotServed, match=says):
        await terminal.listener(wish, http).listen()

    assert terminal.pauses == []


def test_the_command_needs_a_key_and_takes_none_as_an_argument(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = run("listen")
    argument = run("listen", "--key", "gp_live_secret")
    monkeypatch.setenv("PARTNER_API_KEY", "gp_live_x")
    monkeypatch.setenv("PARTNER_API_WEBHOOK_SECRET", "whsec_short")
    short = run("listen")

    assert missing[0] == 2
    assert "PARTNER_API_KEY" in missing[2]
    assert argument[0] == 2
    assert "gp_live_secret" not in argument[1]
    assert short[0] == 2
    assert "Standard Webhooks" in short[2]
    assert "whsec_short" not in short[2]


def test_the_command_says_the_secret_and_shows_json_in_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    event = {"id": "evt_1", "sequence": 7, "type": "PAYMENT_CAPTURED", "occurredAt": "2026-06-01T12:00:01Z", "subjectId": "pay_1"}
    event |= {"payment": {"amount": {"formatted": "$19.99"}, "orderId": "order-1"}}
    wishes: list[Wish] = []

    async def once(wish: Wish, world: Any, show: Any, say: Any) -> None:
        wishes.append(wish)
        show(event, Forwarded(200, None, 12))

    monkeypatch.setattr(listen_command, "_listen", once)
    (tmp_path / "key").write_text("gp_live_from_a_file\n")

    code, out, err = run("listen", "--key-file", str(tmp_path / "key"), "--forward-to", RECEIVER, "--type", "payment.captured")

    assert code == 0
    assert json.loads(out) == {"event": event, "forwarded": {"status": 200, "problem": None, "ms": 12}}
    assert wishes[0].key == "gp_live_from_a_file"
    assert wishes[0].types == [EventType.PAYMENT_CAPTURED]
    assert show_secret(wishes[0].secret) in err
    assert "gp_live_from_a_file" not in repr(wishes[0]) + out + err
    line = listen_command._line(event, Forwarded(200, None, 12))
    assert "#7" in line
    assert "payment.captured" in line
    assert "→ 200 (12 ms)" in line
