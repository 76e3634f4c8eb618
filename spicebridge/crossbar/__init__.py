"""Passive crossbars solved exactly: any size, any wiring, linear or with bias-dependent MTJs.

A cell is a word-line node and a bit-line node with a device between them. Word lines are driven from the
left, bit lines are sensed at the bottom:

    driver - r_source - r_word - node - r_word - node - ...      along a word line
    node - r_bit - node - ... - r_bit - r_sense - terminal       down a bit line, terminal at 0 V to read

The convention is badcrossbar's, with source, sense and leakage added.
"""

from spicebridge.crossbar.junctions import Devices, Junctions, Spread, draw_devices
from spicebridge.crossbar.linear import LinearArray, Solution, factorize, transfer_matrix
from spicebridge.crossbar.nonlinear import solve_junctions
from spicebridge.crossbar.wiring import CrossbarError, Wiring

__all__ = [
    "CrossbarError",
    "Devices",
    "Junctions",
    "LinearArray",
    "Solution",
    "Spread",
    "Wiring",
    "draw_devices",
    "factorize",
    "solve_junctions",
    "transfer_matrix",
]
