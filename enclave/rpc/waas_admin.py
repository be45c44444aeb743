"""The service `WaasAuthenticatorAdmin`: tenants, as the published description names its methods (ADR 56).

Who reads shows an officer's signed envelope or, where configured, a bearer token. Who changes a tenant shows the whole
new document and the signatures of a quorum under it, whoever carries them here.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from enclave import log
from enclave.approvals import Approval, parse_approval
from enclave.clock import TrustedClock
from enclave.config import Config, Scope
from enclave.errors import Refusal
from enclave.rpc.admin_call import AdminCalls
from enclave.rpc.bearer import BearerTokens
from enclave.rpc.envelope import Call, decode_call, parse_object, require_json_post, verify_envelope
from enclave.tenants.tenants import Tenant, Tenants
from protocol import errors, limits
from protocol.canonical_json import MAX_SAFE_INTEGER

_SCHEMA: Final = {"webrpcVersion": "v1", "schemaVersion": "v0.1.0", "schemaHash": ""}

Act = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class WaasAdminService:
    """The methods. `tokens` is None where no bearer token is taken; `pcr0` is the image's."""

    def __init__(
        self,
        config: Config,
        clock: TrustedClock,
        tenants: Tenants,
        calls: AdminCalls,
        tokens: BearerTokens | None,
        *,
        version: str,
        pcr0: bytes,
    ) -> None:
        self._config = config
        self._clock = clock
        self._tenants = tenants
        self._calls = calls
        self._tokens = tokens
        self._version = version
        self._pcr0 = pcr0
        self._started_ms = clock.now_ms()

    async def version(self, call: Call) -> dict[str, Any]:
        """`{version}`."""

        async def read(_: dict[str, Any]) -> dict[str, Any]:
            return {"version": {**_SCHEMA, "appVersion": self._version}}

        return await self._reading(call, set(), read)

    async def runtime_status(self, call: Call) -> dict[str, Any]:
        """`{status}`, as `GET /status` has it; whoever gets this answer gets it from an enclave that serves."""

        async def read(_: dict[str, Any]) -> dict[str, Any]:
            uptime_s = max(0, self._clock.now_ms() - self._started_ms) // 1000
            facts = {"healthOK": True, "startTime": _time(self._started_ms // 1000), "uptime": uptime_s}
            return {"status": facts | {"ver": self._version, "pcr0": self._pcr0.hex()}}

        return await self._reading(call, set(), read)

    async def clock(self, call: Call) -> dict[str, Any]:
        """`{serverTime}`: the trusted time."""

        async def read(_: dict[str, Any]) -> dict[str, Any]:
            return {"serverTime": _time(self._clock.now_s())}

        return await self._reading(call, set(), read)

    async def get_tenant(self, call: Call) -> dict[str, Any]:
        """`{projectId}` -> `{tenant}`; TENANT_NOT_FOUND. Version 0 is the measured configuration's."""

        async def read(members: dict[str, Any]) -> dict[str, Any]:
            project_id = members.get("projectId")
            if type(project_id) is not int or not 0 < project_id <= MAX_SAFE_INTEGER:
                raise Refusal(errors.BAD_REQUEST, "projectId")
            measured = self._config.scope_of_project(project_id)
            if measured is not None:
                return {"tenant": _tenant_json(measured, 0, self._started_ms // 1000)}
            found = await self._tenants.find(project_id)
            if found is None:
                raise Refusal(errors.TENANT_NOT_FOUND)
            return {"tenant": _document_json(found)}

        return await self._reading(call, {"projectId"}, read)

    async def create_tenant(self, call: Call) -> dict[str, Any]:
        """`{document, approvals}` -> `{tenant, upgradeCode}`; the code is empty, as it protects nothing here."""
        return {**await self._activate(call, create=True), "upgradeCode": ""}

    async def update_tenant(self, call: Call) -> dict[str, Any]:
        """`{document, approvals}` -> `{tenant}`: a document of a higher version in the place of the one in force."""
        return await self._activate(call, create=False)

    async def no_migrations(self, call: Call) -> dict[str, Any]:
        """ENDPOINT_ERROR, under names that clients know: there is nothing to migrate from."""

        async def refuse(_: dict[str, Any]) -> dict[str, Any]:
            raise Refusal(errors.ENDPOINT_ERROR, "there are no migrations")

        return await self._reading(call, {"migration", "projectId", "page", "items"}, refuse)

    async def _reading(self, call: Call, members: set[str], read: Act) -> dict[str, Any]:
        """What `read` gives to somebody who may read. ACCESS_ERROR or UNAUTHORIZED otherwise."""
        authorization = call.headers.get("authorization", "")
        if not authorization or self._tokens is None:
            signed = decode_call(call, verify_envelope(call))
            return await self._calls.audited(signed, members, lambda: read(signed.params))
        require_json_post(call)
        self._tokens.verify_reader(authorization, self._clock.now_s())
        body = parse_object(call.body)
        if not body.keys() <= members:
            raise Refusal(errors.BAD_REQUEST, "members of the request")
        return await read(body)

    async def _activate(self, call: Call, *, create: bool) -> dict[str, Any]:
        require_json_post(call)
        match parse_object(call.body):
            case {"document": str(document), "approvals": [*approvals], **others} if not others:
                pass
            case _:
                raise Refusal(errors.BAD_REQUEST, "a document and its approvals are taken, nothing else")
        if len(document) > limits.MAX_TENANT_BYTES or len(approvals) > limits.MAX_APPROVALS:
            raise Refusal(errors.BAD_REQUEST, "a document and its approvals are taken, nothing else")
        made = await self._tenants.activate(document.encode(), [_approval(item) for item in approvals], create=create)
        log.event("admin", method=call.path.rpartition("/")[2], admin="quorum", outcome="done")
        return {"tenant": _document_json(made)}


def _approval(value: object) -> Approval:
    approval = parse_approval(value)
    if approval is None:
        raise Refusal(errors.BAD_REQUEST, "an approval is a key and a signature")
    return approval


def _document_json(tenant: Tenant) -> dict[str, Any]:
    facts = _tenant_json(tenant.document.tenant, tenant.document.version, tenant.updated_s)
    return facts | {"document": tenant.source.decode()}


def _tenant_json(scope: Scope, version: int, updated_s: int) -> dict[str, Any]:
    """A tenant as the published description has it."""
    audiences: Mapping[str, list[str]] = {client.issuer: [] for client in scope.oidc}
    for client in scope.oidc:
        audiences[client.issuer].append(client.audience)
    embedded = scope.embedded
    guest = embedded is not None and embedded.guest_login
    off = {name: {"enabled": False} for name in ("playfab", "stytch", "twitter")}
    return {
        "projectId": 0 if embedded is None else embedded.project_id,
        "version": version,
        "oidcProviders": [{"iss": issuer, "aud": named} for issuer, named in audiences.items()],
        "allowedOrigins": list(scope.origins),
        "authConfig": {"email": {"enabled": scope.email_login}, "guest": {"enabled": guest}, **off},
        "updatedAt": _time(updated_s),
    }


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
