"""PostgreSQL out of its wheel: starts, stops, and whatever a kill leaves behind."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app.embedded.postgres import TEST_SETTINGS, EmbeddedPostgres
from app.embedded.server import EmbeddedServerError

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server for the tests that leave it running."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), settings=TEST_SETTINGS) as running:
        yield running


async def answer(server: EmbeddedPostgres, query: str) -> object:
    connection = await asyncpg.connect(server.url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_the_url_logs_in_as_the_databases_owner(server: EmbeddedPostgres) -> None:
    assert await answer(server, "select current_user || ' in ' || current_database()") == "partner_api in partner_api"


async def test_its_sort_order_is_that_of_every_other_machine(server: EmbeddedPostgres) -> None:
    query = "select datcollate || ' ' || pg_encoding_to_char(encoding) from pg_database where datname = 'partner_api'"

    assert await answer(server, query) == "C UTF8"


async def test_a_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url.replace("partner_api:", "partner_api:x"))


async def test_what_a_failed_statement_was_given_stays_out_of_the_log(server: EmbeddedPostgres) -> None:
    """Statements carry card data; a violated constraint quotes the whole row."""
    connection = await asyncpg.connect(server.url)
    await connection.execute("create table cards (number text check (number = ''))")
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute("insert into cards values ($1)", "4111111111111111")
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute("insert into cards values ('4242424242424242')")
    await connection.close()

    log = server.log.read_text()

    assert "violates check constraint" in log
    assert "4111111111111111" not in log
    assert "4242424242424242" not in log


def test_the_password_is_in_a_file_of_its_own_and_on_no_command_line(server: EmbeddedPostgres) -> None:
    file = server.folder / "password"

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() not in " ".join(server.command())


async def test_data_survives_a_kill_and_the_next_start_needs_no_help(tmp_path: Path) -> None:
    first = EmbeddedPostgres(tmp_path)
    first.start()
    connection = await asyncpg.connect(first.url)
    await connection.execute("create table kept as select 7 as number")
    os.kill(first.pid, signal.SIGKILL)

    with EmbeddedPostgres(tmp_path) as second:
        assert await answer(second, "select number from kept") == 7
    connection.terminate()
    first.stop()


async def test_a_postmaster_pid_that_names_somebody_else_is_no_obstacle(tmp_path: Path) -> None:
    """After a reboot the number may belong to any process, and PostgreSQL takes it for a server."""
    server = EmbeddedPostgres(tmp_path, settings=TEST_SETTINGS)
    server.prepare()
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")

    with server:
        assert await answer(server, "select 1") == 1


async def test_an_initdb_that_was_interrupted_is_done_again(tmp_path: Path) -> None:
    half = tmp_path / "new-1" / "data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(tmp_path, settings=TEST_SETTINGS) as server:
        assert await answer(server, "select 1") == 1

    assert not (tmp_path / "new-1").exists()


def test_data_of_another_version_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("16\n")

    with pytest.raises(EmbeddedServerError, match=r"is of PostgreSQL 16, and this one is 18\. Remove the folder"):
        EmbeddedPostgres(tmp_path).prepare()


def test_a_socket_path_that_the_kernel_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="longer than 107 bytes"):
        EmbeddedPostgres(tmp_path, port=5432, socket_folder=Path("/tmp") / ("x" * 100)).prepare()  # noqa: S108


def test_a_start_that_fails_shows_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="unrecognized configuration parameter"):
        EmbeddedPostgres(tmp_path, settings={**TEST_SETTINGS, "no_such_setting": "1"}).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account to run PostgreSQL under")
def test_root_runs_it_as_nobody_in_a_folder_closed_to_all_others(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with EmbeddedPostgres(closed / "postgres", settings=TEST_SETTINGS) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Even when that one is killed and can tidy up nothing."""
    code = (
        "import sys, pathlib; from app.embedded.postgres import EmbeddedPostgres, TEST_SETTINGS\n"
        "server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), settings=TEST_SETTINGS); server.start()\n"
        "print(server.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout
        pid = int(starter.stdout.readline())
        starter.kill()

    note = tmp_path / "data" / "postmaster.pid"
    deadline = time.monotonic() + PATIENCE_S
    while note.exists() and Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "PostgreSQL outlived the process that started it"
        time.sleep(0.01)
