"""The measured configuration: one JSON file inside the image, so every value here is part of the measurement.

Unknown fields, wrong types and broken rules refuse the boot (`BootError("config-…")`). Nothing else configures it.
"""

from typing import Annotated, Literal

import msgspec

from enclave.config.admin import AdminKey, validate_admins
from enclave.config.embedded import hash_access_key
from enclave.config.fields import Measured, Text, host_and_port
from enclave.config.guard import Guard, validate_guard
from enclave.config.holder import Holder
from enclave.config.issuer import Issuer, validate_issuer
from enclave.config.lifetimes import Limits
from enclave.config.oidc import OidcClient
from enclave.config.outside import Mail, TlsRoots
from enclave.config.scope import Scope, validate_scope
from enclave.config.tenancy import Tenancy, validate_tenancy
from enclave.errors import BootError
from protocol import limits


class Config(Measured, frozen=True, kw_only=True):
    """Everything that configures an enclave."""

    version: Literal[1]
    role: Literal["instrument", "guard"]
    deployment: Annotated[
        str,
        msgspec.Meta(min_length=3, max_length=limits.MAX_DEPLOYMENT_CHARS, pattern=r"^[a-z0-9][a-z0-9-]*[a-z0-9]\Z"),
    ]
    threshold: int
    holders: tuple[Holder, ...]
    scopes: tuple[Scope, ...]
    tls_roots: TlsRoots
    mail: Mail
    admins: Annotated[tuple[AdminKey, ...], msgspec.Meta(max_length=8)] = ()
    """Whose calls rotate holder keys; without any, nobody's."""
    tenancy: Tenancy | None = None
    """Who may add tenants of embedded wallets to those among the scopes; without it nobody."""
    issuer: Issuer | None = None
    """Who issues ID tokens about users of embedded wallets, and signs answers; without it nobody does."""
    guard: Guard | None = None
    """What a guard is configured by; only with that role, which in turn has no scopes."""
    workers: Annotated[int, msgspec.Meta(ge=1, le=limits.MAX_WORKERS)] = 1
    """Processes that serve, each on one core and one vsock port (ADR 0028)."""
    limits: Limits = Limits()
    kms_client: Literal["python", "sdk-c"] = "python"
    sdk_library: str = ""
    """With `sdk-c`: the measured path of the shared library; empty means the usual loader search."""
    clock_sources: tuple[Text, ...] = ("kvm-clock",)
    entropy_sources: tuple[Text, ...] = ("nsm-hwrng",)

    def scope(self, name: str) -> Scope | None:
        """The configuration of the full scope text `name`, or None."""
        for scope in self.scopes:
            if scope.scope == name:
                return scope
        return None

    def scope_of_access_key(self, access_key: str) -> Scope | None:
        """The scope whose applications use this access key, or None."""
        name = hash_access_key(access_key)
        return next((scope for scope in self.scopes if scope.embedded and name in scope.embedded.key_hashes()), None)

    def scope_of_project(self, project_id: int) -> Scope | None:
        """The scope whose embedded wallets are those of this project, or None."""
        found = (scope for scope in self.scopes if scope.embedded and scope.embedded.project_id == project_id)
        return next(found, None)

    def destinations(self) -> frozenset[tuple[str, int]]:
        """The enclave's own egress list (VS-06): holders, mail server, issuers, their key hosts and token endpoints."""
        found = {(holder.host, 443) for holder in self.holders} | {(self.mail.host, self.mail.port)}
        if self.tenancy is not None:
            found |= self.tenancy.destinations()
        for client in self.oidc_clients():
            found |= {host_and_port(client.issuer), *((host, 443) for host in client.key_hosts)}
            if client.token_endpoint:
                found.add(host_and_port(client.token_endpoint))
        for scope in self.scopes:
            if scope.embedded and scope.embedded.invitations:
                found.add(scope.embedded.invitations.destination())
        return frozenset(found)

    def oidc_clients(self) -> tuple[OidcClient, ...]:
        """The accepted identity providers of every scope, or of a guard."""
        factors = self.guard.second_factors if self.guard else None
        return (*(client for scope in self.scopes for client in scope.oidc), *(factors.oidc if factors else ()))


def parse_config(data: bytes) -> Config:
    """The configuration in `data`, all rules checked."""
    if len(data) > limits.MAX_CONFIG_BYTES:
        raise BootError("config-too-large")
    try:
        config = msgspec.json.decode(data, type=Config)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:  # names the field; all of it is public
        raise BootError("config-malformed", str(error)) from None
    _validate(config)
    return config


def _validate(config: Config) -> None:
    count = len(config.holders)
    if not 2 <= config.threshold < count <= 16:  # SH-05: t >= 2, n >= t + 1
        raise BootError("config-threshold")
    for what in ("name", "key_arn", "account", "region"):
        if len({getattr(holder, what) for holder in config.holders}) != count:
            raise BootError("config-holders-alike", what)
    _validate_role(config)
    if len({scope.scope for scope in config.scopes}) != len(config.scopes):
        raise BootError("config-scopes")
    for scope in config.scopes:
        validate_scope(scope)
    _validate_embedded(config)
    validate_admins(config.admins)
    config.destinations()
    if config.limits.session_s > config.limits.session_ceiling_s:
        raise BootError("config-session")
    if config.sdk_library and config.kms_client != "sdk-c":
        raise BootError("config-sdk-library")


def _validate_embedded(config: Config) -> None:
    """Projects and access keys are one tenant's each; officers and issuer are usable."""
    tenants = [scope.embedded for scope in config.scopes if scope.embedded]
    keys = [key for tenant in tenants for key in tenant.key_hashes()]
    if len(set(keys)) != len(keys) or len({tenant.project_id for tenant in tenants}) != len(tenants):
        raise BootError("config-embedded")
    if config.tenancy is not None:
        validate_tenancy(config.tenancy)
    if config.issuer is not None:
        validate_issuer(config.issuer)
    elif any(tenant.invitations for tenant in tenants):  # nobody would sign what a webhook is told
        raise BootError("config-invitations")


def _validate_role(config: Config) -> None:
    """An instrument serves scopes, a guard has rules; neither has anything of the other."""
    if (config.role == "guard") is (config.guard is None):
        raise BootError("config-role")
    if (config.role == "guard") is bool(config.scopes):
        raise BootError("config-scopes")
    if config.guard is not None and (config.tenancy is not None or config.issuer is not None):
        raise BootError("config-role")
    if config.guard is not None:
        validate_guard(config.guard)
