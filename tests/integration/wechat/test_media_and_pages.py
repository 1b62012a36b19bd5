"""Media that live three days, photos from the phone page, tickets for pages: over HTTP, by client and browser."""

import io
from typing import Any

import aiohttp
import pytest
from PIL import Image

from services.notify.adapters.wechat.crypto import page_signature
from services.notify.adapters.wechat.errors import Action, ContentRefused
from tests.integration.wechat.house import Receiver, Sandbox

THREE_DAYS_S = 3 * 86_400.0
MIB = 1 << 20


def picture(colour: tuple[int, int, int] = (10, 120, 40)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(target, format="JPEG")
    return target.getvalue()


def form(name: str, content: bytes, *, content_type: str, **fields: str) -> aiohttp.FormData:
    body = aiohttp.FormData(fields)
    body.add_field(name, content, filename="photo.jpg", content_type=content_type)
    return body


async def upload(sandbox: Sandbox, content: bytes, *, kind: str, content_type: str, part: str = "media") -> Any:
    query = {"access_token": await sandbox.stable_token(), "type": kind}
    address = f"{sandbox.process.url}/cgi-bin/media/upload"
    data = form(part, content, content_type=content_type)
    async with sandbox.session.post(address, params=query, data=data) as answer:
        return await answer.json(content_type=None)


async def test_what_was_uploaded_is_there_for_three_days_and_not_a_second_longer(sandbox: Sandbox) -> None:
    await sandbox.call("POST", "/sandbox/clock", {"frozen": True})
    content = picture()
    stored = await upload(sandbox, content, kind="image", content_type="image/jpeg")
    assert stored["type"] == "image" and stored["created_at"] > 0
    thumb = await upload(sandbox, content, kind="thumb", content_type="image/jpeg")
    assert thumb["thumb_media_id"] != stored["media_id"]
    async with sandbox.client() as client:
        found = await client.media(media_id=stored["media_id"])
        assert (found.content_type, found.content) == ("image/jpeg", content)
        await sandbox.jump(THREE_DAYS_S - 1)
        assert (await client.media(media_id=stored["media_id"])).content == content
        await sandbox.jump(1)
        with pytest.raises(ContentRefused) as refused:
            await client.media(media_id=stored["media_id"])
    assert (refused.value.errcode, refused.value.action) == (40007, Action.DEAD_LETTER)


@pytest.mark.parametrize(
    ("kind", "content_type", "limit"),
    [("image", "image/png", 10 * MIB), ("voice", "audio/amr", 2 * MIB), ("video", "video/mp4", 10 * MIB),
     ("thumb", "image/jpeg", MIB // 16)],
)  # fmt: skip
async def test_a_file_may_be_as_large_as_its_kind_allows_and_not_a_byte_more(
    sandbox: Sandbox, kind: str, content_type: str, limit: int
) -> None:
    assert "errcode" not in await upload(sandbox, b"x" * limit, kind=kind, content_type=content_type)
    over = await upload(sandbox, b"x" * (limit + 1), kind=kind, content_type=content_type)
    assert over["errcode"] == 45001


@pytest.mark.parametrize(
    ("change", "errcode"),
    [({"kind": "hologram"}, 40004), ({"content_type": "application/x-msdownload"}, 40005), ({"content": b""}, 40006),
     ({"part": "file"}, 41005)],
)  # fmt: skip
async def test_an_upload_that_is_no_media_is_refused_with_its_code(
    sandbox: Sandbox, change: dict[str, Any], errcode: int
) -> None:
    given = {"content": picture(), "kind": "image", "content_type": "image/jpeg"} | change
    content = given.pop("content")
    assert (await upload(sandbox, content, **given))["errcode"] == errcode


async def test_media_need_a_living_token(sandbox: Sandbox) -> None:
    stored = await upload(sandbox, picture(), kind="image", content_type="image/jpeg")
    for token, errcode in (("", 41001), ("never-given", 40001)):
        path = f"/cgi-bin/media/get?access_token={token}&media_id={stored['media_id']}"
        assert (await sandbox.call("GET", path))["errcode"] == errcode


async def test_a_photo_from_the_phone_page_is_pushed_shown_and_fetched_until_it_ends(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    openid, content = await sandbox.follow("o-photo"), picture((200, 10, 10))
    phone = f"{sandbox.process.url}/sandbox/phone/{openid}"
    photo = form("photo", content, content_type="image/jpeg", deed="photo")
    async with sandbox.session.post(phone, data=photo, allow_redirects=False) as answer:
        assert answer.status == 303
    [message] = await receiver.wait_for(1)
    assert (message.msg_type, message.openid) == ("image", openid)
    media_id, address = message.text("MediaId"), message.text("PicUrl")
    assert f'src="/sandbox/media/{media_id}"' in await sandbox.call("GET", f"/sandbox/phone/{openid}")
    async with sandbox.session.get(address) as shown:
        assert (shown.status, shown.content_type, await shown.read()) == (200, "image/jpeg", content)
    async with sandbox.client() as client:
        assert (await client.media(media_id=media_id)).content == content
    await sandbox.jump(THREE_DAYS_S + 1)
    async with sandbox.session.get(address) as gone:
        assert gone.status == 404
    async with sandbox.client() as client:
        with pytest.raises(ContentRefused):
            await client.media(media_id=media_id)


@pytest.mark.parametrize(
    ("content", "content_type", "errcode"),
    [(b"MZ", "application/octet-stream", 40005), (b"x" * (10 * MIB + 1), "image/jpeg", 45001)],
)
async def test_the_phone_page_says_why_a_photo_is_not_taken_and_nothing_is_pushed(
    sandbox: Sandbox, receiver: Receiver, content: bytes, content_type: str, errcode: int
) -> None:
    openid = await sandbox.follow(f"o-photo-{errcode}")
    photo = form("photo", content, content_type=content_type, deed="photo")
    async with sandbox.session.post(f"{sandbox.process.url}/sandbox/phone/{openid}", data=photo) as answer:
        assert answer.status == 422 and str(errcode) in await answer.text()
    await sandbox.deed(openid, "say", text="之后")
    [only] = await receiver.wait_for(1)
    assert only.text("Content") == "之后"


async def test_a_ticket_stays_the_same_for_two_hours_and_signs_a_page(sandbox: Sandbox) -> None:
    await sandbox.call("POST", "/sandbox/clock", {"frozen": True})
    async with sandbox.client() as client:
        first = await client.page_ticket()
        await sandbox.jump(7_199)
        assert (await client.page_ticket()).value == first.value
        await sandbox.jump(1)
        assert (await client.page_ticket()).value != first.value
    page, hosts = "https://power.example/report?month=1", frozenset({"power.example"})
    signed = page_signature(ticket=first.value, nonce="n", timestamp=1, url=f"{page}#top", own_hosts=hosts)
    assert signed == page_signature(ticket=first.value, nonce="n", timestamp=1, url=page, own_hosts=hosts)
    token = await sandbox.stable_token()
    for query, errcode in ((f"access_token={token}&type=wx_card", 40097), ("type=jsapi", 41001)):
        assert (await sandbox.call("GET", f"/cgi-bin/ticket/getticket?{query}"))["errcode"] == errcode
