"""How to install the packages that only some parts need."""

EXTRAS = ("hub", "jpeg", "optuna", "shards", "slurm", "tensorboard")
"""The extras of `pyproject.toml` for users."""


def how_to_install(extra: str) -> str:
    """Returns the commands that install an extra; mimbench is on no package index, so pip needs its address."""
    return (
        f"`make install EXTRAS={extra}` in a checkout, or pip install 'mimbench[{extra}] @ ADDRESS' with the git+ or "
        "file:// address of mimbench"
    )
