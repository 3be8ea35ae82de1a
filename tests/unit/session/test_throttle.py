"""A ceiling on bytes a second."""

import time
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, ConfigError, CtaClient
from ctadata_providers.session.limits import BURST_SECONDS, Throttle, throttle
from ctadata_providers.testing import FakeCta


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_has_passed_is_waited_for() -> None:
    clock = Clock()
    limit = Throttle(1000, clock=clock)
    before = limit.delay()
    limit.passed(500)
    after = limit.delay()
    clock.now += after

    assert before == 0
    assert after == pytest.approx(0.5 - BURST_SECONDS)
    assert limit.delay() == 0


def test_a_pause_gives_no_more_than_a_burst() -> None:
    clock = Clock()
    limit = Throttle(1000, clock=clock)
    clock.now += 3600
    limit.passed(1000)

    assert limit.delay() == pytest.approx(1 - BURST_SECONDS)


def test_pieces_are_small_where_the_limit_is() -> None:
    assert Throttle(10).piece < 10_000
    assert Throttle(10_000_000).piece == 1_000_000


def test_all_transfers_of_a_process_share_it() -> None:
    assert throttle(1.5e6) is throttle(1.5e6)
    assert throttle(None) is None


@pytest.mark.parametrize(("text", "rate"), [("500", 500), ("10k", 10240), ("1.5M", 1572864), ("2G", 2 * 1024**3)])
def test_rates_are_written_as_for_curl(text: str, rate: float) -> None:
    assert Config(limit_rate=text).limit_rate == rate  # type: ignore[arg-type]  # settings may be texts


@pytest.mark.parametrize("text", ["", "0", "-1", "10MB", "fast", "1e999"])
def test_other_rates_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="limit_rate"):
        Config(limit_rate=text)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("size", [400_000, 3_000_000])
def test_transfers_keep_to_it_in_both_directions(fake_cta: FakeCta, tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(bytes(size))
    settings: dict[str, Any] = {**fake_cta.settings(), "limit_rate": 4 * size}
    with CtaClient(Config(**settings)) as client:
        begun = time.monotonic()
        client.upload(tmp_path / "f", "lst/f")
        between = time.monotonic()
        client.download("lst/f", tmp_path / "g")
        ended = time.monotonic()

    least = 0.25 - BURST_SECONDS - 0.05
    assert between - begun > least
    assert ended - between > least
    assert (tmp_path / "g").read_bytes() == bytes(size)
