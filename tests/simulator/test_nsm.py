"""The simulated module keeps the rules of the real one: boot state, limits, error names, shape of documents."""

import hashlib
import threading
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.errors import NsmError
from protocol import limits
from simulator.nsm import SimulatedNsm
from simulator.pki import NitroPki

_MODULE_ID = "i-0123456789abcdef0-enc0123456789abcdef"
_NOW_MS = 1_790_000_000_123
_PCRS = {index: bytes([index + 1]) * 48 for index in (0, 1, 2, 3, 4, 8)}
_ZERO = bytes(48)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> NitroPki:
    return NitroPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def nsm(pki: NitroPki) -> SimulatedNsm:
    return SimulatedNsm(pki, _PCRS, _MODULE_ID, clock=lambda: _NOW_MS)


def _ask(nsm: SimulatedNsm, request: object) -> Any:
    return cbor2.loads(nsm.call(cbor2.dumps(request)))


def _payload(nsm: SimulatedNsm, **fields: bytes | None) -> dict[str, Any]:
    document = _ask(nsm, {"Attestation": fields})["Attestation"]["document"]
    payload = cbor2.loads(cbor2.loads(document)[2])
    assert isinstance(payload, dict)
    return payload


def test_module_describes_itself_as_the_real_one_does_at_boot(nsm: SimulatedNsm) -> None:
    described = _ask(nsm, "DescribeNSM")["DescribeNSM"]
    assert described["module_id"] == _MODULE_ID
    assert (described["max_pcrs"], described["digest"]) == (32, "SHA384")
    assert described["locked_pcrs"] == list(range(16))


def test_measured_registers_are_locked_and_the_rest_is_free_and_zero(nsm: SimulatedNsm) -> None:
    for index in range(32):
        register = _ask(nsm, {"DescribePCR": {"index": index}})["DescribePCR"]
        assert register == {"lock": index < 16, "data": _PCRS.get(index, _ZERO)}


@pytest.mark.parametrize("index", range(16))
def test_registers_of_the_boot_can_be_neither_extended_nor_locked_again(nsm: SimulatedNsm, index: int) -> None:
    assert _ask(nsm, {"ExtendPCR": {"index": index, "data": b"x"}}) == {"Error": "ReadOnlyIndex"}
    assert _ask(nsm, {"LockPCR": {"index": index}}) == {"Error": "ReadOnlyIndex"}


def test_extension_hashes_the_raw_data_behind_the_old_value(nsm: SimulatedNsm) -> None:
    once = hashlib.sha384(_ZERO + b"data").digest()
    assert _ask(nsm, {"ExtendPCR": {"index": 16, "data": b"data"}}) == {"ExtendPCR": {"data": once}}
    twice = hashlib.sha384(once + b"more").digest()
    assert _ask(nsm, {"ExtendPCR": {"index": 16, "data": b"more"}}) == {"ExtendPCR": {"data": twice}}


def test_locked_register_is_final_and_appears_in_documents(nsm: SimulatedNsm) -> None:
    assert sorted(_payload(nsm)["pcrs"]) == list(range(16))
    value = _ask(nsm, {"ExtendPCR": {"index": 16, "data": b"data"}})["ExtendPCR"]["data"]
    assert 16 not in _payload(nsm)["pcrs"]
    assert _ask(nsm, {"LockPCR": {"index": 16}}) == "LockPCR"
    assert _payload(nsm)["pcrs"][16] == value
    assert _ask(nsm, {"ExtendPCR": {"index": 16, "data": b"x"}}) == {"Error": "ReadOnlyIndex"}


def test_range_locks_all_below_it(nsm: SimulatedNsm) -> None:
    assert _ask(nsm, {"LockPCRs": {"range": 18}}) == "LockPCRs"
    assert _ask(nsm, "DescribeNSM")["DescribeNSM"]["locked_pcrs"] == list(range(18))
    assert _ask(nsm, {"LockPCRs": {"range": 33}}) == {"Error": "InvalidIndex"}
    assert _ask(nsm, {"LockPCRs": {"range": 32}}) == "LockPCRs"
    assert list(_payload(nsm)["pcrs"]) == list(range(32))


def test_register_that_does_not_exist_is_an_invalid_index(nsm: SimulatedNsm) -> None:
    for request in (
        {"DescribePCR": {"index": 32}},
        {"LockPCR": {"index": 32}},
        {"ExtendPCR": {"index": 32, "data": b"x"}},
    ):
        assert _ask(nsm, request) == {"Error": "InvalidIndex"}


def test_random_bytes_fill_a_reply_and_differ(nsm: SimulatedNsm) -> None:
    first, second = (_ask(nsm, "GetRandom")["GetRandom"]["random"] for _ in range(2))
    assert len(first) == 256
    assert first != second


def test_document_has_the_envelope_of_the_hardware(nsm: SimulatedNsm) -> None:
    document = _ask(nsm, {"Attestation": {"nonce": b"n"}})["Attestation"]["document"]
    protected, unprotected, payload, signature = cbor2.loads(document)
    assert document[:7].hex() == "8444a1013822a0"
    assert (protected.hex(), unprotected, len(signature)) == ("a1013822", {}, 96)
    assert (payload[0], payload[-1]) == (0xBF, 0xFF)
    assert b"timestamp\x1b" + _NOW_MS.to_bytes(8, "big") in payload
    assert list(cbor2.loads(payload)) == [
        "module_id",
        "digest",
        "timestamp",
        "pcrs",
        "certificate",
        "cabundle",
        "public_key",
        "user_data",
        "nonce",
    ]


