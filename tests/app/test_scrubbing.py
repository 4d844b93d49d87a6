"""What a client sent does not come back in a message: graphql-core's real messages, in this schema, before and after."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.graphql import build_schema
from app.scrubbing import HIDDEN, scrub

NUMBER, CVV = "4111111111111111", "987"
CARD = {"number": NUMBER, "cvv": CVV, "expiryMonth": 12, "expiryYear": 2030}
WISH = {
    "idempotencyKey": "key-1",
    "orderId": "order-1",
    "customerId": "customer-1",
    "amount": {"minorUnits": 1, "currency": "USD"},
    "source": {"card": CARD},
}
AUTHORIZE = "mutation ($input: AuthorizePaymentInput!) { authorizePayment(input: $input) { __typename } }"
LIST = "query ($filter: PaymentFilter) { payments(filter: $filter) { nodes { id } } }"
SCHEMA = build_schema()


def changed(*path: str, to: Any) -> dict[str, Any]:
    """The wish with one value of it changed, or taken out when `to` is Ellipsis."""
    copy: dict[str, Any] = {"input": WISH}
    place = copy
    for name in ("input", *path)[:-1]:
        place[name] = dict(place[name])
        place = place[name]
    if to is ...:
        del place[path[-1]]
    else:
        place[("input", *path)[-1]] = to
    return copy


def literal(card: str, rest: str = 'orderId: "o", customerId: "c", amount: {minorUnits: 1, currency: USD}') -> str:
    """authorizePayment with a card as the document has it."""
    return f'mutation {{ authorizePayment(input: {{idempotencyKey: "k", {rest}, source: {{card: {card}}}}}) {{ __typename }} }}'


async def message_of(document: str, variables: dict[str, Any] | None) -> str:
    """What graphql-core says."""
    result = await SCHEMA.execute(document, variable_values=variables)
    assert result.errors
    return result.errors[0].message


NO_OBJECT = "It is not of the type {}."
REQUIRED = "It is required."
WHOLE = "We expect a whole number in the currency's minor unit, such as 1999 for $19.99."
IN_VARIABLES: list[tuple[dict[str, Any], str, list[str] | None]] = [
    ({}, REQUIRED, []),
    ({"input": None}, REQUIRED, []),
    ({"input": NUMBER}, NO_OBJECT.format("AuthorizePaymentInput"), []),
    ({"input": [NUMBER]}, NO_OBJECT.format("AuthorizePaymentInput"), []),
    (changed("extra", to=NUMBER), "There is no field extra in AuthorizePaymentInput.", []),
    (changed(NUMBER, to=CVV), NO_OBJECT.format("AuthorizePaymentInput"), []),
    (changed("orderId", to=...), "The field orderId is required.", ["orderId"]),
    (changed("orderId", to=None), REQUIRED, ["orderId"]),
    (changed("orderId", to=int(NUMBER)), NO_OBJECT.format("String"), ["orderId"]),
    (changed("orderId", to=[NUMBER]), NO_OBJECT.format("String"), ["orderId"]),
    (changed("amount", to=NUMBER), NO_OBJECT.format("MoneyInput"), ["amount"]),
    (changed("amount", "minorUnits", to=[NUMBER]), WHOLE, ["amount", "minorUnits"]),
    (changed("amount", "currency", to=int(NUMBER)), "We expect an ISO 4217 code, such as USD.", ["amount", "currency"]),
    (changed("source", to={}), "OneOf Input Object 'PaymentSourceInput' must specify exactly one key.", None),
    (changed("source", "card", to=None), "The field card must not be null.", None),
    (changed("source", "card", to=NUMBER), NO_OBJECT.format("CardDetailsInput"), ["source", "card"]),
    (changed("source", "card", "number", to=int(NUMBER)), NO_OBJECT.format("String"), ["source", "card", "number"]),
    (changed("source", "card", "cvv", to=int(CVV)), NO_OBJECT.format("String"), ["source", "card", "cvv"]),
    (changed("source", "card", "cvv", to=...), "The field cvv is required.", ["source", "card", "cvv"]),
    (changed("source", "card", "expiryMonth", to=NUMBER), NO_OBJECT.format("Int"), ["source", "card", "expiryMonth"]),
    (changed("source", "card", "expiryYear", to=int(NUMBER)), NO_OBJECT.format("Int"), ["source", "card", "expiryYear"]),
    (changed("source", "card", "cvc", to=CVV), "There is no field cvc in CardDetailsInput.", ["source", "card"]),
    (changed("source", "card", CVV, to=NUMBER), NO_OBJECT.format("CardDetailsInput"), ["source", "card"]),
    (changed("wait", to=NUMBER), "It is not one of the values of WaitFor.", ["wait"]),
    (changed("wait", to=int(CVV)), "It is not one of the values of WaitFor.", ["wait"]),
]


@pytest.mark.parametrize(("variables", "sentence", "path"), IN_VARIABLES, ids=[str(index) for index in range(len(IN_VARIABLES))])
async def test_a_bad_variable_is_told_by_its_path_and_not_by_its_value(
    variables: dict[str, Any], sentence: str, path: list[str] | None
) -> None:
    said, where = scrub(await message_of(AUTHORIZE, variables))

    assert said == sentence
    assert where == (None if path is None else ["input", *path])


async def test_the_place_in_a_list_is_part_of_the_path() -> None:
    message = await message_of(LIST, {"filter": {"states": ["PENDING", NUMBER]}})

    assert scrub(message) == ("It is not one of the values of PaymentState.", ["filter", "states", "1"])


async def test_a_bad_time_is_told_what_a_time_looks_like() -> None:
    message = await message_of(LIST, {"filter": {"createdAfter": NUMBER}})

    said, where = scrub(message)

    assert said == "We expect a time with its offset, such as 2030-01-31T12:00:00Z."
    assert where == ["filter", "createdAfter"]


async def test_a_variable_that_is_named_like_a_card_number_is_not_repeated() -> None:
    message = await message_of(
        f"query ($n{NUMBER}: Int) {{ payments(first: $n{NUMBER}) {{ nodes {{ id }} }} }}", {f"n{NUMBER}": "x"}
    )

    assert scrub(message) == ("It is not of the type Int.", [f"n{HIDDEN}"])


IN_DOCUMENTS = [
    (literal(f'"{NUMBER}"'), NO_OBJECT.format("CardDetailsInput")),
    (literal(f'{{number: {NUMBER}, cvv: "{CVV}", expiryMonth: 12, expiryYear: 2030}}'), NO_OBJECT.format("String")),
    (literal(f'{{number: "1", cvv: {CVV}, expiryMonth: 12, expiryYear: 2030}}'), NO_OBJECT.format("String")),
    (literal(f'{{number: "1", cvv: "1", expiryMonth: "{CVV}", expiryYear: 2030}}'), NO_OBJECT.format("Int")),
    (literal(f'{{number: "{NUMBER}", cvv: "{CVV}", expiryYear: 2030}}'), "The field expiryMonth is required."),
    (
        literal(f'{{number: "{NUMBER}", cvv: "{CVV}", expiryMonth: 1, expiryYear: 2030, x: "{NUMBER}"}}'),
        "There is no field x in CardDetailsInput.",
    ),
    (literal(f'{{number: "{NUMBER}" cvv "{CVV}"}}'), f"Syntax Error: Expected ':', found String {HIDDEN}."),
    (literal(f'{{number "{NUMBER}"}}'), f"Syntax Error: Expected ':', found String {HIDDEN}."),
    (literal(f'{{number: "1", {CVV}: "1"}}'), f"Syntax Error: Expected Name, found Int {HIDDEN}."),
    (literal(f'{{number: "1" "the cvv is {CVV}"}}'), f"Syntax Error: Expected Name, found String {HIDDEN}."),
    (literal(f'{{number: "1" """{NUMBER} \' {CVV}"""}}'), f"Syntax Error: Expected Name, found BlockString {HIDDEN}."),
    (literal(f'{{number: "{NUMBER}'), "Syntax Error: Unterminated string."),
    (literal(f"{{number: {NUMBER[:15]}.5 {NUMBER}.5}}"), f"Syntax Error: Expected Name, found Float {HIDDEN}."),
    (literal(f'{{number: "\\u{{{NUMBER}}}"}}'), f"Syntax Error: Invalid Unicode escape sequence: {HIDDEN}."),
    (f'{{ payment(id: {{a: "{NUMBER}"}}) {{ id }} }}', NO_OBJECT.format("ID")),
    (f"{{ payments(first: {NUMBER}) {{ nodes {{ id }} }} }}", NO_OBJECT.format("Int")),
    (f"{{ payments(filter: {{states: [{CVV}]}}) {{ nodes {{ id }} }} }}", "It is not one of the values of PaymentState."),
    (f'{{ payments(filter: {{states: "{CVV}"}}) {{ nodes {{ id }} }} }}', "It is not one of the values of PaymentState."),
    (f"{{ payments(filter: {{states: [N{NUMBER}]}}) {{ nodes {{ id }} }} }}", "It is not one of the values of PaymentState."),
    (f"{{ payments(filter: {{minAmount: [{NUMBER}]}}) {{ nodes {{ id }} }} }}", WHOLE),
    (f"{{ payments(filter: {{minAmount: {NUMBER * 3}}}) {{ nodes {{ id }} }} }}", WHOLE),
    (f'{{ viewer @include(if: "{NUMBER}") {{ apiKey {{ id }} }} }}', NO_OBJECT.format("Boolean")),
    (f"{{ a{NUMBER} }}", f"Cannot query field 'a{HIDDEN}' on type 'Query'."),
    ("{ a_4111_1111_1111_1111 }", f"Cannot query field 'a_{HIDDEN}' on type 'Query'."),
    (f"{{ payment(id: $n{NUMBER}) {{ id }} }}", f"Variable '$n{HIDDEN}' is not defined."),
    (f"query ($n: T{NUMBER}) {{ payment(id: $n) {{ id }} }}", f"Unknown type 'T{HIDDEN}'."),
    (NUMBER, f"Syntax Error: Unexpected Int {HIDDEN}."),
]


