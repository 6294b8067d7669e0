"""The states of a run in plans, status tables, records and reports."""

from enum import StrEnum


class State(StrEnum):
    """The state of a run.

    A record contains RUNNING, FINISHED, FAILED or INTERRUPTED; the other states follow from the plan of the sweep, the
    lock, the log and SLURM.
    """

    PLANNED = "planned"  # not started
    QUEUED = "queued"  # its SLURM job waits
    RUNNING = "running"
    INTERRUPTED = "interrupted"  # ended by a signal; continues from its checkpoint
    FINISHED = "finished"
    FAILED = "failed"  # ended with an error
    LOST = "lost"  # ended without recording why, or its record cannot be read
    REFUSED = "refused"  # its configuration cannot work


RECORDED = (State.RUNNING, State.FINISHED, State.FAILED, State.INTERRUPTED)
