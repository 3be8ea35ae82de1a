"""What the end of a process waits for."""

import threading
import time

from ctadata_providers import exits


def test_a_thread_that_is_added_while_the_process_ends_is_waited_for_too() -> None:
    done: list[str] = []

    def second() -> None:
        time.sleep(0.1)
        done.append("second")

    def first() -> None:
        time.sleep(0.05)
        later = threading.Thread(target=second)
        later.start()
        exits.wait_at_exit(later)
        done.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    exits.wait_at_exit(thread)

    exits._join()

    assert done == ["first", "second"]
