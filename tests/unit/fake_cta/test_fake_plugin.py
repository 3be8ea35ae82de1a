import os
import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]


def test_the_fixtures_give_a_fresh_data_centre_each_on_one_server(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os
        urls = set()

        def test_one(fake_cta):
            fake_cta.put("/x", b"1")
            urls.add(fake_cta.door_url)

        def test_two(fake_cta, cta_server):
            assert fake_cta is cta_server
            assert fake_cta.paths() == [] and fake_cta.requests == []
            urls.add(fake_cta.door_url)
            assert len(urls) == 1
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_environment_leads_to_the_data_centre_and_nowhere_else(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X509_USER_PROXY", "/tmp/mine")
    monkeypatch.setenv("CTA_PROFILE", "dev")
    monkeypatch.setenv("OIDC_SOCK", "/tmp/agent")
    pytester.makepyfile(
        """
        import os

        def test_inside(cta_environ, fake_cta):
            assert os.environ["CTA_DOOR_URL"] == fake_cta.door_url == cta_environ["CTA_DOOR_URL"]
            assert os.environ["BEARER_TOKEN"] == fake_cta.token
            assert os.environ["CTA_CA_PATH"] == str(fake_cta.ca_file)
            assert not {"X509_USER_PROXY", "CTA_PROFILE", "OIDC_SOCK"} & set(os.environ)
            for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
                assert os.environ[name] == cta_environ[name]
                assert os.listdir(os.environ[name]) == []

        def test_without_a_token(cta_login_environ, fake_cta):
            assert os.environ["CTA_ISSUER"] == fake_cta.issuer.url
            assert os.environ["CTA_CLIENT_ID"] == "ctadata-public"
            assert "BEARER_TOKEN" not in os.environ

        def test_after():
            assert os.environ["X509_USER_PROXY"] == "/tmp/mine"
            assert "CTA_DOOR_URL" not in os.environ
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)


def test_a_proxy_of_the_shell_is_not_asked_for_the_data_centre(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "mine.invalid")
    monkeypatch.delenv("no_proxy", raising=False)
    pytester.makepyfile(
        """
        import os
        import subprocess
        import sys
        from ctadata_providers import CtaClient
        from ctadata_providers.testing import FakeCta

        def stat_in_a_process(environ):
            command = [sys.executable, "-m", "ctadata_providers.cli", "stat", "/x", "--retries", "0"]
            return subprocess.run(command, env=environ).returncode

        def test_in_a_process_with_an_environment_of_its_own():
            with FakeCta() as cta:
                cta.put("/x", b"1")
                assert stat_in_a_process(os.environ | cta.environ()) == 0

        def test_in_this_process(fake_cta):
            fake_cta.put("/x", b"1")
            with CtaClient(**fake_cta.settings(), retries=0) as client:
                assert client.stat("/x").size == 1
            assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "mine.invalid,localhost"

        def test_in_the_environment_of_services(cta_services_environ, fake_cta_services):
            fake_cta_services.put("/lst/x", b"1")
            with CtaClient(retries=0) as client:
                assert client.stat("/lst/x").size == 1
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)
    assert os.environ["NO_PROXY"] == "mine.invalid"


def test_the_fixtures_with_services_lead_to_these_and_nowhere_else(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTA_DOOR_URL", "https://elsewhere.invalid")
    pytester.makepyfile(
        """
        import os
        from ctadata_providers.config import Config

        def test_inside(cta_services_environ, fake_cta_services, cta_services_server):
            assert fake_cta_services is cta_services_server
            assert os.environ["JUPYTERHUB_API_TOKEN"] == fake_cta_services.hub_token
            config = Config.from_env()
            assert config.backend == "downloadservice"
            assert config.service_url == fake_cta_services.service_url
            assert Config(**fake_cta_services.service_settings()).hub_token == config.hub_token
            fake_cta_services.put("/x", b"1")

        def test_after(fake_cta_services):
            assert fake_cta_services.paths() == [] and fake_cta_services.requests == []
            assert fake_cta_services.exists("/lst/users")
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_plugin_imports_nothing_heavy() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules)\n"
        "import ctadata_providers.testing.pytest_plugin\n"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "['ctadata_providers']\n"


def test_without_its_packages_a_fixture_tells_which_extra_brings_them(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import sys; sys.modules['aiohttp'] = None")
    pytester.makepyfile("def test_it(fake_cta): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(errors=1)
    result.stdout.re_match_lines([r"E .*needs aiohttp: pip install 'ctadata-providers\[testing\]'"])
