"""The one family of errors a user is meant to see."""


class SpicebridgeError(Exception):
    """A foreseen problem, told in plain words: what went wrong, where, and the next step.

    The command line prints the message after "Error: " and exits with status 1; a library
    caller may catch it. Anything else that escapes is a defect of ours and keeps its traceback.
    """
