"""Streams to and from S3, which moto plays: blocks, the end of an upload, and what stays of one that fails."""

from collections.abc import Iterator
from typing import Any

import pytest

from ctadata_providers import AlreadyExistsError, IntegrityError, NotFoundError
from ctadata_providers.testing import FakeCta

pytestmark = [
    pytest.mark.real,
    pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning"),
]
LARGE = bytes(range(256)) * 100_000
SMALL = b"dark night"


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="localhost", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The S3 of the environment, with the empty bucket `box`."""
    import s3fs
    from airflow.sdk.io.store import _STORE_CACHE

    settings = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}
    for name, value in {**settings, "ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    made = s3fs.S3FileSystem()
    made.mkdir("box")
    yield made
    made.rm("box", recursive=True)
    _STORE_CACHE.clear()


def give(remote_path: Any, storage_path: Any, **settings: Any) -> Any:
    from airflow_provider_cta.transfers.cta_to_object_storage import CtaToObjectStorageOperator

    operator = CtaToObjectStorageOperator(
        task_id="give", remote_path=remote_path, storage_path=storage_path, **settings
    )
    return operator.execute({})


def take(storage_path: Any, remote_path: Any, **settings: Any) -> Any:
    from airflow_provider_cta.transfers.object_storage_to_cta import ObjectStorageToCtaOperator

    operator = ObjectStorageToCtaOperator(
        task_id="take", remote_path=remote_path, storage_path=storage_path, **settings
    )
    return operator.execute({})


def unfinished(s3: Any) -> list[Any]:
    """Return the uploads of blocks that nobody has ended."""
    return list(s3.call_s3("list_multipart_uploads", Bucket="box").get("Uploads", ()))


@pytest.mark.parametrize("data", [SMALL, LARGE, b""], ids=["small", "large", "empty"])
def test_a_file_goes_there_and_back(data: bytes, s3: Any, cta_default: FakeCta) -> None:
    cta_default.put("/lst/a.fits", data)
    there = give("lst/a.fits", "s3://box/night/")
    back = take("s3://box/night/a.fits", "lst/back.fits")

    assert there["storage_path"] == back["storage_path"] == "s3://box/night/a.fits"
    assert s3.cat("box/night/a.fits") == data
    assert cta_default.get("/lst/back.fits") == data
    assert unfinished(s3) == []


def test_lists_and_patterns_go_both_ways(s3: Any, cta_default: FakeCta) -> None:
    for number in range(9):
        cta_default.put(f"/lst/run{number}.fits", SMALL * number)
    there = give("lst/*.fits", "s3://box/night/")
    back = take("s3://box/night/run[1-3].fits", "lst/back/")

    assert [result["storage_path"] for result in there] == [f"s3://box/night/run{number}.fits" for number in range(9)]
    assert [result["uri"] for result in back] == [f"cta://lst/back/run{number}.fits" for number in (1, 2, 3)]


def test_what_is_wrong_never_appears_and_no_block_stays(s3: Any, cta_default: FakeCta) -> None:
    cta_default.put("/lst/a", LARGE)
    s3.pipe("box/old", b"old")
    with cta_default.fault("corrupt", method="GET"):
        for target in ("s3://box/new", "s3://box/old"):
            with pytest.raises(IntegrityError):
                give("lst/a", target)
    with pytest.raises(AlreadyExistsError):
        give("lst/a", "s3://box/old", overwrite=False)

    assert s3.find("box") == ["box/old"]
    assert s3.cat("box/old") == b"old"
    assert unfinished(s3) == []


def test_a_bucket_that_is_not_there_is_told_and_not_made(s3: Any, cta_default: FakeCta) -> None:
    cta_default.put("/lst/a", SMALL)
    with pytest.raises(FileNotFoundError):
        give("lst/a", "s3://another/deep/a")
    with pytest.raises(NotFoundError):
        take("s3://another/deep/a", "lst/b")

    assert s3.ls("") == ["box"]


def test_a_source_that_is_replaced_meanwhile_is_told(
    s3: Any, cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_cta.transfers import streams

    s3.pipe("box/a", LARGE)
    reading, replaced = streams._Reading.read, []

    def read(self: Any, size: int = -1) -> bytes:
        if self._file.tell() > 20_000_000 and not replaced:
            replaced.append(s3.pipe("box/a", bytes(len(LARGE))))
        return reading(self, size)

    monkeypatch.setattr(streams._Reading, "read", read)
    with pytest.raises((IntegrityError, OSError)):
        take("s3://box/a", "lst/a")

    assert replaced
    assert cta_default.paths() == []
