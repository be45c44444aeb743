"""Generated policies, judged by the simulated KMS: the measured image and nothing else (KM-06, KM-07)."""

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation import pcr
from eif.errors import EifError
from eif.policy.evaluate import Situation, may_be_allowed
from eif.policy.generate import ADMINISTRATION, encryption_context, key_policy
from eif.policy.images import MAX_IMAGES, Image
from enclave import holder_key
from simulator.kms.errors import AwsError
from simulator.kms.policy import parse_key_policy
from tests.eif_policy.policy_world import (
    ADMINISTRATOR,
    BAD_CALLS,
    CONTEXT,
    FOREIGNER,
    HOLDER,
    OPENING,
    PCRS_A,
    PCRS_B,
    ROLE,
    STRANGER,
    USED,
    Call,
    Pcrs,
    codes,
    image,
    parsed,
    policy,
)


@pytest.mark.parametrize("action", USED)
def test_measured_image_opens_keys_in_its_context(action: str) -> None:
    assert Call(action, PCRS_A).is_allowed(policy(PCRS_A))


@pytest.mark.parametrize("call", BAD_CALLS, ids=str)
def test_nothing_else_is_allowed(call: Call) -> None:
    assert not call.is_allowed(policy(PCRS_A))


@pytest.mark.parametrize("action", ADMINISTRATION)
def test_administrators_administer_and_nobody_else_does(action: str) -> None:
    assert Call(action, None, ADMINISTRATOR).is_allowed(policy())
    assert not any(Call(action, PCRS_A, who).is_allowed(policy()) for who in (ROLE, STRANGER, FOREIGNER))


def test_two_images_open_keys_and_no_mixture_of_them_does() -> None:
    both = policy(PCRS_A, PCRS_B)
    choices = [PCRS_A, PCRS_B]
    for first in choices:
        for second in choices:
            for third in choices:
                mixed = {0: first[0], 1: second[1], 2: third[2]}
                for action in USED:
                    assert Call(action, mixed).is_allowed(both) == (first is second is third)


def test_mixture_is_denied_and_not_merely_unallowed() -> None:
    """An Allow that is added later does not open the key to it."""
    both = policy(PCRS_A, PCRS_B)
    both["Statement"].append({"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:*", "Resource": "*"})
    assert Call("kms:Decrypt", PCRS_A, context={}).is_allowed(both)
    for pcrs in (None, {}, {**PCRS_A, 1: PCRS_B[1]}, {**PCRS_B, 2: PCRS_A[2]}, {**PCRS_A, 0: b"\xee" * 48}):
        assert not any(Call(action, pcrs).is_allowed(both) for action in OPENING)
    assert not Call("kms:PutKeyPolicy").is_allowed(both)
    assert not Call("kms:Encrypt").is_allowed(both)


_REGISTERS = st.sampled_from([PCRS_A[0], PCRS_A[1], PCRS_A[2], PCRS_B[0], PCRS_B[1], PCRS_B[2], bytes(48)])
_DOCUMENTS = st.none() | st.fixed_dictionaries(
    {index: _REGISTERS | st.binary(min_size=48, max_size=48) for index in range(3)}
)
_CONTEXTS = st.just(CONTEXT) | st.dictionaries(
    st.sampled_from([*CONTEXT, "x"]), st.sampled_from([*CONTEXT.values(), "y"])
)


@given(
    images=st.sampled_from([(PCRS_A,), (PCRS_B,), (PCRS_A, PCRS_B)]),
    pcrs=_DOCUMENTS,
    action=st.sampled_from(OPENING),
    principal=st.sampled_from([ROLE, ADMINISTRATOR, STRANGER, FOREIGNER]),
    context=_CONTEXTS,
)
def test_no_call_without_the_exact_triple_of_one_image_is_ever_allowed(
    images: tuple[Pcrs, ...], pcrs: Pcrs | None, action: str, principal: str, context: dict[str, str]
) -> None:
    right = pcrs in images and action in USED and principal == ROLE and context == CONTEXT
    assert Call(action, pcrs, principal, context).is_allowed(policy(*images)) == right


@pytest.mark.parametrize("index", [3, 4, 8])
def test_further_registers_are_pinned_too(index: int) -> None:
    pinned = {**PCRS_A, index: b"\x3c" * 48}
    assert Call("kms:Decrypt", pinned).is_allowed(policy(pinned))
    assert not Call("kms:Decrypt", PCRS_A).is_allowed(policy(pinned))
    assert not Call("kms:Decrypt", {**pinned, index: b"\x3d" * 48}).is_allowed(policy(pinned))


def test_context_is_the_one_that_the_enclave_sends() -> None:
    sent = holder_key.encryption_context(HOLDER.deployment, HOLDER.name, holder_key.FIRST_GENERATION)
    assert encryption_context(HOLDER) == sent


