"""The arms of mixed-precision training: everything on, the float baseline, and one effect off at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What an arm trains with.

    Attributes:
        about: in words.
        memory: what holds the weights: ``pcm`` pairs, ``ideal`` devices (each pulse moves the weight by
            exactly epsilon, without a limit), or ``float`` numbers.
        gathered: whether updates are gathered in chi until they make a pulse.
        refresh: whether pairs that saturate are RESET and programmed anew.
        noise: read noise, and the spread of pulses and RESETs.
        drift: whether conductances fall with age.
        converters: whether inputs and outputs are quantised.
    """

    about: str
    memory: str = "pcm"
    gathered: bool = True
    refresh: bool = True
    noise: bool = True
    drift: bool = True
    converters: bool = True


ARMS = {
    "table": Arm(about="PCM pairs as the tables have them, every effect on"),
    "float": Arm(
        about="the same network in floating point",
        memory="float", gathered=False, refresh=False, noise=False, drift=False, converters=False,
    ),
    "ideal": Arm(
        about="chi with an ideal device: every pulse moves the weight by epsilon, nothing else happens",
        memory="ideal", refresh=False, noise=False, drift=False, converters=False,
    ),
    "without_chi": Arm(
        about="each update rounded to pulses at once, up or down at random so that the mean is right",
        gathered=False,
    ),
    "without_refresh": Arm(about="pairs that saturate are left so", refresh=False),
    "without_noise": Arm(about="no read noise, every pulse and RESET does its mean", noise=False),
    "without_drift": Arm(about="conductances stay as at the tables' reference age", drift=False),
}  # fmt: skip
FULL = ("table", "float")  # arms that get every seed
