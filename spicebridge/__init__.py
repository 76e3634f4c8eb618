"""The bridge between SPICE and NumPy: simulator, Verilog-A, lookup tables, energy, lineage, command line."""
