"""AWS credentials for each share holder's account, from boto3's usual chain. A hint to the enclave, no source of trust.

Trust side: host. One profile for each holder, or the default chain; botocore refreshes temporary credentials before
they expire, so what is kept here is its refreshing object. The instance metadata service is asked in version 2 only
(VS-10).
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

from host_proxy.errors import CredentialsFault
from protocol import limits
from protocol.services import Credentials

_THREADS: Final = 4


class CredentialsProvider(Protocol):
    """Where credentials come from."""

    async def credentials(self, holder: str) -> Credentials:
        """Current credentials for `holder`; `CredentialsFault`."""
        ...


class BotoCredentials:
    """`CredentialsProvider` over boto3. `profiles`: a profile for each holder's name, None for the default chain."""

    def __init__(self, profiles: Mapping[str, str | None]) -> None:
        self._profiles = dict(profiles)
        self._refreshing: dict[str, Any] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="credentials")

    async def credentials(self, holder: str) -> Credentials:
        if holder not in self._profiles:
            raise CredentialsFault("credentials-unknown-holder")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limits.KMS_DEADLINE_S):
                return await loop.run_in_executor(self._threads, self._frozen, holder)
        except TimeoutError:
            raise CredentialsFault("credentials-deadline", holder) from None

    def _frozen(self, holder: str) -> Credentials:
        # Imported here: 200 ms, needed by this thread alone.
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

        try:
            found = self._refreshing.get(holder) or self._session(self._profiles[holder]).get_credentials()
            if found is None:
                raise CredentialsFault("credentials-none", holder)
            self._refreshing[holder] = found
            frozen = found.get_frozen_credentials()
        except (BotoCoreError, OSError):
            raise CredentialsFault("credentials-chain", holder) from None
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    @staticmethod
    def _session(profile: str | None) -> Any:
        import boto3  # type: ignore[import-untyped]
        import botocore.session  # type: ignore[import-untyped]

        session = botocore.session.get_session()
        session.set_config_variable("ec2_metadata_v1_disabled", True)
        return boto3.Session(botocore_session=session, profile_name=profile)
