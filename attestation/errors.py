"""The one error family of this package, and its closed list of codes.

Codes are append-only: programs match on them. Texts are for people and may change. Neither holds a secret; a detail
names a field, a certificate or a policy entry, and quotes only printable input.
"""

from typing import Final

TEXTS: Final[dict[str, str]] = {
    # --- bytes that are not an attestation document (AT-01 to AT-06) ---
    "document-too-large": "The document is larger than any that the hardware makes.",
    "cose-malformed": "This is not a COSE_Sign1 object in the one allowed encoding.",
    "cose-signature-form": "The signature is not two numbers of the curve at their full width.",
    "cose-signature": "The signature does not match: what it covers was altered, or another key made it.",
    "document-algorithm": "The document does not name ES384, the only algorithm of Nitro hardware.",
    "document-malformed": "The payload is not the CBOR that Nitro hardware makes.",
    "document-nitrotpm": (
        "This document comes from a NitroTPM, not from a Nitro Enclave: its measurements mean other things."
    ),
    "document-field": "A field of the document is missing, unknown, or not of the allowed form.",
    # --- the chain of certificates (AT-07 to AT-09, AT-19) ---
    "root-untrusted": (
        "The document's chain does not start at a trusted root certificate. "
        "It does not come from AWS Nitro hardware, or it comes from a simulator or another partition."
    ),
    "certificate-malformed": "A certificate of the chain cannot be read.",
    "certificate-algorithm": "A certificate of the chain is not signed with ECDSA over SHA-384.",
    "certificate-key": "A certificate of the chain does not hold a P-384 key.",
    "certificate-extension": "A certificate of the chain has extensions that a Nitro certificate cannot have.",
    "certificate-authority": "A certificate of the chain is an authority and must not be, or is none and must be.",
    "certificate-path-length": "The chain is longer than one of its certificates allows.",
    "certificate-key-usage": "A certificate's key is not meant for what the chain uses it for.",
    "certificate-issuer": "A certificate of the chain was not issued by the one before it.",
    "certificate-expired": "The chain has expired. Nitro chains live about three hours.",
    "certificate-not-yet-valid": "The chain is not valid yet at the time in question.",
    "certificate-revoked": "A certificate of the chain has been revoked.",
    "revocation-unknown": "The revocation lists supplied say nothing about this chain at the time in question.",
    # --- what the signature covers ---
    "document-module": "The document contradicts itself: module id and PCR4 name different instances.",
    "document-future": "The document claims to have been made later than the time in question.",
    # --- policy (AT-10 to AT-14) ---
    "policy-malformed": "The policy itself is not well formed.",
    "policy-image": "The policy does not say which images are acceptable.",
    "debug-mode": "The enclave runs in debug mode: its host can read its memory and its image is not measured.",
    "measurement-missing": "The document lacks a PCR that the policy names.",
    "measurement-mismatch": "The enclave runs another image than the policy allows.",
    "measurement-expired": "The policy knows this image, but its entry has expired.",
    "measurement-version": "The policy knows this image, but its version is below the floor.",
    "nonce-missing": "The document holds no nonce, so it may be a replay.",
    "nonce-mismatch": "The document holds another nonce: it was not made for this request.",
    "document-too-old": "The document is older than the policy allows.",
    "public-key-mismatch": "The document binds another public key than expected, or none.",
    "user-data-mismatch": "The document binds other user data than expected, or none.",
    "binding-malformed": "The document's user data does not bind a deployment's keys.",
    "binding-mismatch": "The document binds another deployment, key, configuration or boot than expected.",
    # --- objects that an enclave signs with its identity key ---
    "signed-kind": "This is an object of another kind, version or identity key than expected.",
    "key-malformed": "A public key is not a point of its curve in the expected encoding.",
    "claims-malformed": "A claim is missing, unknown, or out of its range.",
    "session-expired": "The session attestation has expired.",
    "session-not-yet-valid": "The session attestation was issued later than the time in question.",
    "session-mismatch": "The session attestation belongs to another deployment, origin, scope, auth key or boot.",
    "receipt-mismatch": "The receipt is about another request, response, deployment or boot.",
    "identity-mismatch": "The opening does not match the identity in the session attestation.",
    "bundle-malformed": "This is not a proof bundle.",
    # --- the sealed channel (CH-02 to CH-05) ---
    "channel-malformed": "This is not a sealed message in the one allowed form.",
    "channel-too-large": "The message is larger than a sealed message may be.",
    "channel-key": "The channel key is no point that a secret could be agreed with.",
    "channel-unopened": "The sealed message does not open: it was altered, or it belongs to another request or key.",
    "channel-unsealed": "The answer is not sealed, so anybody on the way may have written it.",
    "channel-elsewhere": "The request is not for the service that was attested.",
    # --- second opinions and input ---
    "cross-check-unavailable": "The second COSE implementation is not installed, so there is no second opinion.",
    "cross-check-disagrees": "A second, independent implementation disagrees with ours.",
    "content-unbound": "The document does not bind the content of the response it came with.",
    "input-unreadable": "The input cannot be read.",
    "input-unreachable": "The address cannot be reached, or it did not answer with an attestation document.",
}


class AttestationError(Exception):
    """Something could not be verified. `code` is stable and listed in `TEXTS`; `text` is for people."""

    def __init__(self, code: str, detail: str = "") -> None:
        if code not in TEXTS:
            raise ValueError(code)
        self.code = code
        self.detail = detail
        self.text = f"{TEXTS[code]} ({detail})" if detail else TEXTS[code]
        super().__init__(f"{code}: {self.text}")

    def __reduce__(self) -> tuple[type["AttestationError"], tuple[str, str]]:
        return AttestationError, (self.code, self.detail)
