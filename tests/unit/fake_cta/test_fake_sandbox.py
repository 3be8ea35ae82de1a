import io
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import threading
import time
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest
import requests

from ctadata_providers.config import Config
from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import sandbox


class Announcement(io.StringIO):
    """A stream that ends the sandbox once it is announced, and keeps what is true until then."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__()
        self.stop = stop
        self.exports: dict[str, str] = {}
        self.token = ""
        self.listing = ""
        self.hub_users: list[tuple[str, bool, int]] = []
        self.backend = ""
        self.permissions = 0

    def flush(self) -> None:
        for line in self.getvalue().splitlines():
            words = shlex.split(line, comments=True)
            if words:
                assert words[0] == "export"
                name, _, self.exports[name] = words[1].partition("=")
        token_file = Path(self.exports["BEARER_TOKEN_FILE"])
        self.token, self.permissions = token_file.read_text(), token_file.stat().st_mode
        self.listing = self.list_night()
        self.hub_users = [
            self.ask_hub(line) for line in self.getvalue().splitlines() if 'JUPYTERHUB_API_TOKEN="' in line
        ]
        self.backend = Config.from_env(self.exports).backend
        self.stop.set()

    def ask_hub(self, line: str) -> tuple[str, bool, int]:
        """Take the token of a line as its reader does; return whose it is, of what kind, and what a list answers."""
        command = line.partition(": ")[2] + '; printf "%s %s" "$CTA_BACKEND" "$JUPYTERHUB_API_TOKEN"'
        said = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, check=True).stdout
        backend, token = said.split()
        file = Path(*shlex.split(line.partition("$(cat ")[2].removesuffix(')"')))
        assert backend == "downloadservice"
        assert token not in self.getvalue()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        service = self.exports["CTADS_URL"]
        with requests.Session() as session:
            session.verify, session.headers["Authorization"] = self.exports["CTA_CA_PATH"], f"Bearer {token}"
            session.trust_env = False
            user = session.get(f"{service.partition('/services/')[0]}/hub/api/user", timeout=10).json()
            listed = session.get(f"{service}list/lst", timeout=10)
        return user["name"], user["admin"], listed.status_code

    def list_night(self) -> str:
        """Reach the sandbox with what was announced, and return what it says of the sample data."""
        answer = requests.request(
            "PROPFIND",
            f"{self.exports['CTA_DOOR_URL']}/{sandbox.NIGHT}",
            headers={"Depth": "1"},
            auth=self.authorize,
            verify=self.exports["CTA_CA_PATH"],
            timeout=10,
        )
        return answer.text

    def authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def run(root: Path | None = None, **options: Any) -> Announcement:
    stop = threading.Event()
    announced = Announcement(stop)
    sandbox.serve(root, stream=announced, stop=stop, **options)
    return announced


def test_the_settings_are_shell_lines_and_the_token_is_in_a_private_file(tmp_path: Path) -> None:
    announced = run(tmp_path)

    names = {"CTA_DOOR_URL", "CTA_CA_PATH", "BEARER_TOKEN_FILE", "BEARER_TOKEN", "JUPYTERHUB_API_TOKEN"}
    others = {"CTA_PROFILE", "CTA_BACKEND", "CTA_BASE_PATH", "CTA_HUB_URL"}
    assert announced.exports.keys() == names | {"CTADS_URL", "CTACS_URL"} | others
    assert announced.exports["BEARER_TOKEN"] == ""  # one of the shell would win over the file
    assert announced.exports["JUPYTERHUB_API_TOKEN"] == ""  # one of the shell would be sent to the sandbox
    assert stat.S_IMODE(announced.permissions) == 0o600
    assert announced.token.count(".") == 2
    assert announced.token not in announced.getvalue()
    assert not Path(announced.exports["BEARER_TOKEN_FILE"]).exists()


def test_a_shell_that_was_led_to_another_data_centre_is_led_to_the_sandbox(tmp_path: Path) -> None:
    before = {
        "CTA_PROFILE": "site",
        "CTA_BACKEND": "downloadservice",
        "CTA_BASE_PATH": "/pnfs",
        "CTA_HUB_URL": "https://h/",
    }
    announced = run(tmp_path)
    config = Config.from_env({**before, **announced.exports})

    assert (config.profile, config.backend, config.base_path) == ("prod", "webdav", "/")
    assert config.door_url == announced.exports["CTA_DOOR_URL"]
    assert config.hub.startswith(announced.exports["CTADS_URL"].partition("/services/")[0])


def test_hub_tokens_of_four_users_are_in_private_files_and_the_door_is_meant_until_one_is_taken(
    tmp_path: Path,
) -> None:
    (tmp_path / "lst").mkdir()
    announced = run(tmp_path)

    assert announced.backend == "webdav"
    assert announced.hub_users == [
        ("alice", False, 200),
        ("bob", False, 200),
        ("carol", False, 403),
        ("admin", True, 200),
    ]


def test_faults_of_the_services_are_switched_on_from_text(tmp_path: Path) -> None:
    announced = run(
        tmp_path, faults=["server-error:server=downloadservice,path=/list/**,status=502,times=1", "crash:times=1"]
    )

    assert [status for _, _, status in announced.hub_users] == [502, 503, 503, 503]


def test_users_can_write_where_there_is_no_root(tmp_path: Path) -> None:
    announced = run(data=tmp_path)

    assert announced.hub_users[0] == ("alice", False, 200)


def test_faults_are_switched_on_from_text(tmp_path: Path) -> None:
    (tmp_path / sandbox.NIGHT).mkdir(parents=True)
    announced = run(tmp_path, faults=["broken-listing:after=20", "forbidden:method=PUT"])

    assert announced.listing == '<?xml version="1.0" '


def test_an_unknown_fault_is_refused_before_anything_is_served(tmp_path: Path) -> None:
    stream = io.StringIO()

    with pytest.raises(ConfigError, match="unknown fault"):
        sandbox.serve(tmp_path, faults=["rest"], stream=stream)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("as_folder", [True, False])
def test_sample_data_can_be_a_folder_or_what_writes_one(tmp_path: Path, as_folder: bool) -> None:
    (tmp_path / "mine.fits").write_bytes(b"mine")
    announced = run(data=tmp_path if as_folder else lambda folder: (folder / "mine.fits").write_bytes(b"mine"))

    assert "/lst/DL3/20241114/mine.fits" in announced.listing


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "x").write_bytes(b"1")
    program = (
        "import sys, pathlib; from ctadata_providers.testing.sandbox import serve; serve(pathlib.Path(sys.argv[1]))"
    )
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first_comment = next(dropwhile(lambda line: line.startswith("export "), process.stdout))
        process.send_signal(number)
        start = time.monotonic()
        _, errors = process.communicate(timeout=10)
        seconds = time.monotonic() - start

    assert first_comment.startswith("# ")
    slow = "Executing <"  # asyncio tells of each step beyond 0.1 s, which a busy machine may take
    assert process.returncode == 0
    assert [line for line in errors.splitlines() if not line.startswith(slow)] == []
    assert seconds < 5
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("approve", ["bob", None])
def test_the_line_for_a_login_works(tmp_path: Path, approve: str | None) -> None:
    (tmp_path / "data" / sandbox.NIGHT).mkdir(parents=True)
    stop, seen = threading.Event(), LoginLine()
    serving = threading.Thread(
        target=sandbox.serve, args=(tmp_path / "data",), kwargs={"approve": approve, "stream": seen, "stop": stop}
    )
    serving.start()
    seen.told.wait(10)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CTA_", "BEARER_"))}
    environ |= {name: str(tmp_path) for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    commands = f"{seen.exports}\n{seen.login}\nctadata --quiet list /lst/DL3"
    with subprocess.Popen(
        ["bash", "-ec", commands], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as shell:
        assert shell.stdout is not None
        said = ""
        for line in shell.stdout:
            said += line
            if approve is None and (page := re.search(r"https://\S+\?user_code=([A-Z-]+)", line)):
                visit(page[0], page[1], str(seen.ca_file))
    stop.set()
    serving.join(10)

    assert shell.returncode == 0, said
    assert "20241114/" in said


class LoginLine(io.StringIO):
    """A stream that tells when the sandbox is announced."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def flush(self) -> None:
        self.told.set()

    @property
    def exports(self) -> str:
        return "\n".join(line for line in self.getvalue().splitlines() if line.startswith("export "))

    @property
    def login(self) -> str:
        return self.getvalue().partition(sandbox.LOGIN)[2].splitlines()[0]

    @property
    def ca_file(self) -> str:
        return shlex.split(self.exports.partition("CTA_CA_PATH=")[2].splitlines()[0])[0]


def visit(page: str, user_code: str, ca_file: str) -> None:
    """Approve a login as a person does with a browser."""
    form = {"user_code": user_code, "username": "alice", "action": "approve"}
    answer = requests.post(page, data=form, verify=ca_file, timeout=10)
    answer.raise_for_status()
