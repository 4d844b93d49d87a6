"""A bank, assembled."""

from dataclasses import dataclass
from random import Random

from starlette.types import ASGIApp

from bank.mock.app import BankApp
from bank.mock.books import Books, real_clock, real_sleep
from bank.mock.chaos import Sleep
from bank.mock.control import control_app
from bank.mock.settings import BankSettings
from bank.mock.timestamps import Clock


@dataclass(frozen=True, slots=True)
class Bank:
    """Two ASGI apps over the same books: `app` is the contract's, `control` is ours and has a port of its own."""

    app: ASGIApp
    control: ASGIApp
    books: Books

    def close(self) -> None:
        """Let go of the state's file."""
        self.books.close()


def create_bank(
    settings: BankSettings,
    *,
    clock: Clock = real_clock,
    random: Random | None = None,
    sleep: Sleep = real_sleep,
) -> Bank:
    """Make a bank; raises `BankStateError` when its state can't be opened.

    `clock` answers nanoseconds since 1970. `random` decides latency, failures and ids; without one it comes from
    the settings' seed. `sleep` takes seconds, and must give others a turn: the races of §5 and §7.1 depend on it.
    """
    books = Books(settings, clock, random, sleep)
    return Bank(BankApp(books), control_app(books), books)
