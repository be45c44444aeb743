"""Wallet/Create, Address, Configuration, SignPayload, IssueAttestation, QueueRecovery, CancelRecovery.

The login's part in a Sequence v3 wallet. A payload is decoded once; that object is described, hashed, and judged by the
contracts' rules before the nonce is spent (SE-06, SE-16). No method takes a digest of calls.
"""

from typing import Any, Final

from enclave.clock import TrustedClock
from enclave.rpc.envelope import SignedCall
from enclave.rpc.wallet_call import WalletCall, WalletCalls, bounded, wallet_rules
from enclave.second_opinion import SecondOpinion
from enclave.sequence.asked import SOURCES, Asked, asked_calls, parse_asked, parse_chain_id
from enclave.sequence.attesting import parse_attestation_request
from enclave.sequence.new_wallet import new_plan, parse_new_signers
from enclave.sequence.recovering import parse_cancellation, parse_recovery
from enclave.sequence.signing import Prepared, parse_cosigners
from enclave.sequence.wallet_records import IssuedAttestation, SmartWallet, WalletRecords
from enclave.sequence.words import addresses, attested_words, change_words, described
from enclave.wallets import Wallets
from evm.address import checksum
from evm.signature import parse_signature
from evm.wallet.attestation import verify_attestation
from evm.wallet.operation_hash import RecoveryPayload
from evm.wallet.sessions.words import attestation_words
from evm.wallet.values import to_hex

_CREATE: Final = frozenset({"device", "passkey", "recovery"})
_NOTHING: Final = frozenset[str]()
_SIGN: Final = SOURCES | {"chainId", "nextNonce", "signatures"}
_ATTEST: Final = frozenset({"approvedSigner", "redirectUrl", "applicationData"})
_QUEUE: Final = frozenset({"chainId", "payload"})
_CANCEL: Final = frozenset({"chainId", "space", "nonceUsed", "signatures"})


class WalletService:
    """The methods that do not change a configuration."""

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

    async def create(self, call: SignedCall) -> dict[str, Any]:
        """Make the account's wallet from the scope's template; one that is there stays. Nothing is signed."""
        asked = await self._calls.authorize(call, _CREATE)
        key = call.auth_key
        with wallet_rules():
            signers = parse_new_signers(call.params, key.address if key.key_type == "Ethereum_Secp256k1" else None)
            plan = new_plan(asked.template, asked.identity, signers)
        await self._calls.consume(asked)
        wallet, created = await self._records.create(asked.caller.login.account_id, plan)
        return addresses(wallet) | described(wallet.plan) | {"created": created, "deployHash": to_hex(wallet.first)}

    async def address(self, call: SignedCall) -> dict[str, Any]:
        """Where the wallet is, in every context, deployed or not."""
        asked = await self._calls.authorize(call, _NOTHING)
        wallet = await self._calls.wallet(asked)
        await self._calls.consume(asked)
        return addresses(wallet)

    async def configuration(self, call: SignedCall) -> dict[str, Any]:
        """Who acts for the wallet, in JSON and in words; updates that are signed, and those that are done."""
        asked = await self._calls.authorize(call, _NOTHING)
        wallet = await self._calls.wallet(asked)
        await self._calls.consume(asked)
        found = described(wallet.plan) | {
            "address": checksum(wallet.address),
            "deployHash": to_hex(wallet.first),
            "pending": [
                {"imageHash": to_hex(plan.configuration.image_hash), "words": change_words(wallet.plan, plan)}
                for plan in wallet.pending
            ],
            "updates": [
                {"imageHash": to_hex(update.image_hash), "signature": to_hex(update.signature)}
                for update in wallet.updates
            ],
            "attested": attested_words(wallet),
        }
        return bounded(found)

    async def sign_payload(self, call: SignedCall) -> dict[str, Any]:
        """Sign calls, a message, typed data or a user operation; the result is ready to be merged."""
        asked = await self._calls.authorize(call, _SIGN)
        wallet = await self._calls.wallet(asked)
        second = await self._second_opinion.get()
        with wallet_rules():
            decoded = parse_asked(call.params, wallet, second)
        asked.require(*decoded.rights)
        return await self._sign(call, asked, wallet, decoded)

    async def cancel_recovery(self, call: SignedCall) -> dict[str, Any]:
        """Sign calls of nothing with the nonce of what was queued, so that it can never be done."""
        asked = await self._calls.authorize(call, _CANCEL)
        wallet = await self._calls.wallet(asked)
        second = await self._second_opinion.get()
        with wallet_rules():
            payload, chain_id = parse_cancellation(call.params), parse_chain_id(call.params.get("chainId"))
            decoded = asked_calls(payload, wallet, chain_id)
            second.check_wallet_payload(payload, wallet.address, chain_id)
        asked.require("recover_wallet", "sign_payload")
        return await self._sign(call, asked, wallet, decoded)

    async def queue_recovery(self, call: SignedCall) -> dict[str, Any]:
        """Sign calls for the recovery module, where the login's key is a recovery key of the wallet."""
        asked = await self._calls.authorize(call, _QUEUE)
        wallet = await self._calls.wallet(asked)
        second = await self._second_opinion.get()
        with wallet_rules():
            recovery = parse_recovery(call.params, wallet, self._clock.now_s())
            request = recovery.request
            second.check_wallet_payload(RecoveryPayload(recovery.payload), request.wallet, request.chain_id)
        bounded(recovery.understood)
        login, nonce = asked.caller.login, asked.caller.nonce
        signature = await self._wallets.sign(asked.session, login, request.digest, right="recover_wallet", nonce=nonce)
        with wallet_rules():
            return recovery.signed(signature) | {"understood": recovery.understood}

    async def issue_attestation(self, call: SignedCall) -> dict[str, Any]:
        """The attestation of an implicit session, for the origin of the verified session and no other."""
        asked = await self._calls.authorize(call, _ATTEST)
        wallet = await self._calls.wallet(asked)
        identity = await self._calls.identity(asked)
        now_s, origin = self._clock.now_s(), asked.session.origin
        with wallet_rules():
            attestation = parse_attestation_request(
                call.params,
                wallet,
                identity=identity,
                audience=asked.caller.login.audience,
                origin=origin,
                now_s=now_s,
            )
        issued = IssuedAttestation(attestation.approved_signer, origin, now_s)

        async def first() -> None:
            await self._records.change(wallet, lambda known: known.with_attested(issued))

        login, nonce = asked.caller.login, asked.caller.nonce
        signature = await self._wallets.sign(
            asked.session, login, attestation.hash, right="attest_session", nonce=nonce, first=first
        )
        with wallet_rules():
            signed = verify_attestation(attestation, parse_signature(signature), wallet.plan.identity)
        return {
            "attestation": attestation.as_json(),
            "hash": to_hex(attestation.hash),
            "signature": to_hex(signature),
            "encoded": to_hex(signed.encoded),
            "identitySigner": checksum(wallet.plan.identity),
            "wallet": checksum(wallet.address),
            "words": attestation_words(attestation),
        }

    async def _sign(self, call: SignedCall, asked: WalletCall, wallet: SmartWallet, decoded: Asked) -> dict[str, Any]:
        bounded(decoded.understood)
        with wallet_rules():
            prepared = Prepared(wallet, decoded.operation, parse_cosigners(call.params.get("signatures")))
        digest, nonce = decoded.operation.digest, asked.caller.nonce
        signature = await self._wallets.sign(
            asked.session, asked.caller.login, digest, right="sign_payload", nonce=nonce
        )
        with wallet_rules():
            return prepared.signed(signature) | {"understood": decoded.understood}
