"""`dev.py bench`: starts the whole system, loads it, checks that nothing was lost or doubled, and prints ratios.

Everything, the load generator included, shares this machine: only ratios of figures of one run mean something.
"""

import asyncio
import importlib
import itertools
import json
import re
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import click
import httpx
from rich.console import Console
from rich.table import Table

from app.embedded.postgres import installation
from bench.load import Measured, Target, closed_loop
from bench.system import CARD_PREFIX, CARDS, CVV, started
from domain.ids import IdKind, decode_id_of

OTHERS = ("bank_client", "database", "events", "limits", "webhooks")  # benchmarks of one part: `dev.py bench limits`
SETTLE_S = 120  # until everything that was accepted has its outcome
AUTHORIZE = (
    "mutation($input: AuthorizePaymentInput!) { authorizePayment(input: $input) "
    "{ __typename ... on PaymentPayload { replayed payment { id state orderId customerId reference createdAt needsReview } } } }"
)


@dataclass(frozen=True)
class Line:
    """One ratio: what over what, and where it has to go."""

    name: str
    value: float
    figures: str
    target: str


def main() -> None:
    """Run it, or the one of OTHERS that is named first."""
    if sys.argv[1:2] and sys.argv[1] in OTHERS:
        importlib.import_module(f"bench.{sys.argv.pop(1)}").main()
    else:
        bench(standalone_mode=True)


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="How long each load lasts.")
@click.option("--clients", default=16, show_default=True, help="Connections of the load generator.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def bench(seconds: float, clients: int, as_json: bool) -> None:
    """Load the whole system on this machine and print ratios.

    Of one part: `bench bank_client` (a call to the bank), `bench database` (row-level security and the audit log, on ÷ off),
    `bench events` (from a commit to all who follow), `bench limits` (authentication, limits and usage of a request), `bench webhooks`
    (deliveries of a worker).
    """
    console = Console(stderr=as_json)
    with tempfile.TemporaryDirectory(prefix="partner-api-bench-") as folder, started(Path(folder)) as system:
        lines = asyncio.run(_measure(system, seconds, clients, console))
    if as_json:
        click.echo(json.dumps([line.__dict__ for line in lines]))
        return
    table = Table("ratio", "value", "target", "figures of this run")
    for line in lines:
        table.add_row(line.name, f"{line.value:.2f}", line.target, line.figures)
    console.print(table)


async def _measure(system: dict[str, Any], seconds: float, clients: int, console: Console) -> list[Line]:
    bank = Target(system["bank_url"] + "/api/v1/authorizations", {})
    api = Target(system["graphql"], {"Authorization": f"Bearer {system['api_key']}"})
    numbers = _cards()
    loads: dict[str, Measured] = {}

    async def load(name: str, target: Target, requests: Callable[[], bytes], good: bytes, how_many: int = clients) -> Measured:
        console.print(f"{name} ({how_many} clients, {seconds:.0f} s) …")
        measured = await closed_loop(target, requests, lambda answer: good in answer, clients=how_many, seconds=seconds)
        if measured.failures:
            raise click.ClickException(f"{name}: {measured.failures} failures, the first: {measured.first_failure}")
        loads[name] = measured
        return measured

    def at_the_bank() -> bytes:
        body = {"card_number": next(numbers), "cvv": CVV, "amount": 100, "expiry_month": 12, "expiry_year": 2030}
        return bank.request(json.dumps(body).encode(), f"Idempotency-Key: bench-{secrets.token_hex(16)}\r\n")

    def through_the_api(wait: str) -> Callable[[], bytes]:
        return lambda: api.request(_authorize(next(numbers), secrets.token_hex(16), wait))

    repeated = api.request(_authorize(next(numbers), "repeated", "OUTCOME"))
    raw = await load("the bank alone", bank, at_the_bank, b'"approved"')
    completed = await load("payments to their outcome", api, through_the_api("OUTCOME"), b'"AUTHORIZED"')
    raw_one = await load("the bank alone, one at a time", bank, at_the_bank, b'"approved"', 1)
    completed_one = await load("payments, one at a time", api, through_the_api("OUTCOME"), b'"AUTHORIZED"', 1)
    await load("repetitions, to warm up", api, lambda: repeated, b'"AUTHORIZED"', 1)
    replay = await load("repetitions", api, lambda: repeated, b'"replayed":true', 1)
    pgbench = await _pgbench(system, seconds, console)
    accepted = await load("accepted payments", api, through_the_api("ACCEPTANCE"), b'"PENDING"', 32)
    made = sum(
        len(loads[name].latencies_s) for name in ("payments to their outcome", "payments, one at a time", "accepted payments")
    )
    await _check(system, made + 1, console)
    return [
        Line(
            "completed payments/s ÷ calls/s of the mock bank alone, in memory",
            completed.per_second / raw.per_second,
            f"{completed.per_second:,.0f} ÷ {raw.per_second:,.0f}",
            "≥ 0.9 of the provided bank, which does 330-450/s",
        ),
        Line(
            "latency added to a bank call, p50, ms",
            completed_one.percentile_ms(0.5) - raw_one.percentile_ms(0.5),
            f"{completed_one.percentile_ms(0.5):.2f} − {raw_one.percentile_ms(0.5):.2f}",
            "≤ 1.5",
        ),
        Line("idempotent replay, p50, ms", replay.percentile_ms(0.5), f"p99 {replay.percentile_ms(0.99):.2f}", "≤ 2"),
        Line(
            "accepted payments/s ÷ pgbench, one at a time",
            accepted.per_second / pgbench,
            f"{accepted.per_second:,.0f} ÷ {pgbench:,.0f}; p99 {accepted.percentile_ms(0.99):.0f} ms",
            "≥ 1.5, first step 0.7",
        ),
    ]


async def _pgbench(system: dict[str, Any], seconds: float, console: Console) -> float:
    """Transactions a second of Postgres alone, doing the writes of one accepted payment each."""
    console.print(f"pgbench (32 clients, {seconds:.0f} s) …")
    connection = await asyncpg.connect(system["database_url"])
    partner = await connection.fetchval("select id from partners limit 1")
    scratch = await connection.fetchval("insert into partners values (gen_random_uuid(), 'pgbench', now()) returning id")
    assert partner != scratch
    await connection.execute("create sequence if not exists bench_sequence")
    login = re.sub(r"//[^@]+@", "//bench:bench@", system["database_url"])
    await connection.execute("create role bench login password 'bench'")
    await connection.execute("grant all on all tables in schema public to bench; grant usage on bench_sequence to bench")
    script = (Path(__file__).parent / "accept.sql").read_text().replace(":tenant", str(scratch))
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            str(installation() / "bin" / "pgbench"),
            *(
                "--no-vacuum",
                "--client=32",
                "--jobs=1",
                f"--time={max(int(seconds), 1)}",
                "--protocol=prepared",
                f"--file={file.name}",
            ),
            login,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
    if process.returncode:
        raise click.ClickException(f"pgbench: {errors.decode()[-500:]}")
    await connection.execute("select set_config('app.tenant_id', $1, false)", str(scratch))
    for table in ("events", "attempts", "payments"):
        await connection.execute(f"delete from {table} where tenant_id = '{scratch}'")  # noqa: S608  (an id of our own)
    await connection.close()
    found = re.search(rb"tps = ([\d.]+)", output)
    assert found, "pgbench prints its transactions a second"
    return float(found[1])


_OPEN = "select count(*) from attempts where tenant_id = $1::text::uuid and closed_at is null"


async def _check(system: dict[str, Any], made: int, console: Console) -> None:
    """Nothing lost, nothing doubled: every acknowledged payment has one hold at the bank. A run that breaks this counts for nothing."""
    console.print("checking against the bank's ledger …")
    partner = await _own_partner(system)
    connection = await asyncpg.connect(system["database_url"])
    await connection.execute("select set_config('app.tenant_id', $1, false)", partner)
    async with asyncio.timeout(SETTLE_S):
        while await connection.fetchval(_OPEN, partner):  # noqa: ASYNC110  (what is awaited happens in other processes)
            await asyncio.sleep(0.2)
    rows = await connection.fetch("select state, bank_authorization from payments where tenant_id = $1::text::uuid", partner)
    await connection.close()
    async with httpx.AsyncClient(timeout=60) as http:
        ledger = (await http.get(f"{system['bank_control_url']}/ledger", params={"key_prefix": "att_"})).json()
    holds = {each["authorization_id"] for each in ledger["authorizations"]}
    receipts = {row["bank_authorization"] for row in rows}
    if len(rows) != made or holds != receipts or {row["state"] for row in rows} != {"AUTHORIZED"}:
        raise click.ClickException(
            f"broken: {made} payments were acknowledged, {len(rows)} are kept, the bank has {len(holds)} holds for them, "
            f"{len(holds & receipts)} of them on our receipts. The figures count for nothing."
        )
    console.print(f"{made:,} payments, each with exactly one hold at the bank")


async def _own_partner(system: dict[str, Any]) -> str:
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            system["graphql"],
            json={"query": "{ viewer { partner { id } } }"},
            headers={"Authorization": f"Bearer {system['api_key']}"},
        )
    return str(decode_id_of(IdKind.PARTNER, answer.json()["data"]["viewer"]["partner"]["id"]))


def _cards() -> Iterator[str]:
    """The load's cards in turn: prefix, number, and the digit that makes them pass the Luhn check."""
    numbers = []
    for index in range(CARDS):
        digits = f"{CARD_PREFIX}{index:09d}"
        doubled = [int(digit) * (2 - position % 2) for position, digit in enumerate(reversed(digits))]
        numbers.append(digits + str(-sum(value - 9 if value > 9 else value for value in doubled) % 10))
    return itertools.cycle(numbers)


def _authorize(number: str, name: str, wait: str) -> bytes:
    card = {"number": number, "cvv": CVV, "expiryMonth": 12, "expiryYear": 2030}
    wish = {
        "idempotencyKey": name,
        "orderId": name,
        "customerId": "bench",
        "amount": {"minorUnits": 100, "currency": "USD"},
        "source": {"card": card},
        "wait": wait,
    }
    return json.dumps({"query": AUTHORIZE, "variables": {"input": wish}}).encode()


if __name__ == "__main__":
    main()
