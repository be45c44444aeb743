"""The sealed channel's format: what opens, what does not, and what the host can see (CH-02, CH-04, CH-05, CH-07)."""

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.bindings._rust import openssl as rust_openssl
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation import channel
from attestation.channel import BUCKETS, Exchange, InnerRequest, InnerResponse, SealedRequest
from attestation.errors import AttestationError
from protocol import cbor, limits
from tests.attestation_channel.points import LOW_ORDER

REQUEST = InnerRequest("POST /rpc/Session/List", {"content-type": "application/json"}, b'{"a":1}')
RESPONSE = InnerResponse(200, {"content-type": "application/json", "webrpc": "x"}, b'{"b":2}')
ID = bytes(range(16))
TAG_BYTES = 16
KEY = X25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()


def refusal(call: Any, *args: Any) -> str:
    with pytest.raises(AttestationError) as caught:
        call(*args)
    return caught.value.code


def sealed(request: InnerRequest = REQUEST, request_id: bytes = ID) -> tuple[bytes, Exchange]:
    return channel.seal_request(PUBLIC, request, request_id)


def opened(envelope: bytes, key: X25519PrivateKey = KEY) -> tuple[InnerRequest, Exchange]:
    return channel.open_request(envelope, channel.parse_request(envelope), key)


def test_request_and_answer_arrive_as_they_were_sent() -> None:
    envelope, client = sealed()
    parsed = channel.parse_request(envelope)
    assert (parsed.key_id, parsed.request_id) == (hashlib.sha256(PUBLIC).digest()[:16], ID)
    request, enclave = opened(envelope)
    assert request == REQUEST
    assert client.open_response(enclave.seal_response(RESPONSE)) == RESPONSE


def test_ch02_nothing_said_stands_in_the_envelope() -> None:
    envelope, client = sealed()
    answer = opened(envelope)[1].seal_response(RESPONSE)
    for said in (b"Session", b"json", b'"a"', b'"b"', b"webrpc"):
        assert said not in envelope
        assert said not in answer
    assert client._secret not in envelope


def test_ch02_the_same_request_is_never_sealed_twice_alike() -> None:
    (first, one), (second, other) = sealed(), sealed()
    assert channel.parse_request(first).encapsulated != channel.parse_request(second).encapsulated
    assert one._secret != other._secret


def test_ch02_opens_with_no_other_key() -> None:
    assert refusal(opened, sealed()[0], X25519PrivateKey.generate()) == "channel-unopened"


@pytest.mark.parametrize("part", ["key_id", "request_id", "encapsulated", "ciphertext"])
def test_ch02_each_part_of_the_envelope_is_bound(part: str) -> None:
    """Wrong `info`: a request under another key id or request id than it was sealed with does not open."""
    envelope, _ = sealed()
    parsed = channel.parse_request(envelope)
    fields = {name: getattr(parsed, name) for name in SealedRequest.__slots__}
    fields[part] = bytes([fields[part][0] ^ 1]) + fields[part][1:]
    assert refusal(channel.open_request, envelope, SealedRequest(**fields), KEY) == "channel-unopened"


@pytest.mark.parametrize("changed", [None, "protocol", "place", "key id", "request id", "nothing more"])
def test_ch02_what_was_sealed_for_another_purpose_does_not_open(changed: str | None) -> None:
    info: list[Any] = ["chancery/channel/1/request", "POST /rpc/Channel/Sealed", channel.key_id(PUBLIC), ID]
    match changed:
        case "protocol":
            info[0] = "chancery/channel/2/request"
        case "place":
            info[1] = "POST /rpc/Channel/Other"
        case "key id":
            info[2] = bytes(16)
        case "request id":
            info[3] = bytes(16)
        case "nothing more":
            info.append("more")
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    content = channel._pad(cbor.dumps([REQUEST.method, {}, b"", bytes(32)]), BUCKETS[-1])
    data = suite.encrypt(content, KEY.public_key(), cbor.dumps(info))
    envelope = cbor.dumps([1, channel.key_id(PUBLIC), ID, data[:32], data[32:]])
    if changed is None:
        assert opened(envelope)[0].method == REQUEST.method
    else:
        assert refusal(opened, envelope) == "channel-unopened"


