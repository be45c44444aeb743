"""Sign-up by invitation: who invites, where an invited person arrives, and who is told about the wallet."""

import re
from typing import Annotated, Final

import msgspec

from enclave.config.admin import AdminKey, validate_admins
from enclave.config.fields import Measured, host_and_port
from enclave.errors import BootError

_DAY_S: Final = 86_400
_PAGE: Final = re.compile(r"(https?://[a-z0-9.-]+(?::[0-9]{1,5})?)(?:/[!$%&-;=?@A-Z_a-z~]*)?\Z")


class Invitations(Measured, frozen=True, kw_only=True):
    """Invitations of a tenant. Its own servers sign them; nobody of the deployment has to."""

    inviters: Annotated[tuple[AdminKey, ...], msgspec.Meta(min_length=1, max_length=8)]
    page: Annotated[str, msgspec.Meta(max_length=500)]
    """Where a link leads, on an origin of the tenant; the invitation is in the fragment, which no server sees."""
    webhook: Annotated[str, msgspec.Meta(max_length=500)]
    """The https URL that is told of each wallet, by a signed event (RFC 8417, pushed as RFC 8935 says)."""
    required: bool = False
    """Whether nobody signs up without one."""
    life_s: Annotated[int, msgspec.Meta(ge=60, le=30 * _DAY_S)] = 7 * _DAY_S

    def destination(self) -> tuple[str, int]:
        """Host and port of the webhook."""
        return host_and_port(self.webhook)


def validate_invitations(invitations: Invitations, origins: tuple[str, ...], scope: str) -> None:
    """`BootError` where a rule is broken that the types do not carry."""
    validate_admins(invitations.inviters)
    match = _PAGE.match(invitations.page)
    if match is None or match[1] not in origins:
        raise BootError("config-invitations", scope)
    invitations.destination()
