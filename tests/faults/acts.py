"""What a scripted server does instead of the right thing."""

import time

from tests.faults.multistatus import listing
from tests.faults.scripted import Act, Exchange, entry


def reset_after(count: int | None) -> Act:
    """Announce the file, send some of its bytes and reset; None resets before any answer."""

    def act(exchange: Exchange) -> None:
        if count is not None:
            _begin(exchange, count)
        exchange.reset()

    return act


def stall_after(count: int | None) -> Act:
    """Announce the file, send some of its bytes and fall silent; None is silent from the start."""

    def act(exchange: Exchange) -> None:
        if count is not None:
            _begin(exchange, count)
        exchange.stall()

    return act


def cut_after(count: int, *, announce: bool = True) -> Act:
    """Send some bytes and close in good order, with or without having said how many there are."""

    def act(exchange: Exchange) -> None:
        data = exchange.door.files[exchange.asked.path]
        exchange.head(200, "Connection: close", *([f"Content-Length: {len(data)}"] if announce else []))
        exchange.send(data[:count])
        exchange.end()

    return act


def serve(data: bytes, *, announce: bool = True) -> Act:
    """Send other bytes than the file's."""

    def act(exchange: Exchange) -> None:
        exchange.head(200, "Connection: close", *([f"Content-Length: {len(data)}"] if announce else []))
        exchange.send(data)
        exchange.end()

    return act


def reset_in_body(count: int) -> Act:
    """Read some of the body and reset."""

    def act(exchange: Exchange) -> None:
        exchange.invite()
        for _ in exchange.chunks():
            if exchange.asked.received >= count:
                exchange.reset()
        exchange.reset()

    return act


def keep_a_part(then: Act, count: int = 1000) -> Act:
    """Store the beginning of the body under the name at once, as XRootD and WsgiDAV do, then go on with a fault."""

    def act(exchange: Exchange) -> None:
        exchange.invite()
        body = next(exchange.chunks())
        exchange.door.files[exchange.asked.path] = body[:count]
        then(exchange)

    return act


def begin_late(exchange: Exchange) -> None:
    """Answer a look at a file as of before, and begin the file just then: a slow server does, of a stopped upload."""
    door, path = exchange.door, exchange.asked.path
    told = listing(entry(door, path)) if path in door.files else b""
    door.files[path] = b"the beginning"
    exchange.answer(207 if told else 404, body=told)


def status(code: int, *headers: str, body: bytes = b"", reason: str = "Reason") -> Act:
    """Answer with a status."""
    return lambda exchange: exchange.answer(code, *headers, body=body, reason=reason)


def refuse_body(code: int, *headers: str) -> Act:
    """Answer before the body, of which nothing is read, and close."""

    def act(exchange: Exchange) -> None:
        exchange.answer(code, "Connection: close", *headers)
        exchange.end()

    return act


def lose_refusal(code: int) -> Act:
    """Refuse a body at once and close: on a body that comes unasked the answer is lost with the connection."""

    def act(exchange: Exchange) -> None:
        if "expect" not in exchange.asked.headers:
            exchange.reset()
        refuse_body(code)(exchange)

    return act


def redirect(url: str, code: int = 302) -> Act:
    """Send the client elsewhere."""
    return lambda exchange: exchange.answer(code, f"Location: {url}")


def raw(data: bytes) -> Act:
    """Send these bytes and close."""

    def act(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.end()

    return act


def zeros(size: int, piece: int = 1 << 20) -> Act:
    """Send a file of zeros of any size, from nowhere."""

    def act(exchange: Exchange) -> None:
        exchange.head(200, f"Content-Length: {size}")
        for _ in range(size // piece):
            exchange.send(bytes(piece))

    return act


def drip(piece: int, seconds: float) -> Act:
    """Send the file slowly but steadily."""

    def act(exchange: Exchange) -> None:
        data = exchange.door.files[exchange.asked.path]
        exchange.head(200, f"Content-Length: {len(data)}")
        for start in range(0, len(data), piece):
            exchange.send(data[start : start + piece])
            time.sleep(seconds)  # the speed of the line is what is tested

    return act


def _begin(exchange: Exchange, count: int) -> None:
    data = exchange.door.files[exchange.asked.path]
    exchange.head(200, f"Content-Length: {len(data)}")
    exchange.send(data[:count])
