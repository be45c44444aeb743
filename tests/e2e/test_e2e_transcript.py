"""A whole run under the ears of the host: no secret in what it carried, nothing of a user in what is written down.

The first part is the claim of design section 2 (the host can only deny service), the second LP-01 and LP-04.
"""

import asyncio
import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from enclave.config import parse_config
from evm.keccak import keccak256
from host_proxy.client.device_key import DeviceKey
from simulator.browser import sign_in
from simulator.kms.faults import Fault
from tests.e2e.e2e_support import PATHS, SIGN_MESSAGE, Site, User, refused, scopes
from tests.e2e.e2e_transcript import (
    Opened,
    canaries_in,
    holder_keys_noted,
    opened_with,
    record_keys,
    secrets_in,
    tapped,
)
from tests.evm.samples import mail, transaction

EMAIL = "canary.of.the.mailbox@leak.example"
USER = "canary-of-the-provider"
CANARY = "canary-in-a-field-that-is-refused"


@dataclass(frozen=True, slots=True)
class Run:
    """What is left of a whole run."""

    streams: dict[str, bytes]
    """What the host carried."""
    written: dict[str, bytes]
    """What was written down: logs, guest lines, metrics, error bodies, storage keys, the store's files."""
    opened: Opened
    """The true secrets of the run."""
    canaries: dict[str, str]
    wallets: set[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    state = tmp_path_factory.mktemp("transcript")
    changes = {"scopes": scopes(), "limits": {"otp_digits": 12}}  # long enough not to appear by chance
    with tapped() as transcript, holder_keys_noted() as keys:
        with Site(state, changes=changes) as site:
            wallets, canaries = a_day_at_work(site.serving())
            config = parse_config((site.appliance.image.path / "app" / "config.json").read_bytes())
            written = {"metrics": site.metrics().encode(), "error bodies": b"\n".join(site.refusals)}
        written |= {"host log": site.log.getvalue().encode(), "guest lines": "\n".join(site.lines).encode()}
    written |= in_store(state)
    known = {holder.key_arn: keys[holder.key_arn] for holder in config.holders}  # other appliances may be running
    opened = asyncio.run(opened_with(known, config, state / "store.sqlite"))
    return Run(transcript.streams(), written, opened, canaries, wallets)


def in_store(state: Path) -> dict[str, bytes]:
    keys = record_keys(state / "store.sqlite")
    files = {f"file {path.name}": path.read_bytes() for path in state.glob("store.sqlite*")}
    return files | {"storage keys": b"\n".join(key.table.encode() + b" " + key.id for key in keys)}


def a_day_at_work(site: Site) -> tuple[set[str], dict[str, str]]:
    """Logins, signatures, refusals, a holder that leaves, a restart; the wallets, and what must not be written down."""
    phone, laptop = site.user(), site.user()
    started = phone.flows.start_mail_login(EMAIL)
    code = site.mailed_code(EMAIL)
    by_mail = phone.flows.finish_mail_login(started, code)
    token = sign_in(site.stand_ins.login_page_url, USER)
    by_token = laptop.flows.id_token_login(token)
    session = phone.flows.create_session()
    for kind, payload in (("Message", {"text": "hello"}), ("TypedData", mail()), ("Transaction", transaction(2))):
        phone.flows.sign(kind, session.session, payload)
    phone.flows.sign_digest(by_mail.signer, keccak256(b"digest"))
    phone.flows.list_sessions()
    provoke_refusals(site, phone, laptop, token, code)
    site.stand_ins.kms.set_fault(site.stand_ins.key_arns()[0], Fault.PLAINTEXT)
    site.restart()
    again = site.user()
    again.log_in(EMAIL)
    again.flows.sign("Message", again.flows.create_session().session, {"text": "hello again"})
    again.flows.revoke(None, None)
    header, claims, signature = token.split(".")
    return {by_mail.signer, by_token.signer}, {
        "mail address": EMAIL,
        "mail box": EMAIL.partition("@")[0],
        "one-time code": code,
        "ID token": token,
        "header and claims of the ID token": f"{header}.{claims}",
        "signature of the ID token": signature,
        "subject": USER,
        "device key": phone.device.address,
        "device key without prefix": phone.device.address[4:],
        "device key, other device": laptop.device.address,
        "device key, compressed": phone.device.public_key.hex(),
        "session": session.session,
        "session attestation": session.attestation,
        "refused field": CANARY,
    }


def provoke_refusals(site: Site, phone: User, laptop: User, token: str, code: str) -> None:
    """Refusals of every layer, each about a request that holds a canary."""
    started = phone.flows.start_mail_login(EMAIL)
    site.mailed_code(EMAIL)
    for wrong in (code, CANARY, "x"):
        with refused():
            phone.flows.finish_mail_login(started, wrong)
    with refused():  # a used token
        site.user().flows.id_token_login(token)
    forged = f"{token[:-8]}{'AAAAAAAA' if not token.endswith('AAAAAAAA') else 'BBBBBBBB'}"
    with refused():
        laptop.flows.id_token_login(forged)
    for path in PATHS:
        for members in (
            {CANARY: CANARY},
            {"scope": CANARY},
            {"origin": CANARY},
            {"session": CANARY},
            {"handle": EMAIL, "identityType": CANARY, "authMode": CANARY},
            {"handle": f"{CANARY} <{EMAIL}>", "identityType": "Email", "authMode": "OTP"},
            {"message": {CANARY: EMAIL}, "typedData": {CANARY: EMAIL}, "transaction": {CANARY: EMAIL}},
        ):
            site.send(path, phone.envelope(phone.own_params(path, **members)))
        site.send(path, phone.envelope(phone.own_params(path), signer=DeviceKey.generate()))
        site.send(path, f'{{"{EMAIL}": "{CANARY}"'.encode())
        site.send(path, b"{}", {"content-type": "text/plain", "x-sequence-scope": CANARY, "origin": CANARY})
    site.send(f"/rpc/{CANARY.replace('-', '')}/{CANARY.replace('-', '')}", b"{}")
    site.send(f"/{CANARY}?{EMAIL}", b"{}")


# --- what the host carried ---


def test_the_host_was_listened_to(run: Run) -> None:
    """The taps hear: requests to the enclave, sealed records both ways, TLS in the tunnels, and many of each."""
    carried = run.streams
    assert EMAIL.encode() in carried["to the enclave"]  # in the clear until the client seals it to the enclave
    assert SIGN_MESSAGE.encode() in carried["to the enclave"]
    answers = b"".join(stream for place, stream in carried.items() if place.startswith("from the enclave"))
    assert all(wallet.encode() in answers for wallet in run.wallets)
    assert b"store.put" in answers
    tunnels = [stream for place, stream in carried.items() if place.startswith("tunnel")]
    assert sum(b"\x16\x03" in stream[:3] for stream in tunnels) >= 10
    for place in ("store reads", "store writes"):
        assert len(carried[place]) > 1000
        assert carried[place][-64:] in answers + carried["to the enclave"]


def test_the_secrets_are_the_true_ones(run: Run) -> None:
    """The wallets of the run were opened with them."""
    assert run.opened.wallets == run.wallets
    kinds = [name.split()[0] for name in run.opened.secrets]
    assert kinds.count("holder") >= 3  # more when a holder was late and the founding began anew
    assert kinds.count("wallet") == len(run.wallets)
    assert kinds.count("share") >= 3 * (2 + len(run.wallets))
    assert all(len(secret) == 32 and any(secret) for secret in run.opened.secrets.values())


def test_nothing_that_the_host_carried_holds_a_wallet_key_holder_key_share_or_record_secret(run: Run) -> None:
    assert secrets_in(run.streams, run.opened.secrets) == []


def test_nothing_that_was_written_down_holds_a_secret(run: Run) -> None:
    assert secrets_in(run.written, run.opened.secrets) == []


def test_a_secret_would_be_found_in_every_spelling_and_in_pieces() -> None:
    secret = os.urandom(32)
    around = os.urandom(7)
    for spelt in (
        secret,
        secret[:20],
        secret[16:],
        secret[:16][::-1],
        secret.hex().encode(),
        secret.hex().upper().encode(),
        *(base64.b64encode(around[:shift] + secret + around) for shift in range(4)),
        *(base64.urlsafe_b64encode(around[:shift] + secret) for shift in range(4)),
        json.dumps({"key": int.from_bytes(secret[:16], "big")}).encode(),
    ):
        assert secrets_in({"place": b"before" + spelt + b"after"}, {"key": secret}) != []
    assert secrets_in({"place": os.urandom(100_000)}, {"key": secret}) == []


# --- what was written down ---


def test_there_was_something_to_leak_into(run: Run) -> None:
    for place, least in {"host log": 5000, "guest lines": 200, "metrics": 5000, "error bodies": 5000}.items():
        assert len(run.written[place]) > least, place
    assert b"egress.closed" in run.written["host log"]
    assert b'"serving"' in run.written["guest lines"]
    assert {b"InvalidRequest", b"AnswerIncorrect", b"InvalidSignature", b"TooManyAttempts"} <= {
        json.loads(body)["error"].encode() for body in run.written["error bodies"].split(b"\n") if body[:1] == b"{"
    }


def test_no_canary_in_log_metric_error_body_storage_key_or_file(run: Run) -> None:
    assert canaries_in(run.written, run.canaries) == []


def test_no_line_of_the_log_is_a_fault(run: Run) -> None:
    for line in run.written["host log"].decode().splitlines():
        assert json.loads(line)["event"] not in ("fault", "log.refused", "store.fault"), line
    assert b'"unforeseen"' not in run.written["guest lines"]


def test_a_canary_would_be_found() -> None:
    for leak in (EMAIL, base64.b64encode(EMAIL.encode()).decode(), keccak256(EMAIL.encode()).hex()):
        assert canaries_in({"log": f'{{"event": "{leak}"}}'.encode()}, {"mail address": EMAIL}) != []
