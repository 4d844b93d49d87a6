"""The command line: what it says, where it says it, and how it exits."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.cli import COMMANDS
from app.server import Server
from domain.ids import IdKind, decode_id_of
from tests.app.command_line import Run

ROOT = Path(__file__).resolve().parents[2]


def test_help_lists_every_command_with_a_sentence(run: Run) -> None:
    code, out, _ = run("--help")

    assert code == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1:] for line in out.splitlines() if line.startswith("  ") and line.split()}
    assert all(lines.get(name) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(run: Run, name: str) -> None:
    code, out, _ = run(name, "--help")

    assert code == 0
    assert out.startswith(f"Usage: partner-api {name} ")
    assert len(out.splitlines()) > 3


def test_the_version_is_the_packages(run: Run) -> None:
    code, out, _ = run("--version")

    assert code == 0
    assert "0.1.0" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("keys", "nothing"),
        ("serve", "--port", "x"),
        ("serve", "--port", "70000"),
        ("keys", "create"),
        ("up", "--nothing"),
    ],
    ids=" ".join,
)
def test_a_command_that_there_is_not_is_told_on_stderr(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)

    assert code == 2
    assert out == ""
    assert "Error: " in err
    assert "Traceback" not in err


def test_a_partner_and_a_key_from_beginning_to_end(run: Run) -> None:
    partner = json.loads(run("partners", "create", "--name", "FicMart", "--json")[1])
    key = json.loads(run("keys", "create", "--partner", partner["id"], "--name", "checkout", "--json")[1])
    good = run("keys", "check", given=key["key"] + "\n")
    listed = [json.loads(line) for line in run("keys", "list", "--partner", partner["id"], "--json")[1].splitlines()]
    revoked = run("keys", "revoke", "--partner", partner["id"], key["id"])
    bad = run("keys", "check", given=key["key"])

    assert set(partner) == {"id", "name", "tier"}
    assert decode_id_of(IdKind.PARTNER, partner["id"])
    assert set(key) == {"id", "key"}
    assert good == (0, "This key is good.\n", "")
    assert [(each["id"], each["name"], each["revokedAt"]) for each in listed] == [(key["id"], "checkout", None)]
    assert revoked == (0, "Revoked.\n", "")
    assert bad == (1, "", "Error: This API key has been revoked. Use another one.\n")


def test_a_key_gets_what_was_said_and_no_more(run: Run) -> None:
    partner = json.loads(run("partners", "create", "--name", "FicMart", "--json")[1])["id"]
    wish = ["--scope", "payments:read", "--scope", "keys:read", "--expires-in-days", "30", "--network", "203.0.113.0/24"]

    key = json.loads(run("keys", "create", "--partner", partner, "--name", "x", "--mode", "test", *wish, "--json")[1])

    listed = json.loads(run("keys", "list", "--partner", partner, "--json")[1])
    assert key["key"].startswith("gp_test_")
    assert (listed["mode"], listed["scopes"], listed["networks"]) == ("TEST", ["keys:read", "payments:read"], ["203.0.113.0/24"])
    lasts = datetime.fromisoformat(listed["expiresAt"]) - datetime.fromisoformat(listed["createdAt"])
    assert lasts == timedelta(days=30)
    assert "203.0.113.0/24" in run("keys", "list", "--partner", partner)[1]
    assert run("keys", "check", given=key["key"])[0] == 0, "from where it may be used is not asked of the staff"
    assert run("keys", "revoke", "--partner", partner, key["id"]) == (0, "Revoked.\n", "")


@pytest.mark.parametrize("wrong", [["--network", "203.0.113.7/24"], ["--scope", "money:take"], ["--expires-in-days", "0"]])
def test_a_key_with_a_bad_wish_is_not_made(run: Run, wrong: list[str]) -> None:
    partner = json.loads(run("partners", "create", "--name", "FicMart", "--json")[1])["id"]

    code, out, err = run("keys", "create", "--partner", partner, "--name", "x", *wrong)

    assert code in (1, 2)
    assert (out, "Error: " in err) == ("", True)
    assert run("keys", "list", "--partner", partner, "--json")[1] == ""


def test_a_partner_is_told_how_many_cards_its_users_may_have(run: Run) -> None:
    partner = json.loads(run("partners", "create", "--name", "FicMart", "--json")[1])["id"]

    given = run("partners", "cards-per-user", partner, "10")
    refused = [run("partners", "cards-per-user", partner, number)[0] for number in ("0", "1001", "many")]

    assert given == (0, "Open cards of a user: at most 10.\n", "")
    assert refused == [2, 2, 2]


def test_a_partner_is_given_a_tier_suspended_and_resumed(run: Run) -> None:
    partner = json.loads(run("partners", "create", "--name", "FicMart", "--tier", "TRIAL", "--json")[1])
    keys = [
        json.loads(run("keys", "create", "--partner", partner["id"], "--name", "x", "--mode", mode, "--json")[1])["key"]
        for mode in ("live", "test")
    ]

    def listed() -> Any:
        rows = [json.loads(line) for line in run("partners", "list", "--json")[1].splitlines()]
        return next(each for each in rows if each["id"] == partner["id"])

    at_first = listed()
    assert run("partners", "set-tier", partner["id"], "enterprise") == (0, "The tier is ENTERPRISE.\n", "")
    assert run("partners", "suspend", partner["id"]) == (0, "Suspended.\n", "")
    suspended, refused = listed(), [run("keys", "check", given=key) for key in keys]
    assert run("partners", "suspend", partner["id"])[0] == 0
    suspended_again = listed()
    assert run("partners", "resume", partner["id"]) == (0, "Resumed.\n", "")

    assert (at_first["tier"], at_first["suspendedAt"]) == ("TRIAL", None)
    assert (suspended["tier"], bool(suspended["suspendedAt"])) == ("ENTERPRISE", True)
    assert suspended_again == suspended
    assert all(code == 1 and "suspended" in err for code, _, err in refused)
    assert [run("keys", "check", given=key)[0] for key in keys] == [0, 0]
    assert listed() == {**at_first, "tier": "ENTERPRISE"}


@pytest.mark.parametrize(
    "command", [("set-tier", "TRIAL"), ("cards-per-user", "7"), ("suspend",), ("resume",)], ids=lambda each: each[0]
)
@pytest.mark.parametrize("unknown", ["ptn_00000000000000000000000005", "FicMart"])
def test_nobody_is_not_changed(run: Run, command: tuple[str, ...], unknown: str) -> None:
    code, out, err = run("partners", command[0], unknown, *command[1:])

    assert (code, out) == (1, "")
    assert "no partner with this id" in err


def test_the_web_server_leaves_it_to_us_from_where_a_request_came(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would believe X-Forwarded-For of any process on this machine."""
    started: list[Server] = []
    monkeypatch.setattr("app.server.Server.run", lambda server: started.append(server))  # noqa: PLW0108 - it has to bind

    assert run("serve")[0] == 0

    (server,) = started
    assert server.config.proxy_headers is False
    assert server.config.access_log is False, "it would log URLs"


