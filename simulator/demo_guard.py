"""The demo's part on two keys: a wallet that needs instrument and guard, and what the guard lets through."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from simulator import demo_user, guard_settings, settings
from simulator.guard_settings import CHAIN
from simulator.story import Story, require

if TYPE_CHECKING:
    from evm.wallet.configuration import Configuration
    from evm.wallet.signature.filling import LeafSignature
    from host_proxy.cli.wallet_guard import Cosigner
    from host_proxy.client.wallet_flows import WalletFlows
    from simulator.appliance import Appliance

_COIN: Final = 10**18
_THIEF: Final = "0x7777777777777777777777777777777777777777"
_APPROVE_EVERYTHING: Final = "0x095ea7b3" + _THIEF[2:].rjust(64, "0") + "f" * 64


@dataclass(frozen=True, slots=True)
class _Two:
    """A wallet and the two enclaves that sign for it."""

    wallet: WalletFlows
    guard: Cosigner
    configuration: Configuration
    told: list[list[str]]
    """The guard's reasons, as far as it gave some."""

    def by_login(self, payload: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
        """The login's signature, and what it makes together with `others`."""
        return self.wallet.sign(CHAIN, "payload", payload, list(others))

    def by_guard(self, payload: dict[str, Any], signed: dict[str, Any]) -> dict[str, Any]:
        """The guard's signature; `ServiceRefusal`."""
        from host_proxy.cli.wallet_guard import payload_of

        return self.guard.leaf(payload_of("payload", payload), CHAIN, signed)

    def assembled(self, payload: dict[str, Any], wallet: str, *leaves: dict[str, Any]) -> bytes:
        """The wallet's signature of these parts, complete or not."""
        from evm.address import parse_address
        from evm.wallet.operation_hash import Operation
        from evm.wallet.signature.encoding import encode_signature
        from evm.wallet.signature.merging import assemble
        from evm.wallet.signature.signature_json import parse_leaf_signature
        from host_proxy.cli.wallet_guard import payload_of

        operation = Operation(payload_of("payload", payload), parse_address(wallet), CHAIN)
        given: list[LeafSignature] = list(map(parse_leaf_signature, leaves))
        return encode_signature(assemble(self.configuration, operation, given))


def act_under_guard(story: Story, appliance: Appliance, state: Path) -> None:
    """Everything about the guard, over HTTP, with every answer verified against the image that was measured."""
    from evm.wallet.configuration_json import parse_configuration
    from host_proxy.cli.wallet_guard import Cosigner
    from host_proxy.client.guard import GuardClient
    from host_proxy.client.wallet_flows import WalletFlows

    guard = appliance.guard
    if guard is None:
        raise ValueError("not so: a guard runs beside the instrument")
    story.step("Two enclaves, one wallet: a guard with its own image, holders and rules signs second")
    api, flows = demo_user.device(appliance, settings.GUARDED_SCOPE)
    with closing(api), closing(guard.caller()) as caller:
        demo_user.log_in_by_mail(appliance, flows)
        wallet, client = WalletFlows(api, flows.create_session().session), GuardClient(caller)
        created = wallet.create(device=None, recovery=None, passkey=None)
        client.register(created["configuration"], created["context"])
        story.say(f"guard PCR0 {guard.image.pcrs[0].hex()[:48]}…")
        story.say(f"wallet {created['address']}: the login counts 1, the guard's key {client.rules().signer} 1, of 2")
        told: list[list[str]] = []
        two = _Two(wallet, Cosigner(client, told.append), parse_configuration(created["configuration"]), told)
        _pay(story, two, created["deployHash"])
        _refuse(story, two)
        _review(story, two, guard, state)


def _pay(story: Story, two: _Two, deploy_hash: str) -> None:
    """With each signature alone, and with both, on a chain that keeps to the rules of wallets."""
    from evm.address import parse_address
    from evm.wallet.context import DEFAULT_CONTEXT
    from evm.wallet.deploy import deploy_call, execute_call
    from simulator.chain_node import wallet_chain

    payload = _call(guard_settings.PAYROLL, _COIN // 10)
    signed = two.by_login(payload)
    guards = two.by_guard(payload, signed)
    require(two.by_login(payload, guards)["complete"] and not signed["complete"], "both together are complete")
    chain, wallet = wallet_chain(CHAIN), parse_address(signed["wallet"])
    deploy = deploy_call(DEFAULT_CONTEXT, bytes.fromhex(deploy_hash[2:]))
    require(chain.execute(deploy.to, deploy.data).status, "the wallet is deployed")
    chain.fund(wallet, _COIN)

    def executed(*leaves: dict[str, Any]) -> bool:
        signature = two.assembled(payload, signed["wallet"], *leaves)
        call = execute_call(wallet, bytes.fromhex(signed["packed"][2:]), signature)
        return chain.execute(call.to, call.data).status

    require(not executed(signed["leaf"]) and not executed(guards), "neither signature alone moves anything")
    require(executed(signed["leaf"], guards), "both together do")
    require(chain.balance(parse_address(guard_settings.PAYROLL)) == _COIN // 10, "the payroll is paid")
    story.say("0.1 coins to the payroll, on a chain in memory that computes the rules of the wallet's contracts:")
    story.say("  reverted with the login's signature alone, and with the guard's alone; executed with both")


def _refuse(story: Story, two: _Two) -> None:
    payload = _call(guard_settings.TOKEN, 0, _APPROVE_EVERYTHING)
    cause = _refusal(two, payload, two.by_login(payload))
    require(cause == "guard:deny:no-approvals", "the guard refuses to approve")
    story.say(f"an approval of everything to a stranger: {two.told[-1][0]}")


def _review(story: Story, two: _Two, guard: Appliance, state: Path) -> None:
    from simulator.reviewing import ReviewDesk

    payload = _call(guard_settings.PAYROLL, 2 * _COIN)
    signed = two.by_login(payload)
    cause = _refusal(two, payload, signed)
    prefix, _, id_ = cause.rpartition(":")
    require(prefix == "guard:review", "it is held")
    story.say(f"2 coins to the payroll: above what goes without people, held for reviewers as {id_[:12]}…")
    for name in guard_settings.REVIEWERS[: guard_settings.QUORUM]:
        with closing(guard.caller(sealed=True)) as caller:
            desk = ReviewDesk(caller, guard_settings.passkey(state, name), guard_settings.origin(guard.url))
            story.say(f"  {name} reads it and approves with a passkey: {desk.decide(id_, 'approve')}")
    require(two.by_login(payload, two.by_guard(payload, signed))["complete"], "approved, and so signed")
    require(_refusal(two, payload, signed) != cause, "an approval is for one signature")
    story.say("  asked again, the guard signs, once: complete")


def _refusal(two: _Two, payload: dict[str, Any], signed: dict[str, Any]) -> str:
    """The cause with which the guard refuses."""
    from host_proxy.client.errors import ServiceRefusal

    try:
        two.by_guard(payload, signed)
    except ServiceRefusal as refusal:
        return str(refusal.error["cause"])
    raise ValueError("not so: the guard refuses")


def _call(to: str, value: int, data: str = "0x") -> dict[str, Any]:
    call = {"to": to, "value": str(value), "data": data, "gasLimit": "0", "delegateCall": False, "onlyFallback": False}
    return {"type": "call", "space": "0", "nonce": "0", "calls": [call | {"behaviorOnError": "revert"}]}
