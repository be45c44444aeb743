"""Share holders that are down, hung or lying: one changes nothing for users, two give one clear error (SH-*, KM-*)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from simulator import settings
from simulator.kms.faults import Fault
from simulator.stand_ins import StandIns
from tests.e2e.e2e_support import HOLDERS, Site, failing, new_email, prepared, refused

OWNER = "owner@example.com"
REGION_OF = {seat.name: seat.region for seat in settings.HOLDERS}
SHORT_LEASE = {"limits": {"holder_lease_s": 10}}

# What the enclave says of a holder that fails so; None where it does not fail, but comes late.
NAMED = {
    Fault.DOWN: "kms-egress-refused",
    Fault.UNAVAILABLE: "kms-status",
    Fault.THROTTLED: "kms-throttled",
    Fault.HUNG: "kms-deadline",
    Fault.SLOW: None,
    Fault.WRONG_KEY_BYTES: "kms-wrong-key",
    Fault.WRONG_KEY_ID: "kms-key-id",
    Fault.PLAINTEXT: "kms-plaintext-reply",
    Fault.PLAINTEXT_BESIDE: "kms-plaintext-reply",
    Fault.GARBAGE_ENVELOPE: "kms-envelope",
    Fault.FOREIGN_ENVELOPE: "kms-wrong-key",
}
LIES = set(NAMED) - {Fault.DOWN, Fault.UNAVAILABLE, Fault.THROTTLED, Fault.HUNG, Fault.SLOW}
# The holders take turns: each is down once, hung once, and lies twice.
CASES = [(fault, HOLDERS[number % 3]) for number, fault in enumerate(NAMED)]
CASES += [(Fault.HUNG, holder) for holder in HOLDERS if (Fault.HUNG, holder) not in CASES]


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The state of a deployment that was made while all was well, and the wallet of a user it has had since then."""
    state = tmp_path_factory.mktemp("founded")
    with Site(state) as site:
        return state, site.serving().user().log_in(OWNER).signer


@contextmanager
def booted(state: Path, faults: dict[str, Fault], **options: Any) -> Iterator[Site]:
    """An appliance whose holders misbehave from the first call on, so that no key is under a lease from before."""

    def spoil(stand_ins: StandIns) -> None:
        for holder, fault in faults.items():
            stand_ins.kms.set_fault(REGION_OF[holder], fault, delay_s=1.5)

    with ExitStack() as stack:
        with prepared(spoil):
            site = stack.enter_context(Site(state, **options))
        yield site


def heal(site: Site, *holders: str) -> None:
    for holder in holders:
        site.stand_ins.kms.set_fault(REGION_OF[holder], None)


def test_every_way_to_fail_is_tried_and_every_holder_is_down_hung_and_lying() -> None:
    assert {fault for fault, _ in CASES} == set(Fault)
    for kinds in ({Fault.DOWN, Fault.UNAVAILABLE, Fault.THROTTLED}, {Fault.HUNG}, LIES):
        assert {holder for fault, holder in CASES if fault in kinds} == set(HOLDERS)


@pytest.mark.parametrize(("fault", "holder"), CASES, ids=[f"{fault.value}-{holder}" for fault, holder in CASES])
def test_one_bad_holder_of_three_changes_nothing_for_users_and_is_named(
    founded: tuple[Path, str], fault: Fault, holder: str
) -> None:
    state, wallet = founded
    with booted(state, {holder: fault}) as site:
        health = site.wait_for(lambda health: health["serving"], "the fastest two are enough")
        if fault is Fault.HUNG:
            assert failing(health) == {}  # it was not waited for
        owner, newcomer = site.user(), site.user()
        assert owner.ready(OWNER)[0] == wallet
        assert owner.recovered(owner.flows.create_session().session) == wallet
        address, session = newcomer.ready()
        assert newcomer.recovered(session.session) == address != wallet
        if (fault, holder) in CASES[-2:]:
            return  # the deadline of a hung call takes its seconds; to wait for it once is enough
        code = NAMED[fault]
        expected = {} if code is None else {holder: code}
        health = site.wait_for(
            lambda health: failing(health) == expected and health["holders"]["available"] == 3 - len(expected),
            f"{expected} named",
        )
        assert health["status"] == ("degraded" if expected else "ok")
        assert (health["serving"], health["holders"]["may_fail"]) == (True, 1 - len(expected))


