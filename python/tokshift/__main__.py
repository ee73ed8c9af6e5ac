"""`python -m tokshift` runs the program."""

import os
import subprocess
import sys

from tokshift import find_tokshift_bin

if __name__ == "__main__":
    command = [find_tokshift_bin(), *sys.argv[1:]]
    if sys.platform == "win32":
        sys.exit(subprocess.run(command).returncode)
    # The program takes this process's place, so that signals and exit codes are its own.
    os.execv(command[0], command)
