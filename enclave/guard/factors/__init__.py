"""Second factors of a guard's users: what a wallet has enrolled, who changes it, and what is shown for a signature.

The guard asks for them itself, so whoever holds the login's key, or the instrument that keeps it, has not shown one
(ADR 0062). `record` is what is kept, `book` where; `totp`, `pins` and `recovery_codes` are pure; `attempts` counts.
"""
