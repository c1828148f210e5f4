"""Many clients over real WebSockets, and one that does not read: small forms of bench/clients.py."""

import asyncio

import pytest

from bench.clients import measure, web_alone
from tests.servers import fresh_database

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with fresh_database(tmp_path_factory.mktemp("clients")) as url, web_alone(url) as stack:
        yield stack


def test_every_client_receives_every_event_once_and_in_order(web):
    found = asyncio.run(measure(web, clients=20, count=100, rate=50))

    assert [heard.numbers for heard in found.heard] == [list(range(100))] * 20
    assert sum(heard.reloads for heard in found.heard) == 0


def test_a_client_that_does_not_read_costs_neither_memory_nor_anybody_elses_events(web):
    told, letters = 800, 80_000  # 64 MB, of which a client's share is one, and what the kernel keeps of it
    warm = asyncio.run(measure(web, clients=1, count=100, rate=0, filler=letters))
    found = asyncio.run(measure(web, clients=1, silent=3, count=told, rate=0, filler=letters))

    assert found.web_mb - warm.web_mb < 35
    (heard,) = found.heard
    assert heard.numbers == list(range(told)) or heard.reloads
