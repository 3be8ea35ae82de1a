"""Which file systems are the same, what they share, and what travels with them: no secret."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fsspec
import pytest

from ctadata_providers import Config, CtaClient
from ctadata_providers.errors import ConfigError
from ctadata_providers.filesystem import CtaFileSystem
from tests.canaries import Canaries
from tests.servers.server import Server

SECRET = "a-secret-that-nobody-else-may-see"


def test_file_systems_of_several_threads_share_a_client(server: Server) -> None:
    options = {"config": {**server.settings(), "token": "", "proxy_file": ""}}
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: fsspec.filesystem("cta", **options), range(2))

    assert first.client is second.client


def test_storage_options_may_be_text() -> None:
    told = CtaFileSystem(
        retries="2", max_parallel="3", timeout="7.5", allow_http_pools="true", skip_instance_cache=True
    )
    config = told.client.config

    assert (config.retries, config.max_parallel, config.timeout, config.allow_http_pools) == (2, 3, 7.5, True)
    with pytest.raises(ConfigError, match="max_paralel"):
        CtaFileSystem(max_paralel="3")


@pytest.mark.parametrize(
    "options",
    [
        {"token": SECRET, "door_url": "https://localhost:1"},
        {"config": {"token": SECRET, "door_url": "https://localhost:1"}},
        {"config": Config(token=SECRET, door_url="https://localhost:1")},
        {"client": CtaClient(token=SECRET, door_url="https://localhost:1")},
    ],
    ids=["token", "mapping", "config", "client"],
)
def test_no_secret_is_in_pickle_token_or_options(options: dict[str, Any]) -> None:
    fs = CtaFileSystem(**options)
    told = [repr(pickle.dumps(fs)), fs._fs_token, repr(fs.storage_options), repr(fs)]

    assert not Canaries(SECRET).in_text(*told)
    assert fs.client.config.token == SECRET
    again = pickle.loads(pickle.dumps(fs)).client.config
    assert (again.door_url, again.token) == ("https://localhost:1", None)


def test_no_secret_is_in_json() -> None:
    fs = CtaFileSystem(token=SECRET, door_url="https://localhost:1")

    assert not Canaries(SECRET).in_text(fs.to_json())
    assert pickle.loads(pickle.dumps(fs)).storage_options == {"door_url": "https://localhost:1"}
    assert CtaFileSystem(door_url="https://localhost:1") is not fs


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"client": CtaClient(backend="memory")}, {"client": CtaClient(backend="memory")}),
        ({"client": CtaClient(backend="memory")}, {}),
        ({"token": SECRET}, {"token": "another"}),
        ({"token": SECRET}, {}),
        ({"config": Config(token=SECRET)}, {"config": Config(token="another")}),
        ({"config": {"token": SECRET}}, {"config": {"token": "another"}}),
        ({"on_token": print}, {"on_token": repr}),
    ],
    ids=["clients", "client", "tokens", "token", "configs", "mappings", "callbacks"],
)
def test_what_differs_only_in_a_client_or_a_secret_is_not_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = CtaFileSystem(**one), CtaFileSystem(**other)

    assert first != second
    assert len({first, second, first._fs_token, second._fs_token}) == 4
    assert CtaFileSystem(**one) == first
    assert hash(CtaFileSystem(**one)) == hash(first)
    assert not Canaries(SECRET).in_text(first._fs_token, second._fs_token)


def test_storages_are_told_apart_by_their_addresses() -> None:
    door = {"backend": "webdav", "door_url": "https://localhost:1", "base_path": "/lst"}
    services = {"backend": "downloadservice", "service_url": "https://localhost:1/services/downloadservice/"}

    assert CtaFileSystem(config=door).fsid == "cta_https://localhost:1/lst"
    assert CtaFileSystem(config=services).fsid == "cta_https://localhost:1/services/downloadservice/"
    with pytest.raises(NotImplementedError, match="in memory has no identifier"):
        _ = CtaFileSystem(config={"backend": "memory"}).fsid
