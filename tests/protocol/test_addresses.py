"""Addresses: one spelling for each place, and nothing that the kernel reads otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.addresses import MAX_CID, MAX_PORT, HybridAddress, VsockAddress, parse_address
from protocol.errors import ProtocolError


@given(st.integers(0, MAX_CID), st.integers(0, MAX_PORT))
def test_vsock_round_trip(cid: int, port: int) -> None:
    address = VsockAddress(cid, port)
    assert parse_address(str(address)) == address


@given(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=22), st.integers(0, MAX_PORT)
)
def test_hybrid_round_trip(path: str, port: int) -> None:
    address = HybridAddress(path, port)
    assert parse_address(str(address)) == address


def test_hybrid_names_what_the_handshake_needs() -> None:
    address = parse_address("unix:/run/chancery/v.sock:5000")
    assert isinstance(address, HybridAddress)
    assert address.guest_path == "/run/chancery/v.sock_5000"
    assert address.hello == b"CONNECT 5000\n"
    assert parse_address("unix:a:b:7") == HybridAddress("a:b", 7)


@pytest.mark.parametrize(
    "text",
    [
        "", "vsock://", "vsock://3", "vsock://3:", "vsock://:8000", "vsock:3:8000", "VSOCK://3:8000", "vsock://3:8000/",
        "vsock://3:8000\n", " vsock://3:8000", "vsock://-1:8000", "vsock://3:+8000", "vsock://0x3:8000", "vsock://03:8000",
        "vsock://3:08000", "vsock://\uff13:8000", "vsock://4294967295:8000", "vsock://3:4294967295", "vsock://99999999999:1",
        "unix:", "unix:/a", "unix:/a:", "unix::5000", "unix:/a:x", "unix:/a:05000", "unix:/a:5000\n", "unix:/a\0b:5000",
        "unix:/a:4294967295", "unix:/\ud800:1", "tcp://127.0.0.1:80", "/a:5000", "unix:/a:5000 ",
    ],
)  # fmt: skip
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="address"):
        parse_address(text)


@pytest.mark.parametrize("character", ["a", "ü", "€", "😀"])
def test_path_at_the_cap_passes_and_one_byte_more_is_refused(character: str) -> None:
    width = len(character.encode())
    path = character * (limits.MAX_SOCKET_PATH_BYTES // width) + "a" * (limits.MAX_SOCKET_PATH_BYTES % width)
    address = parse_address(f"unix:{path}:{MAX_PORT}")
    assert isinstance(address, HybridAddress)
    assert len(address.guest_path.encode()) <= 107  # sun_path of Linux without its final zero
    with pytest.raises(ProtocolError, match="address"):
        parse_address(f"unix:{path}a:{MAX_PORT}")


@given(st.text(max_size=30))
def test_any_text_gives_an_address_or_one_error(text: str) -> None:
    for candidate in (text, f"vsock://{text}", f"unix:{text}", f"unix:{text}:1"):
        try:
            address = parse_address(candidate)
        except ProtocolError:
            continue
        assert str(address) == candidate
