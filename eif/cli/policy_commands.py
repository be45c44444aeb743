"""`chancery-eif policy generate`, `lint` and `diff`: key policies of share holders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eif.cli.exit_codes import ExitCode, leave
from eif.errors import EifError

if TYPE_CHECKING:
    from eif.policy.document import PolicyDocument
    from eif.policy.findings import Finding
    from eif.policy.images import Image

_Json = Annotated[bool, typer.Option("--json", help="Output for programs.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Key policies: write, examine, compare.")
    for command in (generate, lint, diff):
        group.command()(command)
    app.add_typer(group, name="policy")


def generate(
    image: Annotated[
        list[Path],
        typer.Option("--image", "-i", help="Measurements as `chancery-eif measure` prints them, or an image file."),
    ],
    holders: Annotated[Path | None, typer.Option("--holders", help="TOML or JSON file of share holders.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder: one file for each holder.")] = None,
    holder: Annotated[
        str | None, typer.Option("--holder", help="Only this holder, or the name of a single one.")
    ] = None,
    retiring: Annotated[list[Path] | None, typer.Option("--retiring", help="An image that --until ends.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="When retiring images end: 2027-01-31T00:00:00Z.")
    ] = None,
    parent_role: Annotated[str | None, typer.Option("--parent-role", help="Pins PCR3 to this IAM role's ARN.")] = None,
    parent_instance: Annotated[str | None, typer.Option("--parent-instance", help="Pins PCR4 to this i-… .")] = None,
    generation: Annotated[
        list[int] | None,
        typer.Option("--generation", help="Of holder keys, 1 by default; two of them while keys are rotated."),
    ] = None,
    deployment: Annotated[str | None, typer.Option("--deployment", help="Without --holders: the deployment.")] = None,
    region: Annotated[str | None, typer.Option("--region", help="Without --holders: the key's region.")] = None,
    role: Annotated[str | None, typer.Option("--role", help="Without --holders: the enclave's role.")] = None,
    administrator: Annotated[
        list[str] | None, typer.Option("--administrator", help="Without --holders: who may change the policy.")
    ] = None,
) -> None:
    """Write the key policy of each share holder.

    Give several --image for an upgrade: each is allowed by itself, registers of different images are never mixed.
    Prints one policy, or with several holders an object of policies by name; --out writes NAME.json files instead.
    """
    from eif.policy.generate import key_policy
    from eif.policy.holders import Holder, load_holders, validate_holder
    from eif.policy.images import load_image

    images = [load_image(path) for path in image] + _retiring(retiring or [], until)
    images = [_pin_parent(found, parent_role, parent_instance) for found in images]
    if holders is not None:
        if any((deployment, region, role, administrator)):
            leave(ExitCode.USAGE, "--holders says everything about holders; leave the options for a single one out")
        listed = [found for found in load_holders(holders) if holder in (None, found.name)]
        if not listed:
            leave(ExitCode.USAGE, f"no holder is named {holder}")
    else:
        if not (deployment and region and role and administrator and holder):
            leave(ExitCode.USAGE, "give --holders, or all of --holder, --deployment, --region, --role, --administrator")
        listed = [Holder(deployment, holder, region, role, tuple(administrator))]
        validate_holder(listed[0])
    _write({found.name: key_policy(found, images, tuple(generation or [1])) for found in listed}, out)


def lint(
    file: Annotated[Path, typer.Argument(help="A key policy, or - for standard input.", show_default=False)],
    image: Annotated[
        list[Path] | None, typer.Option("--image", "-i", help="The images, and no others, that it should allow.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Find the usual mistakes of key policies for enclaves. Exit 0: none found; 1: some; 3: not a policy.

    Without --image it cannot tell whether the right image is allowed.
    """
    from datetime import UTC, datetime

    from eif.policy import lint as linter
    from eif.policy.images import load_image

    policy = _read(file)
    expected = [load_image(path) for path in image] if image else None
    found = linter.lint(policy, datetime.now(UTC), expected)
    if as_json:
        typer.echo(json.dumps({"findings": [_finding_json(finding) for finding in found]}, indent=2))
    else:
        for finding in found:
            typer.echo(_finding_text(finding))
        typer.echo(f"{file}: {len(found) or 'no'} finding{'s' * (len(found) != 1)}")
    if found:
        leave(ExitCode.REFUSED)


def diff(
    before: Annotated[Path, typer.Argument(help="The policy as it is.", show_default=False)],
    after: Annotated[Path, typer.Argument(help="The policy as it would be.", show_default=False)],
    as_json: _Json = False,
) -> None:
    """Say what AFTER allows that BEFORE did not, and the other way round. Exit 0: nothing; 1: something."""
    from eif.policy.diff import diff as compare

    changes = compare(_read(before), _read(after))
    if as_json:
        listed = [{"gained": c.gained, "principal": c.principal, "actions": c.actions, "text": c.text} for c in changes]
        typer.echo(json.dumps({"changes": listed}, indent=2))
    else:
        for change in changes:
            typer.echo(f"{'+' if change.gained else '-'} {change.text}")
        typer.echo("" if changes else "Both policies allow the same.", nl=not changes)
    if changes:
        leave(ExitCode.REFUSED)


def _retiring(paths: list[Path], until: str | None) -> list[Image]:
    from dataclasses import replace

    from eif.policy.images import load_image, parse_until

    if bool(paths) != bool(until):
        leave(ExitCode.USAGE, "--retiring and --until come together")
    return [replace(load_image(path), until=parse_until(until)) for path in paths] if until else []


def _pin_parent(image: Image, role: str | None, instance: str | None) -> Image:
    from eif.measurements import of_instance, of_role

    pinned = {} if role is None else {3: of_role(role)}
    return image.with_registers(pinned if instance is None else pinned | {4: of_instance(instance)})


def _write(policies: dict[str, dict[str, object]], out: Path | None) -> None:
    if out is None:
        only = next(iter(policies.values())) if len(policies) == 1 else policies
        typer.echo(json.dumps(only, indent=2))
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, policy in policies.items():
            (out / f"{name}.json").write_text(json.dumps(policy, indent=2) + "\n")
            typer.echo(str(out / f"{name}.json"))
    except OSError as error:
        raise EifError("output-unwritable", f"{out}: {error.strerror}") from None


def _read(path: Path) -> PolicyDocument:
    """The policy in a file; leaves with UNREADABLE when there is none in it."""
    import sys

    from eif.policy.document import MAX_FILE_BYTES, parse_policy

    try:
        if str(path) == "-":
            return parse_policy(sys.stdin.buffer.read(MAX_FILE_BYTES + 1))
        with path.open("rb") as file:
            return parse_policy(file.read(MAX_FILE_BYTES + 1))
    except OSError as error:
        leave(ExitCode.UNREADABLE, f"UNREADABLE (input-unreadable): {path}: {error.strerror}")
    except EifError as error:
        leave(ExitCode.UNREADABLE, f"UNREADABLE ({error.code}): {path}: {error.text}")


def _finding_text(finding: Finding) -> str:
    rule = finding.rule
    where = finding.statement or "policy"
    detail = f" ({finding.detail})" if finding.detail else ""
    return f"{rule.severity} {finding.code} [{where}]{detail}\n  {rule.consequence}\n  Instead: {rule.remedy}"


def _finding_json(finding: Finding) -> dict[str, str]:
    rule = finding.rule
    return {
        "code": finding.code,
        "severity": rule.severity,
        "statement": finding.statement,
        "detail": finding.detail,
        "consequence": rule.consequence,
        "remedy": rule.remedy,
    }
