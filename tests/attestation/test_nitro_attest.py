"""`nitro-attest` as people and scripts meet it: exit codes, words, JSON, sources, and no way in for another root."""

import base64
import io
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from attestation import cli
from attestation.binding import content_user_data
from attestation.bundle import Bundle, IdentityOpening
from attestation.cli import inputs
from attestation.cli.policy_file import PolicyFile, format_time, parse_policy, parse_time
from attestation.cli.render import printable
from attestation.errors import AttestationError
from attestation.roots import AMAZON
from protocol import limits
from tests.attestation import pki
from tests.attestation.signing import IDENTITY, SALT, SCOPE, session
from tests.attestation.test_bundle import user_data
from tests.attestation.test_chain import revocation_list

VERIFIED, REFUSED, USAGE, UNREADABLE, INCOMPLETE = range(5)
PCRS = [argument for index, value in pki.image().items() for argument in ("--pcr", f"{index}={value.hex()}")]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Runs the command under the test root: exit code, and the JSON report or what was printed."""

    def call(*argv: str, roots: Any = None, as_json: bool = True) -> tuple[int, Any]:
        arguments = [*argv, "--json"] if as_json else list(argv)
        code = cli.run(arguments, roots=[pki.root()] if roots is None else roots)
        printed = capsys.readouterr()
        if as_json and printed.out:
            report = json.loads(printed.out)
            assert report["exit_code"] == code
            return code, report
        return code, printed.out + printed.err

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], str]:
    def make(name: str, content: Any) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)

    return make


def aspects(report: dict[str, Any], member: str) -> set[str]:
    return {item["aspect"] for item in report[member]}


# --- verify, from files ---


def test_archived_document_is_verified_as_of_then(run: Any, write: Any) -> None:
    code, report = run("verify", write("d", pki.document()), "--at", "document", *PCRS)
    assert code == VERIFIED
    assert report["verdict"] == "verified"
    assert report["root"]["name"] == "test root"
    assert report["as_of"] == format_time(pki.NOW_MS)
    assert {"genuine", "image"} <= aspects(report, "checked")
    assert {"freshness", "revocation"} <= aspects(report, "not_checked")
    assert [link["role"] for link in report["chain"]] == ["root", "regional", "zonal", "instance", "enclave"]
    code, report = run("verify", write("d", pki.document()), "--at", format_time(pki.NOW_MS + 60_000))
    assert code == VERIFIED


def test_stale_document_is_refused_now(run: Any, write: Any) -> None:
    code, report = run("verify", write("d", pki.document()))
    assert (code, report["refusal"]["code"]) == (REFUSED, "certificate-expired")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--pcr", f"0={'00' * 47}01", *PCRS[2:]], "measurement-mismatch"),
        (["--nonce", "00ff"], "nonce-mismatch"),
        (["--nonce-text", "other"], "nonce-mismatch"),
        (["--public-key", "00"], "public-key-mismatch"),
        (["--user-data", "00"], "user-data-mismatch"),
        (["--deployment", "test-1"], "binding-malformed"),
        (["--max-age", "60"], "document-too-old"),
    ],
)
def test_demand_that_is_not_met_is_refused(run: Any, write: Any, options: list[str], code: str) -> None:
    path = write("d", pki.document(nonce=b"mine", public_key=b"key", user_data=b"data"))
    assert run("verify", path, "--at", "document", *options)[1]["refusal"]["code"] == code


@pytest.mark.parametrize(
    ("options", "aspect"),
    [
        (["--nonce", b"mine".hex()], "nonce"),
        (["--nonce-text", "mine"], "nonce"),
        (["--public-key", b"key".hex()], "public-key"),
        (["--user-data", b"data".hex()], "user-data"),
    ],
)
def test_demand_that_is_met_is_reported(run: Any, write: Any, options: list[str], aspect: str) -> None:
    path = write("d", pki.document(nonce=b"mine", public_key=b"key", user_data=b"data"))
    code, report = run("verify", path, "--at", "document", *options)
    assert code == VERIFIED
    assert aspect in aspects(report, "checked")
    assert aspect not in aspects(report, "not_checked")


def test_binding_is_compared_part_by_part(run: Any, write: Any) -> None:
    path = write("d", pki.document(user_data=user_data()))
    code, report = run("verify", path, "--at", "document", "--deployment", "test-1", "--config-hash", "00" * 32)
    assert code == VERIFIED
    assert report["document"]["binding"]["deployment"] == "test-1"
    assert run("verify", path, "--at", "document", "--channel-key", "11" * 32)[0] == REFUSED


def test_debug_document_is_refused_unless_debug_is_named(run: Any, write: Any) -> None:
    zeros = pki.payload_fields()["pcrs"] | dict.fromkeys(range(3), bytes(48))
    path = write("d", pki.document(pcrs=zeros))
    assert run("verify", path, "--at", "document")[1]["refusal"]["code"] == "debug-mode"
    code, report = run("verify", path, "--at", "document", "--debug-image")
    assert code == VERIFIED
    assert "debug-image" in aspects(report, "checked")
    assert "image" in aspects(report, "not_checked")


@pytest.mark.parametrize(
    ("name", "encode"),
    [
        ("raw", bytes),
        ("base64", base64.b64encode),
        ("base64", base64.urlsafe_b64encode),
        ("base64", lambda data: base64.encodebytes(data)),
        ("base64", lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")),
        ("hex", lambda data: data.hex().encode()),
        ("hex", lambda data: data.hex().upper().encode() + b"\n"),
    ],
)
def test_raw_base64_and_hex_are_read(run: Any, write: Any, name: str, encode: Callable[[bytes], bytes]) -> None:
    path = write("d", encode(pki.document()))
    assert run("verify", path, "--at", "document")[0] == VERIFIED
    assert run("verify", path, "--at", "document", "--encoding", name)[0] == VERIFIED


def test_standard_input_is_read(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pki.document())))
    assert run("verify", "-", "--at", "document")[0] == VERIFIED


def test_what_cannot_be_read_is_neither_verified_nor_refused(run: Any, write: Any, tmp_path: Path) -> None:
    assert run("verify", str(tmp_path / "absent"))[0] == UNREADABLE
    assert run("verify", str(tmp_path))[0] == UNREADABLE
    assert run("verify", write("empty", b""))[0] == UNREADABLE
    assert run("verify", write("big", bytes(limits.MAX_FETCHED_BODY_BYTES + 1)))[0] == UNREADABLE
    assert run("verify", write("odd", b"abc"), "--encoding", "hex")[0] == UNREADABLE
    assert run("verify", write("largest", bytes(limits.MAX_FETCHED_BODY_BYTES)))[0] == REFUSED
    assert run("verify", write("junk", b"\x84junk"))[0] == REFUSED


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["verify"],
        ["unknown"],
        ["verify", "x", "--pcr", "0=00"],
        ["verify", "x", "--pcr", "32=" + "00" * 48],
        ["verify", "x", "--nonce", "zz"],
        ["verify", "x", "--nonce", "00", "--nonce-text", "x"],
        ["verify", "x", "--at", "yesterday"],
        ["verify", "x", "--at", "2026-01-01T00:00:00"],
        ["verify", "x", "--max-age", "-1"],
        ["verify", "x", "--public-key", "@/nowhere/at/all"],
        ["verify", "x", "--quiet", "--json"],
        ["verify", "http://localhost:1", "--nonce", "00"],
        ["verify", "http://localhost:1", "--at", "document"],
        ["verify", "x", *PCRS[:4]],
        ["policy"],
        ["bundle"],
    ],
)
def test_wrong_usage_has_a_code_of_its_own(run: Any, argv: list[str]) -> None:
    assert run(*argv, as_json=False)[0] == USAGE


def test_help_teaches_and_ends_well(run: Any) -> None:
    code, text = run("--help", as_json=False)
    assert code == VERIFIED
    for phrase in ("PCR", "exit codes", "0  verified", "4  verified, but", "nitro-attest verify"):
        assert phrase in text


def test_quiet_says_nothing(run: Any, write: Any) -> None:
    assert run("verify", write("d", pki.document()), "--at", "document", "--quiet", as_json=False) == (VERIFIED, "")
    assert run("verify", write("d", pki.document()), "--quiet", as_json=False) == (REFUSED, "")


# --- another root cannot be brought in (AT-20) ---


def test_at20_installed_command_knows_amazons_root_only(
    monkeypatch: pytest.MonkeyPatch, write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("d", pki.document())
    monkeypatch.setattr(sys, "argv", ["nitro-attest", "verify", path, "--at", "document"])
    for name in ("NITRO_ROOT", "SSL_CERT_FILE", "TRUST_ROOT", "CHANCERY_ROOT", "NITRO_ATTEST_ROOT"):
        monkeypatch.setenv(name, path)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == REFUSED
    printed = capsys.readouterr().out
    assert printed.startswith("REFUSED\n")
    assert "does not come from AWS Nitro hardware" in printed
    assert "simulator" in printed


def options(parser: Any) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        for inner in (action.choices or {}).values() if isinstance(action.choices, dict) else ():
            yield from options(inner)


def test_at20_no_option_names_a_root_or_skips_a_check() -> None:
    for option in options(cli.build_parser()):
        assert not any(word in option for word in ("root", "ca", "insecure", "skip", "no-", "trust", "simulat"))


def test_at20_no_module_reads_the_environment() -> None:
    for path in Path(cli.__file__).parents[1].rglob("*.py"):
        text = path.read_text()
        assert re.search(r"os\.environ|getenv", text) is None, path


# --- words for people ---


def test_verdict_comes_first_and_says_what_was_not_checked(run: Any, write: Any) -> None:
    _, text = run("verify", write("d", pki.document(user_data=b"hello")), "--at", "document", as_json=False)
    lines = text.splitlines()
    assert lines[0] == f"VERIFIED as of {format_time(pki.NOW_MS)}"
    assert "vouched for by: test root" in lines[1]
    for phrase in (
        "NOT checked",
        "this may be anybody's enclave",
        "whole image: kernel, command line and all ramdisks",
        '"hello" (5 bytes)',
        "regional",
        "EXPIRED",
        "expires in",
    ):
        assert phrase in text


def test_document_does_not_steer_the_terminal(run: Any, write: Any) -> None:
    specs = pki.defective(pki.ENCLAVE)
    evil = pki.replace(specs[-1], name="\x1b[2Jevil\r\n\u202e")
    certificates = pki.chain((*specs[:-1], evil))
    data = pki.document(certificates, user_data=b"\x1b[2J", nonce=b"\r\n")
    for command in ("inspect", "verify"):
        _, text = run(command, write("d", data), as_json=False)
        assert "\x1b" not in text
        assert "\r" not in text
        assert "\u202e" not in text
    assert printable("a\x07\u00e9b") == "a\\x07\\xe9b"


def test_inspect_shows_without_verifying(run: Any, write: Any) -> None:
    forged = pki.DocumentParts(pki.cbor2.dumps(pki.payload_fields()), signature=b"\x01" * 96).encode()
    code, report = run("inspect", write("d", forged))
    assert (code, report["verdict"]) == (VERIFIED, "not-verified")
    assert "checked" not in report
    _, text = run("inspect", write("d", forged), as_json=False)
    assert text.startswith("NOT VERIFIED")
    assert "not verified)" in text
    assert run("inspect", write("junk", b"\x84junk"))[0] == REFUSED


def test_unreadable_certificates_are_shown_as_such(run: Any, write: Any) -> None:
    data = pki.document((*pki.good_chain()[:-1], b"not a certificate"))
    _, text = run("inspect", write("d", data), as_json=False)
    assert "enclave   unreadable" in text


# --- policies and measurements ---


def entry(fill: int = 0x11, **changes: Any) -> dict[str, Any]:
    pcrs = {str(index): value.hex() for index, value in pki.image(fill).items()}
    return {"name": "release 1", "version": 1, "pcrs": pcrs} | changes


def policy(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"version": 1, "measurements": list(entries)} | changes


def test_policy_file_decides(run: Any, write: Any) -> None:
    path = write("d", pki.document())

    def verdict(content: dict[str, Any], *more: str) -> tuple[int, str | None]:
        code, report = run("verify", path, "--at", "document", "--policy", write("p", content), *more)
        return code, report.get("refusal", {}).get("code")

    assert verdict(policy(entry())) == (VERIFIED, None)
    assert verdict(policy(entry(0x55), entry())) == (VERIFIED, None)
    assert verdict(policy(entry(0x55))) == (REFUSED, "measurement-mismatch")
    assert verdict(policy(entry(), minimum_version=2)) == (REFUSED, "measurement-version")
    assert verdict(policy(entry()), "--minimum-version", "2") == (REFUSED, "measurement-version")
    assert verdict(policy(entry(expires="2026-02-01T00:00:00Z"))) == (REFUSED, "measurement-expired")
    assert verdict(policy(entry(), max_age_s=60)) == (REFUSED, "document-too-old")
    assert verdict(policy(entry(0x55)), *PCRS) == (VERIFIED, None)


@pytest.mark.parametrize(
    "content",
    [
        policy(entry(), extra=1),
        policy(entry(extra=1)),
        policy(entry(), version=2),
        policy(entry(), version=True),
        policy(entry(), debug=1),
        policy(entry(), minimum_version=-1),
        policy(entry(), minimum_version=1.5),
        policy(entry(), max_age_s="60"),
        policy({"name": "x"}),
        policy(entry(name="")),
        policy(entry(name="a\u001b[2J")),
        policy(entry(expires="soon")),
        policy(entry(expires=5)),
        policy(entry(pcrs={"0": "00"})),
        policy(entry(pcrs={"PCR0": "11" * 48})),
        policy(entry(pcrs={str(index): "00" * 48 for index in range(3)})),
        policy(entry(pcrs=entry()["pcrs"] | {"0": "11" * 48 + "\n"})),
        [],
        b"{",
        b'{"version": 1, "version": 1}',
        b" " * (limits.MAX_POLICY_FILE_BYTES + 1),
    ],
)
def test_malformed_policy_is_a_usage_error_before_anything_is_read(run: Any, write: Any, content: Any) -> None:
    code, report = run("verify", "/nowhere", "--policy", write("p", content))
    assert (code, report["refusal"]["code"]) == (USAGE, "policy-malformed")


def test_policy_of_the_largest_size_passes() -> None:
    assert limits.MAX_POLICY_ENTRIES == 128
    data = json.dumps(policy(*[entry()] * limits.MAX_POLICY_ENTRIES)).encode()
    padded = data + b" " * (limits.MAX_POLICY_FILE_BYTES - len(data))
    assert len(parse_policy(padded).entries) == limits.MAX_POLICY_ENTRIES
    with pytest.raises(AttestationError) as caught:
        parse_policy(json.dumps(policy(*[entry()] * (limits.MAX_POLICY_ENTRIES + 1))).encode())
    assert caught.value.detail == "measurements"
    with pytest.raises(AttestationError):
        parse_policy(padded + b" ")


def builder_output(fill: int = 0x11) -> dict[str, Any]:
    pcrs = {f"PCR{index}": value.hex() for index, value in pki.image(fill).items()}
    return {"Measurements": {"HashAlgorithm": "Sha384 { ... }", **pcrs}}


def test_image_builders_output_serves_as_measurements(run: Any, write: Any) -> None:
    path = write("d", pki.document())
    arguments = ("verify", path, "--at", "document", "--measurements")
    assert run(*arguments, write("m", builder_output()))[0] == VERIFIED
    assert run(*arguments, write("m", builder_output()["Measurements"]))[0] == VERIFIED
    assert run(*arguments, write("m", builder_output(0x55)))[0] == REFUSED
    assert run(*arguments, write("m", {"Measurements": {"PCR0": "11" * 48}}))[0] == USAGE
    assert run(*arguments, write("m", {"Measurements": []}))[0] == USAGE


def test_policy_is_written_from_a_build_and_checked(run: Any, write: Any, tmp_path: Path) -> None:
    out = str(tmp_path / "policy.json")
    build = ("policy", "write", "--measurements", write("m", builder_output()), "--name")
    code, _ = run(*build, "release 4", "--version", "4", "--expires", "2099-01-01T00:00:00Z", "--out", out)
    assert code == VERIFIED
    assert run("verify", write("d", pki.document()), "--at", "document", "--policy", out)[0] == VERIFIED
    code, report = run("policy", "check", out)
    assert (code, report["verdict"], len(report["entries"])) == (VERIFIED, "usable", 1)
    more = ("--add-to", out, "--minimum-version", "5", "--max-age", "60")
    assert run(*build, "release 5", "--version", "5", *more, "--out", out)[0] == VERIFIED
    _, text = run("policy", "check", out, as_json=False)
    assert "below the minimum version" in text
    assert "no expiry" in text
    assert parse_policy(Path(out).read_bytes()).max_age_ms == 60_000
    assert run(*build, "x", "--out", str(tmp_path / "no" / "such"))[0] == UNREADABLE


def test_policy_that_accepts_nothing_or_debug_is_pointed_out(run: Any, write: Any) -> None:
    assert run("policy", "check", write("p", policy()))[0] == REFUSED
    expired = policy(entry(expires="2020-01-01T00:00:00Z"))
    assert run("policy", "check", write("p", expired))[0] == REFUSED
    assert run("policy", "check", write("p", b"{"))[0] == USAGE
    _, text = run("policy", "check", write("p", policy(entry(), debug=True)), as_json=False)
    assert "DEBUG MODE is accepted" in text


def test_at13_document_is_no_source_of_expectations(run: Any, write: Any, tmp_path: Path) -> None:
    arguments = ("--name", "x", "--out", str(tmp_path / "out"))
    assert run("policy", "write", "--measurements", write("d", pki.document()), *arguments)[0] == USAGE


def test_policy_file_round_trip() -> None:
    file = parse_policy(
        json.dumps(policy(entry(expires="2027-01-31T00:00:00Z"), minimum_version=1, debug=True)).encode()
    )
    assert parse_policy(file.encode().encode()) == file
    assert PolicyFile(max_age_ms=5000).encode().count("max_age_s") == 1
    assert format_time(parse_time("2027-01-31T01:00:00+01:00")) == "2027-01-31T00:00:00Z"


# --- diff ---


def test_diff_of_documents_and_builds(run: Any, write: Any) -> None:
    one, same = write("a", pki.document()), write("b", pki.document(nonce=b"x"))
    other = write("c", pki.document(pcrs=pki.payload_fields()["pcrs"] | pki.image(0x55)))
    build = write("m", builder_output())
    assert run("diff", one, same)[0] == VERIFIED
    assert run("diff", one, build)[0] == VERIFIED
    assert run("diff", build, one)[0] == VERIFIED
    code, report = run("diff", one, other)
    assert (code, report["verdict"]) == (REFUSED, "different")
    assert [row["pcr"] for row in report["differences"] if not row["same"]] == [0, 1, 2]
    _, text = run("diff", other, build, as_json=False)
    assert text.startswith("DIFFERENT")
    assert "! PCR0" in text


def test_diff_with_a_forged_document_is_refused(run: Any, write: Any) -> None:
    forged = pki.DocumentParts(pki.cbor2.dumps(pki.payload_fields()), signature=b"\x01" * 96).encode()
    assert run("diff", write("a", forged), write("b", pki.document()))[1]["refusal"]["code"] == "cose-signature"
    assert run("diff", write("a", pki.document()), write("b", pki.document()), roots=[AMAZON])[0] == REFUSED


# --- bundles ---


def test_bundle_is_made_and_judged(run: Any, write: Any, tmp_path: Path) -> None:
    out = str(tmp_path / "bundle")
    opening = {"salt": SALT.hex(), "scope": SCOPE, "identity": IDENTITY}
    parts = ("--document", write("d", pki.document(user_data=user_data())), "--session", write("s", session()))
    assert run("bundle", "make", *parts, "--opening", write("o", opening), "--out", out)[0] == VERIFIED
    judge = ("bundle", "verify", out, "--at", format_time(pki.NOW_MS), *PCRS)
    code, report = run(*judge, "--origin", "https://app.example", "--scope", SCOPE)
    assert code == VERIFIED
    assert report["identity"] == IDENTITY
    _, text = run(*judge, as_json=False)
    assert f"belongs to         {IDENTITY}" in text
    assert run(*judge, "--origin", "https://evil.example")[1]["refusal"]["code"] == "session-mismatch"
    assert run(*judge, "--auth-key", report["session"]["auth_key"])[0] == VERIFIED
    assert run(*judge, "--auth-key", "02" + "00" * 32)[0] == REFUSED
    assert run("bundle", "verify", out)[0] == REFUSED
    assert run("bundle", "verify", write("junk", b"junk"))[0] == REFUSED


def test_bundle_is_not_made_of_junk(run: Any, write: Any, tmp_path: Path) -> None:
    out = str(tmp_path / "bundle")
    document, attestation = write("d", pki.document()), write("s", session())
    assert run("bundle", "make", "--document", attestation, "--session", attestation, "--out", out)[0] == REFUSED
    for opening in (b"{", {"salt": "zz", "scope": "", "identity": ""}, {"salt": "00"}, []):
        path = write("o", opening)
        arguments = ("--document", document, "--session", attestation, "--opening", path, "--out", out)
        assert run("bundle", "make", *arguments)[0] == UNREADABLE


def test_bundle_without_an_opening_does_not_name_anybody(run: Any, write: Any) -> None:
    data = Bundle(pki.document(user_data=user_data()), session()).encode()
    _, text = run("bundle", "verify", write("b", data), "--at", format_time(pki.NOW_MS), as_json=False)
    assert "not disclosed" in text
    wrong = Bundle(pki.document(user_data=user_data()), session(), IdentityOpening(SALT, SCOPE, "Email:x")).encode()
    assert run("bundle", "verify", write("b", wrong), "--at", format_time(pki.NOW_MS))[0] == REFUSED


# --- further checks ---


def test_cross_check_is_reported_or_ends_incomplete(run: Any, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("d", pki.document())
    if "pycose" in sys.modules or pytest.importorskip("pycose"):
        code, report = run("verify", path, "--at", "document", "--cross-check")
        assert code == VERIFIED
        assert "cross-check" in aspects(report, "checked")
    monkeypatch.setitem(sys.modules, "pycose.messages", None)
    code, report = run("verify", path, "--at", "document", "--cross-check")
    assert (code, report["unchecked"][0]["code"]) == (INCOMPLETE, "cross-check-unavailable")
    _, text = run("verify", path, "--at", "document", "--cross-check", as_json=False)
    assert "could not be checked" in text


def test_revocation_list_is_enforced_or_ends_incomplete(run: Any, write: Any) -> None:
    path = write("d", pki.document())
    arguments = ("verify", path, "--at", "document", "--crl")
    code, report = run(*arguments, write("l", revocation_list(pki.ROOT)))
    assert code == VERIFIED
    assert "revocation" not in aspects(report, "not_checked")
    assert run(*arguments, write("l", revocation_list(pki.ROOT, (pki.REGIONAL,))))[0] == REFUSED
    assert run(*arguments, write("l", revocation_list(pki.ROOT, signer="x")))[0] == INCOMPLETE
    assert run(*arguments, str(Path(path).parent / "absent"))[0] == UNREADABLE


# --- URLs ---


def live_chain() -> tuple[bytes, ...]:
    now = datetime.now(UTC).replace(microsecond=0)
    specs = [
        pki.replace(spec, not_before=now - timedelta(hours=1), not_after=now + timedelta(hours=1)) for spec in pki.SPECS
    ]
    return pki.chain(tuple(specs))


LIVE = live_chain()


class Service(BaseHTTPRequestHandler):
    """A server with an enclave behind it. `mode` says in which way it misbehaves."""

    mode = "right"
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.answer("GET", b"")

    def do_POST(self) -> None:
        self.answer("POST", self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, method: str, request: bytes) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        type(self).seen.append(f"{method} {self.path}")
        nonce = self.headers["X-Attestation-Nonce"].encode()
        if path == "/attestation":
            self.resource(bytes.fromhex(query["nonce"][0]))
            return
        body = b'{"ok":true}'
        user_data = content_user_data(method, path, request, body)
        match self.mode:
            case "no header":
                self.reply(body, None)
                return
            case "other content":
                body = b'{"ok":false}'
            case "unbound":
                user_data = b"something else"
            case "stale nonce":
                nonce = b"0" * 32
            case "no nonce":
                nonce = None
            case "not base64":
                self.reply(body, "!!!")
                return
            case "huge":
                body = bytes(limits.MAX_FETCHED_BODY_BYTES + 1)
            case "redirect":
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                return
        self.reply(body, self.document(user_data, nonce))

    def document(self, user_data: bytes | None, nonce: bytes | None) -> str:
        now_ms = time.time_ns() // 1_000_000
        data = pki.document(LIVE, timestamp=now_ms, user_data=user_data, nonce=nonce)
        return base64.b64encode(data).decode()

    def resource(self, nonce: bytes) -> None:
        document = self.document(None, nonce)
        match self.mode:
            case "raw resource":
                self.reply(base64.b64decode(document), None)
            case "json resource":
                self.reply(json.dumps({"attestation_document": document}).encode(), None)
            case "json without":
                self.reply(b'{"other": 1}', None)
            case "bad json":
                self.reply(b"{", None)
            case _:
                self.reply(document.encode(), None)

    def reply(self, body: bytes, document: str | None) -> None:
        self.send_response(500 if self.mode == "failing" else 200)
        if document is not None:
            self.send_header("X-Attestation-Document", document)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Callable[[str], str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def in_mode(mode: str) -> str:
        Service.mode, Service.seen = mode, []
        return f"http://127.0.0.1:{server.server_port}"

    yield in_mode
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(run: Any, service: Callable[[str], str]) -> Callable[..., tuple[int, Any]]:
    """Verifies a server in a mode, under the root of its own chain."""

    def call(mode: str, path: str = "", *options: str) -> tuple[int, Any]:
        return run("verify", service(mode) + path, *options, roots=[pki.root(LIVE)])

    return call


@pytest.mark.parametrize("path", ["", "/", "/status", "/rpc/Some/Call?x=1"])
def test_url_is_asked_with_a_fresh_nonce_and_its_content_is_checked(ask: Any, path: str) -> None:
    code, report = ask("right", path, *PCRS)
    assert code == VERIFIED
    assert {"image", "nonce", "age", "user-data"} <= aspects(report, "checked")
    assert "freshness" not in aspects(report, "not_checked")
    assert "connection" in aspects(report, "not_checked")


def test_posted_body_is_bound_too(ask: Any) -> None:
    assert ask("right", "/rpc/X/Y", "--data", '{"a":1}')[0] == VERIFIED
    assert Service.seen == ["POST /rpc/X/Y"]


def test_answer_of_an_error_is_judged_like_any_other(ask: Any) -> None:
    assert ask("failing", "/status")[0] == VERIFIED


@pytest.mark.parametrize(
    ("mode", "code"),
    [("other content", "user-data-mismatch"), ("stale nonce", "nonce-mismatch"), ("no nonce", "nonce-missing")],
)
def test_lying_server_is_refused(ask: Any, mode: str, code: str) -> None:
    exit_code, report = ask(mode, "/status")
    assert (exit_code, report["refusal"]["code"]) == (REFUSED, code)


def test_server_that_does_not_bind_its_answer_ends_incomplete(ask: Any) -> None:
    code, report = ask("unbound", "/status")
    assert (code, report["unchecked"][0]["code"]) == (INCOMPLETE, "content-unbound")


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("no header", "no X-Attestation-Document"),
        ("not base64", "not the encoding"),
        ("huge", "larger than"),
        ("redirect", "redirected"),
    ],
)
def test_server_without_a_document_is_unreadable_and_not_verified(ask: Any, mode: str, words: str) -> None:
    code, report = ask(mode, "/status")
    assert code == UNREADABLE
    assert words in report["refusal"]["text"]


@pytest.mark.parametrize("mode", ["base64 resource", "raw resource", "json resource"])
def test_attestation_resource_is_known(ask: Any, mode: str) -> None:
    code, report = ask(mode, "/attestation")
    assert code == VERIFIED
    assert "nonce" in aspects(report, "checked")


def test_attestation_resource_is_the_second_guess(ask: Any) -> None:
    assert ask("no header", "")[0] == VERIFIED
    assert [line.split("?")[0] for line in Service.seen] == ["GET /status", "GET /attestation"]


@pytest.mark.parametrize("mode", ["json without", "bad json"])
def test_resource_without_a_document_is_unreadable(ask: Any, mode: str) -> None:
    assert ask(mode, "/attestation")[0] == UNREADABLE


def test_live_document_under_another_root_is_refused_in_words(run: Any, service: Any) -> None:
    code, report = run("verify", service("right"), roots=[AMAZON])
    assert (code, report["refusal"]["code"]) == (REFUSED, "root-untrusted")


@pytest.mark.parametrize(
    "url",
    ["http://", "http://user@127.0.0.1/", "http://127.0.0.1:1/", "http://127.0.0.1:99999/", "https://127.0.0.1:1"],
)
def test_address_that_does_not_answer_is_unreachable(run: Any, url: str) -> None:
    assert run("verify", url)[0] == UNREADABLE


def test_each_url_gets_another_nonce(ask: Any) -> None:
    ask("base64 resource", "/attestation")
    first = Service.seen[0]
    ask("base64 resource", "/attestation")
    assert Service.seen[0] != first


def test_server_that_drips_is_left_at_the_deadline(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs.limits, "FETCH_DEADLINE_S", 0.3)
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    start = time.monotonic()
    code, report = run("verify", f"http://127.0.0.1:{listener.getsockname()[1]}/status")
    assert code == UNREADABLE
    assert "in time" in report["refusal"]["text"]
    assert time.monotonic() - start < 5
    stop.set()
    thread.join(5)
    listener.close()
