"""A second reader of attestation documents, written from the format's description and sharing nothing with the first.

A plain recursive descent over the bytes: no library, no re-encoding. It answers with the fields, or None.
"""

from typing import Any

Fields = dict[str, Any]


class _Bad(Exception):
    pass


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise _Bad
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self, major: int) -> int:
        """The argument of an item of this major type, in its shortest form."""
        first = self.take(1)[0]
        if first >> 5 != major:
            raise _Bad
        info = first & 31
        if info < 24:
            return info
        if info > 27:
            raise _Bad
        size = 1 << (info - 24)
        value = int.from_bytes(self.take(size), "big")
        if value < (24, 1 << 8, 1 << 16, 1 << 32)[info - 24]:
            raise _Bad
        return value

    def peek(self) -> int:
        if self.at >= len(self.data):
            raise _Bad
        return self.data[self.at]

    def bytes(self, lowest: int, highest: int) -> bytes:
        value = self.take(self.head(2))
        if not lowest <= len(value) <= highest:
            raise _Bad
        return value

    def text(self) -> str:
        try:
            return self.take(self.head(3)).decode("utf-8")
        except UnicodeDecodeError:
            raise _Bad from None

    def end(self) -> None:
        if self.at != len(self.data):
            raise _Bad


def read(data: bytes) -> Fields | None:
    """The fields of a syntactically right document."""
    try:
        return _document(data)
    except _Bad:
        return None


def _document(data: bytes) -> Fields:
    if len(data) > 16_384:
        raise _Bad
    reader = _Reader(data)
    if reader.peek() == 0xD2:
        reader.take(1)
    if reader.head(4) != 4 or reader.bytes(4, 4) != b"\xa1\x01\x38\x22" or reader.head(5) != 0:
        raise _Bad
    payload = reader.bytes(0, 16_384)
    signature = reader.bytes(96, 96)
    reader.end()
    return _payload(payload) | {"signature": signature}


def _payload(data: bytes) -> Fields:
    reader = _Reader(data)
    fields: Fields = {}
    indefinite = reader.peek() == 0xBF
    count = None if indefinite else reader.head(5)
    if indefinite:
        reader.take(1)
    while (reader.peek() != 0xFF) if indefinite else len(fields) < (count or 0):
        name = reader.text()
        if name in fields or name not in _READERS:
            raise _Bad
        fields[name] = _READERS[name](reader)
    if indefinite:
        reader.take(1)
    reader.end()
    if not {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"} <= fields.keys():
        raise _Bad
    certificates = [*fields["cabundle"], fields["certificate"]]
    if any(one == other for place, one in enumerate(certificates) for other in certificates[:place]):
        raise _Bad
    return {"public_key": None, "user_data": None, "nonce": None} | fields


def _module_id(reader: _Reader) -> str:
    value = reader.text()
    if not 1 <= len(value) <= 100 or any(not 0x21 <= ord(char) <= 0x7E for char in value):
        raise _Bad
    return value


def _digest(reader: _Reader) -> str:
    value = reader.text()
    if value != "SHA384":
        raise _Bad
    return value


def _timestamp(reader: _Reader) -> int:
    value = reader.head(0)
    if not 1_546_300_800_000 <= value < 253_402_300_800_000:
        raise _Bad
    return value


def _pcrs(reader: _Reader) -> dict[int, bytes]:
    pcrs: dict[int, bytes] = {}
    for _ in range(reader.head(5)):
        index = reader.head(0)
        if index > 31 or index in pcrs:
            raise _Bad
        pcrs[index] = reader.bytes(48, 48)
    if any(index not in pcrs for index in range(16)):
        raise _Bad
    return pcrs


def _bundle(reader: _Reader) -> list[bytes]:
    count = reader.head(4)
    if not 1 <= count <= 8:
        raise _Bad
    return [reader.bytes(1, 1024) for _ in range(count)]


def _free(reader: _Reader) -> bytes | None:
    if reader.peek() == 0xF6:
        reader.take(1)
        return None
    return reader.bytes(0, 1024)


_READERS: dict[str, Any] = {
    "module_id": _module_id,
    "digest": _digest,
    "timestamp": _timestamp,
    "pcrs": _pcrs,
    "certificate": lambda reader: reader.bytes(1, 1024),
    "cabundle": _bundle,
    "public_key": _free,
    "user_data": _free,
    "nonce": _free,
}
