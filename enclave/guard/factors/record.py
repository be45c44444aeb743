"""What a wallet has enrolled, as one value and one sealed record. Nothing in it shows itself in a `repr`."""

from typing import Any, Final

import msgspec

from enclave.errors import Refusal
from enclave.guard.factors.attempts import Attempts
from enclave.guard.factors.pins import HashedPin
from enclave.guard.factors.recovery_codes import CodeSet
from protocol.errors import DATA_INTEGRITY_ERROR


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of the record."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<redacted>)"


class User(_Kept, frozen=True):
    """Who a provider of the guard's says that somebody is (OI-08)."""

    issuer: str
    subject: str


class Totp(_Kept, frozen=True):
    """A shared seed, and the last step whose code was used."""

    seed: bytes
    last_step: int


class StartedTotp(_Kept, frozen=True):
    """A seed that the user has been shown, and until when they may prove that they have it."""

    seed: bytes
    expires_s: int


class Passkey(_Kept, frozen=True):
    """A credential's id, its COSE key, and the highest counter that it has shown."""

    id: bytes
    public_key: bytes
    sign_count: int


class Factors(_Kept, frozen=True):
    """A wallet's factors. `user` stays when factors go: it is who may enrol others."""

    user: User | None = None
    totp: Totp | None = None
    started: StartedTotp | None = None
    pin: HashedPin | None = None
    recovery: CodeSet | None = None
    email: str = ""
    passkey: Passkey | None = None
    oidc: bool = False
    attempts: Attempts = Attempts()

    @property
    def kinds(self) -> list[str]:
        """What can be asked for, by name."""
        there = {"TOTP": self.totp, "PIN": self.pin, "Email": self.email, "Passkey": self.passkey, "OIDC": self.oidc}
        return [name for name, kept in there.items() if kept]

    @property
    def active(self) -> bool:
        """Whether there is a factor to be asked for."""
        return bool(self.kinds)

    def has(self, kind: str) -> bool:
        """Whether there is one of this kind."""
        return kind in self.kinds

    def without(self, kind: str) -> "Factors":
        """Without the one of this kind, of those that are shown for one request."""
        match kind:
            case "Email":
                return msgspec.structs.replace(self, email="")
            case "Passkey":
                return msgspec.structs.replace(self, passkey=None)
            case _:
                return msgspec.structs.replace(self, oidc=False)

    def settled(self) -> "Factors":
        """Recovery codes go with the last factor: they are for those who have lost one."""
        return self if self.active else self.without_factors()

    def without_factors(self) -> "Factors":
        """As on the first day, but for the user."""
        return Factors(user=self.user)


def body_of(factors: Factors) -> Any:
    """What the record keeps."""
    return msgspec.to_builtins(factors, builtin_types=_AS_THEY_ARE)


def read_factors(body: Any) -> Factors:
    """The value that `body_of` wrote; `Refusal` DATA_INTEGRITY_ERROR."""
    try:
        return msgspec.convert(body, Factors, builtin_types=_AS_THEY_ARE)
    except msgspec.ValidationError:
        raise Refusal(DATA_INTEGRITY_ERROR) from None


_AS_THEY_ARE: Final = (bytes,)
