"""`partner-api verify`: the checker of the invariants."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

if TYPE_CHECKING:
    from rich.status import Status

    from app.verification import Verification
    from persistence.database import Database

OPEN_BOUND_S = 120.0  # domain.violation.OPEN_BOUND_S, which `--help` need not load; a test compares the two
MAX_WAIT_S = 86_400.0  # a day: who wants to wait longer wants a schedule
Acknowledged = Mapping[UUID, frozenset[str]]


class CouldNotCheck(click.ClickException):
    """Nobody knows: neither right nor wrong."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to check. `tenant_id` None: all partners. `control_url` None: our own books only."""

    control_url: str | None
    tenant_id: UUID | None
    is_sandbox: bool
    acknowledged: Acknowledged | None
    wait_s: float
    bound_s: float
    shared_bank: bool


def _url(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001 - click's signature
    if value is not None and not value.startswith(("http://", "https://")):
        raise click.BadParameter("it has to be a URL such as http://127.0.0.1:8788")
    return value


def _partner(context: click.Context, parameter: click.Parameter, value: str | None) -> UUID | None:  # noqa: ARG001
    from domain.ids import IdKind, decode_id_of  # noqa: PLC0415

    tenant_id = None if value is None else decode_id_of(IdKind.PARTNER, value)
    if value is not None and tenant_id is None:
        raise click.BadParameter("it is not a partner's id, ptn_…; see `partner-api partners list`")
    return tenant_id


def _acknowledged(context: click.Context, parameter: click.Parameter, value: Path | None) -> Acknowledged | None:  # noqa: ARG001
    try:
        return None if value is None else read_acknowledged(value.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error)) from None


