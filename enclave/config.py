"""The measured configuration: one JSON file inside the image, so every value here is part of the measurement.

Unknown fields, wrong types and broken rules refuse the boot (`BootError("config-…")`). Nothing else configures it.
"""

import re
from typing import Annotated, Final, Literal

import msgspec

from enclave.errors import BootError
from protocol import limits

_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]{1,32}):([0-9]{12}):key/([A-Za-z0-9-]{1,64})\Z")
_SCOPE: Final = re.compile(r"@[1-9][0-9]*(:[A-Za-z0-9_-]+)?\Z")
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?\Z")
_MAILBOX: Final = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+"  # RFC 5322 atoms
_SENDER: Final = re.compile(rf'(?:{_MAILBOX}|[^\x00-\x1f\x7f<>",;:@]+ <{_MAILBOX}>)\Z')

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Pem = Annotated[str, msgspec.Meta(min_length=1, max_length=64 * 1024)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=limits.MAX_SESSION_LIFETIME_S)]


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, no unknown fields."""


class Holder(_Struct, frozen=True, kw_only=True):
    """A share holder: one KMS key in an account and region of its own (SH-09)."""

    name: Text
    key_arn: Text

    @property
    def region(self) -> str:
        return self._arn[1]

    @property
    def account(self) -> str:
        return self._arn[2]

    @property
    def host(self) -> str:
        """The regional KMS endpoint; TLS to it ends in the enclave (KM-01)."""
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"kms.{self.region}.{suffix}"

    @property
    def _arn(self) -> re.Match[str]:
        match = _ARN.match(self.key_arn)
        if match is None:
            raise BootError("config-holder-arn", self.name)
        return match


class OidcClient(_Struct, frozen=True, kw_only=True):
    """An accepted issuer for one scope: exact issuer text, audience and algorithms (OI-01, OI-03, OI-04)."""

    issuer: Annotated[str, msgspec.Meta(min_length=9, max_length=200)]
    audience: Text
    algorithms: tuple[Literal["RS256", "ES256"], ...] = ("RS256", "ES256")
    key_hosts: tuple[Text, ...] = ()
    """Further hosts on which the issuer's `jwks_uri` may lie."""
    authorized_parties: tuple[Text, ...] = ()
    """Further client ids accepted as `azp`: a phone's native client that asks for tokens of this audience."""


class Scope(_Struct, frozen=True, kw_only=True):
    """A tenant. Rights not named here are not granted; signing an opaque digest is a right of its own (SE-06)."""

    scope: Annotated[str, msgspec.Meta(min_length=2, max_length=limits.MAX_SCOPE_CHARS)]
    origins: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=16)]
    """Accepted origins; the first stands for clients whose wire format names none."""
    rights: tuple[Literal["sign_message", "sign_typed_data", "sign_transaction", "sign_digest"], ...]
    email_login: bool = False
    email_sender: Text = "no-reply@localhost"
    email_subject: Text = "Your sign-in code"
    oidc: tuple[OidcClient, ...] = ()


class Mail(_Struct, frozen=True, kw_only=True):
    """The mail server: SMTP over implicit TLS."""

    host: Text
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    username: str = ""
    password: str = ""


class TlsRoots(_Struct, frozen=True, kw_only=True):
    """PEM bundles that egress TLS accepts, by what it talks to (CH-06, OI-17). Nothing else vouches for a server."""

    kms: Pem
    identity_providers: Pem
    mail: Pem


class Limits(_Struct, frozen=True, kw_only=True):
    """Lifetimes and rates that a deployment may tighten."""

    session_s: Seconds = limits.DEFAULT_SESSION_LIFETIME_S
    session_ceiling_s: Seconds = 86_400
    otp_s: Annotated[int, msgspec.Meta(ge=60, le=1800)] = 300
    otp_digits: Annotated[int, msgspec.Meta(ge=6, le=12)] = 6
    mails_per_address: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 3
    mails_window_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 180
    mails_total_per_window: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1000
    signatures_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 600
    """Per device key."""
    holder_lease_s: Annotated[int, msgspec.Meta(ge=10, le=3600)] = 300
    request_window_s: Annotated[int, msgspec.Meta(ge=1, le=600)] = 120
    channel_key_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = 14_400
    """How long a channel key is handed out; what was sealed to it opens for twice as long (CH-03)."""
    clock_skew_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 5000


class Config(_Struct, frozen=True, kw_only=True):
    """Everything that configures an enclave."""

    version: Literal[1]
    role: Literal["instrument"]
    deployment: Annotated[
        str,
        msgspec.Meta(min_length=3, max_length=limits.MAX_DEPLOYMENT_CHARS, pattern=r"^[a-z0-9][a-z0-9-]*[a-z0-9]\Z"),
    ]
    threshold: int
    holders: tuple[Holder, ...]
    scopes: tuple[Scope, ...]
    tls_roots: TlsRoots
    mail: Mail
    limits: Limits = Limits()
    kms_client: Literal["python", "sdk-c"] = "python"
    sdk_library: str = ""
    """With `sdk-c`: the measured path of the shared library; empty means the usual loader search."""
    clock_sources: tuple[Text, ...] = ("kvm-clock",)
    entropy_sources: tuple[Text, ...] = ("nsm-hwrng",)

    def scope(self, name: str) -> Scope | None:
        """The configuration of the full scope text `name`, or None."""
        return next((scope for scope in self.scopes if scope.scope == name), None)

    def destinations(self) -> frozenset[tuple[str, int]]:
        """The enclave's own egress list (VS-06): holders, mail server, issuers and their key hosts."""
        found = {(holder.host, 443) for holder in self.holders} | {(self.mail.host, self.mail.port)}
        for scope in self.scopes:
            for client in scope.oidc:
                found |= {host_and_port(client.issuer), *((host, 443) for host in client.key_hosts)}
        return frozenset(found)


def host_and_port(url: str) -> tuple[str, int]:
    """Host and port of an https URL without user, query or fragment; `BootError` otherwise."""
    match = re.match(r"https://([A-Za-z0-9.-]{1,253})(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?\Z", url)
    if match is None or not 1 <= int(match[2] or 443) <= 65535:
        raise BootError("config-url", url)
    return match[1], int(match[2] or 443)


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
    if len({scope.scope for scope in config.scopes}) != len(config.scopes) or not config.scopes:
        raise BootError("config-scopes")
    for scope in config.scopes:
        _validate_scope(scope)
    config.destinations()
    if config.limits.session_s > config.limits.session_ceiling_s:
        raise BootError("config-session")
    if config.sdk_library and config.kms_client != "sdk-c":
        raise BootError("config-sdk-library")


def _validate_scope(scope: Scope) -> None:
    if not _SCOPE.match(scope.scope):
        raise BootError("config-scope", scope.scope)
    if not all(_ORIGIN.match(origin) for origin in scope.origins):
        raise BootError("config-origin", scope.scope)
    if not (
        _SENDER.match(scope.email_sender) and scope.email_subject.isprintable()
    ):  # they become mail headers (OT-09)
        raise BootError("config-email", scope.scope)
    if len(set(scope.rights)) != len(scope.rights):
        raise BootError("config-rights", scope.scope)
    pairs = [(client.issuer, client.audience) for client in scope.oidc]
    if len(set(pairs)) != len(pairs):
        raise BootError("config-oidc", scope.scope)
