"""Small parts: rates, client addresses, logs, metrics, configuration."""

import io
import ipaddress
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_proxy.client_address import ClientAddresses
from host_proxy.config import HostConfig, HostPort, load_config, parse_listen
from host_proxy.errors import ConfigError
from host_proxy.logging import EVENTS, Log, Pseudonyms, UnknownLogField
from host_proxy.metrics import Metrics
from host_proxy.rate_limit import TokenBuckets
from protocol import limits
from protocol.addresses import HybridAddress, VsockAddress

# --- rates ---


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_bucket_gives_its_burst_then_its_rate() -> None:
    clock = Clock()
    buckets = TokenBuckets(rate=2, burst=3, clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now += 0.49
    assert buckets.take("a") == pytest.approx(0.01)
    clock.now += 0.02
    assert buckets.take("a") == 0
    clock.now += 1000
    assert [buckets.take("a") == 0 for _ in range(4)] == [True, True, True, False], "never more than the burst"


def test_keys_do_not_share_a_bucket() -> None:
    buckets = TokenBuckets(rate=1, burst=1, clock=Clock())
    assert buckets.take("a") == 0
    assert buckets.take("b") == 0
    assert buckets.take("a") > 0


def test_flood_of_keys_neither_grows_the_table_nor_pushes_anybody_out() -> None:
    """DO-08."""
    clock = Clock()
    buckets = TokenBuckets(rate=1, burst=10, max_keys=100, clock=clock)
    for _ in range(10):
        buckets.take("victim")
    assert buckets.take("victim") > 0
    outcomes = [buckets.take(f"flood-{number}") for number in range(10_000)]
    assert len(buckets) == 100
    assert buckets.take("victim") > 0, "its empty bucket was not forgotten"
    assert outcomes[:99] == [0] * 99
    assert sum(wait == 0 for wait in outcomes[99:]) == 10, "newcomers share one bucket"
    clock.now += 5
    assert buckets.take("victim") == 0


def test_bucket_is_forgotten_only_when_that_changes_nothing() -> None:
    clock = Clock()
    buckets = TokenBuckets(rate=1, burst=10, max_keys=2, clock=clock)
    buckets.take("a")
    clock.now += 9.9
    buckets.take("b")
    buckets.take("c")
    assert set(buckets._levels) == {"a", "b"}, "a is not full yet"
    clock.now += 0.1
    buckets.take("c")
    assert set(buckets._levels) == {"b", "c"}


def test_table_is_as_large_as_the_limit_says() -> None:
    buckets = TokenBuckets(rate=1, burst=1, clock=Clock())
    for number in range(limits.MAX_RATE_BUCKETS + 5):
        buckets.take(str(number))
    assert len(buckets) == limits.MAX_RATE_BUCKETS


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=60))
def test_nobody_ever_gets_more_than_burst_and_rate_allow(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    buckets = TokenBuckets(rate=2, burst=4, clock=clock)
    start = clock.now
    admitted = dict.fromkeys("abc", 0)
    for key, pause in steps:
        clock.now += pause
        admitted[key] += buckets.take(key) == 0
        assert admitted[key] <= 4 + (clock.now - start) * 2 + 1e-6


# --- client addresses ---

PROXIES = ClientAddresses([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("8.8.8.8", None, "8.8.8.8"),
        ("8.8.8.8", "1.1.1.1", "8.8.8.8"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9, 1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1:1234", "10.0.0.1"),
        ("10.0.0.1", ", ".join(["1.1.1.1"] + ["10.0.0.2"] * (limits.MAX_FORWARDED_HOPS - 1)), "1.1.1.1"),
        ("10.0.0.1", ", ".join(["1.1.1.1"] + ["10.0.0.2"] * limits.MAX_FORWARDED_HOPS), "10.0.0.2"),
        ("2a05:d018:1:2:3:4:5:6", None, "2a05:d018:1:2::/64"),
        ("2a05:d018:1:2:ffff::", None, "2a05:d018:1:2::/64"),
        ("::ffff:8.8.8.8", None, "8.8.8.8"),
        ("fd00::1", "2a05:d018:1:2::1", "2a05:d018:1:2::/64"),
        ("", None, "unknown"),
        ("unix", "1.1.1.1", "unknown"),
    ],
)
def test_client_is_the_peer_or_what_a_trusted_proxy_says(peer: str, forwarded_for: str | None, client: str) -> None:
    assert PROXIES.of(peer, forwarded_for) == client


def test_without_trusted_proxies_no_header_is_believed() -> None:
    assert ClientAddresses().of("10.0.0.1", "1.1.1.1") == "10.0.0.1"


# --- logs ---


def test_event_is_one_line_of_json(output: io.StringIO, log: Log) -> None:
    log.event("link.lost", worker=3, code="link-closed")
    (line,) = output.getvalue().splitlines()
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "link.lost", "level": "warning", "worker": 3, "code": "link-closed"}


@pytest.mark.parametrize(("name", "field"), [("link.lost", "body"), ("unheard.of", "code")])
def test_unknown_event_or_field_raises_in_tests(log: Log, name: str, field: str) -> None:
    """LP-02."""
    with pytest.raises(UnknownLogField):
        log.event(name, **{field: "canary"})


def test_unknown_field_is_left_out_in_production(output: io.StringIO) -> None:
    log = Log(output)
    log.event("link.lost", worker=1, body="canary")
    log.event("unheard.of", body="canary")
    assert "canary" not in output.getvalue()
    assert [json.loads(line)["event"] for line in output.getvalue().splitlines()] == [
        "log.refused", "link.lost", "log.refused",
    ]  # fmt: skip


def test_text_with_line_breaks_stays_on_its_line_and_is_bounded(output: io.StringIO, log: Log) -> None:
    log.event("link.lost", code="a\n" + "x" * 10_000)
    log.event("link.lost", code="x" * limits.MAX_LOG_FIELD_CHARS)
    first, second = output.getvalue().splitlines()
    assert len(json.loads(first)["code"]) == len(json.loads(second)["code"]) == limits.MAX_LOG_FIELD_CHARS


def test_fault_names_class_and_line_and_not_the_text(output: io.StringIO, log: Log) -> None:
    try:
        raise ValueError("canary")
    except ValueError as error:
        log.fault("test", error)
    event = json.loads(output.getvalue())
    assert event["kind"] == "ValueError"
    assert event["line"].startswith("test_host_parts.py:")
    assert "canary" not in output.getvalue()


def test_no_event_has_a_field_for_what_clients_send() -> None:
    fields = set().union(*(fields for _, fields in EVENTS.values()))
    assert fields.isdisjoint({"body", "headers", "path", "origin", "address", "email", "error", "message", "exception"})


def test_pseudonyms_are_stable_for_a_while_and_differ_between_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """LP-05."""
    pseudonyms = Pseudonyms()
    first = pseudonyms.of("8.8.8.8")
    assert first == pseudonyms.of("8.8.8.8") != pseudonyms.of("8.8.8.9")
    assert len(first) == 16
    assert Pseudonyms().of("8.8.8.8") != first
    pseudonyms._made_at -= 86_401
    assert pseudonyms.of("8.8.8.8") != first


# --- metrics ---


def series(metrics: Metrics) -> int:
    return len([line for line in metrics.exposition().splitlines() if not line.startswith(b"#")])


def test_no_input_adds_a_time_series() -> None:
    """LP-06."""
    metrics = Metrics(destinations=["kms:443"], workers=2)
    for name in ("client", "auth_key", "canary"):
        metrics.limited(name)
    for name in ("kms:443", "canary:1"):
        metrics.tunnel(name, 1)
        metrics.carried(name, sent=1, received=1)
    for name in ("ok", "conflict", "fault", "canary"):
        metrics.store_put(name)
    before = series(metrics)
    for number in range(200):
        metrics.request("other", 200 + number, 0.1)
        metrics.limited(f"canary-{number}")
        metrics.tunnel(f"canary-{number}", 1)
        metrics.carried(f"canary-{number}", sent=1, received=1)
        metrics.store_put(f"canary-{number}")
    assert series(metrics) == before
    assert b"canary" not in metrics.exposition()


def test_two_hosts_in_one_process_do_not_share_metrics() -> None:
    first, second = Metrics(), Metrics()
    first.faults.inc()
    assert second.registry.get_sample_value("chancery_faults_total") == 0


# --- configuration ---

MINIMAL = {"version": 1, "enclave": {"address": "vsock://16:5000"}, "store": "/var/lib/chancery/store.db"}


def load(tmp_path: Path, value: object) -> HostConfig:
    (tmp_path / "host.json").write_text(json.dumps(value))
    return load_config(tmp_path / "host.json")


def test_json_and_toml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "host.toml").write_text(
        'version = 1\nstore = "/var/lib/chancery/store.db"\n[enclave]\naddress = "vsock://16:5000"\n'
    )
    assert load_config(tmp_path / "host.toml") == load(tmp_path, MINIMAL)


