"""Where webhooks may go: the table of addresses that nobody may be sent to, in each spelling that a URL can have."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.webhook_url import MAX_URL_LENGTH, Target, is_public, may_be_called, read_url

NOT_PUBLIC = {  # the table of attacks; tests of the transport walk it too
    "this network": "0.0.0.0",  # noqa: S104
    "this network, deep in it": "0.1.2.3",
    "private, class A": "10.0.0.1",
    "private, class B": "172.16.0.1",
    "private, the end of class B": "172.31.255.255",
    "private, class C": "192.168.1.1",
    "carrier-grade NAT": "100.64.0.1",
    "carrier-grade NAT, its end": "100.127.255.255",
    "loopback": "127.0.0.1",
    "loopback, deep in it": "127.9.9.9",
    "link-local": "169.254.0.1",
    "the metadata of a cloud": "169.254.169.254",
    "protocol assignments": "192.0.0.8",
    "documentation 1": "192.0.2.1",
    "documentation 2": "198.51.100.1",
    "documentation 3": "203.0.113.1",
    "6to4 relay": "192.88.99.1",
    "benchmarks": "198.18.0.1",
    "multicast": "224.0.0.1",
    "class E": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "unspecified": "::",
    "loopback of IPv6": "::1",
    "IPv4-mapped": "::ffff:10.0.0.1",
    "IPv4-mapped, a public one": "::ffff:8.8.8.8",
    "IPv4-compatible": "::10.0.0.1",
    "NAT64": "64:ff9b::a00:1",
    "NAT64, local": "64:ff9b:1::1",
    "discard": "100::1",
    "Teredo": "2001::1",
    "benchmarks of IPv6": "2001:2::1",
    "ORCHID": "2001:20::1",
    "documentation of IPv6": "2001:db8::1",
    "documentation of IPv6, new": "3fff::1",
    "6to4": "2002:a00:1::1",
    "unique local": "fd00::1",
    "link-local of IPv6": "fe80::1",
    "site-local": "fec0::1",
    "multicast of IPv6": "ff02::1",
    "segment routing": "5f00::1",
}
PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"]
SPELLINGS = {  # hosts that some clients take for an address
    "a short form": "127.1",
    "hexadecimal": "0x7f.1",
    "hexadecimal, all of it": "0x7f000001",
    "decimal": "2130706433",
    "octal": "0177.0.0.1",
    "a dot behind": "127.0.0.1.",
    "a number at the end": "hooks.example.1",
    "mapped, in brackets": "[::ffff:10.0.0.1]",
    "mapped, in hexadecimal": "[::ffff:a00:1]",
    "brackets around IPv4": "[10.0.0.1]",
    "brackets around nothing": "[]",
}
NAMES = ["localhost", "intranet", "hooks.localhost", "printer.local", "metadata.google.internal", "router.home.arpa", "x.onion"]
ODD = {
    "empty": "",
    "no scheme": "hooks.example/x",
    "another scheme": "ftp://hooks.example/x",
    "a file": "file:///etc/passwd",
    "no host": "https:///x",
    "a backslash": "https://hooks.example\\@10.0.0.1/",
    "a space": "https://hooks.example/a b",
    "a line break": "https://hooks.example/\r\nX: y",
    "a zero byte": "https://hooks.example/\x00",
    "beyond ASCII": "https://hööks.example/",
    "a full-width digit": "https://１２７.0.0.1/",
    "an encoded host": "https://%31%32%37.0.0.1/",
    "a fragment": "https://hooks.example/#x",
    "a zone": "https://[fe80::1%25eth0]/",
    "an empty label": "https://hooks..example/",
    "a dash in front": "https://-hooks.example/",
    "a label too long": f"https://{'a' * 64}.example/",
    "a name too long": f"https://{'a.' * 127}example/",
    "too long": "https://hooks.example/" + "a" * MAX_URL_LENGTH,
    "port 0": "https://hooks.example:0/",
    "a port for mail": "https://hooks.example:25/",
    "port 65536": "https://hooks.example:65536/",
}


@pytest.mark.parametrize("address", NOT_PUBLIC.values(), ids=NOT_PUBLIC.keys())
def test_an_address_that_is_not_public_is_refused_bare_and_in_a_url(address: str) -> None:
    host = f"[{address}]" if ":" in address else address

    assert not is_public(ip_address(address))
    assert isinstance(read_url(f"https://{host}/hook", development=False), str)
    assert isinstance(read_url(f"https://{host}:8443/hook", development=False), str)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not(address: str) -> None:
    host = f"[{address}]" if ":" in address else address

    assert is_public(ip_address(address))
    assert read_url(f"https://{host}/", development=False) == Target(f"https://{host}/", address, 443, ip_address(address))


@pytest.mark.parametrize("host", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("development", [False, True])
def test_an_odd_spelling_of_an_address_is_refused_and_not_interpreted(host: str, development: bool) -> None:
    assert isinstance(read_url(f"https://{host}/hook", development=development), str)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_none_of_the_internets_is_refused(name: str) -> None:
    assert isinstance(read_url(f"https://{name}/hook", development=False), str)
    assert isinstance(read_url(f"https://{name.upper()}/hook", development=False), str)


@pytest.mark.parametrize("url", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("development", [False, True])
def test_an_odd_url_is_refused(url: str, development: bool) -> None:
    assert isinstance(read_url(url, development=development), str)


@pytest.mark.parametrize("userinfo", ["user:password@", "user@", "@", "hooks.example@", ":@", "a%40b@", "https://good.example@"])
def test_credentials_are_refused_by_name(userinfo: str) -> None:
    problem = read_url(f"https://{userinfo}10.0.0.1/", development=False)

    assert isinstance(problem, str)
    if "//" not in userinfo:
        assert "credentials" in problem


def test_a_good_url_is_read() -> None:
    url = "https://Hooks.Example:8443/in/%7Bpartner%7D?token=a_b-c.d~e&x=1@2"

    assert read_url(url, development=False) == Target(url, "hooks.example", 8443, None)


def test_http_is_for_the_desk_only() -> None:
    assert "https://" in str(read_url("http://hooks.example/", development=False))
    assert "https://" in str(read_url("http://hooks.example/", development=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_in_development_the_desk_may_be_called(host: str) -> None:
    url = f"http://{host}:4000/hook"

    assert isinstance(read_url(url, development=True), Target)
    assert isinstance(read_url(url, development=False), str)


@pytest.mark.parametrize("address", [each for each in NOT_PUBLIC.values() if not ip_address(each).is_loopback])
def test_development_opens_nothing_but_the_desk(address: str) -> None:
    assert not may_be_called(ip_address(address), development=True)


@given(st.ip_addresses())
def test_nothing_that_python_knows_to_be_private_is_public(address: object) -> None:
    assert not (is_public(address) and address.is_private)  # type: ignore[arg-type, attr-defined]


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    read_url(text, development=False)
    read_url(f"https://{text}", development=True)
