"""What `compat` makes of the CTA services, for those who come from ctadata 0.6.2."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import pytest

import ctadata_providers.compat as ctadata
from ctadata_providers import Config, CredentialError, IsADirError, NotFoundError
from ctadata_providers.cli import legacy, main
from ctadata_providers.compat.settings import config_of
from ctadata_providers.config import BUILT_IN_PROFILES
from ctadata_providers.testing import FakeCta
from tests.unit.compat import examples
from tests.unit.compat.test_commands import Run, runner

Files = Callable[[], list[str]]
ODD = "lst/some-data-dir/sub/b c%20#ü.txt"
NIGHT = "/cta/DL1/20241114/v0.1"
NAME = "dl1_LST-1.Run11111.0100.h5"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeCta]:
    with FakeCta(services=True) as cta:
        yield cta


@pytest.fixture
def services(server: FakeCta, cta_environ: object, monkeypatch: pytest.MonkeyPatch, here: Path) -> FakeCta:
    """A small tree at services that the environment leads to, as on the platform; no door does."""
    server.reset()
    for name in ("CTA_DOOR_URL", "BEARER_TOKEN", "CTA_CA_PATH"):
        monkeypatch.delenv(name)
    for name, value in server.service_environ().items():
        monkeypatch.setenv(name, value)
    server.put("/lst/some-data-dir/some-data-file", b"0123456789")
    server.put(f"/{ODD}", b"bb")
    (here / "latest.txt").write_text("hello")
    return server


@pytest.fixture
def run(services: FakeCta, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys, legacy.cta_data)


def test_a_listing_is_the_one_of_the_service(services: FakeCta) -> None:
    top, *entries = ctadata.list_dir("lst/some-data-dir")
    file = next(entry for entry in entries if entry["type"] == "file")

    assert (top, top["type"], top["href"], "size" in top) == ("lst/some-data-dir/", "directory", top, False)
    assert sorted(entries) == ["lst/some-data-dir/some-data-file", "lst/some-data-dir/sub/"]
    assert list(file.keys()) == ["href", "mtime", "size", "type", "url"]
    assert (file["href"], file["size"], int(file["size"])) == ("lst/some-data-dir/some-data-file", "10", 10)
    assert file["mtime"].endswith(" GMT")
    assert file["url"].startswith(services.service_url)


def test_a_listing_of_a_file_is_that_file(services: FakeCta) -> None:
    (entry,) = ctadata.list_dir("lst/some-data-dir/some-data-file")

    assert (entry["href"], entry["size"]) == ("lst/some-data-dir/some-data-file", "10")


def test_the_root_is_a_folder(services: FakeCta) -> None:
    for path in ("", "/"):
        top, *entries = ctadata.list_dir(path)

        assert (top, top["href"], top["type"]) == ("", "", "directory")
        assert "lst/" in entries


def test_what_a_listing_gives_can_be_fetched_as_it_is(services: FakeCta, files: Files) -> None:
    entry = ctadata.list_dir("lst/some-data-dir/sub")[1]
    fetch_url = entry["url"].replace("/list/", "/fetch/")
    ways = [entry, str(entry), entry["href"], entry["url"], fetch_url]

    assert entry == ODD
    assert [ctadata.fetch_and_save_file(way, f"copy{number}") for number, way in enumerate(ways)] == [2] * len(ways)
    assert ctadata.fetch_and_save_file(entry) == 2
    assert "b c%20#ü.txt" in files()


def test_programs_for_dictionaries_and_for_texts_work(services: FakeCta) -> None:
    entries = ctadata.list_dir("lst/some-data-dir")
    sizes = [int(entry["size"]) for entry in entries if "size" in entry]
    names = [entry.rstrip("/").split("/")[-1] for entry in entries if "some-data-file" in entry]

    assert (sizes, names) == ([10], ["some-data-file"])


def test_a_folder_lands_under_its_path_as_with_ctadata(services: FakeCta, files: Files) -> None:
    for path in ("lst/some-data-dir", "/lst/some-data-dir/"):
        assert ctadata.fetch_and_save_file_or_dir(path, recursive=True) is None
    with pytest.raises(IsADirError):
        ctadata.fetch_and_save_file_or_dir("lst/some-data-dir")

    assert files() == ["latest.txt", "lst/some-data-dir/some-data-file", ODD]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("your-folder/", "lst/users/alice/your-folder/latest.txt"),
        ("your-folder/new-file-name.md", "lst/users/alice/your-folder/new-file-name.md"),
        ("/your-folder/x", "lst/users/alice/your-folder/x"),
        ("new", "lst/users/alice/new"),
        ("lst/x", "lst/users/alice/lst/x"),
        ("lst/users/alice/a/b", "lst/users/alice/a/b"),
        ("/cta/users/alice/a/", "cta/users/alice/a/latest.txt"),
        ("cta://cta/users/alice/x", "cta/users/alice/x"),
    ],
)
def test_an_upload_is_in_ones_own_folder(services: FakeCta, target: str, path: str) -> None:
    for _ in range(2):  # replacing is a success, too
        told = ctadata.upload_file("latest.txt", target)

        assert told == {"path": path, "status": "uploaded", "total_written": 5}
    assert services.get(path) == b"hello"
    assert ctadata.fetch_and_save_file(str(told["path"]), "again") == 5


def test_the_folder_of_another_user_is_not_written_to(services: FakeCta) -> None:
    with pytest.raises(PermissionError) as caught:
        ctadata.upload_file("latest.txt", "lst/users/bob/x")

    assert isinstance(caught.value, ctadata.StorageException)
    assert [path for path in services.paths() if "users" in path] == []


def test_what_is_in_a_folder_keeps_its_place(services: FakeCta, here: Path) -> None:
    (here / "src" / "deep" / "er").mkdir(parents=True)
    (here / "src" / "deep" / "er" / "b").write_text("b")

    assert ctadata.upload_dir("src", "tgt/") is None
    assert services.get("/lst/users/alice/tgt/deep/er/b") == b"b"


def test_a_folder_is_not_fetched_as_a_file_nor_is_the_root(services: FakeCta, files: Files) -> None:
    for path in ("lst", "lst/some-data-dir/", "/", ""):
        with pytest.raises(IsADirError):
            ctadata.fetch_and_save_file(path)

    assert files() == ["latest.txt"]


def test_an_error_page_is_an_error_and_leaves_the_old_file(services: FakeCta, here: Path, files: Files) -> None:
    with pytest.raises(NotFoundError):
        ctadata.fetch_and_save_file("lst/some-data-dir/no-such-file", "latest.txt")

    assert files() == ["latest.txt"]
    assert (here / "latest.txt").read_text() == "hello"


@pytest.mark.parametrize(
    ("state", "words"),
    [("none", "You do not have any certificate configured"), ("expired", "is invalid, please reupload it")],
)
def test_a_certificate_that_is_missing_is_told_as_ctadata_does(services: FakeCta, state: str, words: str) -> None:
    services.set_certificate("alice", "lst", state)  # type: ignore[arg-type]  # of the two, both are states
    for act in (ctadata.list_dir, ctadata.fetch_and_save_file):
        with pytest.raises(ctadata.api.StorageException, match=f"{words}.*'ctadata certificate upload'"):
            act("lst/some-data-dir/some-data-file")


def test_the_keywords_lead_to_a_service(services: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CTADS_URL", "CTACS_URL", "JUPYTERHUB_API_TOKEN"):
        monkeypatch.delenv(name)
    token, url = services.make_hub_token("bob"), services.service_url
    told = ctadata.upload_file("latest.txt", "x", token=token, downloadservice=url, chunk_size=1 << 20)
    client = ctadata.APIClient()
    client.token, client.downloadservice = token, url

    assert told["path"] == "lst/users/bob/x"
    assert client.list_dir("lst/users/bob")[1] == "lst/users/bob/x"


def test_what_is_set_on_the_class_counts_for_every_call(services: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTADS_URL", "https://127.0.0.1:1/services/downloadservice/")
    monkeypatch.setattr(ctadata.APIClient, "downloadservice", services.service_url)
    monkeypatch.setattr(ctadata.api.APIClient, "token", services.make_hub_token("bob"))

    assert ctadata.upload_file("latest.txt", "x")["path"] == "lst/users/bob/x"
    assert ctadata.APIClient().list_dir("lst/users/bob")[1] == "lst/users/bob/x"
    assert ctadata.direct.APIClient().token is None  # no door sees the token of a hub


def test_a_token_by_keyword_comes_before_the_one_of_the_environment(services: FakeCta) -> None:
    told = ctadata.upload_file("latest.txt", "x", token=services.make_hub_token("bob"))

    assert told["path"] == "lst/users/bob/x"
    with pytest.raises(CredentialError):
        ctadata.list_dir("lst", token="refused")


def test_a_token_alone_is_for_the_service_that_ctadata_knows(
    cta_environ: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CTA_DOOR_URL", "BEARER_TOKEN"):
        monkeypatch.delenv(name)
    config = config_of({"token": "t"}, direct=False)

    assert (config.backend, config.hub_token, config.token) == ("downloadservice", "t", None)
    assert config.service_url == "https://platform.cta.cscs.ch/services/downloadservice/"
    assert config_of({"token": "t"}, direct=True) == Config.from_env(backend="webdav", token="t")
    assert config_of({"token": "t", "dev_instance": True}, direct=False).token == "t"


def test_a_token_of_another_hub_stays_here(cta_environ: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CTA_DOOR_URL", "BEARER_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "of-another-hub")

    assert config_of({}, direct=False).backend == "webdav"


def test_a_door_that_lets_nobody_in_tells_of_the_token_that_the_services_might_take(
    services: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUILT_IN_PROFILES["prod"], "door_url", services.door_url)
    monkeypatch.delenv("CTADS_URL")
    monkeypatch.setenv("JUPYTERHUB_API_URL", "http://hub:8081/hub/api")  # as on a hub that does not tell its name

    with pytest.raises(CredentialError, match="CTADS_URL=https://platform"):
        ctadata.list_dir("lst")
    with pytest.raises(CredentialError) as caught:
        ctadata.direct.list_dir("lst")
    assert "CTADS_URL" not in str(caught.value)
    assert not any("authorization" in request.headers for request in services.requests)


def test_the_service_is_read_at_each_call(services: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ctadata.list_dir("lst")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", services.make_hub_token("bob"))

    assert ctadata.upload_file("latest.txt", "x")["path"] == "lst/users/bob/x"


@pytest.mark.parametrize("call", ["personal", "certificate"])
def test_a_proxy_is_delegated(services: FakeCta, call: str) -> None:
    services.set_certificate("alice", "cta", "none")
    proxy = services.make_proxy("alice")
    if call == "personal":
        told = ctadata.upload_personal_certificate(str(proxy), "cta")
    else:
        told = ctadata.upload_certificate(str(proxy))

    assert told["message"] == "Certificate stored"
    assert str(told["validity"]).endswith("GMT")
    services.make_dir("/cta")
    assert ctadata.list_dir("cta")


def test_the_shared_certificate_is_for_administrators(services: FakeCta) -> None:
    proxy = services.make_proxy("robot")
    with pytest.raises(ctadata.CertificateError):
        ctadata.upload_shared_certificate(str(proxy))

    told = ctadata.upload_shared_certificate(str(proxy), token=services.make_hub_token("admin", admin=True))
    assert told == {"certificateUploaded": True, "message": "Shared certificate stored"}


@pytest.mark.parametrize("meant", ["service", "door", "direct", "dev"])
def test_a_token_with_a_certificate_is_always_the_hubs(
    services: FakeCta, monkeypatch: pytest.MonkeyPatch, meant: str
) -> None:
    proxy, token = str(services.make_proxy("robot")), services.make_hub_token("admin", admin=True)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "another")
    if meant == "door":
        monkeypatch.setenv("CTA_DOOR_URL", services.door_url)
    module = ctadata.direct if meant == "direct" else ctadata

    told = module.upload_shared_certificate(proxy, token=token, dev_instance=meant == "dev")
    assert told["message"] == "Shared certificate stored"
    assert module.upload_certificate(proxy, token=token)["message"] == "Certificate stored"
    assert {request.server for request in services.requests} == {"certificateservice"}


def test_a_token_that_a_client_has_for_the_door_is_not_sent_with_a_certificate(services: FakeCta) -> None:
    client = ctadata.direct.APIClient()
    client.token = services.token
    told = client.upload_certificate(str(services.make_proxy("alice")))

    assert told["message"] == "Certificate stored"
    assert not any(services.token in request.headers["authorization"] for request in services.requests)


def test_the_certificateservice_is_taken_by_keyword(services: FakeCta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTACS_URL", "https://127.0.0.1:1/services/certificateservice/")
    told = ctadata.upload_certificate(
        str(services.make_proxy("alice")), certificateservice=services.certificate_service_url
    )

    assert told["message"] == "Certificate stored"


def test_a_certificate_that_is_not_there_or_for_nothing_is_told(services: FakeCta) -> None:
    with pytest.raises(FileNotFoundError):
        ctadata.upload_certificate("no-such-file.crt")
    with pytest.raises(ValueError, match="lst, cta, arc"):
        ctadata.upload_certificate(str(services.make_proxy("alice")), key="veritas")


# The examples of the documentation


@pytest.fixture
def run_example(services: FakeCta, capsys: pytest.CaptureFixture[str], here: Path) -> Callable[[str], str]:
    """Runs the text of an example after the import line, and returns what it prints."""
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        file["dl1"] = [1, 2, 3]
    for name in (NAME, f"datacheck_{NAME}", "dl1_LST-1.Run11111.0101.h5", "dl1_LST-1.Run11112.0100.h5"):
        services.put(f"{NIGHT}/{name}", held.getvalue())
    (here / "example.txt").write_text("example")
    (here / "yourcertificate.crt").write_bytes(services.make_proxy("alice").read_bytes())
    (here / "yourcertificate.crt").chmod(0o600)

    def run(example: str) -> str:
        exec(compile(examples.COMPAT + example, "example", "exec"), {})
        return capsys.readouterr().out

    return run


def test_the_example_of_a_listing(run_example: Callable[[str], str]) -> None:
    printed = run_example(examples.LISTING).split()

    assert printed[0] == "cta/"
    assert "cta/DL1/" in printed


def test_the_example_of_files_that_are_meant(run_example: Callable[[str], str], files: Files) -> None:
    printed = run_example(examples.FILTERED)

    assert [line.split()[0] for line in printed.splitlines()] == ["stored", "found"]
    assert [name for name in files() if name.endswith(".h5")] == [NAME]


def test_the_examples_of_a_file_and_a_folder(run_example: Callable[[str], str], files: Files) -> None:
    run_example(examples.FILE)
    run_example(examples.FOLDER)

    assert {"some-data-file", "lst/some-data-dir/some-data-file", ODD} < set(files())


def test_the_example_of_an_upload(run_example: Callable[[str], str], services: FakeCta) -> None:
    run_example(examples.UPLOAD)

    stored = {services.get(f"/lst/users/alice/your-folder/{name}") for name in ("new-file-name.md", "latest.txt")}
    assert stored == {b"hello"}


def test_the_example_of_webdav4(run_example: Callable[[str], str], services: FakeCta) -> None:
    run_example(examples.WEBDAV)

    assert [path for path in services.paths() if path.endswith("remote/example.txt")]


def test_the_example_of_a_certificate(run_example: Callable[[str], str], services: FakeCta) -> None:
    services.set_certificate("alice", "cta", "none")
    run_example(examples.CERTIFICATE)

    assert ctadata.list_dir("cta")


# The command


def test_cta_data_lists_dictionaries_as_ctadata_does(run: Run) -> None:
    ran = run("list", "lst/some-data-dir")
    listed = [eval(line) for line in ran.out.splitlines()]

    assert ran.code == 0
    assert listed == [dict(entry) for entry in ctadata.list_dir("lst/some-data-dir")]


def test_cta_data_gets_and_puts(run: Run, services: FakeCta, files: Files, here: Path) -> None:
    (here / "src" / "sub").mkdir(parents=True)
    (here / "src" / "sub" / "a").write_text("a")
    codes = [
        run("get", "lst/some-data-dir/some-data-file").code,
        run("get", "-r", "lst/some-data-dir").code,
        run("put", "latest.txt", "latest-file-list").code,
        run("put", "-r", "src", "tgt").code,
    ]

    assert codes == [0, 0, 0, 0]
    assert {"some-data-file", "lst/some-data-dir/some-data-file", ODD} < set(files())
    assert services.get("/lst/users/alice/latest-file-list") == b"hello"
    assert services.get("/lst/users/alice/tgt/sub/a") == b"a"


def test_the_token_that_is_printed_is_the_one_for_a_door(
    run: Run, services: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", services.token)

    assert run("print-token").out == f"{services.token}\n"


def test_cta_data_ends_with_1_where_ctadata_ended_with_0(run: Run, services: FakeCta, files: Files) -> None:
    assert run("get", "lst/some-data-dir/no-such-file").code == 1
    assert run("put", "latest.txt", "lst/users/bob/x").code == 1
    assert run("list", "lst/no-such-folder").code == 1
    assert files() == ["latest.txt"]


@pytest.mark.parametrize("program", [legacy.cta_data, main], ids=["cta-data", "ctadata"])
def test_certificates_are_given_by_the_names_of_ctadata(
    services: FakeCta,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    program: Callable[[list[str]], int],
) -> None:
    run = runner(capsys, program)
    proxy = services.make_proxy("alice")
    services.make_dir("/cta")
    services.set_certificate("alice", "cta", "none")

    assert run("upload-personal-certificate", proxy, "cta").code == 0
    assert ctadata.list_dir("cta")
    assert run("upload-personal-certificate", proxy, "lst", "-u", "bob").code == 0
    assert run("upload-personal-certificate", proxy, "veritas").code == 2
    assert run("upload-personal-certificate", "no-such-file", "cta").code == 1
    assert run("upload-shared-certificate", proxy).code == 1
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", services.make_hub_token("admin", admin=True))
    assert run("upload-shared-certificate", proxy).code == 0
    assert proxy.read_text().splitlines()[1] not in run("upload-shared-certificate", proxy, "--json", "-vv").err
