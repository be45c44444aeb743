"""Delegations in the JSON of the published kit, all values 0x text:

    {"delegate", "delegator", "authority", "caveats": [{"enforcer", "terms", "args"?}], "salt"?, "signature"?}

What is read here is a draft that somebody asks to have signed: the salt is still to come from the signer, and there is
neither a signature nor an argument of whoever redeems it.
"""

from typing import Any, Final

from evm.address import parse_address
from evm.delegations.context import SignedDelegation
from evm.delegations.errors import require
from evm.delegations.model import MAX_CAVEATS, MAX_TERMS_BYTES, Caveat, Delegation
from evm.fields import hex_bytes, hex_word, items, members

_NO_ARGUMENTS: Final = (b"", b"\0")
"""The kit writes one zero byte for none; no argument is part of what is signed, or of what is handed out."""


def parse_draft(value: object) -> Delegation:
    """The delegation with a salt of 0; `DelegationError` for one that has a salt, a signature or arguments."""
    found = members(
        value,
        required=("delegate", "delegator", "authority", "caveats"),
        optional=("salt", "signature"),
        code="delegation-members",
    )
    require(not any(_bytes(found.get("salt"), "delegation-salt")), "delegation-salt")
    require(_bytes(found.get("signature"), "delegation-signature") == b"", "delegation-signature")
    return Delegation(
        delegate=parse_address(found["delegate"], "delegation-parties"),
        delegator=parse_address(found["delegator"], "delegation-parties"),
        authority=hex_word(found["authority"], "delegation-authority"),
        caveats=tuple(map(_caveat, items(found["caveats"], most=MAX_CAVEATS, code="delegation-caveats"))),
        salt=0,
    )


def signed_to_json(signed: SignedDelegation) -> dict[str, Any]:
    """A signed delegation as the kit takes it."""
    found = signed.delegation.as_json()
    caveats = [{**caveat, "args": "0x"} for caveat in found["caveats"]]
    salt = f"0x{signed.delegation.salt:064x}"
    return {**found, "caveats": caveats, "salt": salt, "signature": "0x" + signed.signature.hex()}


def _caveat(value: object) -> Caveat:
    found = members(value, required=("enforcer", "terms"), optional=("args",), code="delegation-caveats")
    require(_bytes(found.get("args"), "delegation-arguments") in _NO_ARGUMENTS, "delegation-arguments")
    terms = hex_bytes(found["terms"], "delegation-terms", most=MAX_TERMS_BYTES)
    return Caveat(parse_address(found["enforcer"], "delegation-enforcer"), terms)


def _bytes(value: object, code: str) -> bytes:
    """Bytes of at most a word; absent and null are none."""
    return b"" if value is None else hex_bytes(value, code, most=32)
