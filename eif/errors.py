"""The one error family of this package, and its closed list of codes.

Codes are append-only: programs match on them. Texts are for people and may change. A detail names a field, a section
or a path, and quotes only printable input.
"""

from typing import Final

TEXTS: Final[dict[str, str]] = {
    # --- the image file (SC-03) ---
    "eif-truncated": "The file ends before the image does.",
    "eif-magic": "This is not an enclave image: it does not start with the letters .eif.",
    "eif-version": "The image is of a version of the format that does not exist.",
    "eif-flags": "The image sets flags that have no meaning.",
    "eif-reserved": "A field or table entry that must be zero is not.",
    "eif-section-count": "The image has no section, or more than its table holds.",
    "eif-section-table": "The table of sections disagrees with the sections: readers would see different images.",
    "eif-section-type": "A section is of a type that does not exist.",
    "eif-section-flags": "A section sets flags that have no meaning.",
    "eif-section-repeated": "A section that must be alone occurs twice.",
    "eif-section-missing": "The image lacks a section that it needs.",
    "eif-section-order": "A ramdisk comes before the kernel.",
    "eif-section-version": "The image has a section that its version of the format does not know.",
    "eif-section-too-large": "A section is larger than sections of its type may be.",
    "eif-trailing": "Bytes follow the last section: nothing measures them.",
    "eif-crc": "The checksum does not match: the file was damaged or edited.",
    "eif-cmdline": "The kernel command line is not printable ASCII without spaces at its ends.",
    "eif-ramdisk-missing": "An image needs at least one ramdisk.",
    # --- metadata, which nothing measures ---
    "metadata-malformed": "The metadata are not the JSON that image builders write.",
    "metadata-too-large": "The metadata are larger than an image holds.",
    # --- signatures and registers ---
    "signature-malformed": "The signature section is not of the one allowed form.",
    "signature-algorithm": "The signature names no allowed algorithm, or not that of the certificate's key.",
    "signature-invalid": "The signature does not match: another key made it, or what it covers was altered.",
    "signature-measurement": "The signature is genuine, yet covers another image.",
    "signature-missing": "The image is not signed.",
    "certificate-malformed": "The certificate cannot be read as one X.509 certificate.",
    "certificate-key": "The certificate does not hold a P-256, P-384 or P-521 key.",
    "certificate-expired": "The signing certificate has expired: the image does not start any more.",
    "certificate-not-yet-valid": "The signing certificate is not valid yet.",
    "key-malformed": "The private key cannot be read as one PEM key without a password.",
    "key-mismatch": "The private key does not belong to the certificate.",
    "role-malformed": "This is not the ARN of an IAM role.",
    "instance-malformed": "This is not the id of an EC2 instance.",
    # --- ramdisks ---
    "cpio-malformed": "The ramdisk is not an archive in the newc form of cpio.",
    "cpio-truncated": "The archive ends without its trailer.",
    "cpio-path": "A path in the archive leads out of it, or is not in its plain form.",
    "cpio-repeated": "A path occurs twice in the archive.",
    "cpio-too-large": "The archive holds more, or larger, entries than an archive may.",
    "cpio-entry": "An entry cannot be written: its kind, mode, size or path is not of the allowed form.",
    "compression-unsupported": "The ramdisk is compressed in a way that this program does not read.",
    "compression-malformed": "The compressed ramdisk cannot be unpacked.",
    "compression-too-large": "The ramdisk unpacks to more than a ramdisk may hold.",
    # --- key policies (KM-07) ---
    "policy-malformed": "The policy is not JSON in the form of a key policy.",
    "policy-generations": "Generations of holder keys are numbers from 1, each named once.",
    "policy-too-large": "The policy is larger than KMS takes.",
    "policy-too-complex": "The policy names more principals, images and contexts than can be compared.",
    "policy-image": "The measurements do not name an image that a policy may allow.",
    "policy-images": "The images cannot stand in one policy.",
    "policy-holders": "The file of holders is not in its form.",
    # --- input and output ---
    "input-unreadable": "The input cannot be read.",
    "output-unwritable": "The output cannot be written.",
    # --- packages and builds ---
    "lock-malformed": "The lock of packages is not in its form.",
    "config-size": "The measured configuration is empty or too large.",
    "config-refused": "The enclave refuses this configuration.",
    "allow-list-malformed": "The allow-list of the root file system is not in its form.",
    "rootfs-stranger": "A file that the allow-list does not name would get into the image.",
    "lock-unresolved": "Debian's package manager cannot resolve the set of packages.",
    "package-unavailable": "A pinned package cannot be fetched.",
    "package-hash": "The mirror sent something else under the name of a pinned package.",
    "package-malformed": "A package cannot be unpacked.",
    "sandbox-unavailable": "This machine cannot confine a build: user namespaces are needed.",
    "build-failed": "A build step failed.",
    "emulator-failed": "The emulator does not start, or the image does not in it.",
}


class EifError(Exception):
    """An image was refused. `code` is stable and listed in `TEXTS`; `text` is for people."""

    def __init__(self, code: str, detail: str = "") -> None:
        if code not in TEXTS:
            raise ValueError(code)
        self.code = code
        self.detail = detail
        self.text = f"{TEXTS[code]} ({detail})" if detail else TEXTS[code]
        super().__init__(f"{code}: {self.text}")

    def __reduce__(self) -> tuple[type["EifError"], tuple[str, str]]:
        return EifError, (self.code, self.detail)
