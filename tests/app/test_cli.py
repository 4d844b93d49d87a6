"""The command line: what it says, where it says it, and how it exits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import COMMANDS
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

    assert set(partner) == {"id", "name"}
    assert decode_id_of(IdKind.PARTNER, partner["id"])
    assert set(key) == {"id", "key"}
    assert good == (0, "This key is good.\n", "")
    assert [(each["id"], each["name"], each["revokedAt"]) for each in listed] == [(key["id"], "checkout", None)]
    assert revoked == (0, "Revoked.\n", "")
    assert bad == (1, "", "Error: This API key has been revoked. Use another one.\n")


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
    given: dict[str, object] = {}
    environment.setattr("uvicorn.run", lambda _, **options: given.update(options))
    environment.setattr("app.cli.log_to_stderr", lambda _: None)
    environment.setattr("app.cli.allow_many_connections", lambda: None)
    environment.setenv("PARTNER_API_OUTCOME_WAIT_S", "29.5")

    code, _, _ = run("serve")

    assert code == 0
    assert given["timeout_graceful_shutdown"] > 29.5
