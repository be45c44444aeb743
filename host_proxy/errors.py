"""The one error family of the host proxy.

Trust side: host. Every error carries a stable code from this code base and never text from outside (LP-01, LP-03).
`Refused` is the only one that becomes an answer to a client; it names a row of `protocol.errors`.
"""

from protocol.errors import ErrorCode


class HostError(Exception):
    """Something failed. `code` is stable and says where and how."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class Refused(HostError):
    """A client's request is answered with a row of the table; `cause` is a constant of this package or empty."""

    def __init__(self, error: ErrorCode, cause: str = "", *, retry_after_s: float = 0.0) -> None:
        super().__init__(error.name, cause)
        self.error = error
        self.cause = cause
        self.retry_after_s = retry_after_s


class TransportError(HostError):
    """No connection to or from the guest (`transport-…`)."""


class StoreFault(HostError):
    """The store could not answer (`store-…`)."""


class StoreConflict(StoreFault):
    """A conditional write found another version; nothing of the call was written."""

    def __init__(self) -> None:
        super().__init__("store-conflict")


class CredentialsFault(HostError):
    """No credentials for a holder (`credentials-…`). `holder` is empty unless it is a configured name."""

    def __init__(self, code: str, holder: str = "") -> None:
        super().__init__(code, holder)
        self.holder = holder


class EgressRefused(HostError):
    """A tunnel was not opened (`egress-…`). `status` is the HTTP status of the answer to CONNECT."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.status = status


class LaunchError(HostError):
    """The enclave could not be started or asked about (`launch-…`, `nitro-cli-…`)."""


class RelayFault(HostError):
    """An operation was not taken, or somebody who is asked for it cannot be reached (`relay-…`)."""


class GuardFault(HostError):
    """A guard is not configured, or does not answer (`guard-…`)."""


class ConfigError(HostError):
    """The host's configuration file is refused (`config-…`); the detail names the field."""
