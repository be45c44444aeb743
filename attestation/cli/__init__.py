"""`nitro-attest`: the verifier as a command, for people who trust nobody here. Standard library and argparse.

`main` is what is installed, and knows Amazon's root only (AT-20). `run` is the same command under roots that a caller
supplies as values; a simulator's own command calls it.
"""

import json
import sys
import time
from collections.abc import Sequence

from attestation.cli import exit_codes
from attestation.cli.exit_codes import ExitCode
from attestation.cli.parser import build_parser
from attestation.cli.render import render
from attestation.cli.report import Report, refusal
from attestation.cli.verify_commands import Context
from attestation.errors import AttestationError
from attestation.roots import AMAZON, TrustRoot

__all__ = ["build_parser", "main", "run"]


def main() -> None:
    """The installed command."""
    sys.exit(run(sys.argv[1:], roots=[AMAZON]))


def run(argv: Sequence[str], roots: Sequence[TrustRoot]) -> int:
    """Carry out `argv`, print the report, and return the exit code."""
    try:
        args = build_parser().parse_args(argv)
    except SystemExit as ended:  # help was asked for, or the usage was wrong; argparse has printed
        return ExitCode.VERIFIED if ended.code == 0 else ExitCode.USAGE
    now_ms = time.time_ns() // 1_000_000
    try:
        report: Report = args.command(args, Context(roots, now_ms))
    except AttestationError as error:
        report = refusal(exit_codes.of_error(error), error)
    if args.json:
        sys.stdout.write(json.dumps(report.value()) + "\n")
    elif not args.quiet:
        sys.stdout.write(render(report.value(), now_ms))
    return report.exit_code
