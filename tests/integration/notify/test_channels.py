"""Each channel against a server that speaks the provider's own protocol."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest
import uvicorn
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.processes import free_port
from deploy.sms_standin.app import build_app
from deploy.sms_standin.world import Fault, World
from deploy.wechat_sandbox.clock import VirtualClock
from services.notify.adapters.exchange import new_session
from services.notify.adapters.mail import Mail
from services.notify.adapters.port import Channel, ChannelError, Outgoing
from services.notify.adapters.sms.aliyun import AliyunSms
from services.notify.adapters.sms.gateway import SmsGateway, sign
from services.notify.adapters.sms.tencent import TencentSms
from services.notify.adapters.wecom import Wecom
from services.notify.rules.retries import FailureKind


def outgoing(number: int = 1, *, address: str = "13800005678", unsubscribe: str | None = None) -> Outgoing:
    at = datetime.now(UTC)
    return Outgoing(
        delivery_id=UUID(int=number), message_id=f"MSG{number}", address=address, template_id="KEYLINE_FAULT_OUTAGE",
        fields={"thing1": "某厂", "character_string2": "A-1"}, title="故障停电通知", body="您的户号 A-1 停电。",
        event_class="fault-outage", created_at=at, sent_at=at, link="https://example.com/m/x", unsubscribe=unsubscribe,
    )  # fmt: skip


async def refusal(channel: Channel, message: Outgoing) -> tuple[FailureKind, bool, bool]:
    with pytest.raises(ChannelError) as refused:
        await channel.send(message)
    error = refused.value
    assert message.address not in error.reason, "an address in a reason would end up in logs"
    return error.kind, error.ambiguous, error.account_wide


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def standin() -> AsyncIterator[tuple[World, str]]:
    world, port = World(clock=VirtualClock(), keys={"standin-key": "standin-secret"}), free_port()
    server = uvicorn.Server(uvicorn.Config(build_app(world), host="127.0.0.1", port=port, log_level="error"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - the server has no event to wait for
        await asyncio.sleep(0.02)
    try:
        yield world, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def test_both_sms_providers_check_the_signature_count_per_number_and_fail_by_the_script() -> None:
    async with standin() as (world, url), new_session(width=4, seconds=5) as session:
        common = {"session": session, "base_url": url, "sign_name": "供电公司", "codes": {}, "now": now}
        aliyun = AliyunSms(key_id="standin-key", secret="standin-secret", **common)  # type: ignore[arg-type]
        tencent = TencentSms(
            key_id="standin-key", secret="standin-secret", app_id="1400", region="ap-guangzhou", **common,  # type: ignore[arg-type]
        )  # fmt: skip
        for channel in (aliyun, tencent):
            assert (await channel.send(outgoing())).reference
        assert [(m["provider"], m["number"], m["context"]) for m in world.messages] == [
            ("aliyun", "13800005678", UUID(int=1).hex), ("tencent", "+8613800005678", UUID(int=1).hex),
        ]  # fmt: skip
        assert "某厂" in world.messages[0]["text"]
        wrong_aliyun = AliyunSms(key_id="standin-key", secret="other", **common)  # type: ignore[arg-type]
        wrong_tencent = TencentSms(
            key_id="standin-key", secret="other", app_id="1400", region="r", **common,  # type: ignore[arg-type]
        )  # fmt: skip
        for channel in (wrong_aliyun, wrong_tencent):
            assert await refusal(channel, outgoing()) == (FailureKind.CONFIGURATION, False, True)
        for provider, code, expected in (
            ("aliyun", "isv.AMOUNT_NOT_ENOUGH", (FailureKind.CONFIGURATION, False, True)),
            ("aliyun", "isv.SMS_TEMPLATE_ILLEGAL", (FailureKind.CONFIGURATION, False, False)),
            ("aliyun", "isv.BLACK_KEY_CONTROL_LIMIT", (FailureKind.CONTENT, False, False)),
            ("tencent", "FailedOperation.PhoneNumberInBlacklist", (FailureKind.RECIPIENT, False, False)),
            ("tencent", "InternalError.Timeout", (FailureKind.TRANSIENT, False, False)),
        ):
            world.faults.append(Fault.model_validate({"provider": provider, "kind": "code", "code": code}))
            assert await refusal(aliyun if provider == "aliyun" else tencent, outgoing()) == expected, code
        sent = len(world.messages)
        world.faults.append(Fault(provider="aliyun", kind="fail_after_accept"))
        assert await refusal(aliyun, outgoing()) == (FailureKind.TRANSIENT, True, False)
        assert len(world.messages) == sent + 1, "accepted, although the caller was told of a failure"
        world.per_number_day = 3
        assert (await aliyun.send(outgoing())).reference
        assert await refusal(aliyun, outgoing()) == (FailureKind.FREQUENCY, False, False)


class Mailbox:
    """Answers by the local part of the address: `421@`, `550@` ..., else takes the mail."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        code = address.partition("@")[0]
        if code.isdigit():
            return f"{code} as the test says"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(envelope)
        return "250 OK"