def test_output_depends_on_the_arguments_alone() -> None:
    turned = Image(dict(reversed(list(image(PCRS_A).registers.items()))))
    assert json.dumps(key_policy(HOLDER, [turned])) == json.dumps(key_policy(HOLDER, [image(PCRS_A)]))


def test_no_allow_names_everybody_or_an_account_and_no_operator_holds_on_absence_unguarded() -> None:
    for statement in policy(PCRS_A, PCRS_B)["Statement"]:
        condition = statement.get("Condition", {})
        if statement["Effect"] == "Allow":
            named = statement["Principal"]["AWS"]
            assert set(named if isinstance(named, list) else [named]) <= {ROLE, ADMINISTRATOR}
        assert not any(operator.endswith("IfExists") for operator in condition)
        for operator in condition:
            if "Not" in operator:
                assert condition[operator].keys() <= condition["Null"].keys()
                assert set(condition["Null"].values()) == {"false"}


@pytest.mark.parametrize("pcrs", [(PCRS_A,), (PCRS_A, PCRS_B), ({**PCRS_A, 3: b"\x01" * 48, 8: b"\x02" * 48},)])
def test_generated_policy_has_no_finding(pcrs: tuple[Pcrs, ...]) -> None:
    assert codes(policy(*pcrs)) == set()


def test_retiring_image_is_shut_out_when_its_time_is_over() -> None:
    """Judged by our own evaluation alone: the simulated KMS knows no dates and refuses them (UG-05)."""
    retiring = replace(image(PCRS_A), until="2027-01-31T00:00:00Z")
    value = key_policy(HOLDER, [image(PCRS_B), retiring])
    assert codes(value) == set()
    for pcrs, time, expected in (
        (PCRS_A, "2027-01-30T23:59:59Z", True),
        (PCRS_A, "2027-01-31T00:00:00Z", False),
        (PCRS_B, "2027-01-31T00:00:00Z", True),
    ):
        situation = Situation(image(pcrs).registers, CONTEXT, time)
        assert may_be_allowed(parsed(value), ROLE, "kms:Decrypt", situation) is expected
    with pytest.raises(AwsError, match="not evaluated"):
        parse_key_policy(json.dumps(value))


@pytest.mark.parametrize(
    "images",
    [
        [],
        [image(PCRS_A)] * 2,
        [image(PCRS_A), image({**PCRS_B, 0: PCRS_A[0]})],
        [image(PCRS_A), image({**PCRS_B, 8: b"\x01" * 48})],
        [replace(image(PCRS_A), until="2027-01-31T00:00:00Z")],
        [image({**PCRS_A, 0: bytes([number + 1]) * 48}) for number in range(MAX_IMAGES + 1)],
    ],
)
def test_images_that_cannot_stand_together_are_refused(images: list[Image]) -> None:
    with pytest.raises(EifError) as refusal:
        key_policy(HOLDER, images)
    assert refusal.value.code == "policy-images"


def _images(count: int, registers: Iterable[int]) -> list[Image]:
    return [image({index: bytes([number + 1, index]) * 24 for index in registers}) for number in range(count)]


def test_as_many_images_as_allowed_fit() -> None:
    assert len(key_policy(HOLDER, _images(MAX_IMAGES, (0, 1, 2)))["Statement"]) == 2 + 3 + 1 + MAX_IMAGES * 3


def test_policy_beyond_the_quota_of_kms_is_refused() -> None:
    with pytest.raises(EifError) as refusal:
        key_policy(HOLDER, _images(MAX_IMAGES, (0, 1, 2, 3, 4, 8)))
    assert refusal.value.code == "policy-too-large"


def test_registers_of_zeros_have_no_policy() -> None:
    assert pcr.ZERO.hex() not in json.dumps(policy(PCRS_A, PCRS_B))


@pytest.mark.parametrize(("allowed", "opens"), [((1,), {1}), ((1, 2), {1, 2}), ((2,), {2})])
def test_only_the_named_generations_of_holder_keys_open(allowed: tuple[int, ...], opens: set[int]) -> None:
    """A rotation needs every holder to allow the next generation, and ends when it no longer allows the one before."""
    value = key_policy(HOLDER, [image(PCRS_A), image(PCRS_B)], allowed)
    assert codes(value) == set()
    contexts = {number: encryption_context(HOLDER, number) for number in (1, 2, 3)}
    for pcrs in (PCRS_A, PCRS_B):
        calls = {number: Call("kms:GenerateDataKey", pcrs, ROLE, contexts[number]) for number in contexts}
        assert {number for number, call in calls.items() if call.is_allowed(value)} == opens


@pytest.mark.parametrize("generations", [(), (0,), (1, 1), (-1, 1)])
def test_odd_generations_are_refused(generations: tuple[int, ...]) -> None:
    with pytest.raises(EifError) as refusal:
        key_policy(HOLDER, [image(PCRS_A)], generations)
    assert refusal.value.code == "policy-generations"
