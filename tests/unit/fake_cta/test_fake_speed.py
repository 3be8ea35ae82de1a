"""Large folders and large files: listed quickly, beside other clients, and not read for it."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, asking
from tests.unit.fake_cta.test_fake_propfind import CHECKSUMS, LOCALITY, D, body, parsed

FOLDERS, FILES = 10, 10_000
MANY = FOLDERS * FILES
ENTRIES_PER_SECOND = 10_000
"""50,000 were seen; a busy machine may have a fifth of that."""


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """Asks a FakeCta that serves very many files: one folder under many names, and one file in it under many."""
    root = tmp_path_factory.mktemp("crowded")
    folder = root / "folder"
    folder.mkdir()
    source = root / "source"
    source.touch()
    for number in range(FILES):
        os.link(source, folder / f"{number:06}.fits")
    (root / "many").mkdir()
    for number in range(FOLDERS):
        (root / "many" / f"{number}").symlink_to(folder)
    with FakeCta(root=root, bans=False) as cta, asking(cta) as ask:
        yield ask
    shutil.rmtree(root)  # pytest would keep it


def test_a_hundred_thousand_entries_are_listed_while_others_are_served(crowded: Asker) -> None:
    waits: list[float] = []
    done = threading.Event()

    def look_in() -> None:
        with asking(crowded.cta) as other:
            while not done.is_set():
                start = time.perf_counter()
                other("OPTIONS", "/", token=None)
                waits.append(time.perf_counter() - start)
                done.wait(0.02)

    thread = threading.Thread(target=look_in)
    question = body(
        f"{D}resourcetype", f"{D}getcontentlength", f"{D}getlastmodified", f"{D}getetag", CHECKSUMS, LOCALITY
    )
    start = time.process_time()
    thread.start()
    answer = crowded("PROPFIND", "/many", {"Depth": "infinity"}, data=question)
    seconds = time.process_time() - start
    done.set()
    thread.join()

    assert answer.content.count(b"<D:response>") == MANY + FOLDERS + 1
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert MANY / seconds > ENTRIES_PER_SECOND
    # The first is a TLS handshake; in the median nobody waits for more than a batch.
    assert len(waits) > 10
    assert sorted(waits)[len(waits) // 2] < 0.1


def test_a_listing_begins_before_it_ends(crowded: Asker) -> None:
    with crowded.session.request(
        "PROPFIND",
        f"{crowded.cta.door_url}/many",
        headers={"Authorization": f"Bearer {crowded.cta.token}", "Depth": "infinity"},
        stream=True,
        timeout=10,
    ) as answer:
        begin = next(answer.iter_content(10_000))

    assert begin.startswith(b"<?xml")
    assert b"<D:href>/many/</D:href>" in begin
    assert b"</D:multistatus>" not in begin


def test_a_large_foreign_file_is_not_read_for_a_listing(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(100 << 20)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(5 << 40)
    (tmp_path / "small").write_bytes(b"hello")
    with FakeCta(root=tmp_path) as cta, asking(cta) as ask:
        start = time.process_time()
        before = dict(checksums(ask))
        seconds = time.process_time() - start
        head = ask("HEAD", "/large", {"Want-Digest": "adler32"})
        after = dict(checksums(ask))

    assert before == {"/": None, "/large": None, "/huge": None, "/small": "adler32=062c0215"}
    assert after == before | {"/large": head.headers["Digest"]}
    assert seconds < 1


def checksums(ask: Asker) -> Iterator[tuple[str, str | None]]:
    """Yield href and checksums of the root and what is in it."""
    for href, found, _ in parsed(ask("PROPFIND", "/", {"Depth": "1"}, data=body(CHECKSUMS)).content):
        yield href, found[CHECKSUMS].text if CHECKSUMS in found else None


def test_it_is_up_in_a_tenth_of_a_second() -> None:
    with FakeCta():
        pass
    start = time.process_time()
    with FakeCta():
        seconds = time.process_time() - start

    assert seconds < 0.1
