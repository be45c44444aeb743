"""What a user does, as sequences of calls: log in by mail or ID token, get a session, sign, collect a proof bundle."""

import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

import sha3

from host_proxy.client.api import Api
from host_proxy.client.errors import ClientError
from protocol.base64url import decode_b64u, encode_b64u

_INSTRUMENT: Final = "/rpc/IdentityInstrument"
_NONCE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Login:
    """A finished login: the wallet's address and the identity as the wire names it."""

    signer: str
    identity: dict[str, str]


@dataclass(frozen=True, slots=True)
class Session:
    """An issued session attestation (`attestation` is COSE, base64url) and what opens its subject."""

    session: str
    attestation: str
    expires: int
    identity: str
    salt: str
    signer: str


class Flows:
    """The steps, over one `Api` and in one scope."""

    def __init__(self, api: Api, scope: str) -> None:
        self._api = api
        self._scope = scope

    def start_mail_login(self, email: str) -> dict[str, str]:
        """Ask for a code. The result's `challenge` and `verifier` are needed to finish."""
        params = {"identityType": "Email", "authMode": "OTP", "metadata": {}, "handle": email, "scope": self._scope}
        return self._api.signed(f"{_INSTRUMENT}/CommitVerifier", params).body

    def finish_mail_login(self, started: dict[str, str], code: str, lifetime_s: int | None = None) -> Login:
        """Answer with the code from the mail, in whatever case it was typed."""
        return self._complete(mail_proof(started, code), lifetime_s)

    def id_token_login(self, token: str, lifetime_s: int | None = None) -> Login:
        """Commit to the hash of an ID token, then show it."""
        return self._complete(self.id_token_proof(token), lifetime_s)

    def id_token_proof(self, token: str) -> dict[str, str]:
        """Commit to the hash of an ID token; the members that finish a login with it."""
        claims = _unverified_claims(token)
        handle = _keccak_hex(token)
        audience = claims["aud"] if isinstance(claims["aud"], str) else claims["aud"][0]
        metadata = {"iss": claims["iss"], "aud": audience, "exp": str(claims["exp"])}
        params = {"identityType": "OIDC", "authMode": "IDToken", "handle": handle, "scope": self._scope}
        self._api.signed(f"{_INSTRUMENT}/CommitVerifier", params | {"metadata": metadata})
        return {"identityType": "OIDC", "authMode": "IDToken", "verifier": handle, "answer": token}

    def start_code_login(self, issuer: str, client_id: str, redirect_uri: str) -> dict[str, str]:
        """Begin a login by authorization code with PKCE. The result's `challenge` goes to the provider as S256."""
        return self._commit_to_code("AuthCodePKCE", issuer, client_id, redirect_uri, {})

    def finish_code_login(self, started: dict[str, str], code: str, lifetime_s: int | None = None) -> Login:
        """Bring back the code that the provider gave for the challenge."""
        return self._complete(_code_proof("AuthCodePKCE", started, code), lifetime_s)

    def hashed_code_login(
        self, issuer: str, client_id: str, redirect_uri: str, code: str, lifetime_s: int | None = None
    ) -> Login:
        """Commit to the hash of a code that came without PKCE, then show the code."""
        handle = {"handle": _keccak_hex(code)}
        started = self._commit_to_code("AuthCode", issuer, client_id, redirect_uri, handle)
        return self._complete(_code_proof("AuthCode", started, code), lifetime_s)

    def create_session(self, lifetime_s: int | None = None) -> Session:
        """A session attestation for this client's origin."""
        params = {} if lifetime_s is None else {"lifetime": lifetime_s}
        body = self._api.own("/rpc/Session/Create", params).body
        return Session(**{name: body[name] for name in Session.__slots__})

    def list_sessions(self) -> dict[str, Any]:
        """All devices of the account with their sessions."""
        return self._api.own("/rpc/Session/List", {}).body

    def revoke(self, device: str | None, session: str | None) -> dict[str, Any]:
        """End a session, or a device's login; no `device` means this one."""
        params = {name: value for name, value in (("device", device), ("session", session)) if value is not None}
        return self._api.own("/rpc/Session/Revoke", params).body

    def sign(self, kind: str, session: str, payload: Any) -> dict[str, Any]:
        """`kind` is `Message`, `TypedData` or `Transaction`."""
        name = kind[0].lower() + kind[1:]
        return self._api.own(f"/rpc/Signer/Sign{kind}", {"session": session, name: payload}).body

    def sign_digest(self, signer: str, digest: bytes) -> str:
        """The published `Sign`: 32 bytes as they are, where the scope grants it."""
        params = {
            "scope": self._scope,
            "signer": {"keyType": "Ethereum_Secp256k1", "address": signer},
            "nonce": hex(time.time_ns() // 1_000_000),
            "digest": "0x" + digest.hex(),
        }
        signature: str = self._api.signed(f"{_INSTRUMENT}/Sign", params).body["signature"]
        return signature

    def binding_document(self) -> bytes:
        """A fresh attestation document that binds the deployment's keys."""
        nonce = encode_b64u(secrets.token_bytes(_NONCE_BYTES))
        body = self._api.post("/rpc/Attestation/Document", {"nonce": nonce}).body
        return require_b64u(body["document"])

    def _commit_to_code(
        self, mode: str, issuer: str, client_id: str, redirect_uri: str, more: dict[str, str]
    ) -> dict[str, str]:
        metadata = {"iss": issuer, "aud": client_id, "redirect_uri": redirect_uri}
        params = {"identityType": "OIDC", "authMode": mode, "scope": self._scope, "metadata": metadata}
        return self._api.signed(f"{_INSTRUMENT}/CommitVerifier", params | more).body

    def _complete(self, proof: dict[str, str], lifetime_s: int | None) -> Login:
        params: dict[str, Any] = {"signerType": "Ethereum_Secp256k1", "scope": self._scope, **proof}
        if lifetime_s is not None:
            params["lifetime"] = lifetime_s
        body = self._api.signed(f"{_INSTRUMENT}/CompleteAuth", params).body
        return Login(body["signer"]["address"], body["identity"])


def mail_proof(started: dict[str, str], code: str) -> dict[str, str]:
    """The members that finish a login with the code from the mail."""
    answer = _keccak_hex(started["challenge"] + code.strip().upper())
    return {"identityType": "Email", "authMode": "OTP", "verifier": started["verifier"], "answer": answer}


def _code_proof(mode: str, started: dict[str, str], code: str) -> dict[str, str]:
    return {"identityType": "OIDC", "authMode": mode, "verifier": started["verifier"], "answer": code}


def require_b64u(text: str) -> bytes:
    """The bytes of unpadded base64url; `ClientError` "malformed"."""
    data = decode_b64u(text)
    if data is None:
        raise ClientError("malformed", "what has to be base64url is not")
    return data


def device_fingerprint(key_type: str, address: str) -> str:
    """What the login mail shows for a device key: the first 8 bytes of SHA-256, hex in groups of four digits."""
    return hashlib.sha256(f"{key_type}:{address}".encode()).digest()[:8].hex(" ", 2)


def _keccak_hex(text: str) -> str:
    digest: bytes = sha3.keccak_256(text.encode()).digest()
    return "0x" + digest.hex()


def _unverified_claims(token: str) -> dict[str, Any]:
    """The claims of a token, to say which provider it names; the enclave verifies it. `ValueError`, `IndexError`."""
    encoded = decode_b64u(token.split(".")[1])
    if encoded is None:
        raise ValueError("not a token")
    claims: dict[str, Any] = json.loads(encoded)
    return claims
