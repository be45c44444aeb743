"""A relay for the tests that keeps what it gets, and what it got, read back."""

from enclave.errors import RelayError
from evm.address import Address, parse_address
from evm.wallet.context import DEFAULT_CONTEXT, GUEST_MODULE
from evm.wallet.deploy import deploy_call
from evm.wallet.operation_hash import Operation
from evm.wallet.packed_calls import parse_packed_calls
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.parsing import parse_signature
from evm.wallet.signature.recovering import recover
from protocol.relaying import Relayed, RelayFees, RelayStatus

HASH = "0x" + "ab" * 32


class KeepingRelay:
    """A relay that keeps what it gets and answers as it is told."""

    def __init__(self) -> None:
        self.sent: list[Relayed] = []
        self.answer: RelayStatus | RelayError = RelayStatus("pending", HASH)
        self.priced: list[Relayed] = []
        self.price = RelayFees("[]")

    async def send(self, relayed: Relayed) -> RelayStatus:
        self.sent.append(relayed)
        return self._answer()

    async def fees(self, relayed: Relayed) -> RelayFees:
        self.priced.append(relayed)
        return self.price

    async def status(self, chain_id: int, id_: bytes) -> RelayStatus:
        return self._answer()

    def _answer(self) -> RelayStatus:
        if isinstance(self.answer, RelayError):
            raise self.answer
        return self.answer


def verify_relayed(sent: Relayed, meant: Operation, wallet: str) -> None:
    """Both forms carry the operation, with a signature that the wallet's first configuration has made."""
    address = Address(parse_address(wallet))
    [execute] = sent.execute
    assert sent.wallet == execute.to == address
    arguments = execute.data[4:]
    packed, signature = (dynamic_at(arguments, 32 * index) for index in range(2))
    payload = parse_packed_calls(packed, address)
    assert payload == meant.payload
    recovered = recover(parse_signature(signature), meant, KnownContracts(meant.chain_id))
    assert recovered.weight >= recovered.threshold
    assert DEFAULT_CONTEXT.wallet_address(recovered.image_hash) == address
    creating = parse_packed_calls(sent.create_and_execute.data, GUEST_MODULE)
    assert sent.create_and_execute.to == GUEST_MODULE
    assert creating.calls[0] == deploy_call(DEFAULT_CONTEXT, recovered.image_hash)
    assert (creating.calls[1].to, creating.calls[1].data) == (address, execute.data)


def dynamic_at(data: bytes, head: int) -> bytes:
    at = int.from_bytes(data[head : head + 32], "big")
    size = int.from_bytes(data[at : at + 32], "big")
    return data[at + 32 : at + 32 + size]
