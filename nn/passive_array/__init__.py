"""System B: binary two-layer perceptrons on passive MTJ arrays: train, place, write, read, tune, judge.

Goodwill et al. are known to us by their abstract; topology, sizes and tuning here are our reconstruction.
"""
