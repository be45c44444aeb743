"""The command line of `nitro-attest`. There is no option that names a trust root (AT-20): `run` is given them."""

import argparse
import re
from typing import Final

from attestation.cli.exit_codes import ExitCode
from attestation.cli.inputs import read_bytes
from attestation.cli.other_commands import (
    bundle_make_command,
    diff_command,
    inspect_command,
    policy_check_command,
    policy_write_command,
)
from attestation.cli.policy_file import parse_time
from attestation.cli.verify_commands import bundle_verify_command, verify_command
from attestation.errors import AttestationError
from attestation.verify import AsOf

_DESCRIPTION: Final = """\
Check what an AWS Nitro Enclave says about itself.

An attestation document is a statement, signed by Amazon's hardware, of which image an enclave runs: PCR0, PCR1 and
PCR2 are digests of that image. This command checks that the statement is genuine, recent, and about the image that
you expect. It needs no account, no configuration and, for files, no network.
"""
_EPILOG: Final = """\
examples
  nitro-attest verify https://wallet.example --policy release.json
  nitro-attest verify document.bin --at document --pcr 0=... --pcr 1=... --pcr 2=...
  nitro-attest inspect document.b64
  nitro-attest policy write --measurements build.json --name 'release 4' --out policy.json

exit codes
"""
_PCR: Final = re.compile(r"([0-9]|[12][0-9]|3[01])=([0-9a-fA-F]{96})\Z")


def build_parser() -> argparse.ArgumentParser:
    """The parser. Each command sets `command`, the function that carries it out."""
    codes = "".join(f"  {int(code)}  {code.meaning}\n" for code in ExitCode)
    parser = argparse.ArgumentParser(
        prog="nitro-attest",
        description=_DESCRIPTION,
        epilog=_EPILOG + codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_verify(commands.add_parser("verify", help="judge a document: from a URL, a file, or standard input (-)"))
    _add_inspect(commands.add_parser("inspect", help="show what a document says, without verifying it"))
    _add_diff(commands.add_parser("diff", help="compare two documents, or a document and a measurement file"))
    _add_policy(commands.add_parser("policy", help="check or write a policy file"))
    _add_bundle(commands.add_parser("bundle", help="make or judge a proof bundle: from Amazon's root to a device key"))
    return parser


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=verify_command)
    _add_source(parser)
    _add_image_options(parser)
    _add_at(parser)
    fresh = parser.add_argument_group("freshness (a URL gets a nonce of its own, and at most 300 s)")
    nonce = fresh.add_mutually_exclusive_group()
    nonce.add_argument("--nonce", type=_bytes, metavar="HEX", help="the nonce that the document must repeat")
    nonce.add_argument("--nonce-text", dest="nonce", type=str.encode, metavar="TEXT", help="the same, as text")
    fresh.add_argument("--max-age", dest="max_age_s", type=_count, metavar="SECONDS", help="how old it may be now")
    bound = parser.add_argument_group("what the document must bind (HEX, or @FILE for raw bytes)")
    bound.add_argument("--public-key", type=_bytes, metavar="HEX")
    bound.add_argument("--user-data", type=_bytes, metavar="HEX")
    bound.add_argument("--deployment", metavar="NAME", help="deployment id in the user data")
    bound.add_argument("--identity-key", type=_bytes, metavar="HEX")
    bound.add_argument("--channel-key", type=_bytes, metavar="HEX")
    bound.add_argument("--config-hash", type=_bytes, metavar="HEX")
    more = parser.add_argument_group("further checks")
    more.add_argument("--crl", action="append", default=[], metavar="FILE", help="a revocation list to enforce")
    more.add_argument("--cross-check", action="store_true", help="ask a second COSE implementation (pycose), too")
    more.add_argument("--data", type=_body, metavar="TEXT", help="POST this to the URL (@FILE for a file's content)")
    _add_output(parser)


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=inspect_command)
    _add_source(parser)
    _add_output(parser)


