"""The proxy between us and the door: both stacks use it alike, and its password is seen by nobody."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctadata_providers import Config, ConfigError, CtaClient, CtaError
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.credentials.oidc.provider import Provider
from ctadata_providers.testing import FakeCta
from ctadata_providers.transport.proxies import proxy_for
from tests.faults import acts
from tests.faults.both_stacks import PATH, use
from tests.faults.cells import Told
from tests.faults.proxy import Proxy
from tests.faults.ranged import asked_bytes, ranged
from tests.faults.scripted import Door
from tests.faults.scripted_provider import answer_json, nothing_known, serve  # noqa: F401 (a fixture)

TOKEN = "an-opaque-token-0123456789"
LARGE = 512 << 20
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


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


@pytest.mark.parametrize("host", ["localhost", "LocalHost.", "cta.localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_http_to_this_machine_goes_to_no_proxy(name: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "HTTP_PROXY":
        monkeypatch.setenv("NO_PROXY", "elsewhere.example")
    monkeypatch.setenv(name, "http://proxy.example:3128")

    assert proxy_for(f"http://{host}:9/x") == ""
    for other in ("http://door.example/x", "http://128.0.0.1/x", "http://localhost.example/x", "http://notlocalhost/x"):
        assert proxy_for(other) == "http://proxy.example:3128"


def test_a_door_of_plain_http_on_this_machine_is_asked_past_the_proxy_by_both_stacks(
    proxy: Proxy, open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    door = open_door(tls=False, files={PATH: payload})

    use(client_of(door, token=TOKEN), target)

    assert target.read_bytes() == payload
    assert proxy.asked == []


def test_an_issuer_of_plain_http_on_this_machine_is_asked_past_the_proxy(
    proxy: Proxy, open_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = open_door(tls=False)
    config = serve(issuer)
    answer_json(issuer, "POST", {"access_token": "good"})
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)

    Provider(config, config.client_secret).robot_token()

    assert [asked.method for asked in issuer.asked] == ["GET", "POST"]
    assert proxy.asked == []


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
