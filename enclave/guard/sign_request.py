"""A request of the guard's wire: what is to be signed, rebuilt from its structure, and who has signed it already.

`payloadData` is read, and never compared as text: client libraries write the same document in different ways. The
digest is computed from what was read; `msg` only has to equal it (waas-guard-intents.md 2.2, SE-16).
"""

from dataclasses import dataclass
from typing import Any, Final

from enclave.guard.cosigners import ContractSignature, parse_contract_signature
from evm.address import Address, parse_address
from evm.authorization import MAX_CHAIN_ID
from evm.effects import Effect, Tokens, effects_of_attestation, effects_of_payload, effects_of_typed_data
from evm.errors import EvmError
from evm.fields import hex_bytes, hex_word, items, members
from evm.keccak import keccak256
from evm.signature import parse_signature
from evm.typed_data import TypedData, parse_typed_data
from evm.wallet.attestation import Attestation, attestation_from_json
from evm.wallet.erc1271 import typed_data_preimage
from evm.wallet.operation_hash import WALLET_DOMAIN, Operation, operation_hash
from evm.wallet.payload import (
    MAX_CALLS,
    MAX_NONCE,
    MAX_PARENT_WALLETS,
    MAX_SPACE,
    BehaviorOnError,
    Call,
    CallsPayload,
    ConfigUpdatePayload,
    MessagePayload,
    Payload,
)
from evm.wallet.payload_json import typed_data
from evm.wallet.values import parse_bool, parse_decimal
from protocol import canonical_json, limits
from protocol.errors import ProtocolError

MAX_SIGNATURES: Final = 32  # of one envelope
REQUEST: Final = "guard-request"
DIGEST: Final = "guard-digest"
_OPTIONAL: Final = ("auxData", "wallet", "payloadType", "payloadData", "signatures")
_CALL: Final = ("to", "value", "data", "gasLimit", "delegateCall", "onlyFallback", "behaviorOnError")
_ETH_SIGN: Final = b"\x19Ethereum Signed Message:\n32"


@dataclass(frozen=True, slots=True)
class SignRequest:
    """What the guard is asked to sign. `cosigners` are those whose signatures over it have been verified.

    `listed` are signatures through contracts, which only somebody who knows the wallet can verify. `document` is the
    typed document that a message is, where it was given.
    """

    wallet: Address
    chain_id: int
    what: Payload | Attestation
    digest: bytes
    cosigners: tuple[bytes, ...]
    document: TypedData | None = None
    listed: tuple[ContractSignature, ...] = ()
    key_digest: bytes = b""
    """What the guard's key signs, where the guard is a contract wallet; else it signs `digest`."""

    @property
    def operation(self) -> Operation | None:
        """The operation of a v3 wallet that this is; None for what is none."""
        if isinstance(self.what, Attestation):
            return None
        return Operation(self.what, self.wallet, self.chain_id, no_chain_id=self.chain_id == 0)

    def effects(self, tokens: Tokens) -> tuple[Effect, ...]:
        """What the signature is for."""
        if isinstance(self.what, Attestation):
            return effects_of_attestation(self.what, self.wallet, tokens)
        if self.document is not None:  # the outermost of the parents is whose signature it becomes
            return effects_of_typed_data(self.document, (*self.what.parent_wallets, self.wallet)[0], tokens)
        return effects_of_payload(self.what, self.wallet, self.chain_id, tokens)


def parse_sign_request(value: object) -> SignRequest:
    """The request in its JSON form; absent members may be null or empty, as the Go client sends them.

    `EvmError`: "guard-digest" where the structure is another operation than `msg`, "guard-hash" for a bare hash (the
    second generation's form), "guard-signature" for a signature that is none, and the codes of what was to be signed.
    """
    given = members(value, required=("chainId", "msg"), optional=_OPTIONAL, code=REQUEST)
    found = {name: member for name, member in given.items() if member not in (None, "", [])}
    digest = hex_word(found.get("msg"), REQUEST)
    if "payloadData" not in found or "payloadType" not in found or "wallet" not in found:
        raise EvmError("guard-hash")
    wallet = parse_address(found["wallet"])
    chain_id = parse_decimal(given["chainId"], REQUEST, most=MAX_CHAIN_ID)
    document = parse_body(found["payloadData"])
    if found["payloadType"] == "SessionImplicitAuthorize":
        attestation = attestation_from_json(document)
        what: Payload | Attestation = attestation
        computed = attestation.hash
    else:
        what = payload = _payload(found["payloadType"], document, wallet, chain_id)
        computed = operation_hash(payload, wallet, chain_id)
    if computed != digest:
        raise EvmError(DIGEST)
    cosigners, listed = _signatures(found.get("signatures", []), digest)
    return SignRequest(wallet, chain_id, what, digest, cosigners, _typed_document(found, what), listed)


