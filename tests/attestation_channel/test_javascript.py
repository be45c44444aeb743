"""The JavaScript module under Node: the same verdicts as the Python verifier's, before the same hostile host."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from attestation import channel, client, errors, policy
from attestation.binding import EnclaveBinding, parse_binding
from attestation.errors import AttestationError
from attestation.roots import AMAZON
from protocol import cbor, limits
from tests.appliance import PCRS
from tests.attestation_channel import answering, document_table
from tests.attestation_channel.answering import seal_raw
from tests.attestation_channel.document_table import Row
from tests.attestation_channel.hostile_server import HostileServer
from tests.attestation_channel.points import LOW_ORDER
from tests.vectors import FOLDER

ROOT = Path(__file__).resolve().parents[2]
TESTS = Path(__file__).parent / "js"
MODULE = ROOT / "attestation" / "js" / "chancery-fetch.js"
MUTANTS = 150
_DEADLINE_S = 100


def _node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node.js is not installed", allow_module_level=True)
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").split(".")[0]) < 20:
        pytest.skip(f"Node.js {version.strip()} is older than 20, which has no X25519", allow_module_level=True)
    return found


NODE = _node()


def run(test: str, **variables: str) -> str:
    """Run one file of tests under Node; its output when all of them pass."""
    command = [NODE, "--no-warnings", "--test", str(TESTS / test)]
    environment = {"PATH": os.environ["PATH"]} | variables
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_DEADLINE_S
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout
    return done.stdout


def judge(tmp_path: Path, rows: list[Row]) -> None:
    table = tmp_path / "table.json"
    table.write_text(document_table.encode(rows))
    run("table.test.mjs", CHANCERY_TABLE=str(table))


def test_genuine_and_foreign_documents_get_the_same_verdicts(tmp_path: Path) -> None:
    if not (FOLDER / "attestation").is_dir():
        pytest.skip("shared vectors are not beside this checkout: attestation")
    rows = list(document_table.genuine())
    assert {None, "certificate-expired", "root-untrusted", "cose-signature"} <= {row.expected for row in rows}
    judge(tmp_path, rows)


def test_generated_documents_get_the_same_verdicts(tmp_path: Path) -> None:
    rows = [*document_table.chains(), *document_table.documents(), *document_table.demands()]
    assert sum(row.expected is None for row in rows) > 50
    assert len({row.expected for row in rows}) > 25
    judge(tmp_path, rows)


def test_mutants_get_the_same_verdicts(tmp_path: Path, seed: int) -> None:
    """Bits flipped after signing are always refused; certificates damaged before signing hang on their form alone."""
    flipped = list(document_table.flipped(seed, MUTANTS))
    assert [row.name for row in flipped if row.expected is None] == []
    judge(tmp_path, [*flipped, *document_table.damaged_certificates(seed, 2 * MUTANTS)])


def test_the_table_would_show_a_difference(tmp_path: Path) -> None:
    [right, *_] = document_table.documents()
    wrong = next(row for row in document_table.documents() if row.expected == "document-algorithm")
    for lie in (
        replace(right, expected="cose-signature"),
        replace(wrong, expected=None),
        replace(wrong, expected="document-field"),
    ):
        with pytest.raises(AssertionError, match="instead of"):
            judge(tmp_path, [right, lie])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bindings() -> list[tuple[str, bool]]:
    """Encodings of bindings, right and wrong, as the Python side judges them."""
    right = EnclaveBinding(
        deployment="test-deployment",
        identity_key=b"\x02" * 33,
        channel_key=bytes(32),
        config_hash=bytes(32),
        boot_epoch=bytes(16),
    ).encode()
    fields: list[Any] = cbor2.loads(right)
    variants = [[*fields[:place], value, *fields[place + 1 :]] for place in range(6) for value in ("", b"", 1, None)]
    variants += [[*fields[:2], b"\x04" * 33, *fields[3:]], [*fields, b""], fields[:-1]]
    variants += [[fields[0], name, *fields[2:]] for name in ("ab", "-ab", "a" * 64, "a" * 65, "Test", "test\n")]
    encoded = [right, right + b"\0", right[:-1], b"", *(cbor2.dumps(variant) for variant in variants)]
    return [(_text(data), _is_binding(data)) for data in encoded if data is right or not _is_other(data)]


def _is_binding(data: bytes) -> bool:
    try:
        parse_binding(data)
    except AttestationError:
        return False
    return True


def _is_other(data: bytes) -> bool:
    """A right binding of another deployment, whose name the JavaScript side is not told."""
    return _is_binding(data) and parse_binding(data).deployment != "test-deployment"


def _contents() -> list[str]:
    """Padded contents of answers: a right one first, then wrong ones."""
    headers = {"webrpc": "x", "content-type": "y"}
    right = cbor.dumps([200, headers, b"body"])
    unsorted = cbor2.dumps([200, {"content-type": "y", "webrpc": "x"}, b"body"])
    assert unsorted != right
    values = [[200, headers], [200, headers, b"", b""], [600, headers, b""], [199, headers, b""], ["200", headers, b""]]
    values += [[200, {"a": 1}, b""], [200, {1: "a"}, b""], [200, [], b""], [200, headers, "body"], [True, headers, b""]]
    twice = b"\x83\x18\xc8\xa2\x61a\x61b\x61a\x61b\x40"
    wide = b"\x83\x19\x00\xc8\xa0\x40"
    endless = b"\x83\x18\xc8\xbf\xff\x40"
    contents = [right, unsorted, right + b"\0", right[:-1], b"", twice, wide, endless, *map(cbor.dumps, values)]
    padded = [len(content).to_bytes(4, "big") + content for content in contents]
    filled = [framed.ljust(1024, b"\0") for framed in padded]
    other_padding = [framed.ljust(size, fill) for framed in padded[:1] for size, fill in _PADDINGS]
    lies = [(len(right) + 1).to_bytes(4, "big") + right, b"\xff\xff\xff\xff" + right]
    return [_text(data) for data in [*filled, *other_padding, *(lie.ljust(1024, b"\0") for lie in lies), b"", b"\0"]]


_PADDINGS = ((0, b"\0"), (1023, b"\0"), (1025, b"\0"), (4096, b"\0"), (1024, b"\1"))


def test_python_refuses_those_contents_too() -> None:
    key = X25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    _, exchange = channel.seal_request(public, channel.InnerRequest("GET /", {}, b""), bytes(16))
    first, *others = [seal_raw(exchange, base64.b64decode(content)) for content in _contents()]
    assert exchange.open_response(first).status == 200
    for other in others:
        with pytest.raises(AttestationError) as caught:
            exchange.open_response(other)
        assert caught.value.code == "channel-malformed"


def test_constants_and_sealed_messages_agree(tmp_path: Path) -> None:
    key = X25519PrivateKey.generate()
    long = [("POST /rpc/A/B", {"content-type": "application/json"}, _text(bytes(size))) for size in (0, 1000, 60_000)]
    facts = {
        "limits": {name: value for name, value in vars(limits).items() if name.isupper()},
        "buckets": channel.BUCKETS,
        "max_age_ms": policy.DEFAULT_MAX_AGE_MS,
        "pin_ms": client.DEFAULT_PIN_MS,
        "amazon_root": _text(AMAZON.der),
        "codes": list(errors.TEXTS),
        "channel_key": _text(key.public_key().public_bytes_raw()),
        "requests": [*long, ("GET /", {"x-attestation-nonce": "n", "content-type": "a"}, "")],
        "low_order": [_text(point) for point in LOW_ORDER],
        "bindings": _bindings(),
        "deployment": "test-deployment",
        "private_key": key.private_bytes_raw().hex(),
        "contents": _contents(),
        "answering": [sys.executable, "-m", answering.__name__],
        "folder": str(ROOT),
    }
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    run("units.test.mjs", CHANCERY_FACTS=str(tmp_path / "facts.json"))


def test_both_kinds_of_fetch_before_a_hostile_host(tmp_path: Path) -> None:
    with HostileServer(tmp_path) as server:
        pcrs = {index: value.hex() for index, value in PCRS.items()}
        facts = {"url": server.url, "pcrs": pcrs, "root": _text(server.world.pki.root_der)}
        run("fetch.test.mjs", CHANCERY_SERVER=json.dumps(facts))
        assert all(b"secret" not in body for path, body in server.seen if "Channel" in path or "Attestation" in path)


def test_module_stands_alone() -> None:
    """One file, no dependency, nothing that is not in both browsers and Node."""
    source = MODULE.read_text()
    assert re.findall(r"^import |\bimport\(|^export .* from ", source, re.MULTILINE) == []
    elsewhere = r"\b(require|process|Buffer|window|document\.cookie|eval|Function|localStorage)\b"
    assert re.findall(elsewhere, source) == []
