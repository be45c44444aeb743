"""The simulator's chain has the shape of Amazon's, and its root survives a restart."""

import itertools
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID

from simulator.pki import ORGANIZATION, ROOT_FILE, NitroPki

_MODULE_ID = "i-0123456789abcdef0-enc0123456789abcdef"
_NOW_MS = 1_790_000_000_000
_NOW = datetime.fromtimestamp(_NOW_MS / 1000, UTC)
_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS


def _certificates(pki: NitroPki, now_ms: int = _NOW_MS) -> list[x509.Certificate]:
    chain = pki.chain(_MODULE_ID, now_ms)
    return [x509.load_der_x509_certificate(der) for der in (*chain.bundle, chain.leaf.der)]


@pytest.fixture
def certificates(tmp_path: Path) -> list[x509.Certificate]:
    return _certificates(NitroPki(tmp_path))


def test_every_link_is_signed_by_the_one_before(certificates: list[x509.Certificate]) -> None:
    for issuer, subject in itertools.pairwise(certificates):
        subject.verify_directly_issued_by(issuer)
    assert len(certificates) == 5


def test_every_key_is_p384_and_every_signature_sha384(certificates: list[x509.Certificate]) -> None:
    for certificate in certificates:
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp384r1"
        assert certificate.signature_hash_algorithm is not None
        assert certificate.signature_hash_algorithm.name == "sha384"


def test_lifetimes_are_those_of_amazon(certificates: list[x509.Certificate]) -> None:
    lives = [c.not_valid_after_utc - c.not_valid_before_utc for c in certificates]
    hours = [timedelta(days=20, hours=1), timedelta(days=6), timedelta(hours=24), timedelta(hours=3)]
    assert lives == [timedelta(days=30 * 365), *hours]


def test_authorities_are_critical_and_their_paths_end(certificates: list[x509.Certificate]) -> None:
    constraints = [c.extensions.get_extension_for_class(x509.BasicConstraints) for c in certificates]
    assert all(extension.critical for extension in constraints)
    assert [(e.value.ca, e.value.path_length) for e in constraints] == [
        (True, None),
        (True, 2),
        (True, 1),
        (True, 0),
        (False, None),
    ]


def test_key_usages_are_those_of_amazon(certificates: list[x509.Certificate]) -> None:
    usages = [c.extensions.get_extension_for_class(x509.KeyUsage) for c in certificates]
    assert [usage.critical for usage in usages] == [True, True, True, True, False]
    full = [(u.value.digital_signature, u.value.key_cert_sign, u.value.crl_sign) for u in usages]
    assert full == [(True, True, True)] * 3 + [(False, True, False), (True, False, False)]
    assert usages[4].value.content_commitment


def test_leaf_has_constraints_and_usage_and_nothing_else(certificates: list[x509.Certificate]) -> None:
    assert [e.oid for e in certificates[4].extensions] == [ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE]


def test_subjects_have_the_patterns_of_amazon_and_name_the_simulator(certificates: list[x509.Certificate]) -> None:
    names = [c.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for c in certificates]
    assert names[0] == "aws.nitro-enclaves"
    assert str(names[1]).endswith(".us-east-1.aws.nitro-enclaves")
    assert str(names[2]).endswith(".zonal.us-east-1.aws.nitro-enclaves")
    assert names[3:] == ["i-0123456789abcdef0.us-east-1.aws.nitro-enclaves", f"{_MODULE_ID}.us-east-1.aws"]
    for certificate in certificates:
        assert certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == ORGANIZATION


def test_certificates_fit_the_fields_of_a_document(tmp_path: Path) -> None:
    chain = NitroPki(tmp_path).chain(_MODULE_ID, _NOW_MS)
    assert all(len(der) <= 1024 for der in (*chain.bundle, chain.leaf.der))


def test_root_survives_a_restart_and_its_key_is_private(tmp_path: Path) -> None:
    first = NitroPki(tmp_path / "state")
    assert NitroPki(tmp_path / "state").root_der == first.root_der
    assert stat.S_IMODE((tmp_path / "state" / ROOT_FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == [ROOT_FILE]


def test_two_folders_have_two_roots(tmp_path: Path) -> None:
    assert NitroPki(tmp_path / "a").root_der != NitroPki(tmp_path / "b").root_der


def test_of_two_processes_that_start_together_one_root_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = NitroPki(tmp_path)
    with monkeypatch.context() as patch:  # the second looked before the first had written
        patch.setattr(Path, "exists", lambda _: False)
        second = NitroPki(tmp_path)
    assert second.root_der == first.root_der


def test_leaf_is_reused_and_replaced_before_it_expires(tmp_path: Path) -> None:
    pki = NitroPki(tmp_path)
    first = pki.chain(_MODULE_ID, _NOW_MS)
    assert pki.chain(_MODULE_ID, _NOW_MS + 2 * _HOUR_MS).leaf.der == first.leaf.der
    later = pki.chain(_MODULE_ID, _NOW_MS + 2 * _HOUR_MS + 30 * _MINUTE_MS)
    assert later.leaf.der != first.leaf.der
    assert later.bundle == first.bundle


@pytest.mark.parametrize("days", [0.5, 1, 5, 6, 15, 20, 400])
def test_every_chain_is_valid_for_half_an_hour_after_it_is_handed_out(tmp_path: Path, days: float) -> None:
    pki = NitroPki(tmp_path)
    pki.chain(_MODULE_ID, _NOW_MS)
    then_ms = _NOW_MS + int(days * 24 * _HOUR_MS)
    start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (then_ms, then_ms + 30 * _MINUTE_MS))
    for certificate in _certificates(pki, then_ms):
        assert certificate.not_valid_before_utc <= start
        assert end <= certificate.not_valid_after_utc


def test_clock_that_is_set_back_gets_a_chain_of_its_time(tmp_path: Path) -> None:
    pki = NitroPki(tmp_path)
    pki.chain(_MODULE_ID, _NOW_MS)
    for certificate in _certificates(pki, _NOW_MS - 365 * 24 * _HOUR_MS):
        assert certificate.not_valid_before_utc <= _NOW - timedelta(days=365) <= certificate.not_valid_after_utc


def test_private_keys_do_not_show_in_text(tmp_path: Path) -> None:
    assert "key" not in repr(NitroPki(tmp_path).chain(_MODULE_ID, _NOW_MS).leaf).lower()
