"""uvicorn as we run it: told of its stop before its connections are, and rid of connections that nobody reads."""

import gc
import math
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette

from app.graphql_ws import MAX_MESSAGE_BYTES
from app.operation import MAX_BODY_BYTES

ANSWER_S = 2  # for what a request does besides waiting for the bank
# What was sent and not taken for so long ends the connection, whatever else waits for it: whoever does not read a stream has had ten
# seconds for the events by then, and twenty for the reason. Without it the kernel keeps up to megabytes for a client that acknowledges
# and never reads.
UNREAD_MS = 40_000
# Python looks for garbage in cycles after so many objects that were made and not let go: in the young, the middle-aged, the old. Looking at
# all that a thousand open streams hold takes a third of a second in which nobody is served, and by default that was every second.
COLLECT_AFTER = (5_000, 10, 100)

assert MAX_MESSAGE_BYTES == MAX_BODY_BYTES, "one operation is as long over either wire"


class Server(uvicorn.Server):
    """Calls `stopping` when it takes no more connections, and before it waits for those that there are."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._has_the_process = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes. Raises SystemExit where it can't begin."""
        gc.set_threshold(*COLLECT_AFTER)
        self._has_the_process = True
        with suppress(KeyboardInterrupt):
            super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's. What a listening socket is told, its connections inherit."""
        await super().startup(sockets)
        for server in self.servers if self.started else ():
            for listener in server.sockets:
                drop_unread(listener)
        if self.started and self._has_the_process:
            gc.collect()
            gc.freeze()  # what is here now stays, and need not be looked at again

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        self._stopping()
        await super().shutdown(sockets)


def drop_unread(listener: Any) -> None:
    """Let the kernel drop connections of this listener that do not take what they are sent for UNREAD_MS. Linux only (RFC 5482)."""
    if hasattr(socket, "TCP_USER_TIMEOUT") and listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)


def server_of(app: Starlette, *, outcome_wait_s: float, **where: Any) -> Server:
    """The server of an application; `where` are uvicorn's `host`, `port` or `fd`, and what a test has otherwise."""
    config = uvicorn.Config(
        app,
        **{
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "ws": "websockets-sansio",
            "ws_max_size": MAX_MESSAGE_BYTES,
            "ws_ping_interval": None,  # the protocol has pings of its own, which browsers' clients see
            # An event is a kilobyte: to deflate it for each of a thousand subscribers costs more than to send it.
            "ws_per_message_deflate": False,
            "proxy_headers": False,  # from where a request came is app.client_address's to say; uvicorn would believe any local peer
            "timeout_keep_alive": 65,  # longer than the usual proxy's 60 s, so that it is the proxy who closes
            # A request is answered within the outcome's wait; then the bank's calls are drained.
            "timeout_graceful_shutdown": math.ceil(outcome_wait_s) + ANSWER_S,
            **where,
        },
    )

    def stopping() -> None:
        app.state.event_streams.stop()  # which is there as soon as the application has started

    return Server(config, stopping)
