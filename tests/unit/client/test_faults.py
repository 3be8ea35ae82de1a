"""The front where rights are missing, a server is away, late or full."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    Config,
    ConfigError,
    CredentialError,
    CtaClient,
    PermissionDeniedError,
    QuotaError,
    StorageError,
    TransientError,
)
from ctadata_providers.testing import FakeCta
from tests.unit.client.calls import PATH_CALLS, connect

# Rights and faults


@pytest.mark.parametrize("name", ["stat", "exists", "list_dir", "download", "upload", "make_dir", "checksum"])
def test_without_a_credential_the_remedy_is_to_give_one(fake_cta: FakeCta, local: Path, name: str) -> None:
    with connect(fake_cta, token="") as client, pytest.raises(CredentialError, match="BEARER_TOKEN_FILE"):
        PATH_CALLS[name](client, "/lst/f", local)


@pytest.mark.parametrize("name", ["upload", "remove", "make_dir", "move"])
def test_a_token_without_the_right_changes_nothing(fake_cta: FakeCta, local: Path, name: str) -> None:
    fake_cta.put("/lst/f", b"old")
    token = fake_cta.make_token(scope="storage.read:/")
    path = "/lst/new" if name == "make_dir" else "/lst/f"
    with connect(fake_cta, token=token) as client, pytest.raises(PermissionDeniedError, match="/lst"):
        PATH_CALLS[name](client, path, local)

    assert fake_cta.paths() == ["/lst/f"]
    assert fake_cta.get("/lst/f") == b"old"


def test_a_token_that_may_only_create_uploads_without_a_rename(fake_cta: FakeCta, local: Path) -> None:
    fake_cta.put("/lst/old", b"old")
    token = fake_cta.make_token(scope="storage.read:/ storage.create:/")
    with connect(fake_cta, token=token) as client:
        client.upload(local / "sent", "/lst/new")
        with pytest.raises(PermissionDeniedError):
            client.upload(local / "sent", "/lst/old")

    assert {path: fake_cta.get(path) for path in fake_cta.paths()} == {"/lst/new": b"12345", "/lst/old": b"old"}
    assert "MOVE" not in {request.method for request in fake_cta.requests}


def test_a_folder_whose_making_was_not_answered_is_made(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/f", b"1")
    lost = fake_cta.faults.add("lost-answer", path="/lst/new", method="MKCOL", times=1)
    with connect(fake_cta, retries=1) as client:
        client.make_dir("lst/new")
        is_dir = client.stat("lst/new").is_dir

    assert (is_dir, lost.hits) == (True, 1)


def test_a_file_where_a_folder_was_to_be_made_is_an_error_also_at_the_second_try(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/new", b"1")
    fake_cta.faults.add("reset", path="/lst/new", method="MKCOL", times=1)
    with connect(fake_cta, retries=1) as client, pytest.raises(AlreadyExistsError):
        client._backend.make_dir("/lst/new")


def test_local_places_that_cannot_be_looked_at_are_told_by_our_errors(
    client: CtaClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / ("x" * 300)  # as in a folder that may not be entered, which root may
    with pytest.raises(StorageError, match=place.name):
        client.upload_tree(place, "lst/new")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    reading, writing = os.pipe()
    os.close(writing)
    with (
        os.fdopen(reading, "rb", buffering=0) as pipe,
        pytest.raises(StorageError, match=r"what goes to /lst/new in .*TMPDIR"),
    ):
        client.write("lst/new", pipe)


def test_one_forbidden_move_does_not_forbid_the_others(fake_cta: FakeCta, local: Path) -> None:
    fake_cta.put("/lst/mine/f", b"1")
    fake_cta.make_dir("/lst/theirs")
    scope = "storage.read:/ storage.create:/lst/mine storage.modify:/lst/mine"
    with connect(fake_cta, token=fake_cta.make_token(scope=scope)) as client:
        with pytest.raises(PermissionDeniedError, match="/lst/"):
            client.move("/lst/mine/f", "/lst/theirs/f")
        client.move("/lst/mine/f", "/lst/mine/g")
        client.upload(local / "sent", "/lst/mine/h")

    assert fake_cta.paths() == ["/lst/mine/g", "/lst/mine/h"]
    assert [request.method for request in fake_cta.requests].count("MOVE") == 3


def test_a_full_storage_is_told_and_nothing_stays(local: Path) -> None:
    (local / "big").write_bytes(b"x" * 3_000_000)
    with FakeCta(quota=2_000_000) as cta, connect(cta) as client:
        cta.put("/lst/old", b"old")
        with pytest.raises(QuotaError, match="/lst/"):
            client.upload(local / "big", "/lst/new")
        with pytest.raises(QuotaError):
            client.upload(local / "big", "/lst/old")

        assert cta.paths() == ["/lst/old"]
        assert cta.get("/lst/old") == b"old"


def test_an_untrusted_door_is_told_with_the_remedy(fake_cta: FakeCta, local: Path) -> None:
    with connect(fake_cta, ca_path="") as client:
        for name in ("stat", "download", "upload"):
            with pytest.raises(StorageError, match="ca_path") as caught:
                PATH_CALLS[name](client, "/lst/f", local)

            assert not isinstance(caught.value, TransientError)


def test_a_missing_ca_file_is_a_setting_to_mend(fake_cta: FakeCta) -> None:
    with connect(fake_cta, ca_path="/does/not/exist.pem") as client, pytest.raises(ConfigError, match="ca_path"):
        client.stat("/lst/f")


@pytest.mark.parametrize("name", ["stat", "download", "upload", "list_dir"])
def test_an_unknown_host_is_told_as_such(local: Path, name: str) -> None:
    config = Config(door_url="https://no-such-host.invalid", retries=0)
    with CtaClient(config) as client, pytest.raises(TransientError, match="door_url"):
        PATH_CALLS[name](client, "/lst/f", local)

    assert sorted(path.name for path in local.iterdir()) == ["sent"]


@pytest.mark.parametrize("name", ["stat", "download", "upload", "list_dir"])
def test_a_door_that_is_down_is_told_as_such(local: Path, name: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        config = Config(door_url=f"http://127.0.0.1:{unused.getsockname()[1]}", retries=0)
        with CtaClient(config) as client, pytest.raises(TransientError, match="door_url"):
            PATH_CALLS[name](client, "/lst/f", local)


FORKED = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of fork with threads: that is what is tried
from pathlib import Path
from ctadata_providers import CtaClient
client = CtaClient(retries=0)
client.download("/lst/f", sys.argv[1] + "/parent")
child = os.fork()
client.download("/lst/f", sys.argv[1] + ("/again" if child else "/child"))
client.upload(sys.argv[1] + "/parent", "/lst/" + ("parent" if child else "child"))
if not child:
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1] != 0)
"""


