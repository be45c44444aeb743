"""`chancery verify`: a proof bundle, checked offline from the trust root to the device key."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave

if TYPE_CHECKING:
    from attestation.bundle import VerifiedBundle


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("verify")(verify)


def verify(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="The file, as `session bundle` writes it.", show_default=False)],
    at_document: Annotated[
        bool, typer.Option("--at-document", help="Judge the hardware's chain (3 h) as of the document's own time.")
    ] = False,
    origin: Annotated[str | None, typer.Option("--origin", help="Demand that the session is for this origin.")] = None,
    policy: user.PolicyFile = None,
    as_json: user.Json = False,
) -> None:
    """Verify a proof bundle: root, image measurements, identity key, and whose device key this is.

    Exits with 0 only when every link holds. What was not asked for, such as a particular image, is listed as unchecked.
    For attestation documents and live services use `nitro-attest`.
    """
    from attestation.bundle import verify_bundle
    from attestation.errors import AttestationError
    from attestation.session import SessionExpectations

    try:
        data = bundle.read_bytes()
    except OSError:
        leave(ExitCode.USAGE, f"{bundle} cannot be read")
    image = user.image_policy(policy)
    roots = context.obj.trust_roots
    try:
        verified = verify_bundle(
            data,
            image,
            time.time_ns() // 1_000_000,
            roots,
            as_of="document" if at_document else None,
            expected=SessionExpectations(audience=origin),
        )
    except AttestationError as error:
        if as_json:
            typer.echo(json.dumps({"verified": False, "code": error.code, "text": error.text}))
        leave(ExitCode.FAILED, f"REFUSED ({error.code}): {error.text}")
    result = _result(verified)
    user.show(result, as_json=as_json, words=lambda: _words(result, verified))


def _result(verified: VerifiedBundle) -> dict[str, Any]:
    claims, document = verified.session.claims, verified.document.document
    return {
        "verified": True,
        "root": verified.document.root.name,
        "pcrs": {f"PCR{index}": value.hex() for index, value in document.pcrs.items() if index < 3},
        "checked": [finding.text for finding in verified.document.findings],
        "deployment": verified.binding.deployment,
        "identity_key": verified.binding.identity_key.hex(),
        "identity": None if verified.opening is None else verified.opening.identity,
        "auth_key": {"type": claims.auth_key.key_type, "public_key": claims.auth_key.public_key.hex()},
        "origin": claims.audience,
        "scope": claims.scope,
        "auth_method": claims.auth_method,
        "auth_time": claims.auth_time_s,
        "expires": claims.expires_s,
        "document_time_ms": document.timestamp_ms,
    }


def _words(result: dict[str, Any], verified: VerifiedBundle) -> str:
    until = datetime.fromtimestamp(result["expires"], UTC).isoformat(sep=" ", timespec="seconds")
    made = datetime.fromtimestamp(result["document_time_ms"] / 1000, UTC).isoformat(sep=" ", timespec="seconds")
    as_of = f" as of {made}" if verified.document.is_archived else ""
    return "\n".join(
        [
            f"VERIFIED{as_of}: this device key belongs to this identity, for this origin, until {until}",
            f"  root          {result['root']}",
            *(f"  {name}          {value}" for name, value in result["pcrs"].items()),
            *(f"  checked       {text}" for text in result["checked"]),
            f"  deployment    {result['deployment']}, identity key {result['identity_key']}",
            f"  identity      {result['identity'] or 'not disclosed'} (by {result['auth_method']})",
            f"  device key    {result['auth_key']['type']} {result['auth_key']['public_key']}",
            f"  origin        {result['origin']} in {result['scope']}",
            "  not checked   revocation: ask the deployment whether the session still stands",
        ]
    )
