"""What partners may ask about users, checked: raw values come in, a request or all its problems come out.

People's names are written in every script, with joiners and direction marks that can't be printed by themselves; so they have a rule of
their own. No field takes what can be a card number: whoever pastes one by mistake must not find it in our tables.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.answer import InvalidInput
from domain.card import holds_card_number
from domain.ids import IdKind, decode_id_of
from domain.request import Path, Problems, normal_name

MAX_NAME_LENGTH = 255  # characters: the longest names that passports and forms know are far shorter
MAX_EMAIL_LENGTH = 254  # RFC 5321 §4.5.3.1.3: a path has 256, two of which are angle brackets
MAX_ENTRIES = 50  # of metadata: with the next two some 25 kB, so that a page of a hundred users stays below 3 MB
MAX_ENTRY_NAME_LENGTH = 40  # an identifier in somebody's program
MAX_ENTRY_LENGTH = 500  # an address or a remark; documents belong elsewhere

# `C…` that may not be in a text: controls and lone surrogates, which no database takes.
_UNFIT = frozenset({"Cc", "Cs"})
# Line and paragraph separators; and embeddings, overrides and isolates, which make a name read as another one (Unicode TR 36 §2.5).
_MISLEADING = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+")

_HOLDS_A_CARD = "It has something in it that can be a card number. Card numbers go to `addCard`, and nowhere else."


@dataclass(frozen=True, slots=True)
class CreateUser:
    """A checked wish for a user. What is personal is in no repr."""

    idempotency_key: str
    external_id: str
    name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    metadata: Mapping[str, str] = field(repr=False)

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {"external": self.external_id, "name": self.name, "email": self.email, "metadata": dict(self.metadata)}


@dataclass(frozen=True, slots=True)
class UpdateUser:
    """A checked wish to change a user: fields of `domain.user.User` with their new values.

    `user_id` is None when nobody can have that id.
    """

    idempotency_key: str
    user_id: UUID | None
    changes: Mapping[str, Any] = field(repr=False)

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request: to leave out is not to erase."""
        return {"user": str(self.user_id), "changes": dict(self.changes)}


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """A checked wish to deactivate, reactivate or erase a user. `user_id` is None when nobody can have that id."""

    idempotency_key: str
    user_id: UUID | None

    @property
    def content(self) -> dict[str, Any]:
        """What makes it the same request."""
        return {"user": str(self.user_id)}


def parse_create_user(
    idempotency_key: str, external_id: str, name: str | None, email: str | None, metadata: Mapping[str, object] | None
) -> CreateUser | InvalidInput:
    """The request, or each problem with its path. None: not given."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    external = problems.name(("input", "externalId"), external_id)
    personal = _parse_personal(problems, {"name": name, "email": email, "metadata": metadata or {}})
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return CreateUser(key, external, personal["name"], personal["email"], personal["metadata"])


def parse_update_user(idempotency_key: str, user_id: str, changes: Mapping[str, object]) -> UpdateUser | InvalidInput:
    """The request, or each problem with its path. `changes` has what was given of `name`, `email` and `metadata`; None erases."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    personal = _parse_personal(
        problems, {**changes, **({"metadata": changes["metadata"] or {}} if "metadata" in changes else {})}
    )
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return UpdateUser(key, decode_id_of(IdKind.USER, user_id), personal)


def parse_change_user(idempotency_key: str, user_id: str) -> ChangeUser | InvalidInput:
    """The request, or what is wrong with its key."""
    problems = Problems()
    key = problems.name(("input", "idempotencyKey"), idempotency_key)
    if problems.found:
        return InvalidInput(tuple(problems.found))
    return ChangeUser(key, decode_id_of(IdKind.USER, user_id))


def can_hold_card_number(text: str) -> bool:
    """Whether a text has something in it that can be a card number, in whatever digits: full-width and Arabic ones are digits, too."""
    plain = unicodedata.normalize("NFKC", text)
    return holds_card_number("".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in plain))


def _parse_personal(problems: Problems, given: Mapping[str, Any]) -> dict[str, Any]:
    parsers: Mapping[str, Callable[[Problems, Path, Any], Any]] = {
        "name": _parse_name,
        "email": _parse_email,
        "metadata": _parse_metadata,
    }
    return {
        name: parse(problems, ("input", name), given[name]) if given[name] is not None else None
        for name, parse in parsers.items()
        if name in given
    }


def _parse_name(problems: Problems, path: Path, raw: str) -> str:
    return _parse_text(problems, path, raw, MAX_NAME_LENGTH)


def _parse_email(problems: Problems, path: Path, raw: str) -> str:
    found = len(problems.found)
    email = _parse_text(problems, path, raw, MAX_EMAIL_LENGTH)
    if len(problems.found) == found and not _EMAIL.fullmatch(email):
        problems.add(path, "It does not look like an e-mail address, such as ada@example.com.")
    return email


def _parse_metadata(problems: Problems, path: Path, raw: Mapping[str, object]) -> dict[str, str]:
    if len(raw) > MAX_ENTRIES:
        problems.add(path, f"It has {len(raw)} entries; at most {MAX_ENTRIES} are allowed.")
        return {}
    metadata: dict[str, str] = {}
    for each, value in raw.items():
        if (why := _why_no_entry_name(each)) is not None:
            problems.add(path, why)
        elif not isinstance(value, str):
            problems.add((*path, each), "It is not a text. Values are texts: put numbers and the like between quotes.")
        elif (name := normal_name(each)) in metadata:
            problems.add((*path, each), "There is another entry with this name.")
        else:
            metadata[name] = _parse_text(problems, (*path, each), value, MAX_ENTRY_LENGTH, may_be_empty=True)
    return metadata


def _why_no_entry_name(name: str) -> str | None:
    """Without the name itself: messages and paths repeat nothing that may be a card number, or that can't be shown."""
    if not 0 < len(name) <= MAX_ENTRY_NAME_LENGTH or not name.isprintable() or name.isspace():
        return f"The name of an entry has 1 to {MAX_ENTRY_NAME_LENGTH} printable characters."
    return _HOLDS_A_CARD if can_hold_card_number(name) else None


def _parse_text(problems: Problems, path: Path, raw: str, longest: int, *, may_be_empty: bool = False) -> str:
    """A text in its one spelling."""
    text = normal_name(raw)
    if len(text) > longest:
        problems.add(path, f"It has {len(text):,} characters; at most {longest} are allowed.")
    elif any(unicodedata.category(each) in _UNFIT or each in _MISLEADING for each in text):
        problems.add(path, "It has a control character, or one that turns the direction of what follows; leave those out.")
    elif not may_be_empty and not any(each.isprintable() and not each.isspace() for each in text):
        problems.add(path, "It is blank; give at least one character that can be seen, or null for none.")
    elif can_hold_card_number(text):
        problems.add(path, _HOLDS_A_CARD)
    return text