def test_every_flipped_bit_of_a_request_is_refused() -> None:
    envelope, _ = sealed()
    for position in range(len(envelope)):
        damaged = bytearray(envelope)
        damaged[position] ^= 1 << position % 8
        assert refusal(opened, bytes(damaged)) in ("channel-malformed", "channel-unopened")


def test_ch05_every_flipped_bit_of_an_answer_is_refused() -> None:
    envelope, client = sealed()
    answer = opened(envelope)[1].seal_response(RESPONSE)
    for position in range(len(answer)):
        damaged = bytearray(answer)
        damaged[position] ^= 1 << position % 8
        assert refusal(client.open_response, bytes(damaged)) in ("channel-malformed", "channel-unopened")


def test_ch05_truncated_and_extended_messages_are_refused() -> None:
    envelope, client = sealed()
    answer = opened(envelope)[1].seal_response(RESPONSE)
    for cut in (0, 1, 20, len(envelope) // 2, len(envelope) - 1):
        assert refusal(opened, envelope[:cut]) == "channel-malformed"
    for cut in (0, 1, 20, len(answer) // 2, len(answer) - 1):
        assert refusal(client.open_response, answer[:cut]) == "channel-malformed"
    assert refusal(opened, envelope + b"\0") == "channel-malformed"
    assert refusal(client.open_response, answer + b"\0") == "channel-malformed"


def test_ch05_swapped_answers_are_refused() -> None:
    """Two requests with the same content and even the same id: each answer fits its own only."""
    (first, client_1), (second, client_2) = sealed(), sealed()
    answer_1, answer_2 = (opened(envelope)[1].seal_response(RESPONSE) for envelope in (first, second))
    assert client_1.open_response(answer_1) == client_2.open_response(answer_2) == RESPONSE
    assert refusal(client_1.open_response, answer_2) == "channel-unopened"
    assert refusal(client_2.open_response, answer_1) == "channel-unopened"


def test_ch05_answer_to_another_envelope_around_the_same_secret_is_refused() -> None:
    """The answer's key depends on every byte that the enclave received, not only on what it opened."""
    envelope, client = sealed()
    parsed = channel.parse_request(envelope)
    _, enclave = channel.open_request(envelope + b"\0", parsed, KEY)
    assert refusal(client.open_response, enclave.seal_response(RESPONSE)) == "channel-unopened"


def test_ch05_request_is_not_an_answer_nor_an_answer_a_request() -> None:
    envelope, client = sealed()
    assert refusal(client.open_response, envelope) == "channel-malformed"
    assert refusal(opened, opened(envelope)[1].seal_response(RESPONSE)) == "channel-malformed"


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
def test_ch04_low_order_points_are_refused(point: bytes) -> None:
    assert refusal(channel.seal_request, point, REQUEST, ID) == "channel-key"
    envelope, _ = sealed()
    parsed = channel.parse_request(envelope)
    # What an attacker can compute without a secret: the agreed secret would be zero.
    forged = cbor.dumps([1, parsed.key_id, ID, point, parsed.ciphertext])
    assert refusal(opened, forged) == "channel-unopened"


def test_ch04_these_points_are_of_low_order() -> None:
    """Each gives the all-zero secret, which the primitive itself refuses, or this list would prove nothing."""
    for point in LOW_ORDER:
        with pytest.raises(ValueError):
            KEY.exchange(X25519PublicKey.from_public_bytes(point))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_ch04_key_of_another_size_is_refused(size: int) -> None:
    assert refusal(channel.seal_request, b"\x09" * size, REQUEST, ID) == "channel-key"


def test_ch07_sizes_are_those_of_few_buckets() -> None:
    asked, answered = set(), set()
    for size in [0, 1, 100, 900, 1000, 2000, 4000, 10_000, 30_000, 60_000, 100_000, 300_000]:
        if size < limits.MAX_SEALED_REQUEST_BYTES:
            envelope, _ = sealed(InnerRequest(REQUEST.method, {}, bytes(size)))
            asked.add(len(channel.parse_request(envelope).ciphertext) - TAG_BYTES)
        answer = cbor.loads(opened(envelope)[1].seal_response(InnerResponse(200, {}, bytes(size))))
        answered.add(len(answer[2]) - TAG_BYTES)
    assert asked == {size for size in BUCKETS if size <= limits.MAX_SEALED_REQUEST_BYTES}
    assert answered == set(BUCKETS)


def test_ch07_names_of_methods_do_not_show_in_the_size() -> None:
    names = ["POST /rpc/Session/List", "POST /rpc/IdentityInstrument/CommitVerifier", "GET /status"]
    assert len({len(sealed(InnerRequest(name, {}, b"{}"))[0]) for name in names}) == 1


def padded_size(build: Any, cap: int) -> int:
    """The largest body that `build` still seals, found by bisection."""
    low, high = 0, cap
    while low < high:
        middle = (low + high + 1) // 2
        try:
            build(middle)
            low = middle
        except AttestationError:
            high = middle - 1
    return low


def test_largest_request_passes_and_one_byte_more_is_refused() -> None:
    cap = limits.MAX_SEALED_REQUEST_BYTES
    largest = padded_size(lambda size: sealed(InnerRequest("GET /", {}, bytes(size))), cap)
    envelope, _ = sealed(InnerRequest("GET /", {}, bytes(largest)))
    assert opened(envelope)[0].body == bytes(largest)
    assert cap - largest < 64
    assert len(envelope) <= limits.MAX_BODY_BYTES
    assert refusal(sealed, InnerRequest("GET /", {}, bytes(largest + 1))) == "channel-too-large"


def test_largest_answer_passes_and_one_byte_more_is_refused() -> None:
    cap = limits.MAX_SEALED_RESPONSE_BYTES
    envelope, client = sealed()
    enclave = opened(envelope)[1]
    largest = padded_size(lambda size: enclave.seal_response(InnerResponse(200, {}, bytes(size))), cap)
    answer = enclave.seal_response(InnerResponse(200, {}, bytes(largest)))
    assert client.open_response(answer).body == bytes(largest)
    assert cap - largest < 32
    assert len(answer) + limits.MAX_HEADER_VALUE_CHARS < limits.MAX_FRAME_BYTES
    assert refusal(enclave.seal_response, InnerResponse(200, {}, bytes(largest + 1))) == "channel-too-large"


def seal_content(content: bytes) -> bytes:
    """An envelope around any padded content, as a client could make it."""
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    data = suite.encrypt(content, KEY.public_key(), channel._info(channel.key_id(PUBLIC), ID))
    return cbor.dumps([1, channel.key_id(PUBLIC), ID, data[:32], data[32:]])


GOOD = cbor.dumps([REQUEST.method, {}, b"", bytes(32)])


def test_hand_made_content_in_the_one_form_opens() -> None:
    assert opened(seal_content(channel._pad(GOOD, BUCKETS[-1])))[0] == InnerRequest(REQUEST.method, {}, b"")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\0",
        GOOD,
        len(GOOD).to_bytes(4, "big") + GOOD,
        (len(GOOD).to_bytes(4, "big") + GOOD).ljust(1023, b"\0"),
        (len(GOOD).to_bytes(4, "big") + GOOD).ljust(4096, b"\0"),
        (len(GOOD).to_bytes(4, "big") + GOOD).ljust(1024, b"\1"),
        ((len(GOOD) + 1).to_bytes(4, "big") + GOOD).ljust(1024, b"\0"),
        (b"\xff\xff\xff\xff" + GOOD).ljust(1024, b"\0"),
    ],
)
def test_padding_has_one_form(content: bytes) -> None:
    assert refusal(opened, seal_content(content)) == "channel-malformed"


