"""Binding, answers, pictures and tickets while the inner zone has no way to WeChat but the edge's one port."""

import base64
import io
import sys

import pytest
from PIL import Image

from services.notify.adapters.wechat.crypto import page_signature
from services.notify.adapters.wechat.errors import LoginRefused, QuotaExhausted
from services.notify.directory.vault import vault
from services.notify.edge.calls import EdgeAccount
from services.notify.edge.settings import edge_settings
from services.notify.settings import notify_settings
from services.notify.wechat import accounts
from services.notify.wechat.desk import Desk
from tests.integration.notify.test_delivery import person, profile
from tests.integration.notify.test_routes import post
from tests.integration.zones.test_edge import TwoZones, in_thread, link, zones

__all__ = ["zones"]
HANDLED = "SELECT 1 FROM notify.wechat_push WHERE handled_at IS NOT NULL"
BROWSER = """
import http.cookiejar, ssl, sys, urllib.error, urllib.request as u
link, certificate, form = sys.argv[1:]
own = u.HTTPSHandler(context=ssl.create_default_context(cafile=certificate))
browser = u.build_opener(own, u.HTTPCookieProcessor(http.cookiejar.CookieJar()))
try:
    asked = browser.open(link, timeout=30)
    back = browser.open(asked.url.partition("#")[0], data=form.encode(), timeout=30)
    print(back.status, back.url.partition("?")[0], back.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.url.partition("?")[0], error.read().decode())
"""


def bind(zones: TwoZones, link_: str, form: str) -> tuple[str, str, str]:
    """As a person's browser in the internet: opens the invitation, says who they are, comes back."""
    certificate = str(edge_settings().authority)
    done = zones.zone.run(sys.executable, "-c", BROWSER, link_, certificate, form)
    assert done.returncode == 0, done.stderr
    status, where, text = done.stdout.split(" ", 2)
    return status, where, text


async def invited(zones: TwoZones, person_id: str) -> str:
    status, given = await zones.call("POST", f"/persons/{person_id}/wechat/invitations", by="M-1")
    assert status == 201, given
    return str(given["link"])


async def say(zones: TwoZones, openid: str, deed: dict[str, str], *, pushes: int) -> None:
    await in_thread(zones.outside, "POST", f"/sandbox/followers/{openid}/deeds", deed)
    await zones.until(HANDLED, pushes)


def picture() -> str:
    target = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 10, 10)).save(target, "JPEG")
    return base64.b64encode(target.getvalue()).decode()


async def test_a_person_binds_writes_is_answered_and_sends_a_picture_through_the_edge(zones: TwoZones) -> None:
    house = zones.house
    assert notify_settings().wechat_base_url == "" and notify_settings().wechat_app_secret is None
    await house.hear(
        profile("C-1", "A-1"), person("P-1", "C-1"), person("P-2", "C-1"), post("account-manager", "M-1", "C-1")
    )
    async with link(zones), accounts.account_of(house.database, role="worker") as account:
        first = await invited(zones, "P-1")
        zones.outside("POST", "/sandbox/faults", {"kind": "http_status", "api": "sns/oauth2/access_token"})
        status, where, text = await in_thread(bind, zones, first, "openid=o-zone-1")
        assert (status, "暂时无法连接微信" in text) == ("503", True), "asked once, and told as it was"
        status, where, text = await in_thread(bind, zones, first, "openid=o-zone-1&snapshot=1")
        assert (status, "使用完整服务" in text) == ("403", True)
        status, where, text = await in_thread(bind, zones, first, "openid=o-zone-1")
        assert (status, where, "绑定成功" in text) == ("200", f"{edge_settings().url}/notify/v1/wechat/bound", True)
        assert (await in_thread(bind, zones, first, "openid=o-zone-1"))[0] == "410"
        status, _, text = await in_thread(bind, zones, await invited(zones, "P-2"), "openid=o-zone-1")
        assert (status, "已绑定其他联系人" in text) == ("409", True)
        desk = Desk(database=house.database, client=account)
        await say(zones, "o-zone-1", {"deed": "say", "text": "几点来电？"}, pushes=1)
        answer = {"text": "预计十点来电"}
        assert (await zones.call("POST", "/persons/P-1/wechat/replies", by="M-1", body=answer))[0] == 201
        await desk.turn()
        seen = zones.outside("GET", "/sandbox/messages?openid=o-zone-1&kind=custom")["messages"]
        assert [m["content"]["content"] for m in seen] == ["预计十点来电"]
        await say(zones, "o-zone-1", {"deed": "show", "picture": picture()}, pushes=2)
        await say(zones, "o-zone-1", {"deed": "show", "picture": base64.b64encode(b"MZ").decode()}, pushes=3)
        await desk.turn()
        kept = await house.rows("SELECT content_type, problem FROM notify.wechat_media ORDER BY 2 NULLS FIRST")
        assert [tuple(r) for r in kept] == [
            ("image/jpeg", None), (None, "neither a picture, a voice nor a video"),
        ]  # fmt: skip
    assert await house.rows("SELECT 1 FROM notify.wechat_token") == [], "no token of the account in the inner zone"


async def test_pages_are_signed_under_the_edges_ticket_and_refusals_keep_their_codes(zones: TwoZones) -> None:
    await zones.house.hear(profile("C-1", "A-1"), person("P-1", "C-1"))
    page = f"{edge_settings().url}/report?month=1"
    signed = [(await zones.call("GET", f"/wechat/page-signature?url={page}", by="P-1"))[1] for _ in range(2)]
    assert zones.outside("GET", "/sandbox/calls")["calls"]["ticket/getticket 0"] == 1
    [row] = await zones.house.rows("SELECT value_cipher FROM notify.wechat_token WHERE kind = 'page'")
    ticket = vault().house_key().open(row["value_cipher"], field="wechat-page")
    for answer in signed:
        assert answer["signature"] == page_signature(
            ticket=ticket, nonce=answer["nonce"], timestamp=answer["timestamp"], url=page,
            own_hosts=frozenset({zones.zone.edge_address}),
        )  # fmt: skip
    async with EdgeAccount(settings=edge_settings()) as account:
        with pytest.raises(LoginRefused) as refused:
            await account.identity(code="never-given")
        assert refused.value.errcode == 40029
        zones.outside("POST", "/sandbox/faults", {"kind": "errcode", "errcode": 45009, "api": "media/get"})
        with pytest.raises(QuotaExhausted) as exhausted:
            await account.media(media_id="any")
        assert exhausted.value.errcode == 45009
