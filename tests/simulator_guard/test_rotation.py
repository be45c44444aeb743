"""Holder keys of a guard rotate from the command line, once each holder's key policy allows the next generation."""

from pathlib import Path

from simulator import guard_settings
from simulator.places import GuardOptions
from tests.e2e.e2e_support import Site
from tests.simulator_guard.conftest import announce
from tests.simulator_guard.terminal import Terminal, payment

ADMINISTRATOR = "olga"


def test_holders_allow_a_generation_and_the_guard_signs_on_with_its_key_under_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    wire = guard_settings.wire_of(state, ADMINISTRATOR)
    with Site(state, guard=GuardOptions(changes={"admins": [wire]})) as site:
        announce(site)
        guard = site.appliance.guard
        assert guard is not None
        terminal = Terminal(site, tmp_path)
        terminal.log_in("owner")
        terminal.run("wallet", "create", "--guard", terminal.guard)
        who = ("--key", terminal.officer(ADMINISTRATOR), "--url", terminal.guard)
        who += ("--deployment", guard_settings.DEPLOYMENT)
        before = terminal.json("guard", "rules", "--url", terminal.guard)["signer"]
        assert "Too few share holders" in terminal.run("admin", "rotate", "1", *who, code=1).stderr
        site.stand_ins.pin(guard.image.pcrs, (1, 2), guard_settings.HOLDERS)
        terminal.run("admin", "rotate", "1", *who)
        terminal.run("admin", "refresh", "1", *who)
        site.do(guard.launcher.stop())  # its keys have to be released anew
        site.do(guard.wait_for(lambda health: not health["serving"], "the guard has ended"))
        site.do(guard.wait_until())
        assert terminal.json("guard", "rules", "--url", terminal.guard)["signer"] == before
        path = terminal.file("pay.json", payment(1))
        sign = ("wallet", "sign", path, "--chain", guard_settings.CHAIN, "--guard", terminal.guard)
        assert "complete" in terminal.run(*sign).stdout