def _typed_document(found: dict[str, Any], what: Payload | Attestation) -> TypedData | None:
    """The document that a message is the preimage of, in `auxData` as its JSON. The preimage alone says nothing.

    `EvmError("guard-document")` where it is another document, or the message is none.
    """
    if not isinstance(what, MessagePayload) or found.get("auxData", "0x") == "0x":
        return None
    document = parse_typed_data(parse_body(found["auxData"]))
    if what.message != typed_data_preimage(document):
        raise EvmError("guard-document")
    return document


def parse_body(value: object) -> Any:
    """JSON, as hex of its bytes."""
    data = hex_bytes(value, REQUEST, most=limits.MAX_BODY_BYTES)
    try:
        return canonical_json.parse(data)
    except ProtocolError:
        raise EvmError(REQUEST) from None


def _payload(kind: object, document: Any, wallet: Address, chain_id: int) -> Payload:
    """The payload of a v3 wallet in an EIP-712 document of exactly the known form."""
    found = members(document, required=("domain", "types", "primaryType", "message"), code=REQUEST)
    message = found["message"]
    if kind != found["primaryType"] or not isinstance(message, dict):
        raise EvmError(REQUEST)
    parents = tuple(map(parse_address, items(message.get("wallets"), most=MAX_PARENT_WALLETS, code=REQUEST)))
    match kind:
        case "Calls":
            payload: Payload = parse_calls(message, parents)
        case "Message":
            text = members(message, required=("message", "wallets"), code=REQUEST)["message"]
            payload = MessagePayload(hex_bytes(text, REQUEST, most=limits.MAX_BODY_BYTES), parents)
        case "ConfigUpdate":
            update = members(message, required=("imageHash", "wallets"), code=REQUEST)
            payload = ConfigUpdatePayload(hex_word(update["imageHash"], REQUEST), parents)
        case _:
            raise EvmError(REQUEST)
    _validate_document(found, payload, wallet, chain_id)
    return payload


def _validate_document(found: dict[str, Any], payload: Payload, wallet: Address, chain_id: int) -> None:
    """Types and domain are those of the operation; else somebody was shown something else than is signed."""
    domain = members(found["domain"], required=("name", "version", "chainId", "verifyingContract"), code=REQUEST)
    named = (domain["name"], domain["version"])
    if named != (WALLET_DOMAIN.name, WALLET_DOMAIN.version):
        raise EvmError(REQUEST)
    if parse_decimal(domain["chainId"], REQUEST) != chain_id or parse_address(domain["verifyingContract"]) != wallet:
        raise EvmError(REQUEST)
    types = found["types"]
    if isinstance(types, dict):
        types = {name: declared for name, declared in types.items() if name != "EIP712Domain"}
    if types != typed_data(payload, wallet, chain_id)["types"]:
        raise EvmError(REQUEST)


def parse_calls(message: object, parents: tuple[Address, ...]) -> CallsPayload:
    """The calls in the `message` of a document."""
    found = members(message, required=("calls", "space", "nonce", "wallets"), code=REQUEST)
    return CallsPayload(
        calls=tuple(map(_call, items(found["calls"], most=MAX_CALLS, code=REQUEST))),
        space=parse_decimal(found["space"], REQUEST, most=MAX_SPACE),
        nonce=parse_decimal(found["nonce"], REQUEST, most=MAX_NONCE),
        parent_wallets=parents,
    )


def _call(value: object) -> Call:
    found = members(value, required=_CALL, code=REQUEST)
    return Call(
        to=parse_address(found["to"]),
        value=parse_decimal(found["value"], REQUEST),
        data=hex_bytes(found["data"], REQUEST, most=limits.MAX_BODY_BYTES),
        gas_limit=parse_decimal(found["gasLimit"], REQUEST),
        delegate_call=parse_bool(found["delegateCall"], REQUEST),
        only_fallback=parse_bool(found["onlyFallback"], REQUEST),
        behavior_on_error=BehaviorOnError(parse_decimal(found["behaviorOnError"], REQUEST, most=max(BehaviorOnError))),
    )


def _signatures(value: object, digest: bytes) -> tuple[tuple[bytes, ...], tuple[ContractSignature, ...]]:
    """Every signature of an account has to hold; who signed is what it recovers to. Those of contracts, as they are."""
    found: list[Address] = []
    listed: list[ContractSignature] = []
    for item in items(value, most=MAX_SIGNATURES, code=REQUEST):
        given = members(item, required=("address", "type", "data"), optional=("imageHash",), code=REQUEST)
        address = parse_address(given["address"])
        if given["type"] not in ("Hash", "EthSign"):
            listed.append(parse_contract_signature(given, REQUEST))
            continue
        signed = digest if given["type"] == "Hash" else keccak256(_ETH_SIGN + digest)
        signature = parse_signature(hex_bytes(given["data"], "guard-signature", most=65))
        if signature.recover(signed) != address:
            raise EvmError("guard-signature")
        found.append(address)
    return tuple(dict.fromkeys(found)), tuple(listed)
