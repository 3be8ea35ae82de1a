"""A fake data centre on this machine until Ctrl-C: what `ctadata sandbox` runs."""

import os
import shlex
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO, TypedDict

from ctadata_providers.testing.fake import FakeCta

NIGHT = "lst/DL3/20241114"
HOMES = ("lst/users/alice", "cta/users")
"""Where the sample data lies below the served folder, and where users may write by the CTA services."""
LOGIN = "# to log in instead: "
SERVICES = "# to use the CTA services instead of the door: "
"""What stands before the commands that do so."""
OTHERS = "# or as "
"""What stands before other users of the services, with the command that makes one them."""

_LIFETIME = 12 * 3600.0
_INTERVAL = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


_OF_OTHERS = ("CTA_PROFILE", "CTA_BACKEND", "CTA_BASE_PATH", "CTA_HUB_URL")
"""What a shell may have set to reach another data centre, and which would lead past this one."""


class HubTokenOptions(TypedDict, total=False):
    """What a hub token is good for."""

    scope: bool
    admin: bool


_HUB_USERS: dict[str, tuple[str, HubTokenOptions]] = {
    "alice": ("alice", {}),
    "bob": ("bob", {}),
    "carol": ("carol, whose token is not good for them", {"scope": False}),
    "admin": ("admin, an administrator", {"admin": True}),
}


def serve(
    root: Path | None = None,
    *,
    port: int = 0,
    data: Callable[[Path], object] | Path | None = None,
    faults: Iterable[str] = (),
    approve: str | None = None,
    stream: TextIO | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serve a folder as a data centre until Ctrl-C or SIGTERM.

    The settings that lead to it are written as `export NAME=value` lines, quoted for a shell, then a comment.
    They lead to the door. The token stands in a file that only its owner can read; it is valid for 12 hours. Comments
    tell how to log in at the issuer instead, and how to use the CTA services, which serve the same files: as alice,
    bob, carol, whose hub token is not good for them, or an administrator. Hub tokens, too, stand in files.

    Args:
        root: The folder to serve; None for a temporary one with sample data.
        port: The door's port, 0 for any free one.
        data: The sample data: a folder to copy, or what writes it into a given folder; a simulated night of
            event lists by default.
        faults: What goes wrong there, as `Faults.add_text` understands it.
        approve: The user as whom every login is approved at once; None waits for a person on the issuer's page.
        stream: Where the settings go, standard output by default.
        stop: Ends the service when set, as a signal does. Signals are left alone outside of the main thread.

    Raises:
        ConfigError: When the port is taken, or a fault is not known.
        NotADirError: When the folder does not exist.
    """
    stop = stop or threading.Event()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ctadata-sandbox-")))
        if root is None:
            root = scratch / "data"
            _fill(root / NIGHT, data)
            for home in HOMES:
                (root / home).mkdir(parents=True)
        cta = stack.enter_context(FakeCta(root=root, door_port=port, token_lifetime=_LIFETIME, services=True))
        for fault in faults:
            cta.faults.add_text(fault)
        cta.issuer.configure(interval=_INTERVAL, approve=approve)
        stack.enter_context(_signals(stop))
        _announce(cta, scratch, stream or sys.stdout)
        stop.wait()


def _fill(folder: Path, data: Callable[[Path], object] | Path | None) -> None:
    """Put the sample data into a folder."""
    folder.parent.mkdir(parents=True)
    if isinstance(data, Path):
        shutil.copytree(data, folder)
        return
    if data is None:
        from ctadata_providers.testing.samples import write_night

        data = write_night
    folder.mkdir()
    data(folder)


def _announce(cta: FakeCta, scratch: Path, stream: TextIO) -> None:
    """Write the settings; the token itself is not shown."""
    environ = cta.environ()
    token_file = _private(scratch / "token", environ.pop("BEARER_TOKEN"))
    # Those of the shell would win, or be sent here.
    environ |= {"BEARER_TOKEN_FILE": str(token_file), "BEARER_TOKEN": "", "JUPYTERHUB_API_TOKEN": ""}
    environ |= {"CTADS_URL": cta.service_url, "CTACS_URL": cta.certificate_service_url}
    environ |= dict.fromkeys(_OF_OTHERS, "")
    for name, value in environ.items():
        stream.write(f"export {name}={shlex.quote(value)}\n")
    login = {name: value for name, value in cta.oidc_environ().items() if name not in environ}
    names = " ".join(f"{name}={shlex.quote(value)}" for name, value in login.items())
    stream.write(f"{LOGIN}unset BEARER_TOKEN BEARER_TOKEN_FILE; export {names}; ctadata login\n")
    for user, (told, options) in _HUB_USERS.items():
        file = _private(scratch / f"hub-token-{user}", cta.make_hub_token(user, lifetime=_LIFETIME, **options))
        export = f'export CTA_BACKEND=downloadservice JUPYTERHUB_API_TOKEN="$(cat {shlex.quote(str(file))})"'
        stream.write(f"{SERVICES}{export}\n" if user == "alice" else f"{OTHERS}{told}: {export}\n")
    stream.write("# the sandbox runs until Ctrl-C\n")
    stream.flush()


def _private(path: Path, secret: str) -> Path:
    """Write a secret into a new file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
    return path


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM set an event instead of ending the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
