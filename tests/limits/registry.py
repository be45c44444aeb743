"""Which test shows each row of `protocol/limits.py` at its cap and at cap + 1 (DO-01).

To register a limit, write `"NAME": "tests/<package>/test_<module>.py::test_<name>"`. The test's module has to name the
limit, so that it moves with the row. `test_limits.py` fails for a row that is in none of the tables below.
"""

from typing import Final

FRAMES: Final = "tests/protocol/test_frames.py"
CBOR: Final = "tests/protocol/test_cbor.py"
JSON: Final = "tests/protocol/test_canonical_json.py"
SERVICES: Final = "tests/protocol/test_services.py"
ADDRESSES: Final = "tests/protocol/test_addresses.py"
EVM: Final = "tests/evm/test_evm_limits.py"
CONNECT: Final = "tests/enclave_login/test_connect_egress.py"
HTTPS: Final = "tests/enclave_login/test_https_exchange.py"
OTP: Final = "tests/enclave_login/test_otp.py"
MAIL: Final = "tests/enclave_login/test_smtp_mailer.py"
HOLDERS: Final = "tests/enclave_kms/test_holders.py"
KMS: Final = "tests/enclave_kms/test_kms_client.py"
CMS: Final = "tests/enclave_kms/test_cms.py"
SDK: Final = "tests/enclave_kms/test_sdk_c.py"
NSM_MESSAGES: Final = "tests/enclave/test_nsm_messages.py"
NSM_DEVICE: Final = "tests/enclave/test_nsm_device.py"
EDGE: Final = "tests/host_proxy/test_host_edge.py"
LINK: Final = "tests/host_proxy/test_host_link.py"
STORE: Final = "tests/host_proxy/test_host_store.py"
HOST_SERVICES: Final = "tests/host_proxy/test_host_services.py"
EGRESS: Final = "tests/host_proxy/test_host_egress.py"
PARTS: Final = "tests/host_proxy/test_host_parts.py"
TRANSPORT: Final = "tests/host_proxy/test_host_transport.py"
HOST_HTTP: Final = "tests/host_proxy/test_host_http.py"
HOST_HEALTH: Final = "tests/host_proxy/test_host_health.py"
SUPERVISION: Final = "tests/host_proxy/test_host_supervision.py"

