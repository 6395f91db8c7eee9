"""Bytes to `Batch`: limits, validation with a reason for each event that is refused, redaction again."""

from brakit_server.ingest.decoding import MAX_BYTES, Refused, inflate
from brakit_server.ingest.outcome import Outcome, Rejection
from brakit_server.ingest.parts import ACCEPTS
from brakit_server.ingest.payload import forget, read

__all__ = ["ACCEPTS", "MAX_BYTES", "Outcome", "Refused", "Rejection", "forget", "inflate", "read"]
