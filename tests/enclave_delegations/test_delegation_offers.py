"""What was shown, in memory: bounded, for one device, for some minutes."""

from typing import cast

from enclave.delegations.limits import MAX_OFFERING_DEVICES, MAX_OFFERS, OFFER_S
from enclave.delegations.offers import Offers
from enclave.delegations.proposals import Proposal


class Shown:
    """As much of a proposal as is looked at here."""

    def __init__(self, number: int) -> None:
        self.hash = number.to_bytes(32, "big")


def add(offers: Offers, device: str, number: int, now_ms: int = 0) -> None:
    offers.add("@1", device, cast(Proposal, Shown(number)), now_ms)


def finds(offers: Offers, device: str, number: int, now_ms: int = 0, scope: str = "@1") -> bool:
    return offers.find(scope, device, number.to_bytes(32, "big"), now_ms) is not None


def test_offer_is_for_one_device_in_one_scope_and_for_its_time() -> None:
    offers = Offers()
    add(offers, "a", 1)
    assert finds(offers, "a", 1)
    assert not finds(offers, "b", 1)
    assert not finds(offers, "a", 1, scope="@2")
    assert finds(offers, "a", 1, OFFER_S * 1000 - 1)
    assert not finds(offers, "a", 1, OFFER_S * 1000)


def test_offers_of_a_device_and_devices_are_bounded_and_the_oldest_go_first() -> None:
    offers = Offers()
    for number in range(MAX_OFFERS + 1):
        add(offers, "a", number)
    assert [finds(offers, "a", number) for number in range(MAX_OFFERS + 1)] == [False] + [True] * MAX_OFFERS
    for number in range(MAX_OFFERING_DEVICES):
        add(offers, f"device {number}", 1)
    assert not finds(offers, "a", MAX_OFFERS)
    assert finds(offers, "device 0", 1)
