"""The rules of the checker: what must hold of our books, and between them and the bank's, whatever has failed meanwhile.

Each rule is a function of one payment's history. It counts what it looked at and tells what it found, and it never raises: a row
that ought not to exist is a violation, not an error. `app.verification` asks all of them about everything there is.
"""

from collections.abc import Callable, Collection, Mapping

from domain.bank_books import bank_agrees, one_effect_each
from domain.ids import IdKind, decode_id_of
from domain.ledger import Ledger, LedgerIndex
from domain.own_books import (
    acknowledged_stays,
    cards_are_forgotten,
    changes_are_told_once,
    events_follow_the_table,
    nothing_stays_open,
)
from domain.records import History
from domain.violation import Breach, Checked, Circumstances, Invariant, Violation

OUR_KEYS = f"{IdKind.ATTEMPT.value}_"  # what the idempotency keys of this gateway begin with, in every installation

RULES: Mapping[Invariant, Callable[[History, Circumstances], Checked]] = {
    Invariant.I1: one_effect_each,
    Invariant.I2: acknowledged_stays,
    Invariant.I3: events_follow_the_table,
    Invariant.I4: nothing_stays_open,
    Invariant.I5: bank_agrees,
    Invariant.I6: changes_are_told_once,
    Invariant.I9: cards_are_forgotten,
}  # beside these: `numbers_are_gapless` of a partner (I7), `missing_acknowledged` (I2) and `unknown_keys` (I1) of everything

AGAINST_THE_BANK = frozenset({Invariant.I1, Invariant.I5})  # the rules that need a ledger


def judge(history: History, given: Circumstances) -> dict[Invariant, Checked]:
    """What every rule says about one payment."""
    return {invariant: rule(history, given) for invariant, rule in RULES.items()}


def unknown_keys(ledger: LedgerIndex, claimed: Collection[str]) -> Checked:
    """I1: whatever the bank did under a key of ours, some attempt asked for. `claimed`: the bank keys of all attempts."""
    ours = {key for key in ledger.keys if key.startswith(OUR_KEYS)}
    found = []
    for key in sorted(ours.difference(claimed)):
        told = ", ".join(f"{type(effect).__name__.lower()} {effect.id}" for effect in ledger.effects_under(key))
        what = "no attempt has it" if decode_id_of(IdKind.ATTEMPT, key) else "it is not an attempt's id at all"
        found.append(Violation(Breach.UNKNOWN_KEY, None, None, f"{key}: {what}", told))
    return Checked(0, tuple(found))


def unreadable_entries(ledger: Ledger) -> Checked:
    """I1: what can't be understood may be a second effect."""
    return Checked(0, tuple(Violation(Breach.UNREADABLE_ENTRY, None, None, "-", told) for told in ledger.unreadable))
