"""`up` with stand-ins for its children: order, restarts, failures, and what it prints."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.app.supervisor.running import ELSEWHERE, Up, eventually, is_gone

Start = Callable[..., Up]
JSON = ("--json", "--port", "0", *ELSEWHERE)


def test_ready_is_one_line_of_json_on_stdout_and_nothing_else(up: Start) -> None:
    """A script can read it, and the children's output goes elsewhere."""
    system = up(*JSON)

    ready = system.ready()
    code, rest = system.end()

    assert code == 0
    assert rest == ""
    assert set(ready) == {
        *("graphql", "api_key", "test_api_key", "database_url", "redis_url", "pids"),
        *("bank_url", "bank_control_url", "sandbox_bank_url", "sandbox_bank_control_url"),
    }
    assert ready["database_url"] == "postgresql://owner:secret@127.0.0.1:1/shop"
    assert ready["pids"]["postgres"] == ready["pids"]["redis"] == []
    assert all(len(ready["pids"][name]) == 1 for name in ("api", "worker", "bank", "sandbox-bank"))


def test_sigterm_stops_api_and_worker_before_the_bank_and_exits_0(up: Start) -> None:
    """What is under way may still ask the bank."""
    system = up(*JSON)
    ready = system.ready()

    code, _ = system.end(signal.SIGTERM)

    assert code == 0
    stops = [note.split()[0] for note in system.notes() if "SIGTERM" in note]
    assert stops[-2:] == ["bank", "bank"], "the live one and the sandbox's"
    assert set(stops[:-2]) == {"api", "worker"}
    assert all(is_gone(pid) for pids in ready["pids"].values() for pid in pids)


def test_sigint_does_the_same(up: Start) -> None:
    system = up(*JSON)
    system.ready()

    assert system.end(signal.SIGINT) == (0, "")


def test_a_child_that_was_killed_is_started_again_on_its_port(up: Start) -> None:
    """Nobody has to look at the new process's number: its address stays."""
    system = up(*JSON)
    ready = system.ready()

    os.kill(ready["pids"]["api"][0], signal.SIGKILL)

    eventually(lambda: "api is up again" in system.errors())
    assert "api, process" in system.errors()
    assert "ended (SIGKILL); starting it again" in system.errors()
    assert httpx.get(ready["graphql"].replace("/graphql", "/readyz")).status_code == 200
    assert system.end()[0] == 0


def test_a_second_up_on_the_same_data_says_so_and_exits_1(up: Start) -> None:
    """Two supervisors would restart each other's servers."""
    first = up(*JSON)
    first.ready()

    second = up(*JSON)

    assert second.wait() == (1, "")
    assert f"Another partner-api, process {first.process.pid}, is running with the data" in second.errors()
    assert first.end()[0] == 0


def test_a_child_that_fails_at_its_start_shows_the_end_of_its_log(up: Start) -> None:
    """The reason is on the screen, and nothing of a half-started system stays behind."""
    system = up(*JSON, STAND_IN_FAILS="serve")

    assert system.wait() == (1, "")
    assert "api ended at its start (exit code 1)" in system.errors()
    assert "serve was told to fail" in system.errors()
    assert any(note.startswith("bank SIGTERM") for note in system.notes())


def test_a_migration_that_fails_shows_the_end_of_its_log(up: Start) -> None:
    system = up(*JSON, STAND_IN_FAILS="migrate")

    assert system.wait() == (1, "")
    assert "migrate was told to fail" in system.errors()


def test_a_taken_port_that_was_asked_for_is_an_error(up: Start) -> None:
    """Another port than the one asked for would be found out much later."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        system = up("--json", "--port", str(port), *ELSEWHERE)

        assert system.wait() == (1, "")
        assert f"Port {port} on 127.0.0.1 is taken by another program." in system.errors()


def test_the_same_key_is_shown_again_until_the_database_refuses_it(up: Start) -> None:
    """A key in somebody's script goes on working over restarts."""
    first = up(*JSON)
    key = first.ready()["api_key"]
    first.end()

    second = up(*JSON)
    assert second.ready()["api_key"] == key
    second.end()

    third = up(*JSON, PARTNER_API_PEPPER="another-database")
    assert third.ready()["api_key"] != key
    third.end()

    created = [note.rsplit(maxsplit=1)[0] for note in third.notes() if "created" in note]
    assert created[0] == "partner created"
    assert sorted(created[1:]) == ["live key created"] * 2 + ["test key created"] * 2


