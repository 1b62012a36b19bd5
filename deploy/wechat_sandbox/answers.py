"""Answers as WeChat words them, from the same table that the client acts on."""

import json
from random import Random
from typing import Any

from starlette.responses import Response

from services.notify.adapters.wechat.errors import ERROR_RULES


class Refused(Exception):
    """`text` replaces the table's wording where WeChat is more precise."""

    def __init__(self, code: int, text: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        rule = ERROR_RULES.get(code)
        self.text = text or (rule.errmsg if rule else "unknown error")


def refusal_answer(*, refused: Refused, rng: Random) -> dict[str, Any]:
    rid = "-".join(f"{rng.getrandbits(32):08x}" for _ in range(3))
    return {"errcode": refused.code, "errmsg": f"{refused.text} rid: {rid}"}


class WechatResponse(Response):
    """Real UTF-8 under the content type that WeChat really sends."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False).encode()

    def __init__(self, content: Any) -> None:
        super().__init__(content, headers={"content-type": "application/json; encoding=utf-8"})