COVERED: Final[dict[str, str]] = {
    "MAX_FRAME_BYTES": f"{FRAMES}::test_frame_at_the_cap_passes_and_one_byte_more_is_refused_on_both_sides",
    "MAX_METHOD_CHARS": f"{FRAMES}::test_fields_above_their_cap_are_refused_on_both_sides",
    "MAX_HEADERS": f"{FRAMES}::test_fields_above_their_cap_are_refused_on_both_sides",
    "MAX_HEADER_NAME_CHARS": f"{FRAMES}::test_fields_above_their_cap_are_refused_on_both_sides",
    "MAX_HEADER_VALUE_CHARS": f"{FRAMES}::test_fields_above_their_cap_are_refused_on_both_sides",
    "MAX_CBOR_DEPTH": f"{CBOR}::test_depth_at_the_cap_passes_and_one_more_is_refused",
    "MAX_CBOR_ITEMS": f"{CBOR}::test_items_at_the_cap_pass_and_one_more_is_refused",
    "MAX_BODY_BYTES": f"{JSON}::test_size_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_JSON_DEPTH": f"{JSON}::test_depth_at_the_cap_passes_and_one_more_is_refused",
    "MAX_SOCKET_PATH_BYTES": f"{ADDRESSES}::test_path_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_TABLE_CHARS": f"{SERVICES}::test_table_name_at_the_cap_passes",
    "MAX_RECORD_BYTES": f"{SERVICES}::test_bad_values_are_refused_in_both_directions",
    "MAX_RECORDS_PER_CALL": f"{SERVICES}::test_batch_at_the_cap_passes_and_one_more_is_refused",
    "MAX_CREDENTIALS_BYTES": f"{SERVICES}::test_credentials_at_the_cap_pass_and_one_byte_more_is_refused",
    "MAX_MESSAGE_BYTES": f"{EVM}::test_message_bytes",
    "MAX_CALLDATA_BYTES": f"{EVM}::test_calldata_bytes",
    "MAX_TYPED_DATA_DEPTH": f"{EVM}::test_typed_data_depth",
    "MAX_TYPED_DATA_TYPES": f"{EVM}::test_typed_data_types",
    "MAX_TYPED_DATA_FIELDS": f"{EVM}::test_typed_data_fields",
    "MAX_TYPED_DATA_VALUES": f"{EVM}::test_typed_data_values",
    "MAX_TYPED_DATA_NAME_CHARS": f"{EVM}::test_typed_data_names",
    "MAX_TRANSACTION_BYTES": f"{EVM}::test_transaction_bytes",
    "MAX_ACCESS_LIST_ENTRIES": f"{EVM}::test_access_list_entries",
    "MAX_STORAGE_KEYS": f"{EVM}::test_storage_keys",
    "MAX_AUTHORIZATIONS": f"{EVM}::test_authorizations",
    "CONNECT_DEADLINE_S": f"{CONNECT}::test_silent_parent_meets_the_deadline",
    "MAX_CONNECT_REPLY_BYTES": f"{CONNECT}::test_reply_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_HTTP_HEAD_BYTES": f"{HTTPS}::test_head_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_EMAIL_BYTES": f"{OTP}::test_address_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAIL_DEADLINE_S": f"{MAIL}::test_silent_server_meets_the_deadline",
    "HOLDER_RETRY_S": f"{HOLDERS}::test_failed_round_is_not_repeated_by_each_request_but_after_a_pause",
    "KMS_DEADLINE_S": f"{KMS}::test_hung_step_ends_at_the_deadline",
    "MAX_KMS_REPLY_BYTES": f"{KMS}::test_reply_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_KMS_REPLY_DEPTH": f"{KMS}::test_reply_depth_at_the_cap_passes_and_one_more_is_refused",
    "MAX_SDK_REQUEST_BYTES": f"{SDK}::test_request_at_the_cap_is_read_and_one_more_byte_ends_the_child",
    "SDK_PROBE_DEADLINE_S": f"{SDK}::test_library_that_hangs_when_loaded_is_refused",
    "MAX_KMS_CIPHERTEXT_BYTES": f"{KMS}::test_ciphertext_blob_at_cap_passes_and_one_more_is_refused",
    "MAX_KMS_ENVELOPE_BYTES": f"{CMS}::test_size_at_cap_passes_and_one_more_is_refused",
    "MAX_ATTESTATION_FIELD_BYTES": f"{NSM_MESSAGES}::test_attestation_field_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_NSM_REQUEST_BYTES": f"{NSM_DEVICE}::test_request_at_the_cap_passes_and_one_byte_more_is_refused_before_the_call",
    "MAX_NSM_RESPONSE_BYTES": f"{NSM_DEVICE}::test_longest_answer_that_cannot_have_been_cut_is_taken_whole",
    "MAX_HTTP_HEADERS": f"{EDGE}::test_headers_at_the_cap_pass_and_one_more_is_refused",
    "MAX_HTTP_CONNECTIONS": f"{EDGE}::test_caps_on_connections_are_those_of_the_table",
    "MAX_HTTP_CONNECTIONS_PER_CLIENT": f"{EDGE}::test_caps_on_connections_are_those_of_the_table",
    "MAX_HTTP_MESSAGE_BYTES": f"{EDGE}::test_message_that_grows_beyond_its_cap_on_the_wire_is_refused",
    "HTTP_HEAD_DEADLINE_S": f"{EDGE}::test_head_that_drips_is_closed_by_the_clock_of_its_first_byte",
    "HTTP_MESSAGE_DEADLINE_S": f"{EDGE}::test_body_that_drips_is_closed_by_the_clock_of_its_first_byte",
    "HTTP_IDLE_DEADLINE_S": f"{EDGE}::test_idle_connection_is_closed_and_a_slow_answer_is_not_idle",
    "HTTP_WRITE_DEADLINE_S": f"{EDGE}::test_client_that_takes_no_answers_is_cut_off",
    "HTTP_LINGER_S": f"{EDGE}::test_refused_client_that_stays_is_cut_off_after_a_moment",
    "MAX_AUTH_KEY_CHARS": f"{LINK}::test_routing_key_is_read_leniently_and_bounded",
    "MAX_IN_FLIGHT": f"{LINK}::test_requests_beyond_the_cap_are_busy_at_once_and_the_others_are_answered",
    "FRAME_DEADLINE_S": f"{LINK}::test_frame_that_drips_is_cut_off_by_the_clock_of_its_first_byte",
    "REQUEST_DEADLINE_S": f"{LINK}::test_deadline_of_a_request_is_the_tables",
    "MAX_CONNECTIONS": f"{HOST_SERVICES}::test_connections_beyond_the_cap_are_closed_and_the_others_work",
    "IDLE_DEADLINE_S": f"{HOST_SERVICES}::test_idle_connection_is_closed_and_a_busy_one_is_not",
    "MAX_HOLDER_NAME_BYTES": f"{HOST_SERVICES}::test_bad_call_gets_a_status_without_a_body_and_the_connection_lives",
    "MAX_FORWARDED_HOPS": f"{PARTS}::test_client_is_the_peer_or_what_a_trusted_proxy_says",
    "MAX_RATE_BUCKETS": f"{PARTS}::test_table_is_as_large_as_the_limit_says",
    "MAX_LOG_FIELD_CHARS": f"{PARTS}::test_text_with_line_breaks_stays_on_its_line_and_is_bounded",
    "MAX_CONFIG_BYTES": f"{PARTS}::test_file_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_HANDSHAKE_BYTES": f"{TRANSPORT}::test_any_other_reply_is_refused_within_its_bound",
    "MAX_CONNECT_HEAD_BYTES": f"{EGRESS}::test_head_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_EGRESS_CONNECTIONS": f"{EGRESS}::test_bounds_are_those_of_the_table",
    "EGRESS_IDLE_S": f"{EGRESS}::test_bounds_are_those_of_the_table",
    "EGRESS_LIFETIME_S": f"{EGRESS}::test_bounds_are_those_of_the_table",
    "MAX_STORE_WAITING": f"{STORE}::test_calls_beyond_the_cap_are_busy_at_once",
    "MAX_STORE_BATCH": f"{STORE}::test_calls_that_wait_together_share_commits_and_no_conflict_spreads",
    "HEALTH_DEADLINE_S": f"{HOST_HEALTH}::test_silent_enclave_is_down_after_the_deadline",
    "MAX_LAUNCHER_OUTPUT_BYTES": f"{SUPERVISION}::test_output_at_the_cap_passes",
    "MAX_ORIGIN_CHARS": f"{HOST_HTTP}::test_origin_at_the_cap_is_reflected",
}

