"""The enclave's end of the sealed channel: its keys, and requests opened at most once (CH-02 to CH-05).

A key serves for `limits.channel_key_s` and is then kept for as long again, so that clients that attested before the
change are not cut off; after that nothing that was sealed to it opens any more. It also retires when it has opened
`MAX_CHANNEL_REQUESTS`, and is forgotten after as many again, because the ids of opened requests are remembered for as
long as their key lives.
The format is `attestation/channel.py`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from attestation import channel
from attestation.channel import Exchange, InnerResponse, SealedRequest
from attestation.errors import AttestationError
from enclave.errors import Refusal
from protocol import errors, limits
from protocol.frames import Request, Response

SEALED_METHOD: Final = f"{channel.METHOD} {channel.PATH}"
_ROUND_S: Final = 30.0
_FROM_HOST: Final = ("origin", "x-sequence-scope")
"""What the host adds to any call; a sealed one gets it the same way, unsealed and no more trusted."""


@dataclass(frozen=True, slots=True)
class _Key:
    private: X25519PrivateKey = field(repr=False)
    public: bytes
    id: bytes
    born_ms: int
    opened: set[bytes] = field(default_factory=set, repr=False)
    """Ids of the requests that were opened."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened request, to be dispatched like any other, and the way to seal its answer."""

    request: Request
    _exchange: Exchange

    def seal(self, response: Response) -> Response:
        """The answer for the host to carry: status 200, whatever the sealed one says."""
        inner = InnerResponse(response.status, response.headers, response.body)
        try:
            envelope = self._exchange.seal_response(inner)
        except AttestationError:  # larger than any method's answer is
            raise Refusal(errors.INTERNAL_ERROR) from None
        return Response(self.request.id, 200, {"content-type": channel.CONTENT_TYPE}, envelope)


class SealedChannel:
    """The channel keys of one boot. They live in RAM, and documents bind the current one (AT-14)."""

    def __init__(
        self,
        first: X25519PrivateKey,
        monotonic_ms: Callable[[], int],
        lifetime_s: int,
        generate: Callable[[], X25519PrivateKey] = X25519PrivateKey.generate,
    ) -> None:
        self._generate = generate
        self._monotonic_ms = monotonic_ms
        self._lifetime_ms = lifetime_s * 1000
        self._current = _key(first, monotonic_ms())
        self._previous: _Key | None = None

    @property
    def public_key(self) -> bytes:
        """The key that clients seal to from now on."""
        self.rotate_if_due()
        return self._current.public

    async def keep_rotated(self) -> None:
        """`rotate_if_due` for ever, so that an idle enclave forgets its old keys, too."""
        while True:
            await asyncio.sleep(_ROUND_S)
            self.rotate_if_due()

    def rotate_if_due(self) -> None:
        """Make a new key when the current one is too old or too much used, and forget keys that are past their time."""
        now_ms = self._monotonic_ms()
        age_ms = now_ms - self._current.born_ms
        if age_ms >= self._lifetime_ms or len(self._current.opened) >= limits.MAX_CHANNEL_REQUESTS:
            self._previous = self._current
            self._current = _key(self._generate(), now_ms)
        last = self._previous
        if last is not None and (
            now_ms - last.born_ms >= 2 * self._lifetime_ms or len(last.opened) >= 2 * limits.MAX_CHANNEL_REQUESTS
        ):
            self._previous = None

    def open(self, request: Request) -> Opened:
        """The request inside `request`: CHANNEL_KEY_UNKNOWN, CHANNEL_UNOPENED or CHANNEL_REPLAYED otherwise."""
        self.rotate_if_due()
        if request.headers.get("content-type") != channel.CONTENT_TYPE:
            raise Refusal(errors.BAD_REQUEST, "unexpected Content-Type")
        try:
            sealed = channel.parse_request(request.body)
            key = self._key_of(sealed)
            inner, exchange = channel.open_request(request.body, sealed, key.private)
        except AttestationError:  # which of its parts was wrong is nobody's business
            raise Refusal(errors.CHANNEL_UNOPENED) from None
        if any(sealed.request_id in known.opened for known in self._live()):
            raise Refusal(errors.CHANNEL_REPLAYED)
        key.opened.add(sealed.request_id)
        headers = {name: request.headers[name] for name in _FROM_HOST if name in request.headers}
        return Opened(Request(request.id, inner.method, headers | dict(inner.headers), inner.body), exchange)

    def _key_of(self, sealed: SealedRequest) -> _Key:
        for key in self._live():
            if key.id == sealed.key_id:
                return key
        raise Refusal(errors.CHANNEL_KEY_UNKNOWN)

    def _live(self) -> tuple[_Key, ...]:
        return (self._current,) if self._previous is None else (self._current, self._previous)


def _key(private: X25519PrivateKey, now_ms: int) -> _Key:
    public = private.public_key().public_bytes_raw()
    return _Key(private, public, channel.key_id(public), now_ms)
