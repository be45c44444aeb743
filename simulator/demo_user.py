"""The user's part of the demo: two devices, two logins, a session, signatures, and the proof of it all.

Over HTTP, with every answer verified against the attestation of exactly the image that was measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from host_proxy.cli.exit_codes import ExitCode
from simulator import settings
from simulator.story import Story, require

if TYPE_CHECKING:
    from host_proxy.client.api import Api
    from host_proxy.client.flows import Flows, Login
    from simulator.appliance import Appliance

EMAIL: Final = "ada@example.com"
USER: Final = "ada"
ETHER: Final = 10**18
_RECIPIENT: Final = "0x00000000000000000000000000000000DeaDBeef"


def device(appliance: Appliance, scope: str = settings.SCOPE) -> tuple[Api, Flows]:
    """A fresh device of the user, which accepts answers of exactly this image under the simulator's root."""
    from host_proxy.client.api import Api
    from host_proxy.client.device_key import DeviceKey
    from host_proxy.client.flows import Flows

    api = Api(
        appliance.url,
        DeviceKey.generate(),
        scope=scope,
        origin=settings.ORIGIN,
        roots=(appliance.stand_ins.root,),
        image=appliance.measurements,
        transport=appliance.transport(),
    )
    return api, Flows(api, scope)


def act_as_user(story: Story, appliance: Appliance, state: Path) -> None:
    """Everything that the user does, over HTTP, with every answer verified against the attestation."""
    (phone_api, phone), (laptop_api, laptop) = device(appliance), device(appliance)
    try:
        _log_in(story, appliance, phone, laptop)
        session = phone.create_session()
        story.step("A session attestation, and a transaction that a real EVM executes")
        story.say(f"session {session.session} for {settings.ORIGIN}: this device key belongs to {session.identity}")
        _execute(story, phone, session.session, session.signer)
        _recover(story, phone, session.session, session.signer)
        _prove(story, appliance, phone, session, state)
    finally:
        phone_api.close()
        laptop_api.close()


def _log_in(story: Story, appliance: Appliance, phone: Flows, laptop: Flows) -> None:
    from simulator.browser import sign_in
    from simulator.mail import code_in

    story.step("A user logs in with a one-time code that arrives by mail")
    sink = appliance.stand_ins.mail
    started = phone.start_mail_login(EMAIL)
    message = sink.messages[-1]
    code = code_in(message)
    story.say(f"mail to {message['To']} over TLS that ends in the enclave: subject {message['Subject']!r}, code {code}")
    login = phone.finish_mail_login(started, code)
    story.say(f"first login: a wallet is made and split 2-of-3: {login.signer}")
    story.step("and again, on another device, with an OpenID Connect ID token")
    token = sign_in(appliance.stand_ins.login_page_url, USER)
    other = laptop.id_token_login(token)
    story.say(f"{other.identity['iss']} vouches for {other.identity['sub']!r}: wallet {other.signer}")
    story.say("(another identity is another wallet; linking comes with accounts)")


def _execute(story: Story, flows: Flows, session: str, signer: str) -> None:
    from evm.address import parse_address
    from simulator.chain import LocalChain

    chain = LocalChain()
    wallet, recipient = parse_address(signer), parse_address(_RECIPIENT)
    chain.fund(wallet, ETHER)
    transaction = {
        "type": "0x2",
        "chainId": hex(chain.chain_id),
        "nonce": "0x0",
        "to": _RECIPIENT,
        "value": hex(ETHER // 4),
        "gas": hex(21_000),
        "maxFeePerGas": hex(20 * 10**9),
        "maxPriorityFeePerGas": hex(10**9),
        "data": "0x",
    }
    signed = flows.sign("Transaction", session, transaction)
    story.say(f"understood: {_words(signed['understood'])}")
    receipt = chain.send_raw(bytes.fromhex(signed["raw"][2:]))
    require(receipt.status == 1 and chain.balance(recipient) == ETHER // 4, "the EVM executed the transfer")
    story.say(f"executed by py-evm: {signed['hash'][:26]}… gas {receipt.gas_used}, recipient holds 0.25 ether")


def _recover(story: Story, flows: Flows, session: str, signer: str) -> None:
    from eth_account import Account
    from eth_account.messages import encode_defunct

    signed = flows.sign("Message", session, {"text": "hello"})
    recovered = Account.recover_message(encode_defunct(text="hello"), signature=signed["signature"])
    require(recovered.lower() == signer, "the message's signature is the wallet's")
    story.say("a message signature (EIP-191) recovers to the wallet's address with eth-account")


def _prove(story: Story, appliance: Appliance, flows: Flows, session: Any, state: Path) -> None:
    from attestation.bundle import Bundle, IdentityOpening
    from host_proxy.client.flows import require_b64u

    story.step("The whole chain is verified by a separate command, offline")
    document = flows.binding_document()
    if appliance.stand_ins.notary is not None:
        document = appliance.stand_ins.notary.countersign(document)
    opening = IdentityOpening(require_b64u(session.salt), settings.SCOPE, session.identity)
    bundle = state / "proof.bundle"
    bundle.write_bytes(Bundle(document, require_b64u(session.attestation), opening).encode())
    verdict = _command("simulator", "--state", str(state), "verify", str(bundle), "--json")
    require(verdict.returncode == 0, "the simulator's verify accepts the bundle")
    result = json.loads(verdict.stdout)
    story.say(f"$ chancery-sim verify proof.bundle → verified, root: {result['root']}")
    story.say(f"  {result['identity']} · key …{result['auth_key']['public_key'][-12:]} · {result['origin']}")
    refusal = _command("host_proxy", "verify", str(bundle))
    require(refusal.returncode == ExitCode.FAILED, "the shipped verify refuses the simulator's root")
    story.say(f"$ chancery verify proof.bundle → {refusal.stderr.strip()[:96]}…")


def log_in_again(story: Story, appliance: Appliance) -> None:
    api, flows = device(appliance)
    try:
        login = log_in_by_mail(appliance, flows)
        signed = flows.sign("Message", flows.create_session().session, {"text": "still here"})
    finally:
        api.close()
    require(signed["signer"] == login.signer, "the same wallet signs")
    story.say(f"logged in again, same wallet, and it signs: {login.signer}")


def log_in_by_mail(appliance: Appliance, flows: Flows) -> Login:
    """With the code from the newest mail."""
    from simulator.mail import code_in

    started = flows.start_mail_login(EMAIL)
    return flows.finish_mail_login(started, code_in(appliance.stand_ins.mail.messages[-1]))


def _command(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    root = str(Path(__file__).resolve().parents[1])
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, timeout=60)


def _words(understood: dict[str, Any]) -> str:
    words = understood.get("words")
    return "; ".join(words) if isinstance(words, list) else str(words or understood)
