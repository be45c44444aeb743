"""Wallet/UpdateConfiguration, ApproveSession, RevokeSession and ConfirmUpdate: from one configuration to the next.

Two steps each. A call without `imageHash` signs nothing and says in words what would be; a call with it signs exactly
the configuration that has this image hash, or nothing. The update is in the record before it is signed, and takes the
place of the old configuration once enough signatures of that one were shown.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from enclave.clock import TrustedClock
from enclave.errors import Refusal
from enclave.rpc.envelope import SignedCall
from enclave.rpc.wallet_call import WalletCall, WalletCalls, bounded, wallet_rules
from enclave.second_opinion import SecondOpinion
from enclave.sequence.changes import Around, changed, with_session, without_session
from enclave.sequence.plan import WalletPlan
from enclave.sequence.rules import validate_update
from enclave.sequence.signing import Prepared, parse_cosigners, verify_update
from enclave.sequence.wallet_records import SmartWallet, WalletRecords
from enclave.sequence.words import change_words, described, worst_case_json
from enclave.wallets import Wallets
from evm.address import parse_address
from evm.fields import hex_bytes, hex_word
from evm.wallet.errors import WalletError
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import ConfigUpdatePayload
from evm.wallet.sessions.capped import parse_capped
from evm.wallet.sessions.permission import SessionPermissions
from evm.wallet.sessions.session_json import permissions_from_json, permissions_to_json
from evm.wallet.sessions.words import session_words
from evm.wallet.values import to_hex
from protocol import errors, limits

_BOTH: Final = frozenset({"imageHash", "signatures"})
_UPDATE: Final = _BOTH | {"change"}
_APPROVE: Final = _BOTH | {"permissions", "capped"}
_REVOKE: Final = _BOTH | {"signer"}
_CONFIRM: Final = frozenset({"imageHash", "signature"})


class WalletUpdateService:
    """The methods that lead to another configuration."""

    def __init__(
        self,
        calls: WalletCalls,
        records: WalletRecords,
        wallets: Wallets,
        clock: TrustedClock,
        second_opinion: SecondOpinion,
    ) -> None:
        self._calls = calls
        self._records = records
        self._wallets = wallets
        self._clock = clock
        self._second_opinion = second_opinion

    async def update(self, call: SignedCall) -> dict[str, Any]:
        """Add, remove or rotate a signer, change recovery, follow the scope's guard."""
        asked = await self._calls.authorize(call, _UPDATE)
        around = Around(asked.template, self._clock.now_s())

        def update(wallet: SmartWallet) -> tuple[WalletPlan, dict[str, Any]]:
            return changed(wallet.plan, call.params.get("change"), around), {}

        return await self._step(call, asked, update)

    async def approve_session(self, call: SignedCall) -> dict[str, Any]:
        """Add an explicit session, given by its rules or as capped sends; its rules come back in words, with the most
        that it can move of each asset.
        """
        asked = await self._calls.authorize(call, _APPROVE)
        now_s = self._clock.now_s()

        def approve(wallet: SmartWallet) -> tuple[WalletPlan, dict[str, Any]]:
            session = _asked_session(call.params)
            shown = {
                "session": session_words(session),
                "permissions": permissions_to_json(session),
                "worstCase": worst_case_json(session),
            }
            return with_session(wallet.plan, session, wallet=wallet.address, now_s=now_s), shown

        return await self._step(call, asked, approve)

    async def revoke_session(self, call: SignedCall) -> dict[str, Any]:
        """End the explicit session of a key, or bar the key from implicit sessions."""
        asked = await self._calls.authorize(call, _REVOKE)

        def revoke(wallet: SmartWallet) -> tuple[WalletPlan, dict[str, Any]]:
            return without_session(wallet.plan, parse_address(call.params.get("signer"))), {}

        return await self._step(call, asked, revoke)

    async def confirm(self, call: SignedCall) -> dict[str, Any]:
        """Take up an update whose signature by the present configuration is complete."""
        asked = await self._calls.authorize(call, _CONFIRM)
        asked.require("update_wallet")
        wallet = await self._calls.wallet(asked)
        with wallet_rules():
            image_hash = hex_word(call.params.get("imageHash"), "wallet-image-hash")
            data = hex_bytes(call.params.get("signature"), "wallet-update-bytes", most=limits.MAX_WALLET_UPDATE_BYTES)
            plan = wallet.pending_plan(image_hash)
            if plan is None:
                raise Refusal(errors.PRECONDITION_FAILED, "no such update is pending")
            verify_update(wallet, _update_of(wallet, image_hash), data)
        await self._calls.consume(asked)
        changed_wallet = await self._records.change(wallet, lambda known: known.updated(plan, data))
        return bounded(described(changed_wallet.plan))

    async def _step(
        self, call: SignedCall, asked: WalletCall, step: Callable[[SmartWallet], tuple[WalletPlan, dict[str, Any]]]
    ) -> dict[str, Any]:
        asked.require("update_wallet")
        wallet = await self._calls.wallet(asked)
        second = await self._second_opinion.get()
        with wallet_rules():
            stepped, shown = step(wallet)
            plan = replace(stepped, checkpoint=wallet.checkpoint + 1)
            validate_update(wallet.plan, plan)
            image_hash = plan.configuration.image_hash
            operation = _update_of(wallet, image_hash)
            second.check_wallet_payload(operation.payload, operation.wallet, 0)
        answer = bounded(
            {
                "imageHash": to_hex(image_hash),
                "checkpoint": str(plan.checkpoint),
                "words": change_words(wallet.plan, plan),
                **shown,
            }
        )
        if call.params.get("imageHash") is None:
            await self._calls.consume(asked)
            return answer | {"signed": False}
        return answer | {"signed": True} | await self._sign(call, asked, wallet, plan, operation)

    async def _sign(
        self, call: SignedCall, asked: WalletCall, wallet: SmartWallet, plan: WalletPlan, operation: Operation
    ) -> dict[str, Any]:
        with wallet_rules():
            approved = hex_word(call.params.get("imageHash"), "wallet-image-hash")
            prepared = Prepared(wallet, operation, parse_cosigners(call.params.get("signatures")))
        if approved != plan.configuration.image_hash:
            raise Refusal(errors.PRECONDITION_FAILED, "imageHash is not what the change leads to")

        async def first() -> None:
            await self._records.change(wallet, lambda known: known.with_pending(plan))

        login, nonce = asked.caller.login, asked.caller.nonce
        signature = await self._wallets.sign(
            asked.session, login, operation.digest, right="update_wallet", nonce=nonce, first=first
        )
        with wallet_rules():
            # The image hash of the answer is the new one; who signs for it is the old one.
            return {"update": prepared.signed(signature)}


def _asked_session(params: dict[str, Any]) -> SessionPermissions:
    """The session in `permissions`, or the one that says what `capped` means."""
    if params.get("capped") is None:
        return permissions_from_json(params.get("permissions"))
    if params.get("permissions") is not None:
        raise WalletError("wallet-capped")
    return parse_capped(params["capped"])


def _update_of(wallet: SmartWallet, image_hash: bytes) -> Operation:
    """An update is signed for every chain, once."""
    return Operation(ConfigUpdatePayload(image_hash), wallet.address, 0, no_chain_id=True)
