"""Takes what a client sent out of error messages: graphql-core likes to repeat values, and a value may be a card or its CVV.

Messages that speak of a value are not cleaned but written anew, out of names of the schema; in all others digits are hidden.
"""

import re
from collections.abc import Callable

HIDDEN = "(hidden)"
NOT_EXPECTED = "The value is not what is expected here."

_NUMBERS = re.compile(r"\d(?:[\W_]?\d){11,}|(?<=['\"])\d{3,}(?=['\"])")  # however they are grouped
_TOKEN = re.compile(
    r"(String|Int|Float|escape sequence:) '.*'|(String|escape sequence:) \".*\"", re.DOTALL
)  # what stood in its place
_VARIABLE = re.compile(r"Variable '\$(\w+)' has invalid value(?: at ((?:\.\w+|\[\d+\])+))?: ")
_REQUIRED_FIELD = re.compile(r"Expected value of type '[\w!\[\]]+' to include required field '(\w+)', found")
_ABOUT_A_VALUE = re.compile(r"Expected |Value |Argument .* has invalid value|(?:Enum )?['\w]+ cannot represent ")
# How graphql-core 3.3 begins a message about a value, and what we say instead.
_REASONS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_REQUIRED_FIELD, lambda found: f"The field {found[1]} is required."),
    (
        re.compile(r"Expected value of type '(\w+)' not to include unknown field '([A-Za-z_]\w*)'"),
        lambda found: f"There is no field {found[2]} in {found[1]}.",
    ),
    (re.compile(r"Expected a? ?value of non-null type '.+' (?:not to be None|to be provided)"), lambda _: "It is required."),
    (
        re.compile(r"Expected value of type '(\w+)', but encountered error '(expect .+)'; found: "),
        lambda found: f"We {found[2]}.",
    ),
    (re.compile(r"Expected value of type '([\w!\[\]]+)'"), lambda found: f"It is not of the type {found[1]}."),
    (re.compile(r"Value .* does not exist in '(\w+)' enum"), lambda found: f"It is not one of the values of {found[1]}."),
    (re.compile(r"Enum '(\w+)' cannot represent "), lambda found: f"It is not one of the values of {found[1]}."),
    (re.compile(r"Value for member field '(\w+)' must be non-null"), lambda found: f"The field {found[1]} must not be null."),
    (re.compile(r"(Int|Float|String|Boolean|ID) cannot represent "), lambda found: f"It is not of the type {found[1]}."),
)


def scrub(message: str) -> tuple[str, list[str] | None]:
    """A message of graphql-core's without the values in it, and the path of the variable that it speaks of, if any."""
    path: list[str] | None = None
    variable = _VARIABLE.match(message)
    if variable:
        path = [variable[1], *re.findall(r"\w+", variable[2] or "")]
        message = message[variable.end() :]
        required = _REQUIRED_FIELD.match(message)
        if required:
            path.append(required[1])
    if variable or _ABOUT_A_VALUE.match(message):
        message = next((say(found) for reason, say in _REASONS if (found := reason.match(message))), NOT_EXPECTED)
    elif message.startswith("Syntax Error: "):
        message = _TOKEN.sub(lambda found: f"{found[1] or found[2]} {HIDDEN}", message)
    return _without_numbers(message), [_without_numbers(each) for each in path] if path else None


def _without_numbers(text: str) -> str:
    return _NUMBERS.sub(HIDDEN, text)
