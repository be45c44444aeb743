"""`chancery-sim demo`: the main job, told step by step, each step checked while it is told.

Everything below happens for real on this machine: processes, TLS, policies, signatures, and an EVM that executes.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from host_proxy.cli.exit_codes import ExitCode, leave

if TYPE_CHECKING:
    from host_proxy.client.api import Api
    from host_proxy.client.flows import Flows
    from simulator.appliance import Appliance

EMAIL: Final = "ada@example.com"
USER: Final = "ada"
ETHER: Final = 10**18
_RECIPIENT: Final = "0x00000000000000000000000000000000DeaDBeef"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(demo)


def demo() -> None:
    """Show the main job: measure, release keys, log in twice, sign, execute, verify, refuse. About half a minute.

    Uses a fresh state folder and free ports; leaves nothing behind. Exits with 0 only if every step held.
    """
    from host_proxy.client.api import ClientError

    try:
        with tempfile.TemporaryDirectory(prefix="chancery-demo-") as folder:
            asyncio.run(_demo(Path(folder)))
    except (TimeoutError, ValueError, OSError, ClientError) as error:
        leave(ExitCode.FAILED, f"the demo failed: {error}")


class _Story:
    """Numbered steps with the time that each took."""

    def __init__(self) -> None:
        self._step = 0
        self._started = time.monotonic()

    def step(self, title: str) -> None:
        self._step += 1
        elapsed = f"   [{time.monotonic() - self._started:.1f} s]"
        typer.echo(typer.style(f"\n{self._step}. {title}", bold=True) + elapsed)

    def say(self, text: str) -> None:
        typer.echo(f"   {text}")


async def _demo(state: Path) -> None:
    from host_proxy.logging import Log
    from simulator.appliance import Options, describe, running

    story = _Story()
    typer.echo("Chancery, all of it on this machine: enclave, host, three share holders, mail, identity provider.")
    story.step("The image is staged, measured and started behind walls")
    with (state / "host.log").open("w") as stream:
        options = Options(listen="127.0.0.1:0", log=Log(stream), on_line=lambda line: _guest(story, line))
        async with running(state, options) as appliance:
            for name, value in describe(appliance.image).items():
                story.say(f"{name} {value[:48]}…")
            await _released(story, appliance)
            await asyncio.to_thread(_user, story, appliance, state)
            await _one_holder_down(story, appliance)
        await _edited_image(story, state)
    typer.echo(typer.style("\nAll steps held.", bold=True) + " `make run` does the same and stays up for you to try.")


def _guest(story: _Story, line: str) -> None:
    """What the enclave's process prints, where a person can use it."""
    if line.startswith("simulator: "):
        story.say(line.removeprefix("simulator: "))


async def _released(story: _Story, appliance: Appliance) -> None:
    story.step("Three share holders release their keys, to this measurement only")
    health = await appliance.wait_until("serving")
    holders = health["holders"]
    _require(holders["available"] == 3, "all holders answer")
    story.say("each is a KMS key in an account and region of its own; its policy names PCR0, PCR1 and PCR2")
    story.say(f"{holders['available']} of 3 released, {holders['threshold']} needed, {holders['may_fail']} may fail")


def _device(appliance: Appliance) -> tuple[Api, Flows]:
    """A fresh device of the user, which accepts answers of exactly this image under the simulator's root."""
    from attestation.policy import Measurements
    from host_proxy.client.api import Api
    from host_proxy.client.device_key import DeviceKey
    from host_proxy.client.flows import Flows
    from simulator import settings

    image = Measurements(name="the demo image", pcrs={index: appliance.image.pcrs[index] for index in range(3)})
    api = Api(
        appliance.url,
        DeviceKey.generate(),
        scope=settings.SCOPE,
        origin=settings.ORIGIN,
        roots=(appliance.stand_ins.root,),
        image=image,
    )
    return api, Flows(api, settings.SCOPE)


def _user(story: _Story, appliance: Appliance, state: Path) -> None:
    """Everything that the user does, over HTTP, with every answer verified against the attestation."""
    from simulator import settings

    (phone_api, phone), (laptop_api, laptop) = _device(appliance), _device(appliance)
    try:
        _log_in(story, appliance, phone, laptop)
        session = phone.create_session()
        story.step("A session attestation, and a transaction that a real EVM executes")
        story.say(f"session {session.session} for {settings.ORIGIN}: this device key belongs to {session.identity}")
        _execute(story, phone, session.session, session.signer)
        _recover(story, phone, session.session, session.signer)
        _prove(story, phone, session, state)
    finally:
        phone_api.close()
        laptop_api.close()


def _log_in(story: _Story, appliance: Appliance, phone: Flows, laptop: Flows) -> None:
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


