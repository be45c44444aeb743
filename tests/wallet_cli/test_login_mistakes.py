"""`chancery login` with a file that holds no ID token: the file is named, and nobody is asked."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from attestation.roots import AMAZON
from host_proxy.cli import build_app
from host_proxy.cli.exit_codes import ExitCode

NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize("text", ["", "garbage", "a.!!.c", "a.b.c", "a.e30.c", "a.W10.c", "a.eyJpc3MiOiIifQ==.c"])
def test_file_without_an_id_token_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token.txt"
    file.write_text(text)
    command = ["login", "--id-token", str(file), "--url", NOBODY, "--home", str(tmp_path / "home")]
    done = CliRunner().invoke(build_app((AMAZON,)), command)
    assert done.exit_code == ExitCode.USAGE
    assert f"{file} does not hold an ID token" in done.output
