"""The authority that signs database clusters' certificates, as every account at DigitalOcean has one."""

import base64
import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = datetime.timedelta(days=3650)
_KEY, _CERTIFICATE = "authority_key", "authority_certificate"

_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    form, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, nothing).decode()


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + LIFETIME)
    )


class Authority:
    """Signs; made when first needed, and kept among the account's secrets."""

    NAME = "Local DigitalOcean Project CA"

    def __init__(self, secrets: dict[str, str]) -> None:
        self._secrets = secrets

    @property
    def certificate(self) -> str:
        """The authority's own certificate, in PEM."""
        if _CERTIFICATE not in self._secrets:
            key = ec.generate_private_key(ec.SECP256R1())
            builder = _builder(self.NAME, self.NAME, key)
            # As DigitalOcean's own (the example in its OpenAPI document): the constraints are not critical, which
            # Python from 3.13 on refuses unless VERIFY_X509_STRICT is taken away.
            certificate = (
                builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=False)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
                .add_extension(_SIGNS, critical=False)
                .sign(key, hashes.SHA256())
            )
            self._secrets[_KEY] = _pem(key)
            self._secrets[_CERTIFICATE] = certificate.public_bytes(serialization.Encoding.PEM).decode()
        return self._secrets[_CERTIFICATE]

    def encoded(self) -> str:
        """The certificate as the API answers it: PEM in base64."""
        return base64.b64encode(self.certificate.encode()).decode()

    def sign(self, address: str) -> tuple[str, str]:
        """Return a new certificate for an address, and its key, both in PEM."""
        _ = self.certificate
        own = serialization.load_pem_private_key(self._secrets[_KEY].encode(), password=None)
        if not isinstance(own, ec.EllipticCurvePrivateKey):
            raise TypeError("the authority's key is not one of ours")
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        builder = _builder(address, self.NAME, key).add_extension(names, critical=False)
        certificate = builder.sign(own, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode(), _pem(key)