@pytest.mark.parametrize(
    "value",
    [
        [REQUEST.method, {}, b""],
        [REQUEST.method, {}, b"", bytes(32), None],
        {"method": REQUEST.method},
        [b"POST /", {}, b"", bytes(32)],
        ["x" * (limits.MAX_METHOD_CHARS + 1), {}, b"", bytes(32)],
        [REQUEST.method, [], b"", bytes(32)],
        [REQUEST.method, {"x-sequence-scope": "@7"}, b"", bytes(32)],
        [REQUEST.method, {"origin": "https://a.example"}, b"", bytes(32)],
        [REQUEST.method, {"content-type": 1}, b"", bytes(32)],
        [REQUEST.method, {"content-type": "x" * (limits.MAX_HEADER_VALUE_CHARS + 1)}, b"", bytes(32)],
        [REQUEST.method, {}, "text", bytes(32)],
        [REQUEST.method, {}, b"", bytes(31)],
        [REQUEST.method, {}, b"", bytes(33)],
    ],
)
def test_content_of_another_shape_is_refused(value: Any) -> None:
    assert refusal(opened, seal_content(channel._pad(cbor.dumps(value), BUCKETS[-1]))) == "channel-malformed"


@pytest.mark.parametrize(
    "change",
    [
        {0: 0},
        {0: 2},
        {0: True},
        {0: "1"},
        {1: bytes(15)},
        {1: bytes(17)},
        {2: bytes(15)},
        {2: "text"},
        {3: bytes(31)},
        {3: bytes(33)},
        {4: None},
    ],
)
def test_envelope_of_another_shape_is_refused(change: dict[int, Any]) -> None:
    fields = cbor.loads(sealed()[0])
    for place, value in change.items():
        fields[place] = value
    assert refusal(channel.parse_request, cbor.dumps(fields)) == "channel-malformed"
    assert refusal(channel.parse_request, cbor.dumps([*cbor.loads(sealed()[0]), b""])) == "channel-malformed"


