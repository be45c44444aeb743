"""The people who decide on held requests, known by their passkeys, and the proof that one of them decided.

They are named in the rule document, so a quorum of officers chooses them (UG-07), and they sign nothing else (UG-08).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType

from enclave.errors import Refusal
from enclave.guard.document import ReviewerEntry, ReviewTerms
from enclave.guard.errors import RulesError
from enclave.login.passkey.authenticator_data import parse_authenticator_data
from enclave.login.passkey.client_data import verify_client_data
from enclave.login.passkey.public_key import PasskeyPublicKey, read_public_key
from enclave.login.passkey.response import Assertion, parse_assertion
from enclave.records import Change, Records
from protocol.base64url import decode_b64u
from protocol.errors import DATA_INTEGRITY_ERROR, PROOF_VERIFICATION_FAILED


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A person of the panel and their passkey."""

    name: str
    credential: bytes
    public_key: PasskeyPublicKey


@dataclass(frozen=True, slots=True)
class Panel:
    """Everybody who decides, and how many it takes."""

    terms: ReviewTerms
    reviewers: Mapping[bytes, Reviewer]
    """By credential id."""


@dataclass(frozen=True, slots=True)
class VerifiedAssertion:
    """A reviewer has answered a challenge. Only `verify_assertion` makes one; its counter is not yet taken."""

    reviewer: Reviewer
    sign_count: int
    given: Assertion


def compile_panel(terms: ReviewTerms) -> Panel:
    """The panel that the terms name; `RulesError("rules-review")` where it could not decide, or one counts twice."""
    reviewers = [_reviewer(entry) for entry in terms.reviewers]
    for what in ("name", "credential"):
        if len({getattr(reviewer, what) for reviewer in reviewers}) < len(reviewers):
            raise RulesError("rules-review", f"Two reviewers have the same {what}.")
    if len({reviewer.public_key.encoded for reviewer in reviewers}) < len(reviewers):
        raise RulesError("rules-review", "Two reviewers have the same key.")
    if terms.quorum > len(reviewers):
        raise RulesError("rules-review", f"{len(reviewers)} reviewers can never be {terms.quorum}.")
    return Panel(terms, MappingProxyType({reviewer.credential: reviewer for reviewer in reviewers}))


def _reviewer(entry: ReviewerEntry) -> Reviewer:
    credential, encoded = decode_b64u(entry.credential), decode_b64u(entry.public_key)
    wrong = RulesError("rules-review", f"Reviewer {entry.name}: not a passkey in base64url.")
    if credential is None or encoded is None:
        raise wrong
    try:
        return Reviewer(entry.name, credential, read_public_key(encoded))
    except Refusal:
        raise wrong from None


def verify_assertion(panel: Panel, text: str, challenge: str) -> VerifiedAssertion:
    """The reviewer whose passkey has signed `challenge` (base64url), with its user verified.

    `Refusal` PROOF_VERIFICATION_FAILED: nobody of the panel, another challenge, site or origin, or a bad signature.
    """
    given = parse_assertion(text)
    reviewer = panel.reviewers.get(given.credential_id)
    if reviewer is None:
        raise Refusal(PROOF_VERIFICATION_FAILED, "passkey is no reviewer's")
    verify_client_data(given.client_data, "get", challenge, panel.terms.origins)
    data = parse_authenticator_data(given.authenticator_data, panel.terms.site, created=False)
    reviewer.public_key.verify(given.signature, given.authenticator_data + sha256(given.client_data).digest())
    return VerifiedAssertion(reviewer, data.sign_count, given)


class Counters:
    """The highest counter that each reviewer's passkey has shown (Web Authentication section 6.1.1)."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def advance(self, panel: Panel, verified: VerifiedAssertion) -> Change | None:
        """The write that takes the assertion's counter, for the caller to save with what it decides.

        None for authenticators without a counter, which always say 0. `Refusal` PROOF_VERIFICATION_FAILED where the
        counter does not rise: the authenticator was copied, or the assertion was used before.
        """
        key = self._records.key("guard-reviewer", panel.terms.site, verified.reviewer.credential)
        [record] = await self._records.load(key)
        if record is not None and type(record.body) is not int:
            raise Refusal(DATA_INTEGRITY_ERROR)
        known: int = 0 if record is None else record.body
        if verified.sign_count == known == 0:
            return None
        if verified.sign_count <= known:
            raise Refusal(PROOF_VERIFICATION_FAILED, "passkey counter did not rise")
        return self._records.change(key, 0 if record is None else record.version, verified.sign_count)
