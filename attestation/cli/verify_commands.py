"""The commands that end in a verdict: `verify` and `bundle verify`."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from attestation.binding import CONTENT_PREFIX, content_user_data
from attestation.bundle import verify_bundle
from attestation.cli.exit_codes import UNCHECKED, ExitCode
from attestation.cli.inputs import Exchange, Input, is_url, read_bytes, read_input
from attestation.cli.policy_file import PolicyFile, parse_measurements, parse_policy
from attestation.cli.report import Report, describe_bundle, describe_chain, describe_document, describe_verified
from attestation.cross_check import cross_check_document
from attestation.document import AttestationDocument, parse_attestation_document
from attestation.errors import AttestationError
from attestation.policy import (
    DEFAULT_MAX_AGE_MS,
    AllOf,
    AnyOf,
    Aspect,
    Binding,
    Finding,
    Findings,
    MaxAge,
    Measurements,
    Moment,
    Nonce,
    Policy,
    PublicKey,
    UserData,
)
from attestation.revocation import NotRevoked
from attestation.roots import TrustRoot
from attestation.session import SessionExpectations
from attestation.verify import VerifiedDocument, verify

CONNECTION_GAP: Final = "whether your connection ends inside the enclave: its host may read and answer in between"


@dataclass(frozen=True, slots=True)
class Context:
    """What a command may rely on: the roots it was given and the time it started."""

    roots: Sequence[TrustRoot]
    now_ms: int


def verify_command(args: Namespace, context: Context) -> Report:
    """`verify SOURCE`: every demand that was made, then those that can turn out impossible to check."""
    if is_url(args.source) and (args.nonce is not None or args.at is not None):
        raise AttestationError("policy-malformed", "a URL gets a nonce of its own and is judged now")
    file, lists = read_policy(args), tuple(map(read_bytes, args.crl))
    source = read_input(args.source, args.encoding, args.data)
    document = parse_attestation_document(source.data)
    policy = AllOf((file.image(), *_freshness(args, file, source), *_bindings(args)))
    body = describe(args.source, document)
    try:
        verified = verify(document, policy, context.now_ms, context.roots, as_of=args.at)
        findings, unchecked = _optional(_optional_checks(args.cross_check, lists, source, verified))
    except AttestationError as error:
        return Report(ExitCode.REFUSED, {"refusal": {"code": error.code, "text": error.text}, **body})
    body |= describe_verified(verified, findings)
    if source.nonces:
        body["not_checked"].append({"aspect": "connection", "text": CONNECTION_GAP})
    body["unchecked"] = [{"code": error.code, "text": error.text} for error in unchecked]
    return Report(ExitCode.INCOMPLETE if unchecked else ExitCode.VERIFIED, body)


def bundle_verify_command(args: Namespace, context: Context) -> Report:
    """`bundle verify SOURCE`: from a trust root to the device key."""
    policy = read_policy(args).policy()
    expected = SessionExpectations(audience=args.origin, scope=args.scope)
    data = read_input(args.source, args.encoding).data
    verified = verify_bundle(data, policy, context.now_ms, context.roots, as_of=args.at, expected=expected)
    if args.auth_key is not None and args.auth_key != verified.session.claims.auth_key.public_key:
        raise AttestationError("session-mismatch", "auth_key")
    body = describe(args.source, verified.document.document)
    return Report(ExitCode.VERIFIED, body | describe_verified(verified.document) | describe_bundle(verified))


def describe(source: str, document: AttestationDocument) -> dict[str, Any]:
    """The part of a report that holds whatever the verdict is."""
    return {"source": source, "document": describe_document(document), "chain": describe_chain(document)}


def read_policy(args: Namespace) -> PolicyFile:
    """What the command line and its files say about acceptable images, all of it together."""
    files = [parse_policy(read_bytes(name)) for name in args.policy]
    entries: list[Measurements] = [entry for file in files for entry in file.entries]
    entries += [parse_measurements(read_bytes(name), Path(name).name) for name in args.measurements]
    if args.pcr:
        entries.append(Measurements(name="the image on the command line", pcrs=dict(args.pcr)))
    return PolicyFile(
        entries=tuple(entries),
        minimum_version=max([args.minimum_version, *(file.minimum_version for file in files)]),
        max_age_ms=min((file.max_age_ms for file in files if file.max_age_ms is not None), default=None),
        debug=args.debug_image or any(file.debug for file in files),
    )


def _freshness(args: Namespace, file: PolicyFile, source: Input) -> list[Policy]:
    """Our own nonce for a server that was asked, and the strictest of the ages that were named."""
    policies: list[Policy] = []
    if source.nonces:
        policies.append(AnyOf(tuple(map(Nonce, source.nonces))))
    if args.nonce is not None:
        policies.append(Nonce(args.nonce))
    named = [] if args.max_age_s is None else [args.max_age_s * 1000]
    named += [] if file.max_age_ms is None else [file.max_age_ms]
    if named or source.nonces:
        policies.append(MaxAge(min(named, default=DEFAULT_MAX_AGE_MS)))
    return policies


def _bindings(args: Namespace) -> list[Policy]:
    policies: list[Policy] = []
    if args.public_key is not None:
        policies.append(PublicKey(args.public_key))
    if args.user_data is not None:
        policies.append(UserData(args.user_data))
    parts = {name: getattr(args, name) for name in ("deployment", "identity_key", "channel_key", "config_hash")}
    if any(part is not None for part in parts.values()):
        policies.append(Binding(**parts))
    return policies


def _optional_checks(
    cross_check: bool, lists: tuple[bytes, ...], source: Input, verified: VerifiedDocument
) -> list[Callable[[], Findings]]:
    moment = Moment(verified.now_ms, verified.as_of_ms)
    checks: list[Callable[[], Findings]] = []
    if exchange := source.exchange:
        checks.append(lambda: _check_content(exchange, verified.document, moment))
    if lists:
        checks.append(lambda: NotRevoked(lists).validate(verified.document, moment))
    if cross_check:
        checks.append(lambda: _cross_check(verified.document))
    return checks


def _optional(checks: list[Callable[[], Findings]]) -> tuple[list[Finding], list[AttestationError]]:
    """What the checks found, and which of them could not be made."""
    findings: list[Finding] = []
    unchecked: list[AttestationError] = []
    for check in checks:
        try:
            findings += check()
        except AttestationError as error:
            if error.code not in UNCHECKED:
                raise
            unchecked.append(error)
    return findings, unchecked


def _check_content(exchange: Exchange, document: AttestationDocument, moment: Moment) -> Findings:
    """The answer that carried the document must be the one that its user data covers."""
    if not (document.user_data or b"").startswith(CONTENT_PREFIX):
        raise AttestationError("content-unbound")
    covered = content_user_data(exchange.method, exchange.path, exchange.request, exchange.response)
    UserData(covered).validate(document, moment)
    return (Finding(Aspect.USER_DATA, "the document covers this very request and its answer"),)


def _cross_check(document: AttestationDocument) -> Findings:
    cross_check_document(document)
    return (Finding(Aspect.CROSS_CHECK, "a second COSE implementation (pycose) accepts the signature, too"),)