# Names of `protocol/limits.py` that bound no input.
NOT_CAPS: Final = frozenset({"KIB", "DEFAULT_SESSION_LIFETIME_S"})

# Rows whose test is still to be registered. This set only ever shrinks, and is empty at a release.
PENDING: Final = frozenset(
    {
        "STORE_DEADLINE_S",
        "MAX_SCOPE_CHARS",
        "MAX_HANDLE_BYTES",
        "MAX_VERIFIER_BYTES",
        "MAX_ANSWER_BYTES",
        "MAX_METADATA_ENTRIES",
        "MAX_METADATA_KEY_BYTES",
        "MAX_METADATA_VALUE_BYTES",
        "MAX_NONCE_HEADER_CHARS",
        "MAX_NONCE_BITS",
        "MAX_NONCE_DIGITS",
        "MAX_SESSION_LIFETIME_S",
        "MAX_OTP_ATTEMPTS",
        "MAX_COMMITMENTS",
        "MAX_COMMITMENTS_PER_IDENTITY",
        "MAX_SESSIONS_PER_DEVICE",
        "MAX_DEVICES_PER_ACCOUNT",
        "MAX_ATTESTATION_DOCUMENT_BYTES",
        "MAX_NSM_RANDOM_BYTES",
        "MAX_CERTIFICATE_BYTES",
        "MAX_CABUNDLE_CERTIFICATES",
        "MAX_MODULE_ID_CHARS",
        "MAX_FUTURE_SKEW_MS",
        "MAX_VERIFIED_CHAINS",
        "MAX_SESSION_ATTESTATION_BYTES",
        "MAX_VERIFIED_SESSIONS",
        "MAX_RECEIPT_BYTES",
        "MAX_BUNDLE_BYTES",
        "MAX_DEPLOYMENT_CHARS",
        "MAX_IDENTITY_BYTES",
        "MAX_AUTH_METHOD_CHARS",
        "MAX_RECEIPT_METHOD_CHARS",
        "MAX_REVOCATION_LIST_BYTES",
        "MAX_POLICY_FILE_BYTES",
        "MAX_POLICY_ENTRIES",
        "MAX_FETCHED_BODY_BYTES",
        "FETCH_DEADLINE_S",
        "MAX_JWKS_BYTES",
        "MAX_JWKS_KEYS",
        "MAX_JWT_BYTES",
        "MAX_JWT_DEPTH",
        "MAX_KEY_ID_CHARS",
        "MAX_URL_CHARS",
        "MAX_SUBJECT_CHARS",
        "MAX_AUDIENCES",
        "MIN_RSA_BITS",
        "MAX_RSA_BITS",
        "ID_TOKEN_SKEW_S",
        "MAX_ID_TOKEN_AGE_S",
        "MAX_ID_TOKEN_LIFETIME_S",
        "KEY_SET_TTL_S",
        "KEY_SET_MAX_STALE_S",
        "KEY_SET_REFRESH_INTERVAL_S",
        "KEY_SET_RETRY_INTERVAL_S",
        "IDENTITY_PROVIDER_DEADLINE_S",
    }
)
