"""The key sets of identity providers, fetched over TLS that ends here and kept for a while (OI-09 to OI-12).

A set is kept under issuer, key hosts, token endpoint and authorities of a configured client, so there are never more
sets than the measured configuration has clients, and what one scope accepts says nothing about another. Metadata is not
kept: it is fetched anew with each set.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from enclave.config import OidcClient
from enclave.errors import EgressError, Refusal
from enclave.login.issuers import HttpsUrl, discovery_url
from enclave.login.provider_keys import ProviderAnswerError, ProviderKey, parse_discovery, parse_key_set
from enclave.login.provider_tls import ProviderTls
from enclave.net.http import request
from enclave.ports import Egress
from protocol import limits
from protocol.errors import IDENTITY_PROVIDER_ERROR, PROOF_VERIFICATION_FAILED

_METADATA_TYPES: Final = ("application/json",)
_KEY_SET_TYPES: Final = ("application/json", "application/jwk-set+json")
_FETCHES: Final = 2  # metadata, then keys; they share the deadline


@dataclass(slots=True)
class _Kept:
    """A key set and how it came here. Times are monotonic milliseconds; `failure` is empty after a success."""

    keys: Mapping[str, ProviderKey] = field(default_factory=dict)
    fetched_ms: int | None = None
    tried_ms: int | None = None
    failure: str = ""
    refresh: "asyncio.Task[None] | None" = None


class KeySets:
    """Finds the key for a token. One refresh at a time for each issuer; all who need it wait for the same one."""

    def __init__(self, egress: Egress, tls: ProviderTls, monotonic_ms: Callable[[], int]) -> None:
        self._egress = egress
        self._tls = tls
        self._monotonic_ms = monotonic_ms
        self._kept: dict[tuple[str, tuple[str, ...], str, str], _Kept] = {}

    async def key(self, client: OidcClient, kid: str) -> ProviderKey:
        """The issuer's key of that name.

        `Refusal`: PROOF_VERIFICATION_FAILED when the issuer publishes no such key; IDENTITY_PROVIDER_ERROR with the
        code of the failure when its keys cannot be had.
        """
        place = (client.issuer, client.key_hosts, client.token_endpoint, client.tls_roots)
        kept = self._kept.setdefault(place, _Kept())
        if self._needs_refresh(kept, kid):
            await self._refresh(client, kept)
        if self._age_ms(kept.fetched_ms) <= limits.KEY_SET_MAX_STALE_S * 1000 and kid in kept.keys:
            return kept.keys[kid]
        if kept.failure:
            raise Refusal(IDENTITY_PROVIDER_ERROR, kept.failure)
        raise Refusal(PROOF_VERIFICATION_FAILED, "token key is unknown")

    def _needs_refresh(self, kept: _Kept, kid: str) -> bool:
        if kid in kept.keys and self._age_ms(kept.fetched_ms) <= limits.KEY_SET_TTL_S * 1000:
            return False
        interval_s = limits.KEY_SET_RETRY_INTERVAL_S if kept.failure else limits.KEY_SET_REFRESH_INTERVAL_S
        return kept.refresh is not None or self._age_ms(kept.tried_ms) >= interval_s * 1000

    def _age_ms(self, since_ms: int | None) -> float:
        return float("inf") if since_ms is None else self._monotonic_ms() - since_ms

    async def _refresh(self, client: OidcClient, kept: _Kept) -> None:
        if kept.refresh is None:
            kept.refresh = asyncio.create_task(self._fetch_into(client, kept))
        await asyncio.shield(kept.refresh)  # one who gives up does not take the others along

    async def _fetch_into(self, client: OidcClient, kept: _Kept) -> None:
        try:
            keys = await self._fetch(client)
        except (EgressError, ProviderAnswerError) as error:
            kept.failure = error.code
        else:
            kept.keys, kept.fetched_ms, kept.failure = keys, self._monotonic_ms(), ""
        finally:
            kept.tried_ms, kept.refresh = self._monotonic_ms(), None

    async def _fetch(self, client: OidcClient) -> dict[str, ProviderKey]:
        metadata_url = discovery_url(client)
        if metadata_url is None:
            raise ProviderAnswerError("provider-issuer")
        key_set_url = parse_discovery(await self._get(client, metadata_url, _METADATA_TYPES), client)
        return parse_key_set(await self._get(client, key_set_url, _KEY_SET_TYPES))

    async def _get(self, client: OidcClient, url: HttpsUrl, media_types: tuple[str, ...]) -> bytes:
        response = await request(
            self._egress,
            self._tls.context(client),
            method="GET",
            host=url.host,
            port=url.port,
            target=url.target,
            headers={"Accept": ", ".join(media_types)},
            max_body_bytes=limits.MAX_JWKS_BYTES,
            deadline_s=limits.IDENTITY_PROVIDER_DEADLINE_S / _FETCHES,
        )
        if response.status != 200:
            raise ProviderAnswerError("provider-status")
        if response.media_type not in media_types:
            raise ProviderAnswerError("provider-content-type")
        return response.body
