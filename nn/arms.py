"""The arms of every experiment: on the tables, ideal, floating point, and the tables with one effect more.

All share the data, the topology, the batches, the epochs and the loop; an arm is what differs.
"""

from __future__ import annotations

from dataclasses import dataclass

from nn.blind import blind_update
from nn.experiment import Experiment
from nn.network import RELU, Activation, ternary_activation
from nn.readout import Readout, readout_of
from nn.synapse import SynapseDevice
from nn.update import FloatUpdate, TanhUpdate, UpdateRule, pulsed_update

ARMS = ("table", "ideal", "float", "table_read", "table_spread")
"""``table``: the MTJ's own draw; ``ideal``: GXNOR with tanh in software; ``float``: float weights and ReLU;
``table_read``: ``table`` with the read table's currents through ADCs; ``table_spread``: ``table`` with MTJs
that differ. An arm's place seeds its draws: new ones come last."""

EFFECTS = ("table_read", "table_spread")
"""The arms that add one effect to ``table``."""


@dataclass(frozen=True)
class Arm:
    """What differs between arms.

    Attributes:
        rule: how increments move the weights.
        activation: of the hidden layers.
        rate_start, rate_end: Adam's rate for the weights, exponential between them.
        read: how column sums are read, in training and in tests; None for the ideal product.
        spread: of the write, device to device, standard deviation of ln(P_switch).
    """

    rule: UpdateRule
    activation: Activation
    rate_start: float
    rate_end: float
    read: Readout | None = None
    spread: float = 0.0


def arm_of(experiment: Experiment, name: str, device: SynapseDevice) -> Arm:
    """The arm ``name`` (one of ``ARMS``) of an experiment.

    Raises:
        SpicebridgeError: arm ``table_read`` of a table without currents.
    """
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
    return Arm(
        rule,
        activation,
        experiment.rate_start,
        experiment.rate_end,
        read=experiment_readout(experiment, device) if name == "table_read" else None,
        spread=experiment.write_spread if name == "table_spread" else 0.0,
    )


def experiment_readout(experiment: Experiment, device: SynapseDevice) -> Readout:
    """The readout of arm ``table_read``, on the tiles and with the bits that the accounting counts.

    Raises:
        SpicebridgeError: the read table has no currents.
    """
    return readout_of(
        device,
        tile=experiment.tile,
        planes=experiment.input_bits,
        bits=experiment.adc_bits,
        share=experiment.adc_range,
    )
