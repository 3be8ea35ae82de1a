import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers import ConfigError, CtaClient, FileInfo, NotADirError, NotFoundError
from ctadata_providers.backends.memory import MemoryBackend
from ctadata_providers.client.globbing import expand
from ctadata_providers.patterns import Selection

FILES = (
    "/lst/DL3/night1/run1.fits",
    "/lst/DL3/night1/run2.fits",
    "/lst/DL3/night1/run10.fits",
    "/lst/DL3/night1/.run3.fits",
    "/lst/DL3/night1/.run1.fits.1a2b3c4d.00.ctapart",
    "/lst/DL3/night2/run1.fits",
    "/lst/DL3/night2/deep/er/run9.fits",
    "/lst/DL3/.hidden/run1.fits",
    "/lst/DL3/Night3/run1.FITS",
    "/lst/odd/[x].fits",
    "/lst/odd/a*b",
    "/lst/odd/aab",
    "/lst/odd/it's #1.fits",
    "/lst/odd/ü.fits",
    "/lst/odd/q?",
    "/lst/odd/qq",
)


class Empty:
    """Gives no bytes."""

    def read(self, size: int, /) -> bytes:
        return b""

    def rewind(self) -> None:
        """Nothing to do."""


@pytest.fixture(scope="module")
def backend() -> MemoryBackend:
    """A storage that holds `FILES`."""
    made = MemoryBackend()
    for path in FILES:
        parts = path.split("/")[1:-1]
        for depth in range(len(parts)):
            folder = "/" + "/".join(parts[: depth + 1])
            if not any(info.path == folder for info in made.list_dir(folder.rpartition("/")[0] or "/")):
                made.make_dir(folder)
        made.write(path, Empty(), size=0, overwrite=True).result()
    return made


def paths(backend: MemoryBackend, pattern: str) -> list[str]:
    """Return what matches, without the common beginning."""
    return [info.path.removeprefix("/lst/") for info in expand(backend, pattern)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/lst/DL3/night1/*.fits", ["run1.fits", "run10.fits", "run2.fits"]),
        ("/lst/DL3/night1/run?.fits", ["run1.fits", "run2.fits"]),
        ("/lst/DL3/night1/run[12].fits", ["run1.fits", "run2.fits"]),
        ("/lst/DL3/night1/run[!1].fits", ["run2.fits"]),
        ("/lst/DL3/night1/run[0-9]*", ["run1.fits", "run10.fits", "run2.fits"]),
        ("/lst/DL3/night1/.*", [".run3.fits"]),
        ("/lst/DL3/night1/run1.fits", ["run1.fits"]),
        ("/lst/DL3/night1/nothing*", []),
        ("/lst/DL3/night1/RUN1*", []),
    ],
)
def test_patterns_within_a_name(backend: MemoryBackend, pattern: str, found: list[str]) -> None:
    assert paths(backend, pattern) == [f"DL3/night1/{name}" for name in found]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/lst/*/night?/run1.fits", ["DL3/night1/run1.fits", "DL3/night2/run1.fits"]),
        ("/lst/DL3/*", ["DL3/Night3", "DL3/night1", "DL3/night2"]),
        ("/lst/DL3/**/run1.fits", ["DL3/night1/run1.fits", "DL3/night2/run1.fits"]),
        (
            "/lst/DL3/night2/**",
            ["DL3/night2/deep", "DL3/night2/run1.fits", "DL3/night2/deep/er", "DL3/night2/deep/er/run9.fits"],
        ),
        ("/lst/**/er/*", ["DL3/night2/deep/er/run9.fits"]),
        ("/lst/DL3/n*/**/run9.fits", ["DL3/night2/deep/er/run9.fits"]),
        ("/lst/DL3/*/nothing/*", []),
        ("/lst/DL3/*/run1.fits/*", []),
    ],
)
def test_patterns_over_folders(backend: MemoryBackend, pattern: str, found: list[str]) -> None:
    assert paths(backend, pattern) == found


def test_the_root_can_be_searched(backend: MemoryBackend) -> None:
    assert [info.path for info in expand(backend, "/*")] == ["/lst"]
    assert [info.path for info in expand(backend, "/**/qq")] == ["/lst/odd/qq"]
    assert [info.path for info in expand(backend, "/")] == ["/"]


@pytest.mark.parametrize("pattern", ["/lst/**/*/**", "/lst/**/**", "/**/DL3/**", "/lst/*/**/*"])
def test_each_match_is_given_once(backend: MemoryBackend, pattern: str) -> None:
    found = paths(backend, pattern)

    assert len(found) == len(set(found)) > 5