def test_people_get_tables_and_sentences(run: Run) -> None:
    created = run("partners", "create", "--name", "FicMart for people")[1]
    partner = created.strip().rpartition(" ")[2]
    key = run("keys", "create", "--partner", partner, "--name", "checkout")[1]

    partners = run("partners", "list")[1]
    keys = run("keys", "list", "--partner", partner)[1]

    assert created.startswith("Created FicMart for people: ptn_")
    assert "The key is not shown again." in key
    assert partner[:20] in partners
    assert "checkout" in keys
    assert key.splitlines()[0] not in keys


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "\x00"])
def test_a_bad_name_is_refused(run: Run, name: str) -> None:
    code, out, err = run("partners", "create", "--name", name)

    assert (code, out) == (1, "")
    assert err == "Error: A name has 1 to 255 printable characters.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "create", "--partner", "ptn_x", "--name", "n"),
        ("keys", "list", "--partner", "ptn_x"),
        ("keys", "revoke", "--partner", "ptn_x", "key_x"),
    ],
    ids=" ".join,
)
def test_what_does_not_exist_is_said_in_a_sentence(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)

    assert (code, out) == (1, "")
    assert "list`." in err, "it says where to look"


@pytest.mark.parametrize("given", ["", "\n", "gp_live_x", "Bearer x"])
def test_a_key_that_is_none_is_refused(run: Run, given: str) -> None:
    code, out, err = run("keys", "check", given=given)

    assert (code, out) == (1, "")
    assert err.startswith("Error: This is not an API key")


