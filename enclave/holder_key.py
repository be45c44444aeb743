"""What a holder key is: its wrapped form in the store, what KMS binds it to, and the check that it must pass (KM-02).

Trust side: enclave, values only. The wrapped form comes from a hostile store; the key check is what makes an opened key
believable, and it may be public.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from enclave import sealing
from enclave.config import Holder
from enclave.errors import BootError, KmsError
from enclave.kms.recipient import KEY_BYTES, WRONG_KEY
from enclave.secret import Secret
from protocol import limits

FIRST_GENERATION: Final = 1
KEY_CHECK_BYTES: Final = 32
_PURPOSE: Final = "holder-key"
_CHECK_LABEL: Final = "chancery/holder-key-check/1"


@dataclass(frozen=True, slots=True)
class WrappedHolderKey:
    """A holder key as the store keeps it: closed by KMS, with the check that the opened key must pass."""

    name: str
    ciphertext_blob: bytes
    generation: int
    key_check: bytes


def encryption_context(deployment: str, holder: str, generation: int) -> dict[str, str]:
    """What KMS binds a wrapped holder key to, and key policies can demand (KM-06)."""
    return {"deployment": deployment, "purpose": _PURPOSE, "holder": holder, "generation": str(generation)}


def key_check(key: Secret, holder: Holder, context: Mapping[str, str]) -> bytes:
    """A commitment to the key for this holder, key ARN and context; `KmsError("kms-wrong-key")` if it has another size.

    Compare in constant time.
    """
    if len(key) != KEY_BYTES:
        raise KmsError(WRONG_KEY)
    return sealing.keyed_hash(key, _CHECK_LABEL, holder.key_arn, dict(context))


def validate_set(wrapped: Sequence[WrappedHolderKey], names: Sequence[str], generation: int) -> None:
    """One well-formed key of each of `names`, all of `generation`; `BootError("holder-keys")` otherwise."""
    if sorted(key.name for key in wrapped) != sorted(names) or {key.generation for key in wrapped} != {generation}:
        raise BootError("holder-keys", "the stored keys are not those of the configured holders")
    if not all(map(_is_well_formed, wrapped)):
        raise BootError("holder-keys", "a stored key is damaged")


def _is_well_formed(wrapped: WrappedHolderKey) -> bool:
    blob_fits = 0 < len(wrapped.ciphertext_blob) <= limits.MAX_KMS_CIPHERTEXT_BYTES
    return blob_fits and len(wrapped.key_check) == KEY_CHECK_BYTES and wrapped.generation >= FIRST_GENERATION
