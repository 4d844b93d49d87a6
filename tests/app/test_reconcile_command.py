"""`partner-api reconcile`: the report on a terminal and for programs, and how it exits."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from uuid import UUID

import httpx
import pytest
from rich.console import Console

from app.cli.reconcile import FLAGGED, IN_ORDER, UNFINISHED, exit_code_of
from app.reconciliation_report import show
from app.reconciling import Outcome, PartnerReport
from bank.mock import Bank
from bank.mock.serve import server_for
from domain.discrepancy import Discrepancy, DiscrepancyKind, Remedy
from domain.ids import IdKind, decode_id_of, encode_id
from domain.partner import Partner
from domain.reconciliation import Counts, Phase, ReportLine, Run, Trigger
from gateway.gateway import Gateway
from tests.app import command_line

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def bank_at_a_port(bank: Bank, environment: pytest.MonkeyPatch) -> Iterator[None]:
    """This test's bank on a socket, for a command that makes its own connections."""
    server = server_for(bank.app, "127.0.0.1", 0)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        assert thread.is_alive()
    environment.setenv("PARTNER_API_BANK_URL", f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
    yield
    server.should_exit = True
    thread.join()


@pytest.fixture
async def planted(gateway: Gateway, tenant: UUID, wish: Any, control: httpx.AsyncClient, line: Any) -> dict[str, str]:
    """A payment that agrees, one whose hold has run out, and one whose hold somebody else has used."""
    payments = [(await gateway.authorize(tenant, wish(amount=100))).payment for _ in range(3)]
    expired, used = payments[1].bank.authorization, payments[2].bank.authorization
    await control.post(f"/authorizations/{expired}/expire")
    body = {"authorization_id": used}
    request = httpx.Request("POST", "http://bank/api/v1/voids", json=body, headers={"Idempotency-Key": "another's"})
    assert (await line.inner.handle_async_request(request)).status_code == 200
    names = ("agrees", "expired", "used")
    return {name: encode_id(IdKind.PAYMENT, each.id) for name, each in zip(names, payments, strict=True)}


@pytest.fixture
def partner(tenant: UUID) -> str:
    return encode_id(IdKind.PARTNER, tenant)


@pytest.mark.usefixtures("bank_at_a_port")
def test_the_report_has_each_discrepancy_and_the_exit_says_that_somebody_has_to_look(
    run: command_line.Run, planted: dict[str, str], partner: str
) -> None:
    code, out, err = run("reconcile", "--partner", partner)

    lines = out.splitlines()  # of the holds: the operations are of another day than this command's
    assert code == FLAGGED
    assert "Traceback" not in err
    assert lines[0] == f"FicMart {partner}"
    assert lines[1].endswith("3 checked: 1 agree, 1 repaired, 1 flagged, 0 unanswered")
    (expired,) = [each for each in lines if planted["expired"] in each]
    (used,) = [each for each in lines if planted["used"] in each]
    assert "HOLD_EXPIRED" in expired and "REPAIRED" in expired and "the hold has run out, unused" in expired
    assert "HOLD_USED_ELSEWHERE" in used and "FLAGGED" in used
    assert planted["agrees"] not in out


@pytest.mark.usefixtures("bank_at_a_port")
def test_programs_get_a_line_of_json_and_the_last_report_is_read_without_the_bank(
    run: command_line.Run, planted: dict[str, str], partner: str, environment: pytest.MonkeyPatch
) -> None:
    code, out, _ = run("reconcile", "--partner", partner, "--json")
    environment.setenv("PARTNER_API_BANK_URL", "http://127.0.0.1:1")
    code_of_last, out_of_last, _ = run("reconcile", "--partner", partner, "--json", "--last")

    report = json.loads(out)
    assert (code, code_of_last) == (FLAGGED, FLAGGED)
    assert json.loads(out_of_last) == report
    assert {name: report[name] for name in ("partner", "name", "outcome")} == {
        "partner": partner,
        "name": "FicMart",
        "outcome": "FINISHED",
    }
    assert decode_id_of(IdKind.RECONCILIATION, report["run"]["id"])
    assert report["run"]["counts"] == {"checked": 3, "agreed": 1, "repaired": 1, "flagged": 1, "unanswered": 0}
    assert [(each["kind"], each["done"], each["payment"]) for each in report["discrepancies"]] == sorted(
        [
            ("HOLD_EXPIRED", "REPAIRED", planted["expired"]),
            ("HOLD_USED_ELSEWHERE", "FLAGGED", planted["used"]),
        ],
        key=lambda each: each[2],
    )


@pytest.mark.usefixtures("bank_at_a_port")
def test_without_a_partner_it_is_all_of_them(run: command_line.Run, partner: str, other_tenant: UUID) -> None:
    _, out, _ = run("reconcile", "--json")

    partners = [json.loads(each)["partner"] for each in out.splitlines()]
    assert {partner, encode_id(IdKind.PARTNER, other_tenant)} <= set(partners)
    assert len(partners) == len(set(partners))


@pytest.mark.usefixtures("planted")
def test_with_the_bank_away_it_is_not_finished_and_says_so(run: command_line.Run, partner: str) -> None:
    code, out, _ = run("reconcile", "--partner", partner)

    assert code == UNFINISHED
    assert "Not finished: the bank is away or busy." in out


def test_without_a_report_the_last_one_is_none(run: command_line.Run, partner: str) -> None:
    code, out, _ = run("reconcile", "--partner", partner, "--last")

    assert code == UNFINISHED
    assert "Never reconciled." in out


@pytest.mark.parametrize("which", ["ptn_x", "ptn_00000000000000000000000005", "pay_00000000000000000000000005"])
def test_a_partner_that_there_is_not_is_said_in_a_sentence(run: command_line.Run, which: str) -> None:
    code, out, err = run("reconcile", "--partner", which)

    assert (code, out) == (UNFINISHED, "")
    assert "There is no partner with this id" in err
    assert "Traceback" not in err


def test_a_database_that_is_away_is_no_report(run: command_line.Run, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PARTNER_API_WORKER_DATABASE_URL", "postgresql://worker:hidden@127.0.0.1:1/x")

    code, out, err = run("reconcile")

    assert (code, out) == (UNFINISHED, "")
    assert err.startswith("Error: The database can't be reached")
    assert "hidden" not in err


# --- How it looks -----------------------------------------------------------------------------------------------------

RUN = Run(
    id=UUID(int=1),
    trigger=Trigger.SCHEDULE,
    started_at=NOW,
    since=NOW,
    lease_until=NOW,
    lease_token=UUID(int=2),
    phase=Phase.DONE,
    finished_at=NOW,
)
LINE = ReportLine(
    RUN.id,
    UUID(int=7),
    Discrepancy(DiscrepancyKind.OTHER_CAPTURE, "CAPTURED, capture cap_1", "capture cap_2"),
    Remedy.FLAGGED,
    NOW,
)


def report(counts: Counts = Counts(), lines: int = 0, outcome: Outcome = Outcome.FINISHED) -> PartnerReport:  # noqa: B008
    return PartnerReport(Partner(UUID(int=3), "FicMart", NOW), outcome, replace(RUN, counts=counts), [LINE] * lines)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (report(Counts(agreed=5)), IN_ORDER),
        (report(Counts(agreed=5, repaired=2)), IN_ORDER),
        (report(Counts(agreed=5, flagged=1)), FLAGGED),
        (report(Counts(agreed=5, unanswered=1)), UNFINISHED),
        (report(Counts(flagged=1, unanswered=1)), UNFINISHED),
        (report(Counts(flagged=1), outcome=Outcome.INTERRUPTED), UNFINISHED),
        (PartnerReport(Partner(UUID(int=3), "x", NOW), Outcome.ELSEWHERE, None, []), UNFINISHED),
        (PartnerReport(Partner(UUID(int=3), "x", NOW), Outcome.NEVER, None, []), UNFINISHED),
    ],
)
def test_how_it_exits(given: PartnerReport, code: int) -> None:
    assert exit_code_of(given) == code


