"""Targets for what reads images: the file, its sections, ramdisks in every packing, and two images side by side."""

import bz2
import gzip
import lzma
from contextlib import ExitStack
from functools import cache
from io import BytesIO

import zstandard

from eif import cpio, signature
from eif.cpio_reader import read_ramdisk
from eif.describe import describe
from eif.errors import EifError
from eif.explain import explain
from eif.explain.render import render
from eif.measurements import measure
from eif.metadata import parse_metadata
from eif.reader import Span
from eif.signature import parse_signer, verify_image_signature
from tests.eif import images
from tests.eif.images import AT, RAMDISK, SECTIONS, SIGNATURE
from tests.fuzz.target import Target

PCR0 = bytes(48)


@cache
def _section() -> bytes:
    key = images.new_key()
    return signature.sign(PCR0, parse_signer(images.certificate(key)), key)


@cache
def _images() -> list[bytes]:
    packed = images.with_section(RAMDISK, gzip.compress(images.APPLICATION), 1)
    signed = images.image(*SECTIONS, (SIGNATURE, _section()))
    return [images.image(), signed, images.image(*packed), images.image(*SECTIONS[:2], *SECTIONS[3:], version=3)]


def _archives() -> list[bytes]:
    device = cpio.character_device("dev/console", 5, 1)
    plain = images.archive(cpio.directory("dev"), device, cpio.file("init", b"#!"), cpio.symlink("link", "init"))
    packed = [compress(plain) for compress in (gzip.compress, bz2.compress, lzma.compress, zstandard.compress)]
    return [plain, images.BOOT.replace(b"init", b"exec") + bytes(8) + plain, *packed, images.APPLICATION + packed[0]]


def _damaged(data: bytes) -> object:
    """With a checksum that matches, so that what lies behind it is reached."""
    return describe(BytesIO(images.remade(data) if len(data) >= 548 else data), AT)


def _ramdisk(data: bytes) -> object:
    with ExitStack() as scratch:
        return read_ramdisk(Span(BytesIO(data), 0, len(data)), scratch)


def _pair(data: bytes) -> object:
    """The same against a sound image, in both directions, down to the text."""
    sound = _images()[0]
    explanations = [explain(BytesIO(sound), BytesIO(data)), explain(BytesIO(data), BytesIO(sound))]
    return [(render(explanation), explanation.to_json()) for explanation in explanations]


def _ramdisks(data: bytes) -> object:
    """Two sound images, of which one has this ramdisk."""
    return _pair(images.image(*images.with_section(RAMDISK, data, 1)))


REFUSAL = (EifError,)

TARGETS = {
    "image": Target(lambda data: measure(BytesIO(data)), REFUSAL, _images),
    "image_checksum_remade": Target(_damaged, REFUSAL, _images),
    "image_signature": Target(lambda data: verify_image_signature(data, PCR0, AT), REFUSAL, lambda: [_section()]),
    "image_metadata": Target(parse_metadata, REFUSAL, lambda: [images.CLAIMS.encode()]),
    "image_certificate": Target(parse_signer, REFUSAL, lambda: [images.certificate(images.new_key())]),
    "ramdisk": Target(_ramdisk, REFUSAL, _archives),
    "ramdisks_compared": Target(_ramdisks, (), _archives),
    "images_compared": Target(_pair, REFUSAL, _images),
}
