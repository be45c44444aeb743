"""The main job through HTTP: log in twice, get a session, sign, execute in an EVM, verify the whole chain."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from eth_account import Account
from eth_account.messages import encode_typed_data

from attestation.bundle import Bundle, IdentityOpening, VerifiedBundle, verify_bundle
from attestation.errors import AttestationError
from attestation.roots import AMAZON, TrustRoot
from evm.address import Address, checksum, parse_address
from evm.keccak import keccak256
from host_proxy.client.flows import Session, require_b64u
from simulator import contracts, settings
from simulator.browser import authorize, sign_in
from simulator.chain import ChainError, LocalChain
from simulator.tls import TlsAuthority
from tests.e2e.e2e_support import ORIGIN, SCOPE, STRICT_SCOPE, Site, User, new_email, refused
from tests.evm.samples import KEYS, authorization, mail, transaction

ETHER = 10**18
RECIPIENT = Address(bytes(19) + b"\x99")


@pytest.fixture(scope="module")
def person(site: Site) -> Iterator[tuple[User, Session]]:
    """A logged-in user with a session."""
    user = site.user()
    user.log_in()
    yield user, user.flows.create_session()
    user.api.close()


# --- logins ---


def test_mail_login_on_two_devices_leads_to_one_wallet(site: Site) -> None:
    email = new_email()
    phone, laptop = site.user().log_in(email), site.user().log_in(email)
    assert phone.signer == laptop.signer
    assert phone.identity == {"type": "Email", "sub": email, "email": email}


def test_id_token_from_the_login_page_leads_to_the_wallet_of_its_subject(site: Site) -> None:
    first, again, other = (site.user().log_in_by_token(name) for name in ("ada", "ada", "grace"))
    assert first.signer == again.signer != other.signer
    assert first.identity["type"] == "OIDC"
    assert (first.identity["iss"], first.identity["sub"]) == (settings.ISSUER, "ada")


def test_mail_and_id_token_of_one_address_are_two_identities(site: Site) -> None:
    by_token = site.user().log_in_by_token("linus")
    by_mail = site.user().log_in(by_token.identity["email"])
    assert by_mail.signer != by_token.signer


def test_id_token_logs_in_once(site: Site) -> None:
    token = sign_in(site.stand_ins.login_page_url, "once")
    site.user().flows.id_token_login(token)
    with refused() as refusal:
        site.user().flows.id_token_login(token)
    assert (refusal.code, refusal.cause) == (7200, "cannot reuse an old ID token")


@pytest.mark.parametrize("client_id", [settings.CLIENT_ID, settings.WEB_CLIENT_ID])
def test_code_of_the_provider_is_exchanged_inside_with_pkce(site: Site, client_id: str) -> None:
    user = site.user()
    started = user.flows.start_code_login(settings.ISSUER, client_id, settings.REDIRECT_URI)
    code = authorize(site.stand_ins.login_page_url, "coder", client_id, started["challenge"])
    login = user.flows.finish_code_login(started, code)
    assert login.identity["sub"] == "coder"
    assert login.signer == site.user().log_in_by_token("coder").signer


def test_code_without_pkce_is_exchanged_with_a_generated_client_secret(site: Site) -> None:
    code = authorize(site.stand_ins.login_page_url, "team-coder", settings.TEAM_CLIENT_ID)
    login = site.user().flows.hashed_code_login(settings.ISSUER, settings.TEAM_CLIENT_ID, settings.REDIRECT_URI, code)
    assert login.identity["sub"] == "team-coder"


def test_scope_for_sealed_logins_takes_none_in_the_clear(site: Site) -> None:
    with refused() as refusal:
        site.user(settings.SEALED_SCOPE).flows.start_mail_login(new_email())
    assert refusal.code == 7319


def test_wrong_code_is_refused_and_the_right_one_then_works(site: Site) -> None:
    user, email = site.user(), new_email()
    started = user.flows.start_mail_login(email)
    code = site.mailed_code(email)
    with refused() as refusal:
        user.flows.finish_mail_login(started, "000000" if code != "000000" else "111111")
    assert refusal.code == 7003
    assert user.flows.finish_mail_login(started, code).signer.startswith("0x")


# --- signatures ---


def test_message_signature_recovers_to_the_wallet(person: tuple[User, Session]) -> None:
    user, session = person
    assert user.recovered(session.session, "Grüße aus der Kanzlei") == session.signer


def test_typed_data_signature_recovers_to_the_wallet(person: tuple[User, Session]) -> None:
    user, session = person
    signed = user.flows.sign("TypedData", session.session, mail())
    recovered = Account.recover_message(encode_typed_data(full_message=mail()), signature=signed["signature"])
    assert recovered.lower() == session.signer
    assert signed["understood"]["kind"] == "typed-data"


def test_digest_signature_is_a_right_of_its_own(site: Site, person: tuple[User, Session]) -> None:
    user, session = person
    digest = keccak256(b"opaque")
    signature = bytes.fromhex(user.flows.sign_digest(session.signer, digest)[2:])
    assert Account._recover_hash(digest, signature=signature).lower() == session.signer
    strict = site.user(STRICT_SCOPE)
    wallet = strict.log_in().signer
    with refused() as refusal:
        strict.flows.sign_digest(wallet, digest)
    assert refusal.code == 7300


# --- an EVM executes what was signed ---


@pytest.fixture
def chain(person: tuple[User, Session]) -> LocalChain:
    chain = LocalChain()
    chain.fund(parse_address(person[1].signer), ETHER)
    return chain


def request(chain: LocalChain, type_: int, signer: str, **changes: Any) -> dict[str, Any]:
    fitting = {"chainId": hex(chain.chain_id), "nonce": hex(chain.nonce(parse_address(signer))), "gas": hex(200_000)}
    return transaction(type_, **{**fitting, "value": "0x0", "data": "0x", **changes})


@pytest.mark.parametrize("type_", [0, 1, 2])
def test_signed_transaction_of_each_type_is_executed(
    person: tuple[User, Session], chain: LocalChain, type_: int
) -> None:
    user, session = person
    found = request(chain, type_, session.signer, to=checksum(RECIPIENT), value=hex(ETHER // 4))
    signed = user.flows.sign("Transaction", session.session, found)
    assert signed["understood"]["value"] == str(ETHER // 4)
    receipt = chain.send_raw(bytes.fromhex(signed["raw"][2:]))
    assert receipt.status
    assert "0x" + receipt.hash.hex() == signed["hash"]
    assert chain.balance(RECIPIENT) == ETHER // 4
    with pytest.raises(ChainError):  # the chain is no yes-man
        chain.send_raw(bytes.fromhex(signed["raw"][2:]))


def test_signed_delegation_is_executed_and_another_account_runs_the_code(
    person: tuple[User, Session], chain: LocalChain
) -> None:
    """Type 4 (EIP-7702): the wallet sends another account's authorization."""
    user, session = person
    delegate = chain.deploy(contracts.recorder())
    agreed = authorization(chain.chain_id, delegate=checksum(delegate), key=1)
    authority = parse_address(Account.from_key(KEYS[1].secret).address)
    word = (77).to_bytes(32, "big")
    found = request(
        chain, 4, session.signer, to=checksum(authority), data="0x" + word.hex(), authorizationList=[agreed]
    )
    signed = user.flows.sign("Transaction", session.session, found)
    assert chain.send_raw(bytes.fromhex(signed["raw"][2:])).status
    assert chain.code(authority) == bytes.fromhex("ef0100") + delegate
    assert chain.storage(authority, 0) == 77


