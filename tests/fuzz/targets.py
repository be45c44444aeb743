"""Every target by its name: one for each parser and for each place where bytes of others come in."""

from typing import Final

from tests.fuzz import (
    account_targets,
    appliance_targets,
    attestation_targets,
    channel_targets,
    delegation_targets,
    eif_targets,
    enclave_targets,
    guard_targets,
    host_targets,
    login_targets,
    session_targets,
    simulator_targets,
    tenant_targets,
    wallet_request_targets,
    wallet_targets,
    wire_targets,
)
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    **wire_targets.TARGETS,
    **attestation_targets.TARGETS,
    **enclave_targets.TARGETS,
    **account_targets.TARGETS,
    **login_targets.TARGETS,
    **session_targets.TARGETS,
    **appliance_targets.TARGETS,
    **channel_targets.TARGETS,
    **eif_targets.TARGETS,
    **host_targets.TARGETS,
    **simulator_targets.TARGETS,
    **wallet_targets.TARGETS,
    **wallet_request_targets.TARGETS,
    **guard_targets.TARGETS,
    **delegation_targets.TARGETS,
    **tenant_targets.TARGETS,
}
