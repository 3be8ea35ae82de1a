"""The long line of the benchmarks: late, capped, whole, and counting; and the servers that keep a client waiting."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks import silent
from benchmarks.forwarder import Lane
from benchmarks.long_line import long_line
from benchmarks.round_trip import round_trip

_LONGEST = 20.0


@contextmanager
def serving(act: Callable[[socket.socket], None]) -> Iterator[int]:
    """Hand each connection to `act`, one after another."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(_LONGEST)
                act(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(_LONGEST)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_LONGEST)


def receive_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_bytes_arrive_late_and_no_faster_than_the_line() -> None:
    lane = Lane(delay=0.025, rate=1000.0, opened=0.0)
    due = [lane.put(now, b"x" * 100) for now in (10.0, 10.0, 10.5)]

    assert due == pytest.approx([10.025, 10.125, 10.525])
    assert lane.due(10.0248) is None
    assert lane.due(10.025) == b"x" * 100


def test_nothing_arrives_before_the_connection_is_open() -> None:
    lane = Lane(delay=0.025, rate=1e9, opened=10.05)

    assert lane.put(10.0, b"x") == pytest.approx(10.075)


def test_what_is_not_taken_stays_in_order() -> None:
    lane = Lane(delay=0.0, rate=1e9, opened=0.0)
    lane.put(1.0, b"abcd")
    lane.put(1.0, b"ef")
    lane.taken(3)
    first = lane.due(2.0)
    lane.taken(1)

    assert (first, lane.due(2.0)) == (b"d", b"ef")


def test_the_line_holds_no_more_than_it_carries() -> None:
    lane = Lane(delay=0.01, rate=1e6, opened=0.0)
    while lane.has_room:
        lane.put(0.0, bytes(1 << 16))
    full = lane.due(1e9)
    lane.taken(1 << 16)

    assert full is not None
    assert lane.has_room
    lane.put(0.0, b"")
    assert not lane.has_room


def test_a_round_trip_takes_two_delays() -> None:
    def echo(connection: socket.socket) -> None:
        while data := connection.recv(100):
            connection.sendall(data)

    with serving(echo) as port, long_line(port, delay=0.05, rate=1e7) as line, connect(line.port) as client:
        client.sendall(b"opens the connection, which takes a round trip more")
        client.recv(100)
        start = time.monotonic()
        client.sendall(b"x")
        client.recv(100)
        taken = time.monotonic() - start

    assert 0.0998 <= taken < 1.0


def test_the_round_trip_that_is_measured_is_the_one_that_was_asked_for() -> None:
    assert 0.0198 <= round_trip(delay=0.01, rate=1e7, connections=4) < 0.5


def test_a_connection_is_capped_and_bytes_are_whole() -> None:
    sent = os.urandom(1_000_000)

    def send(connection: socket.socket) -> None:
        connection.sendall(sent)

    with serving(send) as port, long_line(port, delay=0.01, rate=4e6) as line, connect(line.port) as client:
        start = time.monotonic()
        received = receive_all(client)
        taken = time.monotonic() - start

    assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()
    assert 0.2 < taken < 5.0


def test_the_end_of_a_stream_goes_through_while_the_other_way_stays_open() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"%d bytes" % len(receive_all(connection)))

    with serving(answer) as port, long_line(port, delay=0.001, rate=1e8) as line, connect(line.port) as client:
        client.sendall(bytes(300_000))
        client.shutdown(socket.SHUT_WR)

        assert receive_all(client) == b"300000 bytes"


def test_connections_are_counted_since_the_last_question() -> None:
    def say_one(connection: socket.socket) -> None:
        connection.sendall(b"x")

    counts = []
    with serving(say_one) as port, long_line(port, delay=0.001, rate=1e8) as line:
        for several in (2, 3, 0):
            for _ in range(several):
                with connect(line.port) as client:
                    receive_all(client)
            counts.append(line.connections())

    assert counts == [2, 3, 0]


def test_a_client_that_goes_away_in_the_middle_ends_the_other_side() -> None:
    ended = threading.Event()

    def send_for_ever(connection: socket.socket) -> None:
        try:
            while True:
                connection.sendall(bytes(1 << 16))
        except OSError:
            ended.set()

    with serving(send_for_ever) as port, long_line(port, delay=0.001, rate=1e8) as line:
        with connect(line.port) as client:
            client.recv(10)

        assert ended.wait(_LONGEST)


def test_connecting_to_a_black_hole_neither_succeeds_nor_fails() -> None:
    with silent.black_hole() as port, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), timeout=0.2)


def test_a_silent_server_takes_the_request_and_says_nothing() -> None:
    with silent.answering(silent.say_nothing) as port, connect(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        client.settimeout(0.1)

        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_stalling_server_begins_a_body() -> None:
    with silent.answering(silent.stop_in_the_body) as port, connect(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        received = b""
        while len(received) < silent.PIECE:
            received += client.recv(1 << 16)

    assert received.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % silent.SIZE)