def _add_diff(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=diff_command)
    parser.add_argument("first", metavar="FIRST")
    parser.add_argument("second", metavar="SECOND")
    _add_encoding(parser)
    _add_output(parser)


def _add_policy(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="is it well formed, and does any entry still count?")
    check.set_defaults(command=policy_check_command)
    check.add_argument("file", metavar="FILE")
    _add_output(check)
    write = commands.add_parser("write", help="make one from the measurements that an image builder printed")
    write.set_defaults(command=policy_write_command)
    write.add_argument("--measurements", required=True, metavar="FILE")
    write.add_argument("--name", required=True, help="what people call this image")
    write.add_argument("--version", type=_count, default=0, help="rises with each release")
    write.add_argument("--expires", dest="expires_ms", type=_time, metavar="TIME", help="until when the image counts")
    write.add_argument("--minimum-version", type=_count, default=0, metavar="N")
    write.add_argument("--max-age", dest="max_age_s", type=_count, metavar="SECONDS")
    write.add_argument("--add-to", metavar="FILE", help="a policy file whose entries are kept")
    write.add_argument("--out", required=True, metavar="FILE")
    _add_output(write)


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    verify = commands.add_parser("verify", help="judge a bundle, offline")
    verify.set_defaults(command=bundle_verify_command)
    _add_source(verify)
    _add_image_options(verify)
    _add_at(verify)
    verify.add_argument("--origin", help="the origin for which the session must count")
    verify.add_argument("--scope", help="the scope for which the session must count")
    verify.add_argument("--auth-key", type=_bytes, metavar="HEX", help="the device key, as a compressed point")
    _add_output(verify)
    make = commands.add_parser("make", help="put a document and a session attestation into one file")
    make.set_defaults(command=bundle_make_command)
    make.add_argument("--document", required=True, metavar="FILE")
    make.add_argument("--session", required=True, metavar="FILE")
    make.add_argument("--opening", metavar="FILE", help='JSON: {"salt": hex, "scope": text, "identity": text}')
    make.add_argument("--out", required=True, metavar="FILE")
    _add_output(make)


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="http(s) URL, file name, or - for standard input")
    _add_encoding(parser)


def _add_encoding(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--encoding", choices=("auto", "raw", "base64", "hex"), default="auto")


def _add_image_options(parser: argparse.ArgumentParser) -> None:
    image = parser.add_argument_group("which images are acceptable (any of all that are named)")
    image.add_argument("--policy", action="append", default=[], metavar="FILE", help="a policy file")
    image.add_argument("--measurements", action="append", default=[], metavar="FILE", help="an image builder's output")
    image.add_argument("--pcr", action="append", type=_pcr, metavar="N=HEX", help="a register; 0, 1 and 2 are needed")
    image.add_argument("--minimum-version", type=_count, default=0, metavar="N", help="floor for policy entries")
    image.add_argument("--debug-image", action="store_true", help="accept debug mode: proves next to nothing")


def _add_at(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--at", type=_as_of, metavar="document|TIME", help="judge an archived document as of then (ISO 8601 with zone)"
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="one JSON object on standard output")
    output.add_argument("--quiet", action="store_true", help="nothing but the exit code")


def _bytes(text: str) -> bytes:
    if text.startswith("@"):
        return _body(text)
    return bytes.fromhex(text)


def _body(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    try:
        return read_bytes(text[1:])
    except AttestationError as error:
        raise argparse.ArgumentTypeError(error.text) from None


def _pcr(text: str) -> tuple[int, bytes]:
    match = _PCR.match(text)
    if match is None:
        raise argparse.ArgumentTypeError("a register is written 0=<96 hex digits>")
    return int(match[1]), bytes.fromhex(match[2])


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**53:
        raise argparse.ArgumentTypeError("out of range")
    return value


def _time(text: str) -> int:
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("a time is written 2027-01-31T00:00:00Z") from None


def _as_of(text: str) -> AsOf:
    return "document" if text == "document" else _time(text)
