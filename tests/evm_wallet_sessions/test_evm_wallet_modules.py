"""Sessions and recovery behind the sapient leaves of a wallet's configuration."""

from evm.wallet.configuration import Configuration
from evm.wallet.operation_hash import Operation
from evm.wallet.payload import CallsPayload
from evm.wallet.recovery.queue import RECOVERY_MODULE, QueueRequest, verify_queue_request
from evm.wallet.recovery.timelock import Recovery, queue
from evm.wallet.recovery.tree import RecoveryLeaf, flat, trim
from evm.wallet.recovery.tree_encoding import encode_tree
from evm.wallet.sessions.chain_state import SESSION_MANAGER
from evm.wallet.sessions.configuration import image_hash
from evm.wallet.sessions.session_manager import SessionManager
from evm.wallet.signature.encoding import encode_signature
from evm.wallet.signature.filling import sapient_signature
from evm.wallet.signature.known import KnownContracts
from evm.wallet.signature.merging import assemble
from evm.wallet.signature.verifying import verify_signature
from evm.wallet.topology import Branch, SapientLeaf, SignerLeaf

from .samples import APP, BOB, CALL, CHAIN_ID, NOW_S, OTHER, WALLET, compact_of, refused, session, signed, state, tree

PAYLOAD = CallsPayload((CALL,))
OPERATION = Operation(PAYLOAD, WALLET, CHAIN_ID)
WAIT_S = 3600
KEYS = flat([RecoveryLeaf(APP.address, WAIT_S), RecoveryLeaf(OTHER.address, 0)])
SESSIONS_LEAF = SapientLeaf(SESSION_MANAGER, 1, image_hash(tree()))
RECOVERY_LEAF = SapientLeaf(RECOVERY_MODULE, 255, KEYS.hash)
CONFIGURATION = Configuration(1, 0, Branch(SignerLeaf(BOB, 1), Branch(SESSIONS_LEAF, RECOVERY_LEAF)))


def wallet_signature(leaf: SapientLeaf, data: bytes, *, compact: bool) -> bytes:
    answer = sapient_signature(leaf.address, leaf.image_hash, data, compact=compact)
    return encode_signature(assemble(CONFIGURATION, OPERATION, [answer]))


def test_wallet_takes_a_session_signature() -> None:
    by_session = signed(PAYLOAD, 1).encoded
    data = wallet_signature(SESSIONS_LEAF, by_session, compact=False)

    def verify(now_s: int) -> None:
        contracts = KnownContracts(CHAIN_ID, sapient={SESSION_MANAGER: SessionManager(state(timestamp_s=now_s))})
        verify_signature(data, OPERATION, CONFIGURATION.image_hash, contracts)

    verify(NOW_S)
    with refused("SessionExpired"):
        verify(NOW_S + 1)


def test_wallet_takes_no_session_that_is_not_in_its_tree() -> None:
    greedy = tree(session(value_limit=2**256 - 1))
    by_session = signed(PAYLOAD, 1, of=greedy).encoded
    data = wallet_signature(SESSIONS_LEAF, by_session, compact=False)
    contracts = KnownContracts(CHAIN_ID, sapient={SESSION_MANAGER: SessionManager(state())})
    with refused("InvalidSignature"):
        verify_signature(data, OPERATION, CONFIGURATION.image_hash, contracts)


def test_wallet_takes_a_recovery_after_its_time() -> None:
    request = QueueRequest(WALLET, APP.address, OPERATION.payload, CHAIN_ID)
    queued = queue({}, verify_queue_request(request, compact_of(request.digest)), now_s=NOW_S)
    data = wallet_signature(RECOVERY_LEAF, encode_tree(trim(KEYS, APP.address)), compact=True)

    def verify(now_s: int) -> None:
        contracts = KnownContracts(CHAIN_ID, compact={RECOVERY_MODULE: Recovery(queued, now_s)})
        verify_signature(data, OPERATION, CONFIGURATION.image_hash, contracts)

    verify(NOW_S + WAIT_S)
    with refused("QueueNotReady"):
        verify(NOW_S + WAIT_S - 1)
