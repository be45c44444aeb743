"""Whether a guard keeps second factors of its users, who vouches for a user then, and when a factor is asked for."""

import re
from typing import Annotated, Final, Literal

import msgspec

from enclave.config.fields import Measured, Text
from enclave.config.oidc import OidcClient, validate_client
from enclave.errors import BootError

_MAILBOX: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+\Z")  # RFC 5322 atoms


class SecondFactors(Measured, frozen=True, kw_only=True):
    """The guard authenticates users by itself: by these providers, under client ids that no instrument accepts."""

    oidc: Annotated[tuple[OidcClient, ...], msgspec.Meta(min_length=1, max_length=8)]
    """Whose ID tokens say who a user is, in place of the published wire's JWT."""
    asked: Literal["enrolled", "rules"] = "enrolled"
    """`enrolled`: a wallet that has a factor needs it for every signature, as published clients are told; `rules`: only
    where a rule or a budget asks for it.
    """
    enrol_within_s: Annotated[int, msgspec.Meta(ge=0, le=366 * 86_400)] = 86_400
    """How long after its registration a wallet may get its user; later nobody becomes one."""
    plain: bool = False
    """Whether tokens are taken in the clear, the only way that published clients know, and not only sealed (CH-01)."""
    name: Text = "Wallet guard"
    """How authenticator apps and mails call the service."""
    email_sender: Annotated[str, msgspec.Meta(max_length=255)] = ""
    """The mailbox that codes come from; without one, mailboxes are no factors."""
    passkey_site: Annotated[str, msgspec.Meta(max_length=253)] = ""
    """The domain that passkeys are for; without one, passkeys are no factors."""
    passkey_origins: Annotated[tuple[Text, ...], msgspec.Meta(max_length=16)] = ()


def validate_second_factors(found: SecondFactors) -> None:
    """`BootError` where a rule is broken that the types do not carry."""
    pairs = [(client.issuer.removesuffix("/"), client.audience) for client in found.oidc]
    if len(set(pairs)) != len(pairs):
        raise BootError("config-oidc", "second factors")
    for client in found.oidc:
        validate_client(client)
    if ":" in found.name or not found.name.isprintable():
        raise BootError("config-second-factors", "name")
    if found.email_sender and not _MAILBOX.match(found.email_sender):
        raise BootError("config-second-factors", "email_sender")
    if bool(found.passkey_site) != bool(found.passkey_origins):
        raise BootError("config-second-factors", "passkeys")
