"""What the command line takes."""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config
from ctadata_providers.cli import main
from ctadata_providers.cli.options import FLAGS, OPTIONS, config_of
from ctadata_providers.cli.parser import COMMANDS, command_line, parse
from ctadata_providers.config import ENVIRONMENT
from ctadata_providers.testing import FakeCta

Run = Callable[..., Any]
"""The fixture `ctadata`: runs a command, gives its `code`, `out`, `err`, `lines`, `records`, `error`, `one_line`."""

ROOT = Path(__file__).parents[3]


LISTED = [
    *("list", "get", "put", "cp", "rm", "mv", "mkdir", "stat", "cat", "head", "tree", "du"),
    *("sync", "verify", "clean"),
    *("login", "logout", "whoami", "token", "agent", "proxy", "certificate"),
    *("doctor", "sandbox", "demo"),
    "completion",
]
GROUPED = [
    "token show",
    "token refresh",
    "agent start",
    "agent status",
    "agent stop",
    "proxy create",
    "proxy info",
    "certificate upload",
    "certificate status",
]
ALIASES = [
    *("ls", "get-token", "print-token", "start-agent", "stop-agent"),
    *("upload-shared-certificate", "upload-personal-certificate"),
]


@pytest.mark.parametrize("name", ["", *LISTED, *GROUPED, *ALIASES])
def test_help_explains_each_command_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([*name.split(), "--help"])
    text = capsys.readouterr().out

    assert code == 0
    assert text.startswith(f"usage: {f'ctadata {name}'.strip()} [OPTION]...")
    assert "examples:\n  ctadata" in text
    assert max(len(line) for line in text.partition("examples:")[0].splitlines()) <= 104


@pytest.mark.parametrize("name", ["get", "put", "cp"])
def test_help_tells_what_becomes_of_a_file_that_exists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, "--help"])

    options = " ".join(capsys.readouterr().out.split())
    assert re.search(r"--no-overwrite fail where a [a-z ]*file exists[a-z ]* \(default: it is replaced\)", options)


def test_help_lists_the_commands_and_not_their_other_names(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    text = capsys.readouterr().out
    listed = re.findall(r"^    ([a-z-]+) ", text, re.MULTILINE)

    assert listed == LISTED
    assert not set(ALIASES) & set(listed)


@pytest.mark.parametrize("name", [*LISTED, *ALIASES])
def test_each_command_stands_in_the_documentation(name: str) -> None:
    assert f"`{name}" in (ROOT / "docs" / "command-line.md").read_text()


@pytest.mark.parametrize("name", GROUPED)
def test_a_command_of_a_group_is_told_with_its_group_and_takes_options_everywhere(name: str) -> None:
    group, act = name.split()
    args = parse(["--json", group, "-v", act, "-q"])

    assert (args.command, args.json, args.verbose, args.quiet) == (name, True, 1, True)


def test_options_of_credentials_are_settings_of_the_client(tmp_path: Path) -> None:
    given = {
        "token_command": "/usr/bin/print-it --for 'the door'",
        "oidc_account": "alice",
        "issuer": "https://id.example.org/realms/x/",
        "client_id": "me",
        "client_secret_file": str(tmp_path),
        "grant_type": "client_credentials",
        "scope": "openid storage.read:/",
        "audience": "https://door.example.org",
        "refresh": "never",
    }
    options = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    config = config_of(parse(["list", *options]))

    assert config.token_command == ("/usr/bin/print-it", "--for", "the door")
    assert config.issuer == "https://id.example.org/realms/x"
    assert config.client_secret_file == tmp_path
    assert (config.oidc_account, config.client_id, config.refresh) == ("alice", "me", "never")
    assert (config.grant_type, config.scope, config.audience) == (
        "client_credentials",
        "openid storage.read:/",
        "https://door.example.org",
    )


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from ctadata_providers.cli import main; code = main(['get', '--help'])\n"
        "heavy = {'requests', 'urllib3', 'pycurl', 'rich', 'aiohttp', 'astropy', 'cryptography', 'asyncio'}\n"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "0 []"


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    from ctadata_providers import __version__

    code = main(["--version"])

    assert (code, capsys.readouterr().out) == (0, f"ctadata {__version__}\n")


@pytest.mark.parametrize(
    "text",
    [
        "--json -v get -r a b --retries 3",
        "get a --json b -r --retries 3 -v",
        "--retries 9 get --retries 3 -rv a b --json",
    ],
)
def test_options_may_stand_before_between_and_after(text: str) -> None:
    args = parse(text.split())

    assert (args.command, args.paths, args.recursive) == ("get", ["a", "b"], True)
    assert (args.json, args.verbose, args.retries, args.quiet) == (True, 1, "3", False)


def test_after_two_dashes_everything_is_a_path() -> None:
    args = parse(["rm", "-r", "--", "-x", "--json"])

    assert (args.paths, args.json) == (["-x", "--json"], False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: COMMAND"),
        (["fetch", "x"], "invalid choice: 'fetch'"),
        (["get"], "required: REMOTE"),
        (["mv", "a"], "required: TARGET"),
        (["sandbox", "--port", "65536"], "65536 is not a port"),
        (["sandbox", "--port", "x"], "x is not a port"),
        (["sandbox", "--root", ".", "--fault", "nonsense"], "unknown fault 'nonsense'"),
        (["list", "--tokn-file", "x"], "unrecognized arguments: --tokn-file"),
        (["list", "--token", "secret"], "unrecognized arguments: --token"),
        (["login", "--client-secret", "secret"], "unrecognized arguments: --client-secret"),
        (["login", "--client-secret=secret", "-ssecret"], "unrecognized arguments: --client-secret -s"),
        (["--token", "secret-42", "list"], "there is no such command (choose from "),
        (["token"], "required: COMMAND"),
        (["agent", "begin"], "invalid choice: 'begin'"),
        (["list", "--issuer", "http://id.example.org"], "setting issuer"),
        (["list", "--grant-type", "password"], "setting grant_type"),
        (["list", "lst/../x"], "segment '..'"),
        (["list", "s3://bucket"], "only cta://"),
        (["list", "--retries", "many"], "setting retries: 'many'"),
        (["list", "--door-url", "ftp://x"], "setting door_url"),
        (["list", "--profile", "nowhere"], "unknown profile 'nowhere'"),
        (["mv", "cta://dev@a", "cta://prod@b"], "one profile, not to dev and prod"),
        (["list", "--profile", "prod", "cta://dev@lst"], "one profile, not to dev and prod"),
        (["get", "lst/a", "-"], "'-' for standard output is not supported; use 'ctadata cat'"),
        (["put", "-", "lst/a"], "'-' for standard input is not supported yet"),
    ],
)
def test_wrong_usage_is_one_line_with_a_remedy_and_code_2(
    arguments: list[str], said: str, ctadata: Run, fake_cta: FakeCta
) -> None:
    ran = ctadata(*arguments)

    assert (ran.code, ran.out) == (2, ""), ran.err
    assert said in ran.one_line
    assert ran.one_line.startswith("ctadata: ")
    assert "; " in ran.err
    assert fake_cta.requests == []


