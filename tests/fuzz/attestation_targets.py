"""Targets for what a verifier reads: documents, session attestations, receipts, bundles, and its own files."""

import json
from functools import cache

import cbor2

from attestation.binding import EnclaveBinding, parse_binding
from attestation.bundle import Bundle, IdentityOpening, parse_bundle, verify_bundle
from attestation.certificate import parse_certificate
from attestation.chain import ChainCache
from attestation.cli import inputs
from attestation.cli.policy_file import parse_measurements, parse_policy
from attestation.cose import ES256K, parse_sign1, verify_sign1
from attestation.document import parse_attestation_document
from attestation.errors import AttestationError
from attestation.keys import encode_cose_key, load_identity_key, parse_cose_key
from attestation.policy import AllOf, AnyImage
from attestation.receipt import parse_receipt, verify_receipt
from attestation.revocation import NotRevoked
from attestation.session import parse_session_claims, verify_session_attestation
from attestation.signed import RECEIPT_KIND, SESSION_KIND, to_be_signed
from attestation.verify import verify
from protocol import cbor, limits
from protocol.errors import ProtocolError
from tests.attestation import pki, signing
from tests.attestation.signing import IDENTITY_KEY, NOW_S
from tests.fuzz.target import Target

ANY = AnyImage()


@cache
def _binding() -> bytes:
    return EnclaveBinding(
        deployment="test-1",
        identity_key=IDENTITY_KEY.public,
        channel_key=bytes(32),
        config_hash=bytes(32),
        boot_epoch=signing.EPOCH,
    ).encode()


@cache
def _document() -> bytes:
    return pki.document(user_data=_binding(), nonce=b"n" * 16)


@cache
def _payload() -> bytes:
    return cbor2.dumps(pki.payload_fields(user_data=_binding()))


@cache
def _bundle() -> bytes:
    opening = IdentityOpening(signing.SALT, signing.SCOPE, signing.IDENTITY)
    return Bundle(_document(), signing.session(), opening).encode()


def _judge_document(data: bytes) -> object:
    return verify(data, ANY, pki.NOW_MS, [pki.root()], cache=ChainCache(4)).binding()


def _sign_and_judge_document(payload: bytes) -> object:
    """Any payload under a genuine signature: what only a compromised module could say."""
    return _judge_document(pki.DocumentParts(payload).encode())


def _document_of_certificate(der: bytes) -> object:
    """A document whose enclave certificate is `der`."""
    chain = (*pki.good_chain()[:-1], der)
    return _judge_document(pki.DocumentParts(cbor2.dumps(pki.payload_fields(chain)), signature=b"\x01" * 96).encode())


def _signed_session(payload: bytes) -> object:
    """Any claims under a genuine signature."""
    data = IDENTITY_KEY.sign(to_be_signed(SESSION_KIND, payload, IDENTITY_KEY.public))
    return verify_session_attestation(data, IDENTITY_KEY.public, now_s=NOW_S)


def _signed_receipt(payload: bytes) -> object:
    return verify_receipt(
        IDENTITY_KEY.sign(to_be_signed(RECEIPT_KIND, payload, IDENTITY_KEY.public)), IDENTITY_KEY.public
    )


def _cose(data: bytes) -> object:
    sign1 = parse_sign1(data, max_bytes=limits.MAX_ATTESTATION_DOCUMENT_BYTES, tag_allowed=True)
    verify_sign1(sign1, ES256K, load_identity_key(IDENTITY_KEY.public))
    return sign1


def _cose_key(data: bytes) -> object:
    return encode_cose_key(parse_cose_key(cbor.loads(data)))


def _revocation_list(data: bytes) -> object:
    return verify(_document(), AllOf((ANY, NotRevoked((data,)))), pki.NOW_MS, [pki.root()])


def _input(data: bytes) -> object:
    """As a file and as the body of an answer; the first byte says in which encoding."""
    encoding, rest = ("auto", "raw", "hex", "base64")[(data[0] if data else 0) % 4], data[1:]
    return inputs.decode(rest, encoding), inputs.decode(inputs._unwrap_json(rest))


def _policy() -> bytes:
    pcrs = {str(index): "ab" * 48 for index in range(3)}
    entry = {"name": "release 1", "version": 1, "expires": "2027-01-31T00:00:00Z", "pcrs": pcrs}
    policy = {"version": 1, "measurements": [entry], "minimum_version": 1, "max_age_s": 300, "debug": False}
    return json.dumps(policy).encode()


def _measurements() -> bytes:
    return json.dumps({"Measurements": {f"PCR{index}": "ab" * 48 for index in range(3)}}).encode()


def _crl() -> bytes:
    from tests.attestation.test_chain import revocation_list

    return bytes(revocation_list(pki.ROOT))


REFUSAL = (AttestationError,)

TARGETS = {
    "cose": Target(_cose, REFUSAL, lambda: [signing.session()]),
    "document_syntax": Target(parse_attestation_document, REFUSAL, lambda: [_document(), b"\xd2" + _document()]),
    "document": Target(_judge_document, REFUSAL, lambda: [_document()]),
    "document_payload": Target(_sign_and_judge_document, REFUSAL, lambda: [_payload(), pki.indefinite(_payload())]),
    "certificate": Target(parse_certificate, REFUSAL, lambda: list(pki.good_chain())),
    "certificate_of_a_document": Target(_document_of_certificate, REFUSAL, list),
    "binding": Target(parse_binding, REFUSAL, lambda: [_binding()]),
    "session_attestation": Target(
        lambda data: verify_session_attestation(data, IDENTITY_KEY.public, now_s=NOW_S),
        REFUSAL,
        lambda: [signing.session()],
    ),
    "session_claims": Target(parse_session_claims, REFUSAL, lambda: [signing.claims().encode()]),
    "session_claims_signed": Target(_signed_session, REFUSAL, lambda: [signing.claims().encode()]),
    "receipt": Target(parse_receipt, REFUSAL, lambda: [signing.receipt().encode()]),
    "receipt_signed": Target(_signed_receipt, REFUSAL, lambda: [signing.receipt().encode()]),
    "bundle": Target(lambda data: verify_bundle(data, ANY, pki.NOW_MS, [pki.root()]), REFUSAL, lambda: [_bundle()]),
    "bundle_syntax": Target(parse_bundle, REFUSAL, lambda: [_bundle()]),
    "cose_key": Target(
        _cose_key, (AttestationError, ProtocolError), lambda: [cbor.dumps(encode_cose_key(signing.AUTH_KEY))]
    ),
    "policy_file": Target(lambda data: parse_policy(data).policy(), REFUSAL, lambda: [_policy()]),
    "measurements_file": Target(lambda data: parse_measurements(data, "build"), REFUSAL, lambda: [_measurements()]),
    "revocation_list": Target(_revocation_list, REFUSAL, lambda: [_crl()]),
    "document_input": Target(
        _input, REFUSAL, lambda: [b"\x00" + _document().hex().encode(), b"\x01" + _document(), b"\x03AAAA"]
    ),
}
