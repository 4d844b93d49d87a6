"""A bank that keeps the bank's contract to the letter, quirks and traps included.

It is a bank from outside: it imports none of our packages, keeps its own state, and shares nothing with the
gateway but HTTP. `create_bank` makes one for tests, `serve` runs one for people.
"""

from bank.mock.bank import Bank, create_bank
from bank.mock.errors import AnswerDropped, BankStateError
from bank.mock.settings import BankSettings, BankSettingsError
from bank.mock.virtual_time import VirtualTime

__all__ = [
    "AnswerDropped",
    "Bank",
    "BankSettings",
    "BankSettingsError",
    "BankStateError",
    "VirtualTime",
    "create_bank",
]
