"""The reviewers' page of a guard: a few static files, read once, served with headers that let nothing else run.

Trust side: host, and so is whatever it serves. The page verifies the guard's answers in the browser; who does not trust
this host with the page itself serves the same files from elsewhere (docs/guard.md).
"""

import base64
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Final

import msgspec

from host_proxy.config import ReviewPage
from host_proxy.http import Reply

FOLDER: Final = "/review/"
_FILES: Final = {
    "": ("host_proxy", "review_page/index.html", b"text/html; charset=utf-8"),
    "review.css": ("host_proxy", "review_page/review.css", b"text/css; charset=utf-8"),
    "review.js": ("host_proxy", "review_page/review.js", b"text/javascript; charset=utf-8"),
    "passkeys.js": ("host_proxy", "review_page/passkeys.js", b"text/javascript; charset=utf-8"),
    "chancery-fetch.js": ("attestation", "js/chancery-fetch.js", b"text/javascript; charset=utf-8"),
}
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"publickey-credentials-get=(self), publickey-credentials-create=(self)"),
]


def review_pages(page: ReviewPage | None, roots: Sequence[bytes]) -> Mapping[str, Reply]:
    """The files by path; none where no page is configured. `roots`: certificates (DER) other than Amazon's."""
    if page is None:
        return {}
    found = {
        FOLDER + name: _static(kind, files(package).joinpath(path).read_bytes())
        for name, (package, path, kind) in _FILES.items()
    }
    settings: dict[str, object] = {"deployment": page.deployment, "expectedPcrs": page.pcrs}
    if roots:
        settings["roots"] = [base64.b64encode(root).decode() for root in roots]
    found[FOLDER + "settings.json"] = _static(b"application/json", msgspec.json.encode(settings))
    return found


def _static(kind: bytes, body: bytes) -> Reply:
    return Reply(200, [(b"content-type", kind), *_HEADERS], body)