@pytest.mark.parametrize("arguments", [["list", "lst"], ["cp", "lst/a", "lst/b"], ["whoami"], ["doctor"]])
def test_a_profile_without_a_name_is_not_the_default_one(arguments: list[str], ctadata: Run, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"1")
    ran = ctadata(*arguments, "--profile", "")

    assert ran.code == 2
    assert "profile" in ran.one_line
    assert fake_cta.requests == []


def test_the_value_of_an_option_that_there_is_not_is_not_repeated(ctadata: Run) -> None:
    wrong = (["--token", "secret-42", "list"], ["list", "--secret=secret-42"], ["list", "-ssecret-42"])

    assert not any("secret-42" in ctadata(*arguments).err for arguments in wrong)


def test_wrong_usage_is_json_when_json_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["get", "--json"])
    error = json.loads(capsys.readouterr().err)

    assert code == 2
    assert (error["error"], error["path"], error["remedy"]) == ("ConfigError", None, "see 'ctadata get --help'")


def test_options_and_their_documentation_are_settings_of_the_core() -> None:
    names = {spec.name for spec in fields(Config)}
    documented = set(
        re.findall(r"`--([a-z-]+)`", (ROOT / "docs" / "command-line.md").read_text().split("## Settings")[1])
    )

    assert names > set(OPTIONS)
    assert {name for name, _ in FLAGS} < set(OPTIONS)
    assert not {"token", "client_secret"} & set(OPTIONS)
    assert {name.replace("_", "-") for name in OPTIONS} == documented


@pytest.mark.parametrize("name", [spec.name for spec in fields(Config) if spec.name not in ("on_token", "given")])
def test_each_setting_and_its_variables_stand_in_the_documentation(name: str) -> None:
    text = (ROOT / "docs" / "settings.md").read_text()

    assert f"`{name}`" in text or f"`{name}:" in text
    assert all(f"`{variable}`" in text for variable in ENVIRONMENT.get(name, ()))


def test_the_profile_of_an_address_is_used(ctadata: Run, night: FakeCta, tmp_path: Path) -> None:
    config = tmp_path / "config" / "ctadata-providers" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[profiles.site]\ndoor_url = "{night.door_url}"\nbase_path = "/lst"\n')

    assert ctadata("list", "cta://site@DL3/old").lines == ["c.fits"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "-r", "", "copy"],
        ["get", "lst/a", ""],
        ["sandbox", "--root", ""],
        ["demo", "--data", ""],
        ["demo", "--output", ""],
        ["put", "-r", ".", ""],
        ["list", ""],
        ["rm", "-r", ""],
        ["mv", "", "x"],
        ["mkdir", ""],
        ["stat", ""],
    ],
)
def test_a_variable_without_a_value_is_not_the_root(arguments: list[str], ctadata: Run, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"1")
    ran = ctadata(*arguments)

    assert ran.code == 2
    assert "empty path" in ran.one_line
    assert fake_cta.requests == []


def test_each_command_has_its_parser_by_its_name() -> None:
    found = {name: _words_of(command_line([name])) for name in COMMANDS}

    assert set(COMMANDS) == _words_of(command_line())
    assert all(name in words for name, words in found.items())


@pytest.mark.parametrize("line", ["--help", "--help get", "-qh get", "-h list --help", "--profile get -h list --help"])
def test_help_before_a_command_tells_of_all(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(line.split())

    assert (code, capsys.readouterr().out) == (0, command_line().format_help())


def test_a_wrong_command_is_told_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["fetch", "get"])

    told = capsys.readouterr().err
    assert code == 2
    assert all(f"'{name}'" in told for name in COMMANDS)


def _words_of(parser: argparse.ArgumentParser) -> set[str]:
    (groups,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return set(groups.choices)
