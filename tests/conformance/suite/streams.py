"""A large file in several streams, and one that goes on where it stopped."""

import os
from pathlib import Path

import pytest

from ctadata_providers import TransientError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage, names_in
from tests.conformance.suite.interruptions import CutAfter

SIZE = 24 * 1024 * 1024


class CutAgainAndAgain(CutAfter):
    """A progress callback that cuts the wire after some bytes, and then whenever more have passed."""

    def __call__(self, passed: int) -> None:
        self._done = False
        super().__call__(passed)


@feature(Feature.STREAMS, of_servers=True)
@pytest.mark.parametrize("streams", [2, 8])
def test_a_file_comes_whole_in_several_streams(storage: Storage, folder: str, local: Path, streams: int) -> None:
    data = os.urandom(SIZE)
    storage.put(f"{folder}/f", data)
    with storage.client(streams=str(streams)) as client:
        result = client.download(f"{folder}/f", local / "f")

    assert (result.streams, result.retries) == (streams, 0)
    assert (local / "f").read_bytes() == data
    assert names_in(local) == ["f"]


@feature(Feature.STREAMS, of_servers=True)
def test_several_streams_survive_a_cut_wire(storage: Storage, folder: str, local: Path) -> None:
    data = os.urandom(SIZE)
    storage.put(f"{folder}/f", data)
    with storage.client(streams="4") as client:
        client.download(f"{folder}/f", local / "f", progress=CutAfter(SIZE // 4))

    assert (local / "f").read_bytes() == data
    assert names_in(local) == ["f"]


@feature(Feature.RESUMED, of_servers=True)
@pytest.mark.parametrize("streams", [1, 4])
def test_the_next_run_goes_on_where_the_last_one_was_cut(
    storage: Storage, folder: str, local: Path, streams: int
) -> None:
    data = os.urandom(SIZE)
    storage.put(f"{folder}/f", data)
    with (
        storage.client(retries="0", streams=str(streams)) as hasty,
        pytest.raises(TransientError, match="run it again"),
    ):
        hasty.download(f"{folder}/f", local / "f", progress=CutAgainAndAgain(SIZE // 3))
    left = names_in(local)
    passed: list[int] = []
    with storage.client(streams="2") as client:
        result = client.download(f"{folder}/f", local / "f", progress=passed.append)

    assert len(left) == 2
    assert result.resumed >= SIZE // 4
    assert passed[0] == result.resumed
    assert sum(passed) == SIZE
    assert (local / "f").read_bytes() == data
    assert names_in(local) == ["f"]
