"""The commands that `up` runs once: migrations, and a partner with a key to try things out with."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.embedded.server import launched, open_log, tail, write_secret
from app.supervisor.child import StartError
from domain.tier import TierName

COMMAND_S = 120.0  # migrations of an empty database take a second; a command that waits for a lock must not wait for ever
DEMO_PARTNER = "Demo partner"


class CommandError(StartError):
    """A command failed; the message has the end of its log."""


class Commands:
    """Runs `partner-api` commands with one environment; what they say goes to a log each."""

    def __init__(self, entry: Sequence[str], environment: Mapping[str, str], logs: Path) -> None:
        self._entry = tuple(entry)
        self._environment = environment
        self._logs = logs

    async def run(self, *arguments: str, given: str = "") -> str:
        """Runs one command with `given` on its stdin, returns its stdout. Raises CommandError after a failure or COMMAND_S."""
        name = arguments[0]
        path = self._logs / f"{name}.log"
        log = open_log(path)
        try:
            process = await asyncio.create_subprocess_exec(
                *launched([*self._entry, *arguments]),
                env=self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        try:
            output, _ = await asyncio.wait_for(process.communicate(given.encode()), COMMAND_S)
        except TimeoutError:
            raise CommandError(f"`{name}` took more than {COMMAND_S:.0f} s; see {path}.") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            raise CommandError(f"`{name}` failed ({process.returncode}). The end of {path}:\n{tail(path)}")
        return output.decode()

    async def demo_keys(self, file: Path) -> "Keys":
        """The keys kept in the file as far as the database still takes them, and new ones for the others. Raises CommandError."""
        partner, live, test = _read(file)
        live, test = await asyncio.gather(self._if_good(live), self._if_good(test))
        if not partner:
            partner = await self._new_partner()
        keys = Keys(live, test)
        if not (live and test):
            try:
                keys = await self._completed(keys, partner)
            except CommandError:  # the partner is from another database
                partner = await self._new_partner()
                keys = await self._completed(Keys("", ""), partner)
            write_secret(file, json.dumps({"partner": partner, "key": keys.live, "testKey": keys.test}))
        return keys

    async def _if_good(self, key: str) -> str:
        with suppress(CommandError):
            if key:
                await self.run("keys", "check", given=key)
                return key
        return ""

    async def _new_partner(self) -> str:
        created = await self.run("partners", "create", "--name", DEMO_PARTNER, "--tier", TierName.ENTERPRISE, "--json")
        return str(json.loads(created)["id"])

    async def _completed(self, keys: "Keys", partner: str) -> "Keys":
        live = keys.live or await self._new_key(partner, "live")
        return Keys(live, keys.test or await self._new_key(partner, "test"))

    async def _new_key(self, partner: str, mode: str) -> str:
        created = await self.run("keys", "create", "--partner", partner, "--name", "demo", "--mode", mode, "--json")
        return str(json.loads(created)["key"])


@dataclass(frozen=True, slots=True)
class Keys:
    """A partner's keys to try things out with."""

    live: str = field(repr=False)
    test: str = field(repr=False)


def _read(file: Path) -> tuple[str, str, str]:
    """The partner and the keys in the file; empty when they aren't there or it isn't ours."""
    try:
        content = json.loads(file.read_text())
        return str(content["partner"]), str(content["key"]), str(content.get("testKey", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "", "", ""
