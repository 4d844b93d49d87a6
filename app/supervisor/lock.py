"""One `up` per data folder, and no `dev.py clean` under a checkout that runs."""

import fcntl
import os
from pathlib import Path


class AlreadyRunningError(Exception):
    """Another `up` works with the same data."""

    def __init__(self, data: Path, pid: str) -> None:
        super().__init__(
            f"Another partner-api{f', process {pid},' if pid else ''} is running with the data in {data}. "
            "Stop it, or choose another folder with --data."
        )


class DataLock:
    """Held from construction to `release()`, or to the end of the process however that comes.

    Raises AlreadyRunningError.
    """

    def __init__(self, data: Path) -> None:
        self._file = os.open(data / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._file, 20).decode().strip()
            os.close(self._file)
            raise AlreadyRunningError(data, pid) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Lets others in. The file stays: removing it would let two others hold a lock of the same name."""
        os.close(self._file)


def checkout() -> Path | None:
    """The checkout that this runs from; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "dev.py").exists() else None


def mark_checkout_as_used() -> None:
    """Shares a lock on the checkout's folder for the rest of this process; `dev.py clean` asks for all of it."""
    if root := checkout():
        fcntl.flock(os.open(root, os.O_RDONLY), fcntl.LOCK_SH)
