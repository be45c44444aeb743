"""Which tenants there are: those of the image, and those whose document a quorum of officers has put in force.

A tenant has one sealed record with its document; a record for each access key says whose it is. Both are read for
every request, so a change counts for all workers at once. Within a boot an older document is refused as stale; over a
restart the host can bring back one that was in force before (docs/threat-model.md, *Rollback*).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from enclave.approvals import Approval, UnknownOfficer, verify_approvals
from enclave.config import Config, Scope, Tenancy
from enclave.config.embedded import hash_access_key
from enclave.errors import Refusal
from enclave.records import Change, Conflict, Records
from enclave.tenants.document import TenantDocument, TenantError, parse_document, scope_name, validate_document
from protocol import errors, limits
from protocol.approvals import SET_TENANT, statement


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant's document in force, since `updated_s`."""

    record_version: int
    source: bytes
    document: TenantDocument
    updated_s: int


class Tenants:
    """Finds tenants, and puts documents in force."""

    def __init__(self, config: Config, records: Records) -> None:
        self._config = config
        self._tenancy = config.tenancy
        self._records = records

    async def of_access_key(self, access_key: str) -> Scope | None:
        """The scope whose applications use this access key, or None."""
        measured = self._config.scope_of_access_key(access_key)
        if measured is not None or self._tenancy is None or not access_key:
            return measured
        name = hash_access_key(access_key)
        [owner] = await self._records.load(self._records.key("tenant-key", name))
        if owner is None:
            return None
        scope = await self.scope(_text(owner.body))
        found = scope is not None and scope.embedded is not None and name in scope.embedded.key_hashes()
        return scope if found else None

    def measured(self, name: str) -> Scope | None:
        """The scope of this name in the image, or None."""
        return self._config.scope(name)

    async def scope(self, name: str) -> Scope | None:
        """The scope of this name, measured or of a tenant, or None."""
        measured = self.measured(name)
        if measured is not None or self._tenancy is None:
            return measured
        tenant = await self._load(name)
        return None if tenant is None else tenant.document.tenant

    async def of_project(self, project_id: int) -> Scope | None:
        """The scope of a project, measured or of a tenant, or None."""
        measured = self._config.scope_of_project(project_id)
        if measured is not None:
            return measured
        tenant = await self.find(project_id)
        return None if tenant is None else tenant.document.tenant

    async def find(self, project_id: int) -> Tenant | None:
        """The document in force of a project, or None."""
        return None if self._tenancy is None else await self._load(scope_name(project_id))

    async def activate(self, source: bytes, approvals: Sequence[Approval], *, create: bool) -> Tenant:
        """Put a document in force: the first of its project (`create`), or one of a higher version.

        `Refusal`: INVALID_REQUEST with the rule that the document breaks, REQUEST_EXPIRED, UNAUTHORIZED below the
        quorum, TENANT_NOT_FOUND, TENANT_CONFLICT, BUSY where another one was faster.
        """
        if self._tenancy is None:
            raise Refusal(errors.UNAUTHORIZED, "tenants are measured")
        try:
            document = parse_document(source)
            validate_document(document, self._config)
        except TenantError as error:
            raise Refusal(errors.INVALID_REQUEST, error.code) from None
        self._verify(self._tenancy, document, source, approvals)
        now_s = self._records.now_s()
        if not 0 < document.activate_before_s - now_s <= limits.MAX_TENANT_PENDING_S:
            raise Refusal(errors.REQUEST_EXPIRED)
        held = await self._load(document.tenant.scope)
        _require_successor(held, document, create=create)
        expected = 0 if held is None else held.record_version
        key = self._records.key("tenant", document.tenant.scope)
        change = self._records.change(key, expected, [source, now_s])
        try:
            await self._records.save(change, *await self._claims(document))
        except Conflict:
            raise Refusal(errors.BUSY) from None
        return Tenant(change.version, source, document, now_s)

    def _verify(self, tenancy: Tenancy, document: TenantDocument, source: bytes, approvals: Sequence[Approval]) -> None:
        signed = statement(SET_TENANT, self._config.deployment, document.version, source)
        try:
            signers = verify_approvals(signed, approvals, tenancy.officers)
        except UnknownOfficer:
            raise Refusal(errors.UNAUTHORIZED, "officer") from None
        if len(signers) < tenancy.quorum:
            raise Refusal(errors.UNAUTHORIZED, "quorum")

    async def _claims(self, document: TenantDocument) -> list[Change]:
        """Writes that make the document's access keys its own; TENANT_CONFLICT for one that another tenant uses."""
        name, claims = document.tenant.scope, []
        for key_hash in sorted(document.embedded.key_hashes()):
            key = self._records.key("tenant-key", key_hash)
            [owner] = await self._records.load(key)
            if owner is not None and _text(owner.body) != name:
                other = await self._load(_text(owner.body))
                if other is not None and key_hash in other.document.embedded.key_hashes():
                    raise Refusal(errors.TENANT_CONFLICT, "access key")
            claims.append(self._records.change(key, 0 if owner is None else owner.version, name))
        return claims

    async def _load(self, name: str) -> Tenant | None:
        [record] = await self._records.load(self._records.key("tenant", name))
        if record is None:
            return None
        try:
            match record.body:
                case [bytes(source), int(updated_s)]:
                    document = parse_document(source)
                    if document.tenant.scope == name:
                        return Tenant(record.version, source, document, updated_s)
        except TenantError:  # an image that no longer takes what an earlier one did
            pass
        raise Refusal(errors.DATA_INTEGRITY_ERROR)


def _require_successor(held: Tenant | None, document: TenantDocument, *, create: bool) -> None:
    if held is None and not create:
        raise Refusal(errors.TENANT_NOT_FOUND)
    if held is not None and (create or document.version <= held.document.version):
        raise Refusal(errors.TENANT_CONFLICT, "version")


def _text(body: object) -> str:
    if not isinstance(body, str):
        raise Refusal(errors.DATA_INTEGRITY_ERROR)
    return body
