"""The simulated KMS: one HTTP request in, one answer out, for every holder of every account and region.

Trust side: simulator. The composition root is trusted (it creates keys, issues credentials, sets faults); callers are
not. Whatever a caller sends, the answer is a result or an error in the form of AWS, never a stack trace.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

from attestation.roots import TrustRoot
from protocol.services import Credentials
from simulator.kms.backend import Backend
from simulator.kms.callers import Callers
from simulator.kms.envelope import ContentForm
from simulator.kms.errors import AwsError
from simulator.kms.faults import ActiveFault, Fault, disclose
from simulator.kms.keys import REGION, Key, KeyArn, KeyStore
from simulator.kms.policy import parse_identity_policy
from simulator.kms.recipient import AttestedRecipient, verify_recipient
from simulator.kms.requests import parse_call
from simulator.kms.sigv4 import HttpRequest, signed_region, verify_request

_log: Final = logging.getLogger(__name__)
_HOST: Final = re.compile(rf"kms(?:-fips)?\.({REGION})\.amazonaws\.com(?::[0-9]{{1,5}})?")
_LOOPBACK: Final = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What the server writes back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def wall_clock_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


class KmsService:
    """All holders. Documents are verified under `attestation_roots`; keys rest in `state_dir` between runs."""

    def __init__(
        self,
        state_dir: Path,
        attestation_roots: Sequence[TrustRoot],
        *,
        now_ms: Callable[[], int] = wall_clock_ms,
        accept_expired_documents: bool = False,
        content_form: ContentForm = ContentForm.CONSTRUCTED,
        countersign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """`countersign` makes a signed document of the emulator's unsigned one; without it, unsigned is refused."""
        self._now_ms = now_ms
        self._content_form = content_form
        self._store = KeyStore(state_dir)
        self._callers = Callers()
        self._faults: dict[str, ActiveFault] = {}
        roots = tuple(attestation_roots)

        def verify(document: bytes) -> AttestedRecipient:
            if countersign is not None:
                document = countersign(document)
            return verify_recipient(document, roots, now_ms(), accept_expired=accept_expired_documents)

        self._backend = Backend(self._store, verify, now_ms)

    # --- for the composition root ---

    def create_key(self, region: str, account: str, policy: Mapping[str, Any]) -> str:
        """The ARN of a new key under `policy`; `AwsError` when the policy cannot be evaluated."""
        return str(self._store.create(region, account, json.dumps(policy), self._now_ms()).arn)

    def keys(self) -> tuple[str, ...]:
        """The ARNs of all keys, those of earlier runs included."""
        return tuple(sorted(str(key.arn) for key in self._store.all()))

    def hosts(self) -> tuple[str, ...]:
        """The endpoint names of every region that has a key: what the server's certificate must name."""
        return tuple(sorted({f"kms.{key.arn.region}.amazonaws.com" for key in self._store.all()}))

    def set_key_policy(self, key_arn: str, policy: Mapping[str, Any]) -> None:
        """Replace a key's policy, as its administrator would."""
        self._store.set_policy(self._key(key_arn), json.dumps(policy))

    def issue_credentials(
        self,
        principal_arn: str,
        *,
        session_name: str = "session",
        lifetime_s: int | None = None,
        identity_policy: Mapping[str, Any] | None = None,
    ) -> Credentials:
        """New credentials for a user, role or account root. Without an identity policy only key policies grant."""
        expires_ms = None if lifetime_s is None else self._now_ms() + 1000 * lifetime_s
        policy = None if identity_policy is None else parse_identity_policy(json.dumps(identity_policy))
        return self._callers.issue(principal_arn, session_name, expires_ms, policy)

    def set_fault(self, holder: str, fault: Fault | None, *, delay_s: float = 0.0) -> None:
        """Make the endpoint of a holder (key ARN or region) fail from now on; None heals it. `delay_s` is for SLOW."""
        arn = KeyArn.parse(holder)
        region = arn.region if arn else holder
        self._faults.pop(region, None)
        if fault is not None:
            self._faults[region] = ActiveFault(fault, delay_s)

    def is_down(self, host: str) -> bool:
        """Whether connections to `host` are to be refused."""
        match = _HOST.fullmatch(host)
        active = self._faults.get(match[1]) if match else None
        return active is not None and active.kind is Fault.DOWN

    def _key(self, key_arn: str) -> Key:
        arn = KeyArn.parse(key_arn)
        if arn is None:
            raise ValueError("not a key ARN")
        return self._store.find(arn.region, arn.account, key_arn)

    # --- for callers ---

    async def answer(self, request: HttpRequest) -> HttpResponse | None:
        """The answer to one request; None when the connection is to be cut without one."""
        active = self._faults.get(_region(request) or "")
        if active is None:
            return await asyncio.to_thread(self._respond, request, None)
        match active.kind:
            case Fault.DOWN:
                return None
            case Fault.UNAVAILABLE:
                return error_response(AwsError("ServiceUnavailableException", "Service is unavailable", 503))
            case Fault.THROTTLED:
                return error_response(AwsError("ThrottlingException", "Rate exceeded"))
            case Fault.HUNG:
                await asyncio.get_running_loop().create_future()
            case Fault.SLOW:
                await asyncio.sleep(active.delay_s)
        return await asyncio.to_thread(self._respond, request, active.kind)

    def _respond(self, request: HttpRequest, fault: Fault | None) -> HttpResponse:
        try:
            return _response(200, self._execute(request, fault))
        except AwsError as error:
            return error_response(error)
        except Exception:  # noqa: BLE001  a defect of the simulator still answers as AWS would; the log has the trace
            _log.exception("the simulated KMS failed")
            return error_response(AwsError("KMSInternalException", "The request could not be processed.", 500))

    def _execute(self, request: HttpRequest, fault: Fault | None) -> dict[str, Any]:
        region = _region(request)
        if region is None or request.method != "POST":
            raise AwsError("UnknownOperationException")
        principal = verify_request(request, region, self._callers.keys, self._now_ms())
        call = parse_call(request.headers.get("x-amz-target", ""), request.body)
        outcome, recipient = self._backend.execute(call, principal, region)
        return disclose(outcome, recipient.public_key if recipient else None, self._content_form, fault)


def error_response(error: AwsError) -> HttpResponse:
    """`error` as AWS answers it."""
    return _response(error.status, error.body())


def _response(status: int, members: Mapping[str, Any]) -> HttpResponse:
    headers = {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": str(uuid4())}
    return HttpResponse(status, headers, msgspec.json.encode(members))


def _region(request: HttpRequest) -> str | None:
    """The region whose endpoint was addressed. On loopback, where no name says it, the region that was signed for."""
    host = request.headers.get("host", "")
    if match := _HOST.fullmatch(host):
        return match[1]
    return signed_region(request) if _LOOPBACK.fullmatch(host) else None
