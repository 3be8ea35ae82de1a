"""Copies from server to server: who is told of the other one, and shown its token."""

from collections.abc import Callable

import pytest

from ctadata_providers import CtaClient, CtaError, PermissionDeniedError
from tests.faults.acts import redirect, status
from tests.faults.cells import Told, assert_nothing_secret
from tests.faults.copied import COPY, HERE, PATH, THERE, Pair, pair, say
from tests.faults.scripted import Act, Door

__all__ = ["pair"]


def test_without_copy_hosts_no_server_is_told_of_the_other(
    pair: Pair, client_of: Callable[..., CtaClient], told: Told
) -> None:
    for here, there in (((), ("localhost",)), (("localhost",), ()), ((), ())):
        source = client_of(pair.source, token=HERE, copy_hosts=here)
        target = client_of(pair.target, token=THERE, copy_hosts=there)
        assert source.copy(PATH, COPY, to=target).way == "client"

    assert [*pair.source.requests("COPY"), *pair.target.requests("COPY")] == []
    assert_nothing_secret(told.text(), HERE, THERE)


def test_over_plain_http_no_server_is_told_of_the_other(
    pair: Pair, open_door: Callable[..., Door], client_of: Callable[..., CtaClient]
) -> None:
    plain = open_door(tls=False, folders={"/copies"})
    there = client_of(plain, copy_hosts=("localhost",))
    result = pair.here.copy(PATH, COPY, to=there)
    back = there.copy(COPY, "/night/back", to=pair.here)

    assert (result.way, back.way) == ("client", "client")
    assert [*pair.source.requests("COPY"), *plain.requests("COPY")] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("tls", [True, False])
def test_a_redirect_takes_the_tokens_only_to_hosts_that_are_named(
    pair: Pair, open_door: Callable[..., Door], host: str, tls: bool, told: Told
) -> None:
    other = open_door(tls=tls, folders={"/copies"})
    other.fault("COPY", say("success: Created\n"))
    pair.target.fault("COPY", redirect(f"{other.at(host)}{COPY}?x=1", 307))
    error: CtaError | None = None
    try:
        pair.copy()
    except CtaError as caught:
        error = caught
    reached = other.requests("COPY")

    assert bool(reached) is (tls and host == "localhost")
    # The token for the target itself goes to its own door alone.
    assert [r for r in reached if "authorization" in r.headers] == []
    assert [r.headers["transferheaderauthorization"] for r in reached] == [f"Bearer {HERE}"] * len(reached)
    assert_nothing_secret(told.text(*([error] if error else [])), HERE, THERE)


ECHOES: dict[str, Callable[[str], Act]] = {
    "the last line": lambda token: say(f"failure: rejected GET: 403 for {token} and {token[:15]} and Bearer {token}\n"),
    "a body": lambda token: status(403, body=f"no right with {token}".encode()),
    "a reason": lambda token: status(403, reason=f"no right with {token}"),
    "a server error": lambda token: status(500, body=f"status code 403 with {token}".encode()),
    "encoded": lambda token: say(f"failure: rejected GET: 403 authz=Bearer%20{token}\n"),
}


@pytest.mark.parametrize("token", [HERE, THERE])
@pytest.mark.parametrize("echo", [pytest.param(echo, id=name) for name, echo in ECHOES.items()])
def test_a_token_that_a_server_repeats_is_not_shown(
    pair: Pair, echo: Callable[[str], Act], token: str, told: Told
) -> None:
    pair.target.fault("COPY", echo(token))
    with pytest.raises(PermissionDeniedError) as caught:
        pair.copy()

    assert_nothing_secret(told.text(caught.value), HERE, THERE)


@pytest.mark.parametrize("server", ["Apache/2.4.71", "nginx", "who knows"])
def test_a_server_that_is_not_known_for_it_is_never_asked(pair: Pair, server: str) -> None:
    """Apache ignores the host in Destination: it would write the file to that path of its own, and be content."""
    pair.source.server = pair.target.server = server
    for door in (pair.source, pair.target):
        door.fault("COPY", status(201))
    result = pair.copy()

    assert (result.way, pair.left()) == ("client", {COPY: pair.payload})
    assert [*pair.source.requests("COPY"), *pair.target.requests("COPY")] == []
