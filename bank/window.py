"""Counts over the last seconds, in bounded memory: one pair of numbers for each second, however many calls it had."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class _Second:
    number: int  # since 1970
    one: int = 0
    other: int = 0


class SlidingWindow:
    """Two counts over this second and those before it, `length_s` seconds together."""

    def __init__(self, length_s: int) -> None:
        self._length_s = length_s
        self._seconds: deque[_Second] = deque()

    def add(self, now: datetime, *, one: int = 0, other: int = 0) -> None:
        """Count something at `now`."""
        second = self._second(now)
        second.one += one
        second.other += other

    def totals(self, now: datetime) -> tuple[int, int]:
        """Both counts as of `now`."""
        self._second(now)
        return sum(each.one for each in self._seconds), sum(each.other for each in self._seconds)

    def clear(self) -> None:
        """Forget everything."""
        self._seconds.clear()

    def _second(self, now: datetime) -> _Second:
        number = int(now.timestamp())
        if self._seconds and self._seconds[-1].number - number >= self._length_s:
            self._seconds.clear()  # the clock was set back: what was counted in its future would stay for ever
        if not self._seconds or self._seconds[-1].number < number:
            self._seconds.append(_Second(number))
        while self._seconds[0].number <= number - self._length_s:
            self._seconds.popleft()
        return self._seconds[-1]