def test_migrating_again_changes_nothing(run: Run) -> None:
    first, second = run("migrate"), run("migrate")

    assert first == second
    assert first[0] == 0
    assert first[1].endswith(" already.\n")


def test_a_login_without_a_password_is_refused_without_showing_its_url(run: Run, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PARTNER_API_DATABASE_URL", "postgresql://hidden@127.0.0.1:1/x")

    code, _, err = run("migrate")

    assert code == 1
    assert "password" in err
    assert "hidden" not in err


@pytest.mark.parametrize("command", [("serve",), ("work",), ("migrate",), ("partners", "list"), ("keys", "check")], ids=" ".join)
def test_missing_settings_are_named_and_explained(run: Run, environment: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    for name in list(os.environ):
        if name.startswith("PARTNER_API_"):
            environment.delenv(name)

    code, out, err = run(*command)

    assert (code, out) == (2, "")
    assert err.startswith("PARTNER_API_")
    assert " is not set. " in err
    assert err.endswith("All settings are described in docs/settings.md.\n")


@pytest.mark.parametrize("command", [("partners", "list"), ("keys", "check"), ("migrate",)], ids=" ".join)
def test_a_database_that_is_away_is_said_in_a_sentence(
    run: Run, environment: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    environment.setenv("PARTNER_API_OWNER_DATABASE_URL", "postgresql://owner:hidden@127.0.0.1:1/x")

    code, out, err = run(*command, given="gp_live_")

    if command == ("keys", "check"):
        assert "This is not an API key" in err, "which needs no database"
        return
    assert (code, out) == (1, "")
    assert err.startswith("Error: The database can't be reached")
    assert "hidden" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("name", "value"), [("FAILURE_RATE", "2"), ("MIN_LATENCY_MS", "x"), ("BANK_ACCOUNTS", "[{}]")])
def test_a_bank_with_bad_settings_does_not_start(run: Run, environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)

    code, out, err = run("bank")

    assert (code, out) == (1, "")
    assert err.startswith(f"Error: {name} ")


def test_it_can_be_called_as_a_module() -> None:
    """What `dev.py` and the supervisor do. Only the command that is called is loaded: this one needs no framework."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "app", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert "partner-api" in done.stdout or "Usage" in done.stdout
    assert not [line for line in done.stderr.splitlines() if line.endswith((" strawberry", " sqlalchemy", " uvicorn"))]


def test_a_process_that_holds_connections_takes_all_the_files_that_it_may() -> None:
    code = """if True:
        import resource
        from app.cli import allow_many_connections

        resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        allow_many_connections()
        print(*resource.getrlimit(resource.RLIMIT_NOFILE))
    """

    soft, hard = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert soft == hard != "256"


def test_a_server_that_is_told_to_stop_waits_for_as_long_as_its_requests_do(run: Run, environment: pytest.MonkeyPatch) -> None:
    """Whoever waits for the bank would get a 500 in plain text otherwise."""
    started: list[Server] = []
    environment.setattr("app.server.Server.run", lambda server: started.append(server))  # noqa: PLW0108 - it has to bind
    environment.setattr("app.cli.log_to_stderr", lambda _: None)
    environment.setattr("app.cli.allow_many_connections", lambda: None)
    environment.setenv("PARTNER_API_OUTCOME_WAIT_S", "29.5")

    code, _, _ = run("serve")

    assert code == 0
    assert started[0].config.timeout_graceful_shutdown > 29.5
