"""Bytes and texts that are signed: what they are to whoever hashes them (waas-guard-intents.md 2.5).

A personal message is prefixed before it is hashed, so it cannot be a transaction; yet thirty-two bytes under the prefix
are how many accounts take the hash of an operation. What a wallet signs for others is a *preimage*, without prefix: it
may be a typed document, a transaction, an authorization, an operation.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from evm import rlp
from evm.address import ZERO_ADDRESS, Address
from evm.authorization import Authorization
from evm.effects.call import Call
from evm.effects.model import Effect, Kind, Reason
from evm.errors import EvmError

_PERSONAL_PREFIX: Final = b"\x19Ethereum Signed Message:\n"
_TYPED_PREFIX: Final = b"\x19\x01"
_DELEGATION_PREFIX: Final = 0x05
_USER_OPERATION_BYTES: Final = 96
_HASH_TEXT: Final = re.compile(rb"(?:0x)?[0-9a-fA-F]{64}\Z")
# ERC-4361: `[scheme://]domain wants you to sign in with your Ethereum account:`
_SIGN_IN: Final = re.compile(
    rb"(?:[a-zA-Z][a-zA-Z0-9+.-]{0,15}://)?([^\s/?#]{1,255}) wants you to sign in with your Ethereum account:\n"
    rb"(0x[0-9a-fA-F]{40})(?:\n|\Z)"
)

_LIKE_A_SIGN_IN: Final = re.compile(rb"wants\s+you\s+to\s+sign\s+in\s+with\s+your\s", re.IGNORECASE)


def read_personal(call: Call, data: bytes) -> Iterable[Effect]:
    """A personal message (EIP-191 version 45). `call` says for which account, and on which chain if any."""
    if len(data) == 32 or _HASH_TEXT.match(data):
        return [call.unknown(Reason.HASH)]
    sign_in = _SIGN_IN.match(data)
    if sign_in is None and _LIKE_A_SIGN_IN.search(data):  # to readers that are less strict it may be one, anywhere
        return [call.unknown(Reason.BYTES, function="sign-in")]
    if sign_in is None:
        return [call.effect(Kind.STATEMENT)]
    if sign_in[2].lower() != b"0x" + call.sender.hex().encode():  # for another account: nobody may sign in as that
        return [call.unknown(Reason.BYTES, function="sign-in")]
    site = sign_in[1].decode("ascii", "backslashreplace").lower()
    return [call.effect(Kind.STATEMENT, function="sign-in", site=site)]


def read_preimage(call: Call, data: bytes) -> Iterable[Effect]:
    """Bytes whose keccak-256 is asked about (ERC-1271): a message payload, a Safe message."""
    if data.startswith(_PERSONAL_PREFIX):
        return _read_prefixed(call, data[len(_PERSONAL_PREFIX) :])
    if data.startswith(_TYPED_PREFIX):
        return [call.unknown(Reason.PREIMAGE, function="typed data")]
    if len(data) == _USER_OPERATION_BYTES:
        return [call.unknown(Reason.PREIMAGE, function="user operation")]
    if data[:1] == bytes([_DELEGATION_PREFIX]):
        return _read_authorization(call, data[1:])
    if data and (data[0] >= 0xC0 or (data[0] < _DELEGATION_PREFIX and data[1:2] >= b"\xc0")):
        return [call.unknown(Reason.PREIMAGE, function="transaction")]
    return [call.unknown(Reason.BYTES)]


def _read_prefixed(call: Call, rest: bytes) -> Iterable[Effect]:
    """The length stands as decimal text before the message; one split at most can fit."""
    for digits in range(1, 7):
        size = rest[:digits]
        if size.isdigit() and not size.startswith(b"0") and int(size) == len(rest) - digits:
            return read_personal(call, rest[digits:])
    return [call.unknown(Reason.PREIMAGE, function="personal message")]


def _read_authorization(call: Call, data: bytes) -> Iterable[Effect]:
    """EIP-7702: 0x05 and the list of chain, address and nonce."""
    try:
        match rlp.decode(data, max_depth=1):
            case [bytes(chain), bytes(delegate), bytes(nonce)]:
                found = Authorization(int.from_bytes(chain, "big"), Address(delegate), int.from_bytes(nonce, "big"))
                return [delegation(call, call.sender, found)]
    except EvmError as error:
        if error.code == "effects-too-many":
            raise
    return [call.unknown(Reason.PREIMAGE, function="EIP-7702 authorization")]


def delegation(call: Call, authority: Address, authorization: Authorization) -> Effect:
    """`authority` takes on code, or ends that."""
    at = replace(call, chain_id=authorization.chain_id, function="EIP-7702 authorization")
    delegate = None if authorization.delegate == ZERO_ADDRESS else authorization.delegate
    return at.effect(Kind.DELEGATION, account=authority, contract=delegate, counterparty=delegate, signed=True)
