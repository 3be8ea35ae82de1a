"""Checksums are asked for a few at a time, in a forked process, too."""

import os
import signal
import threading
from typing import Any

import pytest

from ctadata_providers import Config, CtaClient
from ctadata_providers.backends.asked_checksums import AT_ONCE, AskedChecksums
from ctadata_providers.session import Session
from ctadata_providers.testing import FakeCta

NOBODY = "https://localhost:1"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_the_questions_of_its_parent() -> None:
    checksums = AskedChecksums(Session(Config(door_url=NOBODY, token="secret-token-of-test", retries=0)))
    asking, forked = threading.Barrier(AT_ONCE + 1), threading.Event()

    def ask() -> None:
        with checksums.place():
            asking.wait(10)
            forked.wait(10)

    threads = [threading.Thread(target=ask) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    asking.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        try:
            told = checksums.ask(f"{NOBODY}/f", "/f", "adler32")
        except BaseException:  # noqa: BLE001 (a forked test must end here)
            os._exit(1)
        os._exit(7 if told == {} else 2)
    forked.set()
    for thread in threads:
        thread.join()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_one_unavailable_answer_does_not_end_the_questions(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/f", b"x")
    settings: dict[str, Any] = {**fake_cta.settings(), "retries": 0}
    with CtaClient(Config(**settings)) as client:
        fake_cta.faults.add("unavailable", path="/lst/f", method="HEAD", times=1)
        backend: Any = client._backend
        first = backend.checksum("/lst/f", "adler32")
        second = backend.checksum("/lst/f", "adler32")

    assert first == {}
    assert second == {"adler32": "00790079"}
