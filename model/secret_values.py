"""Tell a secret by how it is written, so that none gets into git and no message repeats one.

Two sets of rules: marks of DigitalOcean and others that no detector knows, and those of detect-secrets (Yelp,
Apache-2.0) that are a format and not a guess: its measures of randomness would take a digest for a secret.
detect-secrets takes 0.2 to 0.6 s to import, as long as half a synth, so it is imported only where a text has a run of
characters as long as a token's. An ordinary setting such as `info` has none.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from inspect import isclass
from typing import Any

HIDDEN = "(a value that is not shown here)"
"""Stands in a message for what may be a secret: messages end up in CI's logs."""

PRIVATE_HALF = (
    "This is the private half of a key of age: anybody who saw it can read what is encrypted for it. Make another key, "
    "and give its public half, which begins with `age1`."
)
"""What to do about one that stands where its public half belongs."""

# An address with a password in it (RFC 3986, section 3.2.1); DigitalOcean's tokens and Spaces keys (its documentation,
# "Personal access tokens" and "Spaces access keys"); AWS's access keys; PEM, in which OpenSSH, PGP and PKCS #8 write
# private keys; PuTTY's own form. GitHub's fine-grained tokens, Docker Hub's tokens, Google's API keys, Slack's app
# tokens and Anthropic's keys by the prefixes that their makers document. What `docker login` keeps of a registry.
# The secret of a Spaces key has no documented form: a field for a public key repeats nothing else (model/errors.py,
# `shown_recipient`).
_MARKS = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@|\bdo[oprt]_v1_[0-9a-f]{8}|\bDO(?=[A-Z]*[0-9])[0-9A-Z]{18}\b"
    r"|\bA(?:KIA|SIA)[0-9A-Z]{16}\b|-----BEGIN|\bgithub_pat_[0-9A-Za-z_]{22}|\bAIza[0-9A-Za-z_-]{35}"
    r"|\bxapp-[0-9]-[0-9A-Z]+|\bsk-ant-[0-9A-Za-z_-]{20}|\b[rs]k_(?:live|test)_[0-9A-Za-z]{8}"
    r"|\bwhsec_[0-9A-Za-z]{16}|\bglpat-[0-9A-Za-z_-]{16}|:_authToken=."
    r"|\bdckr_(?:pat|oat)_[0-9A-Za-z_-]{8}|\bPuTTY-User-Key-File-|\"auth\"\s*:\s*\"[0-9A-Za-z+/]{8}"
)
# age's specification, "The X25519 recipient type", and the tool's README on post-quantum keys and plugins. Bech32 may
# be written in small letters as well.
_PRIVATE_OF_AGE = re.compile(r"\bAGE-(?:SECRET-KEY|PLUGIN)-", re.IGNORECASE)

# One of these is in every text that a mark is in. To look for them takes a hundredth of the time.
_HINTS = (
    "://", "_v1_", "AKIA", "ASIA", "-----BEGIN", "github_pat_", "AIza", "xapp-", "sk-ant-", "k_live_",
    "k_test_", "whsec_", "glpat-", "_authToken=",
    "dckr_", "PuTTY-", '"auth"',
)  # fmt: skip

# The shortest run in a format that detect-secrets knows has 20 characters (AWS's access keys, parts of a JWT). A run
# without any digit is a name or a sentence.
_LONG_ENOUGH = re.compile(r"(?=[A-Za-z_=+-]*[0-9])[0-9A-Za-z_=+-]{20}")

# Long runs that are public: a tenant's id, an image's digest, the middle part of a public key (RFC 4253, section 6.6:
# it begins with the length of its type's name, three bytes of which are 0).
_PUBLIC = re.compile(
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\bsha256:[0-9a-f]{64}\b|\bAAAA[0-9A-Za-z+/]{40,}={0,2}"
)

# Certificates (RFC 7468, section 5.1), and nothing beside them: a private key has another label.
CERTIFICATES_PATTERN = (
    r"^(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,76}\n)+-----END CERTIFICATE-----\n?)+$"
)
_CERTIFICATES = re.compile(CERTIFICATES_PATTERN)

_PEM = "-----BEGIN"

_WORD = re.compile(r"\S+")
# What a person puts around a value: it stays where the value is taken out.
_AROUND = "'\"`.,;:()[]{}"

# A guess: addresses are no secrets. The rules on randomness and on names are of another class.
_GUESSES = frozenset({"Public IP (ipv4)"})


def is_secret(text: str) -> bool:
    """Tell whether a text has the format of a known kind of secret."""
    if not may_be_secret(text) or _CERTIFICATES.search(text):
        return False
    return bool(_MARKS.search(text)) or is_private_half(text) or any(any(find(text)) for find in _detectors())


def may_be_secret(text: str) -> bool:
    """Tell fast whether a text, of any length, needs the closer look of `is_secret`: a megabyte takes 20 ms."""
    return (
        any(hint in text for hint in _HINTS)
        or is_private_half(text)
        or bool(_LONG_ENOUGH.search(_PUBLIC.sub(" ", text)))
    )


def is_private_half(text: str) -> bool:
    """Tell whether a text has a private key of age, or the beginning of one."""
    return bool(_PRIVATE_OF_AGE.search(text))


def redacted(text: str) -> str:
    """Return a text in which `HIDDEN` stands for each word that is a secret."""
    if not is_secret(text):
        return text
    told = _WORD.sub(_word, text)
    # A secret of several words has no word that could stay. Of a key in PEM, the first words are what tells it, and the
    # others are the key.
    return HIDDEN if is_secret(told) or _PEM in text else told


def _word(found: re.Match[str]) -> str:
    word = found.group()
    if not is_secret(word):
        return word
    start, end = len(word) - len(word.lstrip(_AROUND)), len(word.rstrip(_AROUND))
    return f"{word[:start]}{HIDDEN}{word[end:]}"


@cache
def _detectors() -> tuple[Callable[[str], Iterable[str]], ...]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415
    from detect_secrets.plugins.base import RegexBasedDetector  # noqa: PLC0415

    kinds: Mapping[str, Callable[[], Any]] = get_mapping_from_secret_type_to_class()
    return tuple(
        kind().analyze_string
        for name, kind in kinds.items()
        if isclass(kind) and issubclass(kind, RegexBasedDetector) and name not in _GUESSES
    )
