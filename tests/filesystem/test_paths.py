"""`UPath("cta://…")` does what pathlib does: each act on a remote tree and on the same one of local files."""

import itertools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from tests.canaries import Canaries
from tests.filesystem.abstract import file_system
from tests.servers.server import Server

FILES = {"one.txt": "1", "two#2.csv": "22", "sub dir/three.txt": "333", "sub dir/deep/fo%ur.txt": "4444"}
_numbers = itertools.count(1)


@pytest.fixture
def remote(server: Server) -> Iterator[UPath]:
    """A remote folder with some files."""
    fs = file_system(server)
    folder = UPath(f"cta://paths/{next(_numbers)}", client=fs.client)
    for name, text in FILES.items():
        fs.pipe_file(f"{folder.path}/{name}", text.encode())
    yield folder
    fs.client.close()


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A local folder with the same ones."""
    folder = tmp_path / "local"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def tree(folder: Any) -> dict[str, str | None]:
    """Return what is below a folder, None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else None for path in folder.rglob("*")
    }


def outcome(act: Callable[[Any], Any], folder: Any) -> Any:
    """Return what an act gives, paths as their names in the folder, or the kind of its error."""
    try:
        given = act(folder)
    except OSError as error:
        known = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
        return next((kind.__name__ for kind in known if isinstance(error, kind)), "OSError")
    if isinstance(given, Iterator):
        return sorted(path.relative_to(folder).as_posix() for path in given)
    return (
        given if isinstance(given, (bool, int, str, bytes, list, type(None))) else given.relative_to(folder).as_posix()
    )


ACTS: dict[str, Callable[[Any], Any]] = {
    "exists": lambda p: [(p / name).exists() for name in ("", "one.txt", "sub dir", "none", "one.txt/below")],
    "is_file": lambda p: [(p / name).is_file() for name in ("one.txt", "two#2.csv", "sub dir", "none")],
    "is_dir": lambda p: [(p / name).is_dir() for name in ("", "one.txt", "sub dir/deep", "none")],
    "is_symlink": lambda p: [(p / "one.txt").is_symlink(), (p / "sub dir").is_mount()],
    "stat": lambda p: [(p / "two#2.csv").stat().st_size, (p / "sub dir" / "three.txt").stat().st_size],
    "stat of nothing": lambda p: (p / "none").stat(),
    "iterdir": lambda p: p.iterdir(),
    "iterdir of a file": lambda p: list((p / "one.txt").iterdir()),
    "iterdir of nothing": lambda p: list((p / "none").iterdir()),
    "glob": lambda p: p.glob("*.txt"),
    "glob below": lambda p: p.glob("*/*.txt"),
    "glob everywhere": lambda p: p.glob("**/*.txt"),
    "rglob": lambda p: p.rglob("*.txt"),
    "read_text": lambda p: (p / "sub dir" / "deep" / "fo%ur.txt").read_text(),
    "read_bytes": lambda p: (p / "two#2.csv").read_bytes(),
    "read of nothing": lambda p: (p / "none").read_bytes(),
    "read of a folder": lambda p: (p / "sub dir").read_bytes(),
    "write_text": lambda p: (p / "new ü.txt").write_text("néw", encoding="utf-8"),
    "write_bytes": lambda p: (p / "one.txt").write_bytes(b"other"),
    "write to a folder": lambda p: (p / "sub dir").write_bytes(b"x"),
    "mkdir": lambda p: (p / "made").mkdir(),
    "mkdir of what exists": lambda p: (p / "sub dir").mkdir(),
    "mkdir exist_ok": lambda p: (p / "sub dir").mkdir(exist_ok=True),
    "mkdir without parents": lambda p: (p / "no" / "parent").mkdir(),
    "mkdir parents": lambda p: (p / "with" / "parent").mkdir(parents=True),
    "rmdir": lambda p: (p / "sub dir").rmdir() if (p / "sub dir" / "deep" / "fo%ur.txt").unlink() else None,
    "touch": lambda p: (p / "touched").touch(),
    "unlink": lambda p: (p / "one.txt").unlink(),
    "unlink of nothing": lambda p: (p / "none").unlink(),
    "unlink missing_ok": lambda p: (p / "none").unlink(missing_ok=True),
    "rename": lambda p: (p / "one.txt").rename(p / "renamed.txt"),
    "rename of nothing": lambda p: (p / "none").rename(p / "renamed.txt"),
    "replace": lambda p: (p / "one.txt").replace(p / "two#2.csv"),
    "parents": lambda p: [(p / "sub dir" / "deep").parent.name, (p / "a.fits.gz").stem, (p / "a.fits.gz").suffix],
    "with_suffix": lambda p: (p / "one.txt").with_suffix(".csv"),
    "relative_to": lambda p: (p / "sub dir" / "three.txt").relative_to(p).as_posix(),
}


@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_that_of_pathlib(name: str, remote: UPath, local: Path) -> None:
    assert outcome(ACTS[name], remote) == outcome(ACTS[name], local)
    assert tree(remote) == tree(local)


def test_a_path_is_its_canonical_address(remote: UPath) -> None:
    below = remote / "sub dir" / "two#2%.csv"

    assert str(below) == f"cta:/{remote.path}/sub dir/two#2%.csv"
    assert UPath(str(below), client=remote.fs.client) == below
    assert [str(parent) for parent in remote.parents] == ["cta://paths", "cta:///"]
    assert [remote.is_absolute(), remote.protocol] == [True, "cta"]


def test_a_pickled_path_is_the_same_and_holds_no_secret(server: Server) -> None:
    secret = "a-secret-that-nobody-else-may-see"
    path = UPath("cta://paths/pickled", door_url=server.url, token=secret)
    configured = UPath("cta://paths/pickled", config={"door_url": server.url, "token": secret})
    pickled = pickle.dumps([path, path / "below", path.fs, path.relative_to(path.parent), configured])
    again, below, fs, relative, other = pickle.loads(pickled)

    assert not Canaries(secret).in_bytes(pickled)
    assert dict(again.storage_options) == fs.storage_options == {"door_url": server.url}
    assert [str(again), str(below), str(relative)] == ["cta://paths/pickled", "cta://paths/pickled/below", "pickled"]
    assert other.fs.client.config.door_url == server.url


def test_what_is_copied_between_here_and_there_is_the_same(remote: UPath, local: Path, tmp_path: Path) -> None:
    (remote / "sub dir").copy(UPath(tmp_path / "fetched"))
    UPath(local / "one.txt").copy(remote / "sent.txt")

    assert tree(tmp_path / "fetched") == tree(local / "sub dir")
    assert (remote / "sent.txt").read_text() == "1"