@click.command(short_help="Check that everything is right, also against the bank's ledger.")
@click.option(
    "--ledger",
    "control_url",
    callback=_url,
    metavar="URL",
    help="The mock bank's control address; else $PARTNER_API_BANK_CONTROL_URL; else only our own books are checked.",
)
@click.option("--partner", "tenant_id", callback=_partner, metavar="ID", help="This partner alone, ptn_…")
@click.option(
    "--sandbox",
    "is_sandbox",
    is_flag=True,
    help="Check the partners' sandboxes, against the ledger of $PARTNER_API_SANDBOX_BANK_CONTROL_URL.",
)
@click.option(
    "--acknowledged",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    callback=_acknowledged,
    metavar="FILE",
    help="What clients were told: on each line a payment's id and, if they were told, its state.",
)
@click.option(
    "--wait-s",
    type=click.FloatRange(0, MAX_WAIT_S),
    default=0.0,
    metavar="S",
    help="Wait up to so many seconds until nothing is open, then check.",
)
@click.option(
    "--bound-s",
    type=click.FloatRange(0),
    default=OPEN_BOUND_S,
    show_default=True,
    metavar="S",
    help="How many seconds an attempt may be open.",
)
@click.option(
    "--shared-bank", is_flag=True, help="Others use the bank, too: what it did under keys that we don't have is theirs."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def verify(
    *,
    control_url: str | None,
    tenant_id: UUID | None,
    is_sandbox: bool,
    acknowledged: Acknowledged | None,
    wait_s: float,
    bound_s: float,
    shared_bank: bool,
    as_json: bool,
) -> None:
    """Check everything that must hold, whatever has failed: of our own books, and between them and the bank's ledger.

    Exits with 0 when all that was checked is right, with 1 when something is not, with 2 when it could not be checked. It may run
    beside a working system: it writes nothing, and a payment that moves meanwhile is looked at again. It uses
    PARTNER_API_OWNER_DATABASE_URL. docs/operations.md says what each line means, and what to do.
    """
    from app.settings import VerifySettings, read_settings  # noqa: PLC0415 - `--help` and other commands need none of these
    from app.verification_report import show  # noqa: PLC0415
    from bank.ledger import LedgerAway, NotALedger  # noqa: PLC0415
    from persistence.database import DatabaseAway  # noqa: PLC0415
    from persistence.revision import NotMigrated  # noqa: PLC0415

    settings = read_settings(VerifySettings)
    wish = Options(
        control_url=control_url or (settings.sandbox_bank_control_url if is_sandbox else settings.bank_control_url),
        tenant_id=tenant_id,
        is_sandbox=is_sandbox,
        acknowledged=acknowledged,
        wait_s=wait_s,
        bound_s=bound_s,
        shared_bank=shared_bank,
    )
    try:
        found = asyncio.run(_verify(settings.owner_database_url.get_secret_value(), wish))
    except (DatabaseAway, OSError) as error:
        raise CouldNotCheck(f"The database can't be reached ({error}). Is it up, and is its URL right?") from None
    except LedgerAway as error:
        raise CouldNotCheck(f"The bank's ledger can't be read: {error}.") from None
    except NotALedger as error:
        raise CouldNotCheck(f"What the bank's control address shows is not a ledger: {error}.") from None
    except NotMigrated as error:
        raise CouldNotCheck(str(error)) from None
    show(found, as_json=as_json)
    sys.exit(0 if found.is_right else 1)


def read_acknowledged(text: str) -> Acknowledged:
    """Payments, and the states that were acknowledged of each. Empty lines and what is behind a `#` say nothing.

    Raises ValueError with a sentence.
    """
    from domain.ids import IdKind, decode_id_of  # noqa: PLC0415
    from domain.payment import PaymentState  # noqa: PLC0415

    found: dict[UUID, frozenset[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        payment_id = decode_id_of(IdKind.PAYMENT, words[0]) if words else None
        if words and (payment_id is None or len(words) > 2 or not set(words[1:]) <= set(PaymentState)):
            raise ValueError(f"line {number} is not a payment's id, pay_…, alone or with one state behind it")
        if payment_id is not None:
            found[payment_id] = found.get(payment_id, frozenset()) | set(words[1:])
    return found


async def _verify(database_url: str, wish: Options) -> "Verification":
    from rich.console import Console  # noqa: PLC0415

    from persistence.database import Database  # noqa: PLC0415

    database = Database(database_url, pool_size=1)
    try:
        with Console(stderr=True).status("Looking for what is open …") as status:  # which is silent unless stderr is a terminal
            return await _check(database, wish, status)
    finally:
        await database.close()


async def _check(database: "Database", wish: Options, status: "Status") -> "Verification":
    from app.verification import verify as compare  # noqa: PLC0415
    from app.verification import wait_until_settled  # noqa: PLC0415
    from bank.ledger import fetch_ledger  # noqa: PLC0415
    from domain.partner import Mode, tenant_of  # noqa: PLC0415
    from gateway.world import real_world  # noqa: PLC0415
    from persistence.database import DatabaseAway  # noqa: PLC0415
    from persistence.partners import get_partner  # noqa: PLC0415
    from persistence.revision import check_revision  # noqa: PLC0415

    world, control_url = real_world(), wish.control_url
    mode = Mode.TEST if wish.is_sandbox else Mode.LIVE
    tenant_id = None if wish.tenant_id is None else tenant_of(wish.tenant_id, mode)
    tenants = None if tenant_id is None else [tenant_id]
    if wish.wait_s:
        with contextlib.suppress(DatabaseAway):  # which may come back while we wait; a schema that is another one does not
            await check_revision(database)
        await wait_until_settled(database, world, wait_s=wish.wait_s, tenants=tenants, mode=mode)
    await check_revision(database)
    if tenant_id is not None:
        async with database.tenant(tenant_id) as tx:
            if await get_partner(tx, tenant_id) is None:
                raise CouldNotCheck("There is no partner with this id; see `partner-api partners list`.")
    status.update("Reading the bank's ledger …")
    return await compare(
        database,
        None if control_url is None else await fetch_ledger(control_url),
        now=world.now(),
        tenants=tenants,
        mode=mode,
        acknowledged=wish.acknowledged,
        open_bound_s=wish.bound_s,
        bank_is_ours=not wish.shared_bank and tenants is None,
        look_again=None if control_url is None else partial(fetch_ledger, control_url),
        on_page=lambda count: status.update(f"{count:,} payments …"),
    )
