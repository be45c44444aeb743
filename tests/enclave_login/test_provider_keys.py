"""What a provider publishes is read strictly: its name, where its keys lie, what each key verifies (OI-02, OI-03)."""

import json
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from enclave.config import OidcClient
from enclave.login.issuers import HttpsUrl, find_client, normalize_issuer, parse_https_url
from enclave.login.provider_keys import ProviderAnswerError, parse_discovery, parse_key_set
from protocol import limits
from simulator.identity_keys import SigningKeys
from tests.enclave_login.login_support import replaced

CLIENT = OidcClient(issuer="https://idp.example.test", audience="app", key_hosts=("keys.example.test",))
DISCOVERY = {
    "issuer": "https://idp.example.test",
    "jwks_uri": "https://idp.example.test/jwks",
    "other": [1, {"a": None}],
}


def discovered(**changes: Any) -> HttpsUrl:
    return parse_discovery(json.dumps(replaced(DISCOVERY, **changes)).encode(), CLIENT)


def code_of(body: bytes) -> str:
    with pytest.raises(ProviderAnswerError) as caught:
        parse_key_set(body)
    return caught.value.code


def key_set(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    ("jwks_uri", "url"),
    [
        ("https://idp.example.test/jwks", HttpsUrl("idp.example.test", 443, "/jwks")),
        ("https://IDP.example.test:443/a/b?p=1&q=%20", HttpsUrl("idp.example.test", 443, "/a/b?p=1&q=%20")),
        ("https://keys.example.test", HttpsUrl("keys.example.test", 443, "/")),
    ],
)
def test_key_set_on_an_allowed_origin_is_found(jwks_uri: str, url: HttpsUrl) -> None:
    assert discovered(jwks_uri=jwks_uri) == url


@pytest.mark.parametrize(
    "jwks_uri",
    [
        "http://idp.example.test/jwks",
        "https://evil.test/jwks",
        "https://idp.example.test.evil.test/jwks",
        "https://idp.example.test@evil.test/jwks",
        "https://evil.test/idp.example.test",
        "https://idp.example.test:8443/jwks",
        "https://keys.example.test:8443/jwks",
        "https://idp.example.test:0/",
        "https://idp.example.test:443443/",
        "https://idp.example.test/jwks#fragment",
        "https://idp.example.test/a b",
        "https://idp.example.test/a\r\nHost: evil.test",
        "https://idp.example.test\\@evil.test/",
        "HTTPS://idp.example.test/jwks",
        "//idp.example.test/jwks",
        "/jwks",
        "",
        "https://idp.example.test/" + "x" * limits.MAX_URL_CHARS,
    ],
)
def test_key_set_elsewhere_is_refused(jwks_uri: str) -> None:
    with pytest.raises(ProviderAnswerError, match="provider-jwks-uri"):
        discovered(jwks_uri=jwks_uri)


def test_url_at_the_cap_passes() -> None:
    url = "https://idp.example.test/"
    assert discovered(jwks_uri=url + "x" * (limits.MAX_URL_CHARS - len(url)))
    with pytest.raises(ProviderAnswerError):
        discovered(jwks_uri=url + "x" * (limits.MAX_URL_CHARS - len(url) + 1))


@pytest.mark.parametrize(
    "issuer",
    ["https://evil.test", "http://idp.example.test", "https://idp.example.test//", "https://IDP.example.test", "",
     "https://idp.example.test/tenant", "https://idp.example.test:443", " https://idp.example.test"],
)  # fmt: skip
def test_metadata_that_names_another_issuer_is_refused(issuer: str) -> None:
    with pytest.raises(ProviderAnswerError, match="provider-issuer"):
        discovered(issuer=issuer)


@pytest.mark.parametrize("issuer", ["https://idp.example.test", "https://idp.example.test/", "idp.example.test"])
def test_issuer_forms_that_mean_the_same_are_accepted(issuer: str) -> None:
    assert discovered(issuer=issuer)
    assert normalize_issuer(issuer) == "https://idp.example.test"
    assert find_client([CLIENT], issuer, "app") is CLIENT


@pytest.mark.parametrize(("issuer", "audience"), [("https://evil.test", "app"), ("http://idp.example.test", "app"),
                                                  ("https://idp.example.test", "other"), ("", "")])  # fmt: skip
def test_client_cannot_choose_an_issuer_that_is_not_configured(issuer: str, audience: str) -> None:
    assert find_client([CLIENT], issuer, audience) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b'{"issuer":"https://idp.example.test"}', b'{"issuer":1,"jwks_uri":"https://idp.example.test/"}',
     b'{"issuer":"https://evil.test","issuer":"https://idp.example.test","jwks_uri":"https://idp.example.test/j"}',
     b"\xff{}", b'{"a":' * 9 + b"1" + b"}" * 9],
)  # fmt: skip
def test_malformed_metadata_is_refused(body: bytes) -> None:
    with pytest.raises(ProviderAnswerError, match="provider-json"):
        parse_discovery(body, CLIENT)


