"""Pictures and voices that people sent: fetched at once, checked, kept under their sender's key."""

import base64
import io
from datetime import timedelta

from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify.adapters.wechat.callbacks import Callback
from services.notify.adapters.wechat.errors import ErrorClass, WechatError
from services.notify.adapters.wechat.media import Media, MediaRefused
from services.notify.directory.vault import vault
from services.notify.tables import wechat_media
from services.notify.wechat import accounts, users

LIFE = timedelta(days=3)
_PAUSE = timedelta(seconds=30)
_MOST_PIXELS = 25_000_000
_m = wechat_media.c


async def want(work: UnitOfWork, callback: Callback, *, index: bytes) -> None:
    found = await users.known(work, index=index)
    if found is None:
        return
    media_id = callback.text("MediaId")
    values = {
        "media_index": vault().blind_index(kind="wechat-media", value=media_id), "openid_index": index,
        "media_id_cipher": found[1].seal(media_id, field="media-id"), "said_at": callback.created_at,
        "next_try_at": work.now,
    }  # fmt: skip
    await work.db.execute(upsert(wechat_media).values(**values).on_conflict_do_nothing())


async def due(work: UnitOfWork) -> list[bytes]:
    query = select(_m.media_index).where(_m.next_try_at <= work.now).order_by(_m.next_try_at).limit(20)
    return list((await work.db.execute(query)).scalars())


async def media_id_of(work: UnitOfWork, *, media_index: bytes) -> str | None:
    """Also puts the next attempt off, so that another replica leaves it alone meanwhile."""
    row = (await work.db.execute(select(wechat_media).where(_m.media_index == media_index).with_for_update())).first()
    if row is None or row.next_try_at is None or row.next_try_at > work.now:
        return None
    found = await users.known(work, index=row.openid_index)
    ended = work.now > row.said_at + LIFE
    change = {"next_try_at": None, "problem": "expired"} if ended else {"next_try_at": work.now + _PAUSE}
    await work.db.execute(update(wechat_media).where(_m.media_index == media_index).values(**change))
    return None if found is None or ended else found[1].open(row.media_id_cipher, field="media-id")


async def fetched(client: accounts.AccountCalls, *, media_id: str) -> Media | WechatError | MediaRefused:
    try:
        return cleaned(await client.media(media_id=media_id))
    except (WechatError, MediaRefused) as error:
        return error


async def keep(work: UnitOfWork, *, media_index: bytes, result: Media | WechatError | MediaRefused) -> None:
    row = (await work.db.execute(select(wechat_media).where(_m.media_index == media_index).with_for_update())).first()
    found = None if row is None else await users.known(work, index=row.openid_index)
    if found is None:
        return
    mine = update(wechat_media).where(_m.media_index == media_index)
    if isinstance(result, Media):
        content = base64.b64encode(result.content).decode()
        values = {"content_type": result.content_type, "content_cipher": found[1].seal(content, field="media"),
                  "next_try_at": None, "problem": None}  # fmt: skip
        await work.db.execute(mine.values(**values))
        return
    transient = isinstance(result, WechatError) and result.error_class in (ErrorClass.TRANSIENT, ErrorClass.TOKEN)
    await work.db.execute(
        mine.values(
            attempts=_m.attempts + 1, problem=str(result)[:200], next_try_at=work.now + _PAUSE if transient else None
        )
    )


def cleaned(media: Media) -> Media:
    """A picture decoded whole and written anew: no position, no second file inside. Raises `MediaRefused`."""
    if media.content_type not in ("image/jpeg", "image/png"):
        return media
    try:
        with Image.open(io.BytesIO(media.content), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise MediaRefused("over 25 megapixels")
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as broken:
        raise MediaRefused("not a whole picture") from broken
    written = io.BytesIO()
    upright.save(written, format="JPEG", quality=88)
    return Media("image/jpeg", written.getvalue())
