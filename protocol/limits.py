"""Every limit on an input, in one place, with its source.

A limit is inclusive: a value at the cap passes, cap + 1 is refused with a stable code.
`tests/limits/` walks this table (controls DO-01, CB-05, VS-02, VS-03, VS-04).
"""

from typing import Final

KIB: Final = 1024

# --- frames between host and enclave (VS-02, VS-03, VS-04) ---
MAX_FRAME_BYTES: Final = 512 * KIB  # > MAX_UNDERSTOOD_BYTES + a transaction in hex + headers; a guest has 256 MiB
MAX_METHOD_CHARS: Final = 128
MAX_HEADERS: Final = 16
MAX_HEADER_NAME_CHARS: Final = 64
MAX_HEADER_VALUE_CHARS: Final = 16 * KIB  # an attestation document is 4,426-7,539 bytes before base64
MAX_IN_FLIGHT: Final = 256  # requests per connection; more get an explicit "busy"
MAX_CONNECTIONS: Final = 64  # host connections per worker
MAX_WORKERS: Final = 16  # of one enclave; each pair has a socket, and each asks the share holders itself
MAX_SOCKET_PATH_BYTES: Final = 90  # sun_path holds 107, of which `_PORT` takes up to 11
FRAME_DEADLINE_S: Final = 10.0  # from the first byte of a frame to its last
IDLE_DEADLINE_S: Final = 300.0  # a connection with no request in flight
CONNECT_DEADLINE_S: Final = 3.0
STORE_DEADLINE_S: Final = 5.0
REQUEST_DEADLINE_S: Final = 28.0  # identity-instrument.md 1.2: under a 30 s CDN limit

# --- CBOR (CB-05) ---
MAX_CBOR_DEPTH: Final = 16  # lists and maps around an item
MAX_CBOR_ITEMS: Final = 4096

# --- JSON bodies of the public wire format (identity-instrument.md 1.3) ---
MAX_BODY_BYTES: Final = 64 * KIB
MAX_JSON_DEPTH: Final = 16  # arrays and objects around a value
MAX_SCOPE_CHARS: Final = 100
MAX_HANDLE_BYTES: Final = 250
MAX_VERIFIER_BYTES: Final = 250
MAX_ANSWER_BYTES: Final = 8 * KIB  # OI-13; the original's 2,048 refused common ID tokens (defect 18)
MAX_METADATA_ENTRIES: Final = 10
MAX_METADATA_KEY_BYTES: Final = 50
MAX_METADATA_VALUE_BYTES: Final = 250
MAX_NONCE_HEADER_CHARS: Final = 32
MAX_NONCE_DIGITS: Final = 30  # decimal; under 100 bits
MAX_EMAIL_BYTES: Final = 254  # RFC 5321; OT-09
MAX_ORIGIN_CHARS: Final = 255
MAX_AUTH_KEY_CHARS: Final = 132  # `0x` and an uncompressed P-256 point
MAX_DEVICE_CHARS: Final = len("WebCrypto_Secp256r1:") + MAX_AUTH_KEY_CHARS
MAX_SESSION_LIFETIME_S: Final = 7_776_000  # identity-instrument.md 1.3; configuration lowers it
DEFAULT_SESSION_LIFETIME_S: Final = 300

# --- logins (OT-02, OT-05, OT-07) ---
MAX_OTP_ATTEMPTS: Final = 3
MAX_COMMITMENTS: Final = 10_000  # live, per worker
MAX_COMMITMENTS_PER_IDENTITY: Final = 3
PASSKEY_CEREMONY_S: Final = 300  # the time-out that Web Authentication recommends where users are verified
MAX_CLIENT_DATA_BYTES: Final = 2 * KIB  # an origin at its cap, a challenge, what browsers add
MAX_AUTHENTICATOR_DATA_BYTES: Final = 3 * KIB  # a credential id at its cap, an RSA key of 8,192 bits
MAX_CREDENTIAL_ID_BYTES: Final = 1023  # Web Authentication section 4
CODE_LOGIN_S: Final = 900  # from the challenge, over the provider's pages, to its code
MAX_SESSIONS_PER_DEVICE: Final = 8
MAX_DEVICES_PER_ACCOUNT: Final = 32
MAX_LOGINS_PER_ACCOUNT: Final = 8

