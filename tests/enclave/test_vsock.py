"""The vsock shell of the enclave. There is no parent here: what is tested is refusal, addresses and the peer check."""

import asyncio
import socket
from types import SimpleNamespace
from typing import cast

import pytest

from enclave import vsock
from enclave.errors import BootError, EgressError


class _Accepted:
    """As much of an accepted socket as the peer check looks at."""

    def __init__(self, family: int, peer: object) -> None:
        self.family = family
        self._peer = peer

    def getpeername(self) -> object:
        if isinstance(self._peer, Exception):
            raise self._peer
        return self._peer


def _accepted(family: int, peer: object) -> socket.socket:
    return cast(socket.socket, _Accepted(family, peer))


def test_connection_from_the_parent_is_accepted() -> None:
    assert vsock.Parent().is_peer(_accepted(socket.AF_VSOCK, (3, 1024)))


@pytest.mark.parametrize("cid", [0, 1, 2, 4, 16, 2**32 - 1])
def test_connection_from_any_other_cid_is_not(cid: int) -> None:
    assert not vsock.Parent().is_peer(_accepted(socket.AF_VSOCK, (cid, 1024)))


def test_connection_of_another_family_or_without_a_peer_is_not() -> None:
    assert not vsock.Parent().is_peer(_accepted(socket.AF_INET, (3, 1024)))
    assert not vsock.Parent().is_peer(_accepted(socket.AF_VSOCK, OSError()))


def test_parent_of_the_emulator_is_accepted_only_where_it_is_named() -> None:
    assert vsock.Parent(2).is_peer(_accepted(socket.AF_VSOCK, (2, 1024)))
    assert not vsock.Parent(2).is_peer(_accepted(socket.AF_VSOCK, (3, 1024)))


class _Kernel:
    """Stands in for the socket class: remembers what it was asked for and fails as told."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.closed = False
        self.address: object = None

    def __call__(self, family: int, kind: int) -> "_Kernel":
        assert (family, kind) == (socket.AF_VSOCK, socket.SOCK_STREAM)
        return self

    def setblocking(self, blocking: bool) -> None:
        assert not blocking

    def bind(self, address: object) -> None:
        self.address = address
        if self.error:
            raise self.error

    def listen(self, _: int) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> _Kernel:
    kernel = _Kernel()
    # Only the module's own view: the event loop needs real sockets.
    names = SimpleNamespace(socket=kernel, AF_VSOCK=socket.AF_VSOCK, SOCK_STREAM=socket.SOCK_STREAM)
    monkeypatch.setattr(vsock, "socket", names)
    return kernel


async def _dial(kernel: _Kernel, monkeypatch: pytest.MonkeyPatch, outcome: OSError | float) -> None:
    async def sock_connect(_: object, address: object) -> None:
        kernel.address = address
        if isinstance(outcome, OSError):
            raise outcome
        await asyncio.sleep(outcome)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
    await vsock.Parent().dial(8000)


async def test_dialling_goes_to_the_parent(kernel: _Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    await _dial(kernel, monkeypatch, 0)
    assert kernel.address == (3, 8000)
    assert not kernel.closed


async def test_parent_that_refuses_is_an_egress_error_and_leaks_no_socket(
    kernel: _Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EgressError, match="egress-parent-unreachable"):
        await _dial(kernel, monkeypatch, ConnectionResetError())
    assert kernel.closed


async def test_parent_that_never_answers_is_given_up_at_the_deadline(
    kernel: _Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocol.limits.CONNECT_DEADLINE_S", 0.01)
    with pytest.raises(EgressError, match="egress-parent-timeout"):
        await _dial(kernel, monkeypatch, 3600)
    assert kernel.closed


def test_listener_is_bound_to_any_cid_of_this_guest(kernel: _Kernel) -> None:
    vsock.listen(5000)
    assert kernel.address == (0xFFFFFFFF, 5000)


def test_port_that_is_taken_stops_the_boot(kernel: _Kernel) -> None:
    kernel.error = OSError(98, "in use")
    with pytest.raises(BootError, match="vsock-listen"):
        vsock.listen(5000)
    assert kernel.closed
