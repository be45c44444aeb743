"""A relay through a relayer's API in Sequence's form: the relayer pays, orders and mines; here it is asked and believed
only as far as a host is. It knows an operation by the digest that was signed, and so does this file.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

from host_proxy.errors import RelayFault
from host_proxy.relay.outbox import Outbox
from host_proxy.relay.port import Operation, State, Status
from host_proxy.relay.rpc import post
from protocol import limits

_PATH: Final = "/rpc/Relayer/"
_WAITING: Final = ("QUEUED", "SENT")
_DONE: Final = {"SUCCEEDED": True, "PARTIALLY_FAILED": False, "FAILED": False}
_GONE: Final = "DROPPED"
_NOT_FOUND: Final = 404


class SequenceRelay:
    """`Relay` for one chain, by a relayer whose address names the chain."""

    def __init__(
        self, url: str, outbox: Outbox, *, access_key: str | None = None, http: httpx.AsyncClient | None = None
    ) -> None:
        self._url = url.rstrip("/") + _PATH
        self._outbox = outbox
        self._headers = {} if access_key is None else {"X-Access-Key": access_key}
        self._http = http or httpx.AsyncClient(timeout=limits.RELAY_DEADLINE_S, trust_env=False)

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._http.aclose()

    async def send(self, operations: list[Operation]) -> list[Status]:
        self._outbox.take(operations)
        return [await self._look_after(operation) for operation in operations]

    async def status(self, operation_id: str) -> Status:
        operation, receipt = self._outbox.find(operation_id)
        return _status(receipt) if receipt else _status(await self._receipt(operation))

    async def is_busy_for(self, wallet: str) -> bool:
        for operation in [waiting for waiting in self._outbox.unsettled() if waiting.wallet == wallet]:
            receipt = await self._receipt(operation)
            if receipt is None or receipt["status"] in _WAITING:
                return True
        return False

    async def advance(self) -> None:
        for operation in self._outbox.unsettled():
            await self._look_after(operation)

    async def fee_options(self, operation: Operation) -> tuple[list[dict[str, Any]], str | None]:
        asked = {"wallet": operation.wallet, "to": operation.to, "data": operation.data}
        answer = await self._call("FeeOptions", asked)
        options, quote = answer.get("options") or [], answer.get("quote")
        if not isinstance(options, list) or not all(isinstance(option, dict) for option in options):
            raise RelayFault("relay-answer", "fee options")
        if quote is not None and not isinstance(quote, str):
            raise RelayFault("relay-answer", "fee quote")
        return options, quote

    async def _look_after(self, operation: Operation) -> Status:
        """Ask for the operation first; send it only if the relayer has never heard of it."""
        _, kept = self._outbox.find(operation.id)
        receipt = kept or await self._receipt(operation)
        if receipt is None:
            await self._submit(operation)
            return Status(State.PENDING)
        if receipt["status"] in _DONE:
            self._outbox.settle(operation.id, receipt)
        elif receipt["status"] == _GONE:
            self._outbox.forget(operation.id)
            raise RelayFault("relay-unknown")
        return _status(receipt)

    async def _submit(self, operation: Operation) -> None:
        call = {"walletAddress": operation.wallet, "contract": operation.to, "input": operation.data}
        quote = {} if operation.quote is None else {"quote": operation.quote}
        answer = await self._call("SendMetaTxn", {"call": call} | quote)
        if answer.get("status") is not True or not isinstance(answer.get("txnHash"), str):
            raise RelayFault("relay-answer", "not taken")
        if answer["txnHash"].removeprefix("0x").lower() != operation.id[2:]:
            raise RelayFault("relay-answer", "another operation")

    async def _receipt(self, operation: Operation) -> dict[str, Any] | None:
        """The relayer's receipt; None when it does not know the operation."""
        answer = await self._call("GetMetaTxnReceipt", {"metaTxID": operation.id[2:]}, missing={"receipt": None})
        receipt = answer.get("receipt")
        if receipt is None:
            return None
        if not isinstance(receipt, dict) or str(receipt.get("id")).removeprefix("0x").lower() != operation.id[2:]:
            raise RelayFault("relay-answer", "receipt")
        status = receipt.get("status")
        if status == "UNKNOWN":
            return None
        if status not in (*_WAITING, *_DONE, _GONE):
            raise RelayFault("relay-answer", "status")
        return receipt

    async def _call(
        self, method: str, arguments: Mapping[str, Any], *, missing: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The result of a method; `missing` where the relayer answers that there is no such thing."""
        status, answer = await post(self._http, self._url + method, arguments, self._headers)
        if status == _NOT_FOUND and missing is not None:
            return missing
        if status != httpx.codes.OK:
            raise RelayFault("relay-refused", str(status))
        if not isinstance(answer, dict):
            raise RelayFault("relay-answer", "not an object")
        return answer


def _status(receipt: dict[str, Any] | None) -> Status:
    if receipt is None or receipt["status"] not in _DONE:
        return Status(State.PENDING)
    try:
        native = json.loads(receipt.get("txnReceipt") or "{}")
    except (TypeError, ValueError):
        raise RelayFault("relay-answer", "receipt") from None
    tx_hash = receipt.get("txnHash") or (native.get("transactionHash") if isinstance(native, dict) else None)
    return Status(State.FINAL, tx_hash, _DONE[receipt["status"]], receipt)
