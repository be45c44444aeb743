"""What the wire asks the guard to sign, in either generation, by which of its addresses, and the form of the answer."""

from dataclasses import dataclass, replace
from typing import Any

from enclave.config.guard import SecondGeneration
from enclave.errors import Refusal
from enclave.guard.second_generation import GuardWallet, LegacyRequest, is_legacy, parse_legacy_request
from enclave.guard.sign_request import SignRequest, parse_sign_request
from evm.address import Address, parse_address
from evm.errors import EvmError
from evm.signature import parse_signature
from evm.wallet.legacy.signer import key_signature
from protocol import guard_errors


@dataclass(frozen=True, slots=True)
class Asked:
    """A parsed request. `legacy`: of the second generation; `proven`: then, that its signers are the wallet's own."""

    request: SignRequest
    legacy: bool = False
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Signer:
    """The guard as somebody calls it: its key's account; or, for the second generation alone, its contract wallet."""

    key: Address
    wallet: GuardWallet | None = None
    suffix: bool = True

    @classmethod
    def contract(cls, key: Address, settings: SecondGeneration | None) -> "Signer | None":
        """The contract wallet, where there is one."""
        if settings is None:
            return None
        return cls(key, GuardWallet(key, parse_address(settings.beside)), settings.suffix)

    @property
    def address(self) -> Address:
        """What configurations name."""
        return self.key if self.wallet is None else self.wallet.address

    def form(self, asked: Asked, signed: bytes) -> bytes:
        """The answer, from r, s, v of the key: as they are; with their type behind them; or the wallet's signature."""
        if self.wallet is not None:
            whole = self.wallet.signature(signed)
            return whole if self.suffix else whole[:-1]
        return key_signature(parse_signature(signed)) if asked.legacy else signed


def parse_asked(arguments: dict[str, Any], signer: Signer) -> Asked:
    """The request in `{"request"}`; INVALID_ARGUMENT or VALIDATION_FAILED otherwise."""
    value = arguments.get("request")
    try:
        if not is_legacy(value):
            if signer.wallet is not None:  # the third generation knows the account alone
                raise Refusal(guard_errors.NOT_FOUND, "guard:signer")
            return Asked(parse_sign_request(value))
        return _legacy(parse_legacy_request(value), signer)
    except EvmError as error:
        code = error.code if error.code.startswith("guard-") else "guard-payload"
        wrong = guard_errors.INVALID_ARGUMENT if code == "guard-request" else guard_errors.VALIDATION_FAILED
        raise Refusal(wrong, code.replace("guard-", "guard:", 1)) from None


def _legacy(parsed: LegacyRequest, signer: Signer) -> Asked:
    request = parsed.request
    if signer.wallet is not None:
        request = replace(request, key_digest=signer.wallet.signed_digest(request.digest))
    return Asked(request, legacy=True, proven=parsed.proven)
