"""Started logins under one name or two: replaced, consumed and forgotten whole."""

import pytest

from enclave.auth_key import Key
from enclave.errors import Refusal
from enclave.login.commitments import Commitment, CommitmentKey, Commitments

AUTH_KEY = Key("Ethereum_Secp256k1", "0x" + "11" * 20)


def key(verifier: str) -> CommitmentKey:
    return CommitmentKey("@1", "AuthCodePKCE", "OIDC", verifier, AUTH_KEY)


def commitment(verifier: str, also: str | None = None, deadline_ms: int = 1000) -> Commitment:
    return Commitment(key(verifier), verifier, deadline_ms, also=None if also is None else key(also))


def found(commitments: Commitments, verifier: str, now_ms: int = 0) -> Commitment | None:
    try:
        return commitments.start_attempt(key(verifier), now_ms)
    except Refusal:
        return None


def test_both_names_lead_to_one_login_with_one_count_of_tries() -> None:
    commitments, login = Commitments(), commitment("challenge", "signer")
    commitments.add(login, 0)
    assert [found(commitments, name) for name in ("challenge", "signer", "signer", "challenge")] == [login] * 3 + [None]
    assert len(commitments) == 1


@pytest.mark.parametrize("end", [Commitments.consume, Commitments.withdraw])
def test_login_that_ended_leaves_neither_name(end: object) -> None:
    commitments, login = Commitments(), commitment("challenge", "signer")
    commitments.add(login, 0)
    end(commitments, login)  # type: ignore[operator]
    assert found(commitments, "challenge") is found(commitments, "signer") is None
    assert not commitments._also
    assert not commitments._live


def test_newer_login_of_a_name_replaces_the_older_whole() -> None:
    commitments, older, newer = Commitments(), commitment("one", "signer"), commitment("two", "signer")
    commitments.add(older, 0)
    commitments.add(newer, 0)
    assert found(commitments, "one") is None
    assert found(commitments, "two") is found(commitments, "signer") is newer
    with pytest.raises(Refusal):
        commitments.consume(older)
    assert len(commitments) == len(commitments._also) == 1


def test_one_login_may_replace_two() -> None:
    commitments, both = Commitments(), commitment("one", "two")
    commitments.add(commitment("one"), 0)
    commitments.add(commitment("two"), 0)
    commitments.add(both, 0)
    assert found(commitments, "one") is found(commitments, "two") is both
    assert len(commitments) == 1
