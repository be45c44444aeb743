"""What a user does about payments while they are away: look at what is asked, grant it, list, and take back."""

from typing import Any

from host_proxy.client.api import Api


class DelegationFlows:
    """The delegation methods, over one `Api` and under one session."""

    def __init__(self, api: Api, session: str) -> None:
        self._api = api
        self._session = session

    def supported(self) -> dict[str, Any]:
        """The kinds of permissions, and what the scope's measured configuration pins and allows."""
        return self._ask("Delegation/Supported")

    def request(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What would be granted: `permission`, or `delegation` and `chainId`."""
        return self._ask("Delegation/Request", **asked)

    def grant(self, hash_: str) -> dict[str, Any]:
        """Sign what was shown under this hash."""
        return self._ask("Delegation/Grant", hash=hash_)

    def list(self) -> dict[str, Any]:
        """What was granted."""
        return self._ask("Delegation/List")

    def revoke(self, hash_: str, fees: dict[str, Any] | None) -> dict[str, Any]:
        """Take back; with `fees`, the transaction that does so on the chain is signed."""
        return self._ask("Delegation/Revoke", hash=hash_, fees=fees)

    def authorize(self, authorization: dict[str, Any], account_nonce: str, *, sends_itself: bool) -> dict[str, Any]:
        """Let the account take on the code of a contract, or give it up."""
        asked = {"authorization": authorization, "accountNonce": account_nonce, "sendsItself": sends_itself}
        return self._ask("Signer/SignAuthorization", **asked)

    def _ask(self, method: str, **members: Any) -> dict[str, Any]:
        given = {name: value for name, value in members.items() if value is not None}
        return self._api.own(f"/rpc/{method}", {"session": self._session, **given}).body
