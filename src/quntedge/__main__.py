"""`python -m quntedge` is the same as `quntedge`."""

import signal

# Loading everything takes a moment; Ctrl-C in that moment ends the program and needs no traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from quntedge.cli import main  # noqa: E402

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
