"""Which test shows each row of `protocol/limits.py` at its cap and at cap + 1 (DO-01).

To register a limit, write `"NAME": "tests/<package>/test_<module>.py::test_<name>"`, or a tuple of two tests when one
shows the cap and another what lies beyond. The module of one of them has to name the limit, so that it moves with the
row. `test_limits.py` fails for a row that is in none of the tables below.
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
RELAY: Final = "tests/relay/test_relay_node.py"
WAAS: Final = "tests/waas/test_waas_service.py"
TENANTS: Final = "tests/waas/test_tenants.py"
TENANT_ADMIN: Final = "tests/waas/test_waas_admin.py"
INVITATIONS: Final = "tests/waas/test_invitations.py"
SIGNED_ANSWERS: Final = "tests/waas/test_response_signing.py"
RELAY_FRAMES: Final = "tests/relay/test_relay_frames.py"
RELAY_RPC: Final = "tests/relay/test_relay_rpc.py"
GUARD_FRAMES: Final = "tests/waas/test_waas_guard_frames.py"

REQUESTS: Final = "tests/limits/test_limits_requests.py"
STATE: Final = "tests/limits/test_limits_state.py"
HOST: Final = "tests/limits/test_limits_host.py"
TRAFFIC: Final = "tests/limits/test_limits_traffic.py"
PROVIDERS: Final = "tests/limits/test_limits_providers.py"
PIECES: Final = "tests/limits/test_limits_pieces.py"
DOCUMENT: Final = "tests/attestation/test_document.py"
CHAIN: Final = "tests/attestation/test_chain.py"
VERIFY: Final = "tests/attestation/test_verify.py"
SESSION: Final = "tests/attestation/test_session_attestation.py"
BUNDLE: Final = "tests/attestation/test_bundle.py"
CHANNEL: Final = "tests/attestation_channel/test_channel_format.py"
CHANNEL_KEYS: Final = "tests/attestation_channel/test_channel_enclave.py"
CLI: Final = "tests/attestation/test_nitro_attest.py"
ID_TOKEN: Final = "tests/enclave_login/test_id_token.py"
PASSKEYS: Final = "tests/enclave_login/test_passkey_login.py"
AUTH_CODE: Final = "tests/enclave_login/test_auth_code.py"
TOKEN_ENDPOINT: Final = "tests/enclave_login/test_token_endpoint.py"
KEY_SETS: Final = "tests/enclave_login/test_key_sets.py"
PROVIDER_KEYS: Final = "tests/enclave_login/test_provider_keys.py"
LOGINS: Final = "tests/enclave_accounts/test_account_logins.py"
NOTICES: Final = "tests/enclave_accounts/test_account_notices.py"
ROTATION: Final = "tests/enclave_accounts/test_rotation.py"
WORKERS: Final = "tests/enclave_workers/test_workers_boot.py"
WALLETS: Final = "tests/enclave_wallet/test_wallet_limits.py"

TOO_MANY: Final = "test_pending_updates_and_finished_ones_and_attestations_leave_when_there_are_too_many"

COVERED: Final[dict[str, str | tuple[str, str]]] = {
    "MAX_FRAME_BYTES": f"{FRAMES}::test_frame_at_the_cap_passes_and_one_byte_more_is_refused_on_both_sides",
    "MAX_METHOD_CHARS": f"{FRAMES}::test_fields_above_their_cap_are_refused_on_both_sides",
    "MAX_WORKERS": f"{WORKERS}::test_workers_at_the_cap_are_taken_and_one_more_or_none_are_refused",
    "MAX_HEADERS": f"{FRAMES}::test_fields_above_their_cap_are_refused_on_both_sides",
    "MAX_HEADER_NAME_CHARS": f"{FRAMES}::test_fields_above_their_cap_are_refused_on_both_sides",
    "MAX_HEADER_VALUE_CHARS": f"{FRAMES}::test_fields_above_their_cap_are_refused_on_both_sides",
    "MAX_CBOR_DEPTH": f"{CBOR}::test_depth_at_the_cap_passes_and_one_more_is_refused",
    "MAX_CBOR_ITEMS": f"{CBOR}::test_items_at_the_cap_pass_and_one_more_is_refused",
    "MAX_BODY_BYTES": f"{JSON}::test_size_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_JSON_DEPTH": f"{JSON}::test_depth_at_the_cap_passes_and_one_more_is_refused",
    "MAX_SOCKET_PATH_BYTES": f"{ADDRESSES}::test_path_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_TABLE_CHARS": (f"{SERVICES}::test_table_name_at_the_cap_passes", f"{SERVICES}::test_bad_keys_are_refused"),
    "MAX_LEDGER_ENTRIES": "tests/enclave_guard/test_guard_budgets.py::test_a_long_ledger_is_merged_and_never_counts_less",
    "MAX_RECORD_BYTES": f"{SERVICES}::test_bad_values_are_refused_in_both_directions",
    "MAX_RECORDS_PER_CALL": f"{SERVICES}::test_batch_at_the_cap_passes_and_one_more_is_refused",
    "MAX_PUTS_PER_CALL": f"{SERVICES}::test_puts_at_the_cap_pass_and_one_more_is_refused",
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
    "MAX_WALLET_DEVICES": f"{WALLETS}::test_devices",
    "MAX_WALLET_PASSKEYS": f"{WALLETS}::test_passkeys",
    "MAX_WALLET_RECOVERY_KEYS": f"{WALLETS}::test_recovery_keys",
    "MIN_RECOVERY_DELAY_S": f"{WALLETS}::test_recovery_delay",
    "MAX_WALLET_SESSIONS_BYTES": f"{WALLETS}::test_session_tree_bytes",
    "MAX_WALLET_UPDATES_PENDING": f"{WALLETS}::{TOO_MANY}",
    "MAX_WALLET_UPDATES_KEPT": f"{WALLETS}::{TOO_MANY}",
    "MAX_WALLET_UPDATE_BYTES": f"{WALLETS}::test_signature_of_an_update",
    "MAX_WALLET_ATTESTATIONS_KEPT": f"{WALLETS}::{TOO_MANY}",
    "MAX_WALLET_COSIGNERS": f"{WALLETS}::test_cosigners",
    "MAX_WALLET_CALLS": f"{WALLETS}::test_calls",
    "MAX_REDIRECT_URL_CHARS": f"{WALLETS}::test_redirect_url",
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
    "MAX_HTTP_MESSAGE_BYTES": f"{HOST}::test_http_message",
    "HTTP_HEAD_DEADLINE_S": (
        f"{EDGE}::test_head_that_drips_is_closed_by_the_clock_of_its_first_byte",
        f"{EDGE}::test_deadlines_are_those_of_the_table",
    ),
    "HTTP_MESSAGE_DEADLINE_S": (
        f"{EDGE}::test_body_that_drips_is_closed_by_the_clock_of_its_first_byte",
        f"{EDGE}::test_deadlines_are_those_of_the_table",
    ),
    "HTTP_IDLE_DEADLINE_S": (
        f"{EDGE}::test_idle_connection_is_closed_and_a_slow_answer_is_not_idle",
        f"{EDGE}::test_deadlines_are_those_of_the_table",
    ),
    "HTTP_WRITE_DEADLINE_S": (
        f"{EDGE}::test_client_that_takes_no_answers_is_cut_off",
        f"{EDGE}::test_deadlines_are_those_of_the_table",
    ),
    "HTTP_LINGER_S": (
        f"{EDGE}::test_refused_client_that_stays_is_cut_off_after_a_moment",
        f"{EDGE}::test_deadlines_are_those_of_the_table",
    ),
    "MAX_AUTH_KEY_CHARS": f"{LINK}::test_routing_key_is_read_leniently_and_bounded",
    "MAX_HOLDER_NAME_BYTES": f"{HOST_SERVICES}::test_bad_call_gets_a_status_without_a_body_and_the_connection_lives",
    "MAX_FORWARDED_HOPS": f"{PARTS}::test_client_is_the_peer_or_what_a_trusted_proxy_says",
    "MAX_RATE_BUCKETS": f"{PARTS}::test_table_is_as_large_as_the_limit_says",
    "MAX_LOG_FIELD_CHARS": f"{PARTS}::test_text_with_line_breaks_stays_on_its_line_and_is_bounded",
    "MAX_CONFIG_BYTES": f"{PARTS}::test_file_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_HANDSHAKE_BYTES": f"{HOST}::test_handshake",
    "MAX_CONNECT_HEAD_BYTES": f"{EGRESS}::test_head_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_EGRESS_CONNECTIONS": f"{EGRESS}::test_bounds_are_those_of_the_table",
    "EGRESS_IDLE_S": f"{EGRESS}::test_bounds_are_those_of_the_table",
    "EGRESS_LIFETIME_S": f"{EGRESS}::test_bounds_are_those_of_the_table",
    "MAX_STORE_WAITING": f"{STORE}::test_calls_beyond_the_cap_are_busy_at_once",
    "MAX_STORE_BATCH": f"{STORE}::test_calls_that_wait_together_share_commits_and_no_conflict_spreads",
    "HEALTH_DEADLINE_S": f"{HOST_HEALTH}::test_silent_enclave_is_down_after_the_deadline",
    "MAX_FRIENDLY_NAME_CHARS": f"{WAAS}::test_requests_that_are_none",
    "MAX_TENANT_BYTES": f"{TENANTS}::test_document_and_approvals_at_their_caps_pass_and_no_more",
    "MAX_APPROVALS": f"{TENANTS}::test_document_and_approvals_at_their_caps_pass_and_no_more",
    "MAX_TENANT_PENDING_S": f"{TENANTS}::test_document_is_for_this_deployment_and_for_a_while",
    "MAX_BEARER_LIFE_S": f"{TENANT_ADMIN}::test_weakness_14_tokens_need_audience_expiry_and_role",
    "MAX_INVITATION_REFERENCE_BYTES": f"{INVITATIONS}::test_only_inviters_invite_and_each_call_once",
    "MAX_INVITATION_CODE_CHARS": f"{INVITATIONS}::test_code_at_the_cap_is_a_wrong_one_and_a_longer_one_is_none",
    "MAX_WEBHOOK_REPLY_BYTES": f"{INVITATIONS}::test_reply_at_the_cap_is_one_and_a_larger_one_is_none",
    "WEBHOOK_DEADLINE_S": f"{INVITATIONS}::test_server_that_hangs_is_left_at_the_deadline_and_asked_again",
    "MAX_ACCEPT_SIGNATURE_CHARS": f"{SIGNED_ANSWERS}::test_header_at_the_cap_passes_and_one_character_more_is_refused",
    "MAX_INTENTS_REMEMBERED": f"{WAAS}::test_used_intents_are_bounded_and_forgotten_once_expired",
    "MAX_RELAY_REQUEST_BYTES": f"{RELAY}::test_operation_is_written_in_one_way_and_bounded",
    "MAX_RELAY_OPEN": f"{RELAY}::test_number_of_open_operations_is_bounded",
    "MAX_RELAY_ANSWER_BYTES": f"{RELAY_RPC}::test_answer_is_bounded",
    "RELAY_ANSWER_DEADLINE_S": f"{RELAY_FRAMES}::test_host_that_does_not_answer_is_unreachable_after_the_deadline",
    "MAX_FEE_OPTIONS_BYTES": f"{RELAY_FRAMES}::test_fees_at_their_caps_are_read_and_one_byte_more_is_refused",
    "MAX_FEE_QUOTE_BYTES": f"{RELAY_FRAMES}::test_fees_at_their_caps_are_read_and_one_byte_more_is_refused",
    "MAX_GUARD_ANSWER_BYTES": f"{GUARD_FRAMES}::test_answer_at_the_cap_passes_and_one_byte_more_is_refused",
    "GUARD_DEADLINE_S": f"{GUARD_FRAMES}::test_guard_that_does_not_answer_is_unreachable_after_the_deadline",
    "GUARD_ANSWER_DEADLINE_S": f"{GUARD_FRAMES}::test_host_that_does_not_answer_is_unreachable_after_the_deadline",
    "RELAY_DEADLINE_S": f"{RELAY_RPC}::test_exchange_ends_at_its_deadline",
    "MAX_LAUNCHER_OUTPUT_BYTES": (
        f"{SUPERVISION}::test_output_at_the_cap_passes",
        f"{SUPERVISION}::test_failure_of_the_tool_is_one_stable_code",
    ),
    "STORE_DEADLINE_S": f"{TRAFFIC}::test_store_that_hangs_is_unreachable_at_the_deadline",
    "MAX_SCOPE_CHARS": f"{REQUESTS}::test_scope",
    "MAX_HANDLE_BYTES": f"{REQUESTS}::test_handle",
    "MAX_VERIFIER_BYTES": f"{REQUESTS}::test_verifier",
    "MAX_ANSWER_BYTES": f"{REQUESTS}::test_answer",
    "MAX_METADATA_ENTRIES": f"{REQUESTS}::test_metadata_entries",
    "MAX_METADATA_KEY_BYTES": f"{REQUESTS}::test_metadata_keys",
    "MAX_METADATA_VALUE_BYTES": f"{REQUESTS}::test_metadata_values",
    "MAX_NONCE_HEADER_CHARS": f"{REQUESTS}::test_nonce_header",
    "MAX_NONCE_DIGITS": f"{REQUESTS}::test_nonce_digits",
    "MAX_DEVICE_CHARS": f"{REQUESTS}::test_device",
    "MAX_UNDERSTOOD_BYTES": f"{REQUESTS}::test_understood",
    "MAX_DOCUMENTS_WAITING": f"{REQUESTS}::test_documents_waiting",
    "MIN_DOCUMENT_NONCE_BYTES": f"{REQUESTS}::test_nonce_of_a_document",
    "MAX_DOCUMENT_NONCE_BYTES": f"{REQUESTS}::test_nonce_of_a_document",
    "MAX_SESSION_LIFETIME_S": f"{STATE}::test_lifetime_of_a_session",
    "MAX_OTP_ATTEMPTS": f"{STATE}::test_wrong_answers_at_the_cap_end_a_login_and_one_fewer_does_not",
    "MAX_COMMITMENTS": f"{STATE}::test_commitments_at_the_cap_are_kept_and_one_more_is_busy_until_some_expire",
    "MAX_COMMITMENTS_PER_IDENTITY": f"{STATE}::test_strangers_with_a_live_login_to_one_address_are_capped",
    "MAX_NOTICE_S": f"{NOTICES}::test_a_freeze_waits_for_no_mail_server",
    "MAX_SESSIONS_PER_DEVICE": f"{STATE}::test_sessions_of_a_device_at_the_cap_are_kept_and_one_more_ends_the_oldest_but_the_login_s",
    "MAX_LOGINS_PER_ACCOUNT": f"{LOGINS}::test_an_account_takes_so_many_logins_and_no_more",
    "MAX_GENERATIONS": f"{ROTATION}::test_the_number_of_generations_is_bounded",
    "GENERATION_QUARANTINE_S": f"{ROTATION}::test_a_pass_from_before_others_knew_does_not_count",
    "MAX_DEVICES_PER_ACCOUNT": f"{STATE}::test_devices_of_an_account_at_the_cap_are_listed_and_one_more_ends_the_oldest",
    "MAX_DEPLOYMENT_CHARS": f"{STATE}::test_deployment_of_a_configuration",
    "MAX_ATTESTATION_DOCUMENT_BYTES": f"{DOCUMENT}::test_at01_document_over_16_kib_is_refused_before_parsing",
    "MAX_NSM_RANDOM_BYTES": f"{NSM_MESSAGES}::test_random_reply_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_NSM_RESPONSE_DEPTH": f"{PIECES}::test_depth_of_a_reply_of_the_module",
    "MAX_SYSFS_BYTES": f"{PIECES}::test_attribute_of_sysfs",
    "MAX_CMDLINE_BYTES": f"{PIECES}::test_command_line_of_the_kernel",
    "MAX_CERTIFICATE_BYTES": f"{DOCUMENT}::test_at05_fields_are_taken_at_their_limits_and_refused_beyond",
    "MAX_CABUNDLE_CERTIFICATES": f"{DOCUMENT}::test_at05_fields_are_taken_at_their_limits_and_refused_beyond",
    "MAX_MODULE_ID_CHARS": f"{DOCUMENT}::test_at05_fields_are_taken_at_their_limits_and_refused_beyond",
    "MAX_FUTURE_SKEW_MS": f"{VERIFY}::test_at10_document_from_the_future_is_refused",
    "MAX_VERIFIED_CHAINS": f"{CHAIN}::test_cache_is_bounded",
    "MAX_SESSION_ATTESTATION_BYTES": f"{SESSION}::test_attestation_larger_than_the_limit_is_refused",
    "MAX_VERIFIED_SESSIONS": f"{SESSION}::test_verifier_keeps_no_refused_bytes_and_is_bounded",
    "MAX_RECEIPT_BYTES": f"{SESSION}::test_receipt_at_its_limits_passes_and_larger_ones_are_refused",
    "MAX_BUNDLE_BYTES": (
        f"{BUNDLE}::test_bundle_and_opening_at_their_limits_pass",
        f"{BUNDLE}::test_anything_else_is_no_bundle",
    ),
    "MAX_SEALED_REQUEST_BYTES": f"{CHANNEL}::test_largest_request_passes_and_one_byte_more_is_refused",
    "MAX_SEALED_RESPONSE_BYTES": f"{CHANNEL}::test_largest_answer_passes_and_one_byte_more_is_refused",
    "MAX_CHANNEL_REQUESTS": f"{CHANNEL_KEYS}::test_key_that_has_opened_as_many_requests_as_it_may_is_rotated",
    "MAX_IDENTITY_BYTES": (
        f"{BUNDLE}::test_bundle_and_opening_at_their_limits_pass",
        f"{BUNDLE}::test_anything_else_is_no_bundle",
    ),
    "MAX_AUTH_METHOD_CHARS": (
        f"{SESSION}::test_claims_at_their_limits_pass",
        f"{SESSION}::test_ti07_claims_out_of_range_cannot_be_written",
    ),
    "MAX_RECEIPT_METHOD_CHARS": (
        f"{SESSION}::test_receipt_at_its_limits_passes_and_larger_ones_are_refused",
        f"{SESSION}::test_receipt_out_of_range_cannot_be_written",
    ),
    "MAX_REVOCATION_LIST_BYTES": f"{PIECES}::test_revocation_list",
    "MAX_POLICY_FILE_BYTES": (
        f"{CLI}::test_policy_of_the_largest_size_passes",
        f"{CLI}::test_malformed_policy_is_a_usage_error_before_anything_is_read",
    ),
    "MAX_POLICY_ENTRIES": (
        f"{CLI}::test_policy_of_the_largest_size_passes",
        f"{CLI}::test_malformed_policy_is_a_usage_error_before_anything_is_read",
    ),
    "MAX_FETCHED_BODY_BYTES": f"{CLI}::test_what_cannot_be_read_is_neither_verified_nor_refused",
    "FETCH_DEADLINE_S": f"{CLI}::test_server_that_drips_is_left_at_the_deadline",
    "PASSKEY_CEREMONY_S": f"{PASSKEYS}::test_challenge_ends",
    "MAX_CLIENT_DATA_BYTES": f"{PASSKEYS}::test_what_the_browser_did_for_somebody_else_is_refused",
    "MAX_AUTHENTICATOR_DATA_BYTES": f"{PASSKEYS}::test_authenticator_data_beyond_the_cap_is_refused",
    "MAX_CREDENTIAL_ID_BYTES": (
        f"{PASSKEYS}::test_passkey_with_extensions_and_backup_and_the_longest_id",
        f"{PASSKEYS}::test_id_beyond_the_cap_or_other_than_the_signed_one_is_refused",
    ),
    "CODE_LOGIN_S": f"{AUTH_CODE}::test_login_by_code_lives_for_a_while",
    "MAX_AUTHORIZATION_CODE_CHARS": f"{AUTH_CODE}::test_code_at_the_cap_is_sent_and_one_character_more_is_not",
    "MAX_TOKEN_REPLY_BYTES": f"{TOKEN_ENDPOINT}::test_answer_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_JWKS_BYTES": f"{KEY_SETS}::test_body_at_the_cap_passes_and_one_byte_more_is_refused",
    "MAX_JWKS_KEYS": f"{PROVIDER_KEYS}::test_number_of_keys_is_capped",
    "MAX_JWT_BYTES": f"{ID_TOKEN}::test_token_at_the_cap_passes_and_one_character_more_is_refused",
    "MAX_JWT_DEPTH": f"{PROVIDERS}::test_depth_of_claims",
    "MAX_KEY_ID_CHARS": f"{PROVIDERS}::test_key_id_of_a_token",
    "MAX_URL_CHARS": f"{PROVIDER_KEYS}::test_url_at_the_cap_passes",
    "MAX_SUBJECT_CHARS": (
        f"{ID_TOKEN}::test_unusual_correct_token_passes",
        f"{ID_TOKEN}::test_subject_that_is_no_plain_name_is_refused",
    ),
    "MAX_AUDIENCES": f"{PROVIDERS}::test_audiences",
    "MIN_RSA_BITS": f"{PROVIDERS}::test_size_of_an_rsa_key",
    "MAX_RSA_BITS": f"{PROVIDERS}::test_size_of_an_rsa_key",
    "ID_TOKEN_SKEW_S": (
        f"{ID_TOKEN}::test_unusual_correct_token_passes",
        f"{ID_TOKEN}::test_times_that_do_not_fit_are_refused",
    ),
    "MAX_ID_TOKEN_AGE_S": (
        f"{ID_TOKEN}::test_unusual_correct_token_passes",
        f"{ID_TOKEN}::test_times_that_do_not_fit_are_refused",
    ),
    "MAX_ID_TOKEN_LIFETIME_S": (
        f"{ID_TOKEN}::test_unusual_correct_token_passes",
        f"{ID_TOKEN}::test_times_that_do_not_fit_are_refused",
    ),
    "KEY_SET_TTL_S": f"{KEY_SETS}::test_key_is_fetched_once_and_then_kept",
    "KEY_SET_MAX_STALE_S": f"{KEY_SETS}::test_outage_is_bridged_until_the_set_is_too_old_and_then_closed",
    "KEY_SET_REFRESH_INTERVAL_S": f"{PROVIDERS}::test_unknown_key_is_looked_for_at_the_interval_and_not_before",
    "KEY_SET_RETRY_INTERVAL_S": f"{PROVIDERS}::test_failing_provider_is_asked_at_the_interval_and_not_before",
    "IDENTITY_PROVIDER_DEADLINE_S": f"{KEY_SETS}::test_provider_that_hangs_meets_the_deadline",
    "MAX_IN_FLIGHT": f"{TRAFFIC}::test_requests_of_a_connection_at_the_cap_are_worked_on_and_one_more_is_busy",
    "FRAME_DEADLINE_S": f"{TRAFFIC}::test_frame_that_drips_is_cut_off_at_the_deadline_of_its_first_byte",
    "REQUEST_DEADLINE_S": f"{TRAFFIC}::test_method_that_hangs_is_answered_at_the_deadline",
    "MAX_CONNECTIONS": f"{TRAFFIC}::test_connections_at_the_cap_are_served_and_one_more_is_closed",
    "IDLE_DEADLINE_S": f"{TRAFFIC}::test_idle_connection_is_closed_at_the_deadline_and_one_that_waits_for_an_answer_is_not",
    "MAX_ORIGIN_CHARS": f"{REQUESTS}::test_origin",
}

# Names of `protocol/limits.py` that bound no input.
NOT_CAPS: Final = frozenset({"KIB", "DEFAULT_SESSION_LIFETIME_S"})
