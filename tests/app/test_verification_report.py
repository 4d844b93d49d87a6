"""What the checker tells: every invariant, each violation readably, and what it has not seen."""

import json
from collections import Counter
from uuid import UUID

import pytest

from app.verification import Verification
from app.verification_report import MAX_CHARACTERS, MAX_SHOWN, json_of, show
from domain.payment import ReviewReason
from domain.violation import Breach, Invariant, Violation

TENANT, PAYMENT = UUID(int=1), UUID(int=2)


def verification(*violations: Violation, **changes: object) -> Verification:
    found = Verification(has_ledger=True, bank_is_ours=True, has_acknowledged=True, partners=1, payments=1234)
    found.violations = list(violations)
    found.broken = Counter(each.breach.invariant for each in violations)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def shown(found: Verification, capsys: pytest.CaptureFixture[str]) -> str:
    show(found, as_json=False)
    return capsys.readouterr().out


def test_people_are_told_of_every_invariant_and_of_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [line.split("│") for line in shown(verification(checked=Counter({Invariant.I7: 5678})), capsys).splitlines()]

    named = [cells[1].strip() for cells in rows if len(cells) == 6 and cells[1].strip()]
    assert named == [invariant.name for invariant in Invariant]
    words = " ".join(" ".join(cells[2].split()) for cells in rows if len(cells) == 6)
    assert all(invariant.sentence in " ".join(words.split()) for invariant in Invariant)
    assert any("5,678 numbers" in cells[3] for cells in rows if len(cells) == 6)


def test_programs_are_told_the_same() -> None:
    told = json_of(verification(checked=Counter({Invariant.I7: 5678})))

    assert [each["invariant"] for each in told["invariants"]] == [invariant.name for invariant in Invariant]
    assert [each["checked"] for each in told["invariants"] if each["invariant"] == "I7"] == [5678]
    assert told["right"]
    assert told["payments"] == 1234


def test_a_violation_names_the_payment_and_what_each_side_says(capsys: pytest.CaptureFixture[str]) -> None:
    found = verification(Violation(Breach.MISSING_HOLD, TENANT, PAYMENT, "auth_1", "no such hold"))

    text, told = shown(found, capsys), json_of(found)

    assert "I1 MISSING_HOLD  pay_00000000000000000000000002 of ptn_00000000000000000000000001\n" in text
    assert "   the bank has no such hold\n   ours  auth_1\n   bank  no such hold\n" in text
    assert text.endswith("\n1 violation.\n")
    assert told["violations"] == [
        {
            "invariant": "I1",
            "kind": "MISSING_HOLD",
            "sentence": "the bank has no such hold",
            "partner": "ptn_00000000000000000000000001",
            "payment": "pay_00000000000000000000000002",
            "ours": "auth_1",
            "bank": "no such hold",
        }
    ]
    assert not told["right"]


def test_a_violation_of_no_payment_names_none(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(verification(Violation(Breach.GAP, TENANT, None, "#4")), capsys)

    assert "I7 GAP  ptn_00000000000000000000000001\n" in text
    assert "bank" not in text.partition("I7 GAP")[2]


def test_the_first_violations_are_shown_and_all_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    many = [Violation(Breach.GAP, TENANT, None, f"#{number}") for number in range(MAX_SHOWN + 7)]

    text = shown(verification(*many), capsys)

    assert text.count("I7 GAP") == MAX_SHOWN
    assert "… and 7 more. --json has the first 57." in text
    assert "57 violations." in text


def test_nothing_that_the_bank_says_moves_a_cursor_or_fills_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    nasty = "\x1b[2Jatt_x\r\n[bold]" + "x" * 1000

    text = shown(verification(Violation(Breach.UNKNOWN_KEY, None, None, nasty, nasty)), capsys)

    assert "\x1b" not in text
    assert "\r" not in text
    assert "?[2Jatt_x??[bold]xxx" in text
    assert max(len(line) for line in text.splitlines()) < MAX_CHARACTERS + 20


def test_flags_and_strangers_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(verification(flags=Counter({ReviewReason.POSSIBLE_ORPHAN_HOLD: 3}), strangers=1), capsys)

    assert "Flags      POSSIBLE_ORPHAN_HOLD: 3\n" in text
    assert "Strangers  1 effect at the bank under keys that are not of this gateway's kind\n" in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"has_ledger": False}, "I1, I5: no ledger was given"),
        ({"bank_is_ours": False, "unclaimed": 7}, "another partner's or another installation's: 7."),
        ({"moving": 2}, "I1, I5: payments that changed each time they were looked at: 2."),
        ({"disputed": 3}, "I5: payments with the flag BANK_DISAGREES, which an operator has to compare: 3."),
        ({"has_acknowledged": False}, "I2: nobody said what was acknowledged."),
        ({}, "I8 (partners kept apart)"),
    ],
)
def test_what_was_not_seen_is_said(changes: dict[str, object], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = verification(**changes)

    assert sentence in shown(found, capsys)
    assert any(sentence in each for each in json.loads(json.dumps(json_of(found)))["notChecked"])
