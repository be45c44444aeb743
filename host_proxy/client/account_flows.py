"""What an owner does with the account: look, link and unlink logins, log devices out, freeze, thaw, delete."""

from typing import Any

from host_proxy.client.api import Api


class AccountFlows:
    """The account methods, over one `Api` and under the session of its login. Most give the account as it is then."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def get(self) -> dict[str, Any]:
        """Logins, devices, and whether it is frozen."""
        return self._ask("Get")

    def remove_devices(self, devices: list[str] | None) -> dict[str, Any]:
        """Log these devices out, or with None all but this one."""
        return self._ask("RemoveDevices", **({} if devices is None else {"devices": devices}))

    def link(self, proof: dict[str, str]) -> dict[str, Any]:
        """Let another identity log in. `proof` is what `Flows.id_token_proof` or `mail_proof` gives."""
        return self._ask("Link", **proof)

    def unlink(self, login: str) -> dict[str, Any]:
        """Close a login."""
        return self._ask("Unlink", login=login)

    def freeze(self) -> dict[str, Any]:
        """Stop all signing."""
        return self._ask("Freeze")

    def unfreeze(self) -> dict[str, Any]:
        """Let it thaw after a delay."""
        return self._ask("Unfreeze")

    def delete(self, signer: str) -> dict[str, Any]:
        """Delete the wallet with this address and close its logins."""
        return self._ask("Delete", signer=signer)

    def _ask(self, method: str, **members: Any) -> dict[str, Any]:
        return self._api.own(f"/rpc/Account/{method}", members).body
