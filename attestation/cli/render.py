"""The report in words: a short verdict first, then what was checked, what was not, the registers, and the timeline.

Everything that comes out of a document is shown with control characters made visible.
"""

from collections.abc import Iterator
from typing import Any, Final

from attestation import pcr

_PREVIEW_CHARS: Final = 64
_HEADLINES: Final = {
    "verified": "VERIFIED",
    "refused": "REFUSED",
    "usage": "NOT CHECKED",
    "unreadable": "NOT CHECKED",
    "incomplete": "VERIFIED, BUT NOT EVERYTHING THAT WAS ASKED FOR",
}


def render(report: dict[str, Any], now_ms: int) -> str:
    """The text for people; ends with a newline."""
    lines = [*_verdict(report), *_findings(report), *_session(report), *_document(report), *_chain(report, now_ms)]
    lines += [*_differences(report), *_policy(report)]
    return "\n".join(lines) + "\n"


def _verdict(report: dict[str, Any]) -> Iterator[str]:
    if report.get("headline"):
        yield report["headline"]
        return
    as_of = f" as of {report['as_of']}" if report.get("as_of") else ""
    yield _HEADLINES[report["verdict"]] + as_of
    if refusal := report.get("refusal"):
        yield f"  {refusal['text']}"
        yield f"  code: {refusal['code']}"
    if root := report.get("root"):
        yield f"  vouched for by: {root['name']}"
        yield f"  root SHA-256:   {root['sha256']}"
    for missing in report.get("unchecked", ()):
        yield f"  could not be checked: {missing['text']}"


def _findings(report: dict[str, Any]) -> Iterator[str]:
    for title, member, mark in (("checked", "checked", "+"), ("NOT checked", "not_checked", "-")):
        if items := report.get(member):
            yield ""
            yield title
            yield from (f"  {mark} {item['text']}" for item in items)


def _session(report: dict[str, Any]) -> Iterator[str]:
    if session := report.get("session"):
        yield ""
        yield "session attestation"
        who = printable(report["identity"]) if report.get("identity") else "not disclosed (the bundle holds no opening)"
        yield f"  this device key    {session['auth_key']} ({session['auth_key_type']})"
        yield f"  belongs to         {who}"
        yield f"  subject            {session['subject']}"
        yield f"  for the origin     {printable(session['origin'])}, scope {printable(session['scope'])}"
        yield f"  until              {session['expires']} (issued {session['issued']})"
        yield f"  verified by        {printable(session['auth_method'])} at {session['authenticated']}"
        yield f"  deployment         {session['deployment']}"


def _document(report: dict[str, Any]) -> Iterator[str]:
    if document := report.get("document"):
        yield ""
        yield "document" if report.get("checked") else "document (what it says; not verified)"
        yield f"  module id    {printable(document['module_id'])}"
        yield f"  made at      {document['timestamp']}"
        yield f"  debug mode   {'YES: the host can read everything' if document['debug_mode'] else 'no'}"
        for member in ("public_key", "user_data", "nonce"):
            yield f"  {member.replace('_', ' '):<12} {_preview(document[member])}"
        if binding := document.get("binding"):
            yield f"  binds        deployment {binding['deployment']}, identity key {binding['identity_key']}"
        yield ""
        yield "measurements (zero registers left out)"
        for index, value in document["pcrs"].items():
            if value != pcr.ZERO.hex() or int(index) in pcr.IMAGE_PCRS:
                yield f"  PCR{index:<2}  {value}"
                yield f"         {pcr.name(int(index))}"


def _chain(report: dict[str, Any], now_ms: int) -> Iterator[str]:
    if chain := report.get("chain"):
        yield ""
        yield "chain"
        for certificate in chain:
            if certificate["name"] is None:
                yield f"  {certificate['role']:<9} unreadable"
                continue
            window = f"{certificate['not_before']} to {certificate['not_after']}"
            yield f"  {certificate['role']:<9} {window}  {_countdown(certificate['not_after_ms'] - now_ms)}"
            yield f"            {printable(certificate['name'])}"


def _differences(report: dict[str, Any]) -> Iterator[str]:
    if differences := report.get("differences"):
        yield ""
        for row in differences:
            if row["same"]:
                yield f"  = PCR{row['pcr']:<2} {row['name']}"
                continue
            yield f"  ! PCR{row['pcr']:<2} {row['name']}"
            yield f"      first   {row['first'] or 'absent'}"
            yield f"      second  {row['second'] or 'absent'}"


def _policy(report: dict[str, Any]) -> Iterator[str]:
    for entry in report.get("entries", ()):
        yield f"  {printable(entry['name'])}, version {entry['version']}: {entry['state']}"
        yield f"      registers {', '.join(entry['pcrs'])}"


def printable(text: str) -> str:
    """`text` with everything but printable ASCII escaped: a document must not steer a terminal."""
    return "".join(char if " " <= char <= "~" else char.encode("unicode_escape").decode() for char in text)


def _preview(value_hex: str | None) -> str:
    if value_hex is None:
        return "absent"
    value = bytes.fromhex(value_hex)
    is_text = value and all(0x20 <= byte < 0x7F for byte in value)
    text = f'"{value.decode("ascii")}"' if is_text else value_hex or "empty"
    shortened = text if len(text) <= _PREVIEW_CHARS else text[:_PREVIEW_CHARS] + "..."
    return f"{shortened} ({len(value)} bytes)"


def _countdown(remaining_ms: int) -> str:
    seconds = abs(remaining_ms) // 1000
    for unit, size in (("years", 31_557_600), ("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (size <= 3600 and seconds >= size):
            amount = f"{seconds // size} {unit}"
            break
    else:
        amount = f"{seconds} s"
    return f"expires in {amount}" if remaining_ms >= 0 else f"EXPIRED {amount} ago"
