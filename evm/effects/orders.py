"""Sales that only need a signature: orders of exchanges and markets, as typed documents.

What is offered goes to whoever pays the price (or to the taker that is named); whether the price is fair nobody here
knows. Where somebody else than the seller is paid, that is an effect of its own, without an amount of its own.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from evm.address import ZERO_ADDRESS, Address
from evm.effects.call import Call
from evm.effects.documents import documents
from evm.effects.fields import Fields
from evm.effects.model import COIN, Asset, Effect, Kind, Standard
from evm.effects.tokens import transfer
from evm.errors import EvmError

_STANDARDS: Final[dict[int, Standard]] = {1: "erc20", 2: "erc721", 3: "erc1155", 4: "erc721", 5: "erc1155"}
_BY_CRITERIA: Final = 4  # Seaport: from here on, the number says which items would do
_BUY, _SELL = 0, 1  # Blur
_SELL_ITEM: Final = 0  # 0x


def sale(
    call: Call, seller: Address, asset: Asset, amount: int, expires_s: int | None, taker: Address = ZERO_ADDRESS
) -> Effect:
    """What is offered; the zero address stands for any taker."""
    to = None if taker == ZERO_ADDRESS else taker
    if asset == COIN:
        moved = call.effect(Kind.NATIVE, account=seller, counterparty=to, asset=COIN, amount=amount)
    else:
        moved = transfer(call, asset, seller, to, amount)
    return replace(moved, expires_s=expires_s)


def proceeds(call: Call, seller: Address, asset: Asset, receiver: Address, expires_s: int | None) -> Iterable[Effect]:
    """What is paid for it, if it is not for the seller; the zero address stands for the seller."""
    if receiver not in (seller, ZERO_ADDRESS):
        kind = Kind.NATIVE if asset == COIN else Kind.TRANSFER
        yield call.effect(kind, account=seller, counterparty=receiver, asset=asset, expires_s=expires_s)


def token(call: Call, contract: Address) -> Asset:
    """A token of ERC-20; exchanges write the coin as the zero address, or as twenty times 0xee."""
    return COIN if contract in _COIN_NAMES else call.asset("erc20", token=contract)


_COIN_NAMES: Final = (ZERO_ADDRESS, Address(b"\xee" * 20))


@documents(
    "OrderComponents(address offerer,address zone,OfferItem[] offer,ConsiderationItem[] consideration,"
    "uint8 orderType,uint256 startTime,uint256 endTime,bytes32 zoneHash,uint256 salt,bytes32 conduitKey,"
    "uint256 counter)"
    "ConsiderationItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,"
    "uint256 endAmount,address recipient)"
    "OfferItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount)"
)
def _seaport(call: Call, fields: Fields) -> Iterable[Effect]:
    offerer, expires_s = fields.address("offerer"), fields.number("endTime")
    for item in fields.structs("offer"):
        amount = max(item.number("startAmount"), item.number("endAmount"))
        yield sale(call, offerer, _seaport_asset(call, item), amount, expires_s)
    for item in fields.structs("consideration"):
        yield from proceeds(call, offerer, _seaport_asset(call, item), item.address("recipient"), expires_s)


def _seaport_asset(call: Call, item: Fields) -> Asset:
    kind = item.number("itemType")
    if kind == 0:
        return COIN
    if kind not in _STANDARDS:
        raise EvmError("effects-typed-data")
    id_ = None if kind >= _BY_CRITERIA else item.number("identifierOrCriteria")
    return call.asset(_STANDARDS[kind], id_, token=item.address("token"))


@documents(
    "Order(address trader,uint8 side,address matchingPolicy,address collection,uint256 tokenId,uint256 amount,"
    "address paymentToken,uint256 price,uint256 listingTime,uint256 expirationTime,Fee[] fees,uint256 salt,"
    "bytes extraParams,uint256 nonce)Fee(uint16 rate,address recipient)"
)
def _blur(call: Call, fields: Fields) -> Iterable[Effect]:
    trader, expires_s = fields.address("trader"), fields.number("expirationTime")
    paid = token(call, fields.address("paymentToken"))
    if fields.number("side") == _SELL:
        item = call.asset("erc721", fields.number("tokenId"), token=fields.address("collection"))
        yield sale(call, trader, item, fields.number("amount"), expires_s)
    elif fields.number("side") == _BUY:
        yield sale(call, trader, paid, fields.number("price"), expires_s)
    else:
        raise EvmError("effects-typed-data")
    for fee in fields.structs("fees"):
        yield from proceeds(call, trader, paid, fee.address("recipient"), expires_s)


@documents(
    "Order(address sellToken,address buyToken,address receiver,uint256 sellAmount,uint256 buyAmount,uint32 validTo,"
    "bytes32 appData,uint256 feeAmount,string kind,bool partiallyFillable,string sellTokenBalance,"
    "string buyTokenBalance)"
)
def _cow(call: Call, fields: Fields) -> Iterable[Effect]:
    expires_s, amount = fields.number("validTo"), fields.number("sellAmount") + fields.number("feeAmount")
    yield sale(call, call.sender, token(call, fields.address("sellToken")), amount, expires_s)
    bought = token(call, fields.address("buyToken"))
    yield from proceeds(call, call.sender, bought, fields.address("receiver"), expires_s)


_0X: Final = "address makerToken,address takerToken,uint128 makerAmount,uint128 takerAmount,"


@documents(
    f"LimitOrder({_0X}uint128 takerTokenFeeAmount,address maker,address taker,address sender,address feeRecipient,"
    "bytes32 pool,uint64 expiry,uint256 salt)",
    f"RfqOrder({_0X}address maker,address taker,address txOrigin,bytes32 pool,uint64 expiry,uint256 salt)",
)
def _0x(call: Call, fields: Fields) -> Iterable[Effect]:
    return [_0x_sale(call, fields, fields.number("expiry"))]


@documents(f"OtcOrder({_0X}address maker,address taker,address txOrigin,uint256 expiryAndNonce)")
def _0x_otc(call: Call, fields: Fields) -> Iterable[Effect]:
    return [_0x_sale(call, fields, fields.number("expiryAndNonce") >> 192)]


def _0x_sale(call: Call, fields: Fields, expires_s: int) -> Effect:
    """Signed by the maker, or by the taker of somebody's offer, who then gives the other side."""
    if fields.address("taker") == call.sender:
        side, seller, other = "taker", call.sender, fields.address("maker")
    else:
        side, seller, other = "maker", fields.address("maker"), fields.address("taker")
    asset, amount = token(call, fields.address(f"{side}Token")), fields.number(f"{side}Amount")
    return sale(call, seller, asset, amount, expires_s, other)


