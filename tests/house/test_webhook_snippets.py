"""The page on verifying webhooks: what it shows is run, with what we sign, and with what somebody else does."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.webhook_signature import show_secret, signed_headers
from tests.house.repository import ROOT

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
BODY = '{"type":"payment.captured","data":{"note":"é – 😀"}}'.encode()
NOW, DAY = timedelta(), timedelta(days=1)  # from when the test runs: whoever verifies looks at the real clock
# The secret, the keys that signed, when, what arrived, and whether it is genuine.
CASES: dict[str, tuple[bytes, list[bytes], timedelta, bytes, bool]] = {
    "genuine": (NEW, [NEW], NOW, BODY, True),
    "the new secret, while it is exchanged": (NEW, [NEW, OLD], NOW, BODY, True),
    "the old secret, while it is exchanged": (OLD, [NEW, OLD], NOW, BODY, True),
    "somebody else's": (NEW, [OTHER], NOW, BODY, False),
    "another body": (NEW, [NEW], NOW, BODY + b" ", False),
    "yesterday's": (NEW, [NEW], -DAY, BODY, False),
    "tomorrow's": (NEW, [NEW], DAY, BODY, False),
}
RUNNER = """
import { readFileSync } from 'node:fs';
const { secret, headers, body } = JSON.parse(readFileSync(0, 'utf8'));
try {
  verify(secret, headers, Buffer.from(body, 'hex'));
  console.log('genuine');
} catch (error) {
  console.log(error.message);
}
"""


def snippet(language: str) -> str:
    """What the page shows in a language."""
    text = (ROOT / "docs/verifying-webhooks.md").read_text()
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


def message(name: str) -> tuple[str, dict[str, str], bytes, bool]:
    """The secret that a receiver has, and what it gets."""
    secret, keys, since, arrived, is_genuine = CASES[name]
    return show_secret(secret), signed_headers(keys, "evt_1", datetime.now(UTC) + since, BODY), arrived, is_genuine


@pytest.mark.parametrize("name", CASES)
def test_the_python_of_the_page_tells_what_is_genuine(name: str) -> None:
    secret, headers, arrived, is_genuine = message(name)
    shown: dict[str, Any] = {}
    exec(compile(snippet("python"), "docs/verifying-webhooks.md", "exec"), shown)  # noqa: S102 - our own page

    if is_genuine:
        shown["verify"](secret, headers, arrived)
    else:
        with pytest.raises(shown["NotOurs"]):
            shown["verify"](secret, headers, arrived)


NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="there is no node on this machine to run the JavaScript")
@pytest.mark.parametrize("name", CASES)
def test_the_javascript_of_the_page_tells_what_is_genuine(name: str, tmp_path: Path) -> None:
    secret, headers, arrived, is_genuine = message(name)
    module = tmp_path / "verify.mjs"
    module.write_text(snippet("javascript") + RUNNER)
    given = json.dumps({"secret": secret, "headers": headers, "body": arrived.hex()})

    said = subprocess.run([str(NODE), str(module)], input=given, capture_output=True, text=True, check=True).stdout.strip()

    assert (said == "genuine") is is_genuine, said
