"""Bounds of rule documents and of their evaluation (SE-12, SE-15; ADR 0022: bounds stand with their format)."""

from typing import Final

MAX_RULES_BYTES: Final = 48 * 1024  # a sealed record holds it (`protocol.limits.MAX_RECORD_BYTES`)
MAX_RULES: Final = 128
MAX_BUDGETS: Final = 32  # each may be a record of one atomic write
MAX_LISTS: Final = 64
MAX_LIST_ADDRESSES: Final = 768  # over all lists
MAX_TOKENS: Final = 256
MAX_EXAMPLES: Final = 256
MAX_COMPARISONS: Final = 16_384  # of an effect with a rule; about 20 ms
MAX_WINDOW_S: Final = 366 * 86_400
MAX_LOG_LINE_BYTES: Final = 1024 * 1024  # 512 effects in JSON
MAX_LOG_DEPTH: Final = 64  # two levels of JSON for each level of effects
MAX_LOG_NAME_CHARS: Final = 512
MAX_REQUEST_BYTES: Final = 256 * 1024  # a request in a file
MAX_LOG_BYTES: Final = 256 * 1024 * 1024  # a file of recorded decisions
MAX_KEPT_DECISION_BYTES: Final = 16 * 1024 * 1024  # of a boot, in memory; some ten thousand
MAX_READ_DECISION_BYTES: Final = 256 * 1024  # in one answer, which a frame has to hold
MAX_RECENT_DECISIONS: Final = 64  # in an overview, without their effects
MAX_OVERVIEW_ASKERS: Final = 16  # whose shares of budgets an overview shows
MAX_OVERVIEW_STEPS: Final = 4  # at which a share frees; later ones are summed up
MAX_READ_REVIEW_BYTES: Final = 96 * 1024  # beside them
MAX_WALLET_SIGNERS: Final = 256  # that count for one wallet
MAX_WALLET_MODULES: Final = 64  # passkeys and trees of sessions, the newest: each change of a session makes another
MAX_APPROVED_UPDATES: Final = 64  # of one wallet, whose configurations may still be shown
MAX_PIN_CHARS: Final = 64
MAX_FACTOR_CODE_CHARS: Final = 128  # a code or PIN, as it was typed
MAX_FACTOR_CHARS: Final = 16 * 1024  # an ID token, or what a passkey answers
MAX_FACTOR_PROOF_BYTES: Final = 16 * 1024  # a wallet's signature, wrapped
MAX_FACTOR_CHALLENGE_CHARS: Final = 96
MAX_REVIEWERS: Final = 16
MAX_REVIEW_QUORUM: Final = 8  # so many decisions, and the statement, fit a sealed record
MAX_CREDENTIAL_CHARS: Final = 1364  # Web Authentication section 4: 1,023 bytes, in base64url
MAX_PUBLIC_KEY_CHARS: Final = 1536  # an RSA key of 8,192 bits in COSE
MAX_HOLD_S: Final = 7 * 86_400
MAX_OPEN_REVIEWS: Final = 32  # what a few people can still look through
MAX_OPEN_NAMED: Final = 16  # beside them, of wallets that the rules name, which nobody can make up
MAX_OPEN_OF_ONE: Final = 4  # of one account that asks
MAX_ENDED_REVIEWS: Final = 32  # the history that is kept
MAX_STATEMENT_BYTES: Final = 24 * 1024
MAX_REVIEW_LINE_BYTES: Final = 4 * 1024  # with the evidence of one decision
MAX_REVIEW_SESSION_S: Final = 900
MAX_REVIEW_CHALLENGE_S: Final = 120
MAX_REVIEW_SESSION_CHARS: Final = 2048  # of a session's text; a credential id at its cap
