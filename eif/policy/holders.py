"""Who holds the keys: a TOML or JSON file of share holders, one key policy each (SH-09).

    version = 1
    deployment = "example"

    [[holders]]
    name = "operator"                                       # as in the measured configuration
    region = "eu-central-1"
    role = "arn:aws:iam::111111111111:role/enclave"          # whose credentials the enclave's calls are signed with
    administrators = ["arn:aws:iam::111111111111:role/keys"] # who may change the policy
    key_arn = "arn:aws:kms:eu-central-1:111111111111:key/…"  # once it exists

The account is that of the role. Unknown members are refused.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eif.errors import EifError
from protocol import canonical_json, limits
from protocol.errors import ProtocolError

MAX_HOLDERS: Final = 16  # as in the measured configuration
MAX_ADMINISTRATORS: Final = 16

_IDENTITY: Final = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):(?:role|user)/[A-Za-z0-9_+=,.@/-]{1,512}")
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/.+")
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]{1,12}){1,2}-[0-9]{1,2}")
_KEY_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]{1,32}):([0-9]{12}):key/[A-Za-z0-9-]{1,64}")
_DEPLOYMENT: Final = re.compile(r"[a-z0-9][a-z0-9-]*[a-z0-9]")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # becomes a file's name
_MEMBERS: Final = frozenset({"name", "region", "role", "administrators"})


@dataclass(frozen=True, slots=True)
class Holder:
    """One share holder of one deployment."""

    deployment: str
    name: str
    region: str
    role: str
    administrators: tuple[str, ...]
    key_arn: str | None = None

    @property
    def account(self) -> str:
        return self.role.split(":")[4]


def parse_holders(data: bytes, *, toml: bool) -> tuple[Holder, ...]:
    """The holders in a file; `EifError("policy-holders")` naming what is wrong."""
    value = _parse_toml(data) if toml else _parse_json(data)
    if type(value) is not dict or value.keys() != {"version", "deployment", "holders"} or value["version"] != 1:
        raise EifError("policy-holders", "version 1 with deployment and holders, and nothing else")
    listed = value["holders"]
    if type(listed) is not list or not 1 <= len(listed) <= MAX_HOLDERS:
        raise EifError("policy-holders", f"1 to {MAX_HOLDERS} holders")
    holders = tuple(_parse_holder(value["deployment"], item) for item in listed)
    for what in ("name", "account", "region"):
        if len({getattr(holder, what) for holder in holders}) != len(holders):
            raise EifError("policy-holders", f"two holders share one {what}")
    return holders


def load_holders(path: Path) -> tuple[Holder, ...]:
    """The holders in a `.toml` or `.json` file; `EifError`."""
    try:
        with path.open("rb") as file:
            data = file.read(limits.MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise EifError("input-unreadable", f"{path}: {error.strerror}") from None
    return parse_holders(data, toml=path.suffix != ".json")


def validate_holder(holder: Holder) -> None:
    """All rules on one holder; `EifError("policy-holders")` for the first one broken."""
    rules = {
        "deployment": _DEPLOYMENT.fullmatch(holder.deployment)
        and len(holder.deployment) <= limits.MAX_DEPLOYMENT_CHARS,
        "name": _NAME.fullmatch(holder.name),
        "region": _REGION.fullmatch(holder.region),
        "role": _ROLE.fullmatch(holder.role) and _IDENTITY.fullmatch(holder.role),
        "administrators": 1 <= len(holder.administrators) <= MAX_ADMINISTRATORS
        and all(map(_IDENTITY.fullmatch, holder.administrators))
        and len(set(holder.administrators)) == len(holder.administrators),
        "key_arn": holder.key_arn is None or _KEY_ARN.fullmatch(holder.key_arn),
    }
    for name, met in rules.items():
        if not met:
            raise EifError("policy-holders", f"{name} is not of its form")
    if holder.role in holder.administrators:
        raise EifError("policy-holders", "the enclave's role administers the key: it could rewrite the policy")
    if any(arn.split(":")[4] != holder.account for arn in holder.administrators):
        raise EifError("policy-holders", "role and administrators are of different accounts")
    match = _KEY_ARN.fullmatch(holder.key_arn) if holder.key_arn else None
    if match and match.groups() != (holder.region, holder.account):
        raise EifError("policy-holders", "key_arn is of another region or account")


def _parse_holder(deployment: Any, item: Any) -> Holder:
    if type(item) is not dict or not _MEMBERS <= item.keys() <= _MEMBERS | {"key_arn"}:
        raise EifError("policy-holders", "a holder has name, region, role, administrators, and perhaps key_arn")
    administrators = item["administrators"]
    texts = [deployment, *(item[name] for name in ("name", "region", "role")), item.get("key_arn", "")]
    if type(administrators) is not list or not all(type(text) is str for text in (*texts, *administrators)):
        raise EifError("policy-holders", "a member is not a text, or administrators is not a list")
    members: Mapping[str, Any] = {**item, "administrators": tuple(administrators)}
    holder = Holder(deployment=deployment, **members)
    validate_holder(holder)
    return holder


def _parse_toml(data: bytes) -> Any:
    if len(data) > limits.MAX_CONFIG_BYTES:
        raise EifError("policy-holders", "the file is too large")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise EifError("policy-holders", "not TOML") from None


def _parse_json(data: bytes) -> Any:
    try:
        return canonical_json.parse(data, max_bytes=limits.MAX_CONFIG_BYTES)
    except ProtocolError as error:
        raise EifError("policy-holders", error.code) from None
