"""A tenant's configuration as a document: a scope, its deployment, a version, and until when it may come into force.

It is the same scope as in the measured configuration, under the same rules, and can do less: it uses the wire of
embedded wallets alone, reaches only hosts that the image names, and holds no secret.
"""

import re
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from enclave.config import Config, Right, Scope, host_and_port
from enclave.config.embedded import EmbeddedWallets
from enclave.config.fields import Measured, Text
from enclave.config.scope import validate_scope
from enclave.errors import BootError
from protocol import canonical_json, limits
from protocol.errors import ProtocolError

_RIGHTS: Final[frozenset[Right]] = frozenset({"sign_payload"})
_MEMBERS: Final = frozenset(
    {
        "scope",
        "origins",
        "rights",
        "plain_login",
        "email_login",
        "email_code",
        "email_sender",
        "email_subject",
        "email_intro",
        "email_logo_url",
        "oidc",
        "wallet",
        "embedded",
    }
)
"""What a document may say of a scope. Whatever else a scope can have is measured."""
_BRACES: Final = re.compile(r"[{}]")
_CODE: Final = "{auth_code}"


class TenantError(Exception):
    """A document that no tenant can have. `code` is stable and says which rule it breaks."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TenantDocument(Measured, frozen=True, kw_only=True):
    """The whole document. `version` only rises; after `activate_before_s` (Unix time) it is no use any more."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    deployment: Text
    activate_before_s: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    tenant: Scope

    @property
    def embedded(self) -> EmbeddedWallets:
        """What `validate_document` has found to be there; `TenantError` otherwise."""
        if self.tenant.embedded is None:
            raise TenantError("tenant-embedded")
        return self.tenant.embedded


@lru_cache(maxsize=256)  # it is read for every request
def parse_document(data: bytes) -> TenantDocument:
    """The document in `data`, its form checked; `TenantError`. One document has one spelling (RFC 8785)."""
    if len(data) > limits.MAX_TENANT_BYTES:
        raise TenantError("tenant-too-large")
    try:
        canonical = canonical_json.canonicalize(canonical_json.parse(data, max_bytes=limits.MAX_TENANT_BYTES))
        if canonical != data:
            raise TenantError("tenant-not-canonical")
        return msgspec.json.decode(data, type=TenantDocument)
    except (ProtocolError, msgspec.MsgspecError, RecursionError):
        raise TenantError("tenant-malformed") from None


def validate_document(document: TenantDocument, config: Config) -> None:
    """`TenantError` where a rule is broken that the types do not carry."""
    tenant, embedded = document.tenant, document.embedded
    _require(document.deployment == config.deployment, "tenant-deployment")
    _require(tenant.scope == scope_name(embedded.project_id), "tenant-scope")
    try:
        validate_scope(tenant)
    except BootError as error:
        raise TenantError(error.code.replace("config-", "tenant-", 1)) from None
    _require(frozenset(tenant.rights) <= _RIGHTS, "tenant-rights")
    _require(_said(tenant) <= _MEMBERS, "tenant-member")
    _require(not embedded.access_keys, "tenant-access-key")
    _require(embedded.parent is None, "tenant-parent")
    free = config.scope(tenant.scope) is None and config.scope_of_project(embedded.project_id) is None
    _require(free, "tenant-measured")
    measured = [scope.embedded for scope in config.scopes if scope.embedded]
    _require(not any(each.key_hashes() & embedded.key_hashes() for each in measured), "tenant-access-key")
    _validate_mail(tenant)
    _validate_providers(tenant, config)
    if embedded.invitations is not None:
        _require(config.issuer is not None, "tenant-invitations")
        _require(embedded.invitations.destination() in config.destinations(), "tenant-webhook-host")


def _said(tenant: Scope) -> frozenset[str]:
    """The members that a scope does not leave as they are by themselves."""
    fields = msgspec.structs.fields(tenant)
    return frozenset(each.name for each in fields if getattr(tenant, each.name) != each.default)


def scope_name(project_id: int) -> str:
    """The scope of the users of a project that no image names."""
    return f"@{project_id}"


def _validate_mail(tenant: Scope) -> None:
    """Texts are shown as they are; the subject alone may name the code, and nothing else is filled in."""
    shown = tenant.email_subject.replace(_CODE, "", 1) + tenant.email_intro
    _require(not _BRACES.search(shown), "tenant-mail-template")


def _validate_providers(tenant: Scope, config: Config) -> None:
    """ID tokens only, of providers on hosts that the image names: its egress list is measured (VS-06)."""
    reachable = config.destinations()
    for client in tenant.oidc:
        secret = client.client_secret is not None or client.redirect_uris or client.tls_roots
        _require(not secret, "tenant-provider-settings")
        try:
            wanted = {host_and_port(client.issuer), *((host, 443) for host in client.key_hosts)}
        except BootError:
            raise TenantError("tenant-provider") from None
        _require(wanted <= reachable, "tenant-provider-host")


def _require(condition: bool, code: str) -> None:
    if not condition:
        raise TenantError(code)
