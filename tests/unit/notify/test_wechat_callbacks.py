"""Pushes of WeChat in three modes and two formats: what is believed, what is refused, what repeats."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.adapters.wechat.callbacks import (
    Callback,
    CallbackRefused,
    CallbackSecurity,
    CallbackUnreadable,
    open_address_check,
    open_callback,
    read_callback,
)
from services.notify.adapters.wechat.crypto import Envelope, EnvelopeKey, push_signature
from services.notify.adapters.wechat.events import JobOutcome, job_finished, job_outcome, subscription_entries

NOW = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
TOKEN = "AAAAA"
ENVELOPE = Envelope("wx49f0ab532d5d035a", EnvelopeKey.parse(encoding_aes_key="k" * 43))
ENCRYPTED = CallbackSecurity(token=TOKEN, envelope=ENVELOPE)
PLAIN = CallbackSecurity(token=TOKEN, require_encryption=False)
TEXT = (
    "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[o1]]></FromUserName>"
    "<CreateTime>1768442400</CreateTime><MsgType><![CDATA[text]]></MsgType>"
    "<Content><![CDATA[什么时候来电？]]></Content><MsgId>23456789012345678</MsgId></xml>"
)


def query(*, encrypted: str | None = None, at: datetime = NOW, token: str = TOKEN) -> dict[str, str]:
    stamp, nonce = str(int(at.timestamp())), "486452656"
    result = {"timestamp": stamp, "nonce": nonce}
    result["signature"] = push_signature(token=token, timestamp=stamp, nonce=nonce)
    if encrypted is not None:
        result["encrypt_type"] = "aes"
        result["msg_signature"] = push_signature(token=token, timestamp=stamp, nonce=nonce, encrypted=encrypted)
    return result


def receive(body: str, *, security: CallbackSecurity = PLAIN, encrypted: str | None = None) -> Callback:
    return open_callback(query=query(encrypted=encrypted), body=body.encode(), security=security, now=NOW)


def sealed(plain: str = TEXT, *, beside: str = "") -> tuple[str, str]:
    encrypted = ENVELOPE.seal(message=plain.encode())
    return f"<xml><ToUserName>gh_1</ToUserName>{beside}<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>", encrypted


def event(name: str, **fields: str) -> dict[str, str]:
    return {"ToUserName": "gh_1", "FromUserName": "o1", "CreateTime": "1768442400", "MsgType": "event",
            "Event": name} | fields  # fmt: skip


def test_the_printed_address_check_is_answered_with_its_echo() -> None:
    given = {
        "signature": "f464b24fc39322e44b38aa78f5edd27bd1441696",
        "timestamp": "1714036504",
        "nonce": "1514711492",
        "echostr": "4375120948345356249",
    }
    at = datetime.fromtimestamp(1714036504, UTC)
    assert open_address_check(query=given, security=PLAIN, now=at) == "4375120948345356249"
    with pytest.raises(CallbackRefused):
        open_address_check(query=given | {"nonce": "1514711493"}, security=PLAIN, now=at)


def test_a_plain_xml_message_is_read() -> None:
    callback = receive(TEXT)
    assert (callback.openid, callback.account, callback.msg_type, callback.event) == ("o1", "gh_1", "text", "")
    assert callback.text("Content") == "什么时候来电？"
    assert (callback.created_at, callback.dedupe_key) == (NOW, "msg:23456789012345678")


def test_json_and_xml_of_one_message_give_the_same_key() -> None:
    message = {"ToUserName": "gh_1", "FromUserName": "o1", "CreateTime": 1768442400, "MsgType": "text",
               "Content": "什么时候来电？", "MsgId": 23456789012345678}  # fmt: skip
    assert receive(json.dumps(message)).dedupe_key == receive(TEXT).dedupe_key


def test_an_encrypted_message_is_read_in_both_formats() -> None:
    body, encrypted = sealed()
    assert receive(body, security=ENCRYPTED, encrypted=encrypted).openid == "o1"
    as_json = json.dumps({"ToUserName": "gh_1", "Encrypt": encrypted})
    assert receive(as_json, security=ENCRYPTED, encrypted=encrypted).openid == "o1"


def test_in_compatible_mode_only_the_sealed_fields_count() -> None:
    body, encrypted = sealed(beside="<FromUserName>o-forged</FromUserName><Content>假</Content>")
    callback = receive(body, security=ENCRYPTED, encrypted=encrypted)
    assert (callback.openid, callback.text("Content")) == ("o1", "什么时候来电？")


def test_a_plain_push_is_refused_where_encryption_is_required() -> None:
    with pytest.raises(CallbackRefused):
        receive(TEXT, security=ENCRYPTED)


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_a_push_signed_too_long_ago_or_ahead_is_refused(seconds: int) -> None:
    body, encrypted = sealed()
    stale = query(encrypted=encrypted, at=NOW - timedelta(seconds=seconds))
    with pytest.raises(CallbackRefused):
        open_callback(query=stale, body=body.encode(), security=ENCRYPTED, now=NOW)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_push_within_five_minutes_is_accepted(seconds: int) -> None:
    body, encrypted = sealed()
    recent = query(encrypted=encrypted, at=NOW - timedelta(seconds=seconds))
    assert open_callback(query=recent, body=body.encode(), security=ENCRYPTED, now=NOW).openid == "o1"


@pytest.mark.parametrize("damaged", ["signature", "msg_signature", "timestamp", "nonce"])
@pytest.mark.parametrize("value", [None, "", "0", "é" * 40])
def test_every_damaged_parameter_is_refused(damaged: str, value: str | None) -> None:
    body, encrypted = sealed()
    parameters = query(encrypted=encrypted)
    if value is None:
        del parameters[damaged]
    else:
        parameters[damaged] = value
    with pytest.raises(CallbackRefused):
        open_callback(query=parameters, body=body.encode(), security=ENCRYPTED, now=NOW)


def test_an_envelope_under_a_signature_of_another_token_is_refused() -> None:
    body, encrypted = sealed()
    forged = query(encrypted=encrypted, token="BBBBB") | {"signature": query()["signature"]}
    with pytest.raises(CallbackRefused):
        open_callback(query=forged, body=body.encode(), security=ENCRYPTED, now=NOW)


def test_a_body_over_64_kib_is_refused_unread() -> None:
    with pytest.raises(CallbackRefused):
        receive("<" * (64 * 1024 + 1))


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><xml><A>&b;</A></xml>'
EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><A>&a;</A></xml>'


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        EXTERNAL,
        "",
        "{",
        "[]",
        "null",
        "<xml>",
        "<xml/>",
        "<xml>text</xml>",
        "<xml><Encrypt>x</Encrypt></xml>",
        "[" * 10_000,
        '{"a":' * 5_000,
        "<a>" * 9_000 + "</a>" * 5_000,
        '{"CreateTime":' + "9" * 5_000 + "}",
        json.dumps(event("SCAN") | {"CreateTime": "99999999999999"}),
        json.dumps(event("SCAN") | {"FromUserName": ["o1"]}),
        json.dumps(event("SCAN") | {"FromUserName": ""}),
        json.dumps(event("TEMPLATESENDJOBFINISH")),
        json.dumps({"ToUserName": "gh", "FromUserName": "o", "CreateTime": 1, "MsgType": "text"}),
    ],
)
def test_an_unreadable_push_is_named_so_and_nothing_else(body: str) -> None:
    with pytest.raises(CallbackUnreadable):
        receive(body)


def test_a_sealed_entity_bomb_is_authentic_but_unreadable() -> None:
    body, encrypted = sealed(BOMB)
    with pytest.raises(CallbackUnreadable):
        receive(body, security=ENCRYPTED, encrypted=encrypted)


@given(st.binary(max_size=300))
def test_no_bytes_cause_any_other_error(body: bytes) -> None:
    for security in (PLAIN, ENCRYPTED):
        with pytest.raises((CallbackRefused, CallbackUnreadable)):
            open_callback(query=query(), body=body, security=security, now=NOW)


def test_two_events_of_one_second_have_different_keys() -> None:
    events = [
        event("subscribe", EventKey="qrscene_17"),
        event("SCAN", EventKey="17"),
        event("CLICK", EventKey="a"),
        event("CLICK", EventKey="b"),
        event("TEMPLATESENDJOBFINISH", MsgID="1", Status="success"),
        event("TEMPLATESENDJOBFINISH", MsgID="2", Status="success"),
    ]
    keys = [read_callback(fields=dict(fields)).dedupe_key for fields in events]
    assert len(set(keys)) == len(events)
    assert [read_callback(fields=dict(fields)).dedupe_key for fields in events] == keys


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("success", JobOutcome.SUCCESS),
        ("failed:user block", JobOutcome.USER_BLOCK),
        ("failed: user block", JobOutcome.USER_BLOCK),
        ("failed: system failed", JobOutcome.SYSTEM_FAILED),
        ("failed:system failed", JobOutcome.SYSTEM_FAILED),
        ("failed:freq limit", JobOutcome.FREQUENCY_LIMIT),
        ("failed:something new", JobOutcome.FAILED_UNKNOWN),
        ("", JobOutcome.FAILED_UNKNOWN),
    ],
)
def test_every_status_of_a_template_job_is_understood(status: str, outcome: JobOutcome) -> None:
    assert job_outcome(status=status) is outcome


def test_the_receipt_carries_the_number_of_the_send_call() -> None:
    fields = event("TEMPLATESENDJOBFINISH", MsgID="200163836", Status="failed:user block")
    finished = job_finished(callback=receive(json.dumps(fields)))
    assert (finished.openid, finished.msgid, finished.outcome) == ("o1", 200163836, JobOutcome.USER_BLOCK)


def test_a_receipt_without_a_number_is_unreadable() -> None:
    fields = event("TEMPLATESENDJOBFINISH", MsgID="abc", Status="success")
    with pytest.raises(CallbackUnreadable):
        job_finished(callback=receive(json.dumps(fields)))


XML_EVENT = (
    "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1768442400</CreateTime>"
    "<MsgType>event</MsgType><Event>{event}</Event><{tag}>{lists}</{tag}></xml>"
)
ACCEPT = "<List><TemplateId>t1</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List>"
REJECT = "<List><TemplateId>t2</TemplateId><SubscribeStatusString>reject</SubscribeStatusString></List>"


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("subscribe_msg_popup_event", "SubscribeMsgPopupEvent"),
        ("subscribe_msg_change_event", "SubscribeMsgChangeEvent"),
        ("subscribe_msg_change_event", "SubscribeMsgPopupEvent"),
    ],
)
def test_consents_are_found_in_one_or_many_xml_lists(name: str, tag: str) -> None:
    one = subscription_entries(callback=receive(XML_EVENT.format(event=name, tag=tag, lists=ACCEPT)))
    many = subscription_entries(callback=receive(XML_EVENT.format(event=name, tag=tag, lists=ACCEPT + REJECT)))
    assert [(e.template_id, e.choice) for e in one] == [("t1", "accept")]
    assert [(e.template_id, e.choice) for e in many] == [("t1", "accept"), ("t2", "reject")]


def test_consents_are_found_where_json_has_an_object_or_an_array() -> None:
    entry = {"TemplateId": "t1", "SubscribeStatusString": "reject", "PopupScene": "1"}
    for lists in (entry, [entry, entry]):
        callback = receive(json.dumps(event("subscribe_msg_popup_event") | {"List": lists}))
        assert {(e.template_id, e.choice) for e in subscription_entries(callback=callback)} == {("t1", "reject")}


def test_the_sent_event_of_a_subscribe_message_names_its_error() -> None:
    inner = "<TemplateId>t1</TemplateId><MsgID>17</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>success</ErrorStatus>"
    lists = f"<List>{inner}</List>"
    body = XML_EVENT.format(event="subscribe_msg_sent_event", tag="SubscribeMsgSentEvent", lists=lists)
    [entry] = subscription_entries(callback=receive(body))
    assert (entry.template_id, entry.msgid, entry.error_code, entry.error_status) == ("t1", "17", "0", "success")
