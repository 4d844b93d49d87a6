"""Stands in for every `partner-api` command, so that the supervisor is tested alone and quickly.

`stand_in.py up ...` runs the real supervisor with this file as its children. Each of them notes what happens to it in
the file named by STAND_IN_NOTES, one line each: `api started 123`, `api SIGTERM 123`.
"""

import http.server
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType


def note(text: str) -> None:
    with Path(os.environ["STAND_IN_NOTES"]).open("a") as file:
        file.write(f"{text} {os.getpid()}\n")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Yes(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def serve(name: str, arguments: list[str]) -> None:
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    given = int(options["--fd"]) if "--fd" in options else None
    address = (options.get("--host", ""), int(options.get("--port", 0)))
    server = http.server.HTTPServer(address, Yes, bind_and_activate=given is None)
    if given is not None:
        server.socket = socket.socket(fileno=given)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    live(name)


def live(name: str) -> None:
    def leave(number: int, _: FrameType | None) -> None:
        note(f"{name} {signal.Signals(number).name}")
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    note(f"{name} started")
    say(f"{name} is up")
    while True:
        signal.pause()


def key_of(secret: str, mode: str = "live") -> str:
    """A key that is valid for one pepper: stands for a key that is valid for one database."""
    return f"gp_{mode}_{secret[:8]}"


def main(arguments: list[str]) -> None:
    command = arguments[0]
    if command in os.environ.get("STAND_IN_FAILS", "").split(","):
        sys.exit(f"{command} was told to fail")
    match arguments:
        case ["up", *_]:
            from app.cli.up import up  # noqa: PLC0415
            from app.supervisor import run  # noqa: PLC0415

            run.ENTRY = (sys.executable, "-I", "-S", __file__)
            up.main(arguments[1:])
        case ["serve", *options]:
            serve("api", options)
        case ["bank", *options]:
            serve("bank", options)
        case ["work"]:
            live("worker")
        case ["migrate"]:
            note("migrate")
        case ["partners", "create", *_]:
            note("partner created")
            say(json.dumps({"id": "par_1"}))
        case ["keys", "create", *options]:
            mode = options[options.index("--mode") + 1]
            note(f"{mode} key created")
            say(json.dumps({"id": "key_1", "key": key_of(os.environ["PARTNER_API_PEPPER"], mode)}))
        case ["keys", "check"]:
            key = sys.stdin.readline().strip()
            sys.exit(0 if key in {key_of(os.environ["PARTNER_API_PEPPER"], mode) for mode in ("live", "test")} else 1)
        case ["demo"]:
            say(f"demo on {os.environ['PARTNER_API_DEMO_GRAPHQL_URL']}")
            sys.exit(int(os.environ.get("STAND_IN_DEMO_EXIT", "0")))
        case _:
            sys.exit(f"no such command: {arguments}")


if __name__ == "__main__":
    main(sys.argv[1:])
