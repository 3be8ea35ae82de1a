"""The local end of an upload, read once more for a checksum that the server has alone."""

import hashlib
import threading
from concurrent.futures import CancelledError
from io import BytesIO
from pathlib import Path

import pytest

from ctadata_providers.errors import IntegrityError
from ctadata_providers.session.tasks import run, spawn
from ctadata_providers.transfer.held import HeldSource
from ctadata_providers.transfer.sources import LocalSource

CONTENT = b"events" * 1000


class Slow(BytesIO):
    """Gives one byte at a time, the first one when it may."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.asked, self.may = threading.Event(), threading.Event()
        self.reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        self.asked.set()
        self.may.wait(10)
        return super().read(1)


def test_what_is_read_again_is_left_alone_before_a_cancellation_has_ended() -> None:
    file = Slow(CONTENT)
    reading = spawn(HeldSource(file, "/night/events.fits", "adler32", None).reread("md5"))
    assert file.asked.wait(10)

    reading.cancel()

    assert not reading.done()  # else its file would be closed, or used by another, while a thread reads it
    file.may.set()
    with pytest.raises(CancelledError):
        reading.result(10)
    assert file.reads == 1


@pytest.mark.parametrize("content", [CONTENT + b"!", CONTENT[:-1]], ids=["longer", "shorter"])
def test_a_file_that_changes_before_it_is_read_again_is_told_so(content: bytes, tmp_path: Path) -> None:
    local = tmp_path / "events.fits"
    local.write_bytes(CONTENT)
    source = LocalSource(local, algorithm="adler32", progress=None)
    while source.read(1000):
        pass
    assert run(source.reread("md5")) == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()

    local.write_bytes(content)

    with pytest.raises(IntegrityError, match="changed while it was uploaded"):
        run(source.reread("md5"))
    source.close()
