"""Documents of the simulated module and the unmodified verifier: only the trust root differs (SM-02)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation import pcr
from attestation.document import parse_attestation_document
from attestation.errors import AttestationError
from attestation.policy import AllOf, AnyImage, Measurements, Nonce, PublicKey, UserData
from attestation.roots import AMAZON, TrustRoot
from attestation.verify import verify
from enclave.nsm.client import NsmClient
from simulator.nsm import SimulatedNsm
from simulator.pki import NitroPki

_INSTANCE_ID = "i-0123456789abcdef0"
_MODULE_ID = f"{_INSTANCE_ID}-enc0123456789abcdef"
_NOW_MS = 1_790_000_000_123
_HOUR_MS = 3_600_000
_PCRS = {0: b"\x11" * 48, 1: b"\x22" * 48, 2: b"\x33" * 48, 4: pcr.of_instance(_INSTANCE_ID)}
_IMAGE = Measurements(name="ours", pcrs={index: _PCRS[index] for index in (0, 1, 2)})

Boot = Callable[..., NsmClient]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> NitroPki:
    return NitroPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def root(pki: NitroPki) -> TrustRoot:
    return TrustRoot("simulator", pki.root_der)


@pytest.fixture(scope="module")
def boot(pki: NitroPki) -> Boot:
    def start(*, debug: bool = False, definite: bool = False, now_ms: int = _NOW_MS) -> NsmClient:
        nsm = SimulatedNsm(pki, _PCRS, _MODULE_ID, clock=lambda: now_ms, debug=debug, definite=definite)
        return NsmClient(nsm)

    return start


@pytest.mark.parametrize("definite", [False, True])
def test_document_passes_the_production_verifier_under_the_root_of_the_simulator(
    boot: Boot, root: TrustRoot, definite: bool
) -> None:
    document = boot(definite=definite).attestation(b"user data", b"nonce", b"public key")
    policy = AllOf((_IMAGE, Nonce(b"nonce"), PublicKey(b"public key"), UserData(b"user data")))
    verified = verify(document, policy, _NOW_MS, [root])
    assert verified.root is root
    assert verified.document.module_id == _MODULE_ID
    assert verified.document.timestamp_ms == _NOW_MS


def test_document_fails_under_the_root_of_amazon(boot: Boot) -> None:
    with pytest.raises(AttestationError) as caught:
        verify(boot().attestation(), AnyImage(), _NOW_MS, [AMAZON])
    assert caught.value.code == "root-untrusted"


def test_document_fails_under_the_root_of_another_simulator(boot: Boot, tmp_path: Path) -> None:
    with pytest.raises(AttestationError) as caught:
        verify(boot().attestation(), AnyImage(), _NOW_MS, [TrustRoot("other", NitroPki(tmp_path).root_der)])
    assert caught.value.code == "root-untrusted"


def test_debug_launch_is_refused(boot: Boot, root: TrustRoot) -> None:
    with pytest.raises(AttestationError) as caught:
        verify(boot(debug=True).attestation(), AnyImage(), _NOW_MS, [root])
    assert caught.value.code == "debug-mode"


def test_document_expires_with_its_leaf(boot: Boot, root: TrustRoot) -> None:
    document = boot().attestation()
    verify(document, AnyImage(), _NOW_MS + 2 * _HOUR_MS, [root])
    with pytest.raises(AttestationError) as caught:
        verify(document, AnyImage(), _NOW_MS + 4 * _HOUR_MS, [root])
    assert caught.value.code == "certificate-expired"


def test_locked_register_of_the_application_is_verified_with_the_others(boot: Boot, root: TrustRoot) -> None:
    client = boot()
    value = client.extend_pcr(16, b"version 1")
    client.lock_pcr(16)
    named = Measurements(name="ours", pcrs={**_IMAGE.pcrs, 16: value})
    verify(client.attestation(), named, _NOW_MS, [root])


def test_fullest_document_is_taken(boot: Boot, root: TrustRoot) -> None:
    client = boot()
    client.lock_pcrs(32)
    full = bytes(1024)
    verify(client.attestation(full, full, full), AnyImage(), _NOW_MS, [root])


def test_absent_and_empty_fields_stay_apart(boot: Boot) -> None:
    document = parse_attestation_document(boot().attestation(nonce=b""))
    assert (document.nonce, document.user_data, document.public_key) == (b"", None, None)


@given(position=st.integers(min_value=0), mask=st.integers(min_value=1, max_value=255))
@settings(max_examples=150)
def test_any_altered_byte_is_noticed(boot: Boot, root: TrustRoot, position: int, mask: int) -> None:
    document = bytearray(boot().attestation(nonce=b"nonce"))
    document[position % len(document)] ^= mask
    with pytest.raises(AttestationError):
        verify(bytes(document), AnyImage(), _NOW_MS, [root])
