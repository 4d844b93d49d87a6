"""What lives on is started once for all tests of a process of the suite."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.embedded.postgres import TEST_SETTINGS, EmbeddedPostgres
from tests.crash.nursery import Nursery
from tests.crash.site import Site
from tests.databases import drop_database, make_database, make_template


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where processes come from."""
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def site(lasting_site: Site) -> Iterator[Site]:
    """The site, for one test."""
    yield lasting_site
    lasting_site.clear_away()


@pytest.fixture
def fragile_site(lasting_fragile_site: Site) -> Iterator[Site]:
    """The fragile site, for one test."""
    yield lasting_fragile_site
    lasting_fragile_site.clear_away()


@pytest.fixture(scope="session")
def lasting_site(nursery: Nursery, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A bank, an API, a worker and a database."""
    with _site(nursery, postgres_url, tmp_path_factory.mktemp("site")) as made:
        assert made.api.is_alive and made.worker.is_alive  # started now, so that they are there when the first ones die
        yield made


@pytest.fixture(scope="session")
def lasting_fragile_site(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site on a server of its own, which may be killed: what it has said to be committed is so, unlike in the suite's."""
    folder = Path(tempfile.mkdtemp(prefix="partner-api-crash-"))
    server = EmbeddedPostgres(folder, settings={**TEST_SETTINGS, "synchronous_commit": "on"})
    try:
        server.start()
        asyncio.run(make_template(server.url))
        with _site(nursery, server.url, tmp_path_factory.mktemp("fragile-site")) as made:
            yield made
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _site(nursery: Nursery, server_url: str, folder: Path) -> Iterator[Site]:
    urls = asyncio.run(make_database(server_url))
    made = Site(nursery, urls, folder)
    try:
        yield made
        asyncio.run(made.verify())
    finally:
        made.close()
        asyncio.run(drop_database(server_url, urls))
