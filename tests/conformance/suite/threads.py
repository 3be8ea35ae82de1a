"""One client, many threads."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ctadata_providers import AlreadyExistsError, CtaClient
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage

THREADS = 16


@feature(Feature.THREADS)
def test_sixteen_threads_share_one_client(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    data = [os.urandom(1000 + 1000 * number) for number in range(THREADS + 4)]

    def work(number: int) -> bytes:
        sent, received, path = local / f"s{number}", local / f"r{number}", f"{folder}/{number % 4}/{number}/f"
        sent.write_bytes(data[number])
        client.upload(sent, path)
        client.download(path, received)
        assert [info.path for info in client.list_dir(f"{folder}/{number % 4}/{number}")] == [path]
        return received.read_bytes()

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(work, range(len(data))))

    assert results == data
    assert storage.tree(folder) == {f"{number % 4}/{number}/f": data[number] for number in range(len(data))}


@feature(Feature.THREADS)
def test_sixteen_threads_move_and_remove_with_one_client(storage: Storage, client: CtaClient, folder: str) -> None:
    def work(number: int) -> None:
        path = f"{folder}/{number % 4}/{number}/f"
        client.move(path, f"{path}.moved")
        client.remove(f"{path}.moved")

    for number in range(THREADS + 4):
        storage.put(f"{folder}/{number % 4}/{number}/f", b"1")
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS + 4)))

    assert storage.tree(folder) == {}


@feature(Feature.RACE)
def test_of_many_that_may_not_replace_at_most_one_wins(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    for number in range(8):
        (local / str(number)).write_bytes(str(number).encode() * 1000)

    def work(number: int) -> int | None:
        try:
            client.upload(local / str(number), f"{folder}/f", overwrite=False)
        except AlreadyExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(work, range(8)) if number is not None]

    assert len(winners) == 1
    assert storage.tree(folder) == {"f": str(winners[0]).encode() * 1000}


@feature(Feature.THREADS)
def test_a_fresh_client_is_opened_once_by_many_threads(storage: Storage, folder: str) -> None:
    storage.put(f"{folder}/f", b"123")
    with storage.client() as fresh, ThreadPoolExecutor(THREADS) as pool:
        sizes = list(pool.map(lambda _: fresh.stat(f"{folder}/f").size, range(2 * THREADS)))

    assert sizes == [3] * (2 * THREADS)


@feature(Feature.THREADS)
def test_a_closed_client_can_be_used_again(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", b"123")
    client.stat(f"{folder}/f")
    client.close()
    client.close()

    assert client.stat(f"{folder}/f").size == 3