def test_workers_listen_on_consecutive_ports(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL | {"enclave": {"address": "vsock://16:5000", "workers": 2}})
    assert config.enclave.worker_addresses() == (VsockAddress(16, 5000), VsockAddress(16, 5001))
    config = load(tmp_path, MINIMAL | {"enclave": {"address": "unix:/run/vm:5000", "workers": 2}})
    assert config.enclave.worker_addresses() == (HybridAddress("/run/vm", 5000), HybridAddress("/run/vm", 5001))


LAUNCH = {"image": "/a.eif", "memory_mib": 512, "cpu_count": 2}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"surplus": 1}, "config-malformed"),
        ({"version": 2}, "config-malformed"),
        ({"version": "1"}, "config-malformed"),
        ({"store": ""}, "config-malformed"),
        ({"enclave": {}}, "config-malformed"),
        ({"enclave": {"address": "tcp://x"}}, "config-address"),
        ({"enclave": {"address": "vsock://16:5001"}}, "config-ingress-port"),
        ({"enclave": {"address": "vsock://16:5000", "workers": 0}}, "config-malformed"),
        ({"enclave": {"address": "vsock://3:5000", "launch": LAUNCH}}, "config-launch-cid"),
        ({"enclave": {"address": "unix:/run/vm:5000", "launch": LAUNCH}}, "config-launch-cid"),
        ({"enclave": {"address": "vsock://16:5000", "launch": LAUNCH | {"debug_mode": True}}}, "config-malformed"),
        ({"enclave": {"address": "vsock://16:5000", "launch": LAUNCH | {"name": "a\n"}}}, "config-malformed"),
        ({"listen": "8080"}, "config-listen"),
        ({"listen": "host:65536"}, "config-listen"),
        ({"metrics_listen": "a b:1"}, "config-listen"),
        ({"scope": "1"}, "config-scope"),
        ({"scope": "@1\n"}, "config-scope"),
        ({"destinations": [{"host": "UPPER.example"}]}, "config-destination"),
        ({"destinations": [{"host": "a"}, {"host": "a"}]}, "config-destinations-alike"),
        ({"destinations": [{"host": "a", "networks": ["10.0.0.1/8"]}]}, "config-network"),
        ({"destinations": [{"host": "a", "port": 0}]}, "config-malformed"),
        ({"holders": [{"name": "a"}, {"name": "a"}]}, "config-holders-alike"),
        ({"trusted_proxies": ["everybody"]}, "config-network"),
        ({"rates": {"client_per_s": 0}}, "config-malformed"),
        ({"grace_s": -1}, "config-malformed"),
    ],
)
def test_configuration_that_breaks_a_rule_is_refused(tmp_path: Path, change: dict[str, object], code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, MINIMAL | change)
    assert caught.value.code == code


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("host.json", "host.toml"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError):
            load_config(tmp_path / name)


