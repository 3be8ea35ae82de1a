"""How many streams: as many as help, on lines that are simulated."""

from collections.abc import Callable

import pytest

from ctadata_providers.transfer.parts.ramp import MOST_STREAMS, Ramp

MB = 1_000_000


class Line:
    """A line and the streams on it.

    Args:
        size: Bytes to bring.
        rate: Bytes a second of a number of streams.
        streams: What the user wants.
        delay: Seconds from the start of a stream to its first byte.
    """

    def __init__(
        self, size: int, rate: Callable[[int], float], *, streams: int | None = None, delay: float = 0.1
    ) -> None:
        self.now = 0.0
        self.ramp = Ramp(streams, size, clock=lambda: self.now)
        self.size, self.rate, self.delay = size, rate, delay
        self.received = 0.0
        self.begun: list[float] = []
        self.most = 0

    def run(self) -> "Line":
        while self.received < self.size:
            self.begun = self.begun[: self.ramp.wanted]
            while len(self.begun) < self.ramp.wanted:
                self.begun.append(self.now + self.delay)
            self.most = max(self.most, len(self.begun))
            running = sum(at <= self.now for at in self.begun)
            self.received += self.rate(running) * 0.02 if running else 0
            self.now += 0.02
            self.ramp.tick(int(self.received), [at <= self.now for at in self.begun])
        return self


def test_a_line_that_caps_each_connection_gets_all_streams_soon() -> None:
    line = Line(1000 * MB, lambda n: n * 10e6).run()

    assert line.ramp.wanted == MOST_STREAMS
    assert line.now < 1000 / 80 * 1.06


@pytest.mark.parametrize("rate", [5e6, 50e6, 124e6])
def test_a_line_whose_sum_is_capped_goes_back_to_one(rate: float) -> None:
    line = Line(2000 * MB, lambda n: rate).run()

    assert line.ramp.wanted == 1


def test_a_line_whose_sum_is_capped_at_two_keeps_few() -> None:
    line = Line(2000 * MB, lambda n: min(n, 2) * 20e6).run()

    assert 2 <= line.ramp.wanted <= 4


def test_one_stream_that_is_fast_stays_alone() -> None:
    line = Line(2000 * MB, lambda n: n * 200e6).run()

    assert line.most == 1


@pytest.mark.parametrize(("size", "rate"), [(30 * MB, 1e6), (60 * MB, 60e6)])
def test_what_is_small_or_soon_done_stays_with_one(size: int, rate: float) -> None:
    line = Line(size, lambda n: n * rate).run()

    assert line.most == 1


def test_what_takes_a_while_is_doubled() -> None:
    line = Line(200 * MB, lambda n: n * 60e6).run()

    assert line.most in (2, 4)


@pytest.mark.parametrize("streams", [1, 3, 20])
def test_a_number_of_the_user_is_taken_from_the_start(streams: int) -> None:
    line = Line(20 * MB, lambda n: n * 10e6, streams=streams).run()

    assert line.most == line.ramp.wanted == streams


def test_fewer_stay_fewer() -> None:
    line = Line(1000 * MB, lambda n: n * 10e6)
    line.ramp.fewer(0)
    line.run()

    assert line.most == 1


def test_a_line_that_stands_still_for_a_while_gets_no_more_for_it() -> None:
    ramp_now = 0.0
    ramp = Ramp(None, 1000 * MB, clock=lambda: ramp_now)
    for _ in range(100):
        ramp_now += 0.05
        ramp.tick(5 * MB, [True])

    assert ramp.wanted == 1


def test_a_stream_that_never_begins_does_not_stop_the_others() -> None:
    now = 0.0
    ramp = Ramp(None, 1000 * MB, clock=lambda: now)
    received = 0
    for _ in range(400):
        now += 0.02
        received += 400_000
        ramp.tick(received, [True] + [False] * (ramp.wanted - 1))

    assert ramp.wanted == 1  # the sum has not grown