def test_a_client_works_on_both_sides_of_a_fork(cta_environ: dict[str, str], fake_cta: FakeCta, local: Path) -> None:
    fake_cta.put("/lst/f", b"123" * 1000)
    subprocess.run([sys.executable, "-c", FORKED, str(local)], check=True, timeout=60)

    assert {(local / name).read_bytes() for name in ("parent", "again", "child")} == {b"123" * 1000}
    assert fake_cta.paths() == ["/lst/child", "/lst/f", "/lst/parent"]


# A server that is late


@pytest.mark.parametrize("method", ["PROPFIND", "MOVE"])
def test_a_file_that_is_seen_late_is_not_given_up(fake_cta: FakeCta, local: Path, method: str) -> None:
    fault = fake_cta.faults.add("not-found", path="/lst/.f.*", method=method, times=1)
    with connect(fake_cta, retries=1) as client:
        result = client.upload(local / "sent", "/lst/f")

    assert (fault.hits, result.retries) == (1, 1)
    assert fake_cta.paths() == ["/lst/f"]


def test_a_file_that_is_never_seen_is_an_error_and_leaves_nothing(fake_cta: FakeCta, local: Path) -> None:
    fake_cta.faults.add("not-found", path="/lst/.f.*", method="PROPFIND")
    with connect(fake_cta, retries=1) as client, pytest.raises(TransientError, match="/lst/f, and says that it is not"):
        client.upload(local / "sent", "/lst/f")

    assert fake_cta.paths() == []
