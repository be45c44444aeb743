"""The guard's part in a wallet's signatures: asked for with the login's signature, and given back in its form.

A guard judges the payload itself, so it is sent whole; what it signs has to be the digest that the login has signed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from host_proxy.cli import user
from host_proxy.cli.exit_codes import ExitCode, leave
from host_proxy.cli.guard_rules import guard_at

if TYPE_CHECKING:
    from evm.wallet.payload import Payload
    from host_proxy.client.guard import GuardClient
    from host_proxy.client.wallet_flows import WalletFlows

GuardUrl = Annotated[
    str | None, typer.Option("--guard", help="The guard: have it sign, too, for a complete signature.")
]
GuardPolicy = Annotated[Path | None, typer.Option("--guard-policy", help="Accepted images of the guard.")]

_JUDGED = ("guard:deny:", "guard:second-factor:", "guard:review:")


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A guard that was chosen for a command."""

    guard: GuardClient
    tell: Callable[[list[str]], None]
    """Gets the guard's reasons for a refusal."""
    ask: Callable[[str], str] | None = None
    """Asks for a second factor, `TOTP` or `PIN`."""

    def leaf(self, payload: Payload, chain_id: int, signed: dict[str, Any]) -> dict[str, Any]:
        """The guard's signature in the hand-over form, over what `signed` (an answer of a signing method) is about.

        `ServiceRefusal`, after the guard's reasons were told.
        """
        from evm.errors import EvmError
        from evm.signature import parse_signature
        from host_proxy.client.errors import ClientError, ServiceRefusal

        request = request_for(payload, chain_id, signed)
        try:
            answer = self._answer(request)
        except ServiceRefusal as refusal:
            if str(refusal.error.get("cause", "")).startswith(_JUDGED):
                self.tell(self.guard.judge(request)["words"])
            raise
        try:
            signature = parse_signature(bytes.fromhex(answer[2:]))
            signer = signature.recover(bytes.fromhex(signed["digest"][2:]))
        except (EvmError, ValueError):
            raise ClientError("malformed", "the guard's answer is no signature over this") from None
        r, s = (f"0x{number:064x}" for number in (signature.r, signature.s))
        body = {"type": "hash", "r": r, "s": s, "yParity": signature.y_parity}
        return {"address": "0x" + signer.hex(), "signature": body}

    def judged(self, payload: Payload, chain_id: int, signed: dict[str, Any]) -> dict[str, Any]:
        """What the guard would decide about it now, with its reasons."""
        return self.guard.judge(request_for(payload, chain_id, signed))

    def _answer(self, request: dict[str, Any]) -> str:
        """The guard's, with a second factor if it asks for one."""
        from host_proxy.client.errors import ServiceRefusal

        try:
            return self.guard.sign(request)
        except ServiceRefusal as refusal:
            factor = _factors().get(int(refusal.error.get("code", 0)))
            if factor is None or self.ask is None:
                raise
            return self.guard.sign(request, {"id": factor, "token": self.ask(factor)})

    def whole_update(self, flows: WalletFlows, update: dict[str, Any]) -> str:
        """The complete signature of an update to `update["imageHash"]`, which the login has signed for every chain."""
        from evm.address import parse_address
        from evm.wallet.configuration_json import parse_configuration
        from evm.wallet.operation_hash import Operation
        from evm.wallet.payload import ConfigUpdatePayload
        from evm.wallet.signature.encoding import encode_signature
        from evm.wallet.signature.merging import assemble
        from evm.wallet.signature.signature_json import parse_leaf_signature

        payload = ConfigUpdatePayload(bytes.fromhex(update["imageHash"][2:]))
        leaves = [parse_leaf_signature(leaf) for leaf in (update["leaf"], self.leaf(payload, 0, update))]
        operation = Operation(payload, parse_address(update["wallet"]), 0, no_chain_id=True)
        present = parse_configuration(flows.configuration()["configuration"])
        return "0x" + encode_signature(assemble(present, operation, leaves)).hex()

    def register(self, flows: WalletFlows) -> dict[str, Any]:
        """Show the guard the wallet's present configuration."""
        found = flows.configuration()
        context, first = flows.address()["context"], found["imageHash"] == found["deployHash"]
        updates = [update["signature"] for update in found["updates"]]
        return self.guard.register(found["configuration"], context, None if first else found["address"], updates)


@contextmanager
def cosigner(context: typer.Context, url: str | None, policy: Path | None) -> Iterator[Cosigner | None]:
    """The guard at `url`; None if none was chosen."""
    if url is None:
        yield None
        return
    with guard_at(context, url, policy) as guard:
        yield Cosigner(guard, on_terminal, ask_at_terminal)


def on_terminal(words: list[str]) -> None:
    """Print what a guard said, where errors are printed."""
    typer.echo(user.printable("\n".join(words)), err=True)


def ask_at_terminal(factor: str) -> str:
    """Ask a person; a PIN is not shown."""
    what = "PIN" if factor == "PIN" else "Code of your authenticator app"
    return str(typer.prompt(what, hide_input=factor == "PIN", err=True))


def _factors() -> dict[int, str]:
    """The published codes that ask for a second factor."""
    from protocol.guard_errors import REQUIRES_PIN, REQUIRES_TOTP

    return {REQUIRES_TOTP.code: "TOTP", REQUIRES_PIN.code: "PIN"}


def request_for(payload: Payload, chain_id: int, signed: dict[str, Any]) -> dict[str, Any]:
    """The published form of what a guard is asked to sign, with the login's signature."""
    from evm.address import parse_address
    from evm.wallet.payload_json import typed_data

    document = typed_data(payload, parse_address(signed["wallet"]), chain_id)
    return {
        "chainId": chain_id,
        "msg": signed["digest"],
        "wallet": signed["wallet"],
        "payloadType": document["primaryType"],
        "payloadData": "0x" + json.dumps(document).encode().hex(),
        "signatures": [{"address": signed["signer"], "type": "Hash", "data": signed["signature"]}],
    }


def payload_of(source: str, value: Any) -> Payload:
    """What is signed for `value`, which the member `source` of a signing request carries. Leaves for what has no
    document that a guard could read.
    """
    from evm.errors import EvmError
    from evm.message import parse_message
    from evm.typed_data.document import parse_typed_data
    from evm.wallet.erc1271 import message_payload, personal_preimage, typed_data_preimage
    from evm.wallet.operation_hash import RecoveryPayload
    from evm.wallet.payload_json import parse_payload

    try:
        if source == "message":
            return message_payload(personal_preimage(parse_message(value).data))
        if source == "typedData":
            return message_payload(typed_data_preimage(parse_typed_data(value)))
        payload = parse_payload(value)
    except EvmError as error:
        leave(ExitCode.USAGE, f"this is nothing that a guard could read ({error.code})")
    if isinstance(payload, RecoveryPayload):
        leave(ExitCode.USAGE, "recovery is queued without a guard: `wallet queue-recovery`")
    return payload


def cancelling_payload(space: str, nonce: str) -> Payload:
    """Calls of nothing that use up a nonce of what was queued. Called once the enclave has taken both numbers."""
    from evm.wallet.payload import CallsPayload

    return CallsPayload((), int(space), int(nonce))
