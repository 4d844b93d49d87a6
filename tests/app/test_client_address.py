"""From where a request came: nothing that the client wrote is believed."""

from ipaddress import ip_address, ip_network

import pytest
from pydantic import ValidationError
from starlette.requests import HTTPConnection

from app.client_address import MAX_HOPS, UNKNOWN_ADDRESS, client_address
from tests.app.serving import settings_for

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
PROXY, CLIENT = "10.0.0.1", "203.0.113.7"


def connection(peer: str | None, *forwarded: str) -> HTTPConnection:
    """A connection from there with these X-Forwarded-For headers."""
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return HTTPConnection({"type": "http", "client": (peer, 1234) if peer else None, "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        (CLIENT, [], CLIENT),
        (CLIENT, ["192.0.2.1"], CLIENT),
        (CLIENT, [PROXY], CLIENT),
        (PROXY, [], PROXY),
        (PROXY, [CLIENT], CLIENT),
        (PROXY, [f"192.0.2.1, {CLIENT}"], CLIENT),
        (PROXY, [f"192.0.2.1, {CLIENT}, 10.9.9.9, fd00::1"], CLIENT),
        (PROXY, ["192.0.2.1", CLIENT], CLIENT),
        (PROXY, [f"10.9.9.9, {CLIENT}"], CLIENT),
        (PROXY, ["10.9.9.9"], "10.9.9.9"),
        (PROXY, [f"{CLIENT}:4711"], CLIENT),
        (PROXY, ["[2001:db8::1]:4711"], "2001:db8::1"),
        (PROXY, ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", [f"::ffff:{CLIENT}"], CLIENT),
    ],
)
def test_the_address_is_the_first_from_the_right_that_no_trusted_proxy_has(peer: str, forwarded: list[str], found: str) -> None:
    assert client_address(connection(peer, *forwarded), TRUSTED) == ip_address(found)


@pytest.mark.parametrize("said", ["unknown", "", " ", "_hidden", "x, y", f"{CLIENT}, 999.1.1.1"])
def test_what_is_no_address_is_nobodys_and_nothing_left_of_it_counts(said: str) -> None:
    found = client_address(connection(PROXY, said), TRUSTED)

    assert found == (ip_address(PROXY) if not said else UNKNOWN_ADDRESS)


def test_without_trusted_proxies_only_the_peer_counts() -> None:
    assert client_address(connection(PROXY, CLIENT), ()) == ip_address(PROXY)


@pytest.mark.parametrize("peer", [None, "testclient", "/run/api.sock"])
def test_a_peer_without_an_address_is_unknown(peer: str | None) -> None:
    assert client_address(connection(peer, CLIENT), TRUSTED) == UNKNOWN_ADDRESS


def test_a_header_that_runs_in_a_circle_is_read_so_far_and_no_farther() -> None:
    circle = ", ".join([CLIENT] + ["10.0.0.2"] * MAX_HOPS)

    assert client_address(connection(PROXY, circle), TRUSTED) == ip_address("10.0.0.2")


def test_trusted_proxies_are_a_list_of_networks() -> None:
    settings = settings_for("postgresql://a:b@c/d", trusted_proxies=" 10.0.0.0/8,fd00::/8 ")

    assert settings.trusted_proxies == TRUSTED


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "proxy.example", "10.0.0.0/33"])
def test_a_trusted_proxy_that_is_no_network_is_a_setting_that_cannot_be_used(wrong: str) -> None:
    with pytest.raises(ValidationError, match="it has to be networks") as error:
        settings_for("postgresql://a:b@c/d", trusted_proxies=wrong)

    assert wrong not in str(error.value)
