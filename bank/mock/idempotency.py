"""The Idempotency-Key header and the answers kept under it (contract §5)."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from bank.mock.answers import Answer, Header
from bank.mock.journal import Journal
from bank.mock.records import StoredAnswer
from bank.mock.timestamps import HOUR_NANOS

KEPT_NS: Final = 24 * HOUR_NANOS
MAX_KEY_CHARACTERS: Final = 255
# Two for each one stored: the rows can't outgrow a day, and no request pays for a whole day's.
_FORGOTTEN_AT_ONCE: Final = 2


class Key(NamedTuple):
    """A key as it came: `shown` is fit for the ledger; `name` is fit for storing, or None (§5)."""

    shown: str
    name: str | None


def read_key(headers: Iterable[Header]) -> Key | None:
    """The key, or None where the bank answers 400: none, a blank one, or two (§4)."""
    values = [value.strip(b" \t") for name, value in headers if name == b"idempotency-key"]
    if len(values) != 1 or not values[0]:
        return None
    try:
        text = values[0].decode("utf-8")
    except UnicodeDecodeError:
        return Key(values[0].decode("utf-8", errors="backslashreplace"), None)
    return Key(text, text if len(text) <= MAX_KEY_CHARACTERS else None)


class StoredAnswers:
    """Rows by (key, path). Nothing locks them: calls in flight with one key don't see each other (§5)."""

    def __init__(self, answers: dict[tuple[str, str], StoredAnswer], journal: Journal) -> None:
        self._answers = answers
        self._journal = journal

    def find(self, key: Key | None, path: str, now_ns: int) -> StoredAnswer | None:
        """The answer of a first call with this key and path within 24 hours. Its body is not compared (§5)."""
        if key is None or key.name is None:
            return None
        stored = self._answers.get((key.name, path))
        return stored if stored is not None and now_ns - stored.stored_ns < KEPT_NS else None

    def store(self, key: Key, path: str, answer: Answer, now_ns: int) -> None:
        """Keep an answer, unless its key can't be kept or a racing call with the same key came first."""
        if key.name is None or self.find(key, path, now_ns) is not None:
            return
        stored = StoredAnswer(key.name, path, answer.body, answer.reference, now_ns)
        self._forget_old(now_ns)
        self._journal.answer_stored(stored)
        self._answers.pop((key.name, path), None)  # so that the order of the dict stays the order of time
        self._answers[key.name, path] = stored

    def _forget_old(self, now_ns: int) -> None:
        for _ in range(_FORGOTTEN_AT_ONCE):
            oldest = next(iter(self._answers.values()), None)
            if oldest is None or now_ns - oldest.stored_ns < KEPT_NS:
                return
            self._journal.answer_forgotten(oldest)
            del self._answers[oldest.key, oldest.path]
