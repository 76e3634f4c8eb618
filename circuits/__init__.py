"""Circuits: testbenches built from the netlists, and what is measured on them."""