@documents(
    "ERC721Order(uint8 direction,address maker,address taker,uint256 expiry,uint256 nonce,address erc20Token,"
    "uint256 erc20TokenAmount,Fee[] fees,address erc721Token,uint256 erc721TokenId,Property[] erc721TokenProperties)"
    "Fee(address recipient,uint256 amount,bytes feeData)Property(address propertyValidator,bytes propertyData)"
)
def _0x_item(call: Call, fields: Fields) -> Iterable[Effect]:
    maker, expires_s = fields.address("maker"), fields.number("expiry") & (2**64 - 1)
    paid, taker = token(call, fields.address("erc20Token")), fields.address("taker")
    fees = fields.structs("fees")
    if fields.number("direction") == _SELL_ITEM:
        item = call.asset("erc721", fields.number("erc721TokenId"), token=fields.address("erc721Token"))
        yield sale(call, maker, item, 1, expires_s, taker)
    else:
        amount = fields.number("erc20TokenAmount") + sum(fee.number("amount") for fee in fees)
        yield sale(call, maker, paid, amount, expires_s, taker)
    for fee in fees:
        yield from proceeds(call, maker, paid, fee.address("recipient"), expires_s)


@documents(
    "Order(uint256 salt,address maker,address receiver,address makerAsset,address takerAsset,uint256 makingAmount,"
    "uint256 takingAmount,uint256 makerTraits)"
)
def _1inch(call: Call, fields: Fields) -> Iterable[Effect]:
    maker, traits = fields.address("maker"), fields.number("makerTraits")
    expires_s = (traits >> 80) & (2**40 - 1) or None
    offered = token(call, fields.address("makerAsset"))
    yield sale(call, maker, offered, fields.number("makingAmount"), expires_s)
    yield from proceeds(call, maker, token(call, fields.address("takerAsset")), fields.address("receiver"), expires_s)


@documents(
    "Order(uint256 salt,address makerAsset,address takerAsset,address maker,address receiver,address allowedSender,"
    "uint256 makingAmount,uint256 takingAmount,uint256 offsets,bytes interactions)"
)
def _1inch_before(call: Call, fields: Fields) -> Iterable[Effect]:
    """Version 4 of the router; the interactions are code of the order's author."""
    maker = fields.address("maker")
    yield sale(call, maker, token(call, fields.address("makerAsset")), fields.number("makingAmount"), None)
    yield from proceeds(call, maker, token(call, fields.address("takerAsset")), fields.address("receiver"), None)
