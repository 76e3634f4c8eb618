"""Words by which ngspice says that a run went wrong, as parts of regular expressions; case does not count."""

from __future__ import annotations

# It found no solution: what convergence aids are for (see convergence.py).
UNSOLVED = r"singular matrix|timestep too small|no convergence|iteration limit"
# The circuit that ran is not the one that was meant, though ngspice may call it a warning.
ALTERED = r"unrecognized parameter|unknown parameter|not a valid \w+ instance line|non-increasing pwl"
# It gave up.
ABORTED = r"simulation\(s\) aborted"
