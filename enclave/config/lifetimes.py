"""Lifetimes and rates that a deployment may tighten."""

from typing import Annotated

import msgspec

from enclave.config.fields import Measured
from protocol import limits

Seconds = Annotated[int, msgspec.Meta(ge=1, le=limits.MAX_SESSION_LIFETIME_S)]


class Limits(Measured, frozen=True, kw_only=True):
    """Lifetimes and rates that a deployment may tighten."""

    session_s: Seconds = limits.DEFAULT_SESSION_LIFETIME_S
    session_ceiling_s: Seconds = 86_400
    otp_s: Annotated[int, msgspec.Meta(ge=60, le=1800)] = 300
    otp_digits: Annotated[int, msgspec.Meta(ge=6, le=12)] = 6
    """In scopes whose codes are digits."""
    otp_digit_codes_per_day: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 48
    """Codes of digits for one address and device, or for one address and all unknown devices."""
    mails_per_address: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 3
    mails_window_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 180
    mails_per_scope: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 500
    mails_total_per_window: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1000
    signatures_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 600
    """Per device key."""
    holder_lease_s: Annotated[int, msgspec.Meta(ge=10, le=3600)] = 300
    request_window_s: Annotated[int, msgspec.Meta(ge=1, le=600)] = 120
    channel_key_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = 14_400
    """How long a channel key is handed out; what was sealed to it opens for twice as long (CH-03)."""
    fresh_login_s: Annotated[int, msgspec.Meta(ge=30, le=3600)] = 300
    """How long after a login its device may change who else gets in."""
    account_delay_s: Annotated[int, msgspec.Meta(ge=1, le=2_592_000)] = 86_400
    """How long a frozen account stays frozen after somebody asked for the end of it, and before it can be deleted."""
    seen_records: Annotated[int, msgspec.Meta(ge=1000, le=100_000_000)] = 1_000_000
    """With several workers: of how many records a boot remembers the newest version; 43 bytes each."""
    clock_skew_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 5000
