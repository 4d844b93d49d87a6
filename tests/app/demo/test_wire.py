"""A request that was not answered is sent again, the same to the last byte; and not for ever."""

import httpx
import pytest

from app.demo.wire import ApiAway, ApiFault, Endpoint, Wire, graphql_http
from tests.app.demo.conftest import Time

DATA = {"data": {"viewer": {"partner": {"name": "FicMart"}}}}
PART = {"message": "Later.", "extensions": {"code": "SERVICE_UNAVAILABLE", "retryAfterMs": 3000}}


class Script:
    """Answers with these, one after the other; the last one again and again."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        self.transport = httpx.MockTransport(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def wire(script: Script, clock: Time) -> Wire:
    return Wire(graphql_http(script.transport), Endpoint("http://api/graphql", "key"), clock.world, ["4111111111111111"])


@pytest.mark.parametrize(
    ("answer", "at_least_s"),
    [
        (httpx.ConnectError("refused"), 0),
        (httpx.RemoteProtocolError("killed while answering"), 0),
        (httpx.ReadTimeout("silence"), 0),
        (httpx.Response(503, headers={"Retry-After": "2"}), 2),
        (httpx.Response(429, headers={"Retry-After": "7"}), 7),
        (httpx.Response(502), 0),
        (httpx.Response(503, headers={"Retry-After": "Fri, 20 Nov 2026 23:04:07 GMT"}), 0),
        (httpx.Response(200, json={"data": {"payment": None}, "errors": [PART]}), 3),
    ],
)
async def test_the_same_request_is_sent_again(answer: httpx.Response | Exception, at_least_s: float, clock: Time) -> None:
    script = Script(answer, httpx.Response(200, json=DATA))

    reply = await wire(script, clock).ask("query", {"key": "1"})

    assert reply.data == DATA["data"]
    assert reply.asked == 2
    assert script.bodies[0] == script.bodies[1]
    assert at_least_s <= clock.s < at_least_s + 1


async def test_patience_ends(clock: Time) -> None:
    script = Script(httpx.ConnectError("refused"))

    with pytest.raises(ApiAway, match="90 s"):
        await wire(script, clock).ask("query", {})

    assert 80 < clock.s <= 90


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            httpx.Response(401, json={"errors": [{"message": "No key.", "extensions": {"code": "UNAUTHENTICATED"}}]}),
            (401, "UNAUTHENTICATED", "No key."),
        ),
        (httpx.Response(500, text="oh"), (500, "NOT_JSON", "the answer is not JSON")),
        (httpx.Response(200, json=[]), (200, "NO_DATA", "the answer has neither data nor errors")),
        (httpx.Response(200, json={"data": None, "errors": [{"message": "Bug."}]}), (200, "", "Bug.")),
    ],
)
async def test_an_answer_without_data_is_a_fault(answer: httpx.Response, expected: tuple[int, str, str], clock: Time) -> None:
    with pytest.raises(ApiFault) as caught:
        await wire(Script(answer), clock).ask("query", {})

    assert (caught.value.status, caught.value.code, caught.value.message) == expected


async def test_an_answer_with_a_card_number_is_counted(clock: Time) -> None:
    script = Script(httpx.Response(200, json={"data": {"note": "card 4111111111111111"}}))
    leaky = wire(script, clock)

    await leaky.ask("query", {})

    assert (leaky.tally.answers, leaky.tally.leaks) == (1, 1)


def test_the_key_is_not_in_the_endpoints_repr() -> None:
    assert "secret" not in repr(Endpoint("http://api", "secret"))
