"""What people declare about an examination: read from files, matched, stored, and found again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbsnode.model import ClinicalContext, InstanceIdentity
    from tbsnode.pipeline.site import Site


def context_of(site: Site, identity: InstanceIdentity) -> ClinicalContext | None:
    """Return what was declared for an examination: of its accession number, else of its patient."""
    del site, identity
    return None
