"""What partners may ask about users: every script, and nothing that could be a card number."""

from typing import Any

import pytest

from domain.answer import InvalidInput
from domain.user_request import (
    MAX_EMAIL_LENGTH,
    MAX_ENTRIES,
    MAX_ENTRY_LENGTH,
    MAX_ENTRY_NAME_LENGTH,
    MAX_NAME_LENGTH,
    CreateUser,
    UpdateUser,
    parse_create_user,
    parse_update_user,
)

CARD = "4111111111111111"
TOO_LONG = "a" * MAX_EMAIL_LENGTH + "@b.c"


def create(**changes: Any) -> CreateUser | InvalidInput:
    """What comes of a wish; what is not said is usual."""
    usual = {"idempotency_key": "key-1", "external_id": "customer-1", "name": None, "email": None, "metadata": None}
    return parse_create_user(**{**usual, **changes})


def paths(answer: object) -> list[tuple[str, ...]]:
    """Where the problems are."""
    assert isinstance(answer, InvalidInput), answer
    return [each.path for each in answer.problems]


@pytest.mark.parametrize(
    "name",
    [
        "Ada Byron",
        "李小龍",
        "شیدا می‌خواهم",
        "שָׁלוֹם עליכם",
        "\u200fمحمد\u200e (Mo)",
        "🦊",
        "👩‍👩‍👧‍👦",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "x" * MAX_NAME_LENGTH,
    ],
)
def test_a_name_may_be_of_any_script(name: str) -> None:
    request = create(name=name)

    assert isinstance(request, CreateUser)
    assert request.name == name


def test_texts_are_kept_in_their_one_spelling() -> None:
    composed = create(external_id="é", name="é", email="é@example.com", metadata={"é": "é"})

    decomposed = create(external_id="e\u0301", name="e\u0301", email="e\u0301@example.com", metadata={"e\u0301": "e\u0301"})

    assert composed == decomposed
    assert isinstance(composed, CreateUser)
    assert composed.metadata == {"é": "é"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\u200d",
        "a\x00b",
        "a\nb",
        "a\x7fb",
        "\ud800",
        "gpj.\u202egnp",
        "\u2066a",
        "a\u2028b",
        CARD,
        "x" * (MAX_NAME_LENGTH + 1),
    ],
)
def test_a_name_is_refused_that_can_not_be_seen_kept_or_trusted(text: str) -> None:
    assert paths(create(name=text)) == [("input", "name")]


@pytest.mark.parametrize("email", ["ada@example.com", "a@b.c", "ada+shop@mail.example.co.uk", "δοκιμή@παράδειγμα.ελ"])
def test_what_looks_like_an_e_mail_address_is_one(email: str) -> None:
    request = create(email=email)

    assert isinstance(request, CreateUser)
    assert request.email == email


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@example",
        "a b@example.com",
        "a@b@c.d",
        "a@.com",
        "a@b..c",
        f"{CARD}@example.com",
        "a" * MAX_EMAIL_LENGTH + "@b.c",
    ],
)
def test_what_does_not_is_refused(email: str) -> None:
    assert paths(create(email=email)) == [("input", "email")]


@pytest.mark.parametrize("field", ["name", "email", "value", "name of an entry"])
@pytest.mark.parametrize("number", [CARD, "4111 1111-1111 1111", "４１１１１１１１１１１１１１１１", "٤١١١١١١١١١١١١١١١"])
def test_what_can_be_a_card_number_is_refused_in_what_is_personal_in_any_digits(field: str, number: str) -> None:
    text = f"{number}@example.com" if field == "email" else f"no {number}"
    wishes: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
        "name": ({"name": text}, ("input", "name")),
        "email": ({"email": text.replace(" ", "")}, ("input", "email")),
        "value": ({"metadata": {"note": text}}, ("input", "metadata", "note")),
        "name of an entry": ({"metadata": {text: "x"}}, ("input", "metadata")),
    }
    wish, path = wishes[field]

    answer = create(**wish)

    assert paths(answer) == [path]
    assert number not in repr(answer)


def test_a_customers_number_may_look_like_a_cards() -> None:
    assert create(external_id=CARD).external_id == CARD


BAD_METADATA: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "10,000 characters": ({"note": "x" * 10_000}, ("note",)),
    "one too many": ({"note": "x" * (MAX_ENTRY_LENGTH + 1)}, ("note",)),
    "a number": ({"ok": "x", "age": 36}, ("age",)),
    "nothing": ({"age": None}, ("age",)),
    "an object": ({"address": {"city": "London"}}, ("address",)),
    "a control character": ({"note": "a\x00"}, ("note",)),
    "a name without end": ({"x" * (MAX_ENTRY_NAME_LENGTH + 1): "x"}, ()),
    "no name": ({"": "x"}, ()),
    "a name that can't be printed": ({"a\nb": "x"}, ()),
    "too many": ({f"n{number}": "x" for number in range(MAX_ENTRIES + 1)}, ()),
    "two spellings of one name": ({"é": "1", "e\u0301": "2"}, ("e\u0301",)),
}


@pytest.mark.parametrize(("metadata", "place"), BAD_METADATA.values(), ids=BAD_METADATA.keys())
def test_bad_metadata_is_refused_with_the_path_of_the_entry(metadata: dict[str, Any], place: tuple[str, ...]) -> None:
    assert paths(create(metadata=metadata)) == [("input", "metadata", *place)]


def test_metadata_is_good_up_to_its_limits() -> None:
    most = {f"{number:0{MAX_ENTRY_NAME_LENGTH}}".replace("0", "o"): "é" * MAX_ENTRY_LENGTH for number in range(MAX_ENTRIES)}

    request = create(metadata={**dict(list(most.items())[:-1]), "empty": ""})

    assert isinstance(request, CreateUser)
    assert len(request.metadata) == MAX_ENTRIES


def test_all_that_is_wrong_is_said_at_once() -> None:
    answer = create(idempotency_key="", external_id="", name="\n", email="no", metadata={"a": 1, "b": 2})

    assert paths(answer) == [
        ("input", "idempotencyKey"),
        ("input", "externalId"),
        ("input", "name"),
        ("input", "email"),
        ("input", "metadata", "a"),
        ("input", "metadata", "b"),
    ]


def test_to_leave_out_is_not_to_erase() -> None:
    left_out = parse_update_user("key-1", "usr_00000000000000000000000005", {})
    erasing = parse_update_user("key-1", "usr_00000000000000000000000005", {"name": None, "metadata": None})

    assert isinstance(left_out, UpdateUser)
    assert isinstance(erasing, UpdateUser)
    assert (left_out.changes, erasing.changes) == ({}, {"name": None, "metadata": {}})
    assert left_out.content != erasing.content


def test_no_request_shows_what_is_personal() -> None:
    created = create(name="Ada Byron", email="ada@example.com", metadata={"born": "1815"})
    updated = parse_update_user("key-1", "x", {"name": "Ada Byron"})

    for secret in ("Ada", "example.com", "1815"):
        assert secret not in repr(created) + repr(updated)
