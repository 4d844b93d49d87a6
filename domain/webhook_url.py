"""Where webhooks may go: public addresses over https. Whoever may name a URL that we then call must not reach our own network by it.

Two doors, and both are locked. A URL is read when it is saved, by a grammar that is narrower than any client's: what is unusual is
refused and not interpreted. A name means nothing then, for it can mean another address an hour later; so each address is checked again
for each connection, right before it is made.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

MAX_URL_LENGTH = 2_000  # characters; what proxies and logs of receivers take for sure
MAX_HOST_LENGTH = 253  # characters of a name (RFC 1035 §2.3.4)
HTTPS_PORT, HTTP_PORT = 443, 80
FIRST_USER_PORT = 1024  # below are mail, shells and the like: https alone among them is a receiver's

Address = IPv4Address | IPv6Address

# The registries of special addresses (IANA, RFC 6890 and later), as far as no receiver of the public internet has one.
_NOT_PUBLIC_V4 = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local, and the metadata of clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # class E and the broadcast
        ),
    )
)
# Of IPv6 only this is in use on the internet. Outside of it are loopback, IPv4-mapped, NAT64, unique local, link-local, multicast.
_GLOBAL_V6 = ip_network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    map(
        ip_network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which has an IPv4 address of any kind inside
            "3fff::/20",  # documentation
        ),
    )
)
_OWN_NAMES = ("localhost", "local", "internal", "home.arpa", "onion")  # names that mean nothing, or us, on the public internet

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>(?:[/?][A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]*)?)",
    re.IGNORECASE,
)
_AUTHORITY = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)", re.IGNORECASE)
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NUMBER = re.compile(
    r"[0-9]+|0x[0-9a-f]*"
)  # a last label like this makes the whole an IPv4 address, in one of its many spellings


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that is good. `address` where the host is one, and not a name."""

    url: str
    host: str
    port: int
    address: Address | None


def is_public(address: Address) -> bool:
    """Whether anybody on the internet may have this address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address.scope_id is None and address in _GLOBAL_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def may_be_called(address: Address, *, development: bool) -> bool:
    """Whether a webhook may go there. On a desk it may go to the desk itself, so that people can try it out."""
    return is_public(address) or (development and address.is_loopback)


def read_url(url: str, *, development: bool) -> Target | str:
    """The target, or a sentence about what is wrong with it."""
    if len(url) > MAX_URL_LENGTH:
        return f"It has {len(url)} characters; at most {MAX_URL_LENGTH} are allowed."
    authority = _AUTHORITY.match(url)
    if authority and "@" in authority[1]:
        return "It has credentials in it, which would stand in logs. Put nothing before the host: the signature proves who calls."
    found = _URL.fullmatch(url)
    if found is None:
        if "#" in url:
            return "It has a fragment (#…), which is never sent. Leave it out."
        return "It is not a URL such as https://hooks.example/payments. Names beyond ASCII are given as xn--…"
    host = found["host"].lower()
    problem, address = _read_host(host, development=development)
    if problem is not None:
        return problem
    is_secure = found["scheme"].lower() == "https"
    is_here = development and (host == "localhost" or (address is not None and address.is_loopback))
    if not is_secure and not is_here:
        return "It has to begin with https://, so that nobody on the way can read or change what we send."
    port = int(found["port"]) if found["port"] else HTTPS_PORT if is_secure else HTTP_PORT
    if not 0 < port < 2**16 or (port < FIRST_USER_PORT and port != HTTPS_PORT and not is_here):
        return f"Its port can be {HTTPS_PORT}, or {FIRST_USER_PORT} to 65535."
    return Target(url, host.strip("[]"), port, address)


def _read_host(host: str, *, development: bool) -> tuple[str | None, Address | None]:
    """What is wrong with it, or the address that it is; neither for a name that may be asked for."""
    address: Address | None = None
    labels = host.split(".")
    if host.startswith("[") or _NUMBER.fullmatch(labels[-1]):
        try:
            address = ip_address(host.strip("[]"))
        except ValueError:
            return "Its host is no address as it is usually written, such as 198.51.100.7. Give a name.", None
        if not may_be_called(address, development=development):
            return "Its host is not an address of the public internet.", None
        return None, address
    if development and host == "localhost":
        return None, None
    if len(host) > MAX_HOST_LENGTH or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return "Its host is not the full name of a server, such as hooks.example.", None
    if any(host.endswith(f".{name}") for name in _OWN_NAMES):
        return "Its host is not a name of the public internet.", None
    return None, None
