"""What a tenant's page does for an invited person, without a browser.

It opens the invitation and logs in by mail in the intents of embedded wallets, which published clients speak, too. It
verifies no attestation, like those.
"""

import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from evm.intents.canonical import intent_hashes
from evm.keccak import keccak256
from host_proxy.client.device_key import DeviceKey

_LIFE_S: Final = 300
_DEADLINE_S: Final = 40.0


class Page:
    """A page of the tenant, in a browser with a key of its own."""

    def __init__(self, url: str, access_key: str, origin: str) -> None:
        self._url = url
        self._headers = {"x-access-key": access_key, "origin": origin}
        self._key = DeviceKey.generate()
        self._session = "0x01" + self._key.address[2:]

    def join(self, link: str, ask: Callable[[str], str]) -> str:
        """The wallet of the person whom `link` invites, who reads the code of a mail when `ask` asks for it."""
        said = {name: values[0] for name, values in parse_qs(urlsplit(link).fragment).items()}
        email = said["email"]
        self._post("Invitation/Open", {"email": email, "code": said["invitation"]})
        login = {"sessionId": self._session, "identityType": "Email", "verifier": f"{email};{self._session}"}
        begun = self._post("WaasAuthenticator/SendIntent", {"intent": self._intent("initiateAuth", login)})
        answer = _hash_text(begun["response"]["data"]["challenge"] + ask(email))
        opening = {"intent": self._intent("openSession", login | {"answer": answer}), "friendlyName": "simulator"}
        opened = self._post("WaasAuthenticator/RegisterSession", opening)
        return str(opened["response"]["data"]["wallet"])

    def id_token(self, wallet: str) -> str:
        """An ID token of the service about the person who has joined with this wallet."""
        intent = self._intent("getIdToken", {"sessionId": self._session, "wallet": wallet})
        answer = self._post("WaasAuthenticator/SendIntent", {"intent": intent})
        return str(answer["response"]["data"]["idToken"])

    def _intent(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        now_s = int(time.time())
        value = {"version": "1", "name": name, "issuedAt": now_s, "expiresAt": now_s + _LIFE_S, "data": data}
        signature = {"sessionId": self._session, "signature": self._key.sign(intent_hashes(value)[0])}
        return {**value, "signatures": [signature]}

    def _post(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = httpx.post(f"{self._url}/rpc/{method}", json=body, headers=self._headers, timeout=_DEADLINE_S)
        value: dict[str, Any] = answer.json()
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"{value['error']}: {value.get('cause', value['msg'])}")
        return value


def _hash_text(text: str) -> str:
    return "0x" + keccak256(text.encode()).hex()