def test_transaction_that_names_another_sender_is_refused_unsigned(
    person: tuple[User, Session], chain: LocalChain
) -> None:
    user, session = person
    found = request(chain, 2, session.signer, **{"from": checksum(RECIPIENT)})
    with refused() as refusal:
        user.flows.sign("Transaction", session.session, found)
    assert (refusal.code, refusal.cause) == (7306, "tx-from")


def test_what_cannot_be_decoded_is_not_signed(person: tuple[User, Session]) -> None:
    user, session = person
    for kind, payload in (("Transaction", "0x02c0"), ("TypedData", {"types": {}}), ("Message", {"hex": "0xzz"})):
        with refused() as refusal:
            user.flows.sign(kind, session.session, payload)
        assert refusal.code == 7306
        assert "signature" not in refusal.body


# --- the whole chain, offline ---


@pytest.fixture(scope="module")
def bundle(person: tuple[User, Session]) -> bytes:
    user, session = person
    opening = IdentityOpening(require_b64u(session.salt), SCOPE, session.identity)
    return Bundle(user.flows.binding_document(), require_b64u(session.attestation), opening).encode()


def verified(site: Site, bundle: bytes, *roots: TrustRoot) -> VerifiedBundle:
    return verify_bundle(bundle, site.image, time.time_ns() // 1_000_000, roots)


def test_proof_bundle_leads_from_the_root_to_this_device_key(
    site: Site, person: tuple[User, Session], bundle: bytes
) -> None:
    user, session = person
    found = verified(site, bundle, site.stand_ins.root)
    claims = found.session.claims
    assert claims.auth_key.public_key == user.device.public_key
    assert (claims.audience, claims.scope, claims.issuer) == (ORIGIN, SCOPE, settings.DEPLOYMENT)
    assert found.opening is not None
    assert found.opening.identity == session.identity
    assert found.binding.deployment == settings.DEPLOYMENT


def test_proof_bundle_of_the_simulator_is_refused_under_the_root_of_amazon(site: Site, bundle: bytes) -> None:
    with pytest.raises(AttestationError) as caught:
        verified(site, bundle, AMAZON)
    assert caught.value.code == "root-untrusted"
    with pytest.raises(AttestationError) as caught:  # and that is what everybody gets who names no root
        verify_bundle(bundle, site.image, time.time_ns() // 1_000_000)
    assert caught.value.code == "root-untrusted"


def test_authority_of_the_tls_servers_vouches_for_no_measurement(site: Site, bundle: bytes) -> None:
    for authority in (site.stand_ins.authority, TlsAuthority.create()):
        der = load_pem_x509_certificate(authority.certificate_pem.encode()).public_bytes(Encoding.DER)
        with pytest.raises(AttestationError) as caught:
            verified(site, bundle, TrustRoot("a TLS authority", der))
        assert caught.value.code == "root-untrusted"
