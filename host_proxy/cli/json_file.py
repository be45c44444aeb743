"""JSON files that people hand to commands: read whole, bounded, and with a sentence about what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import typer

from host_proxy.cli.exit_codes import ExitCode, leave

_MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_DEPTH: Final = 160  # the deepest tree of a wallet that its contracts can read, in lists within objects


def read_json(source: Path) -> Any:
    """The JSON value in a file; leaves with a sentence when there is none."""
    from protocol import canonical_json
    from protocol.errors import ProtocolError

    name = file_name(source)
    try:
        with typer.get_binary_stream("stdin") if str(source) == "-" else source.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        leave(ExitCode.USAGE, f"{name}: there is no such file")
    except IsADirectoryError:
        leave(ExitCode.USAGE, f"{name}: this is a folder, not a file")
    except OSError:
        leave(ExitCode.USAGE, f"{name}: the file cannot be read")
    if not data.strip():
        leave(ExitCode.USAGE, f"{name}: the file is empty")
    if len(data) > _MOST_BYTES:
        leave(ExitCode.USAGE, f"{name}: the file is larger than any wallet ({_MOST_BYTES} bytes)")
    try:
        return canonical_json.parse(data, max_bytes=_MOST_BYTES, max_depth=_MOST_DEPTH)
    except ProtocolError as error:
        leave(ExitCode.USAGE, f"{name}: {_json_fault(data, error.code)}")


def _json_fault(data: bytes, code: str) -> str:
    """Where the text stops being JSON, or what rule it breaks beside that."""
    try:
        json.loads(data)
    except UnicodeDecodeError:
        return "this is not text, and so not JSON"
    except json.JSONDecodeError as error:
        return f"this is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        pass
    known = {
        "json-duplicate-key": "a member name occurs twice in one object",
        "json-too-deep": "it is nested deeper than any wallet",
    }
    return known.get(code, f"this is not JSON that can be read ({code})")


def file_name(source: Path) -> str:
    """What a sentence calls the file."""
    return "standard input" if str(source) == "-" else str(source)
