"""The service `WaasAuthenticator`: RegisterSession, SendIntent, ChainList, as published clients call it.

Requests carry an access key, which names the tenant, and an intent, which a session key signed. Each intent is read
once; what is shown, judged and signed for it is one value (`evm.intents.signable`).
"""

from typing import Any

from enclave.errors import Refusal
from enclave.rpc.envelope import Call, parse_object, require_json_post
from enclave.tenants.tenants import Tenants
from enclave.waas.caller import Caller, Callers, device_of, intent_rules, require_tenant
from enclave.waas.id_tokens import IdTokens
from enclave.waas.logins import IntentLogins
from enclave.waas.sending import Sending
from enclave.waas.sign_up import SignUp
from enclave.waas.signing import IntentSigning
from enclave.waas.users import User, Users, account_json, session_json
from evm.intents.account_data import (
    CloseSession,
    ConfirmIntent,
    FederateAccount,
    GetConfirmationStatus,
    GetIdToken,
    GetSession,
    InitiateAuth,
    OpenSession,
    RemoveAccount,
)
from evm.intents.errors import IntentError
from evm.intents.names import validate_wallet
from evm.intents.wallet_data import (
    AdoptChildWallet,
    FeeOptions,
    GetTransactionReceipt,
    SendTransaction,
    SessionAuthProof,
    SignMessage,
    SignTypedData,
)
from protocol import errors, limits


