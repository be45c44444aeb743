"""The ports over four raw things: the NSM, connections to the parent, the clock and the kernel's generator.

Production and simulator differ only in what they pass in here; KMS, store, TLS and mail are the same code over it.
"""

from dataclasses import dataclass

from enclave import boot
from enclave.config import Config
from enclave.kms.client import HttpsKms
from enclave.kms.recipient import RecipientKey
from enclave.net.egress import ConnectEgress
from enclave.net.smtp import SmtpMailer
from enclave.net.tls import client_context
from enclave.nsm.client import NsmClient
from enclave.parent import Dial, ParentServices
from enclave.ports import Clock, Entropy, Kms, Nsm, Ports
from protocol.addresses import KMS_PORT_BASE


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the machine gives. `dial` opens a stream to a vsock port of the parent."""

    nsm: Nsm
    dial: Dial
    clock: Clock
    entropy: Entropy


def compose(config: Config, hardware: Hardware) -> Ports:
    """All ports. The entropy pool is stirred first, because the recipient key is the first key (MS-06)."""
    nsm = NsmClient(hardware.nsm)
    boot.stir_entropy(nsm, hardware.entropy, config.entropy_sources)
    parent = ParentServices(hardware.dial)
    egress = ConnectEgress(hardware.dial, config.destinations())
    recipient = RecipientKey()

    async def attest(public_key: bytes) -> bytes:
        return await nsm.attest(public_key=public_key)

    kms: Kms = HttpsKms(
        egress=egress,
        tls_context=client_context(config.tls_roots.kms),
        clock=hardware.clock,
        recipient=recipient,
        attest=attest,
        credentials=parent.credentials,
    )
    if config.kms_client == "sdk-c":  # it cannot make holder keys with an encryption context; the other client can
        from enclave.kms.sdk_c import Endpoint, SdkKms  # nobody else needs its bindings

        ports = enumerate(config.holders, start=KMS_PORT_BASE + 1)
        endpoints = {holder.name: Endpoint(port=port) for port, holder in ports}
        kms = SdkKms(config.sdk_library, parent.credentials, provisioner=kms, endpoints=endpoints)
    mailer = SmtpMailer(egress, client_context(config.tls_roots.mail), config.mail)
    return Ports(
        nsm=hardware.nsm,
        kms=kms,
        store=parent,
        egress=egress,
        mailer=mailer,
        clock=hardware.clock,
        entropy=hardware.entropy,
        relay=parent,
        guards=parent,
        recipient_public_key=recipient.public_key,
    )
