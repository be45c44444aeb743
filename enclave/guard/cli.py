"""`chancery-guard`: rules tried out before anything depends on them. Reads files, asks nobody, changes nothing.

`lint` checks a rule document, `check` does that or answers one request; `explain` says what rules or a request mean;
`replay` and `diff` try rules on recorded decisions. Time comes from the request or the log, never from this machine.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

from enclave.guard.checking import check_rules
from enclave.guard.compiling import Rules, compile_rules
from enclave.guard.decision_json import LogEntry, decision_to_json, parse_log_line
from enclave.guard.document import parse_document
from enclave.guard.errors import RulesError
from enclave.guard.judging import Outcome, judge
from enclave.guard.limits import MAX_LOG_BYTES, MAX_REQUEST_BYTES, MAX_RULES_BYTES
from enclave.guard.replaying import differences, replay
from enclave.guard.requests import parse_request
from enclave.guard.rule_words import rules_words
from evm.effects import NO_TOKENS
from evm.effects.effect_words import tree_words
from evm.errors import EvmError


class ExitCode(IntEnum):
    """What the shell sees. A number never changes its meaning."""

    ALLOWED = 0
    """Or: nothing to remark, nothing flips."""
    REFUSED = 1
    """Or: errors in the rules, answers that flip."""
    USAGE = 2
    UNREADABLE = 3
    ASKS_FOR_MORE = 4
    """A second factor, or a review."""


Report = tuple[ExitCode, dict[str, Any], list[str]]
"""Exit code, data for programs, lines for people."""

_OUTCOMES: Final = {Outcome.ALLOW: ExitCode.ALLOWED, Outcome.DENY: ExitCode.REFUSED}


def main() -> None:
    """The installed command."""
    sys.exit(run())


def run(argv: Sequence[str] | None = None) -> int:
    """Carry out `argv`, print, and return the exit code."""
    try:
        args = _parser().parse_args(argv)
    except SystemExit as ended:  # argparse has printed
        return ExitCode.ALLOWED if ended.code == 0 else ExitCode.USAGE
    command: Callable[[argparse.Namespace], Report] = args.command
    try:
        code, data, lines = command(args)
    except (RulesError, EvmError) as error:
        words = error.sentence if isinstance(error, RulesError) else "The request cannot be decoded."
        code, data, lines = ExitCode.UNREADABLE, {"error": error.code, "words": words}, [f"{words} ({error.code})"]
    sys.stdout.write(json.dumps(data) + "\n" if args.json else "".join(f"{line}\n" for line in lines))
    return code


def _check(args: argparse.Namespace) -> Report:
    return _lint(args) if args.request is None else _judge(_load_rules(args.rules), args.request)


def _lint(args: argparse.Namespace) -> Report:
    rules = _load_rules(args.rules)
    findings = check_rules(rules)
    errors = sum(finding.severity == "error" for finding in findings)
    data = {
        "version": rules.document.version,
        "findings": [
            {"severity": f.severity, "code": f.code, "subject": f.subject, "words": f.words} for f in findings
        ],
    }
    summary = (
        f"{rules.document.name}, version {rules.document.version}: {errors} errors, {len(findings) - errors} warnings"
    )
    lines = [*(f"{f.severity}: {f.words} ({f.code})" for f in findings), summary]
    return ExitCode.REFUSED if errors else ExitCode.ALLOWED, data, lines


def _judge(rules: Rules, path: Path) -> Report:
    request = parse_request(_read(path, MAX_REQUEST_BYTES), rules.tokens)
    data = decision_to_json(judge(rules, request.effects, request.about), rules.naming)
    outcome = next(outcome for outcome in Outcome if outcome.text == data["outcome"])
    return _OUTCOMES.get(outcome, ExitCode.ASKS_FOR_MORE), data, data["words"]


def _explain(args: argparse.Namespace) -> Report:
    if args.request is None:
        if args.rules is None:
            raise RulesError("usage", "Name a rule document, or a request with --request.")
        lines = rules_words(_load_rules(args.rules))
    else:
        rules = _load_rules(args.rules) if args.rules else None
        request = parse_request(_read(args.request, MAX_REQUEST_BYTES), rules.tokens if rules else NO_TOKENS)
        lines = tree_words(request.effects, rules.naming) if rules else tree_words(request.effects)
    return ExitCode.ALLOWED, {"words": lines}, lines


def _replay(args: argparse.Namespace) -> Report:
    rules = _load_rules(args.rules)
    count, flips = 0, []
    for found in replay(rules, _load_log(args.log)):
        count += 1
        if found.flips:
            now = found.decision
            flips.append(
                {
                    "line": found.number,
                    "was": found.entry.outcome,
                    "wasBy": found.entry.by,
                    "is": now.outcome.text,
                    "by": now.deciding.by,
                    "nearest": now.nearest,
                    "effects": tree_words(found.entry.effects, rules.naming),
                }
            )
    return _flip_report(count, flips)


def _diff(args: argparse.Namespace) -> Report:
    before, after = _load_rules(args.before), _load_rules(args.after)
    entries = list(_load_log(args.log))
    flips: list[dict[str, Any]] = [
        {
            "line": found.number,
            "was": found.before.outcome.text,
            "wasBy": found.before.deciding.by,
            "is": found.after.outcome.text,
            "by": found.after.deciding.by,
            "nearest": found.after.nearest,
            "effects": tree_words(found.entry.effects, after.naming),
        }
        for found in differences(before, after, entries)
    ]
    return _flip_report(len(entries), flips)


def _flip_report(count: int, flips: list[dict[str, Any]]) -> Report:
    lines = []
    for flip in flips:
        lines.append(f"line {flip['line']}: {flip['was']} by {flip['wasBy']} → {flip['is']} by {flip['by']}")
        lines += [f"    {line}" for line in flip["effects"]]
    lines.append(f"{count} requests, {len(flips)} with another answer")
    return ExitCode.REFUSED if flips else ExitCode.ALLOWED, {"requests": count, "flips": flips}, lines


def _load_rules(path: Path) -> Rules:
    return compile_rules(parse_document(_read(path, MAX_RULES_BYTES)))


def _load_log(path: Path) -> Iterator[LogEntry]:
    for line in _read(path, MAX_LOG_BYTES).decode(errors="replace").splitlines():
        if line:
            yield parse_log_line(line)


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise RulesError("file", f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > most:
        raise RulesError("file", f"{path} has more than {most} bytes.")
    return data


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chancery-guard",
        description="Try out the rules of a guard: offline, on files.",
        epilog="exit codes: 0 allowed, nothing to remark · 1 refused, errors, flips · 2 usage · 3 unreadable · "
        "4 a second factor or a review is asked for",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, what: str, command: Callable[[argparse.Namespace], Report], *files: str) -> None:
        made = commands.add_parser(name, help=what, description=what)
        made.set_defaults(command=command)
        for file in files:
            optional = file.startswith("[")
            made.add_argument(file.strip("[]"), type=Path, nargs="?" if optional else None)
        made.add_argument("--json", action="store_true", help="output for programs")
        if name == "explain":
            made.add_argument("--request", type=Path, help="say what this request does, with the names of the rules")

    add("check", "lint a rule document, or judge a request by it (a dry run)", _check, "rules", "[request]")
    add("lint", "say what is wrong with a rule document, and run its examples", _lint, "rules")
    add("explain", "say in words what rules mean, or what a request does", _explain, "[rules]")
    add("replay", "judge recorded decisions anew: what flips", _replay, "rules", "log")
    add("diff", "what two rule documents answer differently", _diff, "before", "after", "log")
    return parser


if __name__ == "__main__":
    main()
