"""tbsnode: a DICOM node that returns a trabecular texture score for every AP-spine DXA study."""

__version__ = "0.1.0"
