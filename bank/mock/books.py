"""Everything that a running bank has: its state and journal, its dials, and the injected clock, chance and sleep."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from random import Random, SystemRandom

from bank.mock.accounts import contract_accounts
from bank.mock.chaos import Faults, Sleep, Weather
from bank.mock.errors import BankStateError
from bank.mock.idempotency import StoredAnswers
from bank.mock.journal import Journal, MemoryJournal, SqliteJournal
from bank.mock.ledger import Ledger
from bank.mock.records import State
from bank.mock.settings import MEMORY, BankSettings
from bank.mock.timestamps import Clock


class Books:
    """Shared by the bank's app and its control app, and by nothing else."""

    ledger: Ledger
    answers: StoredAnswers
    random: Random

    def __init__(self, settings: BankSettings, clock: Clock, random: Random | None, sleep: Sleep) -> None:
        self.settings = settings
        self.clock = clock
        self.sleep = sleep
        self.weather = Weather.of(settings)
        self.faults = Faults()
        self._given_random = random
        self._journal: Journal = MemoryJournal() if settings.state == MEMORY else SqliteJournal(Path(settings.state))
        state = self._fresh_state()
        try:
            self._journal.load(state)
        except (KeyError, ValueError) as error:
            raise BankStateError("BANK_STATE is not a bank's state: its rows don't fit together.") from error
        self._open(state)

    def reset(self) -> None:
        """As on the first day: full accounts, no effects, no keys, the weather of the settings, no faults."""
        self._journal.wipe()
        self.weather = Weather.of(self.settings)
        self.faults.clear()
        self._open(self._fresh_state())

    def close(self) -> None:
        """Let go of the state's file."""
        self._journal.close()

    def _fresh_state(self) -> State:
        # Copies: accounts change, settings don't, and two banks may be made of one settings.
        return State([*contract_accounts(), *(replace(account) for account in self.settings.accounts)])

    def _open(self, state: State) -> None:
        self.random = self._given_random or self._new_random()
        self.ledger = Ledger(state, self._journal, self.random, self.settings.auth_expiry_hours)
        self.answers = StoredAnswers(state.answers, self._journal)

    def _new_random(self) -> Random:
        # The generation, because a second life with the same seed would make the first life's ids again.
        generation = self._journal.next_generation()
        seed = self.settings.seed
        return Random(SystemRandom().getrandbits(128) if seed is None else f"{seed}:{generation}")  # noqa: S311


def real_clock() -> int:
    """Nanoseconds since 1970."""
    return time.time_ns()


async def real_sleep(seconds: float) -> None:
    """`asyncio.sleep`, which lets others run even for zero seconds."""
    await asyncio.sleep(seconds)
