"""Names to addresses, in a thread that nobody has to wait for: `getaddrinfo` can hang for a minute and can't be interrupted."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Resolver(AbstractResolver):
    """`getaddrinfo` in a daemon thread of its own, one for each look-up.

    The event loop's threads would be used up by look-ups that hang, and the process could not end before they do. aiohttp's
    connector asks for one name once at a time, keeps the answer for ten seconds, and stops waiting after its connect timeout.
    """

    def __init__(self, look_up: Callable[..., list[Any]] = socket.getaddrinfo) -> None:
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AddressFamily.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises OSError when there is none, or nobody to tell."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Any]] = loop.create_future()

        def look_up() -> None:
            answer: list[Any] | OSError
            try:
                answer = self._look_up(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
            except (OSError, UnicodeError) as error:  # UnicodeError: a name that can't be one
                answer = error if isinstance(error, OSError) else OSError(str(error))
            with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile; nobody waits any more
                loop.call_soon_threadsafe(tell, answer)

        def tell(answer: list[Any] | OSError) -> None:
            if found.done():
                return
            if isinstance(answer, OSError):
                found.set_exception(answer)
            else:
                found.set_result(answer)

        threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
        return [
            ResolveResult(hostname=host, host=address[0], port=address[1], family=kind, proto=protocol, flags=_NUMERIC)
            for kind, _, protocol, _, address in await found
        ]

    async def close(self) -> None:
        """Nothing to close: a thread that hangs ends with the process."""
