"""The whole system, for as long as a benchmark takes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

START_S = 90  # from nothing to ready, on a slow machine
CARDS = 2000  # a bank serialises authorizations on one card; with so many, no card is in the way
CARD_PREFIX, CVV = "400000", "123"


@contextlib.contextmanager
def started(folder: Path, *arguments: str, **settings: str) -> Iterator[dict[str, Any]]:
    """What `up --json` says of a system in this folder, with a bank that neither fails nor waits; and whose child everything is."""
    cards = {"prefix": CARD_PREFIX, "count": CARDS, "cvv": CVV, "balance": 10**15}
    environment = {
        **os.environ,
        "FAILURE_RATE": "0",
        "MIN_LATENCY_MS": "0",
        "MAX_LATENCY_MS": "0",
        "BANK_STATE": "memory",
        "BANK_ACCOUNTS": json.dumps(cards),
        "PARTNER_API_LOG_LEVEL": "WARNING",
        **settings,
    }
    command = [sys.executable, "-m", "app", "up", "--json", "--port", "0", "--data", str(folder / "data"), *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise click.ClickException("The system did not start; see above.")
            yield {**json.loads(line), "supervisor": process.pid}
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(START_S)
