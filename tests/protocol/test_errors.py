"""The table of client-visible errors is append-only: clients match on these names, codes and statuses."""

import json

import pytest

from protocol import errors
from protocol.errors import TABLE, ErrorCode, ProtocolError, error_body

# What clients have seen so far. Rows may be added at the end; a row never changes and never goes.
GOLDEN = {
    "WebrpcEndpoint": (0, 400),
    "WebrpcBadRoute": (-2, 404),
    "WebrpcBadMethod": (-3, 405),
    "WebrpcBadRequest": (-4, 400),
    "InternalError": (7100, 500),
    "EncryptionError": (7101, 500),
    "DatabaseError": (7102, 500),
    "DataIntegrityError": (7103, 500),
    "IdentityProviderError": (7104, 500),
    "InvalidRequest": (7200, 400),
    "InvalidSignature": (7201, 400),
    "KeyNotFound": (7202, 404),
    "KeyExpired": (7203, 400),
    "SignerNotFound": (7204, 404),
    "UsageLimitExceeded": (7205, 429),
    "PreconditionFailed": (7206, 412),
    "ProofVerificationFailed": (7002, 400),
    "AnswerIncorrect": (7003, 400),
    "ChallengeExpired": (7004, 400),
    "TooManyAttempts": (7005, 400),
    "OAuthError": (7006, 400),
    "AccessError": (7007, 401),
    "RightNotGranted": (7300, 403),
    "SessionNotFound": (7301, 404),
    "SessionExpired": (7302, 401),
    "SessionRevoked": (7303, 401),
    "SessionMismatch": (7304, 403),
    "RequestExpired": (7305, 400),
    "Undecodable": (7306, 400),
    "StaleRecord": (7307, 500),
    "HoldersUnavailable": (7308, 503),
    "NotServing": (7309, 503),
    "Busy": (7310, 503),
    "RequestTooLarge": (7311, 413),
    "DeadlineExceeded": (7312, 504),
    "EnclaveUnreachable": (7313, 502),
    "ClockUntrusted": (7314, 503),
    "ChannelKeyUnknown": (7316, 409),
    "ChannelUnopened": (7317, 400),
    "ChannelReplayed": (7318, 409),
    "AccountFrozen": (7330, 403),
    "AccountClosed": (7331, 410),
    "LoginTaken": (7332, 409),
    "LastLogin": (7333, 409),
    "LoginNotFresh": (7334, 401),
    "NotDue": (7335, 409),
    "WalletNotFound": (7340, 404),
    "WalletRule": (7341, 400),
    "SealedLoginRequired": (7319, 403),
    "AccountAlreadyLinked": (7001, 409),
    "DelegationNotFound": (7350, 404),
    "DelegationRule": (7351, 403),
    "ExposureExceeded": (7352, 403),
    "Unauthorized": (1000, 401),
    "TenantNotFound": (1001, 404),
    "TenantConflict": (7360, 409),
    "InvitationNotFound": (7361, 404),
    "InvitationRequired": (7362, 403),
    "InvitationUsed": (7363, 409),
}


def test_rows_are_only_ever_added_at_the_end() -> None:
    assert {row.name: (row.code, row.status) for row in TABLE[: len(GOLDEN)]} == GOLDEN
    missing = [row.name for row in TABLE[len(GOLDEN) :]]
    assert not missing, f"add to GOLDEN: {missing}"


def test_names_codes_and_constants_are_unique() -> None:
    assert len({row.name for row in TABLE}) == len({row.code for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_body_has_the_members_of_the_wire_format_in_order(row: ErrorCode) -> None:
    plain, explained = error_body(row), error_body(row, "a cause")
    assert list(plain) == ["error", "code", "msg", "status"]
    assert list(explained) == ["error", "code", "msg", "cause", "status"]
    assert (explained["error"], explained["code"], explained["status"]) == (row.name, row.code, row.status)
    assert explained["msg"] == row.message
    assert 400 <= row.status <= 599
    assert json.loads(json.dumps(explained)) == explained


def test_example_of_the_wire_format() -> None:
    body = json.dumps(error_body(errors.INVALID_SIGNATURE, "verification failed"), separators=(",", ":"))
    assert body == (
        '{"error":"InvalidSignature","code":7201,"msg":"The signature was invalid",'
        '"cause":"verification failed","status":400}'
    )


def test_protocol_error_shows_its_code_and_nothing_else() -> None:
    error = ProtocolError("cbor-tag")
    assert (error.code, str(error), error.args) == ("cbor-tag", "cbor-tag", ("cbor-tag",))