def test_file_at_the_cap_passes_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    text = json.dumps(MINIMAL).encode()
    (tmp_path / "host.json").write_bytes(text.ljust(limits.MAX_CONFIG_BYTES))
    assert load_config(tmp_path / "host.json").version == 1
    (tmp_path / "host.json").write_bytes(text.ljust(limits.MAX_CONFIG_BYTES + 1))
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "host.json")
    assert caught.value.code == "config-too-large"


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config-unreadable: .*absent\.toml"):
        load_config(tmp_path / "absent.toml")


def test_environment_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VS-12."""
    before = load(tmp_path, MINIMAL)
    for name in ("LISTEN", "CHANCERY_LISTEN", "STORE", "CHANCERY_SCOPE", "UVICORN_PORT", "WEB_CONCURRENCY"):
        monkeypatch.setenv(name, "666")
    assert load(tmp_path, MINIMAL) == before


@pytest.mark.parametrize(
    ("text", "found"),
    [("127.0.0.1:0", HostPort("127.0.0.1", 0)), ("[::1]:65535", HostPort("::1", 65535)), ("a.b:1", HostPort("a.b", 1))],
)
def test_listening_address_is_parsed(text: str, found: HostPort) -> None:
    assert parse_listen(text) == found
    assert str(found) == text
