"""What goes wrong: the contract's random latency and failures (§1), and faults on demand.

The random part is the bank's own. The rest is there for tests and drills, can be reached through the control app
only, and is off until somebody turns it on.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from bank.mock.settings import BankSettings

Sleep = Callable[[float], Awaitable[None]]  # seconds

# §1: only what starts with these is spared from latency and failures.
SPARED: Final = ("/health", "/docs")
# A scenario scripts tens of faults; a queue this long is a loop that forgot to stop.
MAX_QUEUED_FAULTS: Final = 1_000
MAX_FAULT_COUNT: Final = 1_000_000
# Longer than any client of ours waits, short enough that a forgotten one doesn't hold its socket for ever.
DEFAULT_BOUND_S: Final = 60.0
MAX_BOUND_S: Final = 600.0
_DAY_HOURS: Final = 24


class FaultKind(StrEnum):
    """What can be scripted. `*_before_effect`, 429, 401 and the two database faults leave nothing done."""

    ERROR_BEFORE_EFFECT = "500_before_effect"
    HANG_BEFORE_EFFECT = "hang_before_effect"
    RESET_BEFORE_EFFECT = "reset_before_effect"
    TOO_MANY_REQUESTS = "429"
    UNAUTHORIZED = "401"
    DATABASE_ERROR = "database_error"
    MISLEADING_ERROR = "misleading_error"
    ERROR_AFTER_EFFECT = "500_after_effect"
    HANG_AFTER_EFFECT = "hang_after_effect"
    RESET_MID_BODY = "reset_mid_body"
    TRUNCATED_JSON = "truncated_json"
    OTHER_ID = "other_id"
    OTHER_AMOUNT = "other_amount"
    SLOW_DRIP = "slow_drip"
    HANG_UP_WINDOW = "hang_up_window"


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the queue: the next `count` POSTs to `path` (None: to any path) get `kind`."""

    kind: FaultKind
    path: str | None = None
    count: int = 1
    # 429 only: what Retry-After says.
    retry_after_s: int = 1
    # Kinds that wait: no answer until the client hangs up, or this long.
    bound_s: float = DEFAULT_BOUND_S
    # slow_drip only: the pause after each byte.
    drip_ms: float = 100.0
    # After-effect kinds: False loses the key too, so that a retry is a new operation.
    stores_key: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError for what makes no sense."""
        _check_types(self, {"path": str | None})
        if not 1 <= self.count <= MAX_FAULT_COUNT:
            raise ValueError(f"count must be between 1 and {MAX_FAULT_COUNT}")
        if not 0 <= self.bound_s <= MAX_BOUND_S:
            raise ValueError(f"bound_s must be between 0 and {MAX_BOUND_S:g}")
        if not 0 <= self.drip_ms <= MAX_BOUND_S * 1000:
            raise ValueError("drip_ms is out of range")
        if self.retry_after_s < 0:
            raise ValueError("retry_after_s must not be negative")

    @classmethod
    def from_json(cls, content: Any) -> "Fault":
        """A fault as the control app is sent it; raises ValueError with a sentence."""
        if not isinstance(content, dict) or "kind" not in content:
            raise ValueError("a fault is an object with a kind")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(content.keys() - known):
            raise ValueError(f"a fault has no {', '.join(unknown)}")
        try:
            kind = FaultKind(content["kind"])
        except ValueError:
            raise ValueError(f"kind must be one of {', '.join(FaultKind)}") from None
        return cls(**{**content, "kind": kind})


@dataclass(frozen=True, slots=True)
class Weather:
    """The dials. The first three are the contract's variables; the rest stay at rest until turned."""

    failure_rate: float
    min_latency_ms: int
    max_latency_ms: int
    # Between the commit and the storing of the key: the hang-up window, held open (§7.1).
    commit_to_key_delay_ms: float = 0.0
    # §7.3: POSTs 400 internal_error, GETs 404, /health 503.
    database_down: bool = False
    # §7.4: every locking read fails, and says "not found".
    misleading_errors: bool = False
    # §7.5: what a bank that does not run in UTC adds to every expires_at it shows.
    utc_offset_hours: int = 0
    # Every connection ends without an answer, /health too: the bank's machine is away.
    unreachable: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for what the contract refuses at the start too (§6)."""
        _check_types(self, {})
        if not 0 <= self.failure_rate <= 1:
            raise ValueError("failure_rate must be between 0 and 1")
        if not 0 <= self.min_latency_ms <= self.max_latency_ms:
            raise ValueError("latencies must not be negative, and max_latency_ms not below min_latency_ms")
        if not 0 <= self.commit_to_key_delay_ms <= MAX_BOUND_S * 1000:
            raise ValueError("commit_to_key_delay_ms is out of range")
        if not -_DAY_HOURS < self.utc_offset_hours < _DAY_HOURS:
            raise ValueError("utc_offset_hours must be within a day")

    @classmethod
    def of(cls, settings: BankSettings) -> "Weather":
        """The weather that a bank starts with."""
        return cls(
            settings.failure_rate,
            settings.min_latency_ms,
            settings.max_latency_ms,
            commit_to_key_delay_ms=settings.commit_to_key_delay_ms,
        )

    def changed(self, changes: dict[str, Any]) -> "Weather":
        """With some dials turned; raises ValueError with a sentence."""
        if unknown := sorted(changes.keys() - {field.name for field in fields(self)}):
            raise ValueError(f"the bank's chaos has no {', '.join(unknown)}")
        return replace(self, **changes)


class Faults:
    """The queue. The first entry that matches a POST's path serves it, and leaves when it has served them all."""

    def __init__(self) -> None:
        self._queue: list[Fault] = []

    def add(self, faults: list[Fault], *, clear: bool = False) -> None:
        """Append, to an emptied queue if `clear`; raises ValueError when the queue would pass its limit."""
        kept = [] if clear else self._queue
        if len(kept) + len(faults) > MAX_QUEUED_FAULTS:
            raise ValueError(f"at most {MAX_QUEUED_FAULTS} faults can be queued")
        self._queue = kept + faults

    def clear(self) -> None:
        """Forget what is left."""
        self._queue.clear()

    def next_for(self, path: str) -> Fault | None:
        """The fault that this POST gets, which uses it up once."""
        for place, fault in enumerate(self._queue):
            if fault.path is None or fault.path == path:
                if fault.count == 1:
                    del self._queue[place]
                else:
                    self._queue[place] = replace(fault, count=fault.count - 1)
                return fault
        return None

    def queued(self) -> list[Fault]:
        """What is left, first first."""
        return list(self._queue)


def _check_types(thing: Any, special: dict[str, Any]) -> None:
    """Booleans where booleans belong and numbers where numbers do: the dials are set from JSON."""
    for field in fields(thing):
        value = getattr(thing, field.name)
        expected = special.get(field.name, field.type)
        if expected is float:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        elif expected is int:
            fits = type(value) is int
        else:
            fits = isinstance(value, expected)
        if not fits:
            raise ValueError(f"{field.name} has the wrong type")