@pytest.mark.parametrize("status", [0, 100, 199, 600, -1, True, "200"])
def test_answer_with_no_real_status_is_refused(status: Any) -> None:
    envelope, client = sealed()
    answer = opened(envelope)[1].seal_response(InnerResponse(status, {}, b""))
    assert refusal(client.open_response, answer) == "channel-malformed"


@given(st.binary(max_size=400), st.integers(0, 400))
@settings(max_examples=200)
def test_any_bytes_give_one_family_of_errors(data: bytes, position: int) -> None:
    envelope, client = sealed()
    spliced = envelope[:position] + data + envelope[position + len(data) :]
    for candidate in (data, b"\x85" + data, spliced):
        if candidate != envelope:
            assert refusal(opened, candidate) in ("channel-malformed", "channel-unopened")
        assert refusal(client.open_response, candidate) in ("channel-malformed", "channel-unopened")
    assert refusal(opened, seal_content(channel._pad(data, BUCKETS[-1]))) == "channel-malformed"


def test_nothing_secret_shows_in_a_repr() -> None:
    envelope, client = sealed()
    request, enclave = opened(envelope)
    for value in (client, enclave, request):
        assert client._secret.hex() not in repr(value)
        assert "'a'" not in repr(value)
        assert str(client._secret) not in repr(value)
        assert '"a"' not in repr(value)


# RFC 9180 appendix A.1.1 and A.2.1, first encryption of each: what the library does is the RFC's HPKE.
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
VECTORS = [
    (
        hpke.AEAD.AES_128_GCM,
        "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
        "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
    ),
    (
        hpke.AEAD.CHACHA20_POLY1305,
        "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
        "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28",
    ),
]


@pytest.mark.parametrize(("aead", "key", "encapsulated", "ciphertext"), VECTORS, ids=["A.1.1", "A.2.1"])
def test_ch02_library_opens_the_rfc_vectors(aead: hpke.AEAD, key: str, encapsulated: str, ciphertext: str) -> None:
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, aead)
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(key))
    decrypt = getattr(rust_openssl.hpke, "_decrypt_with_aad", None)
    if decrypt is None:
        pytest.skip("this version of the library has no entry with associated data, which the vectors need")
    assert (
        decrypt(suite, bytes.fromhex(encapsulated + ciphertext), private, INFO, b"Count-0")
        == b"Beauty is truth, truth beauty"
    )
