"""Whatever comes in, an answer goes out: the error body of the wire format with a stable code (DO-07).

The connection is never dropped, no stack trace is shown, and neither side meets an exception that it did not foresee.
"""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_proxy.client.flows import Session
from protocol import limits
from protocol.errors import ProtocolError
from simulator import settings as simulated
from tests.e2e.e2e_support import (
    CLEANUP,
    COMMIT,
    COMPLETE,
    CREATE,
    DELETE,
    DOCUMENT,
    GET,
    LINK,
    LIST,
    ORIGIN,
    PATHS,
    REFRESH,
    REMOVE_DEVICES,
    REVOKE,
    ROTATE,
    SCOPE,
    SIGN,
    SIGN_MESSAGE,
    SIGN_TRANSACTION,
    SIGN_TYPED_DATA,
    UNFREEZE,
    UNLINK,
    Reply,
    Site,
    User,
    new_email,
)
from tests.evm.samples import mail, transaction

TRACES = re.compile(rb'Traceback|File "|\.py\b|Exception|0x[0-9a-f]{8,}')
FEW = settings(max_examples=60, suppress_health_check=list(HealthCheck))

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=30)
    | st.from_regex(r"0x[0-9a-f]{0,80}", fullmatch=True),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def person(site: Site) -> Iterator[tuple[User, Session]]:
    user = site.user()
    user.log_in()
    yield user, user.flows.create_session()
    user.api.close()


@pytest.fixture(scope="module", autouse=True)
def nothing_unforeseen(site: Site) -> Iterator[None]:
    """After all of it: no exception was caught at the last edge, inside or outside, and the appliance still serves."""
    yield
    assert not [line for line in site.lines if "unforeseen" in line]
    assert '"event": "fault"' not in site.log.getvalue()
    assert site.metric("chancery_faults_total") == 0
    assert site.user().log_in().signer


def assert_proper(reply: Reply) -> None:
    """A good answer, or a refusal in the one form that there is."""
    if reply.status == 200:
        assert isinstance(reply.json, dict)
        return
    code = reply.code
    assert code != 7100, "the appliance blames itself for somebody else's input"
    assert not TRACES.search(reply.body)


