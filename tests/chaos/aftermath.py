"""What has to be true when the faults have stopped: nothing stays open, nothing acknowledged is gone, the bank's books agree."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg

from app.embedded.server import launched
from domain.payment import PaymentState
from tests.chaos.notebook import Notebook, leads_to
from tests.chaos.shop import Shop
from tests.chaos.system import ENTRY, System

SETTLES_WITHIN_S = 120.0  # after the last fault nothing is open; the longest rest of recovery is 30 s, the longest lease 20 s
LOOK_S = 0.5  # between two looks at what is open
DATABASE_S = 5.0  # a database that takes longer to count is away

RECEIPTS = """
query ($after: String) {
  payments(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { id orderId state reviewReasons } }
}
"""


class CouldNotVerify(Exception):
    """The checker could not check; the message is its own."""


async def open_attempts(system: System) -> int | None:
    """How many attempts are open, of all partners; None when the database does not say just now."""
    try:
        async with asyncio.timeout(DATABASE_S):
            connection = await asyncpg.connect(system.ready["database_url"])
            try:
                return int(await connection.fetchval("select count(*) from attempts where closed_at is null"))
            finally:
                await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None


async def settle(system: System, is_idle: Callable[[], bool]) -> float | None:
    """Seconds until nothing was open and no client was waiting; None when that took longer than SETTLES_WITHIN_S."""
    began = time.monotonic()
    while time.monotonic() - began < SETTLES_WITHIN_S:
        if await open_attempts(system) == 0 and is_idle():
            return time.monotonic() - began
        await asyncio.sleep(LOOK_S)
    return None


async def receipts_of(shop: Shop) -> list[dict[str, Any]]:
    """All payments of one partner, as the API shows them."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = (await shop.ask(RECEIPTS, {"after": after}))["payments"]
        found += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


def broken_promises(notebook: Notebook, receipts: dict[int, list[dict[str, Any]]]) -> list[str]:
    """Where what the API shows now falls short of what it told its clients. `receipts` are those of each partner."""
    wrong = []
    shown = {receipt["id"]: (partner, receipt) for partner, own in receipts.items() for receipt in own}
    for payment_id, told in notebook.payments.items():
        partner, receipt = shown.get(payment_id, (None, None))
        if receipt is None:
            wrong.append(f"{told.order_id}: acknowledged as {told.state} and gone")
        elif partner != told.partner:
            wrong.append(f"{told.order_id}: shown to another partner")
        elif not leads_to(told.state, PaymentState(receipt["state"])):
            wrong.append(f"{told.order_id}: acknowledged as {told.state} and now {receipt['state']}")
    orders = Counter((partner, receipt["orderId"]) for partner, own in receipts.items() for receipt in own)
    wrong += [f"{order}: {count} payments" for (_, order), count in orders.items() if count > 1]
    return wrong


async def verify(system: System, acknowledged: Path) -> dict[str, Any]:
    """What `partner-api verify` says of our books, of the bank's ledger, and of what clients were told."""
    options = (
        "--ledger",
        system.bank_control_url,
        "--acknowledged",
        str(acknowledged),
        "--wait-s",
        str(SETTLES_WITHIN_S),
        "--json",
    )
    process = await asyncio.create_subprocess_exec(
        *launched([*ENTRY, "verify", *options]),
        env={**os.environ, "PARTNER_API_OWNER_DATABASE_URL": system.ready["database_url"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode not in (0, 1):
        raise CouldNotVerify(errors.decode())
    found: dict[str, Any] = json.loads(output)
    assert found["right"] == (process.returncode == 0), "the exit code and the document say the same"
    return found
