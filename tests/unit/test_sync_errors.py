"""A sync among unreadable files, impossible names and changes on both sides."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import (
    Config,
    CredentialError,
    CtaClient,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
)
from ctadata_providers.testing import FakeCta
from ctadata_providers.transfer import Context
from tests.unit.two_trees import ADDRESS, FILES, TOP, client, local, plant, sow, stored, tree

__all__ = ["client", "local"]


# Errors


def test_the_first_error_stops_and_leaves_no_part(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, FILES)
    (local / "pipe").symlink_to("/does/not/exist")
    with pytest.raises(StorageError, match="pipe"):
        client.sync(local, ADDRESS)

    assert not [path for path in fake_cta.paths() if path.endswith(".ctapart")]


def make_unreadable(monkeypatch: pytest.MonkeyPatch, *shut: Path) -> None:
    """Let the file system refuse to read files and folders, as it does to all but root."""
    listdir, open_file = os.listdir, Path.open

    def refuse(path: Any) -> None:
        if Path(path) in shut:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def refusing_listdir(path: Any) -> list[str]:
        refuse(path)
        return listdir(path)

    def refusing_open(path: Path, *arguments: Any, **options: Any) -> Any:
        refuse(path)
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(os, "listdir", refusing_listdir)
    monkeypatch.setattr(Path, "open", refusing_open)


def test_unreadable_files_and_folders_are_told_and_the_rest_is_copied(
    client: CtaClient, fake_cta: FakeCta, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(local, {**FILES, "secret/f": b"s", "shut": b"s"})
    sow(fake_cta, {"extra": b"e", "secret/f": b"old"})
    make_unreadable(monkeypatch, local / "secret", local / "shut")
    result = client.sync(local, ADDRESS, on_error="continue", delete=True)

    assert [failure.path for failure in result.failures] == [f"{TOP}/secret", f"{TOP}/shut"]
    assert all(isinstance(failure.error, PermissionDeniedError) for failure in result.failures)
    assert stored(fake_cta) == {**FILES, "extra": b"e", "secret/f": b"old"}


def test_a_name_that_no_address_can_hold_is_told(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"line\nbreak": b"1", "tab\tfolder/f": b"2", "good": b"3"})
    (local / os.fsdecode(b"not utf-8 \xff")).write_bytes(b"4")
    dry = client.sync(local, ADDRESS, on_error="continue", dry_run=True)
    result = client.sync(local, ADDRESS, on_error="continue")

    assert stored(fake_cta) == {"good": b"3"}
    assert len(result.failures) == 3
    assert [failure.path for failure in dry.failures] == [failure.path for failure in result.failures]
    assert all("rename it" in str(failure.error) for failure in result.failures)


def test_nothing_is_written_through_a_link_that_leads_out(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    sow(fake_cta, {"sub/f": b"new", "g": b"1"})
    (local / "outside").mkdir()
    (local / "copy").mkdir()
    (local / "copy" / "sub").symlink_to(local / "outside")
    result = client.sync(ADDRESS, local / "copy", on_error="continue")

    assert [failure.path for failure in result.failures] == [f"{TOP}/sub/f"]
    assert tree(local / "outside") == {}
    assert (local / "copy" / "g").read_bytes() == b"1"


@pytest.mark.parametrize("link", ["latest", "runs/latest", "days"])
def test_nothing_is_written_through_a_link_to_another_file(
    link: str, client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    name = f"{link}/a" if link == "days" else link
    sow(fake_cta, {"run1": b"1", "run2": b"22", "night/a": b"1", name: b"22"})
    mirror = plant(local / "mirror", {"run1": b"1", "run2": b"22", "night/a": b"1"})
    (mirror / link).parent.mkdir(exist_ok=True)
    (mirror / link).symlink_to(mirror / ("night" if link == "days" else "run1"))
    result = client.sync(ADDRESS, mirror, on_error="continue", delete=True)

    assert [failure.path for failure in result.failures] == [f"{TOP}/{name}"]
    assert str(mirror / link) in str(result.failures[0].error)
    assert (mirror / "run1").read_bytes() == (mirror / "night/a").read_bytes() == b"1"
    assert (mirror / link).is_symlink()


def test_a_link_to_what_a_file_should_be_is_a_copy_of_it(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    sow(fake_cta, {"run1": b"1", "latest": b"1"})
    mirror = plant(local / "mirror", {"run1": b"1"})
    (mirror / "latest").symlink_to("run1")
    result = client.sync(ADDRESS, mirror, delete=True)

    assert (result.copied, result.unchanged) == (0, 2)
    assert (mirror / "latest").is_symlink()


def test_a_circle_of_links_in_the_source_is_told(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"a/f": b"1"})
    (local / "a" / "loop").symlink_to(local)
    result = client.sync(local, ADDRESS, on_error="continue")

    assert [failure.path for failure in result.failures] == [f"{TOP}/a/loop"]
    assert stored(fake_cta) == {"a/f": b"1"}


def test_a_refused_token_stops_at_once(fake_cta: FakeCta, local: Path) -> None:
    plant(local, FILES)
    settings = {**fake_cta.settings(), "token": "not.a.sync.token"}
    with CtaClient(Config(**settings)) as client, pytest.raises(CredentialError):  # type: ignore[arg-type]  # settings
        client.sync(local, ADDRESS, on_error="continue")

    assert len(fake_cta.requests) == 1


# Races


def change_before_reading(monkeypatch: pytest.MonkeyPatch, path: Path, act: Callable[[], object]) -> None:
    """Do something when a local file is about to be uploaded: after its listing, before its first byte."""
    from ctadata_providers.transfer.trees import directions

    upload = directions.upload

    async def late(context: Context, local: Path, remote: str, **options: Any) -> Any:
        if local == path:
            act()
        return await upload(context, local, remote, **options)

    monkeypatch.setattr(directions, "upload", late)


def test_a_local_file_that_vanishes_after_its_listing_is_told(
    client: CtaClient, fake_cta: FakeCta, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(local, FILES)
    sow(fake_cta, {"extra": b"e"})
    change_before_reading(monkeypatch, local / "a.fits", (local / "a.fits").unlink)
    result = client.sync(local, ADDRESS, on_error="continue", delete=True)

    assert [(f.path, type(f.error)) for f in result.failures] == [(f"{TOP}/a.fits", NotFoundError)]
    assert sorted(stored(fake_cta)) == sorted({*FILES, "extra"} - {"a.fits"})


def test_a_local_file_that_changes_after_its_listing_is_copied_as_it_is_then(
    client: CtaClient, fake_cta: FakeCta, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(local, FILES)
    change_before_reading(monkeypatch, local / "a.fits", lambda: (local / "a.fits").write_bytes(b"changed"))
    client.sync(local, ADDRESS)

    assert stored(fake_cta)["a.fits"] == b"changed"
    assert client.sync(local, ADDRESS).copied == 0


def test_a_remote_file_that_changes_or_vanishes_after_its_listing_is_told(
    client: CtaClient, fake_cta: FakeCta, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctadata_providers.transfer.trees import directions

    sow(fake_cta, {"changes": b"old", "goes": b"1", "stays": b"2"})
    download = directions.download

    async def late(context: Context, info: Any, *arguments: Any, **options: Any) -> Any:
        if info.name == "changes":
            sow(fake_cta, {"changes": b"longer"})
        elif info.name == "goes":
            client.remove(f"{TOP}/goes")
        return await download(context, info, *arguments, **options)

    monkeypatch.setattr(directions, "download", late)
    result = client.sync(ADDRESS, local, on_error="continue")
    monkeypatch.undo()

    assert [type(failure.error) for failure in result.failures] == [IntegrityError, NotFoundError]
    assert tree(local) == {"stays": b"2"}
    assert client.sync(ADDRESS, local).copied == 1


def test_a_file_that_appears_in_the_target_is_replaced(
    client: CtaClient, fake_cta: FakeCta, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(local, {"f": b"source"})
    fake_cta.make_dir(TOP)
    change_before_reading(monkeypatch, local / "f", lambda: sow(fake_cta, {"f": b"appeared"}))
    client.sync(local, ADDRESS)

    assert stored(fake_cta) == {"f": b"source"}
