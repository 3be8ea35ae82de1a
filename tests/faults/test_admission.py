"""A credential goes alone until a door has accepted it, and not at all for a while once it was refused."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError, CtaClient, CtaError
from ctadata_providers.session import admission, gates
from ctadata_providers.testing import FakeCta
from tests.faults import acts, children
from tests.faults.cells import Told, assert_nothing_secret
from tests.faults.guarded import Guard, jwt
from tests.faults.scripted import RIGHT, Door, Exchange
from tests.faults.test_secrets import with_our_variables

PATH = "/night/events.fits"
TOKEN = "an-opaque-token-0123456789"
SECOND = "another-opaque-token-0123456789"
WORKERS = 8
Open = Callable[..., Door]
Client = Callable[..., CtaClient]

WORK = """
from ctadata_providers import CtaError
try:
    print(client.stat("/lst/f").size)
except CtaError as error:
    print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def banning() -> Iterator[FakeCta]:
    """A data centre that blocks an address after three answers 401."""
    with FakeCta() as cta:
        yield cta


@pytest.fixture
def centre(banning: FakeCta) -> FakeCta:
    banning.reset()
    banning.put("/lst/f", b"123")
    return banning


def replace(file: Path, text: str) -> None:
    """Write a file anew as an agent does, whole or not at all."""
    new = file.with_name(f"new-{threading.get_ident()}")
    new.write_text(text)
    new.replace(file)


def statuses(cta: FakeCta) -> list[int]:
    return [request.status for request in cta.requests]


def foreign(cta: FakeCta) -> str:
    """Return a token with a bad signature: it looks alive, and the door refuses it."""
    return cta.make_token()[:-8] + "AAAAAAAA"


def test_eight_processes_with_one_refused_token_are_not_banned(centre: FakeCta) -> None:
    settings = {**centre.settings(), "token": foreign(centre), "retries": 0}

    workers = [children.start(WORK, settings) for _ in range(WORKERS)]
    said = [children.finish(worker) for worker in workers]

    assert said == [("CredentialError\n", "")] * WORKERS
    assert statuses(centre) == [401]
    with CtaClient(Config.from_mapping({**centre.settings(), "retries": 0})) as client:
        assert client.stat("/lst/f").size == 3


def test_eight_processes_send_a_refused_token_once_and_go_on_with_its_successor(
    open_door: Open, ca: Path, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    door = open_door(files={"/lst/f": b"123"})
    guard = Guard(door, lambda token: token == SECOND, refused=lambda: replace(token_file, SECOND))
    settings = {"door_url": door.url, "ca_path": ca, "token_file": token_file, "retries": 0}

    workers = [children.start(WORK, settings) for _ in range(WORKERS)]
    said = [children.finish(worker) for worker in workers]

    assert said == [("3\n", "")] * WORKERS
    assert guard.refusals == [TOKEN]


def test_processes_without_a_state_folder_go_their_own_way(centre: FakeCta) -> None:
    worker = children.start(WORK, {**centre.settings(), "retries": 0}, XDG_STATE_HOME="/proc/none")

    assert children.finish(worker) == ("3\n", "")


def test_eight_threads_with_one_refused_token_send_it_once(centre: FakeCta) -> None:
    settings = Config.from_mapping({**centre.settings(), "token": foreign(centre), "retries": 0})
    errors: list[CtaError] = []

    def work(number: int) -> None:
        with CtaClient(settings) as client:
            try:
                client.stat(f"/lst/{number}")
            except CtaError as error:
                errors.append(error)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, range(WORKERS)))

    assert [type(error) for error in errors] == [CredentialError] * WORKERS
    assert statuses(centre) == [401]


def test_no_note_of_admission_holds_a_secret(centre: FakeCta, clean_environment: Path) -> None:
    bad = foreign(centre)
    for token in (centre.token, bad):
        settings = Config.from_mapping({**centre.settings(), "token": token, "retries": 0})
        with CtaClient(settings) as client, suppress(CredentialError):
            client.stat("/lst/f")
    folder = clean_environment / "ctadata-providers" / "admission"
    children.wait_until(lambda: len(list(folder.iterdir())) == 3)

    assert folder.stat().st_mode & 0o777 == 0o700
    for note in folder.iterdir():
        text = note.name + note.read_text()
        assert note.stat().st_mode & 0o777 == 0o600
        assert len(note.read_bytes()) <= 1
        assert not any(piece in text for token in (centre.token, bad) for piece in token.split("."))


class Holding:
    """An act that is held up until the test has seen enough."""

    def __init__(self, before: Callable[[Exchange], object], after: Callable[[Exchange], object]) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._before, self._after = before, after

    def __call__(self, exchange: Exchange) -> None:
        self._before(exchange)
        self.begun.set()
        assert self.go_on.wait(10)
        self._after(exchange)


