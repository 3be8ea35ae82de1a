"""The switchboard: names, paths, counts, options."""

import math
from typing import Any, get_args

import pytest

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import FakeCta, FaultName, Faults
from ctadata_providers.testing.fault_kinds import KINDS, Options
from tests.unit.fake_cta.conftest import Asker


def test_every_name_is_explained_and_takes_known_options() -> None:
    options = {option for kind in KINDS.values() for option in kind.takes}

    assert set(KINDS) == set(get_args(FaultName))
    assert all(kind.does and kind.servers for kind in KINDS.values())
    assert options == set(Options.__slots__)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "rest"}, "unknown fault 'rest'; use one of unauthorized, forbidden, .*, broken-listing"),
        ({"name": "reset", "afterr": 1}, "'reset' has no option 'afterr'; its options are: after"),
        ({"name": "forbidden", "after": 1}, "'forbidden' has no option 'after'; its options are: none"),
        ({"name": "stall", "seconds": "long"}, "seconds of 'stall' must be of type float"),
        ({"name": "reset", "after": True}, "after of 'reset' must be of type int"),
        ({"name": "reset", "after": -1}, "after of 'reset' must be 0 or more"),
        ({"name": "redirect-to"}, "'redirect-to' needs the option to"),
        ({"name": "redirect-to", "to": "other.host"}, "'redirect-to' needs the option to"),
        ({"name": "expired-url", "server": "door"}, "'expired-url' is no fault of 'door'; use pool"),
        ({"name": "broken-listing", "method": "GET"}, "GET never meets 'broken-listing'; use PROPFIND"),
        ({"name": "forbidden", "times": 0}, "'forbidden' cannot strike 0 times"),
        ({"name": "forbidden", "times": 1.5}, "'forbidden' cannot strike 1.5 times"),
        ({"name": "forbidden", "times": True}, "'forbidden' cannot strike True times"),
        ({"name": "forbidden", "path": "lst/**"}, "'lst/\\*\\*' is the path of nothing"),
        ({"name": "forbidden", "path": ""}, "'' is the path of nothing"),
        ({"name": "forbidden", "path": 5}, "5 is the path of nothing"),
        ({"name": "forbidden", "method": "FETCH"}, "'FETCH' is no method"),
        ({"name": "forbidden", "method": ""}, "'' is no method"),
        ({"name": "slow", "rate": 0}, "rate of 'slow' must be 1 or more"),
        ({"name": "server-error", "status": 200}, "status of 'server-error' must be 400 to 599"),
        ({"name": "late-visibility", "status": 9999}, "status of 'late-visibility' must be 400 to 599"),
        ({"name": "stall", "seconds": -1}, "seconds of 'stall' must be 0 or more"),
        ({"name": "nearline", "seconds": math.nan}, "seconds of 'nearline' must be a number"),
        ({"name": "unavailable", "retry_after": math.inf}, "retry_after of 'unavailable' must be finite"),
        ({"name": "longer-body", "by": -3}, "by of 'longer-body' must be 1 or more"),
        ({"name": "wrong-size", "by": 0}, "by of 'wrong-size' must not be 0"),
        ({"name": "redirect-to", "to": "https://"}, "'redirect-to' needs the option to"),
        ({"name": "redirect-to", "to": "https://other.host/folder"}, "'redirect-to' needs the option to"),
        ({"name": "redirect-to", "to": 5}, "to of 'redirect-to' must be of type str"),
    ],
)
def test_what_means_nothing_is_refused_with_what_is_known(arguments: dict[str, Any], message: str) -> None:
    faults = Faults()

    with pytest.raises(ConfigError, match=message):
        faults.add(**arguments)
    assert len(faults) == 0


@pytest.mark.parametrize(
    ("pattern", "met", "spared"),
    [
        ("/**", ["/", "/a", "/a/b/c"], []),
        ("/lst/**", ["/lst", "/lst/a", "/lst/a/b"], ["/", "/lstx", "/x/lst/a"]),
        ("/lst/*.fits", ["/lst/a.fits"], ["/lst/a/b.fits", "/lst/a.fit", "/lst/afits"]),
        ("/**/x", ["/a/x", "/a/b/x"], ["/a/xy"]),
        ("/a[1]?+", ["/a[1]?+"], ["/a1", "/a1b"]),
    ],
)
def test_a_path_pattern_meets_what_it_says(pattern: str, met: list[str], spared: list[str]) -> None:
    faults = Faults()
    faults.add("forbidden", path=pattern)

    assert [path for path in met + spared if faults.meeting("door", "GET", path)] == met


