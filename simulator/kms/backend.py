"""A call on its way: attestation document, key, policies, and only then the work.

The caller has been authenticated before; what comes out is disclosed by `faults.disclose`, nowhere else.
"""

import json
from collections.abc import Callable

from simulator.kms import requests
from simulator.kms.authorization import authorize, check_lockout, default_key_policy
from simulator.kms.errors import AwsError
from simulator.kms.faults import Outcome
from simulator.kms.keys import Key, KeyStore, blob_key_id
from simulator.kms.operations import KeyedCall, generate_random, key_metadata, perform
from simulator.kms.policy import Principal, parse_key_policy
from simulator.kms.recipient import AttestedRecipient

VerifyRecipient = Callable[[bytes], AttestedRecipient]


class Backend:
    """Executes calls on the keys of `store`."""

    def __init__(self, store: KeyStore, verify_recipient: VerifyRecipient, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._verify_recipient = verify_recipient
        self._now_ms = now_ms

    def execute(
        self, call: requests.Call, principal: Principal, region: str
    ) -> tuple[Outcome, AttestedRecipient | None]:
        """The outcome of `call` and whom its secret is for; `AwsError` when it is refused."""
        recipient = None
        if isinstance(call, requests.AttestedCall) and call.recipient is not None:
            recipient = self._verify_recipient(call.recipient.attestation_document)
        match call:
            case requests.GenerateRandom():
                authorize(call, principal, None, recipient)
                return generate_random(call), recipient
            case requests.CreateKey():
                authorize(call, principal, None, None)
                return self._create_key(call, principal, region), None
            case requests.PutKeyPolicy():
                key = self._store.find(region, principal.account, call.key_id)
                authorize(call, principal, key, None)
                return self._put_key_policy(call, principal, key), None
            case _:
                key = self._key_of(call, principal, region)
                authorize(call, principal, key, recipient)
                return perform(call, key), recipient

    def _key_of(self, call: KeyedCall, principal: Principal, region: str) -> Key:
        if not isinstance(call, requests.Decrypt):
            return self._store.find(region, principal.account, call.key_id)
        named = self._store.find(region, principal.account, call.key_id) if call.key_id else None
        sealing = self._store.by_id(region, blob_key_id(call.ciphertext_blob))
        if named is not None and named is not sealing:
            raise AwsError("IncorrectKeyException", "The key ID in the request does not identify the encrypting key.")
        if sealing is None:
            raise AwsError("AccessDeniedException", "The ciphertext refers to a key that does not exist here.")
        return sealing

    def _create_key(self, call: requests.CreateKey, principal: Principal, region: str) -> Outcome:
        account = principal.account
        text = call.policy or json.dumps(default_key_policy(account))
        if not call.bypass_policy_lockout_safety_check:
            new_key = f"arn:aws:kms:{region}:{account}:key/new"
            check_lockout(parse_key_policy(text), principal, account, new_key)
        return Outcome({"KeyMetadata": key_metadata(self._store.create(region, account, text, self._now_ms()))})

    def _put_key_policy(self, call: requests.PutKeyPolicy, principal: Principal, key: Key) -> Outcome:
        if not call.bypass_policy_lockout_safety_check:
            check_lockout(parse_key_policy(call.policy), principal, key.arn.account, str(key.arn))
        self._store.set_policy(key, call.policy)
        return Outcome({})
