"""What a boot hands to the methods: configuration, ports, and what was opened or made in this boot."""

from dataclasses import dataclass, field

from enclave.clock import TrustedClock
from enclave.config import Config
from enclave.deployment import Deployment, DeploymentSecrets
from enclave.ports import Ports
from enclave.second_opinion import SecondOpinion
from enclave.shards import Shards
from enclave.siblings import Siblings
from enclave.versions import Versions
from enclave.workers import Worker


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a method may need. `epoch`: this boot's random name."""

    config: Config
    ports: Ports
    clock: TrustedClock
    shards: Shards
    deployment: Deployment
    secrets: DeploymentSecrets = field(repr=False)
    epoch: bytes
    second_opinion: SecondOpinion
    pcr0: bytes
    version: str
    """Measurement and version of the image, for those who ask."""
    versions: Versions
    worker: Worker
    siblings: Siblings
