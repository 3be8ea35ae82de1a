"""Third-party copies between real XRootD servers, and with a manager that hands them on."""

import itertools
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ctadata_providers import AlreadyExistsError, CopyResult, CtaClient, NotFoundError, PermissionDeniedError
from tests.real.conftest import NEWER, connect, tree
from tests.servers.apache import apache
from tests.servers.nginx import nginx
from tests.servers.pki import Pki
from tests.servers.server import Server
from tests.servers.tokens import TokenIssuer
from tests.servers.xrootd import xrootd
from tests.servers.xrootd_cluster import xrootd_cluster
from tests.servers.xrootd_installation import OWN, Installation

pytestmark = pytest.mark.real

INSTALLATIONS = {"own": OWN, **({"newer": NEWER} if NEWER else {})}
HOSTS = "localhost,127.0.0.1"
_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=INSTALLATIONS)
def installation(request: pytest.FixtureRequest) -> Installation:
    """One XRootD after the other."""
    return INSTALLATIONS[request.param]


@pytest.fixture(scope="module")
def one(pki: Pki, issuer: TokenIssuer, installation: Installation) -> Iterator[Server]:
    """A server."""
    with xrootd("token", pki=pki, issuer=issuer, installation=installation) as server:
        yield server


@pytest.fixture(scope="module")
def other(pki: Pki, issuer: TokenIssuer, installation: Installation) -> Iterator[Server]:
    """Another one."""
    with xrootd("token", pki=pki, issuer=issuer, installation=installation) as server:
        yield server


@pytest.fixture(scope="module")
def idle(pki: Pki, issuer: TokenIssuer, installation: Installation) -> Iterator[Server]:
    """One that copies nothing by itself."""
    with xrootd("token", pki=pki, issuer=issuer, copies=False, installation=installation) as server:
        yield server


@pytest.fixture
def folder() -> str:
    """A remote folder of the test's own; not made yet."""
    return f"/copies/{next(_numbers)}"


@dataclass
class Copier:
    """Copies between servers with clients that may do everything, but for what a test says."""

    folder: str

    def __call__(
        self,
        source: Server,
        target: Server,
        names: tuple[str, str] = ("a", "b"),
        *,
        here: dict[str, str] | None = None,
        there: dict[str, str] | None = None,
        **options: Any,
    ) -> CopyResult:
        with self.client(source, here) as source_client, self.client(target, there) as target_client:
            paths = [f"{self.folder}/{name}" for name in names]
            return source_client.copy(*paths, to=target_client, **options)

    def client(self, server: Server, settings: dict[str, str] | None = None) -> CtaClient:
        return connect(server, **{"copy_hosts": HOSTS, **(settings or {})})  # type: ignore[return-value]  # it is one


@pytest.fixture
def copy(folder: str) -> Copier:
    """Copies files of the test's folder."""
    return Copier(folder)


def files(server: Server, folder: str) -> dict[str, bytes]:
    """What a server has below a folder."""
    return tree(server.root / folder.lstrip("/"))


def test_a_file_is_pulled_and_no_byte_passes_here(
    one: Server, other: Server, folder: str, copy: Copier, caplog: pytest.LogCaptureFixture
) -> None:
    data = os.urandom(5_000_000)
    one.put(f"{folder}/a", data)
    tokens = [server.make_token() for server in (one, other) if server.make_token]
    seen: list[int] = []
    with caplog.at_level(logging.DEBUG):
        settings = [{"token": token} for token in tokens]
        result = copy(one, other, ("a", "new/sub/b"), here=settings[0], there=settings[1], progress=seen.append)

    assert (result.way, result.size, sum(seen)) == ("pull", len(data), len(data))
    assert "adler32" in result.checksums
    assert files(other, folder) == {"new/sub/b": data}
    assert [token for token in tokens if token in caplog.text] == []


def test_a_file_is_pushed_where_the_target_does_not_pull(one: Server, idle: Server, folder: str, copy: Copier) -> None:
    one.put(f"{folder}/a", b"data" * 1000)
    result = copy(one, idle)
    back = copy(idle, one, ("b", "back"))

    assert (result.way, back.way) == ("push", "pull")
    assert files(idle, folder) == {"b": b"data" * 1000}
    assert files(one, folder) == {"a": b"data" * 1000, "back": b"data" * 1000}


def test_apache_and_nginx_are_pulled_from_and_pushed_to_and_never_asked_to_copy(
    pki: Pki, one: Server, idle: Server, folder: str, copy: Copier
) -> None:
    """Apache ignores the host in Destination: asked to push, it writes the file to that path of its own."""
    for start in (apache, nginx):
        with start(pki=pki) as source:
            source.put(f"{folder}/a", b"data")
            ways = [copy(source, target, ("a", source.name)).way for target in (one, idle)]
            back = copy(one, source, (source.name, "back")).way
            asked = source.log.read_text() if source.log else ""
            stored = files(source, folder)

        assert "COPY" not in asked
        assert (ways, back) == (["pull", "client"], "push")
        assert stored == {"a": b"data", "back": b"data"}
        assert files(one, folder)[source.name] == files(idle, folder)[source.name] == b"data"


def test_where_neither_copies_it_goes_through_here(idle: Server, folder: str, copy: Copier) -> None:
    idle.put(f"{folder}/a", b"data")
    result = copy(idle, idle)

    assert result.way == "client"
    assert files(idle, folder) == {"a": b"data", "b": b"data"}


