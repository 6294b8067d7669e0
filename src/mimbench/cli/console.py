"""A console for tables whose reader may close the pipe."""

import rich.console


class Console(rich.console.Console):
    """Rich's console; a closed pipe raises BrokenPipeError, which `mimbench.cli.main` answers for all commands."""

    def on_broken_pipe(self) -> None:
        """Raises the error that rich is handling, instead of ending the program with status 1."""
        self.quiet = True
        raise BrokenPipeError
