"""What WeChat leaves open or does by chance, as settings that a test or a demo changes while the sandbox runs."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PushMode = Literal["encrypted", "compatible", "plain"]
JobStatus = Literal["success", "failed:user block", "failed: system failed", "failed:freq limit"]


class Behaviour(BaseModel):
    """Delays in seconds of the virtual clock, except `push_timeout_s` and `push_retry_gap_s`, which are real."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    callback_url: str | None = Field(default=None, pattern=r"^https?://(127\.0\.0\.1|localhost)(:\d+)?/")
    push_mode: PushMode = "encrypted"
    push_format: Literal["xml", "json"] = "xml"
    push_time: Literal["virtual", "wall"] = Field(default="virtual", description="what the signed timestamp follows")
    push_timeout_s: float = Field(default=5.0, gt=0, le=60)
    push_attempts: int = Field(default=3, ge=1, le=10)
    push_retry_gap_s: float = Field(default=1.0, ge=0, le=60)

    receipt_delay_s: float = Field(default=0.3, ge=0)
    receipt_jitter_s: float = Field(default=0.0, ge=0, description="more than the gap between sends reorders receipts")
    receipt_loss: float = Field(default=0.0, ge=0, le=1)
    receipt_double: float = Field(default=0.0, ge=0, le=1)
    receipt_before_answer: bool = False
    receipt_statuses: dict[JobStatus, float] = Field(default={"success": 1.0}, min_length=1)
    next_statuses: list[JobStatus] = Field(default=[], description="taken first, in this order")

    duplicate_answer: Literal["same_msgid", "error"] = "same_msgid"
    duplicate_errcode: int = 45065
    classic_overlap_s: float = Field(default=10.0, ge=0)
