"""Policies and measurements as JSON files. A relying party keeps them; they never come with a document (AT-13).

A policy file:

    {"version": 1, "measurements": [{"name": "release 4", "version": 4, "expires": "2027-01-31T00:00:00Z",
      "pcrs": {"0": "<96 hex>", "1": "…", "2": "…"}}], "minimum_version": 3, "max_age_s": 300, "debug": false}

A measurement file is what image builders print: `{"Measurements": {"PCR0": "…", "PCR1": "…", "PCR2": "…"}}`.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from attestation import pcr
from attestation.errors import AttestationError
from attestation.policy import AllOf, AllowList, AnyImage, AnyOf, DebugImage, MaxAge, Measurements, Policy
from protocol import canonical_json, limits
from protocol.errors import ProtocolError

_VERSION: Final = 1
_MEMBERS: Final = frozenset({"version", "measurements", "minimum_version", "max_age_s", "debug"})
_ENTRY_MEMBERS: Final = frozenset({"name", "version", "expires", "pcrs"})
_PCR_NAME: Final = re.compile(r"PCR([0-9]|[12][0-9]|3[01])\Z")
_INDEX: Final = re.compile(r"(?:[0-9]|[12][0-9]|3[01])\Z")
_VALUE: Final = re.compile(rf"[0-9a-fA-F]{{{2 * pcr.PCR_BYTES}}}\Z")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,100}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """What a relying party accepts. Without entries any image that is not in debug mode."""

    entries: tuple[Measurements, ...] = ()
    minimum_version: int = 0
    max_age_ms: int | None = None
    debug: bool = False

    def image(self) -> Policy:
        """The policy on the image alone."""
        image: Policy = AllowList(self.entries, self.minimum_version) if self.entries else AnyImage()
        return AnyOf((image, DebugImage())) if self.debug else image

    def policy(self) -> Policy:
        """The policy on image and age."""
        return AllOf((self.image(), *([] if self.max_age_ms is None else [MaxAge(self.max_age_ms)])))

    def encode(self) -> str:
        """The file, pretty-printed."""
        value: dict[str, Any] = {"version": _VERSION, "measurements": [_entry_json(entry) for entry in self.entries]}
        value["minimum_version"] = self.minimum_version
        if self.max_age_ms is not None:
            value["max_age_s"] = self.max_age_ms // 1000
        value["debug"] = self.debug
        return json.dumps(value, indent=2) + "\n"


def parse_policy(data: bytes) -> PolicyFile:
    """The policy in `data`; `AttestationError("policy-malformed")`. Unknown members are refused."""
    value = _object(data)
    if value.get("version") != _VERSION or type(value["version"]) is not int or not value.keys() <= _MEMBERS:
        raise AttestationError("policy-malformed", "version 1 with known members only")
    entries = value.get("measurements", [])
    if type(entries) is not list or len(entries) > limits.MAX_POLICY_ENTRIES:
        raise AttestationError("policy-malformed", "measurements")
    debug = value.get("debug", False)
    if type(debug) is not bool:
        raise AttestationError("policy-malformed", "debug")
    max_age_s = value.get("max_age_s")
    return PolicyFile(
        entries=tuple(map(_parse_entry, entries)),
        minimum_version=_count(value.get("minimum_version", 0), "minimum_version"),
        max_age_ms=None if max_age_s is None else _count(max_age_s, "max_age_s") * 1000,
        debug=debug,
    )


def parse_measurements(data: bytes, name: str, *, version: int = 0, expires_ms: int | None = None) -> Measurements:
    """The entry that an image builder's output names; `AttestationError("policy-malformed")`."""
    value = _object(data)
    inner = value.get("Measurements", value)
    if type(inner) is not dict:
        raise AttestationError("policy-malformed", "Measurements")
    pcrs = {match[1]: text for key, text in inner.items() if (match := _PCR_NAME.match(key))}
    return Measurements(name=name, pcrs=_pcrs(pcrs), version=version, expires_ms=expires_ms)


def parse_time(text: str) -> int:
    """Milliseconds since the Unix epoch of an ISO 8601 time with a zone; `ValueError` otherwise."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone, as in 2026-01-31T12:00:00Z")
    return round(moment.timestamp() * 1000)


def format_time(time_ms: int) -> str:
    """ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = canonical_json.parse(data, max_bytes=limits.MAX_POLICY_FILE_BYTES)
    except ProtocolError as error:
        raise AttestationError("policy-malformed", error.code) from None
    if type(value) is not dict:
        raise AttestationError("policy-malformed", "not a JSON object")
    return value


def _parse_entry(value: Any) -> Measurements:
    if type(value) is not dict or not {"name", "pcrs"} <= value.keys() <= _ENTRY_MEMBERS:
        raise AttestationError("policy-malformed", "an entry has name, pcrs, and perhaps version and expires")
    name, pcrs, expires = value["name"], value["pcrs"], value.get("expires")
    if type(name) is not str or not _NAME.match(name) or type(pcrs) is not dict:
        raise AttestationError("policy-malformed", "name or pcrs of an entry")
    try:
        expires_ms = None if expires is None else parse_time(expires)
    except (ValueError, TypeError, OverflowError):
        raise AttestationError("policy-malformed", f"expires of {name}") from None
    return Measurements(
        name=name, pcrs=_pcrs(pcrs), version=_count(value.get("version", 0), "version"), expires_ms=expires_ms
    )


def _pcrs(texts: dict[str, Any]) -> dict[int, bytes]:
    for index, text in texts.items():
        if not _INDEX.match(index) or type(text) is not str or not _VALUE.match(text):
            raise AttestationError("policy-malformed", f"PCR{index[:8]!r} needs 96 hex digits")
    return {int(index): bytes.fromhex(text) for index, text in texts.items()}


def _count(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value <= canonical_json.MAX_SAFE_INTEGER:
        raise AttestationError("policy-malformed", name)
    return value


def _entry_json(entry: Measurements) -> dict[str, Any]:
    value: dict[str, Any] = {"name": entry.name, "version": entry.version}
    if entry.expires_ms is not None:
        value["expires"] = format_time(entry.expires_ms)
    return value | {"pcrs": {str(index): data.hex() for index, data in entry.pcrs.items()}}
