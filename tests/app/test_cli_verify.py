"""`partner-api verify`: what it says, where, and how it exits. The ledger is the mock's, over a socket."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.cli import main
from app.cli import verify as command
from domain import violation
from domain.ids import IdKind, encode_id
from domain.payment import PaymentState
from domain.violation import Invariant
from tests.app.verifying import Till

S = PaymentState
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], database_urls: Any) -> Run:
    """Runs `partner-api verify` in this process; its exit code, stdout and stderr."""
    for name in list(os.environ):
        if name.startswith("PARTNER_API_"):
            monkeypatch.delenv(name)

    def call(*arguments: str, **variables: str) -> tuple[int, str, str]:
        for name, value in {"OWNER_DATABASE_URL": database_urls.owner, **variables}.items():
            monkeypatch.setenv(f"PARTNER_API_{name}", value)
        monkeypatch.setattr(sys, "argv", ["partner-api", "verify", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return call


@contextmanager
def showing(document: Any) -> Iterator[str]:
    """A control address that shows this ledger."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    class Control(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/ledger" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Control)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
async def day(till: Till) -> tuple[str, str, Any]:
    """A partner's id, a captured payment's, and the bank's ledger."""
    payment = await till.payment_in(S.CAPTURED)
    return encode_id(IdKind.PARTNER, till.tenant), encode_id(IdKind.PAYMENT, payment.id), await till.ledger()


def test_right_books_are_told_in_a_table(run: Run, day: Any) -> None:
    partner, _, ledger = day

    with showing(ledger) as url:
        code, out, err = run("--ledger", url, "--partner", partner)

    assert (code, err) == (0, "")
    assert out.startswith("1 payment of 1 partner; 0 under way, 0 resting for an operator\n")
    assert all(f" {invariant.name} " in out for invariant in Invariant)
    assert out.endswith("\nEverything that was checked is right.\n")


def test_programs_get_one_line_of_json(run: Run, day: Any) -> None:
    partner, _, ledger = day

    with showing(ledger) as url:
        code, out, err = run("--partner", partner, "--json", BANK_CONTROL_URL=url)

    (line,) = out.splitlines()
    told = json.loads(line)
    assert (code, err, told["right"], told["payments"]) == (0, "", True, 1)
    assert {each["invariant"]: each["checked"] for each in told["invariants"]} == {
        "I1": 1, "I2": 0, "I3": 3, "I4": 0, "I5": 1, "I6": 3, "I7": 3, "I9": 2,
    }  # fmt: skip


def test_what_is_wrong_is_told_and_exits_with_one(run: Run, day: Any) -> None:
    partner, payment, ledger = day
    ledger["captures"].clear()

    with showing(ledger) as url:
        code, out, err = run("--ledger", url, "--partner", partner)

    assert (code, err) == (1, "")
    assert f"I5 STATES_DIFFER  {payment} of {partner}\n" in out
    assert "   ours  CAPTURED: hold captured, 1 capture\n   bank  hold captured, nothing done with it\n" in out


def test_without_a_ledger_all_partners_own_books_are_checked_and_the_rest_is_said(run: Run, day: Any) -> None:
    code, out, _ = run()

    assert code == 0
    assert "Not seen   I1, I5: no ledger was given, so nothing was compared with the bank.\n" in out


def test_a_bank_of_our_own_has_no_keys_that_we_dont_have(run: Run, day: Any) -> None:
    """Two partners' payments are read here, and the ledger has one more key than they have."""
    _, _, ledger = day
    with showing(
        {**ledger, "authorizations": [{**ledger["authorizations"][0], "idempotency_key": "att_x"}], "captures": []}
    ) as url:
        alone = json.loads(run("--ledger", url, "--json")[1])
        shared = json.loads(run("--ledger", url, "--json", "--shared-bank")[1])

    assert "UNKNOWN_KEY" in {each["kind"] for each in alone["violations"]}
    assert "UNKNOWN_KEY" not in {each["kind"] for each in shared["violations"]}


