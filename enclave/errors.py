"""The error families of the enclave.

`Refusal` is the only exception that leaves a method; it names a row of `protocol.errors`. Ports raise their own small
families, which the method that called them turns into a refusal. Texts are constants: no input, no secret (LP-01).
"""

from protocol.errors import ErrorCode


class Refusal(Exception):
    """A request is refused with a row of the table; `cause` is a text of the wire format or empty."""

    def __init__(self, error: ErrorCode, cause: str = "") -> None:
        super().__init__(f"{error.name}: {cause}" if cause else error.name)
        self.error = error
        self.cause = cause


class PortError(Exception):
    """Something outside failed. `code` is stable and comes from the code base, never from the outside answer."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NsmError(PortError):
    """The security module failed or answered nonsense (`nsm-…`)."""


class KmsError(PortError):
    """A share holder's KMS refused, failed or lied (`kms-…`)."""


class StoreError(PortError):
    """The store failed or answered nonsense (`store-…`)."""


class RelayError(PortError):
    """The parent did not take an operation, or does not know it (`relay-…`)."""


class GuardError(PortError):
    """No guard has answered, or not in a form that can be read (`guard-…`)."""


class StoreConflict(StoreError):
    """A conditional write found another version."""

    def __init__(self) -> None:
        super().__init__("store-conflict")


class EgressError(PortError):
    """A connection, TLS handshake or outside HTTP exchange failed (`egress-…`, `tls-…`, `http-…`)."""


class MailError(PortError):
    """The mail server did not take the mail (`mail-…`)."""


class BootError(Exception):
    """The enclave refuses to serve. `code` is stable; the text tells the operator what to look at."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