def test_a_pattern_that_ends_in_a_slash_means_folders(backend: MemoryBackend) -> None:
    assert paths(backend, "/lst/DL3/night2/*/") == ["DL3/night2/deep"]
    assert paths(backend, "/lst/DL3/night1/*/") == []


@pytest.mark.parametrize(
    "pattern", ["/lst/DL3/night1/**", "/lst/DL3/night1/*", "/lst/DL3/night1/.*", "/lst/**/*.ctapart"]
)
def test_parts_of_uploads_are_never_found(backend: MemoryBackend, pattern: str) -> None:
    assert not [path for path in paths(backend, pattern) if path.endswith(".ctapart")]


@pytest.mark.parametrize("path", [path for path in FILES if not path.endswith("ctapart")])
def test_an_escaped_path_matches_itself_alone(backend: MemoryBackend, path: str) -> None:
    assert [info.path for info in expand(backend, re.sub(r"([*?\[])", r"[\1]", path))] == [path]


def test_the_literal_beginning_must_exist(backend: MemoryBackend) -> None:
    with pytest.raises(NotFoundError, match="/nothing"):
        paths(backend, "/nothing/*")
    with pytest.raises(NotADirError, match="run1"):
        paths(backend, "/lst/DL3/night1/run1.fits/*")

    assert paths(backend, "/nothing/at/all") == []


@pytest.fixture
def client(tmp_path: Path) -> Iterator[CtaClient]:
    """A client of a storage of its own."""
    with CtaClient(backend="memory") as made:
        (tmp_path / "f").touch()
        made.upload(tmp_path / "f", "/lst/a[1].fits")
        yield made


@pytest.mark.parametrize(
    ("exclude", "found"),
    [
        (("night1",), ["night2/run1.fits", "night2/deep/er/run9.fits"]),
        (("/night2/deep/",), ["night1/run1.fits", "night1/run10.fits", "night1/run2.fits", "night2/run1.fits"]),
        (("run1*", "er"), ["night1/run2.fits"]),
    ],
)
def test_what_is_excluded_is_not_found(backend: MemoryBackend, exclude: tuple[str, ...], found: list[str]) -> None:
    matches = expand(backend, "/lst/DL3/**/*.fits", selection=Selection(exclude=exclude))

    assert [info.path.removeprefix("/lst/DL3/") for info in matches] == found


def test_a_folder_is_looked_into_once_and_names_without_magic_are_asked_for() -> None:
    asked: list[str] = []

    class Watched(MemoryBackend):
        def list_dir(self, path: str) -> Iterator[FileInfo]:
            asked.append(f"list {path}")
            return super().list_dir(path)

        def stat(self, path: str) -> FileInfo:
            asked.append(f"stat {path}")
            return super().stat(path)

    watched = Watched()
    for folder in ("/t", "/t/a", "/t/a/b", "/t/c"):
        watched.make_dir(folder)
    watched.write("/t/a/index", Empty(), size=0, overwrite=True).result()

    assert [info.path for info in expand(watched, "/t/*/index")] == ["/t/a/index"]
    assert asked[0] == "list /t"
    assert sorted(asked[1:]) == ["stat /t/a/index", "stat /t/c/index"]
    asked.clear()
    assert [info.path for info in expand(watched, "/t/**/*/**/b")] == ["/t/a/b"]
    assert sorted(asked) == ["list /t", "list /t/a", "list /t/a/b", "list /t/c"]


def test_a_path_that_exists_as_it_is_written_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with CtaClient(backend="memory") as client:
        for name in ("run[1].fits", "run1.fits", "run2.fits"):
            client.upload(tmp_path / "f", f"/lst/{name}")

        assert [info.name for info in client.glob("/lst/run[1].fits")] == ["run[1].fits"]
        assert [info.name for info in client.glob("/lst/run[12].fits")] == ["run1.fits", "run2.fits"]
        assert list(client.glob("/lst/run[1].fits/")) == []


def test_a_pattern_may_be_an_address(client: CtaClient) -> None:
    assert [info.uri for info in client.glob("cta://lst/*.fits")] == ["cta://lst/a[1].fits"]
    assert [info.uri for info in client.glob("lst/a[[]1].fits")] == ["cta://lst/a[1].fits"]


@pytest.mark.parametrize("pattern", ["cta://lst/../*", "https://door/*", "/lst//*", "cta://other@lst/*"])
def test_a_pattern_that_is_no_address_is_refused(client: CtaClient, pattern: str) -> None:
    with pytest.raises(ConfigError):
        list(client.glob(pattern))
