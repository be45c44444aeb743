"""An enclave's side of the sealed channel for programs in other languages.

Run as `python -m tests.attestation_channel.answering`.
Reads `[private key as hex, [[envelope, what to seal or null], ...]]` from standard input, bytes as base64, and prints
the list of answers. With null the answer repeats the request: method as content type, body as body.
"""

import base64
import json
import sys

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from attestation import channel
from attestation.channel import Exchange, InnerResponse
from protocol import cbor

_NONCE = bytes(channel.REPLY_NONCE_BYTES)


def seal_raw(exchange: Exchange, padded: bytes) -> bytes:
    """An answer around any bytes, padded or not, as only a broken enclave would make it."""
    key, iv = exchange._reply_key(_NONCE)
    return cbor.dumps([1, _NONCE, AESGCM(key).encrypt(iv, padded, None)])


def _answer(private_key: X25519PrivateKey, number: int, envelope: bytes, raw: bytes | None) -> bytes:
    request, exchange = channel.open_request(envelope, channel.parse_request(envelope), private_key)
    if raw is not None:
        return seal_raw(exchange, raw)
    headers = {"webrpc": "x", "content-type": request.method}
    return exchange.seal_response(InnerResponse(200 + number, headers, request.body))


def _main() -> None:
    key, asked = json.load(sys.stdin)
    private_key = X25519PrivateKey.from_private_bytes(bytes.fromhex(key))
    answers = []
    for number, (envelope, raw) in enumerate(asked):
        given = None if raw is None else base64.b64decode(raw)
        answers.append(base64.b64encode(_answer(private_key, number, base64.b64decode(envelope), given)).decode())
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    _main()
