"""The model types of ngspice's own: what a ``.model`` card may name without any Verilog-A model.

ngspice looks among these first, in any case of letters, and takes a card of a Verilog-A module with one of
these names for its own. Measured with ngspice 46: what ``devhelp`` lists, and words that its parser takes.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# ngspice's own devices and XSPICE's code models, without those that open files or sockets or run programs.
HARMLESS_TYPES = _words(
    """
    c cap csw cpl d l ltra nhfet njf nmf nmos npn nsoi phfet pjf pmf pmos pnp psoi r res sw txl
    urc vdmos vdmosn vdmosp adc_bridge aswitch bidi_bridge capacitoric climit cmeter core cpline
    cpmlin d_and d_buffer d_dff d_dlatch d_dt d_fdiv d_genlut d_inverter d_jkff d_lut d_nand
    d_nor d_open_c d_open_e d_or d_osc d_pulldown d_pullup d_pwm d_ram d_srff d_srlatch d_tff
    d_to_real d_tristate d_xnor d_xor dac_bridge delay divide gain hyst ilimit inductoric int
    lcouple limit lmeter memristor mlin msopen mult multi_input_pwl oneshot ota potentiometer
    pswitch pwl pwlts real_delay real_gain real_to_v s_xfer sidiode sine slew spice2poly square
    summer tline triangle zener
    """
)
# Those that do.
FILE_TYPES = _words(
    """
    filesource table2d table3d xfer d_source d_state d_process d_cosim ndev numd numd2 nbjt nbjt2
    numos
    """
)
# Devices by their own names, which a deck has no use for: its element lines and levels choose among them.
_DEVICES = _words(
    """
    asrc b3soidd b3soifd b3soipd b4soi bjt bsim1 bsim2 bsim3 bsim3v0 bsim3v1 bsim3v32 bsim4
    bsim4v5 bsim4v6 bsim4v7 capacitor cccs ccvs cpllines cswitch diode hfet1 hfet2 hicum2
    hisim2 hisimhv1 hisimhv2 inductor isource jfet jfet2 lpnp mes mesa mos1 mos2 mos3 mos6 mos9
    mutual resistor soi3 switch tranline transline vbic vccs vcvs vsource astate seegen
    """
)
# ``cap`` is ngspice's word in no card.
_TAKEN = (HARMLESS_TYPES | FILE_TYPES | _DEVICES) - {"cap"}


def type_of_module(module: str) -> str:
    """The model type by which ngspice knows a Verilog-A module: its name, or ours where that is taken."""
    return f"va_{module}" if module.lower() in _TAKEN else module
