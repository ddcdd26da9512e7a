"""What is logged in a job is kept with its attempt."""

from __future__ import annotations

import logging

from .context import current

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"), (logging.DEBUG, "debug"))


class LogHandler(logging.Handler):
    """Keeps what a job logs with its attempt: `logging.getLogger().addHandler(gristmill.LogHandler())`.

    What is logged elsewhere, and by this package itself, is left aside.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`."""
        context = current.get()
        if context is None or record.name == "gristmill":
            return
        try:
            level = next((name for least, name in _LEVELS if record.levelno >= least), "trace")
            context.log(self.format(record), level)
        except Exception:
            self.handleError(record)
