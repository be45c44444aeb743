"""What a user does with their smart wallet: make it, look at it, sign for it, change it in two steps."""

from typing import Any

from host_proxy.client.api import Api


class WalletFlows:
    """The wallet methods, over one `Api` and under one session."""

    def __init__(self, api: Api, session: str) -> None:
        self._api = api
        self._session = session

    def create(self, *, device: str | None, recovery: str | None, passkey: Any) -> dict[str, Any]:
        """Make the wallet, or find the one that is there."""
        return self._ask("Create", device=device, recovery=recovery, passkey=passkey)

    def address(self) -> dict[str, Any]:
        """Where it is."""
        return self._ask("Address")

    def configuration(self) -> dict[str, Any]:
        """Who acts for it."""
        return self._ask("Configuration")

    def sign(self, chain_id: int, source: str, value: Any, signatures: Any = None) -> dict[str, Any]:
        """`source` is `payload`, `message`, `typedData` or `userOperation`."""
        return self._ask("SignPayload", **{"chainId": chain_id, source: value, "signatures": signatures})

    def attest(self, signer: str, redirect_url: str | None) -> dict[str, Any]:
        """The attestation of an implicit session."""
        return self._ask("IssueAttestation", approvedSigner=signer, redirectUrl=redirect_url)

    def queue_recovery(self, chain_id: int, payload: Any) -> dict[str, Any]:
        """Calls for the recovery module, signed by the login's key."""
        return self._ask("QueueRecovery", chainId=chain_id, payload=payload)

    def cancel_recovery(self, chain_id: int, space: str, nonce: str, signatures: Any = None) -> dict[str, Any]:
        """Calls of nothing, which use up the nonce of what was queued."""
        return self._ask("CancelRecovery", chainId=chain_id, space=space, nonceUsed=nonce, signatures=signatures)

    def change(self, method: str, image_hash: str | None, **members: Any) -> dict[str, Any]:
        """One step of `UpdateConfiguration`, `ApproveSession` or `RevokeSession`: described, or signed if it leads to
        `image_hash`.
        """
        return self._ask(method, imageHash=image_hash, **members)

    def confirm(self, image_hash: str, signature: str) -> dict[str, Any]:
        """Take up an update that enough signers have signed."""
        return self._ask("ConfirmUpdate", imageHash=image_hash, signature=signature)

    def _ask(self, method: str, **members: Any) -> dict[str, Any]:
        given = {name: value for name, value in members.items() if value is not None}
        return self._api.own(f"/rpc/Wallet/{method}", {"session": self._session, **given}).body
