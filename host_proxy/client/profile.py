"""What the command line remembers between calls: one folder with the device key and one JSON file.

The folder and its files are readable by their owner only. A session attestation is no secret, but it is personal.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Final

from host_proxy.client.flows import Login, Session

KEY_FILE: Final = "device-key.pem"
PROFILE_FILE: Final = "profile.json"


@dataclass(frozen=True, slots=True)
class Profile:
    """Where this device is logged in. Empty texts mean "not yet"."""

    url: str
    scope: str
    origin: str
    signer: str = ""
    session: str = ""
    attestation: str = ""
    expires: int = 0
    identity: str = ""
    salt: str = ""

    def logged_in(self, login: Login) -> "Profile":
        """After a login: another wallet's session is forgotten."""
        return replace(self, signer=login.signer, session="", attestation="", expires=0, identity="", salt="")

    def with_session(self, session: Session) -> "Profile":
        """After a session was issued."""
        return replace(self, **asdict(session))

    @property
    def has_session(self) -> bool:
        """Whether there is a session that has not expired by this machine's clock."""
        return bool(self.session) and self.expires > time.time()


def load_profile(home: Path) -> Profile | None:
    """The profile in `home`; None without one, `ValueError` when the file is damaged."""
    path = home / PROFILE_FILE
    if not path.exists():
        return None
    value = json.loads(path.read_bytes())
    if not isinstance(value, dict) or value.keys() != {field.name for field in fields(Profile)}:
        raise ValueError("the profile is damaged")
    return Profile(**value)


def save_profile(home: Path, profile: Profile) -> None:
    """Write the profile, all or nothing."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, draft = home / PROFILE_FILE, home / f"{PROFILE_FILE}.new"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(profile), file, indent=1)
    draft.replace(path)
