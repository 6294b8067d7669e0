"""What a GPU is asked, in three stages: `python -m benchmarks.gpu correct`, `fast` and `science`.

A stage is a list of checks. Each runs in a process of its own, and its result is in `STAGE.json` before the next one
begins. A stage ends within its budget of time, and a second call goes on where the first one stopped.
"""
