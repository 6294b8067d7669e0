"""Memory of a process that trains on a CPU."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from mimbench.training.allocation import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
for turn in range(12):
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(2**26, dtype=torch.uint8).fill_(turn)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_tensor_like_the_one_before_faults_no_page():
    def faults(keep: bool) -> int:
        return int(subprocess.check_output([sys.executable, "-c", FAULTS.format(keep=keep)]))

    assert faults(keep=True) < faults(keep=False) / 4  # the system may take a page or two away in between
