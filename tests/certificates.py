"""A test authority and certificates of it: for the node, for a peer, expired, and of a stranger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from tbsnode.model import TlsFiles


@dataclass(frozen=True)
class Pem:
    """One certificate with its key, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """An authority that signs certificates into a folder."""

    folder: Path
    ca: Path
    maker: trustme.CA

    def issue(self, name: str, *identities: str, days: int = 365) -> Pem:
        """Sign a certificate for `name` and further identities; a negative number of days: expired."""
        until = datetime.now(UTC) + timedelta(days=days)
        made = self.maker.issue_cert(*identities or (name,), common_name=name, not_after=until)
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        key.chmod(0o600)
        return Pem(certificate, key)

    def files(self, pem: Pem, *, ca: Path | None = None, verify_host: bool = True) -> TlsFiles:
        """Return what one side of a connection needs."""
        return TlsFiles(certificate=pem.certificate, key=pem.key, ca=ca or self.ca, verify_host=verify_host)


def authority(folder: Path) -> Authority:
    """Make an authority with files in a new folder."""
    folder.mkdir(parents=True)
    maker = trustme.CA()
    ca = folder / "ca.crt"
    ca.write_bytes(maker.cert_pem.bytes())
    return Authority(folder, ca, maker)