@pytest.mark.parametrize("hosts", [("", HOSTS), (HOSTS, ""), ("", "")])
def test_without_leave_nobody_is_told_of_the_other(
    one: Server, other: Server, folder: str, copy: Copier, hosts: tuple[str, str]
) -> None:
    one.put(f"{folder}/a", b"data")
    here, there = ({"copy_hosts": names} for names in hosts)
    result = copy(one, other, here=here, there=there)

    assert result.way == "client"
    assert files(other, folder) == {"b": b"data"}


@pytest.mark.parametrize("scope", ["storage.read:/", "storage.create:/other storage.read:/"])
def test_without_a_right_at_the_target_it_is_an_error(
    one: Server, other: Server, idle: Server, folder: str, copy: Copier, scope: str
) -> None:
    one.put(f"{folder}/a", b"data")
    for target in (other, idle):  # which would pull, and be pushed to
        assert target.make_token
        with pytest.raises(PermissionDeniedError):
            copy(one, target, there={"token": target.make_token(scope=scope)})

        assert files(target, folder) == {}


def test_without_a_right_at_the_source_it_is_an_error(one: Server, other: Server, folder: str, copy: Copier) -> None:
    one.put(f"{folder}/a", b"data")
    with copy.client(one) as client:
        info = client.stat(f"{folder}/a")
    assert one.make_token
    with pytest.raises(PermissionDeniedError):
        copy(one, other, here={"token": one.make_token(scope="storage.read:/other")}, info=info)

    assert files(other, folder) == {}


def test_a_missing_source_is_told_before_and_while_it_is_copied(
    one: Server, other: Server, folder: str, copy: Copier
) -> None:
    one.put(f"{folder}/a", b"data")
    with copy.client(one) as client:
        info = client.stat(f"{folder}/a")
        client.remove(f"{folder}/a")
    for known in (None, info):
        with pytest.raises(NotFoundError):
            copy(one, other, info=known)

    assert files(other, folder) == {}


def test_an_existing_file_is_replaced_only_when_it_may(one: Server, other: Server, folder: str, copy: Copier) -> None:
    one.put(f"{folder}/a", b"new")
    other.put(f"{folder}/b", b"old and longer")
    with pytest.raises(AlreadyExistsError):
        copy(one, other, overwrite=False)
    before = files(other, folder)
    copy(one, other)

    assert (before, files(other, folder)) == ({"b": b"old and longer"}, {"b": b"new"})


def test_a_token_that_may_not_rename_copies_to_the_name(one: Server, other: Server, folder: str, copy: Copier) -> None:
    one.put(f"{folder}/a", b"data")
    assert other.make_token
    there = {"token": other.make_token(scope="storage.create:/ storage.read:/")}
    result = copy(one, other, there=there, overwrite=False)

    assert result.way == "pull"
    assert files(other, folder) == {"b": b"data"}


@pytest.mark.parametrize("target", ["other", "idle"])
def test_an_interrupted_copy_leaves_nothing(
    request: pytest.FixtureRequest, one: Server, folder: str, copy: Copier, target: str
) -> None:
    """A file of zeros that is long enough for a copy to be interrupted in its middle."""
    server: Server = request.getfixturevalue(target)
    one.put_sparse(f"{folder}/a", 3_000_000_000, b"end")
    place = server.root / folder.lstrip("/")
    main = threading.main_thread()

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not (place.is_dir() and any(place.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.005)
        signal.pthread_kill(main.ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        copy(one, server)
    left = _settled(server, folder)

    assert left == {}


def _settled(server: Server, folder: str) -> dict[str, bytes]:
    """What is there when a server has had a moment to notice that its client is gone."""
    time.sleep(1.0)  # another program's time: it gives no sign
    return files(server, folder)


def test_a_tree_with_special_names_is_copied(one: Server, other: Server, folder: str, copy: Copier) -> None:
    names = ("a b", "h#h", "p%41q", "a+b", "[x]", "it's", "a&b;c=d", "ü", "日本", "sub/deep/f")
    for name in names:
        one.put(f"{folder}/{name}", name.encode())
    with copy.client(one) as source, copy.client(other) as target:
        result = source.copy_tree(folder, f"{folder}/copy", to=target)

    assert (result.files, result.failures) == (len(names), ())
    assert files(other, f"{folder}/copy") == {name: name.encode() for name in names}


def test_a_manager_hands_a_copy_on_to_hosts_that_are_named(
    pki: Pki, issuer: TokenIssuer, one: Server, installation: Installation, folder: str, copy: Copier
) -> None:
    one.put(f"{folder}/a", b"data")
    with xrootd_cluster(pki=pki, issuer=issuer, shared=True, installation=installation) as manager:
        result = copy(one, manager)
        back = copy(manager, one, ("b", "back"))
        # The data server is 127.0.0.1 to its manager, and may not be told then; the manager may.
        other_way = copy(one, manager, ("a", "c"), here={"copy_hosts": "localhost"})
        stored = files(manager, folder)

    assert (result.way, back.way, other_way.way) == ("pull", "pull", "push")
    assert stored == {"b": b"data", "c": b"data"}
    assert files(one, folder)["back"] == b"data"
