"""Signs an existing image: the old signature, if any, gives way to a new one, and all else stays as it is.

Signing changes PCR8 and no other register. The signature covers PCR0 alone; an older image of the same signer has the
same PCR8, so PCR8 in a policy does not keep anybody from going back.
"""

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from eif.errors import EifError
from eif.layout import SectionType
from eif.measurements import Measured, measure
from eif.reader import Span, opened
from eif.signature import Signer, sign, verify_image_signature
from eif.writer import Source, replacing, write_sections


def sign_image(source: Path, target: Path, signer: Signer, key: ec.EllipticCurvePrivateKey, at: datetime) -> Measured:
    """Write `source`, signed, to `target` (which may be the same file), and return what was written; `EifError`.

    The signer has to be valid at `at`. What is written is measured and verified before it takes the target's place.
    """
    signer.validate_time(at)
    with opened(source) as stream:
        if not stream.seekable():
            raise EifError("input-unreadable", f"{source} is no file that can be read twice")
        before = measure(stream)
        header = before.image.header
        starts = [section.start for section in before.image.sections if section.start.kind is not SectionType.SIGNATURE]
        sections: list[tuple[SectionType, Source]] = [
            (start.kind, Span(stream, start.offset, start.size)) for start in starts
        ]
        sections.append((SectionType.SIGNATURE, sign(before.pcrs[0], signer, key)))
        with replacing(target) as output:
            write_sections(output, header, sections)
            output.seek(0)
            return _verified(measure(output), before, at)


def _verified(after: Measured, before: Measured, at: datetime) -> Measured:
    if any(after.pcrs[index] != before.pcrs[index] for index in (0, 1, 2)):
        raise EifError("input-unreadable", "the image changed while it was read")
    verify_image_signature(after.image.content(SectionType.SIGNATURE), after.pcrs[0], at)
    return after
