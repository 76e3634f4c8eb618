"""The three arms of every experiment: on the tables, ideal discrete, floating point.

All share the data, the topology, the batches, the epochs and the loop; an arm is what differs.
"""

from __future__ import annotations

from dataclasses import dataclass

from nn.blind import blind_update
from nn.experiment import Experiment
from nn.network import RELU, Activation, ternary_activation
from nn.synapse import SynapseDevice
from nn.update import FloatUpdate, TanhUpdate, UpdateRule, pulsed_update

ARMS = ("table", "ideal", "float")
"""``table``: the MTJ's own draw; ``ideal``: GXNOR with tanh in software; ``float``: float weights and
ReLU."""


@dataclass(frozen=True)
class Arm:
    """What differs between arms.

    Attributes:
        rule: how increments move the weights.
        activation: of the hidden layers.
        rate_start, rate_end: Adam's rate for the weights, exponential between them.
    """

    rule: UpdateRule
    activation: Activation
    rate_start: float
    rate_end: float


def arm_of(experiment: Experiment, name: str, device: SynapseDevice) -> Arm:
    """The arm ``name`` (one of ``ARMS``) of an experiment."""
    if name == "float":
        return Arm(FloatUpdate(), RELU, experiment.float_rate_start, experiment.float_rate_end)
    rule: UpdateRule
    if name == "ideal":
        rule = TanhUpdate(experiment.steepness)
    elif experiment.encoding == "blind":
        rule = blind_update(device, steepness=experiment.steepness)
    else:
        rule = pulsed_update(device, encoding=experiment.encoding, steepness=experiment.steepness)
    activation = ternary_activation(window=experiment.zero_window, half_width=experiment.derivative_width)
    return Arm(rule, activation, experiment.rate_start, experiment.rate_end)
