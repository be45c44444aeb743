"""More of the corpus: calls of well-known standards, as thieves ask for them and as owners make them."""

from typing import Any

from eth_abi import encode

from enclave.guard.judging import Outcome
from evm.address import ZERO_ADDRESS, Address, checksum
from evm.wallet.payload import BehaviorOnError, Call
from tests.enclave_guard.corpus import (
    ETHER,
    SAFE_EXECUTE,
    Case,
    aggregate,
    approve,
    call,
    calls,
    operation,
    safe,
    transfer,
)
from tests.enclave_guard.guard_rules import (
    ART,
    BRIDGE,
    DEX,
    FEES,
    LENDING,
    NOW_S,
    PAYROLL,
    ROUTER,
    STRANGER,
    SWAP,
    USD,
    VAULT,
    WETH,
)
from tests.evm_effects.made import (
    ENTRY_POINT,
    FRIEND,
    MAX,
    MULTI_SEND,
    MULTICALL3,
    PERMIT2,
    SAFE,
    THIEF,
    WALLET,
    calldata,
    multi_send,
)

_DENY, _REVIEW = Outcome.DENY.text, Outcome.REVIEW.text
_SENDER, _ROUTER = Address((1).to_bytes(20, "big")), Address((2).to_bytes(20, "big"))
_V3 = ("address", "uint256", "uint256", "bytes", "bool")
_V2 = ("address", "uint256", "uint256", "address[]", "bool")
_PASSED = ("address", "address", "uint256")
_PERMIT = ("((address,uint160,uint48,uint48),address,uint256)", "bytes")
PATH = USD + (500).to_bytes(3, "big") + WETH
DEPLOYER = Address(bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c"))
USDT_LIKE = Address(b"\x22" * 19 + b"\x23")  # ends like no token that is known


def universal(*commands: tuple[int, tuple[str, ...], tuple[Any, ...]]) -> bytes:
    """Commands of the Universal Router, each with its types and values."""
    inputs = [encode(types, [_plain(value) for value in values]) for _, types, values in commands]
    return calldata("execute(bytes,bytes[],uint256)", bytes(n for n, _, _ in commands), inputs, NOW_S)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return checksum(Address(value)) if isinstance(value, bytes) and len(value) == 20 else value


def swap_in(to: Address, *, amount: int = 10**6, pays: bool = True, path: bytes = PATH) -> Any:
    return 0x00, _V3, (to, amount, 0, path, pays)


def router(*commands: tuple[int, tuple[str, ...], tuple[Any, ...]], value: int = 0, to: Address = ROUTER) -> Any:
    return call(to, universal(*commands), value)


def v2(to: Address, path: list[Address] | None = None) -> bytes:
    signature = "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)"
    return calldata(signature, 10**6, 1, path or [USD, WETH], to, NOW_S)


def swap(name: str, one: int, other: int) -> bytes:
    return calldata(f"{name}(uint256,uint256,address[],address,uint256)", one, other, [USD, WETH], WALLET, NOW_S)


def v3(to: Address, amount: int = 10**6) -> bytes:
    signature = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))"
    return calldata(signature, (USD, WETH, 500, to, amount, 0, 0))


def timelock(to: Address, data: bytes) -> bytes:
    signature = "schedule(address,uint256,bytes,bytes32,bytes32,uint256)"
    return calldata(signature, to, 0, data, bytes(32), bytes(32), 86_400)


def control(signature: str, *values: Any, to: Address = STRANGER) -> Any:
    return call(to, calldata(signature, *values))


def change(name: str, signature: str, *values: Any) -> Case:
    """A call that hands something over, at a contract that is not even known."""
    return Case(name, control(signature, *values), _DENY, "no-control-change")


