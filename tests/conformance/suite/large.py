"""A file above 4 GiB, where 32 bits end."""

from typing import Protocol, runtime_checkable

from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage

SIZE = 5 * 1024**3
END = b"the end"


@runtime_checkable
class SparseStorage(Protocol):
    """A storage that takes a large file without its bytes."""

    def put_sparse(self, path: str, size: int, last: bytes) -> None:
        """Store a file of zeros that ends in some bytes."""


@feature(Feature.HUGE, of_servers=True)
def test_a_file_of_5_gib_tells_its_size_and_gives_its_last_bytes(storage: Storage, folder: str) -> None:
    assert isinstance(storage, SparseStorage)
    storage.put_sparse(f"{folder}/big", SIZE, END)
    backend = storage.backend()
    pieces: list[bytes] = []
    size = backend.stat(f"{folder}/big").size
    listed = [info.size for info in backend.list_dir(folder)]
    result = backend.read(f"{folder}/big", pieces.append, start=SIZE - len(END), end=SIZE).result(60)
    to_the_end: list[bytes] = []
    backend.read(f"{folder}/big", to_the_end.append, start=SIZE - 1).result(60)
    backend.close()

    assert size == SIZE
    assert listed == [SIZE]
    assert b"".join(pieces) == END
    assert b"".join(to_the_end) == END[-1:]
    assert result.size == SIZE
