"""Invitation/*: a tenant's own servers invite people by mail address; a link is opened before its person logs in.

Inviters are keys of the tenant's configuration; their calls are bound like an administrator's. Opening takes the
tenant's access key, the address and the link's code, and gives nothing but what the page of the link has to know.
"""

from typing import Any
from urllib.parse import quote

from enclave.clock import TrustedClock
from enclave.config import Config, Scope
from enclave.config.invitations import Invitations as Settings
from enclave.errors import Refusal
from enclave.invitations.invitation import Invitations
from enclave.login import otp
from enclave.nonces import Nonces
from enclave.rpc import params
from enclave.rpc.admin_call import AdminCalls
from enclave.rpc.envelope import Call, SignedCall, parse_object, require_json_post
from enclave.tenants.tenants import Tenants
from enclave.waas.caller import require_tenant
from protocol import errors, limits


class InvitationService:
    """The three methods."""

    def __init__(
        self,
        config: Config,
        clock: TrustedClock,
        nonces: Nonces,
        tenants: Tenants,
        invitations: Invitations,
    ) -> None:
        self._config = config
        self._clock = clock
        self._nonces = nonces
        self._tenants = tenants
        self._invitations = invitations

    async def create(self, call: SignedCall) -> dict[str, Any]:
        """`{projectId, email, reference}` -> `{invitation, link, expires}`: an invitation in the place of one that was
        not used. INVITATION_USED.
        """
        scope, settings = await self._tenant(call)

        async def create() -> dict[str, Any]:
            reference = params.text(call.params, "reference", max_bytes=limits.MAX_INVITATION_REFERENCE_BYTES)
            if not reference.isprintable():
                params.invalid("invalid reference")
            email = _email(call.params)
            made, code = await self._invitations.create(scope.scope, email, reference, settings.life_s)
            link = f"{settings.page}#invitation={code}&email={quote(email, safe='')}"
            return {"invitation": made.id.hex(), "link": link, "expires": made.expires_s}

        return await self._calls(settings).audited(call, {"projectId", "email", "reference"}, create)

    async def status(self, call: SignedCall) -> dict[str, Any]:
        """`{projectId, email}` -> `{invitation, reference, expires, opened, wallet?}`. INVITATION_NOT_FOUND."""
        scope, settings = await self._tenant(call)

        async def status() -> dict[str, Any]:
            held = await self._invitations.find(scope.scope, _email(call.params))
            if held is None:
                raise Refusal(errors.INVITATION_NOT_FOUND)
            facts = {"invitation": held.id.hex(), "reference": held.reference, "expires": held.expires_s}
            used = {} if held.wallet is None else {"wallet": held.wallet}
            return facts | {"opened": held.opened_s is not None} | used

        return await self._calls(settings).audited(call, {"projectId", "email"}, status)

    async def open(self, call: Call) -> dict[str, Any]:
        """`{email, code}` under an access key -> `{invitation, email, projectId, expires}`; the person can log in now.
        INVITATION_NOT_FOUND, INVITATION_USED.
        """
        require_json_post(call)
        body = parse_object(call.body)
        scope, tenant, _ = await require_tenant(self._tenants, call)
        code = params.text(body, "code", max_bytes=limits.MAX_INVITATION_CODE_CHARS)
        if tenant.invitations is None or body.keys() != {"email", "code"}:
            raise Refusal(errors.INVITATION_NOT_FOUND)
        held = await self._invitations.open(scope.scope, _email(body), code)
        facts = {"invitation": held.id.hex(), "email": held.email}
        return facts | {"projectId": tenant.project_id, "expires": held.expires_s}

    async def _tenant(self, call: SignedCall) -> tuple[Scope, Settings]:
        project_id = call.params.get("projectId")
        if type(project_id) is not int:
            params.undecodable("projectId")
        scope = await self._tenants.of_project(project_id)
        if scope is None or scope.embedded is None or scope.embedded.invitations is None:
            raise Refusal(errors.ACCESS_ERROR)
        return scope, scope.embedded.invitations

    def _calls(self, settings: Settings) -> AdminCalls:
        return AdminCalls(self._config, self._clock, self._nonces, settings.inviters)


def _email(members: dict[str, Any]) -> str:
    return otp.normalize_email(params.text(members, "email", max_bytes=limits.MAX_EMAIL_BYTES))
