"""Processes that end in the middle: kill -9, Ctrl-C, and trees whose first error stops the rest."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import Config, CtaClient, CtaError, NotFoundError, TransientError
from ctadata_providers.testing import FakeCta
from tests.faults import acts, children
from tests.faults.cells import parts_at, parts_in
from tests.faults.scripted import Act, Door, Exchange, put

PATH = "/night/events.fits"
BIG = 1 << 30
Open = Callable[..., Door]
Client = Callable[..., CtaClient]

DOWNLOAD = "client.download(*sys.argv[1:])"
UPLOAD = "client.upload(*sys.argv[1:])"
DOWNLOAD_TREE = "client.download_tree(*sys.argv[1:])"
UPLOAD_TREE = "client.upload_tree(*sys.argv[1:])"


def endless(started: list[int]) -> Act:
    """Send an endless file at a pace that does not fill the disk."""

    def act(exchange: Exchange) -> None:
        exchange.head(200, f"Content-Length: {BIG}")
        while not exchange.door.stopping.is_set():
            exchange.send(bytes(1 << 16))
            started.append(1)
            exchange.door.stopping.wait(0.01)

    return act


def bottomless(started: list[int]) -> Act:
    """Take a body slowly, and keep what came when the client goes away, as XRootD does."""

    def act(exchange: Exchange) -> None:
        exchange.invite()
        exchange.door.files[exchange.asked.path] = b""
        for chunk in exchange.chunks():
            if exchange.asked.path in exchange.door.files:  # not removed meanwhile
                exchange.door.files[exchange.asked.path] = chunk[:10]
            started.append(1)
            exchange.door.stopping.wait(0.01)

    return act


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """A file of 1 GiB that takes no space."""
    file = tmp_path / "sparse"
    with file.open("wb") as opened:
        opened.truncate(BIG)
    return file


@pytest.fixture
def settings(ca: Path) -> dict[str, object]:
    return {"ca_path": str(ca), "retries": 1, "timeout": 5}


def interrupted(child: "subprocess.Popen[str]") -> float:
    """Send Ctrl-C; return the seconds until the end, which must be a KeyboardInterrupt."""
    begun = time.monotonic()
    child.send_signal(signal.SIGINT)
    _, said = children.finish(child, 5.0)

    assert said.rstrip().endswith("KeyboardInterrupt"), said
    return time.monotonic() - begun


def test_ctrl_c_during_a_download_ends_at_once_and_leaves_what_is_worth_it(
    open_door: Open, target: Path, settings: dict[str, object]
) -> None:
    started: list[int] = []
    door = open_door(files={PATH: b""}, sizes={PATH: BIG})
    door.fault("GET", endless(started))
    child = children.start(DOWNLOAD, {**settings, "door_url": door.url}, PATH, target)
    children.wait_until(lambda: len(started) > 40)

    assert interrupted(child) < 2
    assert target.read_bytes() == b"old"
    assert len(parts_in(target.parent)) == 2
    assert sum(Path(place).stat().st_size for place in parts_in(target.parent)) > 1 << 20


def test_ctrl_c_leaves_nothing_of_a_download_that_has_hardly_begun(
    open_door: Open, target: Path, settings: dict[str, object]
) -> None:
    started: list[int] = []
    door = open_door(files={PATH: b""}, sizes={PATH: BIG})
    door.fault(
        "GET",
        lambda exchange: (
            exchange.head(200, f"Content-Length: {BIG}"),
            exchange.send(bytes(100_000)),
            started.append(1),
            exchange.stall(),
        ),
    )
    child = children.start(DOWNLOAD, {**settings, "door_url": door.url, "timeout": 60}, PATH, target)
    children.wait_until(lambda: started)

    assert interrupted(child) < 2
    assert target.read_bytes() == b"old"
    assert parts_in(target.parent) == []


def test_ctrl_c_during_an_upload_ends_at_once_and_leaves_nothing(
    open_door: Open, sparse: Path, settings: dict[str, object], clean_environment: Path
) -> None:
    started: list[int] = []
    door = open_door(files={PATH: b"old one"}, folders={"/night"})
    door.fault("PUT", bottomless(started))
    child = children.start(UPLOAD, {**settings, "door_url": door.url}, sparse, PATH)
    children.wait_until(lambda: len(started) > 3)

    assert interrupted(child) < 2
    assert door.files == {PATH: b"old one"}
    assert not list(clean_environment.rglob("*.json"))


def test_ctrl_c_during_a_direct_upload_leaves_no_part(
    open_door: Open, sparse: Path, settings: dict[str, object]
) -> None:
    started: list[int] = []
    door = open_door(folders={"/night"})
    door.fault("PUT", bottomless(started))
    program = """
        from ctadata_providers.backends.webdav import WebdavBackend
        WebdavBackend.can_rename = lambda self, path: False  # as with a token that lacks the right
        client.upload(*sys.argv[1:])
    """
    child = children.start(program, {**settings, "door_url": door.url}, sparse, PATH)
    children.wait_until(lambda: len(started) > 3)

    assert interrupted(child) < 2
    assert door.files == {}


def test_ctrl_c_during_a_tree_download_ends_at_once_and_leaves_nothing_of_what_has_hardly_begun(
    open_door: Open, target: Path, settings: dict[str, object]
) -> None:
    started: list[int] = []
    names = [f"/tree/{number}" for number in range(50)]
    door = open_door(files=dict.fromkeys(names, b""), sizes=dict.fromkeys(names, BIG))
    door.fault("GET", endless(started))
    child = children.start(DOWNLOAD_TREE, {**settings, "door_url": door.url}, "/tree", target.parent)
    children.wait_until(lambda: len(started) > 40)

    assert interrupted(child) < 2
    assert [place.name for place in target.parent.iterdir()] == [target.name]


def test_ctrl_c_during_a_tree_upload_ends_at_once_and_leaves_nothing(
    open_door: Open, sparse: Path, settings: dict[str, object], tmp_path: Path
) -> None:
    started: list[int] = []
    door = open_door(folders={"/tree"})
    door.fault("PUT", bottomless(started))
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(20):
        (tree / str(number)).symlink_to(sparse)
    child = children.start(UPLOAD_TREE, {**settings, "door_url": door.url}, tree, "/tree")
    children.wait_until(lambda: len(started) > 40)

    assert interrupted(child) < 2
    assert door.files == {}


def test_ctrl_c_while_a_silent_server_is_waited_for_ends_at_once(
    open_door: Open, target: Path, settings: dict[str, object]
) -> None:
    door = open_door(files={PATH: b"x"})
    door.fault("GET", lambda exchange: exchange.stall())
    child = children.start(DOWNLOAD, {**settings, "door_url": door.url, "timeout": 60}, PATH, target)
    children.wait_until(lambda: door.requests("GET"))

    assert interrupted(child) < 2
    assert parts_in(target.parent) == []


def test_ctrl_c_when_the_server_has_gone_too_is_not_held_up(
    open_door: Open, sparse: Path, settings: dict[str, object], clean_environment: Path
) -> None:
    started: list[int] = []
    door = open_door(folders={"/night"})
    door.fault("PUT", bottomless(started))
    door.fault("DELETE", lambda exchange: exchange.stall())
    child = children.start(UPLOAD, {**settings, "door_url": door.url, "timeout": 60}, sparse, PATH)
    children.wait_until(lambda: len(started) > 3)

    assert interrupted(child) < 4
    assert list(clean_environment.rglob("*.json"))  # the next upload removes what is left


def test_kill_9_during_a_download_leaves_the_target_as_it_was(
    open_door: Open, client_of: Client, target: Path, settings: dict[str, object], payload: bytes
) -> None:
    started: list[int] = []
    door = open_door(files={PATH: payload}, sizes={PATH: BIG})
    door.fault("GET", endless(started), times=1)
    child = children.start(DOWNLOAD, {**settings, "door_url": door.url}, PATH, target)
    children.wait_until(lambda: len(started) > 3)
    child.kill()
    children.finish(child)
    before = target.read_bytes()
    del door.sizes[PATH]

    client_of(door).download(PATH, target)

    assert before == b"old"
    assert target.read_bytes() == payload


def test_kill_9_during_an_upload_leaves_the_old_file_and_the_next_upload_tidies_up(
    open_door: Open, client_of: Client, target: Path, sparse: Path, settings: dict[str, object], clean_environment: Path
) -> None:
    started: list[int] = []
    door = open_door(files={PATH: b"old one"}, folders={"/night"})
    door.fault("PUT", bottomless(started), times=1)
    child = children.start(UPLOAD, {**settings, "door_url": door.url}, sparse, PATH)
    children.wait_until(lambda: len(started) > 3)
    child.kill()
    children.finish(child)
    left, notes = parts_at(door), list(clean_environment.rglob("*.json"))
    visible = [info.name for info in client_of(door).list_dir("/night")]

    client_of(door).upload(target, PATH)

    assert len(left) == len(notes) == 1
    assert visible == ["events.fits"]
    assert door.files == {PATH: b"old"}
    assert not list(clean_environment.rglob("*.json"))


def test_a_process_killed_between_the_bytes_and_the_rename_is_tidied_up_by_the_next_upload(
    open_door: Open, client_of: Client, target: Path, settings: dict[str, object], clean_environment: Path
) -> None:
    door = open_door(files={PATH: b"old one"}, folders={"/night"})
    door.fault("MOVE", lambda exchange: exchange.stall(), times=1)
    child = children.start(UPLOAD, {**settings, "door_url": door.url}, target, PATH)
    children.wait_until(lambda: door.requests("MOVE"))
    child.kill()
    children.finish(child)
    left, old = parts_at(door), door.files[PATH]

    client_of(door).upload(target, PATH)

    assert len(left) == 1
    assert old == b"old one"
    assert door.files == {PATH: b"old"}
    assert not list(clean_environment.rglob("*.json"))


def test_what_a_server_makes_of_a_killed_upload_a_little_later_is_tidied_up_all_the_same(
    open_door: Open, client_of: Client, target: Path, settings: dict[str, object], clean_environment: Path
) -> None:
    door = open_door(files={PATH: b"old one"}, folders={"/night"})
    door.fault("PUT", lambda exchange: exchange.stall(), times=1)
    child = children.start(UPLOAD, {**settings, "door_url": door.url}, target, PATH)
    children.wait_until(lambda: door.requests("PUT"))
    child.kill()
    children.finish(child)

    def make_both(exchange: Exchange) -> None:
        door.files[door.requests("PUT")[0].path] = b"late"
        put(exchange)

    door.fault("PUT", make_both, times=1)
    client_of(door).upload(target, PATH)

    assert door.files == {PATH: b"old"}
    assert not list(clean_environment.rglob("*.json"))


def test_what_a_living_process_uploads_is_not_tidied_up(
    open_door: Open, client_of: Client, target: Path, sparse: Path, settings: dict[str, object]
) -> None:
    started: list[int] = []
    door = open_door(files={PATH: b"old one"}, folders={"/night"})
    door.fault("PUT", bottomless(started), times=1)
    child = children.start(UPLOAD, {**settings, "door_url": door.url}, sparse, PATH)
    children.wait_until(lambda: len(started) > 3)

    client_of(door).upload(target, PATH)
    left = parts_at(door)
    child.kill()
    children.finish(child)

    assert len(left) == 1
    assert door.files[PATH] == b"old"


def test_kill_9_of_an_upload_to_a_dcache_leaves_the_old_file(fake_cta: FakeCta, target: Path, sparse: Path) -> None:
    fake_cta.put(PATH, b"old one")
    child = children.start(UPLOAD, fake_cta.settings(), sparse, PATH)
    children.wait_until(lambda: any(".ctapart" in path for path in fake_cta.paths()))
    child.kill()
    children.finish(child)
    before = fake_cta.get(PATH)

    with CtaClient(Config.from_mapping(fake_cta.settings())) as client:
        client.upload(target, PATH)

    assert before == b"old one"
    assert fake_cta.get(PATH) == b"old"
    assert fake_cta.paths() == [PATH]


def test_the_first_error_of_a_tree_download_stops_the_others(open_door: Open, client_of: Client, target: Path) -> None:
    started: list[int] = []
    names = [f"/tree/{number:03}" for number in range(100)]
    door = open_door(files=dict.fromkeys(names, b""), sizes=dict.fromkeys(names, BIG))
    door.fault("GET", acts.status(404), path="/tree/007")
    door.fault("GET", endless(started))
    begun = time.monotonic()

    with pytest.raises(NotFoundError) as caught:
        client_of(door, max_parallel=10, timeout=5).download_tree("/tree", target.parent)

    assert time.monotonic() - begun < 5
    assert "/tree/007" in str(caught.value)
    assert len(door.requests("GET")) <= 20
    assert [place.name for place in target.parent.iterdir()] == [target.name]


def test_the_first_error_of_a_tree_upload_stops_the_others(
    open_door: Open, client_of: Client, sparse: Path, tmp_path: Path
) -> None:
    started: list[int] = []
    door = open_door(folders={"/tree"})
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(50):
        (tree / f"{number:03}").symlink_to(sparse)

    def refuse_one(exchange: Exchange) -> None:
        if exchange.asked.path.startswith("/tree/.007"):
            exchange.answer(403)
        else:
            bottomless(started)(exchange)

    door.fault("PUT", refuse_one)
    client = client_of(door, max_parallel=10, timeout=5)

    with pytest.raises(CtaError) as caught:
        client.upload_tree(tree, "/tree")
    client.close()

    assert "007" in str(caught.value)
    assert len(door.requests("PUT")) <= 20
    assert door.files == {}


def test_what_goes_while_a_tree_is_removed_is_gone(open_door: Open, client_of: Client) -> None:
    door = open_door(files={"/lst/tree/a": b"a", "/lst/tree/sub/b": b"b", "/lst/tree/z": b"z"})

    def gone_before(exchange: Exchange) -> None:
        del door.files[exchange.asked.path]
        exchange.answer(404)

    door.fault("DELETE", gone_before, path="/lst/tree/a")
    client_of(door).remove("/lst/tree", recursive=True)

    assert door.files == {}


def test_a_listing_that_breaks_in_a_tree_is_the_error_of_the_tree(
    open_door: Open, client_of: Client, target: Path
) -> None:
    door = open_door(files={"/tree/a/x": b"x", "/tree/b/y": b"y"})
    door.fault("PROPFIND", acts.status(500), path="/tree/b/")
    client = client_of(door, retries=1)

    with pytest.raises(TransientError) as caught:
        client.download_tree("/tree", target.parent)

    assert "/tree/b" in str(caught.value)
    assert parts_in(target.parent) == []


def test_failed_downloads_leave_no_open_files_behind(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", acts.reset_after(1000))
    client = client_of(door, retries=0)

    def fail() -> None:
        with pytest.raises(TransientError):
            client.download(PATH, target)

    fail()
    before = open_files()
    for _ in range(10):
        fail()

    assert open_files() <= before + 2


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
