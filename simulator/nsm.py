"""A Nitro Security Module in software: every call, with the limits, error names and boot state of the real one.

Trust side: simulator. Its attestation documents pass the unmodified verifier under the simulator's root, and no other.
Measured shapes: nitro-platform.md 3.1, 3.2, 4.2. Where the real module's answer to a malformed request is not known, it
answers as QEMU's does (`InvalidOperation`).
"""

import io
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import cbor2

from attestation.pcr import BOOT_PCRS, PCR_BYTES, PCR_COUNT, ZERO, extend
from enclave.errors import NsmError
from protocol import limits
from simulator.documents import Claims, sign_document
from simulator.pki import NitroPki

DEBUG_ZEROED: Final = (0, 1, 2, 8)  # not 3 and 4, which name the parent and not the image
VERSION: Final = (1, 0, 0)

_WITHOUT_ARGUMENTS: Final = frozenset({"DescribeNSM", "GetRandom"})


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class ModuleError(Exception):
    """An error reply; the name is the module's own."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(slots=True)
class _Register:
    value: bytes
    locked: bool


class SimulatedNsm:
    """Port `Nsm`. One request at a time, as the device serves them; state lives as long as the object, one "boot"."""

    def __init__(
        self,
        pki: NitroPki,
        pcrs: Mapping[int, bytes],
        module_id: str,
        *,
        clock: Callable[[], int] = _wall_ms,
        debug: bool = False,
        definite: bool = False,
    ) -> None:
        """`pcrs`: what was measured (index to 48 bytes; the rest is zero). `clock`: the hypervisor's, in ms.

        `debug` zeroes PCR0, 1, 2 and 8 as a debug launch does; `definite` writes payloads as firmware before late 2025.
        """
        if any(not 0 <= index < PCR_COUNT or len(value) != PCR_BYTES for index, value in pcrs.items()):
            raise ValueError("registers are 0 to 31 and hold 48 bytes")
        self._pki = pki
        self._module_id = module_id
        self._clock = clock
        self._definite = definite
        zeroed = DEBUG_ZEROED if debug else ()
        self._registers = [
            _Register(ZERO if index in zeroed else pcrs.get(index, ZERO), index in BOOT_PCRS)
            for index in range(PCR_COUNT)
        ]
        self._turn = Lock()
        self._calls: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "DescribePCR": self._describe_pcr,
            "ExtendPCR": self._extend_pcr,
            "LockPCR": self._lock_pcr,
            "LockPCRs": self._lock_pcrs,
            "DescribeNSM": self._describe,
            "Attestation": self._attestation,
            "GetRandom": self._random,
        }

    def call(self, request: bytes) -> bytes:
        """The reply to one CBOR request; `NsmError("nsm-request-too-large")` where the kernel says EMSGSIZE."""
        if len(request) > limits.MAX_NSM_REQUEST_BYTES:
            raise NsmError("nsm-request-too-large")
        with self._turn:
            try:
                reply = cbor2.dumps(self._answer(*_parse(request)))
                if len(reply) > limits.MAX_NSM_RESPONSE_BYTES:
                    raise ModuleError("BufferTooSmall")
            except ModuleError as error:
                return cbor2.dumps({"Error": error.name})
        return reply

    def _answer(self, name: str, arguments: Mapping[str, Any] | None) -> object:
        handler = self._calls.get(name)
        if handler is None or (arguments is None) != (name in _WITHOUT_ARGUMENTS):
            raise ModuleError("InvalidOperation")
        return handler(arguments or {})

    def _describe(self, _: Mapping[str, Any]) -> object:
        major, minor, patch = VERSION
        return {
            "DescribeNSM": {
                "version_major": major,
                "version_minor": minor,
                "version_patch": patch,
                "module_id": self._module_id,
                "max_pcrs": PCR_COUNT,
                "locked_pcrs": list(self._locked()),
                "digest": "SHA384",
            }
        }

    def _describe_pcr(self, arguments: Mapping[str, Any]) -> object:
        register = self._register(arguments)
        return {"DescribePCR": {"lock": register.locked, "data": register.value}}

    def _extend_pcr(self, arguments: Mapping[str, Any]) -> object:
        register = self._writable(arguments)
        data = _bytes(arguments.get("data"))
        if not data:
            raise ModuleError("InvalidArgument")
        register.value = extend(register.value, data)
        return {"ExtendPCR": {"data": register.value}}

    def _lock_pcr(self, arguments: Mapping[str, Any]) -> object:
        self._writable(arguments).locked = True
        return "LockPCR"

    def _lock_pcrs(self, arguments: Mapping[str, Any]) -> object:
        count = _unsigned(arguments.get("range"))
        if count > PCR_COUNT:
            raise ModuleError("InvalidIndex")
        for register in self._registers[:count]:
            register.locked = True
        return "LockPCRs"

    def _random(self, _: Mapping[str, Any]) -> object:
        return {"GetRandom": {"random": secrets.token_bytes(limits.MAX_NSM_RANDOM_BYTES)}}

    def _attestation(self, arguments: Mapping[str, Any]) -> object:
        fields = {name: _field(arguments.get(name)) for name in ("public_key", "user_data", "nonce")}
        pcrs = {index: register.value for index, register in self._locked().items()}
        claims = Claims(self._module_id, self._clock(), pcrs, fields)
        return {"Attestation": {"document": sign_document(claims, self._pki, definite=self._definite)}}

    def _locked(self) -> dict[int, _Register]:
        return {index: register for index, register in enumerate(self._registers) if register.locked}

    def _register(self, arguments: Mapping[str, Any]) -> _Register:
        index = _unsigned(arguments.get("index"))
        if index >= PCR_COUNT:
            raise ModuleError("InvalidIndex")
        return self._registers[index]

    def _writable(self, arguments: Mapping[str, Any]) -> _Register:
        register = self._register(arguments)
        if register.locked:
            raise ModuleError("ReadOnlyIndex")
        return register


def _parse(request: bytes) -> tuple[str, Mapping[str, Any] | None]:
    """The name of the call and its arguments, None when it is only a name; other shapes are `InvalidOperation`."""
    stream = io.BytesIO(request)
    try:
        item = cbor2.CBORDecoder(stream, allow_duplicate_keys=False, max_depth=4).decode()
    except Exception:  # noqa: BLE001  cbor2 raises its own family and, for odd keys, TypeError or ValueError
        raise ModuleError("InvalidOperation") from None
    if stream.tell() == len(request):
        if type(item) is str:
            return item, None
        if type(item) is dict and len(item) == 1:
            ((name, arguments),) = item.items()
            if type(name) is str and type(arguments) is dict:
                return name, arguments
    raise ModuleError("InvalidOperation")


def _unsigned(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**16:
        raise ModuleError("InvalidOperation")
    return value


def _bytes(value: Any) -> bytes:
    if type(value) is not bytes:
        raise ModuleError("InvalidOperation")
    return value


def _field(value: Any) -> bytes | None:
    if value is None:
        return None
    if len(_bytes(value)) > limits.MAX_ATTESTATION_FIELD_BYTES:
        raise ModuleError("InputTooLarge")
    return _bytes(value)
