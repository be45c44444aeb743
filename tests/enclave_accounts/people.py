"""Users of the account tests: devices that log in by mail, and what they do with their accounts."""

from typing import Any

import pytest

from evm.keccak import keccak256
from tests.appliance import SCOPE, Client, Refused, World, commit_params, otp_answer

ADA, WORK, EVE = "ada@example.com", "ada@work.example", "eve@example.com"
DELAY_S, FRESH_S = 1000, 300
LIMITS = {
    "mails_per_address": 1000,
    "account_delay_s": DELAY_S,
    "fresh_login_s": FRESH_S,
    "session_s": 80_000,
    "signatures_per_minute": 10_000,
}
DIGEST = keccak256(b"message")


async def refused(call: Any) -> tuple[int, str]:
    """Code and cause of the refusal that `call` must end with."""
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code, caught.value.cause


async def code_of(call: Any) -> int:
    return (await refused(call))[0]


class Person:
    """One device in the hands of somebody; `signer` is the wallet of the last login."""

    def __init__(self, world: World, *, ethereum: bool = False) -> None:
        self.world = world
        self.client = Client(world, ethereum=ethereum)
        self.signer = ""

    async def log_in(self, email: str = ADA, **members: Any) -> str:
        result = await self.world.log_in(self.client, email, **members)
        self.signer = result["signer"]["address"]
        return self.signer

    async def account(self, method: str, **members: Any) -> dict[str, Any]:
        return await self.client.own(f"/rpc/Account/{method}", **members)

    async def start_link(self, email: str = WORK) -> dict[str, str]:
        """What Account/Link needs, once a code for `email` has arrived at this device's owner."""
        started = await self.client.call("CommitVerifier", commit_params(email))
        answer = otp_answer(started["challenge"], self.world.mailer.last_code())
        return {"identityType": "Email", "authMode": "OTP", "verifier": started["verifier"], "answer": answer}

    async def link(self, email: str = WORK) -> dict[str, Any]:
        return await self.account("Link", **await self.start_link(email))

    async def sign(self, signer: str | None = None) -> None:
        await self.client.sign(signer or self.signer, DIGEST)


def accounts_of(world: World) -> Any:
    """The enclave's own `Accounts`."""
    routes = world.enclave._dispatcher._routes.signed
    return routes["/rpc/Account/Get"].__self__._accounts  # type: ignore[attr-defined]


__all__ = ["ADA", "DELAY_S", "DIGEST", "EVE", "FRESH_S", "LIMITS", "SCOPE", "WORK", "Person", "accounts_of", "code_of"]
