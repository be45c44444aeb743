"""What a guard's refusals mean, in sentences for people. The codes are listed in docs/guard.md."""

from collections.abc import Mapping
from typing import Final

from host_proxy.client.errors import ServiceRefusal
from protocol.errors import BAD_ROUTE

_PREFIXES: Final = (
    ("guard:deny:", "The guard refuses this, by {0}."),
    ("guard:second-factor:", "The guard asks for a second factor, by {0}."),
    ("guard:review-refused:", "A reviewer has refused this ({0})."),
    ("guard:review-expired:", "Nobody decided in time ({0}). Ask again to have it held anew."),
    ("guard:review:", "It waits for reviewers as {0}. Ask again, in exactly the same words, once they have approved."),
)
_WHOLE: Final[Mapping[str, str]] = {
    "guard:second-factor:wrong": "That code is not the right one.",
    "guard:second-factor-wait": "Too many wrong codes. Wait before you try again.",
    "guard:second-factor-locked": "Too many wrong codes: only a recovery code helps.",
    "guard:frozen": "The guard is frozen: it signs nothing until officers activate higher rules.",
    "guard:wallet": "The guard does not know this wallet. Show it with `wallet register`.",
    "guard:unsigned": "Nobody who counts for this wallet has signed. Has its configuration changed? `wallet register`.",
    "guard:configuration": "This configuration is not the wallet's, or does not name this guard.",
    "guard:review-full": "More waits for the reviewers than they can look through. Try again later.",
    "guard:review-size": "This is too large for people to review.",
    "guard:quorum": "Fewer officers have approved than it takes.",
    "guard:officer": "One of the approvals is by a key that is no officer's.",
    "guard:version": "Rules of this version, or a higher one, are in force. Raise `version` and have it approved anew.",
    "verification failed": "An approval does not hold: was it made for this deployment, and for the rules in force?",
    "rules-malformed": "This is not a rule document. `guard check` says what is wrong with it.",
}
HELD: Final = "guard:review:"


def in_words(refusal: ServiceRefusal) -> str:
    """A sentence with the code behind it; the refusal's own text where nobody has found better words."""
    if refusal.error.get("code") == BAD_ROUTE.code:
        return "What answers there is no guard."
    cause = str(refusal.error.get("cause", ""))
    found = _WHOLE.get(cause)
    for prefix, sentence in _PREFIXES:
        if found is None and cause.startswith(prefix):
            found = sentence.format(cause.removeprefix(prefix))
    if found is None and cause.startswith("rules-"):
        found = "The guard cannot use these rules. `guard check` says what is wrong with them."
    return f"refused: {refusal}" if found is None else f"{found} ({cause})"