def test_it_strikes_so_many_times_and_counts(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    fault = fake_cta.faults.add("server-error", times=2)
    statuses = [ask("PROPFIND", "/x").status_code for _ in range(4)]

    assert statuses == [500, 500, 207, 207]
    assert fault.hits == 2
    assert repr(fault) == "<Fault server-error /** hits=2>"


def test_requests_at_once_do_not_get_more_of_it_than_there_is() -> None:
    faults = Faults()
    fault = faults.add("forbidden", times=1)
    both = [faults.meeting("door", "GET", "/x") for _ in range(2)]

    assert both == [[fault], [fault]]
    assert [fault.strike(), fault.strike()] == [True, False]
    assert fault.hits == 1
    assert faults.meeting("door", "GET", "/x") == []


def test_method_and_server_narrow_it(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    fake_cta.faults.add("forbidden", method="head")
    fake_cta.faults.add("unavailable", server="pool")
    head, get = ask("HEAD", "/x"), ask("GET", "/x")
    at_pool = ask.at("GET", get.headers["Location"])

    assert (head.status_code, get.status_code) == (403, 302)
    assert (at_pool.status_code, at_pool.reason, at_pool.content) == (503, "Door is shutting down", b"")


def test_a_with_block_switches_it_off_again(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    with fake_cta.fault("not-found", path="/x") as fault:
        during = ask("GET", "/x").status_code
    after = ask("GET", "/x").status_code

    assert (during, after, fault.hits) == (404, 302, 1)
    assert list(fake_cta.faults) == []


@pytest.mark.parametrize(
    ("text", "option", "value"),
    [
        ("reset:path=/d/**,method=get,times=3,after=1000", "after", 1000),
        ("slow:rate=5", "rate", 5),
        ("stall:seconds=0.5", "seconds", 0.5),
        ("truncate:announced=false", "announced", False),
        ("pool-down:refused=True", "refused", True),
        ("redirect-to:to=https://other.host:2880", "to", "https://other.host:2880"),
        ("forbidden", "after", 0),
    ],
)
def test_a_fault_can_be_written_as_text(text: str, option: str, value: object) -> None:
    fault = Faults().add_text(text)

    assert fault.name == text.partition(":")[0]
    assert getattr(fault.options, option) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rest", "unknown fault 'rest'"),
        ("reset:after", "'after' of the fault 'reset' is no argument=value"),
        ("reset:after=x", "after cannot be 'x'"),
        ("truncate:announced=maybe", "announced cannot be 'maybe'"),
        ("reset:colour=red", "'reset' has no option 'colour'"),
    ],
)
def test_a_fault_that_is_written_wrongly_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Faults().add_text(text)


def test_remove_clear_and_reset_switch_off(fake_cta: FakeCta) -> None:
    faults = [fake_cta.faults.add("forbidden") for _ in range(3)]
    fake_cta.faults.remove(faults[1])
    fake_cta.faults.remove(faults[1])
    left = list(fake_cta.faults)
    fake_cta.faults.clear()
    cleared = len(fake_cta.faults)
    fake_cta.faults.add("forbidden")
    fake_cta.reset()

    assert left == [faults[0], faults[2]]
    assert (cleared, len(fake_cta.faults)) == (0, 0)


def test_several_act_together_and_in_their_order(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"hello")
    location = ask.redirected("GET", "/x")
    fake_cta.faults.add("corrupt", after=1)
    fake_cta.faults.add("longer-body", by=2)
    answer = ask.at("GET", location)

    assert answer.content == b"hdllo\0\0"


@pytest.mark.parametrize(
    ("name", "options", "status", "retry_after"),
    [
        ("unauthorized", {}, 401, None),
        ("forbidden", {}, 403, None),
        ("not-found", {}, 404, None),
        ("too-many-requests", {}, 429, None),
        ("too-many-requests", {"retry_after": 7}, 429, "7"),
        ("server-error", {}, 500, None),
        ("server-error", {"status": 502}, 502, None),
        ("unavailable", {"retry_after": 0}, 503, "0"),
    ],
)
def test_statuses(
    fake_cta: FakeCta, ask: Asker, name: FaultName, options: dict[str, Any], status: int, retry_after: str | None
) -> None:
    fake_cta.put("/x", b"")
    fake_cta.faults.add(name, **options)
    answer = ask("GET", "/x")

    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, retry_after)
    assert answer.text.count("\n") == 1


def test_no_space_meets_uploads_only(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.faults.add("no-space")
    put = ask("PUT", "/x", data=b"1")
    listing = ask("PROPFIND", "/")

    assert (put.status_code, listing.status_code) == (507, 207)
    assert "quota-not-exceeded" in put.text
