"""The rules in force: measured with the image, or activated since by a quorum of officers; their version only rises.

One sealed record holds the document in force and whether it is frozen. It is read for every decision, so a change
counts for all workers at once, and where it cannot be read there is no decision (RB-10, RB-11).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import msgspec

from enclave.approvals import Approval, UnknownOfficer, verify_approvals
from enclave.config.guard import Guard
from enclave.errors import BootError, Refusal
from enclave.guard.compiling import Rules, compile_rules
from enclave.guard.document import parse_document
from enclave.guard.errors import RulesError
from enclave.records import Conflict, Record, Records
from protocol import errors, guard_errors
from protocol.approvals import statement

ACTIVATE: Final = "activate guard rules"
FREEZE: Final = "freeze guard"
READ: Final = "read guard decisions"
READ_OVERVIEW: Final = "read guard overview"


@dataclass(frozen=True, slots=True)
class _InForce:
    """The record: version 0 where there is none yet."""

    stored_version: int
    document: bytes
    frozen: bool


class RuleBook:
    """Which rules hold now."""

    def __init__(self, records: Records, guard: Guard, deployment: str) -> None:
        self._records = records
        self._guard = guard
        self._deployment = deployment
        self._key = records.key("guard-rules")

    async def open(self) -> None:
        """Put the image's rules in force if their version is higher than what is. `BootError` for two documents of one
        version; `Refusal` where the record cannot be read or written.
        """
        measured = bytes(self._guard.rules)
        version = parse_document(measured).version
        held = await self._load()
        try:
            in_force = 0 if held is None else parse_document(held.document).version
        except RulesError:
            raise BootError("guard-rules-record", "the rules in force are none that this image takes") from None
        if held is not None and in_force == version and held.document != measured:
            raise BootError("guard-rules-version", "other rules of this version have been in force")
        if version > in_force:
            await self._save(_InForce(0 if held is None else held.stored_version, measured, frozen=False))

    async def current(self) -> Rules:
        """The rules that hold now. `Refusal` where that cannot be told."""
        held = await self._require()
        return _compiled(held.document, held.frozen)

    async def document(self) -> tuple[bytes, bool]:
        """The document in force, as it was written, and whether it is frozen."""
        held = await self._require()
        return held.document, held.frozen

    async def activate(self, document: bytes, approvals: Sequence[Approval]) -> Rules:
        """Put `document` in force, which also thaws.

        `Refusal` UNAUTHORIZED below the quorum, INVALID_ARGUMENT for rules that cannot be used, REQUEST_CONFLICT unless
        their version is higher than that in force.
        """
        try:
            rules = compile_rules(parse_document(document))
        except RulesError as error:
            raise Refusal(guard_errors.INVALID_ARGUMENT, error.code) from None
        version = rules.document.version
        signers = self._verify(statement(ACTIVATE, self._deployment, version, document), approvals)
        if not self._guard.quorum or len(signers) < self._guard.quorum:
            raise Refusal(guard_errors.UNAUTHORIZED, "guard:quorum")
        held = await self._require()
        if version <= parse_document(held.document).version:
            raise Refusal(guard_errors.REQUEST_CONFLICT, "guard:version")
        await self._save(replace(held, document=document, frozen=False))
        return rules

    async def freeze(self, approval: Approval) -> None:
        """Deny everything until higher rules are activated; any one officer can. `Refusal` UNAUTHORIZED."""
        await self.require_officer(FREEZE, approval)
        held = await self._require()
        await self._save(replace(held, frozen=True))

    async def require_officer(self, action: str, approval: Approval) -> None:
        """`Refusal` UNAUTHORIZED unless an officer has signed the statement of `action` about the rules in force."""
        held = await self._require()
        version = parse_document(held.document).version
        self._verify(statement(action, self._deployment, version, held.document), [approval])

    def _verify(self, signed: bytes, approvals: Sequence[Approval]) -> frozenset[str]:
        """The officers who signed, each once. One signature that does not hold refuses them all."""
        try:
            return verify_approvals(signed, approvals, self._guard.officers)
        except UnknownOfficer:
            raise Refusal(guard_errors.UNAUTHORIZED, "guard:officer") from None

    async def _require(self) -> _InForce:
        held = await self._load()
        if held is None:  # there has been one since the boot
            raise Refusal(errors.STALE_RECORD)
        return held

    async def _load(self) -> _InForce | None:
        [record] = await self._records.load(self._key)
        return None if record is None else _read(record)

    async def _save(self, held: _InForce) -> None:
        body: list[Any] = [held.document, held.frozen]
        try:
            await self._records.save(self._records.change(self._key, held.stored_version, body))
        except Conflict:
            raise Refusal(errors.BUSY) from None


def _read(record: Record) -> _InForce:
    match record.body:
        case [bytes(document), bool(frozen)]:
            return _InForce(record.version, document, frozen)
    raise Refusal(errors.DATA_INTEGRITY_ERROR)


@lru_cache(maxsize=4)  # the rules in force, and those before them
def _compiled(document: bytes, frozen: bool) -> Rules:
    try:
        parsed = parse_document(document)
        return compile_rules(msgspec.structs.replace(parsed, frozen=parsed.frozen or frozen))
    except RulesError:  # an image that no longer takes what an earlier one did
        raise Refusal(errors.DATA_INTEGRITY_ERROR) from None
