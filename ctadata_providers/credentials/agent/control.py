"""The agent from outside: start it, stop it, ask how it goes.

One agent for each account and machine keeps a token file fresh (`keeper`). It is a process of its own (`daemon`), which
holds a lock as long as it lives; so whether one runs is asked of the kernel, not of a file that a crash leaves behind.
"""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ctadata_providers import errors
from ctadata_providers.config import BUILT_IN_PROFILES, ENVIRONMENT, Config
from ctadata_providers.config.folders import home_folder
from ctadata_providers.credentials.agent.errand import Errand
from ctadata_providers.credentials.agent.files import AgentFiles, agents_here, is_seen_here, lock_holder
from ctadata_providers.credentials.resolve import renewable
from ctadata_providers.errors import ConfigError, CredentialError, CtaError

DAEMON = f"{__package__}.daemon"
"""The module that runs as the agent."""
SECRET_VARIABLES = (*ENVIRONMENT["token"], *ENVIRONMENT["client_secret"], "JUPYTERHUB_API_TOKEN")
"""What the agent does not inherit: it gets its settings by a pipe, and others of the user may see its environment."""
STOP_SECONDS = 60.0
"""How long an agent may take to end: it does not let go of a refresh between request and answer."""
_POLL_SECONDS = 0.05
_CTADATA_FOLDER = Path(".config") / "cta-data"
_CTADATA_FILES = {"prod": "token", "dev": "token-dev"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """How a running agent does; nothing in it is a secret.

    Attributes:
        account: Whose tokens it keeps fresh.
        pid: Its process.
        since: When it began, epoch seconds; None in its first moments.
        token_file: The file that it keeps fresh; None in its first moments.
        expires_at: When the token in that file ends, epoch seconds; None when it does not tell.
        error: Why the last attempt to get a token failed; None when it did not.
        failing_since: Epoch seconds of the first failure since the last success; None without one.
        log: Its log.
    """

    account: str
    pid: int
    since: float | None
    token_file: Path | None
    expires_at: float | None
    error: str | None
    failing_since: float | None
    log: Path


def default_target(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where WLCG's bearer token discovery looks for a file of this user.

    After `su` the runtime folder is still that of the other user.
    """
    name = f"bt_u{os.geteuid()}"
    folder = environ.get("XDG_RUNTIME_DIR")
    return (Path(folder) if folder and _is_own_folder(folder) else Path("/tmp")) / name  # noqa: S108 (WLCG's place)


def _is_own_folder(folder: str) -> bool:
    try:
        found = os.stat(folder)  # noqa: PTH116 (as a text it may be anything)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def ctadata_target(config: Config) -> Path:
    """Return the token file of the `ctadata` package (0.7) for the door of these settings.

    Raises:
        ConfigError: When that package has no file for this door.
    """
    for profile, name in _CTADATA_FILES.items():
        if config.door_url == BUILT_IN_PROFILES[profile]["door_url"]:
            return home_folder() / _CTADATA_FOLDER / name
    raise ConfigError(
        f"the token files of ctadata are for the doors of prod and dev, not for {config.door_url}",
        remedy="name a file with --token-file, or take 'ctadata agent start'",
    )


def make_folder(target: Path) -> None:
    """Make the folder of a token file, private to the user.

    Raises:
        CtaError: When it cannot be made.
    """
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CtaError(
            f"cannot make the folder {target.parent}: {error.strerror}",
            path=target.parent,
            remedy="name a file elsewhere with --token-file",
        ) from error


def running(config: Config) -> AgentStatus | None:
    """Return how the agent of these settings does on this machine, None when none runs."""
    return _status(AgentFiles.of(config))


def start(config: Config, target: Path | None = None, *, log_in: Callable[[], object] | None = None) -> AgentStatus:
    """Start the agent of these settings, and wait until the file holds a token; one that runs already is left alone.

    Args:
        config: Where the tokens come from.
        target: The file to keep fresh. By default that of token discovery (`default_target()`), which the agent removes
            when it ends: every command looks there first.
        log_in: What to do first if there is nothing to get new tokens from.

    Returns:
        How it does.

    Raises:
        ConfigError: When the settings cannot be kept fresh, or an agent keeps another file, or another agent this one.
        CredentialError: When there is no token to be had.
        TransientError: When who gives the tokens is away.
        CtaError: When the file cannot be written.
    """
    errand = Errand(config=config, target=(target or default_target()).expanduser().absolute(), withdraw=target is None)
    files = AgentFiles.of(config)
    present = _status(files)
    if present is None:
        _check(errand, files)
        if log_in is not None and not _has_source(config):
            log_in()
        try:
            _launch(errand)
        except ConfigError:
            if _status(files) is None:  # else somebody else was faster
                raise
        present = _status(files)
    if present is None:
        raise CtaError("the agent ended at once", path=files.log, remedy=f"look into {files.log}, then start it again")
    if present.token_file not in (None, errand.target):
        raise ConfigError(
            f"an agent of this account, process {present.pid}, keeps {present.token_file} fresh already",
            path=present.token_file,
            remedy="end it with 'ctadata agent stop'",
        )
    return present


def stop(
    config: Config, *, clock: Callable[[], float] = time.monotonic, wait: Callable[[float], None] = time.sleep
) -> int | None:
    """End the agent of these settings and wait until it has ended; the token file stays, for those that read it.

    Returns:
        The process that has ended; None when none ran.

    Raises:
        CtaError: When it does not end within `STOP_SECONDS`, or is not one of the processes that are seen here.
    """
    lock = AgentFiles.of(config).lock
    pid = lock_holder(lock)
    if pid is None:
        return None
    if not is_seen_here(lock, pid):
        if lock_holder(lock) != pid:
            return pid  # it has just ended
        raise CtaError(
            f"the agent, process {pid}, runs where this command does not see it, perhaps in another container",
            path=lock,
            remedy="say 'ctadata agent stop' there",
        )
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = clock() + STOP_SECONDS
    while lock_holder(lock) == pid:
        if clock() > deadline:
            raise CtaError(
                f"the agent, process {pid}, has not ended within {STOP_SECONDS:.0f} s",
                remedy=f"wait for its refresh to end; 'kill -9 {pid}' may cost the login",
            )
        wait(_POLL_SECONDS)
    return pid


def others(config: Config) -> Iterator[AgentStatus]:
    """Find the agents of other accounts that run on this machine."""
    own = AgentFiles.of(config)
    for files in agents_here():
        status = None if files.account == own.account else _status(files)
        if status is not None:
            yield status


def _status(files: AgentFiles) -> AgentStatus | None:
    pid = lock_holder(files.lock)
    if pid is None:
        return None
    told = files.read_state()
    if told.get("pid") != pid:
        told = {}  # of an agent that was killed
    token_file = told.get("token_file")
    return AgentStatus(
        account=files.account,
        pid=pid,
        since=told.get("since"),
        token_file=Path(token_file) if token_file else None,
        expires_at=told.get("expires_at"),
        error=told.get("error"),
        failing_since=told.get("failing_since"),
        log=files.log,
    )


def _check(errand: Errand, files: AgentFiles) -> None:
    """Make sure that the agent would not read what it writes, nor write what another one writes.

    Raises:
        ConfigError: When it would, or must not refresh at all.
    """
    config, target = errand.config, errand.target
    if config.refresh == "never":
        raise ConfigError("refresh is 'never', and an agent is there to refresh", remedy="leave refresh out")
    words = [Path(word) for word in config.token_command or ()]
    if config.token_file is not None and not _has_source(config):
        words.append(config.token_file)
    if any(_same_file(word, target) for word in words):
        raise ConfigError(
            f"the agent would take its tokens from {target}, the very file that it writes",
            path=target,
            remedy="log in with 'ctadata login', or name another file with --token-file",
        )
    for other in others(config):
        if other.token_file == target:
            raise ConfigError(
                f"the agent of {other.account}, process {other.pid}, keeps {target} fresh already",
                path=target,
                remedy="name another file with --token-file",
            )


def _has_source(config: Config) -> bool:
    """Tell whether there is something to get new tokens from."""
    try:
        return renewable(config) is not None
    except CredentialError:
        return False


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        pass  # one of them is not there
    try:
        return one.absolute() == other
    except OSError:
        return False  # there is no working folder any more


def _launch(errand: Errand) -> None:
    """Run the agent as a process of its own, and raise the error with which it ends if it does.

    Its settings go by a pipe: argv can be read by every user of the machine.
    """
    environ = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
    with subprocess.Popen(  # noqa: S603 (ourselves)
        [sys.executable, "-P", "-m", DAEMON],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=environ,
        start_new_session=True,
        text=True,
    ) as launcher:
        answer, _ = launcher.communicate(errand.to_json())
    told = json.loads(answer) if answer else {}
    if "error" in told:
        kind = getattr(errors, told["error"], CtaError)
        raise kind(told["message"], path=told["path"], remedy=told["remedy"])
