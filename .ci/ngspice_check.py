"""Check that an ngspice with OSDI is here: the shared library, and the ngspice program for decks run by hand.

Asked of ngspice itself, since a version number does not tell: a build without OSDI does not know the command.
Prints where the library was found and exits 0, or prints what is wrong and exits 1. Standard library only.
"""

import ctypes
import ctypes.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LOCAL = Path(__file__).resolve().parent.parent / ".local"
COMMAND = "osdi /nonexistent.osdi"
REFUSAL = "no such command"
PRINT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)


def library() -> str | None:
    """Where the library is, in the order the product looks for it."""
    chosen = os.environ.get("NGSPICE_LIBRARY_PATH")
    unpacked = sorted(LOCAL.glob("**/libngspice.so.0"))
    return chosen or (str(unpacked[0]) if unpacked else ctypes.util.find_library("ngspice"))


def library_words(path: str) -> str:
    """What the library says to the command."""
    words: list[str] = []

    def keep(line: bytes, _identity: int, _user: object) -> int:
        words.append(line.decode(errors="replace"))
        return 0

    callback = PRINT(keep)
    ngspice = ctypes.CDLL(path)
    ngspice.ngSpice_Init(callback, None, None, None, None, None, None)
    ngspice.ngSpice_Command(COMMAND.encode())
    return "\n".join(words)


def program_words(path: str) -> str:
    """What the program says to the command."""
    with tempfile.TemporaryDirectory() as folder:
        deck = Path(folder, "check.cir")
        deck.write_text(f"* does this ngspice have OSDI?\n.control\n{COMMAND}\nquit 0\n.endc\n.end\n")
        run = subprocess.run([path, "-b", str(deck)], capture_output=True, text=True, timeout=60)
    return run.stdout + run.stderr


def main() -> int:
    """The whole check; the exit status."""
    path = library()
    if path is None:
        print("no libngspice was found")
        return 1
    try:
        words = library_words(path)
    except OSError as error:
        print(f"{path} does not load: {error}")
        return 1
    if REFUSAL in words:
        print(f"{path} was built without OSDI")
        return 1
    unpacked = LOCAL / "usr/bin/ngspice"
    program = str(unpacked) if unpacked.exists() else shutil.which("ngspice")
    if program is None:
        print(f"{path} is there, but no ngspice program on the PATH")
        return 1
    if REFUSAL in program_words(program):
        print(f"{program} was built without OSDI")
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
