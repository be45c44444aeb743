"""The guard's part of a signature: asked for over both hosts, with the user's intent, and verified when it comes.

A host can keep the question or the answer, repeat it or make one up. What counts is a signature by the guard's key over
the digest that was asked about; everything else is a refusal, and its words are the host's.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from enclave.errors import GuardError, Refusal
from enclave.ports import Guards
from enclave.waas.caller import Caller
from enclave.waas.confirmations import ChallengeType, ConfirmationRequired
from evm.address import Address
from evm.errors import EvmError
from evm.fields import hex_bytes
from evm.intents.shown_wallet import ShownWallet
from evm.signature import SIGNATURE_BYTES, parse_signature
from protocol import canonical_json, errors, limits
from protocol.errors import ProtocolError

_CAUSE: Final = re.compile(r"guard:[A-Za-z0-9:._-]{1,200}\Z")
_REVIEW: Final = re.compile(r"guard:review:([0-9a-f]{32})\Z")
_FACTORS: Final[Mapping[object, ChallengeType]] = {6600: "TOTP", 6601: "PIN"}
_WRONG: Final = "guard:second-factor:wrong"
_OK: Final = 200


class SecondSignature:
    """Asks guards."""

    def __init__(self, guards: Guards) -> None:
        self._guards = guards

    async def ask(
        self,
        guard: Address,
        caller: Caller,
        shown: ShownWallet,
        digest: bytes,
        own: bytes,
        factor: Mapping[str, str] | None = None,
    ) -> bytes:
        """The guard's signature (r, s, v; 65 bytes) over `digest`, beside the login's own. `factor` is a user's code.

        ENDPOINT_ERROR with the guard's cause where its rules refuse, or with a `guard-` code of ours where there is no
        answer that counts; `ConfirmationRequired`.
        """
        request: dict[str, Any] = {"intent": caller.envelope, "wallet": shown.as_json()}
        request |= {"signature": "0x" + own.hex()} | ({"token": dict(factor)} if factor else {})
        try:
            body = canonical_json.canonicalize(request)
        except ProtocolError:
            raise Refusal(errors.ENDPOINT_ERROR, "guard-request") from None
        if len(body) > limits.MAX_BODY_BYTES:
            raise Refusal(errors.ENDPOINT_ERROR, "guard-request-size")
        try:
            status, answer = await self._guards.ask(guard, body)
        except GuardError as error:
            raise Refusal(errors.ENDPOINT_ERROR, error.code) from None
        found = _parse(answer)
        if status != _OK:
            raise _refusal(found)
        return _verified(found, guard, digest)


def _parse(answer: bytes) -> dict[str, Any]:
    try:
        found = canonical_json.parse(answer, max_bytes=limits.MAX_GUARD_ANSWER_BYTES)
    except ProtocolError:
        found = None
    if not isinstance(found, dict):
        raise Refusal(errors.ENDPOINT_ERROR, "guard-malformed")
    return found


def _verified(found: dict[str, Any], guard: Address, digest: bytes) -> bytes:
    try:
        signature = hex_bytes(found.get("sig"), "guard-signature", most=SIGNATURE_BYTES)
        by = parse_signature(signature).recover(digest)
    except EvmError:
        raise Refusal(errors.ENDPOINT_ERROR, "guard-malformed") from None
    if by != guard:
        raise Refusal(errors.ENDPOINT_ERROR, "guard-signature")
    return signature


def _refusal(found: dict[str, Any]) -> Exception:
    """What the guard said, if it is in words of a guard."""
    cause = found.get("cause")
    if not isinstance(cause, str) or not _CAUSE.match(cause):
        return Refusal(errors.ENDPOINT_ERROR, "guard-refused")
    factor, held = _FACTORS.get(found.get("code")), _REVIEW.match(cause)
    if factor is not None:
        return ConfirmationRequired(factor, wrong=cause == _WRONG)
    return ConfirmationRequired("Review", review=held[1]) if held else Refusal(errors.ENDPOINT_ERROR, cause)
