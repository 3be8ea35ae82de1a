"""What the environment may and may not change, memory, and processes that fork."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from ctadata_providers import CtaClient, CtaError, TransientError
from tests.faults import acts, children
from tests.faults.both_stacks import PATH, use
from tests.faults.pki import make_pki
from tests.faults.scripted import Door, swallow

TOKEN = "an-opaque-token-0123456789"
LARGE = 512 << 20
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


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
