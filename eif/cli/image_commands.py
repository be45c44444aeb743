"""`chancery-eif describe`, `measure`, `sign`, `explain` and `pcr`: one image, or two, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eif.cli.exit_codes import ExitCode, leave

if TYPE_CHECKING:
    from eif.signature import Signer

ImageFile = Annotated[Path, typer.Argument(metavar="IMAGE", help="An enclave image file.", show_default=False)]
OneLine = Annotated[bool, typer.Option("--json", help="The same on one line.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (describe, measure, sign, explain, pcr):
        app.command()(command)


def describe(image: ImageFile, one_line: OneLine = False) -> None:
    """Say what an image contains.

    The members are those of nitro-cli describe-eif, with the digest of each section under "Chancery". Exits with 1
    when the checksum does not match, or when there is a signature that does not hold.
    """
    from eif import describe as described
    from eif.reader import opened
    from eif.signature import now

    with opened(image) as stream:
        description = described.describe(stream, now())
    _print(description, one_line)
    if problems := described.problems(description):
        leave(ExitCode.REFUSED, f"REFUSED ({', '.join(problems)}): see CheckCRC and Chancery.Signature")


def measure(image: ImageFile, one_line: OneLine = False) -> None:
    """Compute the registers of an image.

    The form is that of nitro-cli build-enclave.
    """
    from eif import measurements
    from eif.reader import opened

    with opened(image) as stream:
        measured = measurements.measure(stream)
    _print({"Measurements": measured.to_json()}, one_line)


def sign(
    image: ImageFile,
    certificate: Annotated[Path, typer.Option("--signing-certificate", help="The signer's certificate, PEM.")],
    private_key: Annotated[Path, typer.Option("--private-key", help="Its key, PEM: P-256, P-384 or P-521.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of the same.", show_default=False)
    ] = None,
    one_line: OneLine = False,
) -> None:
    """Sign an image, or sign it anew.

    Adds PCR8 and changes no other register. Keep the key away from machines that build or run images.
    """
    from eif.signature import now, parse_private_key
    from eif.signing import sign_image

    signer = _signer(certificate)
    key = parse_private_key(_read_pem(private_key), signer)
    signed = sign_image(image, output or image, signer, key, now())
    _print({"Measurements": signed.to_json()}, one_line)


def explain(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="An enclave image file.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Another one.", show_default=False)],
    measured: Annotated[
        bool, typer.Option("--measured", help="Exit with 1 only for differences of what is measured.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what changed the registers of two images.

    Names files, sections and bytes; looks into ramdisks. Exits with 0 when there is no difference at all, of what
    registers cover or not.
    """
    from eif import explain as explained
    from eif.explain.render import render
    from eif.reader import opened

    with opened(first) as one, opened(second) as other:
        explanation = explained.explain(one, other)
    typer.echo(json.dumps(explanation.to_json()) if as_json else render(explanation), nl=as_json)
    if not (explanation.is_measured_same if measured else explanation.is_same):
        leave(ExitCode.REFUSED)


def pcr(
    file: Annotated[Path | None, typer.Option("--input", help="PCR of a whole file.", show_default=False)] = None,
    certificate: Annotated[
        Path | None, typer.Option("--signing-certificate", help="PCR8 of this signer, PEM.", show_default=False)
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", help="PCR3 of a parent with this IAM role, as ARN.", show_default=False)
    ] = None,
    instance: Annotated[
        str | None, typer.Option("--instance", help="PCR4 on this parent instance, i-….", show_default=False)
    ] = None,
    one_line: OneLine = False,
) -> None:
    """Compute one register from its source.

    From a file, a signer's certificate, a role, or the id of an instance.
    """
    from eif import measurements
    from eif.reader import opened

    if sum(option is not None for option in (file, certificate, role, instance)) != 1:
        leave(ExitCode.USAGE, "give exactly one of --input, --signing-certificate, --role and --instance")
    if file is not None:
        with opened(file) as stream:
            name, value = "PCR", measurements.of_file(stream)
    elif certificate is not None:
        name, value = "PCR8", _signer(certificate).pcr8
    elif role is not None:
        name, value = "PCR3", measurements.of_role(role)
    else:
        name, value = "PCR4", measurements.of_instance(instance or "")
    _print({name: value.hex()}, one_line)


def _print(value: dict[str, Any], one_line: bool) -> None:
    typer.echo(json.dumps(value, indent=None if one_line else 2))


def _signer(path: Path) -> Signer:
    from eif.signature import parse_signer

    return parse_signer(_read_pem(path))


def _read_pem(path: Path) -> bytes:
    """The file, if it is of the size of a certificate or key."""
    from eif.errors import EifError
    from eif.reader import opened
    from eif.signature import MAX_PEM_BYTES

    with opened(path) as stream:
        data = stream.read(MAX_PEM_BYTES + 1)
    if len(data) > MAX_PEM_BYTES:
        raise EifError("input-unreadable", f"{path} is larger than a certificate or key")
    return data
