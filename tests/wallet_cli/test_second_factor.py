"""A guard that asks for a second factor gets the one that a person types, with the same request."""

from collections.abc import Mapping
from typing import Any

import pytest
from eth_account import Account

from evm.address import Address, checksum
from evm.wallet.operation_hash import operation_hash
from evm.wallet.payload import Call, CallsPayload
from host_proxy.cli.wallet_guard import Cosigner
from host_proxy.client.errors import ServiceRefusal
from host_proxy.client.guard_words import in_words
from protocol.guard_errors import REQUIRES_PIN, REQUIRES_TOTP

GUARD = Account.from_key(b"\x51" * 32)
WALLET = Address(b"\x11" * 20)
PAYLOAD = CallsPayload((Call(Address(b"\x44" * 20), value=1),))
DIGEST = operation_hash(PAYLOAD, WALLET, 1)
SIGNED = {"wallet": checksum(WALLET), "digest": "0x" + DIGEST.hex(), "signer": checksum(WALLET), "signature": "0x"}


class Asking:
    """A guard that wants `factor` to be `right`."""

    def __init__(self, code: int, right: str) -> None:
        self.code, self.right = code, right
        self.asked: list[Any] = []

    def sign(self, request: Mapping[str, Any], token: Mapping[str, str] | None = None) -> str:
        self.asked.append(request)
        if token is None or token["token"] != self.right:
            cause = "guard:second-factor:large" if token is None else "guard:second-factor:wrong"
            raise ServiceRefusal({"code": self.code, "msg": "refused", "cause": cause})
        assert token["id"] == {REQUIRES_TOTP.code: "TOTP", REQUIRES_PIN.code: "PIN"}[self.code]
        return "0x" + bytes(GUARD.unsafe_sign_hash(DIGEST).signature).hex()

    def judge(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"words": ["reasons"]}


@pytest.mark.parametrize("row", [REQUIRES_TOTP, REQUIRES_PIN])
def test_code_is_asked_for_and_sent_with_the_same_request(row: Any) -> None:
    guard = Asking(row.code, "123456")
    cosigner = Cosigner(guard, lambda _: None, lambda _: "123456")  # type: ignore[arg-type]
    assert cosigner.leaf(PAYLOAD, 1, SIGNED)["address"] == GUARD.address.lower()
    assert len(guard.asked) == 2
    assert guard.asked[0] == guard.asked[1]


def test_wrong_code_ends_it_with_a_sentence() -> None:
    cosigner = Cosigner(Asking(6600, "123456"), lambda _: None, lambda _: "000000")  # type: ignore[arg-type]
    with pytest.raises(ServiceRefusal) as refused:
        cosigner.leaf(PAYLOAD, 1, SIGNED)
    assert in_words(refused.value) == "That code is not the right one. (guard:second-factor:wrong)"


def test_program_that_nobody_can_be_asked_at_is_refused() -> None:
    told: list[list[str]] = []
    with pytest.raises(ServiceRefusal, match="guard:second-factor:large"):
        Cosigner(Asking(6600, "1"), told.append).leaf(PAYLOAD, 1, SIGNED)  # type: ignore[arg-type]
    assert told == [["reasons"]]
