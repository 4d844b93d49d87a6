"""Which browsers may use a key: those that show a page of an allowed origin. The list is the partner's own, or else the installation's.

It is looked at when the key is known, for only then the partner is. So a browser's preflight, which comes without a key, is answered
yes to every origin, and so is the header that lets a page read its answer: what a page of another origin can read is the refusal. That
is no loss: the key travels in a header that no browser adds by itself. The list keeps a key that has leaked from being used by other
pages.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from domain.partner import Partner

ANY = "*"
MAX_ORIGINS = 100  # of a partner; the database insists on it
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")  # RFC 6454 §6.1, as browsers write it: in lower case


def is_origin(text: str) -> bool:
    """Whether a list may have it: `https://shop.example`, without a path; or `*`."""
    return text == ANY or _ORIGIN.fullmatch(text) is not None


class Origins:
    """`usual` is the installation's list."""

    def __init__(self, usual: Sequence[str]) -> None:
        self._usual = frozenset(usual)

    def lets_in(self, partner: Partner, origin: str | None, host: str | None) -> bool:
        """Whether a page of this origin may use the partner's keys. No origin: no browser, or one that asks where the page is from."""
        allowed = self._usual if partner.allowed_origins is None else partner.allowed_origins
        return origin is None or ANY in allowed or origin in allowed or urlsplit(origin).netloc == host
