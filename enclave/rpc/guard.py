"""The published service `Guard`, as its clients call it, and our own `GuardRules` and `GuardWallets`.

The published methods have no envelope: what is asked for is judged by what it does and by who has signed it. Officers
sign what `GuardRules` changes.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from enclave.approvals import Approval, parse_approval
from enclave.config.guard import SecondGeneration
from enclave.errors import Refusal
from enclave.guard.cosigning import Cosigner
from enclave.guard.decision_json import decision_to_json
from enclave.guard.decision_log import DecisionLog
from enclave.guard.limits import MAX_READ_DECISION_BYTES, MAX_READ_REVIEW_BYTES
from enclave.guard.overview import Overview, parse_subject
from enclave.guard.reviews import Reviews
from enclave.guard.rulebook import READ, READ_OVERVIEW, RuleBook
from enclave.guard.signing_key import GuardKey
from enclave.guard.wallet_book import WalletBook
from enclave.rpc.asked_signature import Signer, parse_asked
from enclave.rpc.envelope import Call, parse_object, require_json_post
from enclave.rpc.factor_arguments import parse_auth_token, require_private
from evm.address import checksum, parse_address
from evm.errors import EvmError
from evm.fields import hex_bytes, items
from evm.wallet.configuration_json import parse_configuration
from evm.wallet.context import DEFAULT_CONTEXT, parse_context
from evm.wallet.values import to_hex
from protocol import guard_errors, limits

SERVICE: Final = "/rpc/Guard/"
RULES_SERVICE: Final = "/rpc/GuardRules/"
WALLETS_SERVICE: Final = "/rpc/GuardWallets/"
_SCHEMA: Final = {"webrpcVersion": "v1", "schemaVersion": "v0.5.0", "schemaHash": ""}
Method = Callable[[Call], Awaitable[dict[str, Any]]]


class GuardService:
    """The methods. `version` and `started_ms` are for those who ask how it is.

    `plain_tokens`: second factors are taken in the clear, and not only sealed.
    """

    def __init__(
        self,
        key: GuardKey,
        cosigner: Cosigner,
        rule_book: RuleBook,
        log: DecisionLog,
        wallets: WalletBook,
        reviews: Reviews,
        overview: Overview,
        *,
        second_generation: SecondGeneration | None,
        plain_tokens: bool,
        version: str,
        started_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._key = key
        self._cosigner = cosigner
        self._rule_book = rule_book
        self._log = log
        self._wallets = wallets
        self._reviews = reviews
        self._overview = overview
        self._second_generation = second_generation
        self._plain_tokens = plain_tokens
        self._version = version
        self._started_ms = started_ms
        self._now_ms = now_ms

    def methods(self) -> Mapping[str, Method]:
        """Every method by path."""
        published: dict[str, Method] = {
            "Ping": self.ping,
            "Version": self.version,
            "RuntimeStatus": self.runtime_status,
            "GetSignerConfig": self.get_signer_config,
            "Sign": self.sign,
            "SignWith": self.sign_with,
            "Patch": self.patch,
        }
        own: dict[str, Method] = {
            "Get": self.rules,
            "Judge": self.judge,
            "Activate": self.activate,
            "Freeze": self.freeze,
            "Decisions": self.decisions,
            "Overview": self.overview,
        }
        return {
            **{SERVICE + name: method for name, method in published.items()},
            **{RULES_SERVICE + name: method for name, method in own.items()},
            WALLETS_SERVICE + "Register": self.register,
        }

    async def ping(self, call: Call) -> dict[str, Any]:
        """`{status: true}`."""
        _arguments(call)
        return {"status": True}

    async def version(self, call: Call) -> dict[str, Any]:
        """`{version}`."""
        _arguments(call)
        return {"version": {**_SCHEMA, "appVersion": self._version}}

    async def runtime_status(self, call: Call) -> dict[str, Any]:
        """`{status}`; healthy where the rules in force can be read."""
        _arguments(call)
        await self._rule_book.current()
        started = datetime.fromtimestamp(self._started_ms / 1000, UTC).isoformat(timespec="seconds")[:-6] + "Z"
        uptime_s = max(0, self._now_ms() - self._started_ms) // 1000
        status = {"healthOK": True, "startTime": started, "uptime": uptime_s, "ver": self._version}
        return {"status": status | {"branch": "", "commitHash": ""}}

    async def get_signer_config(self, call: Call) -> dict[str, Any]:
        """`{signer}` -> `{signerConfig: {address, content}}`; an account has no content, the contract wallet JSON."""
        signer = await self._signer(_arguments(call))
        content = None if signer.wallet is None else signer.wallet.content
        return {"signerConfig": {"address": checksum(signer.address), "content": content}}

    async def sign(self, call: Call) -> dict[str, Any]:
        """`{request, token?}` -> `{sig}`."""
        return await self._sign(call, _arguments(call), Signer(await self._key.address()))

    async def sign_with(self, call: Call) -> dict[str, Any]:
        """`{signer, request, token?}` -> `{sig}`: 65 bytes over the request's digest, or in the older form."""
        arguments = _arguments(call)
        return await self._sign(call, arguments, await self._signer(arguments))

    async def patch(self, call: Call) -> dict[str, Any]:
        """METHOD_NOT_FOUND, under a name that clients know: it is a service's own, and would sign without a judge."""
        _arguments(call)
        raise Refusal(guard_errors.METHOD_NOT_FOUND, "guard:not-offered")

    async def rules(self, call: Call) -> dict[str, Any]:
        """GuardRules/Get -> `{signer, document, frozen}`: the guard's address and the rules in force, as written."""
        _arguments(call)
        document, frozen = await self._rule_book.document()
        return {"signer": checksum(await self._key.address()), "document": document.decode(), "frozen": frozen}

    async def judge(self, call: Call) -> dict[str, Any]:
        """GuardRules/Judge `{request}` -> the decision with its reasons. Nothing is signed or drawn."""
        asked = parse_asked(_arguments(call), Signer(await self._key.address()))
        decision, rules = await self._cosigner.judge(asked.request)
        return decision_to_json(decision, rules.naming)

    async def activate(self, call: Call) -> dict[str, Any]:
        """GuardRules/Activate `{document, approvals: [{key, signature}]}` -> `{version}`."""
        arguments = _arguments(call)
        document, approvals = arguments.get("document"), arguments.get("approvals")
        if not isinstance(document, str) or not isinstance(approvals, list) or len(approvals) > limits.MAX_APPROVALS:
            raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:approvals")
        rules = await self._rule_book.activate(document.encode(), [_approval(item) for item in approvals])
        return {"version": rules.document.version}

    async def freeze(self, call: Call) -> dict[str, Any]:
        """GuardRules/Freeze `{approval: {key, signature}}` -> `{frozen: true}`."""
        await self._rule_book.freeze(_approval(_arguments(call).get("approval")))
        return {"frozen": True}

    async def decisions(self, call: Call) -> dict[str, Any]:
        """GuardRules/Decisions `{approval: {key, signature}}` -> `{lines, reviews}`, for an officer.

        `lines` are the newest decisions of the rules in this boot, `reviews` the newest of reviewers, signed.
        """
        await self._rule_book.require_officer(READ, _approval(_arguments(call).get("approval")))
        reviews = [made.as_json() for made in await self._reviews.decisions(MAX_READ_REVIEW_BYTES)]
        return {"lines": self._log.newest(MAX_READ_DECISION_BYTES), "reviews": reviews}

    async def overview(self, call: Call) -> dict[str, Any]:
        """GuardRules/Overview `{approval: {key, signature}, wallet?}` -> `{nowS, budgets, decisions}`, for an officer.

        What is left of budgets and when it frees, of `wallet` or of those who have asked lately; the newest decisions.
        """
        arguments = _arguments(call)
        await self._rule_book.require_officer(READ_OVERVIEW, _approval(arguments.get("approval")))
        return await self._overview.tell(parse_subject(arguments.get("wallet", "")))

    async def register(self, call: Call) -> dict[str, Any]:
        """GuardWallets/Register `{configuration, context?, wallet?, updates?}` -> `{address, signers}`: who counts.

        `configuration` in the JSON of Sequence's library; `wallet` for a later one than the first, and `updates`, the
        wallet's signatures that lead to it, where this guard has not signed the last of them.
        """
        arguments = _arguments(call)
        try:
            configuration = parse_configuration(arguments.get("configuration"))
            context = parse_context(arguments.get("context", DEFAULT_CONTEXT.name))
            wallet = parse_address(arguments["wallet"]) if "wallet" in arguments else None
            updates = _updates(arguments.get("updates", []))
        except EvmError:
            raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:configuration") from None
        address, known = await self._wallets.register(configuration, context, wallet, updates)
        return {"address": checksum(address), "signers": sorted(map(checksum, known.signers))}

    async def _sign(self, call: Call, arguments: dict[str, Any], signer: Signer) -> dict[str, Any]:
        token = parse_auth_token(arguments.get("token"))
        if token is not None:
            require_private(call, plain=self._plain_tokens)
        asked = parse_asked(arguments, signer)
        if asked.proven and asked.request.cosigners:
            await self._wallets.register_child(asked.request.wallet, asked.request.cosigners)
        signed = await self._cosigner.sign(asked.request, token)
        return {"sig": to_hex(signer.form(asked, signed))}

    async def _signer(self, arguments: dict[str, Any]) -> Signer:
        """The guard as it is asked for: its account, or its contract wallet. NOT_FOUND otherwise."""
        key = await self._key.address()
        try:
            asked = parse_address(arguments.get("signer"))
        except EvmError:
            raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:signer") from None
        for signer in (Signer(key), Signer.contract(key, self._second_generation)):
            if signer is not None and asked == signer.address:
                return signer
        raise Refusal(guard_errors.NOT_FOUND, "guard:signer")


def _arguments(call: Call) -> dict[str, Any]:
    require_json_post(call)
    return parse_object(call.body)


def _updates(value: object) -> list[bytes]:
    """Signatures of updates; `EvmError` for anything else."""
    listed = items(value, most=limits.MAX_WALLET_UPDATES_KEPT, code="wallet-updates")
    return [hex_bytes(update, "wallet-updates", most=limits.MAX_WALLET_UPDATE_BYTES) for update in listed]


def _approval(value: object) -> Approval:
    approval = parse_approval(value)
    if approval is None:
        raise Refusal(guard_errors.INVALID_ARGUMENT, "guard:approvals")
    return approval
