"""Who a user is: issuer kind, issuer, subject. The e-mail address is for display only (OI-08)."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from enclave.errors import Refusal
from protocol import errors

IdentityKind = Literal["Email", "OIDC", "Passkey", "Guest"]
KINDS: Final[tuple[IdentityKind, ...]] = ("Email", "OIDC", "Passkey")
"""Those that the Identity Instrument takes; guests come by the wire of embedded wallets alone."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified identity. Two are the same when `text` is the same."""

    kind: IdentityKind
    issuer: str
    subject: str
    email: str | None

    def __repr__(self) -> str:
        return f"Identity({self.kind}, <redacted>)"

    @property
    def text(self) -> str:
        """`Email:<subject>` or `OIDC:<issuer>#<subject>` (an issuer never holds `#`), as published clients hash it;
        a passkey likewise, with its site as issuer, and a guest, who is a device's key, as an address of mail.
        """
        plain = self.kind in ("Email", "Guest")
        return f"{self.kind}:{self.subject}" if plain else f"{self.kind}:{self.issuer}#{self.subject}"

    def wire(self) -> dict[str, str]:
        """The JSON members of the wire format; empty ones are left out."""
        members = {"type": self.kind, "iss": self.issuer, "sub": self.subject, "email": self.email or ""}
        return {name: value for name, value in members.items() if value}

    def body(self) -> list[str | None]:
        """What a record keeps."""
        return [self.kind, self.issuer, self.subject, self.email]


def read_identity(body: Any) -> Identity:
    """The identity that `Identity.body` wrote."""
    match body:
        case ["Email" | "OIDC" | "Passkey" | "Guest" as kind, str(issuer), str(subject), str() | None as email]:
            return Identity(kind, issuer, subject, email)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


def email_identity(address: str) -> Identity:
    """The identity of a normalised mail address that answered a code."""
    return Identity("Email", "", address, address)
