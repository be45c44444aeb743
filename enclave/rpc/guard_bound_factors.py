"""GuardFactors, our own: factors that are shown for one request alone, beside those of the published wire."""

from collections.abc import Mapping
from typing import Any, Final

from enclave.errors import Refusal
from enclave.guard.cosigning import Cosigner
from enclave.guard.factors.bound import KINDS, Kind
from enclave.guard.signing_key import GuardKey
from enclave.rpc.asked_signature import Signer, parse_asked
from enclave.rpc.envelope import Call, parse_object, require_json_post
from enclave.rpc.factor_arguments import (
    parse_code,
    parse_text,
    parse_update_proof,
    require_bearer,
    require_private,
)
from enclave.rpc.guard_factors import FactorParts, Method, require_owner
from protocol import guard_errors

FACTORS_SERVICE: Final = "/rpc/GuardFactors/"


def bound_factor_methods(parts: FactorParts | None, cosigner: Cosigner, key: GuardKey) -> Mapping[str, Method]:
    """The methods by path; none where no factors are kept."""
    return {} if parts is None else GuardBoundFactors(parts, cosigner, key).methods()


class GuardBoundFactors:
    """The methods. Whoever changes something proves it like a user of the published ones."""

    def __init__(self, parts: FactorParts, cosigner: Cosigner, key: GuardKey) -> None:
        self._authorizing = parts.authorizing
        self._bound = parts.bound
        self._book = parts.enrolment
        self._plain = parts.plain
        self._cosigner = cosigner
        self._key = key

    def methods(self) -> Mapping[str, Method]:
        """Every method by path."""
        methods: dict[str, Method] = {
            "List": self.list,
            "Challenge": self.challenge,
            "StartEmail": self.start_email,
            "ConfirmEmail": self.confirm_email,
            "StartPasskey": self.start_passkey,
            "ConfirmPasskey": self.confirm_passkey,
            "AddIDToken": self.add_id_token,
            "Remove": self.remove,
        }
        return {FACTORS_SERVICE + name: method for name, method in methods.items()}

    async def list(self, call: Call) -> dict[str, Any]:
        """`{proof?}` -> `{factors}`, for a token or an ownership proof: every kind that there is."""
        wallet = await require_owner(self._authorizing, call, self._arguments(call))
        return {"factors": (await self._book.factors(wallet)).kinds}

    async def challenge(self, call: Call) -> dict[str, Any]:
        """`{kind, request}` -> `{challenge}`, about this request, which somebody who counts has signed."""
        arguments = self._arguments(call)
        request = parse_asked(arguments, Signer(await self._key.address())).request
        kind, words = _kind(arguments), await self._cosigner.words(request)
        return {"challenge": await self._bound.challenge(kind, request.wallet, request.digest, words)}

    async def start_email(self, call: Call) -> dict[str, Any]:
        """`{email, timestamp, signature, chainId}` -> `{challenge}`, whose code goes to the mailbox."""
        arguments = self._arguments(call)
        email = parse_text(arguments, "email")
        who = await self._authorizing.by_update(parse_update_proof(call, arguments), enrolling=True)
        return {"challenge": await self._bound.start_email(who, email)}

    async def confirm_email(self, call: Call) -> dict[str, Any]:
        """`{email, challenge, code}` -> `{}`, for a token."""
        arguments = self._arguments(call)
        wallet = await self._authorizing.by_token(require_bearer(call))
        email, challenge = parse_text(arguments, "email"), parse_text(arguments, "challenge")
        await self._bound.confirm_email(wallet, email, challenge, parse_code(arguments, "code"))
        return {}

    async def start_passkey(self, call: Call) -> dict[str, Any]:
        """`{timestamp, signature, chainId}` -> `{challenge}`, for `navigator.credentials.create`."""
        who = await self._authorizing.by_update(parse_update_proof(call, self._arguments(call)), enrolling=True)
        return {"challenge": await self._bound.start_passkey(who)}

    async def confirm_passkey(self, call: Call) -> dict[str, Any]:
        """`{registration}` -> `{}`, for a token."""
        arguments = self._arguments(call)
        wallet = await self._authorizing.by_token(require_bearer(call))
        await self._bound.confirm_passkey(wallet, parse_text(arguments, "registration"))
        return {}

    async def add_id_token(self, call: Call) -> dict[str, Any]:
        """`{timestamp, signature, chainId}` -> `{}`."""
        who = await self._authorizing.by_update(parse_update_proof(call, self._arguments(call)), enrolling=True)
        await self._bound.add_id_token(who)
        return {}

    async def remove(self, call: Call) -> dict[str, Any]:
        """`{kind, timestamp, signature, chainId}` -> `{}`."""
        arguments = self._arguments(call)
        kind = _kind(arguments)
        who = await self._authorizing.by_update(parse_update_proof(call, arguments))
        await self._bound.remove(who.wallet, kind)
        return {}

    def _arguments(self, call: Call) -> dict[str, Any]:
        require_json_post(call)
        require_private(call, plain=self._plain)
        return parse_object(call.body)


def _kind(arguments: dict[str, Any]) -> Kind:
    kind = next((known for known in KINDS if known == arguments.get("kind")), None)
    if kind is None:
        raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:kind")
    return kind
