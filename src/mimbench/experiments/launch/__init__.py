"""Where the runs of a sweep are executed: processes on this machine, or SLURM."""
