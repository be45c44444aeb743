"""The words of AWS that a key policy is made of: actions of KMS, condition keys, and what this appliance calls.

Source: AWS's service authorization reference for KMS, the list of global condition keys, and nitro-platform.md 6.4.
Condition keys ignore case and stand here in lower case; so do actions when they are matched.
"""

import re
from difflib import get_close_matches
from typing import Final

POLICY_VERSION: Final = "2012-10-17"
MAX_POLICY_BYTES: Final = 32 * 1024  # AWS's quota for the text of a key policy

USED_ACTIONS: Final = ("kms:Decrypt", "kms:GenerateDataKey")
"""What the enclave calls, each time with an attestation document (`enclave/kms/client.py`)."""

SECRET_ACTIONS: Final = ("kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DeriveSharedSecret")
"""Whatever yields a key, or moves one to where another policy decides."""

SECRET_CALLS: Final = (
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:ReEncryptFrom",
    "kms:DeriveSharedSecret",
)
"""The calls among them that hand a key to the caller or to another KMS key."""

ATTESTATION: Final = "kms:RecipientAttestation:"
ATTESTATION_PREFIX: Final = ATTESTATION.lower()
IMAGE_DIGEST: Final = f"{ATTESTATION_PREFIX}imagesha384"  # another name of PCR0
CONTEXT: Final = "kms:EncryptionContext:"
CONTEXT_PREFIX: Final = CONTEXT.lower()
CONTEXT_KEYS: Final = "kms:EncryptionContextKeys"
CONTEXT_PARTS: Final = ("deployment", "generation", "holder", "purpose")
"""The names in the encryption context that the enclave sends (`enclave/holder_key.py`)."""
CURRENT_TIME: Final = "aws:CurrentTime"

_ACTIONS: Final = """
    CancelKeyDeletion ConnectCustomKeyStore CreateAlias CreateCustomKeyStore CreateGrant CreateKey Decrypt DeleteAlias
    DeleteCustomKeyStore DeleteImportedKeyMaterial DeriveSharedSecret DescribeCustomKeyStores DescribeKey DisableKey
    DisableKeyRotation DisconnectCustomKeyStore EnableKey EnableKeyRotation Encrypt GenerateDataKey GenerateDataKeyPair
    GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext GenerateMac GenerateRandom GetKeyPolicy
    GetKeyRotationStatus GetParametersForImport GetPublicKey ImportKeyMaterial ListAliases ListGrants ListKeyPolicies
    ListKeyRotations ListKeys ListResourceTags ListRetirableGrants PutKeyPolicy ReEncryptFrom ReEncryptTo ReplicateKey
    RetireGrant RevokeGrant RotateKeyOnDemand ScheduleKeyDeletion Sign SynchronizeMultiRegionKey TagResource
    UntagResource UpdateAlias UpdateCustomKeyStore UpdateKeyDescription UpdatePrimaryRegion Verify VerifyMac
"""
ACTIONS: Final = tuple(f"kms:{name}" for name in _ACTIONS.split())

_KMS_KEYS: Final = """
    BypassPolicyLockoutSafetyCheck CallerAccount CustomerMasterKeySpec CustomerMasterKeyUsage DataKeyPairSpec
    EncryptionAlgorithm EncryptionContextKeys ExpirationModel GrantConstraintType GrantIsForAWSResource GrantOperations
    GranteePrincipal KeyAgreementAlgorithm KeyOrigin KeySpec KeyUsage MacAlgorithm MessageType MultiRegion
    MultiRegionKeyType PrimaryRegion ReEncryptOnSameKey ReplicaRegion RequestAlias ResourceAliases RetiringPrincipal
    RotationPeriodInDays ScheduleKeyDeletionPendingWindowInDays SigningAlgorithm ValidTo ViaService WrappingAlgorithm
    WrappingKeySpec RecipientAttestation:ImageSha384
"""
_GLOBAL_KEYS: Final = """
    CalledVia CalledViaFirst CalledViaLast CurrentTime Ec2InstanceSourcePrivateIPv4 Ec2InstanceSourceVpc EpochTime
    FederatedProvider MultiFactorAuthAge MultiFactorAuthPresent PrincipalAccount PrincipalArn PrincipalIsAWSService
    PrincipalOrgID PrincipalOrgPaths PrincipalServiceName PrincipalServiceNamesList PrincipalType Referer
    RequestedRegion ResourceAccount ResourceOrgID ResourceOrgPaths SecureTransport SourceAccount SourceArn
    SourceIdentity SourceIp SourceOrgID SourceOrgPaths SourceVpc SourceVpcArn SourceVpce TagKeys TokenIssueTime
    UserAgent ViaAWSService VpceAccount VpceOrgID VpceOrgPaths VpcSourceIp userid username
"""
CONDITION_KEYS: Final = (
    *(f"kms:{name}" for name in _KMS_KEYS.split()),
    *(f"aws:{name}" for name in _GLOBAL_KEYS.split()),
    *(f"{ATTESTATION}PCR{index}" for index in range(32)),
    *(f"{ATTESTATION}NitroTPMPCR{index}" for index in range(24)),
)
_FOLDED_KEYS: Final = {key.lower(): key for key in CONDITION_KEYS}
_OPEN_KEYS: Final = re.compile(r"kms:encryptioncontext:.+|aws:(principal|request|resource)tag/.+", re.DOTALL)
_PCR_KEY: Final = re.compile(rf"{ATTESTATION_PREFIX}pcr([0-9]|[12][0-9]|3[01])")


def is_condition_key(folded: str) -> bool:
    """Whether AWS has a condition key of this name, in lower case, for key policies."""
    return folded in _FOLDED_KEYS or _OPEN_KEYS.fullmatch(folded) is not None


def nearest_condition_key(folded: str) -> str:
    """The condition key that was probably meant, or an empty text."""
    found = get_close_matches(folded[:128], _FOLDED_KEYS, n=1)
    return _FOLDED_KEYS[found[0]] if found else ""


def register_of(folded: str) -> int | None:
    """The register of an enclave that a condition key is about; None for other keys. ImageSha384 is PCR0."""
    if folded == IMAGE_DIGEST:
        return 0
    match = _PCR_KEY.fullmatch(folded)
    return int(match[1]) if match else None
