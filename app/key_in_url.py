"""An API key in a URL is burnt: proxies, browsers and logs along the way have kept it. It is refused before anybody looks it up."""

from urllib.parse import unquote_plus

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from domain.api_key import holds_api_key

POLICY_VIOLATION = 1008  # RFC 6455 §7.4.1; before the handshake's end a web server makes a 403 of it
MESSAGE = (
    "There is an API key in the URL, where proxies and logs keep it. Revoke that key, make a new one, and send it in the header "
    "`Authorization: Bearer gp_live_…`."
)


class RefuseKeysInUrls:
    """Middleware around everything: answers 400 to any request whose path or query has what begins like a key.

    A WebSocket that is asked for with one is not opened.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; what has no URL passes."""
        if scope["type"] not in ("http", "websocket") or not _holds_key(scope):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await WebSocketClose(POLICY_VIOLATION, "There is an API key in the URL: revoke it.")(scope, receive, send)
            return
        body = orjson.dumps({"errors": [{"message": MESSAGE, "extensions": {"code": "KEY_IN_URL"}}]})
        await Response(body, 400, media_type="application/json; charset=utf-8")(scope, receive, send)


def _holds_key(scope: Scope) -> bool:
    query: bytes = scope["query_string"]
    return holds_api_key(scope["path"]) or (bool(query) and holds_api_key(unquote_plus(query.decode("latin-1"))))
