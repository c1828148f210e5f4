"""What our logs leave out."""

from __future__ import annotations

import logging


class WithoutTrace(logging.Filter):
    """Keeps the line and drops the trace: for loggers whose errors are about others, and come in rows."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        # Celery puts a formatted stack into the arguments, as the last of them.
        message = record.getMessage().partition("\n")[0]
        record.msg, record.args = message, ()
        return True