def test_older_firmware_writes_a_map_of_definite_length(pki: NitroPki) -> None:
    nsm = SimulatedNsm(pki, _PCRS, _MODULE_ID, clock=lambda: _NOW_MS, definite=True)
    document = _ask(nsm, {"Attestation": {}})["Attestation"]["document"]
    payload = cbor2.loads(document)[2]
    assert payload[0] == 0xA9
    assert len(cbor2.loads(payload)) == 9


def test_absent_fields_are_null_and_empty_ones_empty(nsm: SimulatedNsm) -> None:
    payload = _payload(nsm, user_data=None, nonce=b"")
    assert (payload["user_data"], payload["nonce"], payload["public_key"]) == (None, b"", None)


@pytest.mark.parametrize("field", ["user_data", "nonce", "public_key"])
def test_field_at_the_cap_is_carried_and_one_byte_more_refused(nsm: SimulatedNsm, field: str) -> None:
    full = bytes(limits.MAX_ATTESTATION_FIELD_BYTES)
    assert _payload(nsm, **{field: full})[field] == full
    assert _ask(nsm, {"Attestation": {field: full + b"x"}}) == {"Error": "InputTooLarge"}


def test_fullest_document_fits_the_reply(nsm: SimulatedNsm) -> None:
    _ask(nsm, {"LockPCRs": {"range": 32}})
    full = bytes(limits.MAX_ATTESTATION_FIELD_BYTES)
    reply = nsm.call(cbor2.dumps({"Attestation": {"user_data": full, "nonce": full, "public_key": full}}))
    assert 8000 < len(reply) < limits.MAX_NSM_RESPONSE_BYTES


def test_debug_launch_shows_zeros_for_the_image_but_not_for_the_parent(pki: NitroPki) -> None:
    nsm = SimulatedNsm(pki, _PCRS, _MODULE_ID, clock=lambda: _NOW_MS, debug=True)
    pcrs = _payload(nsm)["pcrs"]
    assert [pcrs[index] for index in (0, 1, 2, 8)] == [_ZERO] * 4
    assert [pcrs[index] for index in (3, 4)] == [_PCRS[3], _PCRS[4]]


def test_request_above_the_limit_never_reaches_the_module(nsm: SimulatedNsm) -> None:
    nsm.call(cbor2.dumps({"ExtendPCR": {"index": 16, "data": bytes(4064)}}).ljust(limits.MAX_NSM_REQUEST_BYTES, b"\0"))
    with pytest.raises(NsmError, match="nsm-request-too-large"):
        nsm.call(bytes(limits.MAX_NSM_REQUEST_BYTES + 1))


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="not CBOR"),
        pytest.param(cbor2.dumps("GetRandom") + b"\0", id="trailing byte"),
        pytest.param(cbor2.dumps("Attestation"), id="call without its arguments"),
        pytest.param(cbor2.dumps({"GetRandom": {}}), id="call with arguments it does not take"),
        pytest.param(cbor2.dumps({"Surprise": {}}), id="unknown call"),
        pytest.param(cbor2.dumps({"DescribePCR": {"index": -1}}), id="negative index"),
        pytest.param(cbor2.dumps({"DescribePCR": {"index": True}}), id="boolean index"),
        pytest.param(cbor2.dumps({"DescribePCR": {"index": 2**16}}), id="index beyond 16 bits"),
        pytest.param(cbor2.dumps({"DescribePCR": {}}), id="missing index"),
        pytest.param(cbor2.dumps({"LockPCR": {"index": 16}, "LockPCRs": {"range": 1}}), id="two calls"),
        pytest.param(cbor2.dumps({"Attestation": {"nonce": "text"}}), id="text for bytes"),
        pytest.param(cbor2.dumps(["DescribeNSM"]), id="list"),
    ],
)
def test_malformed_request_is_an_invalid_operation(nsm: SimulatedNsm, request_: bytes) -> None:
    assert cbor2.loads(nsm.call(request_)) == {"Error": "InvalidOperation"}


@given(request_=st.binary(max_size=64))
@settings(max_examples=200)
def test_any_bytes_get_a_reply(pki: NitroPki, request_: bytes) -> None:
    reply = cbor2.loads(SimulatedNsm(pki, _PCRS, _MODULE_ID, clock=lambda: _NOW_MS).call(request_))
    assert isinstance(reply, dict | str)


def test_concurrent_extensions_are_served_one_at_a_time(nsm: SimulatedNsm) -> None:
    def extend() -> None:
        for _ in range(50):
            _ask(nsm, {"ExtendPCR": {"index": 20, "data": b"x"}})

    threads = [threading.Thread(target=extend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = _ZERO
    for _ in range(200):
        expected = hashlib.sha384(expected + b"x").digest()
    assert _ask(nsm, {"DescribePCR": {"index": 20}})["DescribePCR"]["data"] == expected


@pytest.mark.parametrize("pcrs", [{32: _ZERO}, {-1: _ZERO}, {0: bytes(32)}])
def test_impossible_measurements_are_refused_at_once(pki: NitroPki, pcrs: dict[int, bytes]) -> None:
    with pytest.raises(ValueError, match="registers"):
        SimulatedNsm(pki, pcrs, _MODULE_ID)


def test_module_is_a_fresh_boot_every_time(pki: NitroPki, tmp_path: Path) -> None:
    first = SimulatedNsm(pki, _PCRS, _MODULE_ID)
    _ask(first, {"LockPCR": {"index": 16}})
    assert not _ask(SimulatedNsm(pki, _PCRS, _MODULE_ID), {"DescribePCR": {"index": 16}})["DescribePCR"]["lock"]
