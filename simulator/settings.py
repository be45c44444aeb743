"""The simulated deployment on paper: names, accounts, scopes, and the measured configuration that follows from them.

The enclave dials the real host names; that they lead to this machine is known to the host's resolver alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from eif.policy.holders import Holder
from simulator.kms.keys import KeyArn

DEPLOYMENT: Final = "simulator"
SCOPE: Final = "@123"
STRICT_SCOPE: Final = "@124"
ORIGIN: Final = "http://localhost:3000"
ISSUER: Final = "https://login.idp.example"
CLIENT_ID: Final = "chancery-demo"
MAIL_HOST: Final = "smtp.mail.example"
MAIL_PORT: Final = 465
MODULE_ID: Final = "i-0c4a9ce5f00d5eed0-enc0c4a9ce5f00d5eed"
PARENT_ROLE: Final = "arn:aws:iam::444444444444:role/chancery-parent"


@dataclass(frozen=True, slots=True)
class HolderSeat:
    """A share holder on paper: who it is and where its key lies."""

    name: str
    account: str
    region: str

    @property
    def enclave_role(self) -> str:
        """The role in the holder's account that the parent instance may assume."""
        return f"arn:aws:iam::{self.account}:role/chancery-enclave"

    @property
    def administrator(self) -> str:
        """Who may change the key's policy; nobody on the parent instance."""
        return f"arn:aws:iam::{self.account}:role/key-administrator"

    def holder(self) -> Holder:
        """The same for the generator of key policies."""
        return Holder(DEPLOYMENT, self.name, self.region, self.enclave_role, (self.administrator,))


HOLDERS: Final = (
    HolderSeat("operator", "111111111111", "eu-west-1"),
    HolderSeat("auditor", "222222222222", "us-east-2"),
    HolderSeat("custodian", "333333333333", "ap-southeast-2"),
)


def measured_config(key_arns: Sequence[str], roots_pem: str, **changes: Any) -> bytes:
    """The enclave's configuration for these keys, in the order of `HOLDERS`, trusting one simulated authority."""
    rights = ["sign_message", "sign_typed_data", "sign_transaction"]
    scope = {
        "origins": [ORIGIN],
        "email_login": True,
        "email_sender": "no-reply@wallet.example",
        "oidc": [{"issuer": ISSUER, "audience": CLIENT_ID}],
    }
    config = {
        "version": 1,
        "role": "instrument",
        "deployment": DEPLOYMENT,
        "threshold": 2,
        "holders": [{"name": h.name, "key_arn": arn} for h, arn in zip(HOLDERS, key_arns, strict=True)],
        "scopes": [
            scope | {"scope": SCOPE, "rights": [*rights, "sign_digest"]},
            scope | {"scope": STRICT_SCOPE, "rights": rights},
        ],
        "tls_roots": dict.fromkeys(("kms", "identity_providers", "mail"), roots_pem),
        "mail": {"host": MAIL_HOST, "port": MAIL_PORT},
    }
    return json.dumps(config | changes, indent=1).encode()


def account_of(key_arn: str) -> str:
    """The account in a key's ARN."""
    arn = KeyArn.parse(key_arn)
    if arn is None:
        raise ValueError("not a key ARN")
    return arn.account
