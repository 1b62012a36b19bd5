"""Wordings from outside: refused with every field, previewed in full, tried on oneself, in force after a second yes."""

from typing import Any

from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.test_delivery import fault, part, person
from tests.integration.notify.test_directory import settled, staff

GOOD: dict[str, Any] = {
    "title": "停电通知", "body": "{{ customer }}户号 {{ accounts }} 停电。", "template_id": "KEYLINE_FAULT_OUTAGE",
    "fields": {"thing1": "{{ customer }}", "character_string2": "{{ account_list|short(32) }}", "time3": "{{ at }}",
               "thing4": "正在紧急抢修"},
}  # fmt: skip


def wording(channel: str = "wechat", language: str = "zh", **given: Any) -> dict[str, Any]:
    return {"channel": channel, "language": language, "wording": GOOD | given}


async def test_a_wording_is_checked_previewed_tried_and_confirmed_by_a_second_person(house: NotifyHouse) -> None:
    await settled(house)
    await house.hear(
        staff("department-head", "HEAD", unit="city"), staff("system-administrator", "ROOT"),
        person("HEAD", openid="openid-head"),
    )  # fmt: skip
    refused = [
        (wording(body="{{ nobody }}"), "body", "unknown nobody"),
        (wording(fields={**GOOD["fields"], "phrase5": "{{ customer }}"}), "fields.phrase5", "Chinese characters"),
        (wording(fields={**GOOD["fields"], "amount5": "{{ at }}"}), "fields.amount5", "currency"),
        (wording(fields={**GOOD["fields"], "unheard5": "x"}), "fields.unheard5", "no rule"),
        (wording(body="限时优惠，{{ customer }}"), "body", "marketing"),
        (wording(template_id=""), "template_id", "ladder"),
        (wording("sms", template_id="", fields={}, body="长" * 269), "body", "segments"),
        (wording("sms"), "fields", "only WeChat"),
    ]
    async with house.served() as call:
        for body, field, says in refused:
            status, problem = await call("POST", "/templates/fault-outage", by="HEAD", body=body)
            assert (status, problem["title"], problem["field"]) == (422, "bad-wording", field), problem
            assert says in problem["detail"] or field in problem["detail"]
        longest = wording("sms", template_id="", fields={}, body="长" * 268)
        assert (await call("POST", "/templates/fault-outage", by="HEAD", body=longest))[0] == 201
        assert (await call("POST", "/templates/no-such-class", by="HEAD", body=wording()))[0] == 404
        assert (await call("POST", "/templates/fault-outage", by="M-1", body=wording()))[0] == 403
        _, known = await call("GET", "/templates/fault-outage", by="HEAD")
        assert len(known["shipped_as"]) == 12 and [(i["channel"], i["number"]) for i in known["items"]] == [("sms", 1)]
        words = {(s["channel"], s["language"]): s["wording"] for s in known["shipped"]}
        assert words["wechat", "zh"]["template_id"] == "KEYLINE_FAULT_OUTAGE" and ("sms", "en") in words
        status, draft = await call("POST", "/templates/fault-outage", by="HEAD", body=wording())
        assert (status, draft["number"], draft["confirmed_by"]) == (201, 1, None)
        key = draft["template_key"]

        status, shown = await call("GET", f"/templates/fault-outage/preview?draft={key}", by="M-1")
        by = {(s["channel"], s["language"], s["sample"]): s for s in shown["items"]}
        assert len(by) == 5 * 2 * 2 and all(s["problems"] == [] for s in by.values())
        assert by["wechat", "zh", "typical"]["fields"]["thing4"] == "正在紧急抢修"
        assert by["wechat", "en", "typical"]["fields"]["thing4"] != "正在紧急抢修"
        assert (by["sms", "zh", "typical"]["sms_segments"], by["mail", "zh", "typical"]["sms_segments"]) == (1, None)
        now = await call("GET", "/templates/fault-outage/preview", by="M-1")
        [usual, *_] = [s for s in now[1]["items"] if s["channel"] == "wechat"]
        assert usual["fields"]["thing4"] == "线路故障，正在抢修"

        assert (await call("POST", f"/template-versions/{key}/trial", by="HEAD"))[0] == 202
        await house.send_due()
        [trial] = house.wechat.sent
        assert (trial["touser"], trial["data"]["thing4"]["value"]) == ("openid-head", "正在紧急抢修")
        assert (await call("POST", f"/template-versions/{key}/confirm", by="HEAD"))[1]["title"] == "self-approval"
        assert (await call("POST", f"/template-versions/{key}/confirm", by="ROOT"))[0] == 200
        assert (await call("POST", f"/template-versions/{key}/confirm", by="ROOT"))[0] == 409
        audited = await house.rows("SELECT actor, action FROM notify.audit WHERE object_type = 'template' ORDER BY seq")
        assert [tuple(r) for r in audited[1:]] == [
            ("HEAD", "template-entered"), ("HEAD", "template-tried"), ("ROOT", "template-confirmed"),
        ]  # fmt: skip
    await house.hear(fault(part(1, 1, ("C-1", "A-1"))))
    await house.send_due()
    assert [m["data"]["thing4"]["value"] for m in house.wechat.sent[1:]] == ["正在紧急抢修"]
