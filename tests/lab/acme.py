"""Pebble, a real ACME server: its own HTTPS under a lab authority, its answers from the lab's DNS."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .config import LabConfig
from .engine import install

ENVIRONMENT = {
    # No made-up waiting before validation.
    "PEBBLE_VA_NOSLEEP": "1",
    # Pebble turns down one nonce in twenty on purpose; a real client retries, and so must ours.
    "PEBBLE_WFE_NONCEREJECT": "5",
}


def command(config: LabConfig) -> list[str]:
    install({"pebble": "pebble"})
    _make_authority(config)
    folder = config.folder
    settings = {
        "pebble": {
            "listenAddress": f"{config.gateway}:{config.acme_port}",
            "managementListenAddress": f"{config.gateway}:{config.acme_management_port}",
            "certificate": str(folder / "acme.pem"),
            "privateKey": str(folder / "acme.key"),
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
    }
    path = folder / "acme.json"
    path.write_text(json.dumps(settings))
    return ["pebble", "-config", str(path), "-dnsserver", f"{config.gateway}:{config.dns_port}"]


def save_root(config: LabConfig) -> None:
    """Keeps the root that signs what this Pebble issues: it makes a new one at each start."""
    context = ssl.create_default_context(cafile=str(config.ca_file))
    url = f"https://{config.gateway}:{config.acme_management_port}/roots/0"
    with urllib.request.urlopen(url, timeout=5, context=context) as answer:
        config.acme_root_file.write_bytes(answer.read())


def _make_authority(config: LabConfig) -> None:
    if config.ca_file.exists():
        return
    now = datetime.datetime.now(datetime.UTC)
    names = {kind: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kind)]) for kind in ("lab CA", "lab ACME server")}
    keys = {kind: ec.generate_private_key(ec.SECP256R1()) for kind in names}

    def certificate(kind: str) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(names[kind])
            .issuer_name(names["lab CA"])
            .public_key(keys[kind].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            # Python 3.13 accepts no chain without them.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[kind].public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys["lab CA"].public_key()), critical=False
            )
        )

    usage = dict.fromkeys(
        [
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    authority = (
        certificate("lab CA")
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**{**usage, "key_cert_sign": True}), critical=True)
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(config.gateway))])
    server = certificate("lab ACME server").add_extension(address, critical=False)
    pem = serialization.Encoding.PEM
    signer = keys["lab CA"]
    folder = config.folder
    key_file = folder / "acme.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        keys["lab ACME server"].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "acme.pem").write_bytes(server.sign(signer, hashes.SHA256()).public_bytes(pem))
    config.ca_file.write_bytes(authority.sign(signer, hashes.SHA256()).public_bytes(pem))
