"""Bounds of what is offered and of what is granted (ADR 0022: bounds stand with their format); all own choices."""

from typing import Final

OFFER_S: Final = 300  # to read what is shown, and to decide
MAX_OFFERING_DEVICES: Final = 512  # of a worker; whoever has not asked for the longest time is forgotten first
MAX_OFFERS: Final = 8  # of a device; the oldest is forgotten first
MAX_GRANTS: Final = 12  # of an account: what a person can look through, and a record holds
MAX_GRANT_BYTES: Final = 5_000  # of a delegation and the request that it answers
RELEASE_AFTER_S: Final = 900  # after a grant's end: chains may be late with their time
