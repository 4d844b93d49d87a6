"""The bank's configuration: the contract's variables (§6) and five of our own.

PORT 8787 · FAILURE_RATE 0.05 · MIN_LATENCY_MS 100 · MAX_LATENCY_MS 2000 · AUTH_EXPIRY_HOURS 168
BANK_SEED          makes latency, failures and ids repeatable; unset, they are not
BANK_STATE         path of the state file, or `memory`, which forgets at exit
BANK_ACCOUNTS      further cards, see bank.mock.accounts
BANK_ISSUING       `off` takes the extension of bank.mock.issuing away
BANK_CONTROL_PORT  the control app's port; unset, there is no control app
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bank.mock.accounts import Account, further_accounts

MEMORY: Final = "memory"
_MAX_PORT: Final = 65_535
# A hundred years: far above any real hold, far below where dates stop being dates.
_MAX_EXPIRY_HOURS: Final = 876_000


class BankSettingsError(ValueError):
    """The bank refuses to start; the message is one sentence for the person who starts it."""


@dataclass(frozen=True, slots=True)
class BankSettings:
    """Everything a bank is told before it starts; times in the unit that their name ends with."""

    port: int = 8787
    failure_rate: float = 0.05
    min_latency_ms: int = 100
    max_latency_ms: int = 2000
    auth_expiry_hours: int = 168
    seed: int | None = None
    state: str = ".data/bank.sqlite3"
    accounts: tuple[Account, ...] = field(default=(), repr=False)
    control_port: int | None = None
    # Past this the answer is dropped, though the work is done (§6, §7.6). No variable: it is the bank's own.
    write_timeout_s: float = 15.0
    # Between the commit and the storing of the key (§7.1); 0 is still a point where others run.
    commit_to_key_delay_ms: float = 0.0
    issuing: bool = True

    def __post_init__(self) -> None:
        """Refuse what the contract refuses (§6), whichever way the settings were made."""
        if not 0 <= self.failure_rate <= 1:
            raise BankSettingsError(f"FAILURE_RATE must be between 0 and 1, but it is {self.failure_rate}.")
        if self.min_latency_ms < 0:
            raise BankSettingsError(f"MIN_LATENCY_MS must not be negative, but it is {self.min_latency_ms}.")
        if self.max_latency_ms < self.min_latency_ms:
            raise BankSettingsError(
                f"MAX_LATENCY_MS must not be below MIN_LATENCY_MS, but {self.max_latency_ms} is below {self.min_latency_ms}."
            )
        if not 0 <= self.auth_expiry_hours <= _MAX_EXPIRY_HOURS:
            raise BankSettingsError(
                f"AUTH_EXPIRY_HOURS must be between 0 and {_MAX_EXPIRY_HOURS}, but it is {self.auth_expiry_hours}."
            )
        for name, port in (("PORT", self.port), ("BANK_CONTROL_PORT", self.control_port)):
            if port is not None and not 0 <= port <= _MAX_PORT:
                raise BankSettingsError(f"{name} must be between 0 and {_MAX_PORT}, but it is {port}.")
        if self.control_port and self.control_port == self.port:
            raise BankSettingsError("BANK_CONTROL_PORT must not be PORT: control stays off the bank's address.")

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "BankSettings":
        """Settings out of variables; a blank one counts as unset. Raises `BankSettingsError`."""
        given = {name: value.strip() for name, value in env.items() if value.strip()}
        defaults = cls()
        try:
            accounts = tuple(further_accounts(given.get("BANK_ACCOUNTS", "[]")))
        except ValueError as error:
            raise BankSettingsError(f"BANK_ACCOUNTS cannot be used: {error}.") from error
        return cls(
            port=_whole(given, "PORT", defaults.port),
            failure_rate=_fraction(given, "FAILURE_RATE", defaults.failure_rate),
            min_latency_ms=_whole(given, "MIN_LATENCY_MS", defaults.min_latency_ms),
            max_latency_ms=_whole(given, "MAX_LATENCY_MS", defaults.max_latency_ms),
            auth_expiry_hours=_whole(given, "AUTH_EXPIRY_HOURS", defaults.auth_expiry_hours),
            seed=_whole(given, "BANK_SEED", 0) if "BANK_SEED" in given else None,
            state=given.get("BANK_STATE", defaults.state),
            accounts=accounts,
            issuing=_switch(given, "BANK_ISSUING", defaults.issuing),
            control_port=_whole(given, "BANK_CONTROL_PORT", 0) if "BANK_CONTROL_PORT" in given else None,
        )


def _whole(given: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(given[name]) if name in given else default
    except ValueError as error:
        raise BankSettingsError(f"{name} must be a whole number, but it is {given[name]!r}.") from error


def _switch(given: Mapping[str, str], name: str, default: bool) -> bool:
    value = given.get(name, "on" if default else "off")
    if value not in ("on", "off"):
        raise BankSettingsError(f"{name} must be on or off, but it is {value!r}.")
    return value == "on"


def _fraction(given: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(given[name]) if name in given else default
    except ValueError as error:
        raise BankSettingsError(f"{name} must be a number, but it is {given[name]!r}.") from error
