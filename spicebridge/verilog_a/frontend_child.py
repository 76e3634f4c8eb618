"""The front end's side of the fence: run as a program, print what openvaf-py says about the files named.

A program of its own because the front end is native code: it may abort, or take all the memory there is.
It imports nothing of this package, so that it starts quickly. Usage: frontend_child.py FILE...
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    """Print a JSON list with one entry per file, each a list of modules."""
    import openvaf_py

    files = [[described(module) for module in openvaf_py.compile_va(path)] for path in sys.argv[1:]]
    json.dump(files, sys.stdout)


def described(module: Any) -> dict[str, Any]:
    """All that the code generator needs to know about one module."""
    init = zip(module.init_param_kinds, module.init_param_names, module.init_param_value_indices, strict=True)
    return {
        "name": module.name,
        "params": list(zip(module.param_kinds, module.param_names, strict=True)),
        "param_values": module.get_all_func_params(),
        "init_params": list(init),
        "callbacks": module.callback_names,
        "collapsible": module.collapsible_pairs,
        "eval": module.get_mir_instructions(),
        "init": module.get_init_mir_instructions(),
        "strings": module.get_str_constants(),
        "dae": module.get_dae_system(),
        "descriptor": module.get_osdi_descriptor(),
        "num_states": module.num_states,
    }


if __name__ == "__main__":
    main()
