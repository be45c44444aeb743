"""The guard for wallets of the second generation: the form in which they ask, and the one in which it answers.

A request carries a digest that says nothing: `msg` is the subdigest, and `auxData` = abi(wallet, chain id, digest,
signature so far). Without the structure behind the digest it is judged as a bare hash, which a rule has to name
(`hash`). Our own clients send the structure along, as `payloadType` and `payloadData`; its digest has to be that one.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from enclave.guard.sign_request import DIGEST, REQUEST, SignRequest, parse_body, parse_calls
from evm.address import Address, checksum
from evm.authorization import MAX_CHAIN_ID
from evm.errors import EvmError
from evm.fields import hex_bytes, hex_word, members
from evm.intents.bundle import Bundle
from evm.keccak import keccak256
from evm.signature import parse_signature
from evm.wallet.abi import dynamic, encode, word
from evm.wallet.errors import WalletError
from evm.wallet.legacy.context import V2
from evm.wallet.legacy.digests import approval_digest, subdigest
from evm.wallet.legacy.signer import SignatureType, key_signature
from evm.wallet.legacy.v2_configuration import V2Configuration
from evm.wallet.legacy.v2_signature import encode_v2_signature, recover_v2, verify_v2
from evm.wallet.payload import ConfigUpdatePayload, DigestPayload, MessagePayload, Payload
from evm.wallet.topology import Branch, SignerLeaf
from evm.wallet.values import HASH_BYTES, parse_decimal
from protocol import limits

_WORD: Final = 32
_HEAD_BYTES: Final = 4 * _WORD


@dataclass(frozen=True, slots=True)
class GuardWallet:
    """The guard as a contract wallet, one of two: its key, or the account beside it, which no image has."""

    key: Address
    beside: Address

    @property
    def configuration(self) -> V2Configuration:
        """Threshold 1 of two signers."""
        return V2Configuration(1, 0, Branch(SignerLeaf(self.beside, 1), SignerLeaf(self.key, 1)))

    @property
    def address(self) -> Address:
        """Where the wallet is: the signer that configurations name."""
        return V2.wallet_address(self.configuration.image_hash)

    @property
    def content(self) -> str:
        """Its configuration in the JSON of Sequence's library."""
        left, right = ({"address": checksum(who), "weight": 1} for who in (self.beside, self.key))
        return json.dumps({"version": 2, "threshold": 1, "checkpoint": 0, "tree": {"left": left, "right": right}})

    def signed_digest(self, digest: bytes) -> bytes:
        """What the key signs so that this wallet takes `digest`, on every chain."""
        return keccak256(b"\x19Ethereum Signed Message:\n32" + subdigest(0, self.address, digest))

    def signature(self, signed: bytes) -> bytes:
        """The wallet's signature from its key's (65 bytes), as a part of another wallet's: with type 3 at its end."""
        parts = {self.key: key_signature(parse_signature(signed), eth_sign=True)}
        whole = encode_v2_signature(self.configuration, parts, no_chain_id=True)
        return whole + bytes([SignatureType.ERC1271])

    def is_valid_signature(self, signer: Address, digest: bytes, data: bytes) -> bool:
        """ERC-1271 for this wallet; `WalletError` for any other contract."""
        if signer != self.address:
            raise WalletError("wallet-contract-unknown")
        verify_v2(data, digest, self.address, 1, self.configuration.image_hash)
        return True


@dataclass(frozen=True, slots=True)
class LegacyRequest:
    """A request of that generation. `proven`: who signed is in the configuration that made the wallet's address."""

    request: SignRequest
    proven: bool


def is_legacy(value: object) -> bool:
    """Whether a request has the second generation's form."""
    return isinstance(value, dict) and not value.get("wallet") and bool(value.get("auxData"))


def parse_legacy_request(value: object) -> LegacyRequest:
    """From `{"chainId", "msg", "auxData"}`, and `payloadType` and `payloadData` of our own.

    `EvmError` as `parse_sign_request`; `wallet-…` for a signature so far that is none.
    """
    optional = ("wallet", "payloadType", "payloadData", "signatures")
    given = members(value, required=("chainId", "msg", "auxData"), optional=optional, code=REQUEST)
    chain_id = parse_decimal(given["chainId"], REQUEST, most=MAX_CHAIN_ID)
    asked = _parse_aux(hex_bytes(given["auxData"], REQUEST, most=limits.MAX_BODY_BYTES))
    msg = hex_word(given["msg"], REQUEST)
    if asked.chain_id != chain_id or subdigest(chain_id, asked.wallet, asked.digest) != msg:
        raise EvmError(DIGEST)
    found = recover_v2(asked.signature, asked.digest, asked.wallet, chain_id)
    request = SignRequest(asked.wallet, chain_id, _payload(given, asked), msg, found.signers)
    return LegacyRequest(request, proven=V2.wallet_address(found.image_hash) == asked.wallet)


@dataclass(frozen=True, slots=True)
class _Aux:
    wallet: Address
    chain_id: int
    digest: bytes
    signature: bytes = field(repr=False)


def _parse_aux(data: bytes) -> _Aux:
    """abi(address, uint256, bytes, bytes) in its one encoding."""
    if len(data) < _HEAD_BYTES + 2 * _WORD:
        raise EvmError(REQUEST)
    wallet, chain_id = Address(data[12:_WORD]), int.from_bytes(data[_WORD : 2 * _WORD], "big")
    digest, signature = (_bytes_at(data, int.from_bytes(data[at : at + _WORD], "big")) for at in (64, 96))
    if len(digest) != HASH_BYTES or encode(word(wallet), word(chain_id), dynamic(digest), dynamic(signature)) != data:
        raise EvmError(REQUEST)
    return _Aux(wallet, chain_id, digest, signature)


def _bytes_at(data: bytes, position: int) -> bytes:
    size = int.from_bytes(data[position : position + _WORD], "big")
    return data[position + _WORD : position + _WORD + size]


def _payload(given: dict[str, Any], asked: _Aux) -> Payload:
    """What the digest is of; the bare digest where nothing is said."""
    if not given.get("payloadData"):
        return DigestPayload(asked.digest)
    payload, digest = _read(given.get("payloadType"), parse_body(given["payloadData"]), asked)
    if digest != asked.digest:
        raise EvmError(DIGEST)
    return payload


def _read(kind: object, body: Any, asked: _Aux) -> tuple[Payload, bytes]:
    """A payload, and its digest in this generation. `body` is the `message` of the third generation's document."""
    match kind:
        case "Calls":
            calls = parse_calls(body, ())
            bundle = Bundle(asked.chain_id, asked.wallet, calls.space, calls.nonce, calls.calls)
            return calls, bundle.legacy_digest
        case "Message":
            text = members(body, required=("message", "wallets"), code=REQUEST)["message"]
            message = MessagePayload(hex_bytes(text, REQUEST, most=limits.MAX_BODY_BYTES))
            return message, keccak256(message.message)
        case "ConfigUpdate":
            image_hash = hex_word(members(body, required=("imageHash", "wallets"), code=REQUEST)["imageHash"], REQUEST)
            return ConfigUpdatePayload(image_hash), approval_digest(image_hash)
    raise EvmError(REQUEST)
