"""Web login of the Official Account (网页授权): where the browser goes, and whose code came back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from services.notify.adapters.wechat.errors import WechatUnreachable

OFFICIAL_LOGIN_URL = "https://open.weixin.qq.com"


@dataclass(frozen=True, slots=True)
class Identity:
    """`snapshot`: a virtual identity of a preview page (快照页); it belongs to nobody and must not be bound."""

    openid: str = field(repr=False)
    snapshot: bool


def authorize_url(*, base_url: str, app_id: str, redirect_uri: str, state: str) -> str:
    """The order of the parameters and the fragment matter to WeChat. `state`: at most 128 letters and digits."""
    if not (state.isascii() and state.isalnum() and len(state) <= 128):
        raise ValueError("state holds letters and digits only")
    query = f"appid={quote(app_id, safe='')}&redirect_uri={quote(redirect_uri, safe='')}"
    return (
        f"{base_url.rstrip('/')}/connect/oauth2/authorize?{query}"
        f"&response_type=code&scope=snsapi_base&state={state}#wechat_redirect"
    )


def read_identity(answer: Mapping[str, Any]) -> Identity:
    """Raises `WechatUnreachable` when the answer names nobody."""
    openid = answer.get("openid")
    if not isinstance(openid, str) or not 0 < len(openid) <= 64:
        raise WechatUnreachable(reason="no openid in the answer", ambiguous=False)
    return Identity(openid, snapshot=answer.get("is_snapshotuser") == 1)
