"""JSON log lines. Only the members listed here are written: no payloads, so no personal data."""

import json
import logging
import sys
from datetime import UTC, datetime

_EXTRA = ("service", "event_id", "event_type", "cause_id", "trace", "topic", "partition", "offset", "job", "outcome")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: str(getattr(record, name)) for name in _EXTRA if hasattr(record, name)})
        if record.exc_info and record.exc_info[0]:
            # Frames without the exception's text: database drivers put row values into their messages.
            line["error"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            frames = []
            while trace is not None:
                frames.append(f"{trace.tb_frame.f_code.co_filename.rsplit('/', 2)[-1]}:{trace.tb_lineno}")
                trace = trace.tb_next
            line["where"] = " > ".join(frames[-6:])
            line["reason"] = str(record.exc_info[1]).split("\n", 1)[0].split("DETAIL", 1)[0][:300]
        return json.dumps(line, ensure_ascii=False)


def configure(*, level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("aiokafka", "uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
