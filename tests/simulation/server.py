"""A PostgreSQL of the command's own, thrown away in the end."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.embedded.postgres import TEST_SETTINGS, EmbeddedPostgres
from tests.databases import make_template


@contextmanager
def throwaway_server() -> Iterator[str]:
    """Its superuser's URL, with the migrated template in it."""
    folder = Path(tempfile.mkdtemp(prefix="partner-api-simulation-"))
    folder.chmod(0o711)  # PostgreSQL's account has to pass when this is root
    server = EmbeddedPostgres(folder, settings=TEST_SETTINGS)
    try:
        server.start()
        asyncio.run(make_template(server.url))
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
