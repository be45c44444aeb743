"""X25519 public keys with which every private key agrees on zero (RFC 7748 section 6.1)."""

_P = 2**255 - 19
_ORDER_8 = (
    0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
    0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
)
_BELOW = (0, 1, *_ORDER_8, _P - 1)
_NON_CANONICAL = (_P, _P + 1)

LOW_ORDER = tuple(
    bytes([*number[:-1], number[-1] | top])
    for number in (value.to_bytes(32, "little") for value in (*_BELOW, *_NON_CANONICAL))
    for top in (0x00, 0x80)  # the highest bit is ignored (RFC 7748 section 5)
)
