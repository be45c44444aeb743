"""The metadata section: what a builder says about an image (nitro-platform.md 1.2).

Nothing measures or signs it. Anybody who holds the file can change it without changing a register or a signature, so
no caller shows it as a fact (SC-03): `NOT_MEASURED` goes with it.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from eif.errors import EifError
from eif.layout import MAX_CONTENT_BYTES, SectionType
from protocol import canonical_json
from protocol.errors import ProtocolError

NOT_MEASURED: Final = "not measured: whoever holds the file can change it without a trace"
_MAX_BYTES: Final = MAX_CONTENT_BYTES[SectionType.METADATA]

_NAMES: Final = {"image_name": "ImageName", "image_version": "ImageVersion"}
_BUILD: Final = {
    "build_time": "BuildTime",
    "build_tool": "BuildTool",
    "build_tool_version": "BuildToolVersion",
    "operating_system": "OperatingSystem",
    "kernel_version": "KernelVersion",
}
_MEMBERS: Final = {*_NAMES.values(), "BuildMetadata", "DockerInfo", "CustomMetadata"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """The claims, in nitro-cli's order."""

    image_name: str
    image_version: str
    build_time: str
    """RFC 3339, by convention; see `format_build_time`."""
    build_tool: str
    build_tool_version: str
    operating_system: str
    kernel_version: str
    docker_info: Any = None
    """JSON: what Docker says about the container image, or None."""
    custom: Any = None
    """JSON of the builder's own choice, or None."""

    def encode(self) -> bytes:
        """The section's bytes: nitro-cli's members and order, no spaces, members of own JSON sorted."""
        value = {name: getattr(self, field) for field, name in _NAMES.items()}
        value["BuildMetadata"] = {name: getattr(self, field) for field, name in _BUILD.items()}
        try:
            value |= {"DockerInfo": _ordered(self.docker_info), "CustomMetadata": _ordered(self.custom)}
            data = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            raise EifError("metadata-malformed", "not JSON") from None
        parse_metadata(data)  # what is written can be read
        return data

    def describe(self) -> dict[str, Any]:
        """The members that `nitro-cli describe-eif` shows: own members of an object stand among the builder's.

        They cannot take the place of one.
        """
        own = self.custom if isinstance(self.custom, dict) else {}
        if self.custom is not None and not isinstance(self.custom, dict):
            own = {"CustomMetadata": self.custom}
        build = {name: getattr(self, field) for field, name in _BUILD.items()}
        names = {name: getattr(self, field) for field, name in _NAMES.items()}
        return names | {"Metadata": own | build | {"DockerInfo": self.docker_info}}


def format_build_time(epoch_s: int) -> str:
    """The form in which nitro-cli writes times. Take `SOURCE_DATE_EPOCH` to get the same file twice."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat()


def parse_metadata(data: bytes) -> Metadata:
    """The claims in a section; `EifError("metadata-too-large" | "metadata-malformed")`. Unknown members are refused."""
    if len(data) > _MAX_BYTES:
        raise EifError("metadata-too-large", f"{len(data)} bytes, {_MAX_BYTES} allowed")
    try:
        value = canonical_json.parse(data, max_bytes=_MAX_BYTES)
    except ProtocolError as error:
        raise EifError("metadata-malformed", error.code) from None
    if type(value) is not dict or value.keys() != _MEMBERS:
        raise EifError("metadata-malformed", "other members than nitro-cli writes")
    build = value["BuildMetadata"]
    if type(build) is not dict or build.keys() != set(_BUILD.values()):
        raise EifError("metadata-malformed", "BuildMetadata")
    texts = {field: value[name] for field, name in _NAMES.items()}
    texts |= {field: build[name] for field, name in _BUILD.items()}
    if any(type(text) is not str for text in texts.values()):
        raise EifError("metadata-malformed", "a name, version or time is no text")
    return Metadata(**texts, docker_info=value["DockerInfo"], custom=value["CustomMetadata"])


def _ordered(value: Any) -> Any:
    """The same JSON with the members of every object sorted by name."""
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
