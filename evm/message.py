"""Personal messages (EIP-191 version 45, `personal_sign`).

Whether a message is text or bytes is said by the request, never guessed from a leading 0x.
"""

from dataclasses import dataclass
from typing import Any, Final

from evm.errors import EvmError
from evm.fields import hex_bytes, members, utf8
from evm.keccak import keccak256
from evm.words import printable
from protocol import limits

_PREFIX: Final = b"\x19Ethereum Signed Message:\n"


@dataclass(frozen=True, slots=True)
class PersonalMessage:
    """The bytes of a message; `text` where it was given as text."""

    data: bytes
    text: str | None

    @property
    def digest(self) -> bytes:
        """The hash that is signed."""
        return keccak256(_PREFIX + str(len(self.data)).encode() + self.data)

    def understood(self) -> dict[str, Any]:
        """What will be signed, for JSON."""
        result: dict[str, Any] = {"kind": "message", "bytes": len(self.data)}
        if self.text is None:
            result["hex"] = "0x" + self.data.hex()
            result["words"] = [f"Sign {len(self.data)} bytes as a personal message"]
        else:
            result["text"] = self.text
            result["words"] = [f"Sign the text {printable(self.text)}"]
        return result


def parse_message(value: object) -> PersonalMessage:
    """The message in `{"text": …}` or `{"bytes": "0x…"}`, at most `MAX_MESSAGE_BYTES` long."""
    found = members(value, required=(), optional=("text", "bytes"), code="message-fields")
    match found:
        case {"text": text} if len(found) == 1:
            return PersonalMessage(utf8(text, "message-text", most=limits.MAX_MESSAGE_BYTES), str(text))
        case {"bytes": data} if len(found) == 1:
            return PersonalMessage(hex_bytes(data, "message-bytes", most=limits.MAX_MESSAGE_BYTES), None)
    raise EvmError("message-fields")