def test_a_key_from_before_there_were_test_keys_stays(up: Start, tmp_path: Path) -> None:
    """What one key lacks is no reason to change the other."""
    first = up(*JSON)
    keys = first.ready()
    first.end()
    (file,) = tmp_path.rglob("demo-key.json")
    kept = json.loads(file.read_text())
    del kept["testKey"]
    file.write_text(json.dumps(kept))

    second = up(*JSON)
    again = second.ready()
    second.end()

    assert again["api_key"] == keys["api_key"]
    assert [note.rsplit(maxsplit=1)[0] for note in second.notes() if "created" in note][3:] == ["test key created"]


def test_several_api_processes_share_one_port(up: Start) -> None:
    system = up(*JSON, "--api-processes", "2")

    ready = system.ready()

    assert len(set(ready["pids"]["api"])) == 2
    for pid in ready["pids"]["api"]:  # either one alone keeps the port answered
        os.kill(pid, signal.SIGKILL)
        assert httpx.get(ready["graphql"]).status_code == 200
    assert system.end()[0] == 0


def test_several_workers_are_kept_running_each(up: Start) -> None:
    system = up(*JSON, "--worker-processes", "2")

    ready = system.ready()
    os.kill(ready["pids"]["worker"][1], signal.SIGKILL)

    assert len(set(ready["pids"]["worker"])) == 2
    eventually(lambda: "worker-2 is up again" in system.errors())
    assert system.end()[0] == 0


def test_the_banks_variables_reach_the_bank_and_our_secrets_do_not(up: Start) -> None:
    system = up(*JSON, FAILURE_RATE="0.25")

    ready = system.ready()

    environment = Path(f"/proc/{ready['pids']['bank'][0]}/environ").read_text().split("\0")
    assert "FAILURE_RATE=0.25" in environment
    assert not [variable for variable in environment if variable.startswith("PARTNER_API_")]
    system.end()


def test_a_service_gets_only_the_logins_that_it_uses(up: Start) -> None:
    """With the owner's login the API would be past row security."""
    system = up(*JSON)

    ready = system.ready()

    variables = {
        name: {line.partition("=")[0] for line in Path(f"/proc/{ready['pids'][name][0]}/environ").read_text().split("\0")}
        for name in ("api", "worker")
    }
    logins = {"PARTNER_API_DATABASE_URL", "PARTNER_API_WORKER_DATABASE_URL", "PARTNER_API_OWNER_DATABASE_URL"}
    assert variables["api"] & logins == {"PARTNER_API_DATABASE_URL"}
    assert variables["worker"] & logins == {"PARTNER_API_DATABASE_URL", "PARTNER_API_WORKER_DATABASE_URL"}
    system.end()


def test_no_secret_is_on_a_command_line(up: Start) -> None:
    """Everyone on the machine can read those."""
    system = up("--json", "--port", "0")

    ready = system.ready()

    lines = " ".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in system.children)
    secrets = [ready["api_key"], *(ready[url].split("@")[0].rpartition(":")[2] for url in ("database_url", "redis_url"))]
    assert not [secret for secret in secrets if secret in lines]
    system.end()


def test_the_demos_exit_code_is_ours_and_its_output_is_shown(up: Start) -> None:
    system = up("--demo", *ELSEWHERE, STAND_IN_DEMO_EXIT="3")

    code, output = system.wait()

    assert code == 3
    assert output.startswith("demo on http://127.0.0.1:")


def test_people_get_an_address_a_key_and_a_query_to_paste(up: Start) -> None:
    system = up("--port", "0", *ELSEWHERE)
    assert system.process.stdout

    lines = [system.process.stdout.readline()]
    while "Ctrl-C" not in lines[-1]:
        lines.append(system.process.stdout.readline())
    system.end()

    text = "".join(lines)
    assert "http://127.0.0.1:" in text
    assert "gp_live_" in text
    assert "authorizePayment" in text
    assert "\x1b" not in text


def test_kill_9_leaves_no_child_and_the_next_start_works_at_once(up: Start) -> None:
    """With PostgreSQL and Redis of our own: their files and locks are in the way of nobody."""
    first = up("--json", "--port", "0")
    ready = first.ready()
    port = ready["graphql"].rsplit(":", 1)[1].removesuffix("/graphql")

    first.process.kill()
    second = up("--json", "--port", port)

    again = second.ready()
    eventually(lambda: all(is_gone(pid) for pid in first.children))
    assert again["graphql"] == ready["graphql"]
    assert again["api_key"] == ready["api_key"]
    assert second.end()[0] == 0


def test_a_killed_postgres_comes_back_on_its_port_with_its_data(up: Start) -> None:
    system = up("--json", "--port", "0")
    ready = system.ready()

    for name in ("postgres", "redis"):
        os.kill(ready["pids"][name][0], signal.SIGKILL)

    for name in ("postgres", "redis"):
        eventually(lambda name=name: f"{name} is up again" in system.errors())
    assert system.end() == (0, "")  # what was printed once is not printed again
