"""Exchanging an authorization code for an ID token (RFC 6749 section 4.1.3; controls OI-12, OI-16).

Code and client secret go to the token endpoint of the measured configuration and nowhere else: metadata cannot name
another, and a redirect is an answer like any other wrong one. What comes back is a text that nobody has verified yet.
"""

import re
from typing import Any, Final
from urllib.parse import urlencode

from enclave.config import OidcClient
from enclave.errors import EgressError, Refusal
from enclave.login.client_secrets import ClientProof
from enclave.login.issuers import parse_https_url
from enclave.login.provider_tls import ProviderTls
from enclave.net.http import HttpResponse, request
from enclave.ports import Egress
from protocol import canonical_json, limits
from protocol.errors import IDENTITY_PROVIDER_ERROR, OAUTH_ERROR, PROOF_VERIFICATION_FAILED, ProtocolError

_CODE: Final = re.compile(r"[\x20-\x7e]+\Z")  # RFC 6749 appendix A.11
_OAUTH_ERRORS: Final = (  # RFC 6749 section 5.2
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
)


class TokenEndpoint:
    """The back channel to every provider."""

    def __init__(self, egress: Egress, tls: ProviderTls) -> None:
        self._egress = egress
        self._tls = tls

    async def redeem(
        self, client: OidcClient, proof: ClientProof, code: str, redirect_uri: str, code_verifier: str = ""
    ) -> str:
        """The untrusted ID token for `code`; without a `code_verifier` no PKCE is claimed.

        `Refusal`: PROOF_VERIFICATION_FAILED (no code at all), OAUTH_ERROR with the provider's error code, or
        IDENTITY_PROVIDER_ERROR with what failed on the way or in the answer.
        """
        if len(code) > limits.MAX_AUTHORIZATION_CODE_CHARS or not _CODE.match(code):
            raise Refusal(PROOF_VERIFICATION_FAILED, "code is malformed")
        form = proof.form | {"code": code, "grant_type": "authorization_code", "redirect_uri": redirect_uri}
        if code_verifier:
            form["code_verifier"] = code_verifier
        try:
            response = await self._post(client, proof.headers, form)
        except EgressError as error:
            raise Refusal(IDENTITY_PROVIDER_ERROR, error.code) from None
        return read_id_token(response)

    async def _post(self, client: OidcClient, headers: dict[str, str], form: dict[str, str]) -> HttpResponse:
        url = parse_https_url(client.token_endpoint)
        if url is None:  # the configuration was validated, so this is a client without a code flow
            raise Refusal(IDENTITY_PROVIDER_ERROR, "provider-token-endpoint")
        return await request(
            self._egress,
            self._tls.context(client),
            method="POST",
            host=url.host,
            port=url.port,
            target=url.target,
            headers={"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"} | headers,
            body=urlencode(form).encode(),
            max_body_bytes=limits.MAX_TOKEN_REPLY_BYTES,
            deadline_s=limits.IDENTITY_PROVIDER_DEADLINE_S,
        )


def read_id_token(response: HttpResponse) -> str:
    """The untrusted ID token in an answer; `Refusal` OAUTH_ERROR or IDENTITY_PROVIDER_ERROR when it holds none."""
    body = _parse_object(response)
    match body.get("error"):
        case None:
            pass
        case str(code) if code in _OAUTH_ERRORS:
            raise Refusal(OAUTH_ERROR, code)  # the description is a text from outside and goes nowhere
        case _:
            raise Refusal(IDENTITY_PROVIDER_ERROR, "provider-status")
    if response.status != 200:
        raise Refusal(IDENTITY_PROVIDER_ERROR, "provider-status")
    match body.get("id_token"):
        case str(token):
            return token
    raise Refusal(IDENTITY_PROVIDER_ERROR, "provider-id-token")


def _parse_object(response: HttpResponse) -> dict[str, Any]:
    if response.media_type != "application/json":
        wrong = "provider-content-type" if response.status == 200 else "provider-status"
        raise Refusal(IDENTITY_PROVIDER_ERROR, wrong)
    try:
        value = canonical_json.parse(
            response.body, max_bytes=limits.MAX_TOKEN_REPLY_BYTES, max_depth=limits.MAX_JWT_DEPTH
        )
    except ProtocolError:
        raise Refusal(IDENTITY_PROVIDER_ERROR, "provider-json") from None
    if not isinstance(value, dict):
        raise Refusal(IDENTITY_PROVIDER_ERROR, "provider-json")
    return value
