"""The list of everything that goes into an image and is not in this repository (SC-05): names, versions, hashes."""

from typing import Any, Final

from eif.debian.lock import read_lock
from eif.rootfs import wheels

_INSIDE: Final = {"image": "inside the image", "kernel": "compiles the kernel", "init": "compiles init"}


def parts_json() -> dict[str, Any]:
    """All pinned inputs, by what they are for; archives of source code are among those of the kernel."""
    debian = [
        {"name": file.package, "version": file.version, "sha256": file.sha256, "use": use, "from": file.archive}
        for lock, use in _INSIDE.items()
        for file in read_lock(lock)
    ]
    python = [
        {"name": name, "version": version, "sha256": wheel.sha256, "use": _INSIDE["image"], "from": "wheel"}
        for wheel in wheels.read_lock()
        for name, _, version in [wheel.requirement.partition("==")]
    ]
    return {"debian": debian, "python": python}
