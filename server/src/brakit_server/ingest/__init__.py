"""Bytes to `Batch`: limits, validation with a reason for each event that is refused, redaction again."""

from brakit_server.ingest.decoding import MAX_BYTES, Refused, inflate
from brakit_server.ingest.parts import ACCEPTS
from brakit_server.ingest.payload import Outcome, Rejection, read

__all__ = ["ACCEPTS", "MAX_BYTES", "Outcome", "Refused", "Rejection", "inflate", "read"]
