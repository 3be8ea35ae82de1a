"""What the environment may and may not change, memory, and processes that fork."""

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from ctadata_providers import Config, ConfigError, CtaClient, CtaError, TransientError
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.testing import FakeCta
from tests.faults import acts, children
from tests.faults.cells import Told
from tests.faults.pki import make_pki
from tests.faults.ranged import asked_bytes, ranged
from tests.faults.scripted import Door, swallow

PATH = "/night/events.fits"
TOKEN = "an-opaque-token-0123456789"
LARGE = 512 << 20
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


def use(client: CtaClient, target: Path) -> None:
    """Use both HTTP stacks, both ways."""
    assert client.stat(PATH).size is not None
    client.download(PATH, target)
    client.upload(target, "/night/new")


def test_netrc_changes_nothing(
    open_door: Open, client_of: Client, target: Path, payload: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "home" / ".netrc"
    netrc.write_text("machine localhost login alice password wonderland\ndefault login bob password builder\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    door = open_door(files={PATH: payload})

    use(client_of(door, token=TOKEN), target)
    use(client_of(door), target)

    sent = [asked.headers.get("authorization") for asked in door.asked]
    assert set(sent) == {f"Bearer {TOKEN}", None}


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_in_the_environment_changes_nothing(
    name: str,
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ca: Path,
) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(trustme.CA().cert_pem.bytes())
    door = open_door(files={PATH: payload})

    monkeypatch.setenv(name, str(stranger))
    use(client_of(door), target)
    monkeypatch.setenv(name, str(ca))
    with CtaClient(door_url=door.url, retries=0) as distrustful:
        for act in (lambda: distrustful.stat(PATH), lambda: distrustful.upload(target, PATH)):
            with pytest.raises(CtaError) as caught:
                act()

            assert not isinstance(caught.value, TransientError)
            assert "ca_path" in str(caught.value)


def test_other_programs_settings_of_curl_and_openssl_change_nothing(
    open_door: Open, client_of: Client, target: Path, payload: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".curlrc").write_text('header = "Authorization: Bearer wonderland"\nproxy = "http://127.0.0.1:1"\n')
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(trustme.CA().cert_pem.bytes())
    for name, value in {
        "CURL_HOME": str(home),
        "CURL_SSL_BACKEND": "wonderland",
        "SSL_CERT_FILE": str(stranger),
        "SSL_CERT_DIR": str(tmp_path),
        "OPENSSL_CONF": str(tmp_path / "missing.cnf"),
        "PIP_CERT": str(stranger),
    }.items():
        monkeypatch.setenv(name, value)
    door = open_door(files={PATH: payload})

    use(client_of(door, token=TOKEN), target)

    assert {asked.headers.get("authorization") for asked in door.asked} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("system", ["hashed", "a file"])
def test_a_home_with_any_letters_can_hold_certificates(
    system: str,
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ca: Path,
) -> None:
    home = tmp_path / "Jürgen Müller"
    home.mkdir()
    (home / "ca.pem").write_bytes(ca.read_bytes())
    (home / "user.pem").write_bytes(make_pki().user_pem)
    (home / "user.pem").chmod(0o600)
    folder = home if system == "hashed" else None
    monkeypatch.setattr("ctadata_providers.transport.trust.system_folder", lambda: folder)
    door = open_door(files={PATH: payload})

    use(client_of(door, ca_path=home / "ca.pem", cert_file=home / "user.pem"), target)

    assert {asked.certificate for asked in door.asked} == {True}


def test_cookies_are_not_kept(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(files={PATH: payload})
    door.fault("PROPFIND", acts.status(503, "Set-Cookie: session=abc; Path=/", "Retry-After: 0"), times=1)
    door.fault("GET", acts.status(503, "Set-Cookie: session=abc; Path=/", "Retry-After: 0"), times=1)

    use(client_of(door), target)

    assert not [asked for asked in door.asked if "cookie" in asked.headers]


@dataclass
class Proxy:
    """A proxy that knows CONNECT and plain forwarding to nowhere; a context manager."""

    asked: list[str] = field(default_factory=list)
    refuse: bool = False
    broken: int = 0
    """So many tunnels end as soon as they are open: the server behind them is away."""

    def __enter__(self) -> "Proxy":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://alice:wonderland-0123@127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), closing(client):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            self.asked.append(f"{method} {target} {b'Proxy-Authorization' in head}")
            if self.refuse or method != "CONNECT":
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            if self.broken:
                self.broken -= 1
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                client.recv(4096)  # the greeting of TLS
                return
            with socket.create_connection(("127.0.0.1", urlsplit(f"//{target}").port or 443)) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join(5)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as running:
        yield running


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_is_used_by_both_stacks(
    name: str,
    proxy: Proxy,
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, proxy.url)
    door = open_door(files={PATH: payload})

    use(client_of(door, token=TOKEN, timeout=2.0), target)

    assert target.read_bytes() == payload
    assert set(proxy.asked) == {f"CONNECT localhost:{door.port} True"}
    assert len(proxy.asked) >= 2


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_proxy_without_a_scheme_is_a_proxy_for_both_stacks(
    slash: str,
    proxy: Proxy,
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.removeprefix("http://") + slash)
    door = open_door(files={PATH: payload})

    use(client_of(door), target)

    assert set(proxy.asked) == {f"CONNECT localhost:{door.port} True"}


@pytest.mark.parametrize(
    "url",
    [
        "http://alice:wonder@land@localhost:1",
        "http://alice:wonder/land@localhost:1",
        "http://alice:wonder#land@localhost:1",
        "http://alice:wonderland@local host:1",
        "http://alice:wonderland@localhost:99999",
        "http://alice:wonderland@[::zz]:1",
        "socks5h://alice:wonderland@localhost:1",
        "ftp://alice:wonderland@localhost:1",
        "http://",
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_by_both_stacks_without_its_password(
    url: str,
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)
    info = client.stat(PATH)
    monkeypatch.setenv("HTTPS_PROXY", url)
    proxied = client_of(door)

    for act in (lambda: proxied.stat(PATH), lambda: proxied.download(PATH, target, info=info)):
        with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
            act()

        assert "wonder" not in told.text(caught.value)


@pytest.mark.parametrize("pattern", ["localhost", "*", ".localhost,localhost", "127.0.0.1,localhost:{port}"])
def test_no_proxy_is_honoured_by_both_stacks(
    pattern: str,
    proxy: Proxy,
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = open_door(files={PATH: payload})
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", pattern.format(port=door.port))

    use(client_of(door), target)

    assert proxy.asked == []


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize("spared", [False, True], ids=["used", "spared by NO_PROXY"])
def test_a_login_goes_through_the_proxy_too(
    name: str, spared: bool, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeCta() as cta:
        cta.issuer.configure(interval=0, approve="alice")
        config = Config.from_mapping({**cta.oidc_settings(), "ambient_credentials": True})
        monkeypatch.setenv(name, proxy.url)
        if spared:
            monkeypatch.setenv("NO_PROXY", "localhost")
        sessions.log_in(config, None, lambda grant: None)
        sessions.refresh(config)
        origin = cta.issuer.url.split("/")[2]

    assert set(proxy.asked) == (set() if spared else {f"CONNECT {origin} True"})


def test_a_login_and_a_robot_know_no_netrc(tmp_path: Path) -> None:
    (tmp_path / "home" / ".netrc").write_text("default login bob password builder\n")
    (tmp_path / "home" / ".netrc").chmod(0o600)
    with FakeCta() as cta:
        cta.put("/f", b"x")
        config = Config.from_mapping(cta.oidc_settings("robot"))
        with CtaClient(config) as client:
            size = client.stat("/f").size
        grants = [request.status for request in cta.issuer.grants("client_credentials")]

    assert (size, grants) == (1, [200])


def test_a_proxy_for_another_host_than_the_redirects_is_not_used_there(
    proxy: Proxy, open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, pool = open_door(files={PATH: payload}), open_door(files={PATH: payload})
    door.fault("GET", acts.redirect(pool.at("127.0.0.1") + PATH))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    client_of(door, timeout=2.0).download(PATH, target)

    assert target.read_bytes() == payload
    assert {asked.split()[1] for asked in proxy.asked} == {f"localhost:{door.port}"}


def test_a_door_that_is_away_behind_a_proxy_is_waited_for_and_the_download_goes_on(
    proxy: Proxy, open_door: Open, client_of: Client, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = random.Random(3).randbytes(4_000_000)
    door = open_door(files={PATH: payload})

    def stop(sent: int) -> bool:
        proxy.broken = int(sent >= 2_000_000)
        return bool(proxy.broken)

    door.fault("GET", ranged(etag='"one"', stop=stop), times=1)
    door.fault("GET", ranged(etag='"one"'))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    client = client_of(door, streams=1)

    client.download(PATH, target)
    proxy.broken = 1
    piece = client.read(PATH, start=5, end=10)

    first, second, third = asked_bytes(door, PATH)
    assert target.read_bytes() == payload
    assert piece == payload[5:10]
    assert (first, third) == (None, (5, 10))
    assert second is not None
    assert second[0] > 0


def test_a_proxy_that_refuses_is_an_error_without_its_password(
    proxy: Proxy, open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door, retries=0)
    info = client.stat(PATH)
    proxy.refuse = True
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    proxied = client_of(door, retries=0)

    for act in (lambda: proxied.stat(PATH), lambda: proxied.download(PATH, target, info=info)):
        with pytest.raises(CtaError) as caught:
            act()

        assert PATH in str(caught.value)
        assert "wonderland" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert target.read_bytes() == b"old"


MEMORY = """
import resource
def grown(act):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    act()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
client.stat("/small")
client.download("/small", sys.argv[1])
client.upload(sys.argv[1], "/out/small")
print(grown(lambda: client.download("/large", sys.argv[1])))
os.truncate(sys.argv[1], int(sys.argv[2]))
print(grown(lambda: client.upload(sys.argv[1], "/out/large")))
"""


def test_memory_does_not_grow_with_the_file(open_door: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    door = open_door(tls=False, files={"/small": b"x", "/large": b""}, sizes={"/large": LARGE}, folders={"/out"})
    door.fault("GET", acts.zeros(LARGE), path="/large")
    door.fault("PUT", swallow)
    place = tmp_path / "large"

    child = children.start(MEMORY, {"door_url": door.url}, place, LARGE)
    written, said = children.finish(child)

    assert said == ""
    assert [int(line) < 100 for line in written.split()] == [True, True], written
    assert door.sizes["/out/large"] == LARGE
    place.unlink()


FORK = """
def use(name):
    client.download("/small", name)
    client.upload(name, "/out/" + os.path.basename(name))
    assert [info.name for info in client.list_dir("/out")]
use(sys.argv[1] + "/parent")
threads = threading.active_count()
children = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        try:
            use(f"{sys.argv[1]}/child-{number}")
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    children.append(pid)
use(sys.argv[1] + "/parent-again")
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
use(sys.argv[1] + "/parent-at-last")
"""


@pytest.mark.parametrize("tls", [True, False])
def test_a_fork_may_transfer_beside_its_parent(tls: bool, open_door: Open, tmp_path: Path, ca: Path) -> None:
    door = open_door(tls=tls, files={"/small": b"small"}, folders={"/out"})

    child = children.start(FORK, {"door_url": door.url, "ca_path": ca, "timeout": 5, "retries": 1}, tmp_path)
    written, said = children.finish(child)

    assert written.strip() == "[0, 0, 0]", said
    assert len([path for path in door.files if path.startswith("/out/")]) == 6


FORK_WHILE_A_THREAD_BEGINS = """
import ctadata_providers.session
begun, go_on = threading.Event(), threading.Event()
find = ctadata_providers.session.resolve

def slow(config):
    begun.set()
    go_on.wait(60)
    return find(config)

ctadata_providers.session.resolve = slow
thread = threading.Thread(target=client.stat, args=("/small",), daemon=True)
thread.start()
begun.wait(60)
pid = os.fork()
go_on.set()
if pid == 0:
    signal.alarm(10)
    os._exit(client.stat("/small").size)
thread.join(60)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_fork_does_not_wait_for_a_thread_that_it_does_not_have(open_door: Open, tmp_path: Path, ca: Path) -> None:
    door = open_door(files={"/small": b"small"})

    child = children.start(FORK_WHILE_A_THREAD_BEGINS, {"door_url": door.url, "ca_path": ca, "timeout": 5})
    written, said = children.finish(child)

    assert written.strip() == "5", said


def test_threads_share_a_client(open_door: Open, client_of: Client, tmp_path: Path, payload: bytes) -> None:
    door = open_door(files={PATH: payload}, folders={"/out"})
    client = client_of(door, timeout=5.0)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            client.download(PATH, tmp_path / str(number))
            client.upload(tmp_path / str(number), f"/out/{number}")
        except CtaError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert {door.files[f"/out/{number}"] for number in range(12)} == {payload}


def test_two_processes_may_download_to_the_same_target_at_once(
    open_door: Open, target: Path, ca: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", acts.drip(100_000, 0.05), times=2)
    settings = {"door_url": door.url, "ca_path": ca}

    two = [children.start("client.download(*sys.argv[1:])", settings, PATH, target) for _ in range(2)]
    said = [children.finish(child)[1] for child in two]

    assert said == ["", ""]
    assert target.read_bytes() == payload
    assert [place.name for place in target.parent.iterdir()] == [target.name]
