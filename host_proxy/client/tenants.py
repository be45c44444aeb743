"""Tenants from the outside: documents that officers sign, and invitations that a tenant's own servers send."""

import time
from collections.abc import Sequence
from typing import Any, Final

from host_proxy.client.api import Api
from host_proxy.client.device_key import DeviceKey
from protocol import canonical_json
from protocol.approvals import SET_TENANT, statement

_ADMIN: Final = "/rpc/WaasAuthenticatorAdmin/"
_INVITATION: Final = "/rpc/Invitation/"
_REQUEST_LIFE_MS: Final = 60_000


def tenant_document(tenant: dict[str, Any], *, version: int, deployment: str, pending_s: int) -> bytes:
    """The document of a tenant, for officers to sign within `pending_s` seconds."""
    facts = {"version": version, "deployment": deployment, "activate_before_s": int(time.time()) + pending_s}
    return canonical_json.canonicalize({**facts, "tenant": tenant})


def approve(document: bytes, key: DeviceKey) -> dict[str, Any]:
    """An officer's approval of a document; `ValueError` or `KeyError` for what is none."""
    facts = canonical_json.parse(document)
    signed = statement(SET_TENANT, facts["deployment"], facts["version"], document)
    return {"key": key.wire(), "signature": key.sign(signed)}


class Tenants:
    """The calls of one deployment, over one `Api` whose device key is the officer's or the inviter's."""

    def __init__(self, api: Api, deployment: str) -> None:
        self._api = api
        self._deployment = deployment

    def put(self, document: bytes, approvals: Sequence[Any], *, create: bool) -> dict[str, Any]:
        """Put a document in force, and what then holds."""
        method = "CreateTenant" if create else "UpdateTenant"
        body = {"document": document.decode(), "approvals": list(approvals)}
        tenant: dict[str, Any] = self._api.post(_ADMIN + method, body).body["tenant"]
        return tenant

    def show(self, project_id: int) -> dict[str, Any]:
        """What holds for a project."""
        tenant: dict[str, Any] = self._signed(_ADMIN + "GetTenant", projectId=project_id)["tenant"]
        return tenant

    def invite(self, project_id: int, email: str, reference: str) -> dict[str, Any]:
        """An invitation and its link."""
        return self._signed(_INVITATION + "Create", projectId=project_id, email=email, reference=reference)

    def invitation(self, project_id: int, email: str) -> dict[str, Any]:
        """What became of an invitation."""
        return self._signed(_INVITATION + "Status", projectId=project_id, email=email)

    def _signed(self, path: str, **members: Any) -> dict[str, Any]:
        now_ms = time.time_ns() // 1_000_000
        bound = {"deployment": self._deployment, "nonce": hex(now_ms), "expires": now_ms + _REQUEST_LIFE_MS}
        return self._api.signed(path, {"method": path, **bound, **members}).body
