"""How a secret may stand in a file: in clear, in hexadecimal, in base64 wherever it begins, grouped as people write it, in UTF-16."""

import base64
from pathlib import Path

CHUNK = 1 << 22


def spellings(secret: str) -> dict[str, bytes]:
    """Each way to write it, and its bytes. In base64 a text stands in one of three ways, by where it begins; the ends are left out,
    because they hang on what stands beside.
    """
    raw = secret.encode()
    found = {
        "in clear": raw,
        "in hexadecimal": raw.hex().encode(),
        "in HEXADECIMAL": raw.hex().upper().encode(),
        "in UTF-16": secret.encode("utf-16-le"),
        "backwards": raw[::-1],
    }
    for offset in range(3):
        padded = base64.b64encode(b"\0" * offset + raw + b"\0" * 3)
        inner = padded[-(-offset * 8 // 6) + (1 if offset else 0) : (offset + len(raw)) * 8 // 6]
        found[f"in base64 from {offset}"] = inner
        found[f"in URL-safe base64 from {offset}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    if secret.isdigit():
        groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
        found |= {"grouped by spaces": " ".join(groups).encode(), "grouped by dashes": "-".join(groups).encode()}
    return found


def found_in(content: bytes, secrets: dict[str, str]) -> set[str]:
    """Which secrets are in there, and how they are spelled."""
    return {
        f"{name} {how}" for name, secret in secrets.items() for how, spelling in spellings(secret).items() if spelling in content
    }


def found_in_files(folder: Path, secrets: dict[str, str]) -> set[str]:
    """The same of all files below a folder, in pieces that overlap."""
    overlap = max(len(each) for secret in secrets.values() for each in spellings(secret).values())
    found: set[str] = set()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        tail = b""
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                found |= {f"{path.relative_to(folder)}: {each}" for each in found_in(tail + piece, secrets)}
                tail = piece[-overlap:]
    return found
