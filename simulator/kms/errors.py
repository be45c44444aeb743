"""Errors as AWS answers them: a type name, a message, an HTTP status (nitro-platform.md 6.4).

Every refusal of the simulated KMS is an `AwsError`; nothing else leaves it. Messages are worded as the service words
them where that is known, because operators search for those texts.
"""

from typing import Any


class AwsError(Exception):
    """One refusal. `type_name` is what SDKs turn into an exception class."""

    def __init__(self, type_name: str, message: str = "", status: int = 400) -> None:
        super().__init__(f"{type_name}: {message}")
        self.type_name = type_name
        self.message = message
        self.status = status

    def body(self) -> dict[str, Any]:
        """The JSON body. Captured AccessDenied answers spell the member with a capital letter."""
        member = "Message" if self.type_name == "AccessDeniedException" else "message"
        return {"__type": self.type_name, member: self.message}


def validation_error(detail: str) -> AwsError:
    """A request that does not fit the service model, or a `Recipient` that KMS refuses."""
    return AwsError("ValidationException", detail)


def malformed_policy(detail: str) -> AwsError:
    """A key policy that is not evaluated; the detail names the element."""
    return AwsError("MalformedPolicyDocumentException", detail)


def invalid_ciphertext() -> AwsError:
    """The real service gives this one no text."""
    return AwsError("InvalidCiphertextException")