# --- what is signed (SE-12, SE-13) ---
MAX_MESSAGE_BYTES: Final = 32 * KIB
MAX_CALLDATA_BYTES: Final = 32 * KIB
MAX_UNDERSTOOD_BYTES: Final = 256 * KIB  # JSON that says what is signed; escapes and decimals lengthen it up to 8 times
MAX_TYPED_DATA_DEPTH: Final = 16
MAX_TYPED_DATA_TYPES: Final = 64
MAX_TYPED_DATA_FIELDS: Final = 256
MAX_TYPED_DATA_VALUES: Final = 1024
MAX_TYPED_DATA_NAME_CHARS: Final = 128  # a type's or field's name, array brackets included
MAX_TRANSACTION_BYTES: Final = 48 * KIB  # serialized: calldata, access list and authorizations at their caps
MAX_ACCESS_LIST_ENTRIES: Final = 64
MAX_STORAGE_KEYS: Final = 256
MAX_AUTHORIZATIONS: Final = 8

# --- smart wallets: a record holds three plans and the updates between them (design section 8) ---
MAX_WALLET_DEVICES: Final = 16
MAX_WALLET_PASSKEYS: Final = 8
MAX_WALLET_RECOVERY_KEYS: Final = 16
MIN_RECOVERY_DELAY_S: Final = 3600  # shorter, and nobody notices in time what was queued
MAX_WALLET_SESSIONS_BYTES: Final = 10 * KIB  # the session tree, encoded; some thirty sessions of a few rules
MAX_WALLET_UPDATES_PENDING: Final = 2  # signed by the login, not yet known to be signed by the guard
MAX_WALLET_UPDATES_KEPT: Final = 16  # signatures that lead from one configuration to the next
MAX_WALLET_UPDATE_BYTES: Final = 1 * KIB  # one of these signatures
MAX_WALLET_ATTESTATIONS_KEPT: Final = 16
MAX_WALLET_COSIGNERS: Final = 16  # leaf signatures of others in one request
MAX_WALLET_CALLS: Final = 128
MAX_FRIENDLY_NAME_CHARS: Final = 100  # of a device, given back and kept nowhere
MAX_INTENTS_REMEMBERED: Final = 100_000  # used ones, until they have expired; about 15 MB
MAX_REDIRECT_URL_CHARS: Final = 1024
MAX_ACCEPT_SIGNATURE_CHARS: Final = 1024

# --- tenants and invitations ---
MAX_TENANT_BYTES: Final = 32 * KIB  # a document, in a body with its approvals and in half of a record
MAX_APPROVALS: Final = 16  # signatures under one document; as many as there can be officers
MAX_TENANT_PENDING_S: Final = 7 * 86_400  # ahead: for so long officers may take to sign
MAX_BEARER_LIFE_S: Final = 3600  # of an administrator's token, which the host can read
MAX_INVITATION_REFERENCE_BYTES: Final = 128
MAX_INVITATION_CODE_CHARS: Final = 64  # of a link, twice what is made
MAX_WEBHOOK_REPLY_BYTES: Final = 16 * KIB
WEBHOOK_DEADLINE_S: Final = 8.0

