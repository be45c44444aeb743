"""Attestations of implicit sessions: one encoding, who signed them, how old they are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evm.address import checksum
from evm.errors import EvmError
from evm.wallet import attestation as format_
from evm.wallet.attestation import (
    Attestation,
    AuthData,
    attestation_from_json,
    implicit_authorize_from_json,
    parse_attestation,
    validate_age,
    verify_attestation,
)

from .samples import ADDRESSES, IDENTITY, NOW_S, STRANGER, attestation, refused

ASCII = st.text(st.characters(max_codepoint=127), max_size=40)
HASHES = st.binary(min_size=32, max_size=32)
ATTESTATIONS = st.builds(
    Attestation,
    ADDRESSES,
    st.binary(min_size=4, max_size=4),
    HASHES,
    HASHES,
    st.binary(max_size=300),
    st.builds(AuthData, ASCII, st.integers(0, 2**64 - 1)),
)


@given(ATTESTATIONS)
def test_attestation_survives_both_encodings(found: Attestation) -> None:
    assert parse_attestation(found.encoded) == found
    assert attestation_from_json(found.as_json()) == found


@given(ATTESTATIONS, st.data())
def test_attestation_has_one_length(found: Attestation, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(found.encoded) - 1))
    for damaged in (found.encoded[:cut], found.encoded + b"\0"):
        with refused(None, "wallet-attestation"):
            parse_attestation(damaged)


def test_07_url_is_ascii_because_clients_and_contract_count_other_letters_differently() -> None:
    with refused(None, "wallet-attestation-redirect-url"):
        AuthData("https://dapp.example/é", 1)
    encoded = attestation(auth_data=AuthData("https://dapp.example/e", 1)).encoded
    with refused(None, "wallet-attestation-redirect-url"):
        parse_attestation(encoded.replace(b"/e", b"/\xe9"))


def test_attestation_is_the_identity_signers() -> None:
    found = attestation()
    signature = IDENTITY.sign(found.hash)
    assert verify_attestation(found, signature, IDENTITY.address).identity_signer == IDENTITY.address
    with refused("InvalidIdentitySigner"):
        verify_attestation(found, signature, STRANGER.address)
    with refused("InvalidIdentitySigner"):
        verify_attestation(attestation(audience_hash=bytes(32)), signature, IDENTITY.address)


def test_age_is_checked_here_because_no_contract_does() -> None:
    found = attestation(auth_data=AuthData("", NOW_S))
    validate_age(found, now_s=NOW_S, max_age_s=0)
    validate_age(found, now_s=NOW_S + 60, max_age_s=60)
    with refused(None, "wallet-attestation-too-old"):
        validate_age(found, now_s=NOW_S + 61, max_age_s=60)
    with refused(None, "wallet-attestation-from-the-future"):
        validate_age(found, now_s=NOW_S - 1, max_age_s=60)


def test_magic_names_wallet_issuer_and_audience() -> None:
    found = attestation()
    magics = {
        found.magic(IDENTITY.address),
        found.magic(STRANGER.address),
        attestation(issuer_hash=bytes(32)).magic(IDENTITY.address),
        attestation(audience_hash=bytes(32)).magic(IDENTITY.address),
    }
    assert len(magics) == 4


def test_sizes_are_bounded() -> None:
    most_data, most_url = format_.MAX_APPLICATION_DATA_BYTES, format_.MAX_REDIRECT_URL_BYTES
    full = attestation(application_data=bytes(most_data), auth_data=AuthData("a" * most_url, 1))
    assert parse_attestation(full.encoded) == full
    with refused(None, "wallet-attestation-application-data"):
        attestation(application_data=bytes(most_data + 1))
    with refused(None, "wallet-attestation-redirect-url"):
        AuthData("a" * (most_url + 1), 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"approved_signer": b""},
        {"identity_type": b"\0"},
        {"issuer_hash": b""},
        {"audience_hash": bytes(31)},
    ],
)
def test_fields_have_one_size(changes: dict[str, Any]) -> None:
    with refused(None, "wallet-attestation"):
        attestation(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"more": 1},
        {"identityType": "0x01"},
        {"issuerHash": "0x"},
        {"applicationData": "ff"},
        {"authData": None},
        {"authData": {"redirectUrl": 1, "issuedAt": "1"}},
        {"authData": {"redirectUrl": "", "issuedAt": "0x1"}},
        {"authData": {"redirectUrl": "", "issuedAt": str(2**64)}},
        {"authData": {"redirectUrl": ""}},
    ],
)
def test_json_that_is_no_attestation(changes: dict[str, Any]) -> None:
    with pytest.raises(EvmError):
        attestation_from_json(attestation().as_json() | changes)


def test_request_to_approve_an_implicit_session_names_one_key() -> None:
    found = attestation()
    request = {
        "type": "session-implicit-authorize",
        "sessionAddress": checksum(found.approved_signer),
        "attestation": found.as_json(),
    }
    approval = implicit_authorize_from_json(request)
    assert (approval.session, approval.attestation) == (found.approved_signer, found)
    for changes in ({"sessionAddress": checksum(STRANGER.address)}, {"type": "message"}, {"more": 1}):
        with pytest.raises(EvmError, match="wallet-attestation"):
            implicit_authorize_from_json(request | changes)