def test_what_was_acknowledged_is_read_from_a_file(run: Run, day: Any, tmp_path: Path) -> None:
    partner, payment, _ = day
    file = tmp_path / "acknowledged"
    file.write_text(f"# told to clients\n\n{payment}\n{payment} AUTHORIZED\n{payment}\tCAPTURED  # later\n")
    good = run("--partner", partner, "--acknowledged", str(file), "--json")
    file.write_text(f"{payment} REFUNDED\n{encode_id(IdKind.PAYMENT, UUID(int=7))}\n")
    bad = run("--partner", partner, "--acknowledged", str(file), "--json")

    assert (good[0], bad[0]) == (0, 1)
    assert {each["kind"] for each in json.loads(bad[1])["violations"]} == {"GONE_BACK", "LOST_PAYMENT"}


@pytest.mark.parametrize("line", ["pay_x", "order-1", "{payment} PAID", "{payment} CAPTURED VOIDED", "{partner}"])
def test_a_line_that_is_no_acknowledgement_is_refused(run: Run, day: Any, tmp_path: Path, line: str) -> None:
    partner, payment, _ = day
    file = tmp_path / "acknowledged"
    file.write_text("# first\n" + line.format(payment=payment, partner=partner))

    code, out, err = run("--acknowledged", str(file))

    assert (code, out) == (2, "")
    assert "line 2 is not a payment's id, pay_…, alone or with one state behind it" in err


def test_a_file_that_is_no_text_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "acknowledged"
    file.write_bytes(b"\xff\xfe")

    code, out, err = run("--acknowledged", str(file))

    assert (code, out) == (2, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "variables", "why"),
    [
        (("--ledger", "http://127.0.0.1:1"), {}, "The bank's ledger can't be read: the bank's control address does not answer"),
        (("--ledger", "127.0.0.1:8788"), {}, "it has to be a URL such as http://127.0.0.1:8788"),
        (("--partner", "ptn_x"), {}, "it is not a partner's id, ptn_…"),
        (("--partner", encode_id(IdKind.PARTNER, UUID(int=7))), {}, "There is no partner with this id"),
        (("--acknowledged", "nowhere"), {}, "'nowhere' does not exist"),
        (("--wait-s", "-1"), {}, "-1.0 is not in the range"),
        ((), {"OWNER_DATABASE_URL": "postgresql://owner:hidden@127.0.0.1:1/x"}, "The database can't be reached"),
        (("--wait-s", "0.1"), {"OWNER_DATABASE_URL": "postgresql://owner:hidden@127.0.0.1:1/x"}, "The database can't be reached"),
    ],
)
def test_what_could_not_be_checked_exits_with_two(
    run: Run, arguments: tuple[str, ...], variables: dict[str, str], why: str
) -> None:
    code, out, err = run(*arguments, **variables)

    assert (code, out) == (2, "")
    assert why in err
    assert "hidden" not in err
    assert "Traceback" not in err


def test_what_is_not_a_ledger_exits_with_two(run: Run) -> None:
    with showing({"voids": []}) as url:
        code, _, err = run("--ledger", url)

    assert code == 2
    assert "is not a ledger: it has no list of authorizations" in err


def test_a_database_of_another_version_exits_with_two(run: Run, postgres_url: str) -> None:
    code, _, err = run("--wait-s", "60", OWNER_DATABASE_URL=postgres_url)

    assert code == 2
    assert "Run `partner-api migrate`." in err


def test_nothing_is_waited_for_when_nothing_is_open(run: Run, day: Any) -> None:
    code, out, _ = run("--partner", day[0], "--wait-s", "3600", "--json")

    assert (code, json.loads(out)["underWay"]) == (0, 0)


def test_the_bound_is_the_rules_own_unless_another_is_given() -> None:
    assert command.OPEN_BOUND_S == violation.OPEN_BOUND_S


@pytest.fixture
async def waiting(till: Till) -> str:
    """A partner with a payment that has been open since the world of the tests began, months ago."""
    await till.payment_in(S.PENDING)
    return encode_id(IdKind.PARTNER, till.tenant)


def test_an_attempt_may_be_open_as_long_as_is_said(run: Run, waiting: str) -> None:
    usual = run("--partner", waiting, "--json")
    patient = run("--partner", waiting, "--json", "--bound-s", "1e9")

    assert [each["kind"] for each in json.loads(usual[1])["violations"]] == ["OPEN_TOO_LONG"]
    assert (patient[0], json.loads(patient[1])["underWay"]) == (0, 1)
