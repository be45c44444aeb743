"""The commands beside the verdicts: `inspect`, `diff`, `policy` and the making of bundles."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from attestation.bundle import Bundle, IdentityOpening, parse_bundle
from attestation.cli.exit_codes import ExitCode
from attestation.cli.inputs import decode, read_bytes, read_input
from attestation.cli.policy_file import PolicyFile, format_time, parse_measurements, parse_policy
from attestation.cli.report import Report, describe_differences, describe_verified
from attestation.cli.verify_commands import Context, describe
from attestation.document import parse_attestation_document
from attestation.errors import AttestationError
from attestation.policy import AnyImage, AnyOf, DebugImage
from attestation.verify import verify


def inspect_command(args: Namespace, _: Context) -> Report:
    """`inspect SOURCE`: what a document says, none of it verified."""
    document = parse_attestation_document(read_input(args.source, args.encoding).data)
    return Report(
        ExitCode.VERIFIED,
        {"verdict": "not-verified", "headline": "NOT VERIFIED: this is only what the document says about itself"}
        | describe(args.source, document),
    )


def diff_command(args: Namespace, context: Context) -> Report:
    """`diff FIRST SECOND`: do two documents, or a document and a measurement file, name the same image?

    Documents must be genuine as of their own time; debug mode is shown, not refused.
    """
    sides = [_registers(source, args, context) for source in (args.first, args.second)]
    (first, first_is), (second, second_is) = sides
    if first_is is None or second_is is None:  # a measurement file names some registers only
        common = (first if first_is is None else second).keys()
        first, second = ({index: side[index] for index in side if index in common} for side in (first, second))
    differences = describe_differences(first, second)
    same = all(row["same"] for row in differences)
    return Report(
        ExitCode.VERIFIED if same else ExitCode.REFUSED,
        {
            "verdict": "same" if same else "different",
            "headline": "SAME measurements" if same else "DIFFERENT measurements",
            "differences": differences,
            "sides": [{"source": args.first, "verified": first_is}, {"source": args.second, "verified": second_is}],
        },
    )


def policy_check_command(args: Namespace, context: Context) -> Report:
    """`policy check FILE`: is it well formed, and does any entry still count?"""
    file = parse_policy(read_bytes(args.file))
    entries = []
    for entry in file.entries:
        expired = entry.expires_ms is not None and context.now_ms > entry.expires_ms
        if entry.version < file.minimum_version:
            state = "below the minimum version"
        elif entry.expires_ms is None:
            state = "no expiry: it counts until somebody removes it"
        else:
            state = f"{'EXPIRED' if expired else 'expires'} {format_time(entry.expires_ms)}"
        counts = not expired and entry.version >= file.minimum_version
        registers = [f"PCR{index}" for index in entry.pcrs]
        entries.append(
            {"name": entry.name, "version": entry.version, "state": state, "counts": counts, "pcrs": registers}
        )
    usable = any(entry["counts"] for entry in entries)
    headline = f"{len(entries)} entries, minimum version {file.minimum_version}" if entries else "NO IMAGE is named"
    headline += "; DEBUG MODE is accepted" if file.debug else ""
    return Report(
        ExitCode.VERIFIED if usable else ExitCode.REFUSED,
        {"verdict": "usable" if usable else "unusable", "headline": headline, "entries": entries},
    )


def policy_write_command(args: Namespace, _: Context) -> Report:
    """`policy write`: a policy from what an image builder printed. Documents are no source of expectations (AT-13)."""
    entry = parse_measurements(
        read_bytes(args.measurements), args.name, version=args.version, expires_ms=args.expires_ms
    )
    old = parse_policy(read_bytes(args.add_to)) if args.add_to else PolicyFile()
    file = PolicyFile(
        entries=(*old.entries, entry),
        minimum_version=max(old.minimum_version, args.minimum_version),
        max_age_ms=old.max_age_ms if args.max_age_s is None else args.max_age_s * 1000,
        debug=old.debug,
    )
    _write(args.out, file.encode().encode())
    return Report(ExitCode.VERIFIED, {"verdict": "written", "headline": f"wrote {args.out}"})


def bundle_make_command(args: Namespace, _: Context) -> Report:
    """`bundle make`: document, session attestation and perhaps an identity opening in one file. Verifies nothing."""
    opening = _opening(read_bytes(args.opening)) if args.opening else None
    document = read_input(args.document, "auto").data
    bundle = Bundle(document, decode(read_bytes(args.session)), opening)
    parse_attestation_document(document)
    data = bundle.encode()
    parse_bundle(data)
    _write(args.out, data)
    return Report(ExitCode.VERIFIED, {"verdict": "written", "headline": f"wrote {args.out} ({len(data)} bytes)"})


def _registers(source: str, args: Namespace, context: Context) -> tuple[dict[str, str], dict[str, Any] | None]:
    """The registers of one side; for a document, also the verdict on it."""
    data = read_bytes(source)
    if data.lstrip()[:1] == b"{":
        entry = parse_measurements(data, source)
        return {str(index): value.hex() for index, value in entry.pcrs.items()}, None
    policy = AnyOf((AnyImage(), DebugImage()))
    verified = verify(decode(data, args.encoding), policy, context.now_ms, context.roots, as_of="document")
    pcrs = {str(index): value.hex() for index, value in verified.document.pcrs.items()}
    return pcrs, describe_verified(verified)


def _opening(data: bytes) -> IdentityOpening:
    """The JSON object `{"salt": hex, "scope": text, "identity": text}` that an enclave hands to its user."""
    try:
        value = json.loads(data)
        return IdentityOpening(bytes.fromhex(value["salt"]), str(value["scope"]), str(value["identity"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise AttestationError("input-unreadable", "the opening needs salt (hex), scope and identity") from None


def _write(name: str, data: bytes) -> None:
    try:
        Path(name).write_bytes(data)
    except OSError as error:
        raise AttestationError("input-unreadable", f"{name}: {error.strerror}") from None
