"""The words of the rules; equal to those of the contracts, which the rules do not import to stay free of libraries."""

from typing import Literal

HazardGrade = Literal["critical", "serious", "general"]
HazardStatus = Literal["found", "notified", "confirmed", "rectified", "verified", "closed", "voided"]
