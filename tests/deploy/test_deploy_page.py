"""`docs/deploy.md` names files, commands, options and codes that exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from attestation.cli.parser import build_parser
from attestation.roots import AMAZON
from eif.cli import build_app as build_eif
from host_proxy.cli import build_app as build_host
from host_proxy.metrics import PREFIX
from tests.deploy.deployment import FOLDER, TEMPLATES

ROOT = FOLDER.parent
PAGE = (ROOT / "docs" / "deploy.md").read_text()


def commands(program: str) -> list[list[str]]:
    """The arguments of each example that runs `program`."""
    blocks = "\n".join(re.findall(r"^ *```\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    lines = [line.strip() for line in blocks.splitlines()]
    return [shlex.split(line.partition(" > ")[0])[1:] for line in lines if line.startswith(f"{program} ")]


def parse(app: typer.Typer, arguments: list[str]) -> None:
    """Fails as the program would for a command or option that does not exist."""
    command, name = typer.main.get_command(app), "program"
    while subcommands := getattr(command, "commands", None):
        name, *arguments = arguments
        command = subcommands[name]
    command.make_context(name, arguments)


def test_commands_for_policies_exist_as_written() -> None:
    found = [arguments for arguments in commands("chancery-eif") if arguments[0] == "policy"]
    assert {arguments[1] for arguments in found} == {"generate", "lint", "diff"}
    for arguments in found:
        parse(build_eif(), arguments)


def test_option_that_does_not_exist_would_be_seen() -> None:
    with pytest.raises(Exception, match="--retired"):
        parse(build_eif(), ["policy", "generate", "--image", "x", "--retired", "y"])


def test_commands_of_the_host_and_of_verifiers_exist_as_written() -> None:
    assert len(commands("chancery")) == 5
    for arguments in commands("chancery"):
        parse(build_host((AMAZON,)), arguments)
    assert len(commands("nitro-attest")) == 2
    for arguments in commands("nitro-attest"):
        build_parser().parse_args(arguments)


def test_files_that_the_page_names_exist() -> None:
    named = set(re.findall(r"`((?:cloudformation|systemd|samples)/[a-z.-]+|allocator\.yaml)`", PAGE))
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()} == named
    linked = re.findall(r"\]\(([a-z0-9/.-]+\.md)\)", PAGE)
    assert linked
    assert all((ROOT / "docs" / path).is_file() for path in linked)
    assert all((ROOT / path).exists() for path in re.findall(r"\b((?:deploy|requirements)/[a-z/.-]+[a-z])\b", PAGE))


def test_parameters_that_the_page_names_are_those_of_the_templates() -> None:
    templates = "".join(path.read_text() for path in TEMPLATES.iterdir())
    named = set(re.findall(r"\b([A-Z][A-Za-z0-9]+)=…", PAGE)) | {"Pcr0", "NextPcr0", "CurrentUntil"}
    assert len(named) > 8
    assert [name for name in named if f"  {name}:\n" not in templates] == []


def test_codes_and_metrics_that_the_page_names_are_those_of_the_programs() -> None:
    source = "".join(path.read_text() for name in ("enclave", "host_proxy") for path in Path(ROOT / name).rglob("*.py"))
    codes = set(re.findall(r"`(kms-[a-z-]+)`", PAGE))
    assert len(codes) > 5
    assert [code for code in codes if f'"{code}"' not in source] == []
    metrics = set(re.findall(rf"`{PREFIX}_([a-z_]+)`", PAGE))
    assert len(metrics) == 5
    assert [name for name in metrics if f'{{PREFIX}}_{name.removesuffix("_total")}"' not in source] == []
