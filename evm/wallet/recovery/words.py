"""Recovery in words: who can recover a wallet, how, and how long it takes."""

from evm.address import checksum
from evm.wallet.recovery.timelock import ready_at_s
from evm.wallet.recovery.tree import Branch, Node, RecoveryLeaf, Tree, leaves
from evm.wallet.times import duration, moment

HOW: tuple[str, ...] = (
    "A recovery key signs what the wallet is to do, and anyone may put that on the chain, where everybody can read it",
    "Once the key's waiting time is over, anyone may have the wallet do it; no other signature is needed",
    "Until then the wallet's owners can prevent it: by a configuration without that key, or by using the nonce first",
)


def tree_words(tree: Tree) -> list[str]:
    """Every recovery key that a tree shows, how recovery works, and whether something is hidden."""
    hidden = _hidden(tree)
    return [
        *(leaf_words(leaf) for leaf in leaves(tree)),
        *([f"Parts that are not shown: {hidden}"] if hidden else []),
        *HOW,
    ]


def leaf_words(leaf: RecoveryLeaf) -> str:
    """One recovery key and its waiting time."""
    wait = (
        f"{duration(leaf.required_delta_s)} after it said in public what to do"
        if leaf.required_delta_s
        else "AT ONCE, without any waiting time"
    )
    since = f"; what it said before {moment(leaf.min_timestamp_s)} does not count" if leaf.min_timestamp_s else ""
    return f"The key {checksum(leaf.signer)} alone can have this wallet do anything, {wait}{since}"


def queued_words(leaf: RecoveryLeaf, queued_at_s: int, *, now_s: int) -> str:
    """How far a queued payload is."""
    key = checksum(leaf.signer)
    ready = ready_at_s(leaf, queued_at_s)
    if ready is None:
        return f"What the key {key} queued on {moment(queued_at_s)} can never be executed: it is too old"
    if ready <= now_s:
        return f"What the key {key} queued on {moment(queued_at_s)} can be executed by anyone, since {moment(ready)}"
    left = duration(ready - now_s)
    return f"What the key {key} queued on {moment(queued_at_s)} can be executed from {moment(ready)} on, in {left}"


def _hidden(tree: Tree) -> int:
    if isinstance(tree, Branch):
        return _hidden(tree.left) + _hidden(tree.right)
    return int(isinstance(tree, Node))
