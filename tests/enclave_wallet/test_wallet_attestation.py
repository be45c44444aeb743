"""Attestations of implicit sessions: of the verified login, for the verified session's origin, and of this moment."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.identity import Identity
from enclave.sequence.attesting import parse_attestation_request
from evm.address import checksum, parse_address
from evm.keccak import keccak256
from evm.signature import parse_signature
from evm.wallet.attestation import attestation_from_json, verify_attestation
from evm.wallet.errors import WalletError
from evm.wallet.sessions.configuration import new_tree
from tests.appliance import AUDIENCE, ISSUER, ORIGIN, OTHER_ORIGIN

from .wallet_support import DEVICE, STRANGER, SmartUser, address_of, refused

KEY = checksum(address_of(STRANGER))


async def test_attestation_is_signed_by_the_identity_signer_of_the_session_tree(user: SmartUser) -> None:
    answer = await user.ask("IssueAttestation", approvedSigner=KEY, redirectUrl=f"{ORIGIN}/callback?x=1")
    attestation = attestation_from_json(answer["attestation"])
    signature = parse_signature(bytes.fromhex(answer["signature"][2:]))
    verify_attestation(attestation, signature, parse_address(user.signer))
    assert answer["hash"] == "0x" + attestation.hash.hex()
    assert attestation.approved_signer == address_of(STRANGER)
    assert attestation.identity_type == bytes.fromhex("00000001")
    assert (attestation.issuer_hash, attestation.audience_hash) == (bytes(32), bytes(32))
    assert attestation.auth_data.redirect_url == f"{ORIGIN}/callback?x=1"
    assert abs(attestation.auth_data.issued_at - user.world.clock.wall_ms() // 1000) < 60
    tree = new_tree([parse_address(user.signer), address_of(DEVICE)])
    assert tree is not None
    assert answer["identitySigner"].lower() == user.signer


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.test/",
        f"{ORIGIN}.evil.test/",
        f"{ORIGIN}@evil.test/",
        f"{ORIGIN}:444/",
        f"{ORIGIN}?next=x",
        f"{ORIGIN}/\u00e9",
        f"{ORIGIN}/a b",
        ORIGIN.replace("https", "http") + "/",
        ORIGIN.upper() + "/",
        OTHER_ORIGIN + "/",
        "",
        7,
    ],
)
async def test_url_of_another_origin_than_the_sessions_is_refused(user: SmartUser, url: object) -> None:
    error = await refused(user.ask("IssueAttestation", approvedSigner=KEY, redirectUrl=url))
    assert (error.code, error.cause) == (7341, "wallet-attestation-redirect-url")


async def test_origin_of_the_session_stands_where_no_url_is_given(user: SmartUser) -> None:
    answer = await user.ask("IssueAttestation", approvedSigner=KEY)
    assert answer["attestation"]["authData"]["redirectUrl"] == ORIGIN
    user.client.origin = OTHER_ORIGIN
    user.session = (await user.client.session())["session"]
    answer = await user.ask("IssueAttestation", approvedSigner=KEY)
    assert answer["attestation"]["authData"]["redirectUrl"] == OTHER_ORIGIN


async def test_session_of_another_origin_does_not_attest(user: SmartUser) -> None:
    user.client.origin = OTHER_ORIGIN
    assert (await refused(user.ask("IssueAttestation", approvedSigner=KEY))).code == 7304


@pytest.mark.parametrize("member", ["issuedAt", "audience", "issuerHash", "identityType"])
async def test_what_the_login_says_is_not_the_callers_to_say(user: SmartUser, member: str) -> None:
    assert (await refused(user.ask("IssueAttestation", approvedSigner=KEY, **{member: "1"}))).code == 7200


async def test_keys_of_the_wallet_itself_are_not_attested(user: SmartUser) -> None:
    for signer in (user.signer, checksum(address_of(DEVICE)), "0x" + "00" * 20):
        error = await refused(user.ask("IssueAttestation", approvedSigner=signer))
        assert error.cause == "wallet-attestation-approved-signer"


async def test_attested_keys_are_listed_and_the_oldest_leave(user: SmartUser) -> None:
    for number in range(1, 19):
        signer = "0x" + number.to_bytes(20, "big").hex()
        await user.ask("IssueAttestation", approvedSigner=signer)
    listed = (await user.ask("Configuration"))["attested"]
    assert len(listed) == 16
    assert checksum((3).to_bytes(20, "big")) in listed[0]  # type: ignore[arg-type]


def attested(identity: Identity, audience: str) -> Any:
    return parse_attestation_request(
        {"approvedSigner": KEY},
        _Wallet(),  # type: ignore[arg-type]
        identity=identity,
        audience=audience,
        origin=ORIGIN,
        now_s=5,
    )


class _Plan:
    identity = address_of(DEVICE)
    devices = ()
    sessions = new_tree([address_of(DEVICE)])


class _Wallet:
    plan = _Plan()


def test_issuer_and_audience_of_an_id_token_login_are_hashed() -> None:
    found = attested(Identity("OIDC", ISSUER, "carol", None), AUDIENCE)
    assert found.identity_type == bytes.fromhex("00000002")
    assert found.issuer_hash == keccak256(ISSUER.encode())
    assert found.audience_hash == keccak256(AUDIENCE.encode())


def test_login_of_which_no_audience_is_known_is_not_attested() -> None:
    with pytest.raises(WalletError, match="wallet-attestation-audience"):
        attested(Identity("OIDC", ISSUER, "carol", None), "")


@given(url=st.text(max_size=40))
def test_no_text_but_the_origin_and_its_paths_is_taken(url: str) -> None:
    params = {"approvedSigner": KEY, "redirectUrl": ORIGIN + url}
    identity = Identity("Email", "", "a@example.com", None)
    try:
        found = parse_attestation_request(
            params,
            _Wallet(),
            audience="",
            identity=identity,
            origin=ORIGIN,
            now_s=5,  # type: ignore[arg-type]
        )
    except WalletError:
        return
    assert url == "" or url.startswith("/")
    assert found.auth_data.redirect_url == ORIGIN + url