def test_an_unknown_token_goes_out_alone(open_door: Open, client_of: Client) -> None:
    door = open_door(files={PATH: b"x"})
    holding = Holding(lambda _: None, RIGHT["PROPFIND"])
    door.fault("PROPFIND", holding, times=1)

    with ThreadPoolExecutor(WORKERS) as pool:
        asking = [pool.submit(client_of(door, token=TOKEN).stat, PATH) for _ in range(WORKERS)]
        assert holding.begun.wait(10)
        time.sleep(0.1)  # what must not happen would happen now
        meanwhile = len(door.asked)
        holding.go_on.set()
        sizes = [future.result(10).size for future in asking]

    assert meanwhile == 1
    assert sizes == [1] * WORKERS
    assert len(door.asked) == WORKERS


def test_a_token_that_was_accepted_goes_out_at_once(open_door: Open, client_of: Client) -> None:
    door = open_door(files={PATH: b"x"})
    client = client_of(door, token=TOKEN)
    client.stat(PATH)
    holding = Holding(lambda _: None, RIGHT["PROPFIND"])
    door.fault("PROPFIND", holding)

    with ThreadPoolExecutor(WORKERS) as pool:
        asking = [pool.submit(client.stat, PATH) for _ in range(WORKERS)]
        children.wait_until(lambda: len(door.asked) == 1 + WORKERS)
        holding.go_on.set()

        assert [future.result(10).size for future in asking] == [1] * WORKERS


def send_head(exchange: Exchange) -> None:
    exchange.head(200, f"Content-Length: {len(exchange.door.files[exchange.asked.path])}")


def send_body(exchange: Exchange) -> None:
    exchange.send(exchange.door.files[exchange.asked.path])


def unknown_again() -> None:
    """Forget what is known of every credential, as another process would not know it."""
    gates._gates.clear()


def run_beside(first: Callable[[], object], holding: Holding, second: Callable[[], object]) -> Future[object]:
    """Start an act that is held up, end another one meanwhile, and let the first one go on."""
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(first)
        assert holding.begun.wait(10)
        try:
            pool.submit(second).result(10)
        finally:
            holding.go_on.set()
    return slow


def test_others_wait_for_the_head_of_the_first_answer_and_not_for_its_body(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door, token=TOKEN, timeout=10.0)
    info = client.stat(PATH)
    unknown_again()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    holding = Holding(send_head, send_body)
    door.fault("GET", holding, times=1)

    slow = run_beside(lambda: client.download(PATH, target, info=info), holding, lambda: client.stat(PATH))

    assert slow.exception() is None
    assert target.read_bytes() == payload


