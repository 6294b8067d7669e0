"""Runs as members of sweeps: identity, plan, execution."""

from mimbench.sweeps.identity import identity
from mimbench.sweeps.manifest import PlannedRun, merge_manifest
from mimbench.sweeps.pool import Job, JobResult, run_jobs

__all__ = ["Job", "JobResult", "PlannedRun", "identity", "merge_manifest", "run_jobs"]
