"""The array types of the NumPy bank."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Float32s = NDArray[np.float32]
States = NDArray[np.int8]
Levels = NDArray[np.uint8]
Labels = NDArray[np.int64]
