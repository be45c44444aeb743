"""The published methods of the guard about second factors (waas-guard-intents.md 2.1).

Each says which proof it takes: a token of the user's provider in `Authorization`, a signature of one of the wallet's
signers, or a token together with a signature of the wallet. Where a guard keeps no factors they say `MethodNotFound`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from enclave.errors import Refusal
from enclave.guard.factors.authorizing import Authorized, Authorizing
from enclave.guard.factors.bound_enrolment import BoundEnrolment
from enclave.guard.factors.enrolment import Enrolment
from enclave.guard.factors.step_up import StepUp
from enclave.rpc.envelope import Call, parse_object, require_json_post
from enclave.rpc.factor_arguments import (
    parse_code,
    parse_ownership_proof,
    parse_update_proof,
    require_bearer,
    require_private,
)
from evm.address import Address
from protocol import guard_errors

SERVICE: Final = "/rpc/Guard/"
NAMES: Final = (
    "SetPIN",
    "ResetPIN",
    "CreateTOTP",
    "CommitTOTP",
    "ResetTOTP",
    "Reset2FA",
    "RecoveryCodes",
    "ResetRecoveryCodes",
)

Method = Callable[[Call], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class FactorParts:
    """What a guard that keeps second factors has. `plain`: also in the clear, and not only sealed."""

    authorizing: Authorizing
    enrolment: Enrolment
    bound: BoundEnrolment
    step_up: StepUp
    plain: bool


def factor_methods(parts: FactorParts | None) -> Mapping[str, Method]:
    """The methods by path."""
    if parts is not None:
        return GuardFactorsService(parts).methods()
    return {SERVICE + "AuthMethods": _no_methods, **{SERVICE + name: _not_offered for name in NAMES}}


async def _no_methods(call: Call) -> dict[str, Any]:
    """`{methods, active}`: no second factor is kept."""
    _arguments(call)
    return {"methods": [], "active": False}


async def _not_offered(call: Call) -> dict[str, Any]:
    """METHOD_NOT_FOUND, under a name that clients know."""
    _arguments(call)
    raise Refusal(guard_errors.METHOD_NOT_FOUND, "guard:not-offered")


class GuardFactorsService:
    """The methods of a guard that keeps factors."""

    def __init__(self, parts: FactorParts) -> None:
        self._authorizing = parts.authorizing
        self._enrolment = parts.enrolment
        self._plain = parts.plain

    def methods(self) -> Mapping[str, Method]:
        """Every method by path."""
        methods = (
            self.set_pin,
            self.reset_pin,
            self.create_totp,
            self.commit_totp,
            self.reset_totp,
            self.reset_2fa,
            self.recovery_codes,
            self.reset_recovery_codes,
        )
        named: dict[str, Method] = dict(zip(NAMES, methods, strict=True))
        return {SERVICE + name: method for name, method in (named | {"AuthMethods": self.auth_methods}).items()}

    async def auth_methods(self, call: Call) -> dict[str, Any]:
        """`{proof?}` -> `{methods, active}`, for a token or an ownership proof: which of PIN and TOTP there are."""
        factors = await self._enrolment.factors(await require_owner(self._authorizing, call, self._arguments(call)))
        found = {"PIN": factors.pin, "TOTP": factors.totp}
        methods = [name for name, there in found.items() if there]
        return {"methods": methods, "active": bool(methods)}

    async def set_pin(self, call: Call) -> dict[str, Any]:
        """`{pin, timestamp, signature, chainId}` -> `{}`, for a token and the wallet's signature."""
        arguments = self._arguments(call)
        pin = parse_code(arguments, "pin")
        await self._enrolment.set_pin(await self._updater(call, arguments, enrolling=True), pin)
        return {}

    async def reset_pin(self, call: Call) -> dict[str, Any]:
        """`{timestamp, signature, chainId}` -> `{}`, for a token and the wallet's signature."""
        await self._enrolment.reset_pin((await self._updater(call, self._arguments(call))).wallet)
        return {}

    async def create_totp(self, call: Call) -> dict[str, Any]:
        """`{timestamp, signature, chainId}` -> `{uri}`, for a token and the wallet's signature."""
        who = await self._updater(call, self._arguments(call), enrolling=True)
        return {"uri": await self._enrolment.start_totp(who)}

    async def commit_totp(self, call: Call) -> dict[str, Any]:
        """`{token}` -> `{codes}`, for a token of the user's: the wallet has signed for CreateTOTP."""
        arguments = self._arguments(call)
        wallet = await self._authorizing.by_token(require_bearer(call))
        return _codes(await self._enrolment.commit_totp(wallet, parse_code(arguments, "token")))

    async def reset_totp(self, call: Call) -> dict[str, Any]:
        """`{timestamp, signature, chainId}` -> `{}`, for a token and the wallet's signature."""
        await self._enrolment.reset_totp((await self._updater(call, self._arguments(call))).wallet)
        return {}

    async def reset_2fa(self, call: Call) -> dict[str, Any]:
        """`{code, proof?}` -> `{}`, for a recovery code, and a token or an ownership proof."""
        arguments = self._arguments(call)
        code = parse_code(arguments, "code")
        await self._enrolment.reset_all(await require_owner(self._authorizing, call, arguments), code)
        return {}

    async def recovery_codes(self, call: Call) -> dict[str, Any]:
        """`{timestamp, signature, chainId}` -> `{codes}`, for a token and the wallet's signature."""
        who = await self._updater(call, self._arguments(call))
        return _codes(await self._enrolment.recovery_codes(who.wallet))

    async def reset_recovery_codes(self, call: Call) -> dict[str, Any]:
        """`{timestamp, signature, chainId}` -> `{codes}`, for a token and the wallet's signature."""
        who = await self._updater(call, self._arguments(call))
        return _codes(await self._enrolment.new_recovery_codes(who.wallet))

    def _arguments(self, call: Call) -> dict[str, Any]:
        arguments = _arguments(call)
        require_private(call, plain=self._plain)
        return arguments

    async def _updater(self, call: Call, arguments: dict[str, Any], *, enrolling: bool = False) -> Authorized:
        return await self._authorizing.by_update(parse_update_proof(call, arguments), enrolling=enrolling)


async def require_owner(authorizing: Authorizing, call: Call, arguments: dict[str, Any]) -> Address:
    """The wallet of whoever proves to own it, in `proof`, or else of the user whose token it is. UNAUTHORIZED."""
    proof = parse_ownership_proof(arguments.get("proof"))
    if proof is not None:
        return await authorizing.by_ownership(proof)
    return await authorizing.by_token(require_bearer(call))


def _codes(codes: list[tuple[str, bool]]) -> dict[str, Any]:
    return {"codes": [{"code": code, "used": used} for code, used in codes]}


def _arguments(call: Call) -> dict[str, Any]:
    require_json_post(call)
    return parse_object(call.body)
