"""`partner-api listen`: a partner's events in the terminal, and forwarded to a local address."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from domain.event import EventType

COLOURS = {"payment.captured": "green", "payment.declined": "red", "payment.refunded": "yellow", "payment.voided": "yellow"}


@click.command(short_help="Show a partner's events, and forward them to a local address.")
@click.option("--forward-to", metavar="URL", help="Send each event there, signed, as your webhook endpoint will get it.")
@click.option("--url", help="The API. Default: $PARTNER_API_URL, else http://127.0.0.1:8000/graphql.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Has the API key, with the scope `events:read`. Default: $PARTNER_API_KEY.",
)
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Has the secret to sign with, `whsec_…`. Default: $PARTNER_API_WEBHOOK_SECRET, else a new one for this run.",
)
@click.option(
    "--type", "types", multiple=True, type=click.Choice([each.value for each in EventType]), help="Only these; repeatable."
)
@click.option("--after", help="Begin right behind this event, `evt_…`. Default: now.")
@click.option(
    "--json", "as_json", is_flag=True, help="One line of JSON for each event; so it is, too, when stdout is no terminal."
)
def listen(
    *,
    forward_to: str | None,
    url: str | None,
    key_file: Path | None,
    secret_file: Path | None,
    types: tuple[str, ...],
    after: str | None,
    as_json: bool,
) -> None:
    """Show a partner's events as they happen, until Ctrl-C, and go on without a gap after a cut.

    With --forward-to each is sent there, once and in order, signed as Standard Webhooks v1 has it: for whoever writes the
    receiver. Neither the key nor the secret can be given as an argument, for everybody on a machine sees those.
    """
    import asyncio  # noqa: PLC0415  (`--help` needs none of it)

    from app.listening import Forwarded, NotServed, Wish  # noqa: PLC0415
    from app.settings import ListenSettings, SettingsError, read_settings  # noqa: PLC0415
    from domain.webhook_signature import NEW_SECRET_BYTES, read_secret, show_secret  # noqa: PLC0415
    from gateway.world import real_world  # noqa: PLC0415

    settings = read_settings(ListenSettings)
    key = key_file.read_text().strip() if key_file else settings.key.get_secret_value() if settings.key else ""
    if not key:
        raise SettingsError("There is no API key. Set PARTNER_API_KEY, or name a file that has it with --key-file.")
    given = secret_file.read_text().strip() if secret_file else None
    if given is None and settings.webhook_secret:
        given = settings.webhook_secret.get_secret_value()
    world = real_world()
    secret = world.random_bits(8 * NEW_SECRET_BYTES).to_bytes(NEW_SECRET_BYTES, "big") if given is None else read_secret(given)
    if secret is None:
        raise SettingsError("The secret to sign with is not one of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.")
    as_json = as_json or not sys.stdout.isatty()

    def show(event: Mapping[str, Any], forwarded: Forwarded | None) -> None:
        if as_json:
            told = {"status": forwarded.status, "problem": forwarded.problem, "ms": forwarded.milliseconds} if forwarded else None
            click.echo(json.dumps({"event": event, "forwarded": told}, ensure_ascii=False))
        else:
            click.echo(_line(event, forwarded))

    def say(text: str) -> None:
        click.echo(text, err=True)

    wanted = [each for each in EventType if each.value in types] or None
    wish = Wish(url or settings.url, key, wanted, after, forward_to, secret)
    if forward_to:
        say(f"Forwarding to {forward_to}, signed with {show_secret(secret) if given is None else 'the secret that was given'}")
    try:
        asyncio.run(_listen(wish, world, show, say))
    except NotServed as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        say("Stopped.")


async def _listen(wish: Any, world: Any, show: Any, say: Any) -> None:
    import httpx  # noqa: PLC0415

    from app.listening import Listener  # noqa: PLC0415

    async with httpx.AsyncClient(trust_env=False) as api, httpx.AsyncClient(trust_env=False) as receiver:
        await Listener(wish, api, receiver, now=world.now, sleep=world.sleep, show=show, say=say).listen()


def _line(event: Mapping[str, Any], forwarded: Any) -> str:
    """An event for people: when, its number, what happened, to what; and what became of it."""
    happened, payment = EventType[event["type"]].value, event["payment"] or {}
    parts = [
        click.style(event["occurredAt"][11:19], dim=True),
        click.style(f"#{event['sequence']}", dim=True),
        click.style(f"{happened:<20}", fg=COLOURS.get(happened), bold=True),
        event["subjectId"],
    ]
    if payment:
        parts += [payment["amount"]["formatted"], payment["orderId"]]
    if forwarded is not None:
        said = str(forwarded.status) if forwarded.problem is None else forwarded.problem
        parts.append(click.style(f"→ {said} ({forwarded.milliseconds} ms)", fg="green" if forwarded.is_taken else "red"))
    return "  ".join(parts)
