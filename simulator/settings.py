"""The simulated deployment on paper: names, accounts, scopes, and the measured configuration that follows from them.

The enclave dials the real host names; that they lead to this machine is known to the host's resolver alone.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from eif.policy.holders import Holder
from simulator import tenancy
from simulator.authorization import RegisteredClient, Team
from simulator.delegations import delegations
from simulator.kms.keys import KeyArn

DEPLOYMENT: Final = "simulator"
SCOPE: Final = "@123"
STRICT_SCOPE: Final = "@124"
"""Signs no digests, and mails long codes."""
SEALED_SCOPE: Final = "@125"
"""As the strict one, and takes logins through the sealed channel only."""
GUARDED_SCOPE: Final = "@126"
"""Its smart wallets need a guard's signature beside the login's; there if there is a guard."""
ORIGIN: Final = "http://localhost:3000"
ISSUER: Final = "https://login.idp.example"
CLIENT_ID: Final = "chancery-demo"
WEB_CLIENT_ID: Final = "chancery-web"
"""Confidential, with a fixed secret, by Basic."""
WEB_CLIENT_SECRET: Final = "a-secret-of-the-simulator"  # noqa: S105  guards nothing
TEAM_CLIENT_ID: Final = "chancery-team"
"""Confidential, with generated secrets and without PKCE, as applications of Apple's provider are."""
TEAM_ID: Final = "SIMTEAM123"
TEAM_KEY_ID: Final = "SIMKEY1234"
REDIRECT_URI: Final = f"{ORIGIN}/callback"
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
    deployment: str = DEPLOYMENT

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
        return Holder(self.deployment, self.name, self.region, self.enclave_role, (self.administrator,))


ACCESS_KEY: Final = "simulated-access-key"
ISSUER_URL: Final = "http://127.0.0.1:8080"
"""Who issues ID tokens: the address at which the appliance answers unless it is told otherwise."""
GUARDED_ACCESS_KEY: Final = "simulated-guarded-access-key"
HOLDERS: Final = (
    HolderSeat("operator", "111111111111", "eu-west-1"),
    HolderSeat("auditor", "222222222222", "us-east-2"),
    HolderSeat("custodian", "333333333333", "ap-southeast-2"),
)


def measured_config(
    key_arns: Sequence[str], roots_pem: str, seats: Sequence[HolderSeat] = HOLDERS, **changes: Any
) -> bytes:
    """The configuration of an instrument for these keys, in the order of `seats`, trusting one simulated authority."""
    config = {
        "version": 1,
        "role": "instrument",
        "deployment": DEPLOYMENT,
        "threshold": 2,
        "holders": [{"name": h.name, "key_arn": arn} for h, arn in zip(seats, key_arns, strict=True)],
        "scopes": scopes(),
        "tls_roots": dict.fromkeys(("kms", "identity_providers", "mail"), roots_pem),
        "mail": {"host": MAIL_HOST, "port": MAIL_PORT},
        "issuer": {"url": ISSUER_URL},
        "tenancy": tenancy.tenancy(),
    }
    return json.dumps(config | changes, indent=1).encode()


def scopes(guard: str | None = None) -> list[dict[str, Any]]:
    """The scopes; with the address of a guard, also the one whose wallets it guards."""
    rights = ["sign_message", "sign_typed_data", "sign_transaction"]
    wallet_rights = ["sign_payload", "update_wallet", "attest_session", "recover_wallet", "sign_legacy_wallet"]
    scope = {
        "origins": [ORIGIN],
        "plain_login": True,
        "email_login": True,
        "email_sender": "no-reply@wallet.example",
        "oidc": oidc_clients(),
        "passkey_rp_id": "localhost",
    }
    inviting = embedded_wallets() | {"invitations": tenancy.invitations(ORIGIN)}
    main = scope | {"email_code": "digits", "wallet": wallet_template(), "embedded": inviting}
    main |= {"delegations": delegations()}
    account_rights = ["grant_delegation", "take_on_code"]
    found = [
        main | {"scope": SCOPE, "rights": [*rights, "sign_digest", *wallet_rights, *account_rights]},
        scope | {"scope": STRICT_SCOPE, "rights": rights},
        scope | {"scope": SEALED_SCOPE, "rights": rights, "plain_login": False},
    ]
    if guard is not None:
        # One key in all three roles; a deployment keeps the third, which may stand in for the others, on paper.
        keys = dict.fromkeys(("wallet", "sessions", "fallback"), guard)
        guarded = scope | {"email_code": "digits", "wallet": wallet_template() | {"guard": keys}}
        guarded |= {"embedded": embedded_wallets(int(GUARDED_SCOPE[1:]), GUARDED_ACCESS_KEY)}
        found.append(guarded | {"scope": GUARDED_SCOPE, "rights": [*rights, *wallet_rights]})
    return found


def wallet_template() -> dict[str, Any]:
    """What smart wallets of `SCOPE` begin with: no guard, so that the login alone completes what it signs."""
    return {"recovery": [{"key": "identity", "delay_s": 30 * 86_400}]}


def embedded_wallets(project_id: int = 123, access_key: str = ACCESS_KEY) -> dict[str, Any]:
    """The applications of a scope that use the wire of embedded wallets."""
    chains = [{"id": 1, "name": "mainnet"}, {"id": 137, "name": "polygon"}, {"id": 31337, "name": "local"}]
    return {"project_id": project_id, "access_keys": [access_key], "chains": chains, "guest_login": True}


def oidc_clients() -> list[dict[str, Any]]:
    """The applications that are registered with the simulated provider, as the configuration names them."""
    common = {"issuer": ISSUER, "redirect_uris": [REDIRECT_URI], "token_endpoint": f"{ISSUER}/token"}
    private_key = base64.b64encode(team_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()
    generated = {
        "claims": {"iss": TEAM_ID, "aud": ISSUER, "sub": TEAM_CLIENT_ID},
        "signing_key": {"kid": TEAM_KEY_ID, "alg": "ES256", "private_key": private_key},
    }
    web = {"client_authentication": "client_secret_basic", "client_secret": {"value": WEB_CLIENT_SECRET}}
    team = {"client_authentication": "client_secret_post", "client_secret": {"generate_jwt": generated}}
    return [
        common | {"audience": CLIENT_ID},
        common | {"audience": WEB_CLIENT_ID} | web,
        common | {"audience": TEAM_CLIENT_ID} | team,
    ]


def team_key() -> ec.EllipticCurvePrivateKey:
    """The key that signs client secrets of `TEAM_CLIENT_ID`; the same everywhere, as it guards nothing."""
    scalar = int.from_bytes(hashlib.sha256(b"chancery simulator: key of a team").digest(), "big")
    return ec.derive_private_key(scalar, ec.SECP256R1())


def registered_clients() -> list[RegisteredClient]:
    """The same applications, as the provider knows them."""
    public_pem = team_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    redirects = (REDIRECT_URI,)
    return [
        RegisteredClient(CLIENT_ID, redirects),
        RegisteredClient(WEB_CLIENT_ID, redirects, secret=WEB_CLIENT_SECRET),
        RegisteredClient(TEAM_CLIENT_ID, redirects, team=Team(TEAM_ID, TEAM_KEY_ID, public_pem), pkce=False),
    ]


def account_of(key_arn: str) -> str:
    """The account in a key's ARN."""
    arn = KeyArn.parse(key_arn)
    if arn is None:
        raise ValueError("not a key ARN")
    return arn.account
