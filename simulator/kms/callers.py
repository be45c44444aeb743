"""Who may sign requests: access keys that the composition root issues, as IAM and STS would.

Users and account roots get long-lived keys; roles get a session with a token and, if asked for, an end. Kept in RAM
only: credentials are issued anew at each start.
"""

import base64
import re
import secrets
from typing import Final

from protocol.services import Credentials
from simulator.kms.policy import Policy, Principal
from simulator.kms.sigv4 import AccessKey

_ARN: Final = re.compile(
    r"arn:aws:iam::([0-9]{12}):(?:root|user/[\w+=,.@/-]+|(role)/(?:[\w+=,.@-]+/)*([\w+=,.@-]+))", re.ASCII
)


class Callers:
    """The access keys that are known."""

    def __init__(self) -> None:
        self.keys: dict[str, AccessKey] = {}

    def issue(
        self, principal_arn: str, session_name: str, expires_ms: int | None, identity_policy: Policy | None
    ) -> Credentials:
        """New credentials for a user, a role or an account root; `ValueError` for another ARN."""
        match = _ARN.fullmatch(principal_arn)
        if match is None:
            raise ValueError("not the ARN of a user, a role or an account root")
        account, is_role, role_name = match.groups()
        caller_arn, token = principal_arn, None
        if is_role:
            caller_arn = f"arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}"
            token = secrets.token_urlsafe(96)
        elif expires_ms is not None:
            raise ValueError("only credentials of a role end")
        key_id = ("ASIA" if is_role else "AKIA") + base64.b32encode(secrets.token_bytes(10)).decode()
        secret = secrets.token_urlsafe(30)
        self.keys[key_id] = AccessKey(secret, Principal(principal_arn, caller_arn, identity_policy), token, expires_ms)
        return Credentials(key_id, secret, token)
