"""What is asked of the kernel for a connection."""

import socket
from pathlib import Path

import pytest

from ctadata_providers import Config, CtaClient
from ctadata_providers.testing import FakeCta
from ctadata_providers.transport.sockets import UNSENT_BYTES, keep_short


def test_little_of_an_upload_waits_in_the_kernel() -> None:
    with socket.socket() as connection:
        answer = keep_short(connection.fileno(), 0)

        assert answer == 0
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT_BYTES
        assert connection.fileno() >= 0


def test_what_a_system_does_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_NOTSENT_LOWAT")
    with socket.socket() as connection:
        assert keep_short(connection.fileno(), 0) == 0
        assert connection.fileno() >= 0


def test_a_descriptor_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        assert keep_short(file.fileno(), 0) == 0


def test_connections_of_transfers_are_asked_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noted(fd: int, purpose: int) -> int:
        asked.append(fd)
        return keep_short(fd, purpose)

    monkeypatch.setattr("ctadata_providers.session.exchange.keep_short", noted)
    with FakeCta() as cta, CtaClient(Config.from_mapping(cta.settings())) as client:
        client.write("/f", b"x" * 300_000)
        client.download("/f", tmp_path / "f")

    assert asked
