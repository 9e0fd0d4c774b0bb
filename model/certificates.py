"""Certificates that operators write into their files, as PEM."""

import re
import ssl
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from model.secret_values import CERTIFICATES_PATTERN

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----")


def _readable(text: str) -> str:
    """Return the text if each of its blocks is a certificate; the marks alone say nothing."""
    blocks = _BLOCK.findall(text)
    for number, block in enumerate(blocks, 1):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
                cadata=ssl.PEM_cert_to_DER_cert(block)
            )
        except (ssl.SSLError, ValueError):
            # A cut one reads as Base64 all the same, so the cause is the same for the operator.
            raise ValueError(
                f"certificate {number} of {len(blocks)} cannot be read. It may be cut, or be no certificate: "
                "`openssl x509 -in FILE -noout -subject` reads one. Copy its file again, whole"
            ) from None
    return text


Certificates = Annotated[
    str, StringConstraints(pattern=CERTIFICATES_PATTERN, max_length=20_000), AfterValidator(_readable)
]
"""One or more, and nothing beside them."""
