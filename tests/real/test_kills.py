"""Downloads from and uploads to real servers are killed by SIGKILL, and run again."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.faults.kills.moments import killed_and_run_again, plan, tell
from tests.faults.kills.processes import Commands
from tests.real.conftest import SERVERS
from tests.real.kills import GET, PUT, ServerStage
from tests.servers.nginx import nginx
from tests.servers.pki import Pki
from tests.servers.tokens import TokenIssuer

KINDS = {"get": GET, "put": PUT}
NAMES = ("nginx-tls", "xrootd-token")
KILLS, SOAKED = 10, 200
Staged = tuple[ServerStage, Commands, float]
Get = Callable[[str, str], Staged]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, pki: Pki, issuer: TokenIssuer) -> Iterator[Get]:
    """Give stages by server and command, each with the time of a run that nobody disturbs."""
    root = tmp_path_factory.mktemp("kills")
    built: dict[tuple[str, str], Staged] = {}
    with ExitStack() as stack:

        def get(server: str, command: str) -> Staged:
            if (server, command) not in built:
                # Its log tells how many bytes it has sent.
                start = nginx(pki=pki, access_log=True) if server == "nginx-tls" else SERVERS[server](pki, issuer)
                stage = ServerStage(stack.enter_context(start), KINDS[command], root / server / command)
                commands = stack.enter_context(Commands(stage.environ, root / server / command / "log"))
                seconds = []
                for _ in range(2):
                    stage.prepare()
                    begun = time.monotonic()
                    commands.run(stage.argv)
                    seconds.append(time.monotonic() - begun)
                    stage.check_whole()
                assert stage.moved(0) == stage.kind.size or (server, command) != ("nginx-tls", "get")
                built[server, command] = stage, commands, min(seconds)
            return built[server, command]

        yield get


@pytest.mark.real
@pytest.mark.parametrize("share", [share for _, share in plan(NAMES, KILLS)])
@pytest.mark.parametrize("command", KINDS)
@pytest.mark.parametrize("server", NAMES)
def test_what_was_killed_is_whole_after_the_next_run(server: str, command: str, share: float, stages: Get) -> None:
    stage, commands, seconds = stages(server, command)

    killed_and_run_again(stage, commands, share * seconds)


@pytest.mark.real
@pytest.mark.soak
@pytest.mark.parametrize("command", KINDS)
@pytest.mark.parametrize("server", NAMES)
def test_hundreds_of_kills(server: str, command: str, stages: Get, request: pytest.FixtureRequest) -> None:
    stage, commands, seconds = stages(server, command)
    begun = time.monotonic()
    twice = [killed_and_run_again(stage, commands, share * seconds) for _, share in plan(NAMES, SOAKED)]

    told = (
        f"at most {max(twice) / 1e6:.1f} MB moved twice" if command == "get" and server == "nginx-tls" else "all whole"
    )
    minutes = (time.monotonic() - begun) / 60
    tell(request, f"{SOAKED} kills of {command}, {server}, {minutes:.1f} min: {told}")