HOSTILE = [
    # who controls what
    change("upgrade by the admin of a proxy", "upgrade(address,address)", SAFE, THIEF),
    change("upgrade by the admin of a proxy, with a call", "upgradeAndCall(address,address,bytes)", SAFE, THIEF, b"1"),
    change("another admin for a proxy", "changeProxyAdmin(address,address)", SAFE, THIEF),
    change("implementation of a beacon", "setImplementation(address)", THIEF),
    change("facet for a diamond", "diamondCut((address,uint8,bytes4[])[],address,bytes)",
           [(THIEF, 0, [b"abcd"])], ZERO_ADDRESS, b""),
    Case("diamond without facets, whose initialization is the theft",
         control("diamondCut((address,uint8,bytes4[])[],address,bytes)", [], THIEF, b"1234"), _DENY,
         "no-control-change"),
    change("master copy of a Safe", "changeMasterCopy(address)", THIEF),
    change("guard of a Safe", "setGuard(address)", THIEF),
    change("owner added to a Safe", "addOwnerWithThreshold(address,uint256)", THIEF, 1),
    change("fallback handler of a Safe", "setFallbackHandler(address)", THIEF),
    change("threshold of a Safe", "changeThreshold(uint256)", 1),
    change("first owners of a Safe", "setup(address[],uint256,address,bytes,address,address,uint256,address)",
           [THIEF], 1, ZERO_ADDRESS, b"", ZERO_ADDRESS, ZERO_ADDRESS, 0, ZERO_ADDRESS),
    change("role for a thief", "grantRole(bytes32,address)", bytes(32), THIEF),
    change("role of an access manager", "grantRole(uint64,address,uint32)", 0, THIEF, 0),
    change("roles as bits", "grantRoles(address,uint256)", THIEF, 255),
    change("default admin", "beginDefaultAdminTransfer(address)", THIEF),
    change("owner by the older name", "setOwner(address)", THIEF),
    change("owner in two steps", "setPendingOwner(address)", THIEF),
    change("ownership given up", "renounceOwnership()"),
    change("minter of a token", "addMinter(address)", THIEF),
    change("allowance to mint", "configureMinter(address,uint256)", THIEF, MAX),
    change("authority of DS-Auth", "setAuthority(address)", THIEF),
    change("module of ERC-7579", "installModule(uint256,address,bytes)", 1, THIEF, b""),
    change("owner of a smart wallet", "addOwnerAddress(address)", THIEF),
    change("public key as owner of a smart wallet", "addOwnerPublicKey(bytes32,bytes32)", b"x" * 32, b"y" * 32),
    change("permissions among the data of ERC-725Y", "setData(bytes32,bytes)", b"k" * 32, b"\xff" * 32),
    change("name of ENS", "setOwner(bytes32,address)", b"n" * 32, THIEF),
    change("what a name of ENS points at", "setAddr(bytes32,address)", b"n" * 32, THIEF),
    change("record of ENS whose resolver is the thief's", "setRecord(bytes32,address,address,uint64)", b"n" * 32,
           WALLET, THIEF, 0),
    change("registration of ENS reclaimed for a thief", "reclaim(uint256,address)", 1, THIEF),
    change("wrapped name taken out for a thief", "unwrapETH2LD(bytes32,address,address)", b"l" * 32, THIEF, THIEF),
    Case("name of ENS as an item", control("safeTransferFrom(address,address,uint256)", WALLET, THIEF, 1), _DENY,
         "thieves"),
    Case("ownership inside a timelock", call(SAFE, timelock(USD, calldata("transferOwnership(address)", THIEF))),
         _DENY, "no-control-change"),
    Case("ownership inside a proposal",
         call(SAFE, calldata("propose(address[],uint256[],bytes[],string)", [USD], [0],
                             [calldata("transferOwnership(address)", THIEF)], "Minor fixes")), _DENY,
         "no-control-change"),
    Case("owner of a smart wallet on every chain",
         call(SAFE, calldata("executeWithoutChainIdValidation(bytes[])",
                             [calldata("addOwnerAddress(address)", THIEF)])), _DENY, "no-every-chain"),
    Case("votes for a thief", control("delegate(address)", THIEF), _DENY, "thieves"),
    # code
    Case("DSProxy runs a stranger's code", call(SAFE, calldata("execute(address,bytes)", STRANGER, b"1234")), _DENY,
         "no-rule"),
    Case("delegate call of an account of ERC-6551",
         call(SAFE, calldata("execute(address,uint256,bytes,uint8)", STRANGER, 0, b"1234", 1)), _DENY, "no-rule"),
    Case("delegate call of ERC-725X", call(SAFE, calldata("execute(uint256,address,uint256,bytes)", 4, STRANGER, 0,
                                                          b"1234")), _DENY, "no-rule"),
    Case("delegate call of ERC-7579",
         call(SAFE, calldata("execute(bytes32,bytes)", b"\xff" + bytes(31), STRANGER + b"1234")), _DENY, "no-rule"),
    Case("transfer out of a multisignature wallet",
         call(SAFE, calldata("submitTransaction(address,uint256,bytes)", USD, 0, transfer(THIEF, 1))), _DENY,
         "thieves"),
    Case("hash confirmed on chain", call(SAFE, calldata("approveHash(bytes32)", b"h" * 32)), _DENY, "no-rule"),
    Case("creation by CREATE2", control("safeCreate2(bytes32,bytes)", bytes(32), b"\x60\x00"), _DENY, "no-rule"),
    Case("creation by the deployer without functions", call(DEPLOYER, bytes(32) + b"\x60\x00"), _DENY, "no-rule"),
    Case("creation whose salt looks like a payment", call(DEPLOYER, transfer(PAYROLL, 1)), _DENY, "no-rule"),
    Case("Safe that is made with a set-up", control("createProxyWithNonce(address,bytes,uint256)", STRANGER, b"1234",
                                                    1), _DENY, "no-rule"),
    # selectors and addresses that are not what they seem
    Case("function whose selector is that of transfer, with other arguments",
         call(USD, transfer(PAYROLL, 1)[:4] + encode(["bytes4[9]", "bytes5[6]", "int48[11]"],
                                                     [[b"abcd"] * 9, [b"abcde"] * 6, [1] * 11])), _DENY, "no-rule"),
    Case("payment in a token whose address is nearly right", call(USDT_LIKE, transfer(PAYROLL, 1)), _DENY, "no-rule"),
    Case("payment to an address that begins and ends like the payroll",
         call(USD, transfer(Address(PAYROLL[:4] + bytes(12) + PAYROLL[-4:]), 1)), _DENY, "no-rule"),
    Case("exchange's function with four bytes of calldata at a look-alike of the exchange",
         call(Address(DEX[:4] + bytes(12) + DEX[-4:]), bytes.fromhex(SWAP[2:])), _DENY, "no-rule"),
    Case("call of a precompile", call(Address((1).to_bytes(20, "big")), b"1234"), _DENY, "no-rule"),
    Case("one byte of calldata", call(USD, b"\xa9"), _DENY, "no-rule"),
    # approvals
    Case("approval of half of all", call(USD, approve(DEX, 2**255)), _DENY, "no-unlimited"),
    Case("approval of 2^96, which one token keeps as unlimited", call(USD, approve(DEX, 2**96)), _DENY,
         "no-unlimited"),
    Case("approval of all bits of Permit2", call(USD, approve(DEX, 2**160 - 1)), _DENY, "no-unlimited"),
    Case("unlimited approval to Permit2", call(USD, approve(PERMIT2, MAX)), _DENY, "no-unlimited"),
    Case("approval of all coins of a vault", call(VAULT, approve(STRANGER, 10**30)), _DENY, "no-unlimited"),
    Case("approval with a call, of ERC-1363, to a thief",
         call(USD, calldata("approveAndCall(address,uint256)", THIEF, 1)), _DENY, "thieves"),
    Case("transfer with a call, of ERC-1363, to a thief",
         call(USD, calldata("transferAndCall(address,uint256)", THIEF, 1)), _DENY, "thieves"),
    Case("somebody may borrow on this account", control("approveDelegation(address,uint256)", THIEF, MAX), _DENY,
         "thieves"),
    Case("permit of USDC with a signature of any length",
         call(USD, calldata("permit(address,address,uint256,uint256,bytes)", WALLET, THIEF, MAX, MAX, b"sig")), _DENY,
         "thieves"),
    Case("permit of an item, carried to the chain",
         call(ART, calldata("permit(address,uint256,uint256,uint8,bytes32,bytes32)", THIEF, 1, MAX, 27, bytes(32),
                            bytes(32))), _DENY, "thieves"),
    Case("batch of a single approval of everything",
         call(MULTICALL3, aggregate((ART, calldata("setApprovalForAll(address,bool)", DEX, True)))), _DENY,
         "no-operators"),
    # transfers
    Case("transfer of nothing to a look-alike, which poisons histories", call(USD, transfer(STRANGER, 0)), _DENY,
         "no-rule"),
    Case("nothing moves from the wallet to a stranger",
         call(USD, calldata("transferFrom(address,address,uint256)", WALLET, STRANGER, 0)), _DENY, "no-rule"),
    Case("no coins to a thief", call(THIEF, b"", 0), _DENY, "thieves"),
    Case("items of ERC-1155 to a thief",
         call(STRANGER, calldata("safeTransferFrom(address,address,uint256,uint256,bytes)", WALLET, THIEF, 1, 1, b"")),
         _DENY, "thieves"),
    Case("batch of items of which nothing moves, to a thief",
         call(STRANGER, calldata("safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", WALLET, THIEF,
                                 [1, 2], [0, 0], b"")), _DENY, "thieves"),
    Case("tokens that end", call(USD, calldata("burn(uint256)", 5)), _DENY, "no-rule"),
    Case("tokens of somebody that end", call(USD, calldata("burnFrom(address,uint256)", WALLET, 5)), _DENY, "no-rule"),
    Case("operator of ERC-777 sends", call(USD, calldata("operatorSend(address,address,uint256,bytes,bytes)", WALLET,
                                                         THIEF, 1, b"", b"")), _DENY, "thieves"),
    Case("transfer by somebody's authorization",
         call(USD, calldata("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
                            WALLET, THIEF, 5, 0, MAX, bytes(32), b"sig")), _DENY, "thieves"),
    Case("batch through Permit2", call(PERMIT2, calldata("transferFrom((address,address,uint160,address)[])",
                                                         [(WALLET, THIEF, 5, USD)])), _DENY, "thieves"),
    # wrapped coins, vaults, lending, staking, bridges
    Case("wrapped coins at a contract that is not known", call(STRANGER, calldata("deposit()"), ETHER), _DENY,
         "no-rule"),
    Case("wrapped coins for a thief", call(WETH, calldata("depositTo(address)", THIEF), ETHER), _DENY, "thieves"),
    Case("unwrapped coins for a thief", call(WETH, calldata("withdrawTo(address,uint256)", THIEF, 1)), _DENY,
         "thieves"),
    Case("vault's shares for a thief", call(VAULT, calldata("deposit(uint256,address)", 5, THIEF)), _DENY, "thieves"),
    Case("new shares for a stranger", call(VAULT, calldata("mint(uint256,address)", 5, STRANGER)), _DENY, "no-rule"),
    Case("vault pays out to a thief", call(VAULT, calldata("withdraw(uint256,address,address)", 5, THIEF, WALLET)),
         _DENY, "thieves"),
    Case("shares redeemed for a stranger", call(VAULT, calldata("redeem(uint256,address,address)", 5, STRANGER,
                                                                WALLET)), _DENY, "no-rule"),
    Case("shares of somebody else redeemed", call(VAULT, calldata("redeem(uint256,address,address)", 5, WALLET,
                                                                  FRIEND)), _DENY, "no-rule"),
    Case("shares of a vault that nobody knows", call(STRANGER, calldata("redeem(uint256,address,address)", 5, WALLET,
                                                                        WALLET)), _DENY, "no-rule"),
    Case("loan for a thief", call(LENDING, calldata("supply(address,uint256,address,uint16)", USD, 5, THIEF, 0)),
         _DENY, "thieves"),
    Case("loan paid back to a thief", call(LENDING, calldata("withdraw(address,uint256,address)", USD, MAX, THIEF)),
         _DENY, "thieves"),
    Case("validator whose stake a thief gets back",
         call(VAULT, calldata("deposit(bytes,bytes,bytes,bytes32)", b"k" * 48, b"\1" + bytes(11) + THIEF, b"s" * 96,
                              bytes(32)), ETHER), _DENY, "thieves"),
    Case("validator whose stake an unknown key gets back",
         call(VAULT, calldata("deposit(bytes,bytes,bytes,bytes32)", b"k" * 48, bytes(32), b"s" * 96, bytes(32)),
              ETHER), _DENY, "no-rule"),
    Case("bridge that pays a thief on the other side",
         call(BRIDGE, calldata("bridgeETHTo(address,uint32,bytes)", THIEF, 200_000, b""), ETHER), _DENY, "thieves"),
    Case("tokens over a bridge to a stranger",
         call(BRIDGE, calldata("bridgeERC20To(address,address,address,uint256,uint32,bytes)", USD, USD, STRANGER, 5,
                               200_000, b"")), _DENY, "no-rule"),
    Case("tokens burned for a thief on another chain",
         call(BRIDGE, calldata("depositForBurn(uint256,uint32,bytes32,address)", 5, 3, bytes(12) + THIEF, USD)), _DENY,
         "thieves"),
    Case("tokens burned for an account of another kind of chain",
         call(BRIDGE, calldata("depositForBurn(uint256,uint32,bytes32,address)", 5, 5, b"\7" * 32, USD)), _DENY,
         "no-rule"),
    Case("deposit at an entry point for a thief", call(ENTRY_POINT, calldata("depositTo(address)", THIEF), 1), _DENY,
         "thieves"),
    Case("deposit of the wallet, taken out of an entry point", call(ENTRY_POINT, calldata(
        "withdrawTo(address,uint256)", THIEF, 1)), _DENY, "thieves"),
    # exchanges
    Case("swap whose proceeds a thief gets", call(ROUTER, v2(THIEF)), _DENY, "thieves"),
    Case("swap whose proceeds a stranger gets", call(ROUTER, v3(STRANGER)), _DENY, "no-rule"),
    Case("swap of coins whose proceeds a thief gets",
         call(ROUTER, calldata("swapExactETHForTokens(uint256,address[],address,uint256)", 0, [WETH, USD], THIEF,
                               NOW_S), ETHER), _DENY, "thieves"),
    Case("swap that takes more than the budget of a day", call(ROUTER, v3(WALLET, 10**11)), _DENY, "budget:usd-day"),
    Case("swap that takes everything",
         call(ROUTER, calldata("swapTokensForExactTokens(uint256,uint256,address[],address,uint256)", 1, MAX,
                               [USD, WETH], WALLET, NOW_S)), _DENY, "budget:usd-day"),
    Case("swap of tokens, beside a single wei, that takes more than the budget of a day",
         call(ROUTER, v3(WALLET, 10**11), 1), _DENY, "budget:usd-day"),
    Case("liquidity that a thief gets",
         call(ROUTER, calldata("addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)", USD,
                               WETH, 5, 5, 0, 0, THIEF, NOW_S)), _DENY, "thieves"),
    Case("transaction of a Safe with a refund of gas for a thief",
         call(SAFE, calldata(SAFE_EXECUTE, USD, 0, transfer(PAYROLL, 1), 0, 0, 0, 1, ZERO_ADDRESS, THIEF, b"")), _DENY,
         "no-rule"),
    Case("approval of 2^128", call(USD, approve(DEX, 2**128)), _DENY, "no-unlimited"),
    Case("swap without a path", call(ROUTER, calldata(
        "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)", 1, 1, [], WALLET, 1)), _DENY,
        "no-rule"),
    Case("router's batch that ends at a thief", router(swap_in(_ROUTER), (0x04, _PASSED, (WETH, THIEF, 0))), _DENY,
         "thieves"),
    Case("router's batch that pays coins to a thief",
         router(swap_in(_ROUTER), (0x0C, ("address", "uint256"), (THIEF, 0))), _DENY, "thieves"),
    Case("router's batch with a permit for a thief",
         router((0x0A, _PERMIT, (((USD, 5, NOW_S, 0), THIEF, NOW_S), b"sig")), swap_in(_SENDER)), _DENY, "thieves"),
    Case("router's batch with an unlimited permit",
         router((0x0A, _PERMIT, (((USD, 2**160 - 1, NOW_S, 0), DEX, NOW_S), b"sig")), swap_in(_SENDER)), _DENY,
         "no-unlimited"),
    Case("router's batch that takes tokens for a thief",
         router((0x02, ("address", "address", "uint160"), (USD, THIEF, 5))), _DENY, "thieves"),
    Case("portion of a swap for a stranger", router(swap_in(_ROUTER), (0x06, _PASSED, (WETH, STRANGER, 25))), _DENY,
         "no-rule"),
    Case("command of the router that is not known", router((0x10, ("bytes",), (b"1234",))), _DENY, "no-rule"),
    Case("commands inside a command of the router",
         router((0x21, ("bytes", "bytes[]"), (b"\4", [encode(_PASSED, [checksum(WETH), checksum(THIEF), 0])]))), _DENY,
         "thieves"),
    Case("command of the router that may fail, for a thief", router((0x84, _PASSED, (WETH, THIEF, 0))), _DENY,
         "thieves"),
    Case("router that nobody knows", router(swap_in(_SENDER), to=STRANGER), _DENY, "no-rule"),
    Case("swap of the older router, inside its multicall, for a thief",
         call(ROUTER, calldata("multicall(uint256,bytes[])", NOW_S, [
             v3(_ROUTER), calldata("unwrapWETH9(uint256,address)", 0, THIEF)])), _DENY, "thieves"),
    # wrapped
    Case("approve-all in the batch of a Safe, behind ten payments",
         call(SAFE, safe(MULTI_SEND, multi_send(*[(0, USD, 0, transfer(PAYROLL, 1))] * 10, (
             0, ART, 0, calldata("setApprovalForAll(address,bool)", STRANGER, True))), 1)), _DENY, "no-operators"),
    Case("swap for a thief in an operation", operation(Call(ROUTER, data=v2(THIEF))), _DENY, "thieves"),
    Case("vault's shares for a thief, if something else fails",
         calls(Call(ROUTER, data=v2(WALLET), behavior_on_error=BehaviorOnError.IGNORE),
               Call(VAULT, data=calldata("deposit(uint256,address)", 5, THIEF), only_fallback=True)), _DENY,
         "thieves"),
]  # fmt: skip


