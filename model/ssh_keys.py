"""Public keys in OpenSSH's one-line form (sshd(8), "AUTHORIZED_KEYS FILE FORMAT")."""

import base64
import binascii
from collections.abc import Iterator

# NIST SP 800-57 part 1 revision 5, table 2: 3,072 bits are as strong as 128 of a symmetric key, which is what
# ed25519 has.
LEAST_RSA_BITS = 3072


def weakness(line: str) -> str | None:
    """Say why a key that is whole is too weak, or return None."""
    key_type, encoded = line.split(" ")[:2]
    if key_type == "ssh-dss":
        return "DSA keys are too short for any use, and OpenSSH no longer accepts them"
    if key_type == "ssh-rsa":
        # RFC 4253, section 6.6: type, exponent, modulus.
        *_, modulus = _strings(base64.b64decode(encoded))
        bits = int.from_bytes(modulus).bit_length()
        if bits < LEAST_RSA_BITS:
            return f"this RSA key has {bits:,} bits; at least {LEAST_RSA_BITS:,} are needed"
    return None


def key_fault(line: str) -> str | None:
    """Say why a line is no public key, or return None.

    A pasted key that lost its end is easily overlooked, and DigitalOcean does not always refuse it; the blob names its
    own type and length, so it can be checked here.
    """
    key_type, encoded = line.split(" ")[:2]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return "the middle part is not base64; the key was cut or wrapped"
    # RFC 4253, section 6.6: the blob begins with its type as a length-prefixed string.
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != key_type.encode():
        return f"the middle part does not hold a key of type {key_type}"
    if key_type == "ssh-ed25519" and len(blob) != 51:  # noqa: PLR2004 (RFC 8709, section 4: 4+11+4+32 bytes)
        return f"an ssh-ed25519 key has 51 bytes; this one has {len(blob)}, so it was cut"
    if not _is_whole(blob):
        return "the middle part ends too early or too late; the key was cut"
    return None


def _strings(blob: bytes) -> Iterator[bytes]:
    """Yield the length-prefixed strings of a blob that is whole."""
    at = 0
    while at < len(blob):
        length = int.from_bytes(blob[at : at + 4], "big")
        yield blob[at + 4 : at + 4 + length]
        at += 4 + length


def _is_whole(blob: bytes) -> bool:
    """Tell whether a blob is a row of length-prefixed strings to its last byte, as RFC 4251, section 5, has it."""
    at = 0
    while at < len(blob):
        at += 4 + int.from_bytes(blob[at : at + 4], "big")
    return at == len(blob)


def key_material(line: str) -> str:
    """Return type and blob without the comment: what makes two lines the same key."""
    return " ".join(line.split(" ")[:2])


def is_example(line: str) -> bool:
    """Tell whether a key is an example's: its last 32 bytes are all the same, which no real key's are."""
    return len(set(base64.b64decode(line.split(" ")[1])[-32:])) == 1
