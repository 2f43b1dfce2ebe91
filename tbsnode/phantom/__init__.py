"""Densitometry phantoms with known geometry and texture; import the modules."""
