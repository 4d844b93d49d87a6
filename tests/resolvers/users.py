"""What tests ask about users."""

from typing import Any

from tests.app.serving import Api

USER = "id externalId name email metadata state createdAt updatedAt"

MORE = """fragment More on UserError {
    ... on InvalidInputError { problems { path message } }
    ... on ExternalIdTakenError { userId userState }
    ... on UserNotUsableError { userId userState }
}"""


def mutation(verb: str) -> str:
    """A mutation's document."""
    return f"""mutation ($input: {verb.capitalize()}UserInput!) {{ {verb}User(input: $input) {{
        __typename
        ... on UserPayload {{ replayed user {{ {USER} }} }}
        ... on UserError {{ code message path ...More }}
    }} }} {MORE}"""


def fresh_name(api: Api, what: str) -> str:
    """A name that was not used before, in letters: so many digits might be a card number, which is refused."""
    return api.fresh(what).translate({ord("0") + digit: ord("g") + digit for digit in range(10)})


async def change(api: Api, verb: str, **wish: Any) -> Any:
    """The answer of `create`, `update`, `deactivate`, `reactivate` or `erase`; what is not said is fresh."""
    usual = {"externalId": fresh_name(api, "customer")} if verb == "create" else {}
    given = {"idempotencyKey": api.fresh("key"), **usual, **wish}
    return (await api.ask(mutation(verb), input=given))[f"{verb}User"]


async def make(api: Api, **wish: Any) -> Any:
    """A new user."""
    answer = await change(api, "create", **wish)
    assert answer["__typename"] == "UserPayload", answer
    return answer["user"]


async def user_by(api: Api, **given: str) -> Any:
    """A user by `id` or by `externalId`."""
    document = f"query ($id: ID, $externalId: String) {{ user(id: $id, externalId: $externalId) {{ {USER} }} }}"
    return (await api.ask(document, **given))["user"]
