"""From where a request came. Headers are believed only as far as they were written by proxies that we trust."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection

from domain.api_key import Network
from domain.caller import Address

UNKNOWN_ADDRESS = ip_address("::")  # of a client on a Unix socket, or of one whose proxy did not say; in no network but ::/0
MAX_HOPS = 20  # trusted proxies in a row; more of them is a header that runs in a circle


def client_address(connection: HTTPConnection, trusted: Sequence[Network]) -> Address:
    """The socket's peer; or, when that is a trusted proxy, whom it says it served, and so on from the right.

    What stands left of the first address that is not trusted was written by that client, and anybody can write anything.
    """
    peer = _address(connection.client.host) if connection.client else UNKNOWN_ADDRESS
    if not trusted or not _among(peer, trusted):
        return peer
    said = ",".join(connection.headers.getlist("x-forwarded-for"))
    return _behind(peer, reversed(said.rsplit(",", MAX_HOPS)[-MAX_HOPS:]) if said else (), trusted)


def _behind(peer: Address, hops: Iterable[str], trusted: Sequence[Network]) -> Address:
    for hop in hops:
        if not _among(peer, trusted):
            break
        peer = _address(hop.strip())
    return peer


def _among(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _address(text: str) -> Address:
    """An address, with or without a port as some proxies write it; UNKNOWN_ADDRESS for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return UNKNOWN_ADDRESS
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped  # a socket for both families spells an IPv4 peer so
    return address
