"""How long to wait before asking the bank again: capped exponential backoff with full jitter, so that a bank that comes back is
not met by everybody at once."""


def backoff_s(tries: int, *, base_s: float, cap_s: float, random: float) -> float:
    """Seconds to wait after `tries` tries (1 or more); `random` is uniform in [0, 1)."""
    assert tries >= 1 and 0 <= random < 1
    ceiling: float = min(cap_s, base_s * 2 ** min(tries - 1, 32))  # 2^32 is beyond any cap: no overflow, however many tries
    return ceiling * random
