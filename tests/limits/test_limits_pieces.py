"""Limits of small readers: the module's replies, sysfs, revocation lists (DO-01)."""

from pathlib import Path

import cbor2
import pytest

from attestation import revocation
from attestation.errors import AttestationError
from attestation.policy import AllOf, AnyImage
from attestation.revocation import NotRevoked
from attestation.verify import verify
from enclave.errors import BootError, NsmError
from enclave.nsm import messages
from enclave.system import SystemClock, parent_cid
from protocol import limits
from tests.attestation import pki


def test_depth_of_a_reply_of_the_module() -> None:
    description = {
        "version_major": 1,
        "version_minor": 0,
        "version_patch": 0,
        "module_id": "i-1",
        "max_pcrs": 32,
        "locked_pcrs": [0],
        "digest": "SHA384",
    }
    deepest = {"DescribeNSM": description}
    assert limits.MAX_NSM_RESPONSE_DEPTH == 3, "the reply, its fields, the locked registers"
    assert messages.parse_describe(cbor2.dumps(deepest)).locked_pcrs == {0}
    for too_deep in ({"DescribeNSM": description | {"locked_pcrs": [[0]]}}, {"Error": [[[["x"]]]]}):
        with pytest.raises(NsmError, match="nsm-malformed"):
            messages.parse_describe(cbor2.dumps(too_deep))


def test_attribute_of_sysfs(tmp_path: Path) -> None:
    path = tmp_path / "devices/system/clocksource/clocksource0/current_clocksource"
    path.parent.mkdir(parents=True)
    path.write_text("kvm-clock".ljust(limits.MAX_SYSFS_BYTES))
    assert SystemClock(tmp_path).source() == "kvm-clock"
    path.write_text("kvm-clock".ljust(limits.MAX_SYSFS_BYTES + 1))
    with pytest.raises(BootError, match="clock-source"):
        SystemClock(tmp_path).source()


def test_command_line_of_the_kernel(tmp_path: Path) -> None:
    path = tmp_path / "cmdline"
    path.write_text("chancery.parent_cid=2".ljust(limits.MAX_CMDLINE_BYTES))
    assert parent_cid(path) == 2
    path.write_text("chancery.parent_cid=2".ljust(limits.MAX_CMDLINE_BYTES + 1))
    with pytest.raises(BootError, match="cmdline"):
        parent_cid(path)


def test_revocation_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a list of exactly this size nor one byte more is quick to make, so the cap moves to the list."""
    from tests.attestation.test_chain import revocation_list

    crl = revocation_list(pki.ROOT)
    policy = AllOf((AnyImage(), NotRevoked((crl,))))
    monkeypatch.setattr(revocation.limits, "MAX_REVOCATION_LIST_BYTES", len(crl))
    assert verify(pki.document(), policy, pki.NOW_MS, [pki.root()])
    monkeypatch.setattr(revocation.limits, "MAX_REVOCATION_LIST_BYTES", len(crl) - 1)
    with pytest.raises(AttestationError, match="policy-malformed"):
        verify(pki.document(), policy, pki.NOW_MS, [pki.root()])
