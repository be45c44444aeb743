"""The measured configuration: one JSON file inside the image, so every value in it is part of the measurement."""

from enclave.config.admin import AdminKey
from enclave.config.fields import host_and_port
from enclave.config.guard import Guard
from enclave.config.holder import Holder
from enclave.config.lifetimes import Limits
from enclave.config.oidc import ClientSecret, OidcClient
from enclave.config.outside import Mail, TlsRoots
from enclave.config.parsed import Config, parse_config
from enclave.config.rights import Right
from enclave.config.scope import Scope
from enclave.config.second_factors import SecondFactors
from enclave.config.tenancy import Tenancy
from enclave.config.wallet import GuardKeys, RecoveryKey, WalletTemplate

__all__ = [
    "AdminKey",
    "ClientSecret",
    "Config",
    "Guard",
    "GuardKeys",
    "Holder",
    "Limits",
    "Mail",
    "OidcClient",
    "RecoveryKey",
    "Right",
    "Scope",
    "SecondFactors",
    "Tenancy",
    "TlsRoots",
    "WalletTemplate",
    "host_and_port",
    "parse_config",
]