def test_wallet_made_while_a_holder_was_away_survives_the_loss_of_another(founded: tuple[Path, str]) -> None:
    state, email = founded[0], new_email()
    with booted(state, {HOLDERS[0]: Fault.DOWN}) as site:
        wallet = site.serving().user().log_in(email).signer
        heal(site, HOLDERS[0])
        # The next login asks the holder again; the one after that finds its key at hand and makes the missing share.
        site.wait_for(lambda health: site.user().log_in() is not None and not failing(health), "the holder is back")
        assert site.user().log_in(email).signer == wallet
    with booted(state, {HOLDERS[1]: Fault.DOWN}) as site:
        user = site.serving().user()
        assert user.ready(email)[0] == wallet
        assert user.recovered(user.flows.create_session().session) == wallet
        site.wait_for(lambda health: failing(health) == {HOLDERS[1]: "kms-egress-refused"}, "another one is away")


def test_two_holders_lost_in_operation_health_says_so_first_then_one_error_then_recovery(tmp_path: Path) -> None:
    with Site(tmp_path, changes=SHORT_LEASE) as site:
        user = site.serving().user()
        wallet, session = user.ready()
        for holder, fault in ((HOLDERS[0], Fault.DOWN), (HOLDERS[2], Fault.WRONG_KEY_BYTES)):
            site.stand_ins.kms.set_fault(REGION_OF[holder], fault)
        health = site.wait_for(lambda health: health["status"] == "down", "health tells")
        assert failing(health) == {HOLDERS[0]: "kms-egress-refused", HOLDERS[2]: "kms-wrong-key"}
        assert (health["holders"]["available"], health["holders"]["may_fail"]) == (1, 0)
        assert user.recovered(session.session) == wallet  # leases still run: no user has met it yet
        site.wait_for(lambda _: user.sign_message(session.session).status != 200, "leases end")
        assert user.sign_message(session.session).code == 7308
        with refused() as refusal:
            site.user().log_in()
        assert refusal.code == 7308
        heal(site, HOLDERS[0])
        site.wait_for(lambda health: health["status"] == "degraded", "one holder is back")
        assert user.recovered(session.session) == wallet
        assert site.user().log_in().signer != wallet
        heal(site, HOLDERS[2])
        site.wait_for(lambda health: health["status"] == "ok", "all holders are back")


def test_two_holders_away_at_boot_nothing_is_served_until_one_is_back(founded: tuple[Path, str]) -> None:
    state, wallet = founded
    away = dict.fromkeys(HOLDERS[:2], Fault.DOWN)
    with booted(state, away) as site:
        health = site.wait_for(lambda health: len(failing(health)) == 2, "both are named")
        assert failing(health) == dict.fromkeys(HOLDERS[:2], "kms-egress-refused")
        assert (health["status"], health["phase"], health["serving"]) == ("down", "booting", False)
        user = site.user()
        params = {"identityType": "Email", "authMode": "OTP", "handle": OWNER, "scope": user.scope}
        reply = site.send("/rpc/IdentityInstrument/CommitVerifier", user.envelope(params))
        assert reply.code == 7309
        assert not site.stand_ins.mail.messages
        heal(site, HOLDERS[0])
        site.serving()
        assert user.log_in(OWNER).signer == wallet


def test_new_deployment_is_not_founded_without_all_holders(tmp_path: Path) -> None:
    """Otherwise the absent one could never open a share."""
    with booted(tmp_path, {HOLDERS[1]: Fault.PLAINTEXT}) as site:
        health = site.wait_for(lambda health: bool(failing(health)), "the liar is named")
        assert failing(health) == {HOLDERS[1]: "kms-plaintext-reply"}
        assert health["phase"] == "booting"
        heal(site, HOLDERS[1])
        assert site.serving().user().log_in().signer
