"""One site for all tests of a worker of the suite: what lives on is started once."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.crash.site import Site
from tests.databases import drop_database, make_database


@pytest.fixture(scope="session")
def site(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A bank, an API, a worker and a database."""
    urls = asyncio.run(make_database(postgres_url))
    made = Site(urls, tmp_path_factory.mktemp("site"))
    yield made
    made.close()
    asyncio.run(drop_database(postgres_url, urls))
