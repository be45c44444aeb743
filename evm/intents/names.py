"""Which data belongs to which intent, and which session and wallet an intent may speak of.

An intent that speaks of a session speaks of its signer's own, `closeSession` apart. Every intent that acts for a wallet
names it, and it has to be the signer's.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from evm.address import Address
from evm.intents import account_data as accounts
from evm.intents import wallet_data as wallets
from evm.intents.errors import IntentError, require
from evm.intents.fields import parse_members
from evm.intents.session_key import SessionKey

IntentData: TypeAlias = (
    accounts.InitiateAuth
    | accounts.OpenSession
    | accounts.CloseSession
    | accounts.OfWallet
    | accounts.GetSession
    | accounts.ValidateSession
    | accounts.FinishValidateSession
    | wallets.SessionAuthProof
    | wallets.SignMessage
    | wallets.SignTypedData
    | wallets.FeeOptions
    | wallets.SendTransaction
    | wallets.GetTransactionReceipt
    | accounts.FederateAccount
    | accounts.RemoveAccount
    | accounts.GetIdToken
    | wallets.AdoptChildWallet
    | accounts.ConfirmIntent
    | accounts.GetConfirmationStatus
)

KINDS: Final[Mapping[str, type[Any]]] = {
    "initiateAuth": accounts.InitiateAuth,
    "openSession": accounts.OpenSession,
    "closeSession": accounts.CloseSession,
    "listSessions": accounts.OfWallet,
    "getSession": accounts.GetSession,
    "validateSession": accounts.ValidateSession,
    "finishValidateSession": accounts.FinishValidateSession,
    "sessionAuthProof": wallets.SessionAuthProof,
    "signMessage": wallets.SignMessage,
    "signTypedData": wallets.SignTypedData,
    "feeOptions": wallets.FeeOptions,
    "sendTransaction": wallets.SendTransaction,
    "getTransactionReceipt": wallets.GetTransactionReceipt,
    "federateAccount": accounts.FederateAccount,
    "listAccounts": accounts.OfWallet,
    "removeAccount": accounts.RemoveAccount,
    "getIdToken": accounts.GetIdToken,
    "adoptChildWallet": wallets.AdoptChildWallet,
    "getAdopter": accounts.OfWallet,
    "confirmIntent": accounts.ConfirmIntent,
    "getConfirmationStatus": accounts.GetConfirmationStatus,
}
"""Every intent that there is."""


def parse_intent_data(name: str, value: object) -> IntentData:
    """The data of the intent `name`; `intent-name` for a name that does not exist."""
    if name not in KINDS:
        raise IntentError("intent-name")
    found: IntentData = parse_members(KINDS[name], value, "intent-data")
    return found


def validate_session(data: IntentData, signer: SessionKey) -> None:
    """Raises `intent-session-differs` when the data speaks of another session than the signer's, and may not."""
    session: SessionKey | None = getattr(data, "session", None)
    own = session is None or isinstance(data, accounts.CloseSession) or session.id == signer.id
    require(own, "intent-session-differs")


def validate_wallet(data: IntentData, wallet: Address) -> None:
    """Raises `intent-wallet` when the data speaks of another wallet than the signer's, derived from its user."""
    named: Address | None = getattr(data, "wallet", None)
    require(named is None or named == wallet, "intent-wallet")
