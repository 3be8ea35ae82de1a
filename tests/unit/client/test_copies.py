"""Copies from one remote place to another, on storages in this process."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    Config,
    ConfigError,
    CtaClient,
    IntegrityError,
    IsADirError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
    TransferEvent,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.testing import FakeCta

DATA = b"events" * 10_000


@pytest.fixture(scope="module")
def site_server() -> Iterator[FakeCta]:
    with FakeCta(markers=0.05, quota=10_000_000) as cta:
        yield cta


@pytest.fixture
def site(site_server: FakeCta) -> FakeCta:
    """Another data centre, empty."""
    site_server.reset()
    return site_server


def client_of(cta: FakeCta, **settings: object) -> CtaClient:
    return CtaClient(Config(**{**cta.settings(), "copy_hosts": "localhost", "retries": 0, **settings}))  # type: ignore[arg-type]  # settings by name


@pytest.fixture
def here(fake_cta: FakeCta) -> Iterator[CtaClient]:
    """A client of the one."""
    fake_cta.put("/lst/a", DATA)
    with client_of(fake_cta) as client:
        yield client


@pytest.fixture
def there(site: FakeCta) -> Iterator[CtaClient]:
    """A client of the other."""
    with client_of(site) as client:
        yield client


@pytest.fixture
def profiles(site: FakeCta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other is the profile `site` of the user's config.toml."""
    (tmp_path / "ctadata-providers").mkdir()
    (tmp_path / "token").write_text(site.token)
    (tmp_path / "ctadata-providers" / "config.toml").write_text(
        f'[profiles.site]\ndoor_url = "{site.door_url}"\ntoken_file = "{tmp_path / "token"}"\nretries = 0\n'
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


class TestProfiles:
    def test_an_address_that_names_a_profile_leads_to_it_with_its_own_token(
        self, cta_environ: object, fake_cta: FakeCta, site: FakeCta, profiles: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CTA_COPY_HOSTS", "localhost")
        fake_cta.put("/lst/a", DATA)
        with CtaClient() as client:
            out = client.copy("cta://lst/a", "cta://site@copies/a")
            back = client.copy("cta://site@copies/a", "lst/back")
            among = client.copy("cta://site@copies/a", "cta://site@copies/b")
            tree = client.copy_tree("cta://site@copies", "lst/tree")

        assert [result.way for result in (out, back, among)] == ["pull"] * 3
        assert (tree.files, tree.size) == (2, 2 * len(DATA))
        assert site.paths() == ["/copies/a", "/copies/b"]
        assert fake_cta.paths() == ["/lst/a", "/lst/back", "/lst/tree/a", "/lst/tree/b"]
        assert {r.status for r in (*fake_cta.requests, *site.requests)} <= {200, 201, 202, 207, 302, 404}

    def test_settings_given_to_the_client_that_are_no_place_hold_for_both(
        self, fake_cta: FakeCta, site: FakeCta, profiles: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("BEARER_TOKEN", raising=False)
        fake_cta.put("/lst/a", DATA)
        with CtaClient(
            door_url=fake_cta.door_url, token=fake_cta.token, ca_path=fake_cta.ca_file, copy_hosts="localhost"
        ) as client:
            result = client.copy("lst/a", "cta://site@a")

        assert result.way == "pull"
        assert site.get("/a") == DATA

    def test_settings_that_are_complete_look_for_no_profile(self, here: CtaClient, profiles: None) -> None:
        for act in (
            lambda: here.copy("lst/a", "cta://site@a"),
            lambda: here.copy("cta://site@a", "lst/b"),
            lambda: here.copy_tree("lst", "cta://site@a"),
        ):
            with pytest.raises(ConfigError, match="names the profile 'site'"):
                act()

    def test_an_unknown_profile_is_told(self, cta_environ: object, fake_cta: FakeCta) -> None:
        with CtaClient() as client, pytest.raises(ConfigError, match="unknown profile 'nowhere'"):
            client.copy("lst/a", "cta://nowhere@a")


class TestWays:
    def test_inside_dcache_it_copies_from_itself(self, here: CtaClient, fake_cta: FakeCta) -> None:
        with client_of(fake_cta, copy_hosts="") as client:
            result = client.copy("lst/a", "lst/new/b")

        assert (result.way, result.path, result.source) == ("pull", "/lst/new/b", "/lst/a")
        assert result.checksums.keys() == {"adler32"}
        assert fake_cta.get("/lst/new/b") == DATA

    def test_between_two_the_target_pulls(
        self, here: CtaClient, there: CtaClient, fake_cta: FakeCta, site: FakeCta
    ) -> None:
        fake_cta.clear_requests()
        result = here.copy("lst/a", "a", to=there)

        assert (result.way, result.size, result.retries) == ("pull", len(DATA), 0)
        assert site.get("/a") == DATA
        assert [r.method for r in fake_cta.requests if not r.by_door] == ["PROPFIND"]

    def test_what_cannot_reach_the_other_is_reached_by_it(
        self, here: CtaClient, there: CtaClient, fake_cta: FakeCta, site: FakeCta
    ) -> None:
        with site.fault("failed-copy", refused=True):
            pushed = here.copy("lst/a", "pushed", to=there)
            with fake_cta.fault("failed-copy", refused=True):
                passed = here.copy("lst/a", "passed", to=there)

        assert (pushed.way, passed.way) == ("push", "client")
        assert (site.get("/pushed"), site.get("/passed")) == (DATA, DATA)
        assert site.paths() == ["/passed", "/pushed"]

    def test_what_may_not_pass_through_here_is_copied_by_servers_or_not_at_all(
        self, here: CtaClient, there: CtaClient, fake_cta: FakeCta, site: FakeCta
    ) -> None:
        copied = here.copy("lst/a", "by/servers", to=there, through_here=False)
        fake_cta.clear_requests()
        with client_of(site, copy_hosts="") as closed, pytest.raises(UnsupportedError):
            here.copy("lst/a", "closed", to=closed, through_here=False)
        busy = fake_cta.fault("unavailable", method="COPY"), site.fault("unavailable", method="COPY")
        with busy[0], busy[1], pytest.raises(TransientError):
            here.copy("lst/a", "busy", to=there, through_here=False)

        assert copied.way == "pull"
        assert site.paths() == ["/by/servers"]
        assert "GET" not in [request.method for request in fake_cta.requests]

    def test_a_way_that_was_not_even_asked_for_is_tidied_up_after_without_a_second_look(
        self, here: CtaClient, site: FakeCta
    ) -> None:
        with client_of(site, copy_hosts="") as closed:
            result = here.copy("lst/a", "closed", to=closed)
        removed = Counter(request.path for request in site.requests if request.method == "DELETE")

        assert result.way == "client"
        assert set(removed.values()) <= {1}

    def test_a_certificate_is_not_handed_on(self, here: CtaClient, fake_cta: FakeCta, site: FakeCta) -> None:
        settings = {name: value for name, value in site.settings().items() if name != "token"}
        with CtaClient(Config(**settings, proxy_file=site.proxy_file, copy_hosts="localhost")) as there:  # type: ignore[arg-type]  # settings by name
            pulled = here.copy("lst/a", "pulled", to=there)
            pushed = there.copy("pulled", "lst/pushed", to=here)
            with site.fault("failed-copy", refused=True):
                passed = here.copy("lst/a", "passed", to=there)

        assert (pulled.way, pushed.way, passed.way) == ("pull", "push", "client")
        assert (site.get("/passed"), fake_cta.get("/lst/pushed")) == (DATA, DATA)

    def test_a_storage_without_a_server_is_one_end_like_another(self, here: CtaClient, fake_cta: FakeCta) -> None:
        with CtaClient(backend="memory") as memory:
            out = here.copy("lst/a", "new/a", to=memory)
            inside = memory.copy("new/a", "new/b")
            back = memory.copy("new/b", "lst/b", to=here)

        assert (out.way, inside.way, back.way) == ("client", "server", "client")
        assert fake_cta.get("/lst/b") == DATA

    def test_a_file_on_tape_and_one_that_is_lost_are_told_before(self, here: CtaClient, fake_cta: FakeCta) -> None:
        fake_cta.set_locality("/lst/a", "NEARLINE")
        with pytest.raises(StorageError, match="cannot copy /lst/a: the storage says NEARLINE"):
            here.copy("lst/a", "lst/b")

        assert fake_cta.paths() == ["/lst/a"]


class TestVerified:
    def test_a_wrong_checksum_of_either_side_is_an_error_and_leaves_nothing(
        self, here: CtaClient, there: CtaClient, site: FakeCta
    ) -> None:
        with site.fault("wrong-digest", method="PROPFIND"), pytest.raises(IntegrityError, match="adler32"):
            here.copy("lst/a", "a", to=there)

        assert site.paths() == []

    def test_a_flipped_bit_on_the_way_is_an_error_of_the_door(
        self, here: CtaClient, there: CtaClient, fake_cta: FakeCta, site: FakeCta
    ) -> None:
        with fake_cta.fault("corrupt", server="pool", method="GET", after=10, times=1):
            result = here.copy("lst/a", "a", to=there)

        assert result.way in ("pull", "push")
        assert site.get("/a") == DATA

    def test_without_checksums_the_size_is_enough_unless_one_is_required(
        self, here: CtaClient, fake_cta: FakeCta, site: FakeCta
    ) -> None:
        with fake_cta.fault("no-digest"), site.fault("no-digest"):
            with client_of(site) as there:
                lenient = here.copy("lst/a", "a", to=there)
            with client_of(site, checksum="require") as there, pytest.raises(IntegrityError, match="required"):
                here.copy("lst/a", "b", to=there)

        assert (lenient.way, dict(lenient.checksums)) == ("pull", {})
        assert site.paths() == ["/a"]

    def test_a_full_storage_is_told_and_ends_all(self, here: CtaClient, there: CtaClient, site: FakeCta) -> None:
        site.put("/full", b"x" * 9_990_000)
        with pytest.raises(QuotaError):
            here.copy("lst/a", "a", to=there)

        assert site.paths() == ["/full"]

    def test_progress_is_what_the_markers_tell_and_comes_to_the_size(
        self, here: CtaClient, there: CtaClient, fake_cta: FakeCta
    ) -> None:
        seen: list[int] = []
        with fake_cta.fault("slow", server="pool", method="GET", rate=300_000):
            here.copy("lst/a", "a", to=there, progress=seen.append)

        assert len(seen) > 1
        assert sum(seen) == len(DATA)

    @pytest.mark.parametrize("hosts", ["localhost", ""])
    def test_events_are_those_of_one_copy_whichever_way_it_goes(
        self, here: CtaClient, fake_cta: FakeCta, there: CtaClient, hosts: str
    ) -> None:
        events: list[TransferEvent] = []
        with client_of(fake_cta, copy_hosts=hosts, on_event=events.append) as client:
            result = client.copy("lst/a", "a", to=there)
            with pytest.raises(AlreadyExistsError):
                client.copy("lst/a", "a", to=there, overwrite=False)

        told = [(event.kind, event.act, event.path, event.size) for event in events if event.kind != "progress"]
        assert told == [(kind, "copy", "/a", len(DATA)) for kind in ("start", "done", "start", "failed")]
        assert [event.result for event in events if event.kind == "done"] == [result]

    def test_a_copy_that_was_killed_is_removed_by_the_next(
        self, here: CtaClient, there: CtaClient, site: FakeCta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ctadata_providers.transfer.notes import remember

        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        part = "/.a.1a2b3c4d.0123456789abcdef0123456789abcdef.ctapart"
        site.put(part, b"half")
        remember(f"{site.door_url}/", "/a", part).end()
        here.copy("lst/a", "a", to=there)

        assert site.paths() == ["/a"]


class TestRefused:
    def test_targets_and_sources_that_are_none(self, here: CtaClient, fake_cta: FakeCta) -> None:
        fake_cta.put("/lst/sub/f", b"f")
        for source, target, kind in (
            ("lst/none", "lst/b", NotFoundError),
            ("lst/a", "lst/a", StorageError),
            ("lst/a", "lst/sub", IsADirError),
            ("lst/a", "lst/new/", IsADirError),
            ("lst/sub", "lst/b", IsADirError),
            ("lst/a/", "lst/b", IsADirError),
            ("lst/a", "lst/a/b", NotADirError),
        ):
            with pytest.raises(kind, match="lst"):
                here.copy(source, target)
        with pytest.raises(AlreadyExistsError):
            here.copy("lst/a", "lst/sub/f", overwrite=False)
        with pytest.raises(ConfigError, match="info tells of"):
            here.copy("lst/a", "lst/b", info=here.stat("lst/sub/f"))

        assert fake_cta.paths() == ["/lst/a", "/lst/sub/f"]

    def test_a_missing_right_is_an_error_and_no_reason_to_read_the_file(
        self, here: CtaClient, fake_cta: FakeCta, site: FakeCta
    ) -> None:
        with (
            client_of(site, token=site.make_token(scope="storage.read:/")) as there,
            pytest.raises(PermissionDeniedError),
        ):
            here.copy("lst/a", "a", to=there)

        assert [r for r in fake_cta.requests if r.method == "GET"] == []
        assert site.paths() == []

    def test_two_clients_of_one_place_see_that_it_is_one(self, here: CtaClient, fake_cta: FakeCta) -> None:
        with client_of(fake_cta) as again:
            with pytest.raises(StorageError, match="itself"):
                here.copy("lst/a", "lst/a", to=again)
            with pytest.raises(StorageError, match="inside it"):
                here.copy_tree("lst", "lst/copy", to=again)

        assert fake_cta.get("/lst/a") == DATA


class TestTrees:
    def test_a_tree_is_copied_with_its_empty_folders_and_what_is_selected(
        self, here: CtaClient, there: CtaClient, fake_cta: FakeCta, site: FakeCta
    ) -> None:
        for name in ("x.fits", "y.log", "deep/er/z.fits", "tmp/t.fits"):
            fake_cta.put(f"/lst/night/{name}", name.encode())
        fake_cta.make_dir("/lst/night/empty")
        result = here.copy_tree("lst/night", "copy", to=there, include=["*.fits", "empty/"], exclude=["tmp/"])

        assert (result.files, result.failures) == (2, ())
        assert site.paths() == ["/copy/deep/er/z.fits", "/copy/x.fits"]
        assert site.exists("/copy/empty")

    def test_what_failed_is_told_by_path_and_the_rest_goes_on(
        self, here: CtaClient, there: CtaClient, fake_cta: FakeCta, site: FakeCta
    ) -> None:
        for number in range(5):
            fake_cta.put(f"/lst/night/{number}", b"x")
        site.put("/copy/3/folder", b"in the way")
        with fake_cta.fault("forbidden", path="/lst/night/1", method="GET"):
            result = here.copy_tree("lst/night", "copy", to=there, on_error="continue")
            with pytest.raises((PermissionDeniedError, IsADirError)):
                here.copy_tree("lst/night", "copy", to=there)

        assert [(f.path, type(f.error)) for f in result.failures] == [
            ("/copy/1", PermissionDeniedError),
            ("/copy/3", IsADirError),
        ]
        assert result.files == 3
        assert site.paths() == ["/copy/0", "/copy/2", "/copy/3/folder", "/copy/4"]

    def test_a_missing_folder_makes_none_and_a_file_is_no_tree(
        self, here: CtaClient, there: CtaClient, site: FakeCta
    ) -> None:
        # A name of its own: a copy that was stopped by the error of another may still make the folder above it.
        with pytest.raises(NotFoundError):
            here.copy_tree("lst/none", "unmade", to=there)
        with pytest.raises(NotADirError):
            here.copy_tree("lst/a", "unmade", to=there)

        assert not site.exists("/unmade")