async def test_mail_is_retried_on_4xx_final_on_5xx_and_can_be_unsubscribed_with_one_click() -> None:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        mail = Mail(
            host="127.0.0.1", port=controller.port, user="", password=None, tls=False,
            sender="供电 <no-reply@example.com>",
        )  # fmt: skip
        accepted = await mail.send(outgoing(address="p@example.com", unsubscribe="https://example.com/m/x/unsubscribe"))
        assert accepted.reference == f"<{UUID(int=1).hex}@example.com>"
        content = box.mails[0].content
        text = content.decode() if isinstance(content, bytes) else str(content)
        assert "List-Unsubscribe: <https://example.com/m/x/unsubscribe>" in text
        assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in text
        answers = {code: await refusal(mail, outgoing(address=f"{code}@example.com")) for code in (421, 451, 550, 554)}
        assert answers == {
            421: (FailureKind.TRANSIENT, False, False), 451: (FailureKind.TRANSIENT, False, False),
            550: (FailureKind.RECIPIENT, False, False), 554: (FailureKind.CONTENT, False, False),
        }  # fmt: skip
        assert len(box.mails) == 1
        secure = Mail(host="127.0.0.1", port=controller.port, user="", password=None, tls=True, sender="a@example.com")
        assert await refusal(secure, outgoing(address="p@example.com")) == (FailureKind.CONFIGURATION, False, True)
        assert len(box.mails) == 1, "nothing goes in the clear where TLS is wanted"
    finally:
        controller.stop()
    kind, ambiguous, _ = await refusal(mail, outgoing(address="p@example.com"))
    assert (kind, ambiguous) == (FailureKind.TRANSIENT, False), "nobody listens: certainly not sent"


async def test_wecom_replaces_a_rejected_token_once_and_knows_an_invalid_member() -> None:
    tokens, bodies, codes = [], [], [42001]

    async def token(request: web.Request) -> web.Response:
        tokens.append(dict(request.query))
        return web.json_response({"errcode": 0, "access_token": f"t{len(tokens)}", "expires_in": 7200})

    async def send(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        code = codes.pop(0) if codes else 0
        invalid = "ghost" if bodies[-1]["touser"] == "ghost" else ""
        return web.json_response({"errcode": code, "errmsg": "ok", "invaliduser": invalid, "msgid": "M"})

    app = web.Application()
    app.router.add_get("/cgi-bin/gettoken", token)
    app.router.add_post("/cgi-bin/message/send", send)
    async with serving(app) as url, new_session(width=4, seconds=5) as session:
        wecom = Wecom(session=session, base_url=url, corp_id="ww", agent_id=7, secret="s", now=now)
        assert (await wecom.send(outgoing(address="zhang"))).reference == "M"
        assert len(tokens) == 2 and bodies[0]["enable_duplicate_check"] == 1
        assert await refusal(wecom, outgoing(address="ghost")) == (FailureKind.RECIPIENT, False, False)
        codes[:] = [45009]
        assert await refusal(wecom, outgoing(address="zhang")) == (FailureKind.MINUTE_QUOTA, False, False)
        codes[:] = [60020]
        assert await refusal(wecom, outgoing(address="zhang")) == (FailureKind.CONFIGURATION, False, True)
        codes[:] = [42001, 42001]
        assert (await refusal(wecom, outgoing(address="zhang")))[0] is FailureKind.CONFIGURATION
        assert len(tokens) == 3, "one new token for a rejected one, not a loop"


async def test_the_companys_gateway_is_called_with_a_signature_over_time_and_body() -> None:
    seen: list[bool] = []
    answers = [(200, {"id": "G-1"}), (400, {"code": "recipient"}), (429, {"code": "limit"}), (503, {}), (401, {})]

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        expected = sign(secret="gw", timestamp=request.headers["Keyline-Timestamp"], body=body)
        seen.append(request.headers["Keyline-Signature"] == expected and b"MSG" not in body)
        status, said = answers.pop(0)
        return web.json_response(said, status=status)

    app = web.Application()
    app.router.add_post("/sms", handler)
    async with serving(app) as url, new_session(width=4, seconds=5) as session:
        gateway = SmsGateway(session=session, url=f"{url}/sms", key_id="k", secret="gw", now=now)
        assert (await gateway.send(outgoing())).reference == "G-1"
        assert [await refusal(gateway, outgoing()) for _ in range(4)] == [
            (FailureKind.RECIPIENT, False, False), (FailureKind.FREQUENCY, False, False),
            (FailureKind.TRANSIENT, True, False), (FailureKind.CONFIGURATION, False, True),
        ]  # fmt: skip
    assert seen == [True] * 5


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
