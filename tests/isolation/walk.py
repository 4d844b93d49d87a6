"""The walk: every place that could name something is given another tenant's, and each answer is compared with that for nobody's."""

import asyncio
import json
import re
from contextlib import aclosing
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpx

from app.graphql import build_schema
from app.limits import Charged
from app.operation import Operation
from app.results import Broken
from tests.app.serving import Api
from tests.conftest import PATIENCE_S
from tests.isolation.estate import Estate, without_fresh_names
from tests.isolation.examples import NOT_A_NAME, base_of, examples
from tests.isolation.pairs import Pair
from tests.isolation.probes import Probe, probes, with_value

OF_THE_REQUEST = {"x-request-id", "content-length", "ratelimit"}  # headers that differ from answer to answer


@dataclass
class Found:
    """What the walk has seen, and what was wrong."""

    probes: int = 0
    requests: int = 0
    coordinates: set[str] = field(default_factory=set)
    leaks: list[str] = field(default_factory=list)


def all_probes() -> list[Probe]:
    """Every place of the schema that is served. Raises AssertionError for one that has no example."""
    places = [each for each in probes(build_schema()._schema) if each.coordinate not in NOT_A_NAME]
    return sorted(places, key=lambda each: each.operation == "mutation")  # what changes nothing comes first


def without_example(places: list[Probe], victim: Estate, asker: Estate) -> set[str]:
    """The coordinates that nobody has thought of yet."""
    return {each.coordinate for each in places} - examples(victim, asker).keys()


async def walk(victim: Estate, asker: Estate, only: str | None = None) -> Found:
    """Go through all of it as the asker, or to one place; and as the victim, so that each example is shown to mean something."""
    found, pairs = Found(), examples(victim, asker)
    for probe in all_probes():
        if only not in (None, probe.coordinate):
            continue
        found.probes += 1
        found.coordinates.add(probe.coordinate)
        for pair in pairs[probe.coordinate]:
            await _try(found, probe, pair, victim, asker)
    return found


async def _try(found: Found, probe: Probe, pair: Pair, victim: Estate, asker: Estate) -> None:
    place = f"{probe.field}, {probe.coordinate}"
    given = await _ask(probe, asker.api, pair.victims)
    nobodys = await _ask(probe, asker.api, pair.nobodys)
    found.requests += 2
    for answer in (given, nobodys):
        if answer.status_code != 200 or ("errors" in answer.json()) is not pair.refused:
            found.leaks.append(f"{place}: {answer.status_code} {_body(answer)}")
    if (one := _comparable(given, pair.victims, probe)) != (other := _comparable(nobodys, pair.nobodys, probe)):
        found.leaks.append(f"{place}: another tenant's is not answered as nobody's\n  {one}\n  {other}")
    for answer, value in ((given, pair.victims), (nobodys, pair.nobodys)):
        said = _words(f"{dict(answer.headers)} {_body(answer)}")
        seen = sorted((victim.marks - asker.marks - _texts(value)) & said)
        if seen:
            found.leaks.append(f"{place}: the answer shows {seen[:5]}")
    own = await _ask(probe, victim.api, pair.victims)
    if _comparable(own, pair.victims, probe) == one and not victim.marks & _words(_body(own)):
        found.leaks.append(f"{place}: the example means nothing to the victim either, so nothing is shown by it: {_body(own)}")


async def _ask(probe: Probe, api: Api, value: Any) -> httpx.Response:
    arguments = with_value(await base_of(probe.steps[-1], api, probe.coordinate), probe.path, value)
    if probe.operation == "subscription":
        return await _first_of(probe, api, arguments)
    return await api.post({"query": probe.document, "variables": arguments})


async def _first_of(probe: Probe, api: Api, arguments: dict[str, Any]) -> httpx.Response:
    """What a stream begins with, as if it were an answer."""
    connections = api.app.state.connections
    caller = await connections.authentication.caller(f"Bearer {api.key}", ip_address("127.0.0.1"))
    operation = Operation(probe.document, arguments, None)
    charged = Charged({}, {}, is_dry=False)
    stream = connections.results.of(caller, connections.context_of(caller), operation, charged)
    async with aclosing(stream), asyncio.timeout(PATIENCE_S):
        try:
            first = await anext(stream)
            body = json.loads((first if first.body else await anext(stream)).body)
        except Broken as broken:
            body = {"data": None, "errors": broken.errors}
    return httpx.Response(200, json=body)


def _body(answer: httpx.Response) -> str:
    body = answer.json()
    body.get("extensions", {}).pop("cost", None)
    return json.dumps(body, ensure_ascii=False)


def _comparable(answer: httpx.Response, value: Any, probe: Probe) -> str:
    """Status, headers and body without what the client itself gave; and where something is made, without what is new each time."""
    body = _body(answer)
    for text in sorted(_texts(value), key=len, reverse=True):
        body = re.sub(re.escape(json.dumps(text, ensure_ascii=False)), '"<given>"', body)
    headers = {name: text for name, text in answer.headers.items() if name not in OF_THE_REQUEST}
    return f"{headers} {without_fresh_names(body) if probe.operation == 'mutation' else body}"


def _words(text: str) -> set[str]:
    """What stands between quotes, and what is a word: a mark may be either."""
    return {*re.findall(r"[\w-]+", text), *re.findall(r'"((?:[^"\\]|\\.)*)"', text)}


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_texts, value.values()))
    return {value} if isinstance(value, str) else set()
