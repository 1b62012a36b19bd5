"""Signatures of the providers and of webhooks against published vectors and an independent implementation."""

import hashlib
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from standardwebhooks import Webhook as Oracle
from standardwebhooks import WebhookVerificationError

from services.notify.adapters.port import Outgoing
from services.notify.adapters.sms.aliyun import authorization, canonical_query
from services.notify.adapters.sms.numbers import international, national
from services.notify.adapters.sms.tencent import canonical_request, signature
from services.notify.adapters.webhook import body_of, signatures
from services.notify.delivery.endpoints import new_secret


def test_aliyun_signs_as_in_its_published_example() -> None:
    query = {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com", "x-acs-action": "RunInstances", "x-acs-version": "2014-05-26",
        "x-acs-date": "2023-10-26T10:22:32Z", "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
    }  # fmt: skip
    signed = authorization(
        method="POST", query=query, headers=headers, key_id="YourAccessKeyId", secret="YourAccessKeySecret"
    )
    assert signed.endswith("Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0")


def test_aliyun_escapes_what_a_query_may_not_carry() -> None:
    assert canonical_query({"b": "~a b*", "a": "中/+"}) == "a=%E4%B8%AD%2F%2B&b=~a%20b%2A"


def test_tencent_signs_as_in_its_published_example() -> None:
    body = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
    headers = {"content-type": "application/json; charset=utf-8", "host": "cvm.tencentcloudapi.com"}
    request, names = canonical_request(headers=headers, body=body)
    assert names == "content-type;host"
    hashed = hashlib.sha256(request.encode()).hexdigest()
    assert hashed == "5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031"
    signed = signature(
        canonical_request=request, service="cvm", timestamp=1551113065, secret="Gu5t9xGARNpq86cd98joQYCN3*******"
    )
    assert signed == "2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c"


@pytest.mark.parametrize(
    ("number", "inland", "outland"),
    [("13800005678", "13800005678", "+8613800005678"), ("+8613800005678", "13800005678", "+8613800005678"),
     ("+4915112345678", "4915112345678", "+4915112345678")],
)  # fmt: skip
def test_numbers_as_the_providers_want_them(number: str, inland: str, outland: str) -> None:
    assert (national(number), international(number)) == (inland, outland)


def outgoing() -> Outgoing:
    at = datetime(2026, 7, 1, 4, 5, tzinfo=UTC)
    return Outgoing(
        delivery_id=UUID(int=7), message_id="MSG7", address="{}", template_id="T", fields={}, title="故障停电",
        body="已停电", event_class="fault-outage", created_at=at, sent_at=at, subject_id="O-1", account_ids=("A-1",),
    )  # fmt: skip


def test_webhooks_pass_the_reference_library_under_both_live_secrets_and_no_other() -> None:
    newest, former, other = new_secret(), new_secret(), new_secret()
    body = body_of(outgoing())
    stamp = str(int(datetime.now(UTC).timestamp()))
    headers = {
        "webhook-id": "MSG7", "webhook-timestamp": stamp,
        "webhook-signature": signatures(secrets=[newest, former], message_id="MSG7", timestamp=stamp, body=body),
    }  # fmt: skip
    for secret in (newest, former):
        assert Oracle(secret).verify(body.decode(), headers)["type"] == "keyline.fault-outage"
    with pytest.raises(WebhookVerificationError):
        Oracle(other).verify(body.decode(), headers)
    with pytest.raises(WebhookVerificationError):
        Oracle(newest).verify(body.decode().replace("O-1", "O-2"), headers)
    assert (
        Oracle(newest).sign("MSG7", datetime.fromtimestamp(int(stamp), UTC), body.decode())
        == headers["webhook-signature"].split(" ")[0]
    )


def test_a_webhook_body_is_the_same_for_every_attempt() -> None:
    assert body_of(outgoing()) == body_of(outgoing())
    assert json.loads(body_of(outgoing()))["data"]["account_ids"] == ["A-1"]