def _execute(story: _Story, flows: Flows, session: str, signer: str) -> None:
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
    _require(receipt.status == 1 and chain.balance(recipient) == ETHER // 4, "the EVM executed the transfer")
    story.say(f"executed by py-evm: {signed['hash'][:26]}… gas {receipt.gas_used}, recipient holds 0.25 ether")


def _recover(story: _Story, flows: Flows, session: str, signer: str) -> None:
    from eth_account import Account
    from eth_account.messages import encode_defunct

    signed = flows.sign("Message", session, {"text": "hello"})
    recovered = Account.recover_message(encode_defunct(text="hello"), signature=signed["signature"])
    _require(recovered.lower() == signer, "the message's signature is the wallet's")
    story.say("a message signature (EIP-191) recovers to the wallet's address with eth-account")


def _prove(story: _Story, flows: Flows, session: Any, state: Path) -> None:
    from attestation.bundle import Bundle, IdentityOpening
    from host_proxy.client.flows import decode_b64u
    from simulator import settings

    story.step("The whole chain is verified by a separate command, offline")
    opening = IdentityOpening(decode_b64u(session.salt), settings.SCOPE, session.identity)
    bundle = state / "proof.bundle"
    bundle.write_bytes(Bundle(flows.binding_document(), decode_b64u(session.attestation), opening).encode())
    verdict = _command("simulator", "--state", str(state), "verify", str(bundle), "--json")
    _require(verdict.returncode == 0, "the simulator's verify accepts the bundle")
    result = json.loads(verdict.stdout)
    story.say(f"$ chancery-sim verify proof.bundle → verified, root: {result['root']}")
    story.say(f"  {result['identity']} · key …{result['auth_key']['public_key'][-12:]} · {result['origin']}")
    refusal = _command("host_proxy", "verify", str(bundle))
    _require(refusal.returncode == ExitCode.FAILED, "the shipped verify refuses the simulator's root")
    story.say(f"$ chancery verify proof.bundle → {refusal.stderr.strip()[:96]}…")


async def _one_holder_down(story: _Story, appliance: Appliance) -> None:
    from simulator import settings
    from simulator.kms.faults import Fault

    story.step("One holder of three goes down, and the enclave restarts: nothing changes for the user")
    appliance.stand_ins.kms.set_fault(settings.HOLDERS[0].region, Fault.DOWN)
    await appliance.launcher.stop()  # every key has to be released anew
    health = await appliance.wait_for(
        lambda health: bool(health["serving"] and health["holders"]["failing"]), "serving with one holder down"
    )
    story.say(f"serving again; /health names the missing holder: {json.dumps(health['holders'])}")
    await asyncio.to_thread(_log_in_again, story, appliance)


def _log_in_again(story: _Story, appliance: Appliance) -> None:
    from simulator.mail import code_in

    api, flows = _device(appliance)
    try:
        started = flows.start_mail_login(EMAIL)
        login = flows.finish_mail_login(started, code_in(appliance.stand_ins.mail.messages[-1]))
        signed = flows.sign("Message", flows.create_session().session, {"text": "still here"})
    finally:
        api.close()
    _require(signed["signer"] == login.signer, "the same wallet signs")
    story.say(f"logged in again, same wallet, and it signs: {login.signer}")


async def _edited_image(story: _Story, state: Path) -> None:
    """One line more in `enclave/`, and the holders refuse."""
    import shutil

    from host_proxy.logging import Log
    from simulator.appliance import SOURCE_ROOT, Options, running
    from simulator.image import APP_PACKAGES

    story.step("Somebody edits one line of the enclave: the holders refuse")
    with tempfile.TemporaryDirectory(prefix="chancery-edited-") as folder:
        source = Path(folder)
        for package in (*APP_PACKAGES, "simulator"):
            shutil.copytree(SOURCE_ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
        with (source / "enclave" / "wallets.py").open("a") as file:
            file.write("\n# a line that nobody approved\n")
        with (state / "host.log").open("a") as stream:
            options = Options(listen="127.0.0.1:0", log=Log(stream), source_root=source, pin=False)
            async with running(state, options) as appliance:
                story.say(f"PCR0 {appliance.image.pcrs[0].hex()[:48]}…")
                await _refused(story, appliance)


async def _refused(story: _Story, appliance: Appliance) -> None:
    health = await appliance.wait_for(
        lambda health: len((health["holders"] or {}).get("failing", ())) == 3, "every holder has answered"
    )
    _require(not health["serving"], "the edited image does not serve")
    _require(set(health["holders"]["failing"].values()) == {"kms-denied"}, "every holder refuses")
    story.say(f"it stays {health['phase']}; holders say: {json.dumps(health['holders']['failing'])}")


def _command(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    root = str(Path(__file__).resolve().parents[1])
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, timeout=60)


def _words(understood: dict[str, Any]) -> str:
    words = understood.get("words")
    return "; ".join(words) if isinstance(words, list) else str(words or understood)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"not so: {what}")
