"""Runs a command and prints, as the last line, its seconds and its peak memory.

    peak_memory.py COMMAND [ARGUMENT …]
"""

import resource
import subprocess
import sys
import time

start = time.perf_counter()
code = subprocess.run(sys.argv[1:], check=False).returncode
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{seconds:.1f} s, peak memory {peak:.0f} MiB")
sys.exit(code)
