"""The enclave of the tests on an instance whose register 4 fits its module id, so that its documents verify."""

from collections.abc import Mapping

from attestation import pcr
from simulator.nsm import SimulatedNsm
from tests.appliance import MODULE_ID, PCRS, World

_INSTANCE = {4: pcr.of_instance(MODULE_ID.partition("-enc")[0])}


class AttestedWorld(World):
    """`measured` is the image that the next boot runs."""

    measured: Mapping[int, bytes] = PCRS

    def new_nsm(self, pcrs: Mapping[int, bytes] | None = None, *, debug: bool = False) -> SimulatedNsm:
        return super().new_nsm({**(pcrs or self.measured), **_INSTANCE}, debug=debug)
