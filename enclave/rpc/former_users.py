"""FormerUsers/Signer and FormerUsers/Show: how users with wallets of the second generation are brought along.

Nobody signs these calls. The first tells what is public; the second takes what a measured root proves, from anybody.
"""

from typing import Any

from enclave.config import Config, Scope
from enclave.errors import Refusal
from enclave.rpc.envelope import Call, parse_object, require_json_post
from enclave.waas.former_users import FormerUsers
from evm.address import checksum
from evm.errors import EvmError
from evm.fields import hex_word
from protocol import errors, limits
from protocol.user_list import MAX_PROOF_HASHES


class FormerUsersService:
    """Both methods, for scopes of the image that have embedded wallets."""

    def __init__(self, config: Config, former: FormerUsers) -> None:
        self._config = config
        self._former = former

    async def signer(self, call: Call) -> dict[str, Any]:
        """`{scope}` -> `{signer}`: the address of the enclave's key of the scope, a signer of its parent wallet."""
        scope, _ = self._asked(call, set())
        return {"signer": checksum(await self._former.key(scope.scope).address())}

    async def show(self, call: Call) -> dict[str, Any]:
        """`{scope, login, user, index, count, proof}` -> `{}`: an entry of the scope's list of users."""
        scope, asked = self._asked(call, {"login", "user", "index", "count", "proof"})
        login, user, index, count, proof = (asked[name] for name in ("login", "user", "index", "count", "proof"))
        texts = all(isinstance(each, str) and len(each) <= limits.MAX_VERIFIER_BYTES for each in (login, user))
        numbers = type(index) is int and type(count) is int
        if not (texts and numbers and isinstance(proof, list) and len(proof) <= MAX_PROOF_HASHES):
            raise Refusal(errors.BAD_REQUEST, "entry")
        try:
            hashes = [hex_word(each, "proof") for each in proof]
        except EvmError:
            raise Refusal(errors.BAD_REQUEST, "entry") from None
        await self._former.show(scope, (login, user), index, count, hashes)
        return {}

    def _asked(self, call: Call, members: set[str]) -> tuple[Scope, dict[str, Any]]:
        require_json_post(call)
        asked = parse_object(call.body)
        if asked.keys() != members | {"scope"}:
            raise Refusal(errors.BAD_REQUEST, "members of the request")
        scope = next((each for each in self._config.scopes if each.scope == asked["scope"] and each.embedded), None)
        if scope is None:
            raise Refusal(errors.INVALID_REQUEST, "scope")
        return scope, asked
