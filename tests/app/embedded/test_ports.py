"""Claims on ports."""

import socket

import pytest

from app.embedded.ports import LOOPBACK, PortClaim, PortTakenError, free_port


def test_a_port_that_somebody_listens_on_is_taken() -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()

        with pytest.raises(PortTakenError, match=r"Port \d+ on 127\.0\.0\.1 is taken"):
            PortClaim(other.getsockname()[1])


def test_two_claims_on_one_port_cannot_both_succeed() -> None:
    """Two checkouts started at once both want the default port, and neither listens yet."""
    first = PortClaim()

    second = free_port(first.number)

    assert second.number != first.number
    first.close()
    second.close()


def test_the_server_can_listen_on_a_claimed_port() -> None:
    claim = PortClaim()

    with socket.create_server((LOOPBACK, claim.number)):
        pass

    claim.close()


def test_a_port_given_back_can_be_claimed_again() -> None:
    claim = PortClaim()
    claim.close()

    again = PortClaim(claim.number)

    assert again.number == claim.number
    again.close()
