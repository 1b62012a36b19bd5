"""Temporary media: uploaded by the account or sent by a person, kept three days of the virtual clock."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from deploy.wechat_sandbox.answers import Refused
from deploy.wechat_sandbox.clock import VirtualClock
from deploy.wechat_sandbox.forms import read_form

LIFE_S = 3 * 86_400.0
MOST_BYTES = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "thumb": 64 << 10}
_TYPES = {
    "image": ("image/png", "image/jpeg", "image/gif"),
    "voice": ("audio/amr", "audio/mpeg"),
    "video": ("video/mp4",),
    "thumb": ("image/jpeg",),
}


@dataclass(frozen=True)
class Stored:
    content_type: str
    content: bytes
    ends_at_s: float


class MediaDesk:
    def __init__(self, *, clock: VirtualClock) -> None:
        self._clock = clock
        self._stored: dict[str, Stored] = {}

    def put(self, *, kind: str, content_type: str, content: bytes) -> str:
        """The media_id. Raises `Refused` 40004, 40005, 40006 or 45001."""
        if kind not in MOST_BYTES:
            raise Refused(40004, "invalid media type")
        if content_type not in _TYPES[kind]:
            raise Refused(40005, "invalid file type")
        if not content:
            raise Refused(40006, "invalid media size")
        if len(content) > MOST_BYTES[kind]:
            raise Refused(45001)
        media_id = f"sandbox-media-{len(self._stored) + 1:08d}"
        self._stored[media_id] = Stored(content_type, content, self._clock.seconds() + LIFE_S)
        return media_id

    def get(self, *, media_id: str | None) -> Stored:
        """Raises `Refused` 40007 for what never was or is three days old."""
        stored = self._stored.get(media_id or "")
        if stored is None or stored.ends_at_s <= self._clock.seconds():
            raise Refused(40007)
        return stored

    async def upload(self, request: Request, raw: bytes) -> dict[str, Any]:
        """Raises `Refused` 41005 without a part named media, else as `put`."""
        kind = request.query_params.get("type", "")
        part = read_form(content_type=request.headers.get("content-type", ""), raw=raw).get("media")
        if part is None:
            raise Refused(41005)
        media_id = self.put(kind=kind, content_type=part.content_type, content=part.content)
        named = "thumb_media_id" if kind == "thumb" else "media_id"
        return {"type": kind, named: media_id, "created_at": int(self._clock.seconds())}

    async def download(self, request: Request, _: bytes) -> Response:
        media_id = request.query_params.get("media_id")
        stored = self.get(media_id=media_id)
        name = f'attachment; filename="{media_id}"'
        return Response(stored.content, media_type=stored.content_type, headers={"Content-Disposition": name})
