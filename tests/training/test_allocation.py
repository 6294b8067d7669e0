"""Memory allocation of a process that trains on a CPU."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from mimbench.training.allocation import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def repeated(count):
    before = faults()
    for turn in range(count):
        torch.zeros(2**26, dtype=torch.uint8).fill_(turn)
    return faults() - before
repeated(2)
print(min(repeated(10) for _ in range(3)))  # the system may reclaim pages in between
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_tensor_of_the_same_size_causes_no_page_faults():
    def faults(keep: bool) -> int:
        return int(subprocess.check_output([sys.executable, "-c", FAULTS.format(keep=keep)]))

    assert faults(keep=True) < 10 < faults(keep=False)
