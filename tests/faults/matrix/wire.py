"""What breaks on the wire: each puts itself into a scene, and strikes a number of times."""

from collections.abc import Callable
from typing import Literal

from tests.faults.matrix.cells import FOREVER
from tests.faults.matrix.scene import Scene
from tests.faults.ranges import found
from tests.faults.scripted import Act, Exchange, get, move, put

Install = Callable[[Scene, int], None]
Point = Literal["answer", "start", "middle", "last"]
"""Where it breaks: before an answer or the body of an upload, at its first byte, half-way, before the last byte."""


def reset(exchange: Exchange) -> None:
    exchange.reset()


def stall(exchange: Exchange) -> None:
    exchange.stall()


def close(exchange: Exchange) -> None:
    exchange.end()


def at(point: Point, then: Act) -> Install:
    """Let a body pass up to a point, then do something else."""
    return each(down_to(point, then), up_to(point, then))


def down_to(point: Point, then: Act) -> Act:
    """Send a body up to a point, then do something else."""
    return lambda exchange: _until(exchange, point, then)


def up_to(point: Point, then: Act) -> Act:
    """Receive a body up to a point, then do something else."""
    return lambda exchange: _taken(exchange, point, then)


def each(down: Act, up: Act) -> Install:
    """Do one thing in place of the right answer to a download, and another one to an upload."""

    def install(scene: Scene, times: int) -> None:
        scene.fault(down if scene.way.is_down else up, times)

    return install


def _until(exchange: Exchange, point: Point, then: Act) -> None:
    if point != "answer":
        status, headers, body = found(exchange)
        exchange.head(status, f"Content-Length: {len(body)}", *headers)
        exchange.body(body[: {"start": 0, "middle": len(body) // 2, "last": len(body) - 1}[point]])
        exchange.wait_until_taken()
    then(exchange)


def _taken(exchange: Exchange, point: Point, then: Act) -> None:
    size = exchange.asked.size
    if point != "answer":
        exchange.invite()
    until = {"answer": 0, "start": 0, "middle": size // 2, "last": size}[point]
    chunks = exchange.chunks()
    while exchange.asked.received < until:
        next(chunks)
    then(exchange)


def drip(exchange: Exchange) -> None:
    """Send slowly but steadily: the pace is what is tested."""
    status, headers, body = found(exchange)
    exchange.head(status, f"Content-Length: {len(body)}", *headers)
    step = len(body) // 10
    for start in range(0, len(body), step):
        exchange.body(body[start : start + step])
        exchange.door.stopping.wait(0.04)


def sip(exchange: Exchange) -> None:
    """Receive slowly but steadily."""
    exchange.invite()
    body = b""
    for chunk in exchange.chunks():
        body += chunk
        exchange.door.stopping.wait(0.4 * len(chunk) / exchange.asked.size)
    exchange.door.files[exchange.asked.path] = body
    exchange.answer(201)


def unannounced(change: Callable[[bytes], bytes]) -> Act:
    """Send another body, and do not say how long it is."""

    def act(exchange: Exchange) -> None:
        exchange.head(200, "Connection: close")
        exchange.body(change(exchange.door.files[exchange.asked.path]))
        exchange.end()

    return act


def behind(exchange: Exchange) -> None:
    """Send the right body, and bytes behind it."""
    status, headers, body = found(exchange)
    exchange.head(status, f"Content-Length: {len(body)}", *headers)
    exchange.body(body)
    exchange.send(b"more")
    exchange.end()


def instead(change: Callable[[bytes], bytes]) -> Act:
    """Send other bytes in a body of the right form."""

    def act(exchange: Exchange) -> None:
        status, headers, body = found(exchange)
        exchange.answer(status, *headers, body=change(body))

    return act


def stored(change: Callable[[bytes], bytes]) -> Act:
    """Store other bytes than were sent, and say yes."""

    def act(exchange: Exchange) -> None:
        exchange.invite()
        exchange.door.files[exchange.asked.path] = change(b"".join(exchange.chunks()))
        exchange.answer(201)

    return act


def keeping(then: Act) -> Act:
    """Keep the half of a body, as XRootD and WsgiDAV do, and go on with a fault."""

    def act(exchange: Exchange) -> None:
        exchange.invite()
        body = b"".join(exchange.chunks())
        exchange.door.files[exchange.asked.path] = body[: len(body) // 2]
        then(exchange)

    return act


def half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def longer(body: bytes) -> bytes:
    return body + b"more"


def flipped(body: bytes) -> bytes:
    return body[:1000] + bytes([body[1000] ^ 1]) + body[1001:]


def says(code: int, *headers: str, reason: str = "Reason") -> Install:
    """Answer with a status; an upload is asked for its body first."""

    def up(exchange: Exchange) -> None:
        exchange.invite()
        for _ in exchange.chunks():
            pass
        exchange.answer(code, *headers, reason=reason)

    return each(lambda exchange: exchange.answer(code, *headers, reason=reason), up)


def burst(code: int) -> Install:
    """Answer the next three requests with a status."""
    told = says(code)
    return lambda scene, times: told(scene, 3 if times == 1 else FOREVER)


def renames(act: Act) -> Install:
    """Break the rename of an upload."""
    return lambda scene, times: scene.door.fault("MOVE", act, times=times)


def renamed_and_reset(exchange: Exchange) -> None:
    move(exchange)
    exchange.reset()


def sent_elsewhere(where: Literal["another host", "http", "itself"]) -> Install:
    """Redirect: the other server shares the files, and must see no token."""

    def install(scene: Scene, times: int) -> None:
        if where == "itself":
            origin = ""
        else:
            other = scene.open_door(tls=where != "http", files=scene.door.files, folders=scene.door.folders)
            origin = other.at("127.0.0.1" if where == "another host" else "localhost")

            def no_token() -> None:
                assert not [asked for asked in other.asked if "authorization" in asked.headers]

            scene.checks.append(no_token)
        scene.settings["token"] = "an-opaque-token-0123456789"
        scene.fault(lambda exchange: exchange.answer(307, f"Location: {origin}{exchange.asked.path}"), times)

    return install


def used_up(scene: Scene, times: int) -> None:
    """Redirect to a pool that finds its URL used up, and sends the client back to the door, as dCache does."""
    pool = scene.open_door(files=scene.door.files, folders=scene.door.folders)
    back = f"Location: {scene.door.url}"
    pool.fault(scene.method, lambda exchange: exchange.answer(307, back + exchange.asked.path), times=times)
    pool.fault(scene.method, get if scene.way.is_down else put)
    query = "?dcache-http-uuid=some-uuid-0123"
    scene.fault(lambda exchange: exchange.answer(307, f"Location: {pool.url}{exchange.asked.path}{query}"), times)