# --- attestation (nitro-platform.md 3.4, 4.1; AT-01) ---
MAX_ATTESTATION_DOCUMENT_BYTES: Final = 16 * KIB
MAX_NSM_REQUEST_BYTES: Final = 0x1000
MAX_NSM_RESPONSE_BYTES: Final = 0x3000
MAX_NSM_RESPONSE_DEPTH: Final = 3  # the reply, its fields, the list of locked registers
MAX_NSM_RANDOM_BYTES: Final = 256
MAX_ATTESTATION_FIELD_BYTES: Final = 1024
MAX_CERTIFICATE_BYTES: Final = 1024  # of each certificate in a document; AT-05
MAX_CABUNDLE_CERTIFICATES: Final = 8  # genuine bundles hold 4; nitro-platform.md 3.2
MAX_MODULE_ID_CHARS: Final = 100  # the field of the NSM library's description struct; nitro-platform.md 4.2
MAX_DOCUMENTS_WAITING: Final = 64  # for the module, which makes one at a time; more get "busy"
MIN_DOCUMENT_NONCE_BYTES: Final = 16
MAX_DOCUMENT_NONCE_BYTES: Final = 64
MAX_FUTURE_SKEW_MS: Final = 60_000  # a document may be ahead of the verifier's clock by this much; AT-10
MAX_VERIFIED_CHAINS: Final = 64  # cached chains, about 4 KiB each
MAX_SESSION_ATTESTATION_BYTES: Final = 2 * KIB
MAX_VERIFIED_SESSIONS: Final = 4096  # cached session attestations of one verifier, about 2 KiB each
MAX_RECEIPT_BYTES: Final = KIB
MAX_BUNDLE_BYTES: Final = 32 * KIB
MAX_SEALED_REQUEST_BYTES: Final = 63 * KIB  # padded; its envelope is a body of at most `MAX_BODY_BYTES`
MAX_SEALED_RESPONSE_BYTES: Final = 494 * KIB  # padded; its envelope and headers fit a frame
MAX_CHANNEL_REQUESTS: Final = 100_000  # opened with one channel key, which is rotated then; about 10 MB of ids (CH-03)
MAX_DEPLOYMENT_CHARS: Final = 64
MAX_IDENTITY_BYTES: Final = 512  # kind, issuer and subject as one text
MAX_AUTH_METHOD_CHARS: Final = 64
MAX_RECEIPT_METHOD_CHARS: Final = 128
MAX_REVOCATION_LIST_BYTES: Final = 256 * KIB  # AT-19
MAX_POLICY_FILE_BYTES: Final = 64 * KIB
MAX_POLICY_ENTRIES: Final = 128  # fits into the file
MAX_FETCHED_BODY_BYTES: Final = 256 * KIB  # what `nitro-attest` reads from a URL, a file or standard input
FETCH_DEADLINE_S: Final = 10.0  # the whole exchange with one URL

# --- outside answers (OI-10, OI-12, OI-13) ---
MAX_CONNECT_REPLY_BYTES: Final = 4 * KIB  # the parent's answer to CONNECT; a status line is enough
MAX_HTTP_HEAD_BYTES: Final = 16 * KIB
MAX_KMS_REPLY_BYTES: Final = 32 * KIB
MAX_KMS_REPLY_DEPTH: Final = 2  # one flat JSON object
MAX_KMS_CIPHERTEXT_BYTES: Final = 6144  # nitro-platform.md 6.1
MAX_KMS_ENVELOPE_BYTES: Final = KIB  # nitro-platform.md 6.2: 493 bytes for a 32-byte key under RSA-2048
MAX_JWKS_BYTES: Final = 64 * KIB
MAX_TOKEN_REPLY_BYTES: Final = 32 * KIB  # an ID token at its cap, and tokens that we do not look at
MAX_AUTHORIZATION_CODE_CHARS: Final = 2048  # RFC 6749 leaves it open; the longest seen is under 1,100
MAX_JWKS_KEYS: Final = 32
MAX_JWT_BYTES: Final = 8 * KIB
MAX_JWT_DEPTH: Final = 8
MAX_KEY_ID_CHARS: Final = 200  # `kid`; the longest seen in public key sets is 64
MAX_URL_CHARS: Final = 1024  # `jwks_uri`
MAX_SUBJECT_CHARS: Final = 255  # OpenID Connect Core 1.0 section 2
MAX_AUDIENCES: Final = 16
MIN_RSA_BITS: Final = 2048  # OI-02
MAX_RSA_BITS: Final = 8192  # a verification stays under 1 ms
ID_TOKEN_SKEW_S: Final = 30  # OI-06 allows 60
MAX_ID_TOKEN_AGE_S: Final = 600  # OI-06
MAX_ID_TOKEN_LIFETIME_S: Final = 30 * 86_400  # TI-07; the age bound decides long before
KEY_SET_TTL_S: Final = 600  # OI-11: a removed key fails after this
KEY_SET_MAX_STALE_S: Final = 3600  # OI-11: an outage is bridged for this long, then closed
MAX_NOTICE_S: Final = 5  # a change of an account does not wait longer for the mail about it
KEY_SET_REFRESH_INTERVAL_S: Final = 60  # OI-10: an unknown `kid` cannot ask more often
KEY_SET_RETRY_INTERVAL_S: Final = 5  # after a failed refresh
KMS_DEADLINE_S: Final = 5.0
MAX_SDK_REQUEST_BYTES: Final = 32 * KIB  # to our own child: a ciphertext, credentials at their cap and a context
SDK_PROBE_DEADLINE_S: Final = 10.0  # a child starts and loads the library, once at boot
HOLDER_RETRY_S: Final = 1.0  # a holder that failed is not asked earlier, however many requests wait (DO-05)
IDENTITY_PROVIDER_DEADLINE_S: Final = 8.0
MAIL_DEADLINE_S: Final = 10.0

