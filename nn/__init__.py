"""The NumPy bank: layers, update rules and training on lookup tables.

It meets the SPICE bank only in ``spicebridge.table.LookupTable`` and never imports PySpice.
"""