def templates(user: User, session: str) -> dict[str, dict[str, Any]]:
    """Parameters of each method that reach its depths, and change nothing for `user` when one member is spoilt."""
    login = {"scope": SCOPE, "identityType": "Email", "authMode": "OTP"}
    wallet = {"keyType": "Ethereum_Secp256k1", "address": "0x" + "11" * 20}
    device, unknown = f"WebCrypto_Secp256r1:0x04{'11' * 64}", "A" * 22
    own: dict[str, dict[str, Any]] = {
        CREATE: {"lifetime": 60},
        LIST: {},
        REVOKE: {"device": device, "session": unknown},
        GET: {"session": session},
        REMOVE_DEVICES: {"session": session, "devices": [device]},
        LINK: login | {"session": session, "verifier": "somebody@example.com", "answer": "0x00"},
        UNLINK: {"session": session, "login": "Email:somebody@example.com"},
        UNFREEZE: {"session": session},
        DELETE: {"session": session, "signer": wallet["address"]},
        ROTATE: {"deployment": simulated.DEPLOYMENT, "keyRef": "1"},
        REFRESH: {"deployment": simulated.DEPLOYMENT, "table": "Signers", "keyRef": "1", "batch": 1},
        CLEANUP: {"deployment": simulated.DEPLOYMENT},
        SIGN_MESSAGE: {"session": session, "message": {"text": "hello"}},
        SIGN_TYPED_DATA: {"session": session, "typedData": mail()},
        SIGN_TRANSACTION: {"session": session, "transaction": transaction(4)},
    }
    return {path: user.own_params(path, **members) for path, members in own.items()} | {
        COMMIT: login | {"metadata": {}, "handle": new_email(), "signer": None},
        COMPLETE: login | {"signerType": "Ethereum_Secp256k1", "verifier": "somebody@example.com", "answer": "0x00"},
        SIGN: {"scope": SCOPE, "signer": wallet, "nonce": "0x1", "digest": "0x" + "22" * 32},
        DOCUMENT: {"nonce": "A" * 43},
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a JSON value something can be spoilt."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, member in value.items():
            yield from places(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value[:2]):
            yield from places(item, (*path, index))


def spoilt(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    """A copy of `value` with `change` at `path`; `...` takes the member out."""
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if len(path) > 1:
        copy[path[0]] = spoilt(value[path[0]], path[1:], change)
    elif change is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = change
    return copy


# --- bodies ---


@pytest.mark.parametrize("path", PATHS)
@FEW
@given(body=st.binary(max_size=300))
def test_random_bytes_get_a_proper_answer(site: Site, path: str, body: bytes) -> None:
    assert_proper(site.send(path, body))


@FEW
@given(data=st.data())
def test_random_json_gets_a_proper_answer(site: Site, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(PATHS))
    body = data.draw(JSON | st.fixed_dictionaries({"params": JSON, "authKey": JSON, "signature": JSON}))
    assert_proper(site.send(path, json.dumps(body).encode()))


@settings(FEW, max_examples=200)
@given(data=st.data())
def test_signed_nonsense_gets_a_proper_answer(site: Site, person: tuple[User, Session], data: st.DataObject) -> None:
    """Signed by a device that is logged in, so that it gets as far as it can."""
    user, session = person
    path, params = data.draw(st.sampled_from(sorted(templates(user, session.session).items())))
    where = data.draw(st.sampled_from([place for place in places(params) if place != ("nonce",) or path == DOCUMENT]))
    bad = spoilt(params, where, data.draw(st.just(...) | JSON.filter(lambda value: value == value)))
    try:
        body = user.envelope(bad)
    except ProtocolError:  # it has no canonical form that could be signed
        body = json.dumps({"params": bad, "authKey": user.device.wire(), "signature": "0x" + "11" * 64}).encode()
    assert_proper(site.send(path, body))


def test_every_template_is_good_or_refused_for_what_it_names(site: Site, person: tuple[User, Session]) -> None:
    """What the test above spoils is not refused at the door."""
    user, session = person
    expected = {COMPLETE: 7200, SIGN: 7204, REVOKE: 7301, LINK: 7200, UNLINK: 7200, DELETE: 7200}
    expected |= dict.fromkeys((ROTATE, REFRESH, CLEANUP), 7007)
    for path, params in templates(user, session.session).items():
        params |= {"nonce": user.own_params(path)["nonce"]} if "method" in params else {}
        body = json.dumps(params).encode() if path == DOCUMENT else user.envelope(params)
        reply = site.send(path, body)
        assert (200 if reply.status == 200 else reply.code) == expected.get(path, 200), path


DEEP = b"[" * 5000 + b"]" * 5000
BODIES = {
    "empty": b"",
    "null": b"null",
    "number": b"1e999",
    "not a number": b"NaN",
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"params": 1}'.encode("utf-16"),
    "overlong UTF-8": b'{"params": "\xc0\xaf"}',
    "lone surrogate": b'{"params": {"scope": "\\ud800"}, "authKey": {}, "signature": "0x"}',
    "NUL": b'{"params": {"scope": "\\u0000@123"}, "authKey": {}, "signature": "0x"}',
    "duplicate member": b'{"params": {"a": 1, "a": 2}, "params": {}}',
    "deep list": DEEP,
    "deep object": b'{"params":' * 3000 + b"1" + b"}" * 3000,
    "huge integer": b'{"params": ' + b"9" * 5000 + b"}",
    "prototype": b'{"__proto__": {"params": {}}, "params": {"__class__": 1}}',
    "format string": b'{"params": "%s%n{0.__class__}", "authKey": "${jndi:ldap://x}", "signature": "\' OR 1=1"}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "at the cap": b'{"params": "' + b"x" * (limits.MAX_BODY_BYTES - 14) + b'"}',
    "over the cap": b'{"params": "' + b"x" * limits.MAX_BODY_BYTES + b'"}',
    "form": b"params=1&authKey=2",
    "frame": b"\x00\x00\x00\x01\x80",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_body_of_any_kind_gets_a_proper_refusal(site: Site, body: bytes) -> None:
    for path in PATHS:
        reply = site.send(path, body)
        assert_proper(reply)
        assert reply.status != 200
        assert reply.code == (7311 if len(body) > limits.MAX_BODY_BYTES else 7200)


# --- methods, paths, headers ---


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_refused(site: Site, method: str) -> None:
    for path in PATHS:
        reply = site.send(path, b"", method=method)
        assert reply.status in (400, 405)
        if method != "HEAD":
            assert reply.code in (-3, -4, 7200), "the published wire judges the envelope before the method"


PATHS_OF_STRANGERS = [
    "/rpc/IdentityInstrument/Nothing",
    "/rpc/Signer/",
    "/rpc/signer/SignMessage",
    "/rpc/Signer/SignMessage/",
    "/rpc/Signer/SignMessage?x=1",
    "/rpc/Signer/%53ignMessage",
    "/rpc/" + "A" * 400,
    "/rpc/../status",
    "//rpc/Signer/SignMessage",
    "/",
    "/favicon.ico",
    "/metrics",
    "/%00",
    "/.env",
]


@pytest.mark.parametrize("path", PATHS_OF_STRANGERS)
def test_unknown_paths_are_not_found(site: Site, path: str) -> None:
    status, headers, body = raw(site, f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert status in (404, 400)
    if headers["content-type"].startswith("text/plain"):
        assert body == b"404 page not found\n"  # outside /rpc there is no wire format
    else:
        assert Reply(status, headers, body).code in (-2, -4, 7200)
    assert not TRACES.search(body)


HEADERS = {
    "content type": {"content-type": "text/html"},
    "no content type": {},
    "encoded": {"content-type": "application/json", "content-encoding": "gzip"},
    "nonce too long": {"content-type": "application/json", "x-attestation-nonce": "n" * 33},
    "nonce of signs": {"content-type": "application/json", "x-attestation-nonce": "<script>"},
    "scope of a stranger": {"content-type": "application/json", "x-sequence-scope": "@999"},
    "origin": {"content-type": "application/json", "origin": "null"},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS.keys())
def test_headers_of_any_kind_get_a_proper_answer(
    site: Site, person: tuple[User, Session], headers: dict[str, str]
) -> None:
    user, session = person
    for path, params in templates(user, session.session).items():
        assert_proper(site.send(path, user.envelope(params), headers))


# --- bytes that are not HTTP ---


def raw(site: Site, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, say that there are no more, and read the answer to its end."""
    with socket.create_connection(("127.0.0.1", site.appliance.host.port), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0].startswith("HTTP/1.1 "), f"no answer to {data[:60]!r}"
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


NOT_HTTP = {
    "nothing of HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "no version": b"POST /rpc/Signer/SignMessage\r\n\r\n",
    "no host": b"POST /rpc/Signer/SignMessage HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": (
        b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "negative length": b"POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "absolute form": b"GET http://metadata.example/status HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT kms.eu-west-1.amazonaws.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "head cut short": b"POST /rpc/Signer/SignMessage HTTP/1.1\r\nHost: x\r\nConte",
    "body cut short": b"POST /rpc/Signer/SignMessage HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{}",
    "bad chunk": b"POST /status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bad header": b"GET /status HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
    "head too large": b"GET /status HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40_000 + b"\r\n\r\n",
    "upgrade": b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
}


@pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP.keys())
def test_what_is_not_http_gets_the_error_body_and_the_end_of_the_connection(site: Site, data: bytes) -> None:
    status, headers, body = raw(site, data)
    assert Reply(status, headers, body).code in (-4, 7311)
    assert headers["connection"] == "close"
    assert not TRACES.search(body)


def test_origin_of_the_scope_is_answered_in_its_name(site: Site) -> None:
    """Errors as well, or a browser would hide them from the application."""
    reply = site.send(COMMIT, b"{}", {"content-type": "application/json", "origin": ORIGIN})
    assert reply.code == 7200
    assert reply.headers["access-control-allow-origin"] in ("*", ORIGIN)
