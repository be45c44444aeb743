"""The share holders: one KMS key each, in an account and region of its own."""

import re
from typing import Final

from enclave.config.fields import Measured, Text
from enclave.errors import BootError

_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]{1,32}):([0-9]{12}):key/([A-Za-z0-9-]{1,64})\Z")


class Holder(Measured, frozen=True, kw_only=True):
    """A share holder: one KMS key in an account and region of its own (SH-09)."""

    name: Text
    key_arn: Text

    @property
    def region(self) -> str:
        return self._arn[1]

    @property
    def account(self) -> str:
        return self._arn[2]

    @property
    def host(self) -> str:
        """The regional KMS endpoint; TLS to it ends in the enclave (KM-01)."""
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"kms.{self.region}.{suffix}"

    @property
    def _arn(self) -> re.Match[str]:
        match = _ARN.match(self.key_arn)
        if match is None:
            raise BootError("config-holder-arn", self.name)
        return match
