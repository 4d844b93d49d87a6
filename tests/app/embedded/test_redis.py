"""Redis out of its wheel."""

import socket
import stat
from pathlib import Path

import pytest
import redis

from app.embedded.redis import EmbeddedRedis, program
from app.embedded.server import EmbeddedServerError


def test_it_answers_with_the_password_and_keeps_nothing_on_disk(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        client = redis.Redis.from_url(server.url, protocol=3)
        client.set("key", "value")
        assert client.get("key") == b"value"
        assert client.config_get("save") == {"save": ""}
        client.close()

    assert {path.name for path in tmp_path.iterdir()} == {"password", "redis.conf", "redis.log"}


def test_without_the_password_it_answers_nothing(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET key\r\n")
        assert connection.recv(512).startswith(b"-NOAUTH")


def test_the_password_is_in_closed_files_and_on_no_command_line(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    server.prepare()

    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("password", "redis.conf")} == {0o600}
    assert (tmp_path / "password").read_text() not in " ".join(server.command())
    server.stop()


def test_a_platform_without_a_wheel_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Windows")

    with pytest.raises(EmbeddedServerError, match="Run this in WSL, or name a server with --redis-url"):
        program()
