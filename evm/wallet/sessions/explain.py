"""A session signature in words: what each call does, and on what ground its key may make it."""

from evm.address import checksum
from evm.calldata import understand
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import Call
from evm.wallet.sessions.chain_state import SESSION_MANAGER
from evm.wallet.sessions.permission import SessionPermissions
from evm.wallet.sessions.session_manager import validate_payload
from evm.wallet.sessions.session_sig import (
    RecoveredCall,
    RecoveredSignature,
    SessionSignature,
    recover_session_signature,
)
from evm.wallet.sessions.usage_limits import INCREMENT_SELECTOR
from evm.words import printable


def explain_signature(signature: SessionSignature, operation: Operation) -> list[str]:
    """A sentence for each call. Says who signed, not whether the rules are met: that is for `verify_session`.

    What the rules are, `words.tree_words` says. `WalletError` where the signature cannot be one of this operation.
    """
    calls = validate_payload(operation.payload).calls
    found = recover_session_signature(signature, operation)
    return [
        f"Call {number}: {_effect(call, operation)}; {_ground(by, found)}"
        for number, (call, by) in enumerate(zip(calls, found.calls, strict=True), start=1)
    ]


def _effect(call: Call, operation: Operation) -> str:
    if call.to == SESSION_MANAGER and call.data.startswith(INCREMENT_SELECTOR):
        return "Write down what the sessions have used"
    return understand(call.to, call.value, call.data, sender=operation.wallet, chain_id=operation.chain_id).words


def _ground(by: RecoveredCall, found: RecoveredSignature) -> str:
    key = checksum(by.signer)
    if by.attestation is not None:
        url = printable(by.attestation.auth_data.redirect_url)
        return f"by the key {key}, attested by {checksum(found.identity_signer)} for the application at {url}"
    session = next((session for session in found.sessions if session.signer == by.signer), None)
    if session is None:
        return f"by the key {key}, WHICH HAS NO SESSION here"
    return f"by the key {key}, under {_permission(session, by.permission_index)}"


def _permission(session: SessionPermissions, index: int) -> str:
    if index >= len(session.permissions):
        return f"permission {index + 1}, WHICH IT DOES NOT HAVE"
    permission = session.permissions[index]
    return f"permission {index + 1}, for {checksum(permission.target)}, with {len(permission.rules)} rules"
