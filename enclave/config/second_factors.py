"""Whether a guard keeps second factors of its users, who vouches for a user then, and when a factor is asked for."""

from typing import Annotated, Literal

import msgspec

from enclave.config.fields import Measured, Text
from enclave.config.oidc import OidcClient, validate_client
from enclave.errors import BootError


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
    """How authenticator apps call the service."""


def validate_second_factors(found: SecondFactors) -> None:
    """`BootError` where a rule is broken that the types do not carry."""
    pairs = [(client.issuer.removesuffix("/"), client.audience) for client in found.oidc]
    if len(set(pairs)) != len(pairs):
        raise BootError("config-oidc", "second factors")
    for client in found.oidc:
        validate_client(client)
    if ":" in found.name or not found.name.isprintable():
        raise BootError("config-second-factors", "name")
