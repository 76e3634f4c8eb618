"""Characterisation: sweeps of circuits into lookup tables."""