@pytest.mark.parametrize(("document", "sentence"), IN_DOCUMENTS, ids=[str(index) for index in range(len(IN_DOCUMENTS))])
async def test_a_value_in_a_document_is_not_repeated(document: str, sentence: str) -> None:
    said, where = scrub(await message_of(document, None))

    assert said == sentence
    assert where is None


@pytest.mark.parametrize(
    "document",
    [
        "{ payment { id } }",
        "{ nothing }",
        "{ payment(id: 1, nr: 2) { id } }",
        "{ capturePayment }",
        "{ viewer }",
        "{ payments { nodes { id(a: 1) } } }",
        "query ($a: Int) { viewer { apiKey { id } } }",
        "{ viewer { ...F } } fragment F on Payment { id }",
        "{ payments { nodes { id: orderId id } } }",
        "{",
        "}",
        "# nothing",
    ],
)
async def test_a_message_without_a_value_stays_as_it_is(document: str) -> None:
    """It says best what is wrong with the document."""
    message = await message_of(document, None)

    assert scrub(message) == (message, None)


groups = st.sampled_from(["", " ", "-", ".", "_", "/", "\u00a0"])


@given(st.text("0123456789", min_size=13, max_size=19), st.data(), st.text(), st.text())
def test_twelve_digits_and_more_are_hidden_however_they_are_grouped(
    digits: str, data: st.DataObject, before: str, after: str
) -> None:
    typed = "".join(digit + data.draw(groups) for digit in digits[:-1]) + digits[-1]

    said, _ = scrub(f"{before}{typed}{after}")

    assert typed not in said


@given(st.text(max_size=200))
def test_any_message_can_be_scrubbed(message: str) -> None:
    said, where = scrub(message)

    assert isinstance(said, str)
    assert where is None or all(isinstance(each, str) for each in where)


def test_a_long_message_of_digits_takes_no_long_time() -> None:
    """A body has 256 KiB, and a pattern that goes back and forth over it would take minutes."""
    for text in (
        "1" * 250_000,
        "1-" * 125_000,
        "1- " * 80_000,
        "'" * 250_000,
        "String '" * 30_000,
        "Expected value of type '" * 10_000,
    ):
        scrub(text)
        scrub("Syntax Error: " + text)
