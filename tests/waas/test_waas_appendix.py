"""The vectors of waas-guard-intents.md, appendix A, by their numbers; most are of unmodified published clients."""

import coincurve

from enclave.guard.factors import proofs
from evm.address import Address, parse_address
from evm.authorization import Authorization
from evm.delegations.deployment import METAMASK
from evm.delegations.model import ROOT_AUTHORITY, Delegation
from evm.delegations.terms import Amount, Targets, Times, ValueAtMost
from evm.intents.bundle import bundle_of
from evm.intents.names import parse_intent_data
from evm.intents.session_key import parse_session_key, verify_session_signature
from evm.intents.user_wallet import VerifiedParent, child_wallet
from evm.intents.wallet_data import SendTransaction
from evm.keccak import keccak256
from evm.message import PersonalMessage
from evm.signature import parse_recoverable
from evm.wallet.attestation import Attestation, AuthData
from evm.wallet.legacy.embedded import embedded_configuration, unique_signer
from evm.wallet.legacy.signer import key_signature
from evm.wallet.operation_hash import operation_hash
from evm.wallet.payload import Call, CallsPayload, ConfigUpdatePayload, MessagePayload
from evm.wallet.sessions.call_hash import call_hash
from evm.wallet.sessions.configuration import Blacklist, Branch, IdentitySigner, image_hash
from evm.wallet.sessions.permission import (
    ParameterOperation,
    ParameterRule,
    Permission,
    SessionPermissions,
    value_usage_hash,
)
from tests.evm_intents.samples import p256
from tests.evm_intents.test_intents_vectors import DOCUMENTED

B = bytes.fromhex
WALLET = parse_address("0xfedcbafedcbafedcbafedcbafedcbafedcbafe00")
USDC = parse_address("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")
KEY = coincurve.PrivateKey(b"\x11" * 32)


def test_a1_intent_of_the_documentation_is_signed_by_its_session() -> None:
    hash_ = B("dd97258f7996355e74ea31b8331f315d3bd795ad13195f7167dd5491e7858268")
    [signature] = DOCUMENTED["signatures"]  # type: ignore[misc]
    session = parse_session_key(signature["sessionId"])  # type: ignore[index]
    verify_session_signature(session, signature["signature"], hash_, p256)  # type: ignore[index]


def test_a2_child_wallet_and_the_bundle_that_its_parent_signs() -> None:
    user = "1|0x2f9f0a1b8a4e0c3e7b4d6f5a9c8e7d6b5a493827161504f3e2d1c0bfaebdac9b"
    salt = B("a176de7902ef0781d2c6120cc5fd5add3048e1543f597ef4feae38391d234839")
    parent = parse_address("0xcF104bc904E4dC1cCe0027aB9F9C905Ad3aE6c21")
    assert unique_signer(user, salt) == B("cb0c765e5fae62710cf6adf078b3f3db793d03513c33930a40ff9fca6c93a783")[-20:]
    configuration = embedded_configuration(parent, unique_signer(user, salt))
    assert configuration.image_hash == B("c8476059cfb012293af23b67e30b936cb9b58f61ca15173fc3049bb2f647fc25")
    child = child_wallet(VerifiedParent(parent, salt), user)
    assert child.address == parse_address("0xbD2237CE97e87D5A64A78C790AEC3884df9a0454")
    call = {"type": "transaction", "to": "0x479F6a5b0C1728947318714963a583C56A78366A", "value": "39381"}
    data = {"network": "10", "wallet": "0x" + child.address.hex(), "identifier": "test-identifier"}
    intent = parse_intent_data("sendTransaction", data | {"transactions": [call | {"data": "0x3251ba32"}]})
    assert isinstance(intent, SendTransaction)
    bundle = bundle_of(intent)
    assert bundle.legacy_nonce == 0x71DD44C52BC898D160EFCDCDC6DFE94A4D7899CF << 96
    digest = bundle.legacy_digest
    assert digest == B("59594cda1432866a2cfea0ace19683ee9e83163c95a727a5f7919cc82871b402")
    assert child.own_digest(10, digest) == B("e6eca6871dc3f3197b5adc9b790ac01a58e50c2f28b3ef79e60fe777bbb7b586")
    signed = child.digest(10, digest)
    assert signed == B("9bb2f814e4b0d3f831177f2eb994e55db8dc17073636f5798e6363d5353f4d1e")
    signature = key_signature(parse_recoverable(KEY.sign_recoverable(signed, hasher=None)))
    assert signature == B(
        "12f9c4f6e287164f92377a9d68c3d4548ae4c9d4b96e6f1a2f946cecf153af26"
        "6aeb20474239af6ab0f38e2b8e857c87732ba19a52c93d61939968f6134834d71b01"
    )
    message = PersonalMessage(b"hello", None).digest
    assert child.own_digest(137, message) == B("cf03b66ac85f2ba0f55f4d92c118d4ff5785cb6e6eb3a71884642046c0d7832f")


