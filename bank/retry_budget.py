"""A budget of retries, as Finagle has it: when the bank fails for everybody, retrying for everybody doubles its load.

Retries happen at one layer only (`gateway/driving.py`); whoever is refused one gives the attempt back for recovery.
"""

from datetime import datetime

from bank.window import SlidingWindow

WINDOW_S = 10  # as long as the breaker looks back: the two see the same bank
RETRIES_PER_FIRST_TRY = 0.5  # a bank that fails 5 % of the time needs 0.05, one that fails a third of the time 0.5
FREE_RETRIES_PER_S = 10  # so that a quiet system can retry at all; nothing for a bank that serves hundreds a second


class RetryBudget:
    """For one bank in one process. First tries pay in, retries take out, and what is ten seconds old is forgotten."""

    def __init__(self) -> None:
        self._window = SlidingWindow(WINDOW_S)

    def deposit(self, now: datetime) -> None:
        """Somebody asks the bank for the first time."""
        self._window.add(now, one=1)

    def withdraw(self, now: datetime) -> bool:
        """Whether somebody may ask again. True takes it out of the budget."""
        first_tries, retries = self._window.totals(now)
        if retries + 1 > FREE_RETRIES_PER_S * WINDOW_S + RETRIES_PER_FIRST_TRY * first_tries:
            return False
        self._window.add(now, other=1)
        return True
