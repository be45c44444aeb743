"""The samples are read by what reads them in earnest, agree with each other, and cannot be mistaken for real ones."""

import configparser
import json
import re
import ssl
from datetime import UTC, datetime

import pytest
import yaml  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric import ec

from eif.policy.document import parse_policy
from eif.policy.generate import key_policy
from eif.policy.holders import load_holders
from eif.policy.images import Image
from eif.policy.lint import lint
from enclave.config import Config, parse_config
from enclave.guard.checking import check_rules
from enclave.guard.compiling import compile_rules
from enclave.guard.document import parse_document
from host_proxy.config import HostConfig, load_config
from tests.deploy.deployment import FOLDER, SAMPLES, SYSTEMD

IMAGE = Image({0: "a0" * 48, 1: "a1" * 48, 2: "a2" * 48})
EXAMPLE_ACCOUNT = re.compile(r"00000000000[1-9]")


def host() -> HostConfig:
    return load_config(SAMPLES / "host.toml")


def measured() -> Config:
    return parse_config((SAMPLES / "config.json").read_bytes())


def measured_guard() -> Config:
    return parse_config((SAMPLES / "guard.json").read_bytes())


def test_guard_has_the_same_holders_with_keys_of_its_own_and_rules_without_an_error() -> None:
    guard, instrument = measured_guard(), measured()
    assert guard.guard is not None
    assert guard.deployment != instrument.deployment
    assert [holder.name for holder in guard.holders] == [holder.name for holder in instrument.holders]
    assert not {holder.key_arn for holder in guard.holders} & {holder.key_arn for holder in instrument.holders}
    findings = check_rules(compile_rules(parse_document(bytes(guard.guard.rules))))
    assert [finding for finding in findings if finding.severity == "error"] == []


def test_host_reaches_what_the_enclave_may_reach_and_nothing_else() -> None:
    assert {(d.host, d.port) for d in host().destinations} == measured().destinations()
    assert all(destination.networks == () for destination in host().destinations)


def test_holders_are_the_same_in_every_file() -> None:
    holders = load_holders(SAMPLES / "holders.toml")
    assert {(h.name, h.account, h.region) for h in holders} == {
        (h.name, h.account, h.region) for h in measured().holders
    }
    assert {holder.deployment for holder in holders} == {measured().deployment}
    profiles = configparser.ConfigParser()
    profiles.read_string((SAMPLES / "aws-config").read_text())
    named = {profiles[f"profile {h.profile}"]["role_arn"]: h.name for h in host().holders}
    assert named == {holder.role: holder.name for holder in holders}
    regions = {h.name: profiles[f"profile {h.profile}"]["region"] for h in host().holders}
    assert regions == {holder.name: holder.region for holder in holders}
    assert {section["credential_source"] for name, section in profiles.items() if name != "DEFAULT"} == {
        "Ec2InstanceMetadata"
    }


def test_policies_for_the_sample_holders_have_no_finding() -> None:
    for holder in load_holders(SAMPLES / "holders.toml"):
        policy = parse_policy(json.dumps(key_policy(holder, [IMAGE])).encode())
        assert lint(policy, datetime.now(UTC), [IMAGE]) == ()


def test_allocator_has_room_for_the_enclave() -> None:
    """Flat keys after a `---` line; memory in pages of 2 MiB; whole cores (nitro-platform.md 7.4)."""
    text = (FOLDER / "allocator.yaml").read_text()
    assert text.startswith("---\n")
    allocated = yaml.safe_load(text)
    launch = host().enclave.launch
    assert launch is not None
    assert allocated.keys() == {"memory_mib", "cpu_count"}
    assert allocated["memory_mib"] >= launch.memory_mib
    assert allocated["cpu_count"] >= launch.cpu_count
    assert allocated["memory_mib"] % 2 == launch.memory_mib % 2 == launch.cpu_count % 2 == 0


def test_paths_are_those_of_the_unit() -> None:
    unit = (SYSTEMD / "chancery-host.service").read_text()
    config = host()
    assert config.tls is not None
    assert config.tls.private_key == "/run/credentials/chancery-host.service/tls.key"
    assert "LoadCredential=tls.key:/etc/chancery/tls.key\n" in unit
    assert config.store.startswith("/var/lib/chancery/")
    assert "StateDirectory=chancery\n" in unit


def test_nothing_in_the_samples_is_real_or_works_unedited() -> None:
    accounts = re.findall(r"\b[0-9]{12}\b", "".join(path.read_text() for path in SAMPLES.iterdir()))
    assert len(accounts) > 9
    assert all(EXAMPLE_ACCOUNT.fullmatch(account) for account in accounts)
    guard = measured_guard().guard
    assert guard is not None
    for officer in guard.officers:  # no point of the curve: nobody has the key
        with pytest.raises(ValueError, match="Invalid EC key"):
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(officer.address[2:]))
    for config in (measured(), measured_guard()):
        require_placeholders(config)
    hosts = {destination.host for destination in host().destinations}
    assert all(re.fullmatch(r".*\.example\.com|kms\.[a-z0-9-]+\.amazonaws\.com", name) for name in hosts)


def require_placeholders(config: Config) -> None:
    assert all("REPLACE" in holder.key_arn for holder in config.holders)
    for bundle in (config.tls_roots.kms, config.tls_roots.identity_providers, config.tls_roots.mail):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=bundle)
        except (ssl.SSLError, ValueError):
            continue
        raise AssertionError("a bundle of the sample can be loaded")
