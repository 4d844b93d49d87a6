"""When a webhook is tried again: ten times in three days, so that a receiver may be away for a weekend."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Seconds before each attempt: 5 s is for a restart, the minutes for a deployment, the hours for an outage, the days for a weekend.
PAUSES_S = (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
MAX_ATTEMPTS = len(PAUSES_S)
JITTER = 0.2  # a pause is up to a fifth longer: what failed together does not come back together
MAX_RETRY_AFTER_S = 24 * 3600  # the schedule's longest pause: a receiver can't put its deliveries off for ever


def pause_s(attempts: int, random: float, retry_after_s: float | None = None) -> float | None:
    """Seconds until the next attempt after `attempts` that failed, or None when there is none. `random` is uniform in [0, 1).

    What the receiver asked for by Retry-After is waited for as well, as far as MAX_RETRY_AFTER_S.
    """
    assert attempts >= 1 and 0 <= random < 1
    if attempts >= MAX_ATTEMPTS:
        return None
    pause = PAUSES_S[attempts] * (1 + JITTER * random)
    return max(pause, min(retry_after_s or 0.0, MAX_RETRY_AFTER_S))


def read_retry_after(text: str | None, now: datetime) -> float | None:
    """The seconds in a Retry-After header, which has them or a date (RFC 9110 §10.2.3). None for anything else."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(min(int(text[:12]), MAX_RETRY_AFTER_S))
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    if until.tzinfo is None:  # "-0000": of no zone in particular; HTTP's dates are of UTC
        until = until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)