def test_a3_what_a_guard_signs_for_the_third_generation() -> None:
    call = Call(parse_address("0x1234567890123456789012345678901234567890"), 1, B("a9059cbb"))
    calls = operation_hash(CallsPayload((call,), 3, 7), WALLET, 137)
    assert calls == B("01910edcd464f903837df9096fc8a349ef1e173da29ecaa26900bac55120c04a")
    message = operation_hash(MessagePayload(b"Test message"), WALLET, 137)
    assert message == B("cfd79bbbeedadf7002ef1fa2acbe2bf7e28c41dba92fe1046cd159ca94a49952")
    update = operation_hash(ConfigUpdatePayload(b"\x98" * 32), WALLET, 137)
    assert update == B("430994a7f16b01eac00c33243079c1278290c7fe4df6e444f5ec808123cf0363")
    signer = Address(B("abcdef" * 6 + "abcd"))
    hashes = keccak256(b"issuer"), keccak256(b"aud")
    attestation = Attestation(signer, b"\0\0\0\1", *hashes, b"app", AuthData("https://example.com", 1))
    assert attestation.hash == B("7ab203b1f5e8b1b1ea09652bf0ccb8d81d6c3a215b2bd1325a60fbd119be3524")
    assert call_hash(calls, 0) == B("2acda68ccdcbc0fc329bf64b7ceeebc4a181ce150aacb8e239aab8a39c311c75")
    assert attestation.magic(WALLET) == B("d50422d0f1a3553c7f46edd37af514587ee95b3862966ebb04638c550586e741")


def test_a4_proofs_of_a_users_second_factors() -> None:
    at_s = 784_111_777  # Sun, 06 Nov 1994 08:49:37 UTC
    ownership = "cacbdf8a23ff3171bbf351c13511ddfe9f36a9a5d97dba7564cb88ebca3a6c4c"
    assert proofs.ownership_digest(WALLET, at_s).hex() == ownership
    assert proofs.update_digest(at_s).hex() == "bfd7ec1596c766539a96aea93d0013bf43b78ee8630dbe962c57398c884c9dfe"


def test_a5_explicit_session_its_tree_and_its_limits() -> None:
    signer = Address(b"\x11" * 20)
    first = B("ffffffff").ljust(32, b"\0")
    selector = int.from_bytes(B("a9059cbb").ljust(32, b"\0"), "big")
    rules = (
        ParameterRule(ParameterOperation.EQUAL, selector, 0, int.from_bytes(first, "big")),
        ParameterRule(ParameterOperation.LESS_THAN_OR_EQUAL, 100_000_000, 36, cumulative=True),
    )
    permission = Permission(USDC, rules)
    session = SessionPermissions(signer, 137, 0, 1_800_000_000, (permission,))
    tree = Branch((IdentitySigner(Address(b"\x22" * 20)), Branch((Blacklist(), session))))
    assert image_hash(tree) == B("635d25df0083c991d0672283904acf9852909557d24cae2c28f9d4b960eeaf10")
    usage = permission.usage_hash(signer, 1)
    assert usage == B("300b8c67e655cdf868739550c45d121f6f0dc4c087ed5dbf51b6d70e04e551e1")
    assert value_usage_hash(signer) == B("d57fd072d2ef5b9c7b06002e3efc2eb082b48a484d9f1b4cf9d4b43021c13343")


def test_a6_delegations_and_an_authorization_of_eip_7702() -> None:
    def delegation(*terms: object) -> Delegation:
        caveats = tuple(METAMASK.caveat(each) for each in terms)  # type: ignore[arg-type]
        return Delegation(Address(b"\x11" * 20), Address(b"\x22" * 20), ROOT_AUTHORITY, caveats, 1)

    found = delegation(Targets((USDC,)), Times(0, 1_800_000_000))
    assert found.hash == B("f20e1f84c4f08aca50c6d96429aa03bc51cce6e38c52810a1d2745a5f6b4b6b6")
    digest = found.digest(METAMASK.manager, 137)
    assert digest == B("d4f3a1b3e182b34d32b1dce3ffd365b16ed223bd0659b962ea4c80e984561798")
    capped = delegation(ValueAtMost(0), Amount(USDC, 100)).digest(METAMASK.manager, 137)
    assert bytes(parse_recoverable(KEY.sign_recoverable(capped, hasher=None))) == B(
        "fe37ea39c7468ccc4d2708d1f9e6d99c03390231fcb196fe33e23093e9a27e9a"
        "3f334b40e79ab128b5df8f5369aa3615b73ceb7821618a4da12ceb0a9147cc081c"
    )
    code = parse_address("0x63c0c19a282a1B52b07dD5a65b58948A07DAE32B")
    expected = "e44944a773c29f75c950071bc43f50567e0a60a6d22aa04ab0a9d501f55736cb"
    assert Authorization(137, code, 5).digest.hex() == expected