MAX_GENERATIONS: Final = 8  # of holder keys in use; each is n keys under leases of their own
GENERATION_QUARANTINE_S: Final = 600  # after a rotation; other enclaves learn of it within half a minute

# --- records ---
MAX_RECORD_BYTES: Final = 64 * KIB
MAX_RECORDS_PER_CALL: Final = 64
MAX_PUTS_PER_CALL: Final = 64  # small ones; half a frame's bytes in all
MAX_LEDGER_ENTRIES: Final = 256  # of one budget, 96 bytes each; older ones are merged to the later time
MAX_TABLE_CHARS: Final = 32
MAX_CREDENTIALS_BYTES: Final = 8 * KIB  # AWS fixes no size for its session tokens
MAX_CONFIG_BYTES: Final = 256 * KIB
MAX_SYSFS_BYTES: Final = 4 * KIB  # an attribute is one page
MAX_CMDLINE_BYTES: Final = 4 * KIB  # twice COMMAND_LINE_SIZE of the kernel

# --- host edge: HTTP in (VS-03, VS-04, VS-05, DO-08; times of identity-instrument.md 1.2) ---
MAX_HTTP_HEADERS: Final = 64
MAX_HTTP_CONNECTIONS: Final = 1024
MAX_HTTP_CONNECTIONS_PER_CLIENT: Final = 256
MAX_HTTP_MESSAGE_BYTES: Final = MAX_HTTP_HEAD_BYTES + 2 * MAX_BODY_BYTES  # on the wire, chunk framing included
HTTP_HEAD_DEADLINE_S: Final = 5.0
HTTP_MESSAGE_DEADLINE_S: Final = 15.0  # from the first byte of a request to the last of its body
HTTP_IDLE_DEADLINE_S: Final = 45.0
HTTP_WRITE_DEADLINE_S: Final = 45.0  # an answer that the client does not take
HTTP_LINGER_S: Final = 2.0  # after a refusal, so that a reset does not overtake it
MAX_FORWARDED_HOPS: Final = 8
MAX_LOG_FIELD_CHARS: Final = 256
MAX_RATE_BUCKETS: Final = 65_536  # per table

# --- host edge: transport, egress, store (VS-03, VS-04, VS-06) ---
MAX_HANDSHAKE_BYTES: Final = 32  # `OK <n>\n`
MAX_CONNECT_HEAD_BYTES: Final = 1 * KIB
MAX_EGRESS_CONNECTIONS: Final = 128
EGRESS_IDLE_S: Final = 60.0
EGRESS_LIFETIME_S: Final = 600.0
MAX_HOLDER_NAME_BYTES: Final = 255
MAX_STORE_WAITING: Final = 4096  # calls queued for the store's threads
MAX_STORE_BATCH: Final = 256  # calls that share one transaction
HEALTH_DEADLINE_S: Final = 3.0
MAX_RELAY_REQUEST_BYTES: Final = 128 * KIB  # call data; no node relays a larger transaction
MAX_RELAY_OPEN: Final = 256  # operations of one gas account that are not final; a node's pool keeps 64 to 1,024
MAX_RELAY_ANSWER_BYTES: Final = 4096 * KIB  # a receipt with its logs
RELAY_DEADLINE_S: Final = 10.0  # one exchange with a node, a signer or a relayer
RELAY_ANSWER_DEADLINE_S: Final = 20.0  # the host's answer to the enclave; it asks a node several times
MAX_FEE_OPTIONS_BYTES: Final = 32 * KIB  # what a relayer would take, as JSON
MAX_FEE_QUOTE_BYTES: Final = 4 * KIB
MAX_GUARD_ANSWER_BYTES: Final = 16 * KIB  # a signature, or a refusal
GUARD_DEADLINE_S: Final = 10.0  # the exchange of an instrument's host with a guard's
GUARD_ANSWER_DEADLINE_S: Final = 12.0  # the host's answer to the enclave that asks
MAX_LAUNCHER_OUTPUT_BYTES: Final = 256 * KIB
