"""TCP ports on loopback, claimed so that nobody else gets them before the server is up, nor while it restarts."""

import socket
import sys
from contextlib import suppress

LOOPBACK = "127.0.0.1"


class PortTakenError(Exception):
    """Another program listens on the port, or is about to."""

    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} on {LOOPBACK} is taken by another program.")
        self.port = port


class PortClaim:
    """A port that is ours until `close()`, or until this process ends.

    On Linux a bound socket that doesn't listen keeps the port away from everyone who asks for a free one, while a
    server that sets SO_REUSEADDR, as all of ours do, can still listen on it. That alone would let two of us claim one
    port before either listens, so a name in the abstract socket namespace settles who was first. Elsewhere a claim is
    only a check.
    """

    def __init__(self, port: int = 0) -> None:
        """Claims `port`, or a free one for 0. Raises PortTakenError."""
        self._holder = _bound(port)
        self._sign = socket.socket(socket.AF_UNIX) if hasattr(socket, "AF_UNIX") else None
        self.number: int = self._holder.getsockname()[1]
        try:
            _check_that_nobody_listens(self.number)
            if sys.platform == "linux" and self._sign:
                self._sign.bind(f"\0partner-api-port-{self.number}")
        except OSError as error:
            self.close()
            raise PortTakenError(self.number) from error
        if sys.platform != "linux":
            self._holder.close()

    def close(self) -> None:
        """Gives the port back."""
        self._holder.close()
        if self._sign:
            self._sign.close()


def _bound(port: int) -> socket.socket:
    holder = socket.socket()
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((LOOPBACK, port))
    except OSError as error:
        holder.close()
        raise PortTakenError(port) from error
    return holder


def _check_that_nobody_listens(port: int) -> None:
    """Raises OSError when somebody does. A server on all addresses shows only in an attempt to listen."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))
        probe.listen(1)


def free_port(preferred: int = 0) -> PortClaim:
    """Claims the preferred port if it is free and another one if it isn't."""
    if preferred:
        with suppress(PortTakenError):
            return PortClaim(preferred)
    for _ in range(3):  # a free port that is lost to another process between two calls is rare; three times is a fault
        with suppress(PortTakenError):
            return PortClaim()
    raise PortTakenError(preferred)