def test_others_wait_until_the_first_upload_is_invited_and_not_for_its_end(
    open_door: Open, client_of: Client, source: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source.write_bytes(payload * 4)  # from 1 MiB on the door is asked first
    door = open_door(files={PATH: b"x"}, folders={"/night"})
    client = client_of(door, token=TOKEN, timeout=10.0)
    client.stat(PATH)
    unknown_again()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    holding = Holding(lambda exchange: exchange.invite(), RIGHT["PUT"])
    holding._after = lambda exchange: (exchange.asked.headers.pop("expect"), RIGHT["PUT"](exchange))
    door.fault("PUT", holding, times=1)

    slow = run_beside(lambda: client.upload(source, "/night/new"), holding, lambda: client.stat(PATH))

    assert slow.exception() is None
    assert door.files["/night/new"] == payload * 4


def test_a_first_answer_that_does_not_come_holds_the_others_up_for_a_while_only(
    open_door: Open, client_of: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "PROBE_PATIENCE", 0.2)
    door = open_door(files={PATH: b"x", "/tape": b"y"})
    holding = Holding(lambda _: None, RIGHT["PROPFIND"])
    door.fault("PROPFIND", holding, path="/tape", times=1)
    client = client_of(door, token=TOKEN, timeout=10.0)

    slow = run_beside(lambda: client.stat("/tape"), holding, lambda: client.stat(PATH))

    assert slow.exception() is None


@pytest.mark.parametrize("fault", ["reset", "503"])
def test_a_fault_of_the_first_request_leaves_the_turn_to_the_next(
    fault: str, open_door: Open, client_of: Client
) -> None:
    door = open_door(files={PATH: b"x"})
    act = acts.reset_after(None) if fault == "reset" else acts.status(503, "Retry-After: 0")
    door.fault("PROPFIND", act, times=3)
    client = client_of(door, token=TOKEN, retries=5)

    with ThreadPoolExecutor(WORKERS) as pool:
        sizes = [info.size for info in pool.map(client.stat, [PATH] * WORKERS)]

    assert sizes == [1] * WORKERS


def test_a_token_refused_under_way_is_renewed_once_and_all_go_on(
    open_door: Open, client_of: Client, tmp_path: Path, payload: bytes
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    door = open_door(files={f"/tree/{number}": payload for number in range(100)})
    guard = Guard(door, lambda token: token == SECOND or len(guard.seen) < 40, refused=lambda: renew())

    def renew() -> None:
        time.sleep(0.05)  # the others arrive meanwhile
        replace(token_file, SECOND)

    client = client_of(door, token_file=token_file, max_parallel=8, timeout=10.0)
    result = client.download_tree("/tree", tmp_path / "tree")

    assert result.files == 100
    assert 1 <= len(guard.refusals) <= 8  # those that were under way
    assert guard.seen.count(SECOND) >= 50


def test_after_the_second_refusal_nothing_is_sent(
    open_door: Open, client_of: Client, target: Path, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    door = open_door(files={PATH: b"x"}, folders={"/night"})
    guard = Guard(door, lambda _: False, refused=lambda: replace(token_file, f"{SECOND}-{len(guard.seen)}"))
    client = client_of(door, token_file=token_file)
    errors = []

    for act in (lambda: client.stat(PATH), lambda: client.upload(target, PATH), lambda: client.stat(PATH)):
        with pytest.raises(CredentialError) as caught:
            act()
        errors.append(caught.value)
        replace(token_file, f"{SECOND}-1")  # nobody has made another one

    assert guard.seen == [TOKEN, f"{SECOND}-1"]
    assert all(error.remedy for error in errors)


def test_a_client_certificate_that_is_refused_is_shown_once(centre: FakeCta) -> None:
    settings = {**centre.settings(), "token": None, "proxy_file": str(centre.proxy_file), "retries": 0}
    with centre.fault("unauthorized"), CtaClient(Config.from_mapping(settings)) as client:
        for _ in range(3):
            with pytest.raises(CredentialError):
                client.stat("/lst/f")

    assert statuses(centre) == [401]


def test_a_proxy_that_is_missing_while_it_is_written_anew_ends_no_transfer(
    centre: FakeCta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "WRITING_SECONDS", 600.0)
    old, proxy = centre.make_proxy(), tmp_path / "proxy"
    retries: list[str] = []

    class Writer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            retries.append(record.getMessage())
            shutil.copy(old, proxy)

    writer = Writer()
    logger = logging.getLogger("ctadata_providers.retry")
    shutil.copy(old, proxy)
    settings = {**centre.settings(), "token": None, "proxy_file": str(proxy)}
    logger.addHandler(writer)
    try:
        with CtaClient(Config.from_mapping(settings)) as client:
            client.stat("/lst/f")
            proxy.unlink()
            client.download("/lst/f", tmp_path / "f")
    finally:
        logger.removeHandler(writer)

    assert (tmp_path / "f").read_bytes() == b"123"
    assert len(retries) == 1
    assert f"cannot read {proxy}" in retries[0]


@pytest.mark.parametrize("act", ["stat", "download"])
def test_a_trace_of_a_refusal_that_shows_our_variables_shows_no_token(
    act: str, open_door: Open, client_of: Client, target: Path, told: Told
) -> None:
    door = open_door(files={PATH: b"x"})
    client = client_of(door, token=TOKEN)
    info = client.stat(PATH)
    Guard(door, lambda _: False)
    errors = []

    for _ in range(2):
        with pytest.raises(CredentialError) as caught:
            client.stat(PATH) if act == "stat" else client.download(PATH, target, info=info)
        errors.append(caught.value)

    assert "just refused" in str(errors[1])
    for error in errors:
        assert_nothing_secret(with_our_variables(error) + told.text(error), TOKEN)


@pytest.mark.parametrize("code", [401, 403])
def test_a_pool_that_refuses_says_nothing_about_the_token(
    code: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door, pool = open_door(files={PATH: payload}), open_door(files={PATH: payload})
    door.fault("GET", acts.redirect(f"{pool.at('127.0.0.1')}{PATH}?dcache-http-uuid=1"), times=2)
    pool.fault("GET", acts.status(code), times=1)
    client = client_of(door, token=TOKEN)

    with pytest.raises(CtaError):
        client.download(PATH, target)
    client.download(PATH, target)

    assert target.read_bytes() == payload
    assert all("authorization" not in asked.headers for asked in pool.asked)


FORK = """
import time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of fork with threads: that is what is tried
signal_file, answer_file, state = sys.argv[1:]
asking = threading.Thread(target=lambda: client.stat("/slow"))
asking.start()
while not os.path.exists(signal_file):
    time.sleep(0.01)
pid = os.fork()
if pid == 0:
    os.environ["XDG_STATE_HOME"] = state
    os._exit(0 if CtaClient(client.config).stat("/night/events.fits").size == 1 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
open(answer_file, "w").close()
asking.join()
"""


def test_a_forked_child_does_not_wait_for_its_parents_first_request(open_door: Open, ca: Path, tmp_path: Path) -> None:
    door = open_door(files={PATH: b"x", "/slow": b"x"})
    holding = Holding(lambda _: None, RIGHT["PROPFIND"])
    door.fault("PROPFIND", holding, path="/slow", times=1)
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    settings = {"door_url": door.url, "ca_path": ca, "token": jwt(), "timeout": 10}

    child = children.start(FORK, settings, begun, ended, tmp_path / "elsewhere")
    assert holding.begun.wait(10)
    begun.touch()
    children.wait_until(ended.exists)
    holding.go_on.set()

    assert children.finish(child) == ("0\n", "")
