"""Images that nobody approved: edited code, debug launches, foreign hardware. No holder opens for them (AT-*)."""

import base64
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cbor2
import httpx
import pytest

from attestation.errors import AttestationError
from attestation.policy import Measurements
from attestation.roots import AMAZON
from attestation.verify import verify
from host_proxy.client.errors import ClientError
from simulator.enclaves import SOURCE_ROOT, OnLine, Prepared, WalledIn
from simulator.image import APP_PACKAGES, new_module_id
from simulator.nsm import SimulatedNsm
from simulator.pki import NitroPki
from tests.e2e.e2e_support import COMMIT, HOLDERS, PATHS, Site, User, failing, new_email, refused

DENIED = dict.fromkeys(HOLDERS, "kms-denied")
REFUSED_DOCUMENT = dict.fromkeys(HOLDERS, "kms-request-refused")
OWNER = "owner@example.com"


@dataclass(frozen=True, slots=True)
class Honest:
    """What an approved image left behind: its source and measurements, the state, and a user's wallet in it."""

    source: Path
    state: Path
    wallet: str
    approved: Measurements


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    source, state = copied(SOURCE_ROOT, tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("state")
    with Site(state, enclaves=WalledIn(source)) as site:
        return Honest(source, state, site.serving().user().log_in(OWNER).signer, site.image)


def copied(source: Path, target: Path) -> Path:
    """The source tree of an image."""
    for package in (*APP_PACKAGES, "simulator"):
        shutil.copytree(source / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def edited(honest: Honest, target: Path, name: str, before: str, after: str) -> Path:
    """The source tree with one line of `enclave/` changed."""
    path = copied(honest.source, target) / "enclave" / name
    text = path.read_text()
    assert text.count(before) == 1, "the line to edit is not there any more"
    path.write_text(text.replace(before, after))
    return target


def assert_nothing_works(site: Site) -> None:
    user = site.user()
    params = {"identityType": "Email", "authMode": "OTP", "handle": OWNER, "scope": user.scope}
    assert site.send(COMMIT, user.envelope(params)).code == 7309
    for path in PATHS:
        assert site.send(path, user.envelope(user.own_params(path))).code == 7309
    assert not site.stand_ins.mail.messages


def test_edited_enclave_has_another_pcr0_and_every_holder_refuses(honest: Honest, tmp_path: Path) -> None:
    """All that is changed: a wallet key would stay in memory after a signature."""
    before = "with await self._accounts.open_wallet(session, account) as key:"
    after = "if key := await self._accounts.open_wallet(session, account):"
    with Site(
        honest.state, enclaves=WalledIn(edited(honest, tmp_path, "wallets.py", before, after)), pin=False
    ) as site:
        health = site.wait_for(lambda health: failing(health) == DENIED, "every holder refuses")
        assert (health["status"], health["phase"], health["serving"]) == ("down", "booting", False)
        running = site.send("/status", b"", method="GET").json["pcr0"]
        assert running == site.appliance.image.pcrs[0].hex() != honest.approved.pcrs[0].hex()
        assert site.appliance.image.pcrs[1] == honest.approved.pcrs[1]  # the init ramdisk is untouched
        assert_nothing_works(site)
    with Site(honest.state, enclaves=WalledIn(honest.source), pin=False) as site:  # the approved image, unharmed
        assert site.image.pcrs == honest.approved.pcrs
        assert site.serving().user().log_in(OWNER).signer == honest.wallet


def test_edited_configuration_is_another_image_too(honest: Honest) -> None:
    changes = {"limits": {"otp_digits": 12}}
    with Site(honest.state, enclaves=WalledIn(honest.source), pin=False, changes=changes) as site:
        site.wait_for(lambda health: failing(health) == DENIED, "every holder refuses")
        assert site.appliance.image.pcrs[0] != honest.approved.pcrs[0]
        assert_nothing_works(site)


def test_debug_launch_halts_with_its_reason(honest: Honest) -> None:
    with Site(honest.state, enclaves=WalledIn(honest.source, debug=True), pin=False) as site:
        health = site.wait_for(lambda health: health["phase"] == "halted", "the enclave refuses to go on")
        assert (health["status"], health["serving"], health["reason"]) == ("down", False, "debug-mode")
        assert any('"code": "debug-mode"' in line for line in site.lines)
        assert_nothing_works(site)


def test_debug_launch_of_code_without_that_check_is_refused_by_every_holder(honest: Honest, tmp_path: Path) -> None:
    source = edited(honest, tmp_path, "boot.py", "if any(value == bytes(PCR_BYTES) for value in pcrs):", "if not pcrs:")
    with Site(honest.state, enclaves=WalledIn(source, debug=True), pin=False) as site:
        site.wait_for(lambda health: failing(health) == DENIED, "every holder refuses")
        assert site.send("/status", b"", method="GET").json["pcr0"] == "00" * 48
        assert_nothing_works(site)


class OnForeignHardware(WalledIn):
    """Machines whose security module is certified by somebody else."""

    async def prepare(self, config: bytes, scratch: Path, pki: NitroPki, on_line: OnLine) -> Prepared:
        return await super().prepare(config, scratch, NitroPki(scratch / "foreign"), on_line)


def test_approved_image_on_foreign_hardware_is_refused_by_every_holder(honest: Honest) -> None:
    """The same code and registers, under a root that the holders do not know."""
    with Site(honest.state, enclaves=OnForeignHardware(honest.source), pin=False) as site:
        assert site.image.pcrs == honest.approved.pcrs
        site.wait_for(lambda health: failing(health) == REFUSED_DOCUMENT, "every holder refuses")
        assert_nothing_works(site)


# --- a user in front of an appliance, or of somebody who says to be one ---


class Meddler(httpx.HTTPTransport):
    """A host that edits what passes: `edit` gets each answer and returns the one to show."""

    def __init__(self, edit: Callable[[httpx.Response], httpx.Response]) -> None:
        super().__init__()
        self._edit = edit

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.read()
        return self._edit(response)


def shown(response: httpx.Response, body: bytes | None = None, **headers: str | None) -> httpx.Response:
    """`response` with another body or other headers; None takes a header out."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in response.headers.items() if name not in named and name != "content-length"}
    kept |= {name: value for name, value in named.items() if value is not None}
    return httpx.Response(response.status_code, headers=kept, content=response.content if body is None else body)


def without_root(response: httpx.Response) -> httpx.Response:
    """The document with the root cut off its bundle; the signature cannot cover that."""
    tag = cbor2.loads(base64.b64decode(response.headers["x-attestation-document"]))
    protected, unprotected, payload, signature = getattr(tag, "value", tag)
    document = cbor2.loads(payload)
    document["cabundle"] = document["cabundle"][1:]
    stripped = cbor2.dumps([protected, unprotected, cbor2.dumps(document), signature])
    return shown(response, x_attestation_document=base64.b64encode(stripped).decode())


def refusal_of(user: User, email: str | None = None) -> str:
    with pytest.raises(ClientError) as caught:
        user.flows.start_mail_login(email or new_email())
    return caught.value.code


def test_answer_edited_by_the_host_is_refused_by_the_client(site: Site) -> None:
    email = new_email()
    edit = Meddler(lambda answer: shown(answer, answer.content.replace(email.encode(), b"mallory@example.com")))
    assert refusal_of(site.user(transport=edit), email) == "attestation-user-data-mismatch"


def test_document_of_an_earlier_answer_is_refused_by_the_client(site: Site) -> None:
    seen: list[str] = []

    def replay(answer: httpx.Response) -> httpx.Response:
        seen.append(answer.headers["x-attestation-document"])
        return shown(answer, x_attestation_document=seen[0])

    user = site.user(transport=Meddler(replay))
    user.flows.start_mail_login(new_email())
    assert refusal_of(user) == "attestation-nonce-mismatch"


def test_answer_without_document_is_refused_by_the_client(site: Site) -> None:
    assert refusal_of(site.user(transport=Meddler(lambda a: shown(a, x_attestation_document=None)))) == "unattested"


def test_document_with_its_root_stripped_is_refused_by_the_client(site: Site) -> None:
    assert refusal_of(site.user(transport=Meddler(without_root))) == "attestation-root-untrusted"


def test_document_under_a_foreign_root_is_refused_by_the_client(site: Site, tmp_path: Path) -> None:
    assert refusal_of(site.user(roots=(AMAZON,))) == "attestation-root-untrusted"
    foreign = replace(site.stand_ins.root, der=NitroPki(tmp_path).root_der)
    assert refusal_of(site.user(roots=(foreign,))) == "attestation-root-untrusted"


def test_another_image_than_the_user_verified_is_refused_by_the_client(site: Site) -> None:
    for index in range(3):
        expected = Measurements(name="another", pcrs={**site.image.pcrs, index: bytes([1]) * 48})
        assert refusal_of(site.user(image=expected)) == "attestation-measurement-mismatch"


def test_document_of_a_debug_launch_is_refused_whatever_root_it_has(site: Site) -> None:
    """A document as such an enclave would show it: genuine signature, zero registers."""
    nsm = SimulatedNsm(site.stand_ins.pki, site.appliance.image.pcrs, new_module_id(), debug=True)
    answer = nsm.call(cbor2.dumps({"Attestation": {"user_data": None, "nonce": b"n", "public_key": None}}))
    document = cbor2.loads(answer)["Attestation"]["document"]
    with pytest.raises(AttestationError) as caught:
        verify(document, site.image, time.time_ns() // 1_000_000, (site.stand_ins.root,))
    assert caught.value.code == "debug-mode"


def test_honest_answers_pass_the_same_meddler(site: Site) -> None:
    user = site.user(transport=Meddler(shown))
    email = new_email()
    assert user.flows.start_mail_login(email)["verifier"] == email
    with refused() as refusal:
        user.flows.create_session()
    assert refusal.code == 7202