class WaasService:
    """The three methods. Intents that are not served yet are refused by name."""

    def __init__(
        self,
        tenants: Tenants,
        callers: Callers,
        logins: IntentLogins,
        users: Users,
        sign_up: SignUp,
        signing: IntentSigning,
        sending: Sending,
        id_tokens: IdTokens | None,
    ) -> None:
        self._tenants = tenants
        self._callers = callers
        self._logins = logins
        self._users = users
        self._sign_up = sign_up
        self._signing = signing
        self._sending = sending
        self._id_tokens = id_tokens

    async def register_session(self, call: Call) -> dict[str, Any]:
        """`{intent, friendlyName}` -> `{session, response}`: a login ends, and a session begins."""
        caller, body = await self._callers.verify(call, frozenset({"intent", "friendlyName"}))
        name = body.get("friendlyName", "")
        if not isinstance(name, str) or len(name) > limits.MAX_FRIENDLY_NAME_CHARS or not name.isprintable():
            raise Refusal(errors.BAD_REQUEST, "friendlyName")
        data = caller.intent.data
        if not isinstance(data, OpenSession):
            raise Refusal(errors.ENDPOINT_ERROR, IntentError("intent-name").cause)
        user = await self._sign_up.open(caller, await self._logins.prove(caller, data))
        opened = {"sessionId": data.session.text, "wallet": user.address}
        return {
            "session": session_json(caller, user, user.login, data.session.text, name),
            "response": {"code": "sessionOpened", "data": opened},
        }

    async def send_intent(self, call: Call) -> dict[str, Any]:
        """`{intent}` -> `{response: {code, data}}`."""
        caller, _ = await self._callers.verify(call, frozenset({"intent"}))
        return {"response": await self._respond(caller)}

    async def chain_list(self, call: Call) -> dict[str, Any]:
        """`{}` -> `{chains}`: those of the tenant."""
        require_json_post(call)
        parse_object(call.body)
        _, tenant, _ = await require_tenant(self._tenants, call)
        return {"chains": [{"id": chain.id, "name": chain.name, "isEnabled": True} for chain in tenant.chains]}

    async def _respond(self, caller: Caller) -> dict[str, Any]:
        match caller.intent.data:
            case InitiateAuth() as data:
                return await self._initiate_auth(caller, data)
            case CloseSession(session=session):
                await self._users.end(caller, device_of(session))
                return {"code": "sessionClosed", "data": {}}
            case OpenSession():
                raise Refusal(errors.ENDPOINT_ERROR, IntentError("intent-open-elsewhere").cause)
        user = await self._user(caller)
        with intent_rules():
            validate_wallet(caller.intent.data, user.wallet.address)
        code, answer = await self._for_user(caller, user)
        return {"code": code, "data": answer}

    async def _for_user(self, caller: Caller, user: User) -> tuple[str, Any]:
        """Code and data of the answer to an intent of a user's session."""
        session = caller.intent.session.text
        match caller.intent.data:
            case SignMessage() | SignTypedData() | SessionAuthProof() | SendTransaction() | AdoptChildWallet() as data:
                return await self._signing.answer(caller, user, data)
            case ConfirmIntent() | GetConfirmationStatus() as data:
                return await self._confirmation(caller, user, data)
            case GetTransactionReceipt(chain_id=chain_id, meta_hash=meta_hash):
                return await self._sending.receipt(chain_id, meta_hash, caller.request)
            case FeeOptions() as data:
                return await self._signing.fee_options(caller, user, data)
            case FederateAccount() | RemoveAccount() as data:
                return await self._account_change(caller, user, data)
            case GetIdToken(nonce=nonce) if self._id_tokens is not None:
                token, life_s = await self._id_tokens.issue(user, caller.tenant.project_id, nonce)
                return "idToken", {"idToken": token, "expiresIn": life_s}
            case GetSession():  # published clients read `session`, the published description names `sessionId`
                facts = {"session": session, "sessionId": session, "wallet": user.address}
                return "getSessionResponse", facts | {"validated": True}
        return await self._about_user(caller, user)

    async def _confirmation(
        self, caller: Caller, user: User, data: ConfirmIntent | GetConfirmationStatus
    ) -> tuple[str, Any]:
        if isinstance(data, ConfirmIntent):
            return await self._signing.confirm(caller, user, data)
        return self._signing.confirmation_status(caller, data.confirmation_id)

    async def _about_user(self, caller: Caller, user: User) -> tuple[str, Any]:
        """Intents that hold nothing but whose they are."""
        match caller.intent.name:
            case "validateSession" | "finishValidateSession":  # a session is one by its login, and needs no more
                raise Refusal(errors.ENDPOINT_ERROR, "session is validated")
            case "listSessions":
                return "sessionList", await self._users.sessions(caller, user)
            case "listAccounts":
                accounts = [account_json(login) for login in user.account.logins]
                return "accountList", {"accounts": accounts, "currentAccountId": user.identity.text}
            case "getAdopter":
                return "adopter", {"adopterAddress": user.adopter}
        raise Refusal(errors.ENDPOINT_ERROR, "intent is not served")

    async def _account_change(
        self, caller: Caller, user: User, data: FederateAccount | RemoveAccount
    ) -> tuple[str, Any]:
        """Who may log in is changed only soon after a login."""
        self._users.require_fresh(user)
        if isinstance(data, RemoveAccount):
            await self._users.unlink(user, data.account_id)
            return "accountRemoved", {}
        proven = await self._logins.prove(caller, data)
        await self._users.link(user, proven.identity)
        return "accountFederated", {"account": account_json(proven.identity)}

    async def _user(self, caller: Caller) -> User:
        """The signer's user. Clients know one word for every session that does not count."""
        try:
            return await self._users.require(caller)
        except Refusal as refusal:
            ended = (errors.KEY_NOT_FOUND, errors.KEY_EXPIRED, errors.SESSION_EXPIRED, errors.SESSION_REVOKED)
            if refusal.error in ended:
                raise Refusal(errors.ENDPOINT_ERROR, IntentError("intent-session").cause) from None
            raise

    async def _initiate_auth(self, caller: Caller, data: InitiateAuth) -> dict[str, Any]:
        begun = await self._logins.begin(caller, data)
        answer = {"sessionId": data.session.text, "identityType": data.identity_type.value}
        challenge = {"challenge": begun.challenge} if begun.challenge else {}
        return {"code": "authInitiated", "data": answer | {"expiresIn": begun.expires_in_s} | challenge}
