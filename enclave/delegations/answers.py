"""What the methods say about delegations, in JSON: configuration, offers, grants, and what is outstanding."""

from typing import Any

from enclave.config.delegations import DelegationChain, Delegations, PinnedContract
from enclave.delegations.grants import Granted
from enclave.delegations.limits import OFFER_S, RELEASE_AFTER_S
from enclave.delegations.outstanding import Outstanding
from enclave.delegations.policy import deployment_of
from enclave.delegations.proposals import Proposal
from evm.address import checksum
from evm.delegations.context import encode_context
from evm.delegations.delegation_json import signed_to_json
from evm.delegations.errors import DelegationError
from evm.delegations.grant import read_grant
from evm.delegations.permission import permission_response
from evm.delegations.words import grant_words


def chain_json(chain: DelegationChain) -> dict[str, Any]:
    """What is pinned and allowed on a chain, for whoever holds it against a node."""
    return {
        "chainId": hex(chain.chain_id),
        "manager": _pinned(chain.manager) | {"name": chain.manager_name, "version": chain.manager_version},
        "enforcers": {name: _pinned(contract) for name, contract in chain.enforcers.items()},
        "accountCode": list(map(_pinned, chain.account_code)),
        "delegates": list(chain.delegates),
        "recipients": None if chain.recipients is None else list(chain.recipients),
        "caps": [
            {"asset": caps.asset, "grant": caps.grant, "account": caps.account, "scope": caps.scope}
            for caps in chain.caps
        ],
    }


def offered_json(proposal: Proposal) -> dict[str, Any]:
    """What is shown: the delegation, what it means, and the permission request as it would be granted."""
    found = proposal.verified
    manager = proposal.policy.rules.deployment.manager
    return {
        "hash": "0x" + proposal.hash.hex(),
        "digest": "0x" + found.digest.hex(),
        "delegation": found.delegation.document(manager, found.chain_id),
        "granted": None if proposal.source is None else dict(proposal.source),
        "adjusted": proposal.adjusted,
        "understood": found.understood,
        "offeredFor": OFFER_S,
    }


def amounts_json(outstanding: Outstanding) -> dict[str, str]:
    """What is outstanding of the asset beside this; what all of the scope's accounts have together is not told."""
    caps = outstanding.caps
    return {"account": str(outstanding.account), "atMost": str(caps.account)}


def granted_json(granted: Granted) -> dict[str, Any]:
    """The signed delegation, in the kit's forms."""
    signed, manager = granted.signed, granted.manager
    return grant_json(granted) | {
        "digest": "0x" + signed.delegation.digest(manager, granted.chain_id).hex(),
        "signature": "0x" + signed.signature.hex(),
        "delegation": signed_to_json(signed),
        "context": "0x" + encode_context([signed]).hex(),
        "delegationManager": checksum(manager.address),
        "permission": permission_json(granted),
    }


def permission_json(granted: Granted) -> dict[str, Any] | None:
    """The answer of ERC-7715; None for a delegation that answers no request."""
    if granted.source is None:
        return None
    return permission_response(granted.source, granted.signed, granted.manager)


def grant_json(granted: Granted) -> dict[str, Any]:
    """What became of a delegation, and how long what it can cost stays on the ledgers."""
    return {
        "hash": "0x" + granted.hash.hex(),
        "chainId": hex(granted.chain_id),
        "state": granted.state,
        "exposure": str(granted.exposure),
        "grantedAt": granted.granted_at_s,
        "expiresAt": granted.expires_at_s,
        "revokedAt": granted.revoked_at_s,
        "releasedAt": granted.expires_at_s + RELEASE_AFTER_S,
    }


def words_of(granted: Granted, delegations: Delegations | None) -> list[str]:
    """What was agreed to; nothing where the configuration does not know the manager or a condition any more."""
    chain = None if delegations is None else delegations.chain(granted.chain_id)
    if chain is None:
        return []
    deployment = deployment_of(chain)
    if deployment.manager != granted.manager:
        return []
    try:
        grant = read_grant(granted.signed.delegation, deployment)
    except DelegationError:
        return []
    return grant_words(grant, granted.chain_id, granted.exposure)


def _pinned(contract: PinnedContract) -> dict[str, str]:
    return {"address": contract.address, "codeHash": contract.code_hash}
