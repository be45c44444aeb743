"""Bodies of the parent's services: shapes, caps, and no value that the store or the enclave would read differently."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor, limits, services
from protocol.errors import ProtocolError
from protocol.services import Credentials, Page, RecordKey, StoredRecord, Write

ID = bytes(range(32))
KEY = RecordKey("wallets", ID)

keys = st.builds(RecordKey, st.text(min_size=1, max_size=limits.MAX_TABLE_CHARS), st.binary(min_size=32, max_size=32))
versions = st.tuples(st.integers(0, services.MAX_VERSION), st.integers(0, services.MAX_VERSION)).filter(
    lambda v: v[0] < v[1]
)
writes = st.builds(lambda key, v, value: Write(key, *v, value), keys, versions, st.binary(max_size=100))
records = st.none() | st.builds(StoredRecord, st.integers(1, services.MAX_VERSION), st.binary(max_size=100))


def refusal(decode: Callable[[bytes], Any], value: Any) -> str:
    with pytest.raises(ProtocolError) as caught:
        decode(cbor.dumps(value))
    return caught.value.code


@given(st.lists(keys, min_size=1, max_size=5))
def test_keys_round_trip(batch: list[RecordKey]) -> None:
    assert services.decode_keys(services.encode_keys(batch)) == batch


@given(st.lists(st.lists(writes, min_size=1, max_size=5), min_size=1, max_size=5))
def test_puts_round_trip(puts: list[list[Write]]) -> None:
    assert services.decode_puts(services.encode_puts(puts)) == puts


@given(st.lists(st.sampled_from([services.DURABLE, services.CONFLICT, services.UNKNOWN]), max_size=5))
def test_outcomes_round_trip(outcomes: list[int]) -> None:
    assert services.decode_outcomes(services.encode_outcomes(outcomes), count=len(outcomes)) == outcomes


@given(st.lists(records, max_size=5))
def test_records_round_trip(batch: list[StoredRecord | None]) -> None:
    assert services.decode_records(services.encode_records(batch), count=len(batch)) == batch


@given(st.text(max_size=40), st.text(max_size=40), st.none() | st.text(max_size=40))
def test_credentials_round_trip_and_do_not_show_themselves(key_id: str, secret: str, token: str | None) -> None:
    credentials = Credentials(key_id, secret, token)
    assert services.decode_credentials(services.encode_credentials(credentials)) == credentials
    assert repr(credentials) == "Credentials(<redacted>)"


BAD_KEYS: list[Any] = [
    ["", ID],
    ["t" * (limits.MAX_TABLE_CHARS + 1), ID],
    [b"wallets", ID],
    [None, ID],
    ["wallets", ID[:31]],
    ["wallets", ID + b"\0"],
    ["wallets", ID.hex()],
    ["wallets", None],
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_are_refused(key: list[Any]) -> None:
    assert refusal(services.decode_keys, [key]) == "services-shape"
    assert refusal(services.decode_puts, [[[*key, 0, 1, b""]]]) == "services-shape"


@pytest.mark.parametrize(
    "body", [None, {}, [], [[]], [["wallets"]], [["wallets", ID, 0]], ["wallets", ID], [None], {0: ["wallets", ID]}]
)
def test_other_shapes_of_keys_are_refused(body: Any) -> None:
    assert refusal(services.decode_keys, body) == "services-shape"


@pytest.mark.parametrize(
    "body", [None, {}, [], [["wallets", ID]], [["wallets", ID, 0, 1]], [["wallets", ID, 0, 1, b"", 0]], [0]]
)
def test_other_shapes_of_puts_are_refused(body: Any) -> None:
    assert refusal(services.decode_puts, body) == "services-shape"
    assert refusal(services.decode_puts, [body]) == "services-shape"
    assert refusal(services.decode_puts, [[["wallets", ID, 0, 1, b""]], body]) == "services-shape"


@pytest.mark.parametrize(
    ("expected", "new"),
    [
        (0, 0),
        (1, 1),
        (2, 1),
        (-1, 1),
        (0, -1),
        (0, 2**63),
        (2**63, 2**63 + 1),
        (False, 1),
        (0, True),
        (None, 1),
        (0, None),
        ("0", 1),
    ],
)
def test_versions_that_do_not_rise_within_bounds_are_refused(expected: Any, new: Any) -> None:
    assert refusal(services.decode_puts, [[["wallets", ID, expected, new, b""]]]) == "services-version"


def test_largest_version_passes() -> None:
    write = Write(KEY, services.MAX_VERSION - 1, services.MAX_VERSION, b"")
    assert services.decode_puts(services.encode_puts([[write]])) == [[write]]


@pytest.mark.parametrize("value", [None, "text", 0, [b""], bytes(limits.MAX_RECORD_BYTES + 1)])
def test_bad_values_are_refused_in_both_directions(value: Any) -> None:
    assert refusal(services.decode_puts, [[["wallets", ID, 0, 1, value]]]) == "services-value"
    assert refusal(lambda body: services.decode_records(body, count=1), [[1, value]]) == "services-value"


def test_value_at_the_cap_passes_in_both_directions() -> None:
    write = Write(KEY, 0, 1, bytes(limits.MAX_RECORD_BYTES))
    assert services.decode_puts(services.encode_puts([[write]])) == [[write]]
    record = StoredRecord(1, write.value)
    assert services.decode_records(services.encode_records([record]), count=1) == [record]


def test_table_name_at_the_cap_passes() -> None:
    key = RecordKey("t" * limits.MAX_TABLE_CHARS, ID)
    assert services.decode_keys(services.encode_keys([key])) == [key]


def test_batch_at_the_cap_passes_and_one_more_is_refused() -> None:
    batch = [RecordKey("wallets", bytes([i]) * 32) for i in range(limits.MAX_RECORDS_PER_CALL + 1)]
    assert services.decode_keys(services.encode_keys(batch[:-1])) == batch[:-1]
    assert refusal(services.decode_keys, [["wallets", key.id] for key in batch]) == "services-shape"
    writes = [["wallets", key.id, 0, 1, b""] for key in batch]
    assert len(services.decode_puts(cbor.dumps([writes[:-1]]))[0]) == limits.MAX_RECORDS_PER_CALL
    assert refusal(services.decode_puts, [writes]) == "services-shape"


def test_puts_at_the_cap_pass_and_one_more_is_refused() -> None:
    put = [["wallets", ID, 0, 1, b""]]
    assert len(services.decode_puts(cbor.dumps([put] * limits.MAX_PUTS_PER_CALL))) == limits.MAX_PUTS_PER_CALL
    assert refusal(services.decode_puts, [put] * (limits.MAX_PUTS_PER_CALL + 1)) == "services-shape"


@pytest.mark.parametrize("body", [None, {}, 200, [], [200], [200, 200, 200], [200, 201], [200, True], [200, "409"]])
def test_outcomes_of_another_number_or_kind_are_refused(body: Any) -> None:
    with pytest.raises(ProtocolError, match="services-shape"):
        services.decode_outcomes(cbor.dumps(body), count=2)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_store_that_answers_with_another_number_of_records_is_refused(count: int) -> None:
    body = services.encode_records([StoredRecord(1, b"a"), None])
    with pytest.raises(ProtocolError, match="services-shape"):
        services.decode_records(body, count=count)


@pytest.mark.parametrize(
    "record",
    [[], [1], [1, b"", 0], [0, b""], [-1, b""], [2**63, b""], [True, b""], [None, b""], ["1", b""], {1: b""}, 0, b""],
)
def test_bad_records_are_refused(record: Any) -> None:
    assert refusal(lambda body: services.decode_records(body, count=1), [record]) == "services-shape"


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        ["a", "b"],
        ["a", "b", None, None],
        [b"a", "b", None],
        ["a", None, None],
        ["a", "b", b"c"],
        {0: "a"},
        "abc",
    ],
)
def test_bad_credentials_are_refused(body: Any) -> None:
    assert refusal(services.decode_credentials, body) == "services-shape"


def test_credentials_at_the_cap_pass_and_one_byte_more_is_refused() -> None:
    overhead = len(services.encode_credentials(Credentials("a", "b", "c" * 1000))) - 1000
    at_cap = Credentials("a", "b", "c" * (limits.MAX_CREDENTIALS_BYTES - overhead))
    assert services.decode_credentials(services.encode_credentials(at_cap)) == at_cap
    assert refusal(services.decode_credentials, ["a", "b", str(at_cap.session_token) + "c"]) == "cbor-too-large"


@given(st.binary(max_size=100))
def test_random_bytes_give_one_error_family(body: bytes) -> None:
    for decode in (services.decode_keys, services.decode_puts, services.decode_credentials):
        try:
            decode(body)
        except ProtocolError:
            continue


@pytest.mark.parametrize(
    ("decode", "one", "other"),
    [
        (services.decode_keys, services.encode_keys([KEY]), "9801" + services.encode_keys([KEY]).hex()[2:]),
        (
            services.decode_puts,
            services.encode_puts([[Write(KEY, 0, 1, b"")]]),
            "9801" + services.encode_puts([[Write(KEY, 0, 1, b"")]]).hex()[2:],
        ),
    ],
)
def test_what_could_be_said_in_another_encoding_is_refused(
    decode: Callable[[bytes], Any], one: bytes, other: str
) -> None:
    assert one[0] == 0x81  # a list of one, in one byte
    decode(one)
    with pytest.raises(ProtocolError, match="cbor-not-deterministic"):
        decode(bytes.fromhex(other))


# --- listing ---


@pytest.mark.parametrize("after", [b"", ID])
@pytest.mark.parametrize("limit", [1, limits.MAX_RECORDS_PER_CALL])
def test_pages_round_trip(after: bytes, limit: int) -> None:
    page = Page("wallets", after, limit)
    assert services.decode_page(services.encode_page(page)) == page


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        ["wallets", b""],
        ["wallets", b"", 1, 1],
        ["", b"", 1],
        ["t" * (limits.MAX_TABLE_CHARS + 1), b"", 1],
        [b"wallets", b"", 1],
        ["wallets", ID[:31], 1],
        ["wallets", None, 1],
        ["wallets", b"", 0],
        ["wallets", b"", limits.MAX_RECORDS_PER_CALL + 1],
        ["wallets", b"", True],
        ["wallets", b"", "1"],
    ],
)
def test_bad_pages_are_refused(body: Any) -> None:
    assert refusal(services.decode_page, body) == "services-shape"


def test_ids_of_a_page_are_taken_in_order_and_above_where_it_began() -> None:
    ids = [bytes([i]) * 32 for i in range(1, 4)]
    for after in (b"", bytes(32)):
        assert services.decode_ids(services.encode_ids(ids), Page("t", after, 3)) == ids
    assert services.decode_ids(services.encode_ids([]), Page("t", b"", 1)) == []


@pytest.mark.parametrize(
    "ids",
    [
        None,
        {},
        [b"\x01" * 32, b"\x02" * 32, b"\x03" * 32],
        [b"\x02" * 32, b"\x01" * 32],
        [b"\x01" * 32, b"\x01" * 32],
        [bytes(32)],
        [b"\x01" * 31],
        ["x" * 32],
        [None],
    ],
)
def test_a_store_that_lists_too_many_or_not_in_order_is_refused(ids: Any) -> None:
    assert refusal(lambda body: services.decode_ids(body, Page("t", bytes(32), 2)), ids) == "services-shape"