def shown(given: PartnerReport, width: int = 120) -> str:
    output = StringIO()
    show(given, Console(file=output, width=width, force_terminal=True, color_system=None))
    return output.getvalue()


def test_a_terminal_shows_counts_and_a_table() -> None:
    lines = shown(report(Counts(agreed=1_200, flagged=1), lines=1)).splitlines()

    assert lines[1] == "2026-06-01 12:00:00 UTC  1,201 checked: 1,200 agree, 0 repaired, 1 flagged, 0 unanswered"
    assert [cell.strip() for cell in lines[3].strip("┃").split("┃")] == ["discrepancy", "payment", "ours", "the bank's", "done"]
    assert [cell.strip() for cell in lines[5].strip("│").split("│")] == [
        "OTHER_CAPTURE",
        encode_id(IdKind.PAYMENT, LINE.payment_id),
        "CAPTURED, capture cap_1",
        "capture cap_2",
        "FLAGGED",
    ]


def test_what_is_too_much_to_show_is_counted() -> None:
    assert "… and 7 more." in shown(report(Counts(repaired=4, flagged=5), lines=2))
    assert "more." not in shown(report(Counts(repaired=1, flagged=1), lines=2))


@pytest.mark.parametrize("evil", ["\x1b[2J", "\a", "[bold red]", "a\nb", "\u202e"])
def test_what_the_bank_says_can_not_move_the_cursor_or_write_markup(evil: str) -> None:
    found = Discrepancy(DiscrepancyKind.OTHER_CAPTURE, "CAPTURED", f"capture {evil}")
    given = replace(report(Counts(flagged=1)), lines=[replace(LINE, discrepancy=found)])

    output = shown(given, 200)

    if evil.startswith("["):
        assert evil in output
    else:
        assert evil not in output