ORDINARY = [
    Case("coins wrapped", call(WETH, calldata("deposit()"), ETHER), "allow", "trade-coins"),
    Case("coins unwrapped", call(WETH, calldata("withdraw(uint256)", ETHER)), "allow", "trade"),
    Case("coins unwrapped for the wallet", call(WETH, calldata("withdrawTo(address,uint256)", WALLET, 1)), "allow",
         "trade"),
    Case("wrapped coins for the wallet", call(WETH, calldata("depositTo(address)", WALLET), 1), "allow",
         "trade-coins"),
    Case("vault's shares", call(VAULT, calldata("deposit(uint256,address)", 5, WALLET)), "allow", "trade"),
    Case("new shares", call(VAULT, calldata("mint(uint256,address)", 5, WALLET)), "allow", "trade"),
    Case("vault pays out", call(VAULT, calldata("withdraw(uint256,address,address)", 5, WALLET, WALLET)), "allow",
         "trade"),
    Case("shares redeemed", call(VAULT, calldata("redeem(uint256,address,address)", 5, WALLET, WALLET)), "allow",
         "trade"),
    Case("loan", call(LENDING, calldata("supply(address,uint256,address,uint16)", USD, 5, WALLET, 0)), "allow",
         "trade"),
    Case("loan paid back", call(LENDING, calldata("withdraw(address,uint256,address)", USD, MAX, WALLET)), "allow",
         "pay"),
    Case("stake in a pool", call(VAULT, calldata("submit(address)", ZERO_ADDRESS), ETHER), "allow", "trade-coins"),
    Case("stake asked back", call(VAULT, calldata("requestWithdrawals(uint256[],address)", [5, 6], WALLET)), "allow",
         "trade"),
    Case("validator whose stake comes back",
         call(VAULT, calldata("deposit(bytes,bytes,bytes,bytes32)", b"k" * 48, b"\1" + bytes(11) + WALLET, b"s" * 96,
                              bytes(32)), ETHER), "allow", "trade-coins"),
    Case("coins over a bridge", call(BRIDGE, calldata("bridgeETH(uint32,bytes)", 200_000, b""), ETHER), "allow",
         "trade-coins"),
    Case("coins over a bridge to the wallet", call(BRIDGE, calldata("bridgeETHTo(address,uint32,bytes)", WALLET,
                                                                    200_000, b""), ETHER), "allow", "trade-coins"),
    Case("tokens over a bridge", call(BRIDGE, calldata("bridgeERC20(address,address,uint256,uint32,bytes)", USD, USD,
                                                       5, 200_000, b"")), "allow", "trade"),
    Case("tokens burned for another chain",
         call(BRIDGE, calldata("depositForBurn(uint256,uint32,bytes32,address)", 5, 3, bytes(12) + WALLET, USD)),
         "allow", "trade"),
    Case("swap of the second version", call(ROUTER, v2(WALLET)), "allow", "trade"),
    Case("swap over three tokens", call(ROUTER, v2(WALLET, [USD, VAULT, WETH])), "allow", "trade"),
    Case("swap of the third version", call(ROUTER, v3(WALLET)), "allow", "trade"),
    Case("swap along a path",
         call(ROUTER, calldata("exactInput((bytes,address,uint256,uint256))", (PATH, WALLET, 10**6, 1))), "allow",
         "trade"),
    Case("swap for an exact amount",
         call(ROUTER, calldata("exactOutput((bytes,address,uint256,uint256))",
                               (WETH + (500).to_bytes(3, "big") + USD, WALLET, 1, 10**6))), "allow", "trade"),
    Case("swap for an exact amount, of the second version",
         call(ROUTER, calldata("swapTokensForExactTokens(uint256,uint256,address[],address,uint256)", 1, 10**6,
                               [USD, WETH], WALLET, NOW_S)), "allow", "trade"),
    Case("swap of coins by a router", call(ROUTER, calldata(
        "swapExactETHForTokens(uint256,address[],address,uint256)", 1, [WETH, USD], WALLET, NOW_S), ETHER), "allow",
        "trade-coins"),
    Case("swap of coins of the third version", call(ROUTER, v3(WALLET), ETHER), "allow", "trade-coins"),
    Case("larger swap", call(ROUTER, v3(WALLET, 2_000 * 10**6)), "second-factor", "budget:usd-day"),
    Case("swap in a multicall of the router",
         call(ROUTER, calldata("multicall(uint256,bytes[])", NOW_S, [v3(WALLET)])), "allow", "route"),
    Case("swap to coins in a multicall of the router",
         call(ROUTER, calldata("multicall(uint256,bytes[])", NOW_S, [
             v3(_ROUTER), calldata("unwrapWETH9(uint256,address)", 0, WALLET)])), "allow", "route"),
    Case("commands: swap", router(swap_in(_SENDER)), "allow", "route"),
    Case("commands: swap of the second version", router((0x08, _V2, (_SENDER, 5, 1, [USD, WETH], True))), "allow",
         "route"),
    Case("commands: swap for an exact amount",
         router((0x01, _V3, (_SENDER, 1, 5, WETH + (500).to_bytes(3, "big") + USD, True))), "allow", "route"),
    Case("commands: swap to coins", router(swap_in(_ROUTER), (0x0C, ("address", "uint256"), (_SENDER, 0))), "allow",
         "route"),
    Case("commands: coins, wrapped and swapped",
         router((0x0B, ("address", "uint256"), (_ROUTER, ETHER)),
                swap_in(_SENDER, amount=2**255, pays=False, path=WETH + (500).to_bytes(3, "big") + USD),
                value=ETHER), "allow", "trade-coins"),
    Case("commands: short permit and swap",
         router((0x0A, _PERMIT, (((USD, 5, NOW_S + 60, 0), DEX, NOW_S), b"sig")), swap_in(_SENDER)), "allow",
         "route"),
    Case("commands: swap, portion for the market, rest for the wallet",
         router(swap_in(_ROUTER), (0x06, _PASSED, (WETH, FEES, 25)), (0x04, _PASSED, (WETH, _SENDER, 0))), "allow",
         "route"),
    Case("liquidity", call(ROUTER, calldata(
        "addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)", USD, WETH, 5, 5, 0, 0, WALLET,
        NOW_S)), "allow", "trade"),
    Case("liquidity of coins", call(ROUTER, calldata(
        "addLiquidityETH(address,uint256,uint256,uint256,address,uint256)", USD, 5, 0, 0, WALLET, NOW_S), ETHER),
        "allow", "trade-coins"),
    Case("swap in an operation", operation(Call(ROUTER, data=v2(WALLET))), "allow", "operations"),
    Case("approval and swap at a router", calls(Call(USD, data=approve(PERMIT2, 10**6)), Call(ROUTER, data=v2(WALLET))),
         "allow", "approve-dex"),
    Case("payment in three tries",
         calls(*[Call(USD, data=transfer(PAYROLL, 1), behavior_on_error=BehaviorOnError.IGNORE,
                      only_fallback=bool(at)) for at in range(3)]), "allow", "pay"),
    Case("payment with a limit of gas", calls(Call(USD, data=transfer(PAYROLL, 1), gas_limit=60_000)), "allow", "pay"),
    Case("payment and revocation", calls(Call(USD, data=transfer(PAYROLL, 1)), Call(USD, data=approve(DEX, 0))),
         "allow", "pay"),
    Case("authorization taken back",
         call(USD, calldata("cancelAuthorization(address,bytes32,bytes)", WALLET, bytes(32), b"sig")), "allow",
         "revoke"),
    Case("approval of an item taken back",
         call(ART, calldata("approve(address,uint256)", ZERO_ADDRESS, 1)), "allow", "revoke"),
    Case("nonces of Permit2 taken back", call(PERMIT2, calldata("invalidateNonces(address,address,uint48)", USD, DEX,
                                                                5)), "allow", "revoke"),
    Case("operator of ERC-777 dismissed", call(USD, calldata("revokeOperator(address)", THIEF)), "allow", "revoke"),
    Case("votes taken back", control("delegate(address)", ZERO_ADDRESS), "allow", "revoke"),
    Case("deposit of the wallet at an entry point goes nowhere else",
         call(PAYROLL, b"", 1, chain_id=1), "allow", "pay-coins"),
    Case("payment of coins of nothing", call(PAYROLL, b"", 0), "allow", "pay-coins"),
    Case("payment of the smallest amount", call(USD, transfer(PAYROLL, 1)), "allow", "pay"),
    Case("payment to the wallet itself by transferFrom",
         call(USD, calldata("transferFrom(address,address,uint256)", WALLET, WALLET, 5)), "allow", "pay"),
    Case("payment at exactly the first threshold", call(USD, transfer(PAYROLL, 1_000 * 10**6)), "allow", "pay"),
    Case("payment at exactly the second threshold", call(USD, transfer(PAYROLL, 5_000 * 10**6)), "second-factor",
         "budget:usd-day"),
    Case("batch of a Safe that approves nothing", call(SAFE, safe(MULTI_SEND, multi_send(
        *[(0, USD, 0, transfer(PAYROLL, 1))] * 5), 1)), _REVIEW, "safe-pay"),
    Case("payment of a Safe by its module",
         call(SAFE, calldata("execTransactionFromModule(address,uint256,bytes,uint8)", USD, 0, transfer(PAYROLL, 1),
                             0)), _REVIEW, "safe-pay"),
    Case("three payments out of a multicall", call(MULTICALL3, aggregate(*[(USD, calldata(
        "transferFrom(address,address,uint256)", WALLET, PAYROLL, 1))] * 3)), "allow", "batch"),
    Case("swap to coins", call(ROUTER, swap("swapExactTokensForETH", 10**6, 1)), "allow", "trade"),
    Case("swap of a token that takes a fee", call(ROUTER, swap(
        "swapExactTokensForTokensSupportingFeeOnTransferTokens", 10**6, 1)), "allow", "trade"),
    Case("swap to coins of a token that takes a fee", call(ROUTER, swap(
        "swapExactTokensForETHSupportingFeeOnTransferTokens", 10**6, 1)), "allow", "trade"),
    Case("swap for an exact amount of coins", call(ROUTER, swap("swapTokensForExactETH", 1, 10**6)), "allow", "trade"),
    Case("swap of coins for an exact amount", call(ROUTER, calldata(
        "swapETHForExactTokens(uint256,address[],address,uint256)", 1, [WETH, USD], WALLET, NOW_S), ETHER), "allow",
        "trade-coins"),
    Case("swap without a deadline", call(ROUTER, calldata(
        "swapExactTokensForTokens(uint256,uint256,address[],address)", 10**6, 1, [USD, WETH], WALLET)), "allow",
        "trade"),
    Case("swap of the third version, with a deadline", call(ROUTER, calldata(
        "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
        (USD, WETH, 500, WALLET, NOW_S, 10**6, 1, 0))), "allow", "trade"),
    Case("swap of the third version, for an exact amount", call(ROUTER, calldata(
        "exactOutputSingle((address,address,uint24,address,uint256,uint256,uint160))",
        (USD, WETH, 500, WALLET, 1, 10**6, 0))), "allow", "trade"),
    Case("swap of the third version, for an exact amount, with a deadline", call(ROUTER, calldata(
        "exactOutputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
        (USD, WETH, 500, WALLET, NOW_S, 1, 10**6, 0))), "allow", "trade"),
    Case("swap along a path, with a deadline", call(ROUTER, calldata(
        "exactInput((bytes,address,uint256,uint256,uint256))", (PATH, WALLET, NOW_S, 10**6, 1))), "allow", "trade"),
    Case("rest of a token out of a router", call(ROUTER, calldata("sweepToken(address,uint256,address)", USD, 0,
                                                                  WALLET)), "allow", "pay"),
    Case("rest of coins out of a router", call(ROUTER, calldata("refundETH()")), "allow", "pay-coins"),
    Case("commands: a look at a balance, and a swap",
         router((0x0E, _PASSED, (WALLET, USD, 1)), swap_in(_SENDER)), "allow", "route"),
    Case("commands inside a command",
         router((0x21, ("bytes", "bytes[]"), (b"\0", [encode(_V3, [checksum(_SENDER), 10**6, 0, PATH, True])]))),
         "allow", "route"),
    Case("commands: swap that may fail", router((0x80, *swap_in(_SENDER)[1:])), "allow", "route"),
    Case("coins over a bridge, in the older way", call(BRIDGE, calldata("depositETH(uint32,bytes)", 1, b""), ETHER),
         "allow", "trade-coins"),
    Case("coins over a bridge to the wallet, in the older way", call(BRIDGE, calldata(
        "depositETHTo(address,uint32,bytes)", WALLET, 1, b""), ETHER), "allow", "trade-coins"),
    Case("tokens over a bridge, in the older way", call(BRIDGE, calldata(
        "depositERC20(address,address,uint256,uint32,bytes)", USD, USD, 5, 1, b"")), "allow", "trade"),
    Case("tokens over a bridge to the wallet", call(BRIDGE, calldata(
        "bridgeERC20To(address,address,address,uint256,uint32,bytes)", USD, USD, WALLET, 5, 1, b"")), "allow",
        "trade"),
    Case("loan, in the older way", call(LENDING, calldata("deposit(address,uint256,address,uint16)", USD, 5, WALLET,
                                                          0)), "allow", "trade"),
    Case("wrapped token for the wallet", call(VAULT, calldata("depositFor(address,uint256)", WALLET, 5)), "allow",
         "trade"),
    Case("coins staked", call(VAULT, calldata("stake()"), ETHER), "allow", "trade-coins"),
    Case("nonces of Permit2 taken back by their bits", call(PERMIT2, calldata(
        "invalidateUnorderedNonces(uint256,uint256)", 0, MAX)), "allow", "revoke"),
    Case("lowered allowance, in the older way", call(USD, calldata("decreaseApproval(address,uint256)", THIEF, 5)),
         "allow", "revoke"),
    Case("permit of nothing, carried to the chain", call(USD, calldata(
        "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", WALLET, DEX, 0, MAX, 27, bytes(32),
        bytes(32))), "allow", "revoke"),
    Case("authorization taken back, in the older way", call(USD, calldata(
        "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)", WALLET, bytes(32), 27, bytes(32), bytes(32))),
        "allow", "revoke"),
    Case("every item taken back from a market", call(STRANGER, calldata("setApprovalForAll(address,bool)", STRANGER,
                                                                        False)), "allow", "revoke"),
    Case("unwrapped coins and a payment", calls(Call(WETH, data=calldata("withdraw(uint256)", ETHER)),
                                                Call(PAYROLL, ETHER)), "allow", "trade"),
    Case("payment, swap and deposit in one", calls(Call(USD, data=transfer(PAYROLL, 1)), Call(ROUTER, data=v2(WALLET)),
                                                   Call(VAULT, data=calldata("deposit(uint256,address)", 5, WALLET))),
         "allow", "pay"),
    Case("operation of a swap and a revocation", operation(Call(ROUTER, data=v2(WALLET)),
                                                           Call(USD, data=approve(ROUTER, 0))), "allow", "operations"),
    Case("payment of wrapped coins to the wallet itself", call(WETH, transfer(WALLET, ETHER)), "allow", "trade"),
]  # fmt: skip
