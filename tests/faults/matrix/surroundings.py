"""What breaks beside the wire: servers that go away, files that change, credentials that end, disks that fill up."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ctadata_providers.credentials import tokens
from tests.faults.guarded import jwt
from tests.faults.matrix.scene import Scene
from tests.faults.matrix.wire import Install, at, reset
from tests.faults.scripted import Act, Exchange, get, put
from tests.places import unwritable

DEAD_FOR = 0.1
A_DAY = 86_400.0


def refused(scene: Scene, times: int) -> None:
    """Nobody listens when the transfer begins."""

    def go() -> None:
        scene.door.close()
        if times == 1:
            scene.revive(DEAD_FOR)

    scene.begin.append(go)


def restarted(scene: Scene, times: int) -> None:
    """The server ends, with all connections, and begins again at once."""

    def go() -> None:
        scene.door.close()
        scene.revive(0.0)

    scene.begin.append(go)


def gone_midway(scene: Scene, times: int) -> None:
    """The server goes away in the middle of a body."""

    def go(exchange: Exchange) -> None:
        ending = threading.Thread(target=scene.door.close)
        ending.start()
        if times == 1:
            ending.join()
            scene.revive(DEAD_FOR)
        exchange.reset()

    at("middle", go)(scene, 1)
    scene.strikes_one = False


def unknown_host(scene: Scene, times: int) -> None:
    """The name of the server leads nowhere."""
    scene.door_url = "https://door.invalid:2880"


def midway(change: Callable[[Scene], None]) -> Install:
    """Change something in the middle of a download, which then breaks."""

    def install(scene: Scene, times: int) -> None:
        def act(exchange: Exchange) -> None:
            change(scene)
            reset(exchange)

        at("middle", act)(scene, 1)

    return install


def replaced(scene: Scene) -> None:
    """Put another file of the same size in its place."""
    scene.payload = scene.door.files[scene.struck or ""] = bytes(reversed(scene.payload))


def shortened(scene: Scene) -> None:
    """Put a shorter file in its place."""
    scene.door.files[scene.struck or ""] = scene.payload[:-7]


def removed(scene: Scene) -> None:
    """Remove the file."""
    del scene.door.files[scene.struck or ""]


def refusing(code: int, first: str, following: str) -> Install:
    """Refuse one token, and at once there is the next one; or there is none."""

    def install(scene: Scene, times: int) -> None:
        file = scene.root / "token"
        _renew(file, first)
        scene.settings["token_file"] = str(file)
        scene.patch.setattr(tokens, "CLOCK_LEEWAY", 3600.0)  # our clock may be wrong: the server has to say it

        def act(exchange: Exchange) -> None:
            if times == 1:
                _renew(file, following)
            exchange.answer(code)

        scene.fault(act, times)

    return install


def _renew(file: Path, token: str) -> None:
    new = file.with_name("new-token")
    new.write_text(token)
    new.chmod(0o600)
    new.replace(file)


def broken_and_refused(scene: Scene, times: int) -> None:
    """The connection breaks midway, and then the token has ended."""
    at("middle", reset)(scene, 1)
    refusing(401, "first-token-0123456789", "second-token-0123456789")(scene, times)


ENDED = jwt(life=-200, age=3600)
LIVING = jwt()


def disk_full(number: int) -> Install:
    """The operating system refuses to write more than the half of the struck file."""

    def install(scene: Scene, times: int) -> None:
        left = len(scene.payload) // 2

        def limited(real: Callable[..., int]) -> Callable[..., int]:
            def write(fd: int, data: bytes | list[bytes], *rest: int) -> int:
                nonlocal left
                name = Path(f"/proc/self/fd/{fd}").readlink().name
                if not name.startswith(f".{scene.target.name}") or not name.endswith(".ctapart"):
                    return real(fd, data, *rest)
                if left <= 0:
                    raise OSError(number, os.strerror(number))
                some = [b"".join(data)[:left]] if isinstance(data, list) else bytes(data)[:left]
                written = real(fd, some, *rest)
                left -= written
                return written

            return write

        for name in ("write", "pwrite", "pwritev"):
            scene.patch.setattr(os, name, limited(getattr(os, name)))

    return install


def read_only(scene: Scene, times: int) -> None:
    """Nobody may write beside the target."""
    scene.target = unwritable(scene.target.parent) / scene.target.name


def long_name(scene: Scene, times: int) -> None:
    """The target has a name that no file system takes."""
    scene.target = scene.target.parent / ("n" * 256)


def clock_jumps(seconds: float) -> Install:
    """The clock of this machine is set while bytes pass."""

    def install(scene: Scene, times: int) -> None:
        real, ahead = time.time, 0.0

        def now() -> float:
            return real() + ahead

        def jumping(right: Act) -> Act:
            def act(exchange: Exchange) -> None:
                nonlocal ahead
                ahead = seconds
                right(exchange)

            return act

        scene.patch.setattr(time, "time", now)
        scene.fault(jumping(get if scene.way.is_down else put), 1)

    return install
