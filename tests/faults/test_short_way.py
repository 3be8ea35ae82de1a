"""Small files of trees go a short way; whatever happens on it, they end as on the long one."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import CtaClient, IntegrityError, NotFoundError, PermissionDeniedError, TransientError
from ctadata_providers.transfer import owners
from tests.faults import acts
from tests.faults.scripted import Act, Door

NAMES = [f"f{number:02}" for number in range(40)]
FILES = {f"/night/{name}": name.encode() * 100 for name in NAMES}
VICTIM = "/night/f07"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "sent"
    folder.mkdir()
    for path, data in FILES.items():
        (folder / path.rpartition("/")[2]).write_bytes(data)
    return folder


def fetched(client: CtaClient, tmp_path: Path, **how: Any) -> dict[str, bytes]:
    """Download the folder and return what is there, hidden names too."""
    client.download_tree("night", tmp_path / "got", **how)
    return present(tmp_path)


def present(tmp_path: Path) -> dict[str, bytes]:
    return {f"/night/{file.name}": file.read_bytes() for file in (tmp_path / "got").iterdir()}


def gets(door: Door, path: str | None = None) -> int:
    return sum(path in (None, asked.path) for asked in door.requests("GET"))


def test_each_small_file_costs_one_request(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(files=dict(FILES))
    seen: list[int] = []
    got = fetched(client_of(door), tmp_path, progress=seen.append)

    assert got == FILES
    assert gets(door) == len(FILES)
    assert sum(seen) == sum(map(len, FILES.values()))


@pytest.mark.parametrize(
    "act",
    [
        acts.reset_after(None),
        acts.reset_after(100),
        acts.cut_after(100),
        acts.raw(b"HTTP/1."),
        acts.serve(b"x" * 2_000_000),
        acts.status(500),
        acts.status(503, "Retry-After: 0"),
        acts.status(204),
    ],
    ids=["reset", "reset in the body", "cut", "no HTTP", "too long", "500", "503", "204"],
)
def test_what_goes_wrong_once_is_made_good(act: Act, open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(files=dict(FILES))
    door.fault("GET", act, path=VICTIM, times=1)

    assert fetched(client_of(door), tmp_path) == FILES


def test_a_wait_that_the_server_asks_for_is_waited(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(files=dict(FILES))
    door.fault("GET", acts.status(503, "Retry-After: 1"), path=VICTIM, times=1)
    begun = time.monotonic()

    assert fetched(client_of(door), tmp_path) == FILES
    assert time.monotonic() - begun >= 1
    assert gets(door, VICTIM) == 2


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (acts.status(404), NotFoundError),
        (acts.status(403), PermissionDeniedError),
        (acts.status(500), TransientError),
        (acts.serve(b"short"), IntegrityError),
    ],
    ids=["404", "403", "500", "short"],
)
def test_what_stays_wrong_is_told_by_path_and_leaves_nothing(
    act: Act, error: type[Exception], open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    door = open_door(files=dict(FILES))
    door.fault("GET", act, path=VICTIM)
    result = client_of(door).download_tree("night", tmp_path / "got", on_error="continue")
    (failure,) = result.failures

    assert isinstance(failure.error, error)
    assert failure.path == VICTIM
    assert VICTIM in failure.error.message
    assert present(tmp_path) == {path: data for path, data in FILES.items() if path != VICTIM}


def test_a_door_that_redirects_is_not_asked_the_short_way_again(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    pool, door = open_door(files=dict(FILES)), open_door(files=dict(FILES))
    door.fault("GET", lambda exchange: exchange.answer(302, f"Location: {pool.url}{exchange.asked.path}"))
    got = fetched(client_of(door, max_parallel=1), tmp_path)

    assert got == FILES
    assert gets(door) <= len(FILES) + 1
    assert gets(pool) == len(FILES)
    assert not any("authorization" in asked.headers for asked in pool.requests("GET"))


def test_a_refused_token_is_not_sent_by_all(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(files=dict(FILES))
    client = client_of(door, token="secret-token-of-test", max_parallel=1)
    next(client.list_dir("night"))
    door.fault("GET", acts.status(401))
    with pytest.raises(Exception, match=r"refused|401"):
        client.download_tree("night", tmp_path / "got")

    assert gets(door) <= 2


def sent(client: CtaClient, local: Path) -> None:
    client.upload_tree(local, "night")


def test_an_upload_is_stored_looked_at_and_renamed(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(folders={"/night"})
    sent(client_of(door), local)

    assert door.files == FILES
    assert [len(door.requests(method)) for method in ("PUT", "HEAD", "MOVE")] == [len(FILES)] * 3
    assert all(asked.path.endswith(".ctapart") for asked in door.requests("PUT"))
    assert not any("content-type" in asked.headers for asked in door.requests("PUT"))


@pytest.mark.parametrize("method", ["PUT", "HEAD", "MOVE"])
@pytest.mark.parametrize(
    "act", [acts.reset_after(None), acts.status(500), acts.raw(b"HTTP/1.")], ids=["reset", "500", "no HTTP"]
)
def test_an_upload_that_fails_once_is_made_good(
    method: str, act: Act, open_door: Open, client_of: Client, local: Path, clean_environment: Path
) -> None:
    door = open_door(folders={"/night"})
    door.fault(method, act, times=1)
    sent(client_of(door), local)

    assert door.files == FILES
    assert not list(clean_environment.rglob("*.json"))


def test_what_is_stored_short_is_not_renamed(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(folders={"/night"})
    door.fault("HEAD", acts.status(200, "Content-Length: 5"), times=1)
    sent(client_of(door), local)

    assert door.files == FILES


def test_files_that_are_there_are_replaced(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(files=dict.fromkeys(FILES, b"old"), folders={"/night"})
    sent(client_of(door), local)

    assert door.files == FILES


def test_files_that_are_there_stay_where_that_is_asked_for(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(files={VICTIM: b"old"}, folders={"/night"})
    result = client_of(door).upload_tree(local, "night", overwrite=False, on_error="continue")

    assert [failure.path for failure in result.failures] == [VICTIM]
    assert door.files == {**FILES, VICTIM: b"old"}


def test_where_renames_are_forbidden_files_go_to_their_names(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(folders={"/night"})
    door.fault("MOVE", acts.status(403))
    sent(client_of(door), local)

    assert door.files == FILES


def test_a_file_that_is_no_file_is_told(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(folders={"/night"})
    (local / "f07").unlink()
    (local / "f07").symlink_to("nowhere")
    result = client_of(door).upload_tree(local, "night", on_error="continue")

    assert [failure.path for failure in result.failures] == [VICTIM]
    assert door.files == {path: data for path, data in FILES.items() if path != VICTIM}


def test_a_way_that_leads_nowhere_is_given_up(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(files=dict.fromkeys(FILES, b"old"), folders={"/night"})
    sent(client_of(door, max_parallel=1), local)

    assert door.files == FILES
    assert len(door.requests("PUT")) < len(FILES) + 10


def test_what_a_kill_left_beside_the_file_that_a_link_leads_to_is_removed(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    door, (got, real) = open_door(files=dict(FILES)), (tmp_path / "got", tmp_path / "got" / "real")
    real.mkdir(parents=True)
    (got / "f07").symlink_to("real/seven")
    stem = owners.stem("seven", client_of(door)._transfers.door + VICTIM)
    this_machine, dead = owners.new_name(stem).digits[:8], 2**22 + 1
    (real / f"{stem}.{this_machine}{dead:08x}{'0' * 16}.ctapart").write_bytes(b"part")
    client_of(door).download_tree("night", got)

    assert [file.name for file in real.iterdir()] == ["seven"]
    assert (got / "f07").is_symlink()
    assert (real / "seven").read_bytes() == FILES[VICTIM]
