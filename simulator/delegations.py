"""What accounts of the simulated deployment may delegate: the MetaMask framework on one chain, small caps.

The hashes are those of the code that the framework's published creation code deploys on that chain.
"""

from typing import Any, Final

CHAIN_ID: Final = 137
USDC: Final = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
EXECUTORS: Final = ("0x1111111111111111111111111111111111111111", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
"""The second is the first account of local nodes, of which everybody knows the key."""

_MANAGER: Final = (
    "0xdb9B1e94B5b69Df7e401DDbedE43491141047dB3",
    "0xf7578f9438e32cd763f0caf0b55fd2fdee1d08845d7fe01aa807a0d145c75aa1",
)
_ACCOUNT_CODE: Final = (
    "0x63c0c19a282a1B52b07dD5a65b58948A07DAE32B",
    "0xb8ca1008313f81a307356c760c03ba9a5a847e06e9a5ab2f0a0a1ebeb112f270",
)
_ENFORCERS: Final = {
    "AllowedTargetsEnforcer": (
        "0x7F20f61b1f09b08D970938F6fa563634d65c4EeB",
        "0xc6e49fa6f963d047b53a6ae22b37838cf74681f15dfa4e085e8716fa8d3157bd",
    ),
    "AllowedCalldataEnforcer": (
        "0xc2b0d624c1c4319760C96503BA27C347F3260f55",
        "0x5c50649f66276cb2625c1544be4355a3a61c72f7db413788df4124da25607128",
    ),
    "ExactCalldataEnforcer": (
        "0x99F2e9bF15ce5eC84685604836F71aB835DBBdED",
        "0x2381fcd0a8f380defaafa9b6a5a6c0aae920d04d2f540e565654f5d62c845fbb",
    ),
    "NativeTokenTransferAmountEnforcer": (
        "0xF71af580b9c3078fbc2BBF16FbB8EEd82b330320",
        "0x0c56766fa64f3f2c3a7156940b4d79307ff3f7dc7f2aae6d84351dc3400a59b1",
    ),
    "ERC20TransferAmountEnforcer": (
        "0xf100b0819427117EcF76Ed94B358B1A5b5C6D2Fc",
        "0xacea0c86dddcf160a5ec8dc8b91b12064fa9ec0f22058f0bbcc97afc9e0c6128",
    ),
    "NativeTokenPeriodTransferEnforcer": (
        "0x9BC0FAf4Aca5AE429F4c06aEEaC517520CB16BD9",
        "0xdfeaf263354ddd5ff399fa09dce43d49213e3ab3710d4af2830338b28860203f",
    ),
    "ERC20PeriodTransferEnforcer": (
        "0x474e3Ae7E169e940607cC624Da8A15Eb120139aB",
        "0xcd8db0c257676feea6d4032ba1385625a0e41fe71b908f6bdb80c8fe22a82019",
    ),
    "NativeTokenStreamingEnforcer": (
        "0xD10b97905a320b13a0608f7E9cC506b56747df19",
        "0xa1709493c00607dbd48fa043b37a3fa5071203d3f5ade988ba3c1bddb6eefea1",
    ),
    "ERC20StreamingEnforcer": (
        "0x56c97aE02f233B29fa03502Ecc0457266d9be00e",
        "0x8b691a516dc3d7c84f48484816179ee878f7dbc41885cbe8dc671482cb5dc1ac",
    ),
    "ValueLteEnforcer": (
        "0x92Bf12322527cAA612fd31a0e810472BBB106A8F",
        "0x28d0d4f406cc5b7b2f1b848e8c0833261f925832225b714052cad12c03ff1d52",
    ),
    "TimestampEnforcer": (
        "0x1046bb45C8d673d4ea75321280DB34899413c069",
        "0x21e584feccaac06d3b3efb9b70a6d69ea1202e8cc58e2f9bdd9c04a84c292b1a",
    ),
    "LimitedCallsEnforcer": (
        "0x04658B29F6b82ed55274221a06Fc97D318E25416",
        "0x52b55dafe005103e5f480023b2b8718185290fef063a8704580db0700ea29631",
    ),
    "NonceEnforcer": (
        "0xDE4f2FAC4B3D87A1d9953Ca5FC09FCa7F366254f",
        "0x17ca7b76a558ebe6860e18fe07ca1bf2712eb12bc3c8ddeb82b7a6e46186bef4",
    ),
    "IdEnforcer": (
        "0xC8B5D93463c893401094cc70e66A206fb5987997",
        "0xa6229b2d05243a7619781f79758d030aa2faf3dd95d2d570242707b352001b7e",
    ),
    "RedeemerEnforcer": (
        "0xE144b0b2618071B4E56f746313528a669c7E65c5",
        "0x1101c320073961d337c545cb685ca647b45e4f90bd2dc55a70883db9205d293b",
    ),
    "ERC721TransferEnforcer": (
        "0x3790e6B7233f779b09DA74C72b6e94813925b9aF",
        "0x668811cf2dd9038261fdfe09f56fdd2a650b6de2bfa0fbd10346e11689178106",
    ),
    "ApprovalRevocationEnforcer": (
        "0xe264F1f09A19505a1ca1a86D5b01E8bFdb64324A",
        "0xbbef7783a5241cbd3c8074ca23e5f64bb740f228ccb3d6311cf46d97a13fc912",
    ),
}


def delegations() -> dict[str, Any]:
    """The member of a scope's measured configuration."""
    caps = [
        {"asset": "native", "grant": str(10**18), "account": str(2 * 10**18), "scope": str(10**21)},
        {"asset": USDC, "grant": "1000000000", "account": "2000000000", "scope": "1000000000000"},
    ]
    chain = {
        "chain_id": CHAIN_ID,
        "manager": _pinned(*_MANAGER),
        "enforcers": {name: _pinned(*contract) for name, contract in _ENFORCERS.items()},
        "delegates": list(EXECUTORS),
        "caps": caps,
        "account_code": [_pinned(*_ACCOUNT_CODE)],
    }
    return {"max_lifetime_s": 366 * 86_400, "chains": [chain]}


def _pinned(address: str, code_hash: str) -> dict[str, str]:
    return {"address": address, "code_hash": code_hash}
