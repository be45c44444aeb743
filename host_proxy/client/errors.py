"""Why a call did not succeed, with stable codes."""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """The call did not succeed. Stable codes: `unreachable`, `unattested`, `attestation-…`, `malformed`, `refused`."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class ServiceRefusal(ClientError):
    """The appliance refused: `error` is the body of the wire format, proven like any answer."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        cause = f" ({error['cause']})" if error.get("cause") else ""
        super().__init__("refused", f"{error.get('msg', 'refused')}{cause}")
        self.error = dict(error)