def test_both_kinds_of_key_are_read_and_each_fixes_its_algorithm(signing_keys: SigningKeys) -> None:
    keys = parse_key_set(json.dumps(signing_keys.jwks()).encode())
    assert {(kid, key.algorithm) for kid, key in keys.items()} == {("rs256-1", "RS256"), ("es256-1", "ES256")}


def test_keys_without_algorithm_or_use_are_read_by_their_kind(signing_keys: SigningKeys) -> None:
    keys = [replaced(key, alg=None, use=None) for key in signing_keys.jwks()["keys"]]
    assert {key.algorithm for key in parse_key_set(key_set(*keys)).values()} == {"RS256", "ES256"}


with warnings.catch_warnings(action="ignore"):
    WEAK_RSA = RSAKey.generate_key(1024).as_dict(private=False) | {"kid": "k"}
RSA = RSAKey.generate_key(2048).as_dict(private=False) | {"kid": "k"}
EC = ECKey.generate_key("P-256").as_dict(private=False) | {"kid": "k"}


@pytest.mark.parametrize(
    "key",
    [
        replaced(RSA, use="enc"),
        replaced(RSA, alg="RS512"),
        replaced(RSA, alg="PS256"),
        replaced(RSA, alg="HS256"),
        replaced(RSA, alg="none"),
        replaced(RSA, alg=["RS256"]),
        replaced(RSA, key_ops=["sign"]),
        replaced(RSA, key_ops=7),
        replaced(RSA, e="AQ"),
        replaced(RSA, e="Aw"),
        replaced(RSA, e="AQAC"),
        replaced(RSA, e="AQABAQAB"),
        replaced(RSA, n="AQAB"),
        replaced(RSA, n="!!"),
        replaced(RSA, n=None),
        replaced(RSA, n=5),
        replaced(RSA, kid=""),
        replaced(RSA, kid="k" * (limits.MAX_KEY_ID_CHARS + 1)),
        replaced(RSA, kid=None),
        replaced(EC, alg="ES384"),
        replaced(EC, crv="P-384"),
        replaced(EC, x=EC["y"]),
        replaced(EC, kty="OKP"),
        WEAK_RSA,
        ECKey.generate_key("P-384").as_dict(private=False) | {"kid": "k"},
        ECKey.generate_key("secp256k1").as_dict(private=False) | {"kid": "k"},
        OctKey.generate_key(256).as_dict() | {"kid": "k"},
        ECKey.generate_key("P-256").as_dict(private=True) | {"kid": "k"},
        "key",
        None,
    ],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_key_that_does_not_fit_is_left_out(key: Any) -> None:
    assert parse_key_set(key_set(key)) == {}
    good = replaced(EC, kid="good")
    assert list(parse_key_set(key_set(key, good))) == ["good"], "and does not take the others along"


def test_two_keys_of_one_name_refuse_the_whole_set() -> None:
    assert code_of(key_set(RSA, EC)) == "provider-key-set"
    assert code_of(key_set(RSA, replaced(EC, use="enc"))) == "provider-key-set"


def test_number_of_keys_is_capped() -> None:
    keys = [replaced(EC, kid=f"k{number}") for number in range(limits.MAX_JWKS_KEYS + 1)]
    assert len(parse_key_set(key_set(*keys[:-1]))) == limits.MAX_JWKS_KEYS
    assert code_of(key_set(*keys)) == "provider-key-set"


def test_size_of_a_key_set_is_capped() -> None:
    frame = '{"keys":[],"pad":"%s"}'
    room = limits.MAX_JWKS_BYTES - len(frame) + 2
    assert parse_key_set((frame % ("x" * room)).encode()) == {}
    assert code_of((frame % ("x" * (room + 1))).encode()) == "provider-json"


@pytest.mark.parametrize("body", [b"{}", b'{"keys":{}}', b'{"keys":null}', b'{"keys":"RSA"}'])
def test_set_without_a_list_is_refused(body: bytes) -> None:
    assert code_of(body) == "provider-key-set"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda v: st.lists(v, max_size=3), max_leaves=5
)
_members = st.sampled_from(["kty", "kid", "alg", "use", "key_ops", "n", "e", "crv", "x", "y", "d"])
_texts = st.sampled_from(["RSA", "EC", "P-256", "RS256", "ES256", "sig", "k", RSA["n"], "AQAB", EC["x"], EC["y"], ""])


@settings(max_examples=150)
@given(
    st.lists(st.dictionaries(_members, _texts | _json, max_size=8), max_size=4).map(lambda keys: key_set(*keys))
    | st.binary(max_size=60)
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_any_key_set_gives_keys_or_one_error_family(body: bytes) -> None:
    try:
        keys = parse_key_set(body)
    except ProviderAnswerError:
        return
    assert all(key.algorithm in ("RS256", "ES256") for key in keys.values())


@settings(max_examples=200)
@given(st.text(max_size=60) | st.text(max_size=40).map(lambda tail: "https://a" + tail))
def test_any_url_is_cut_so_that_it_cannot_break_a_request(url: str) -> None:
    parts = parse_https_url(url)
    if parts is not None:
        assert all(0x21 <= ord(character) <= 0x7E for character in parts.host + parts.target)
        assert parts.target.startswith("/")
