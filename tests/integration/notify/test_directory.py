"""The directory from outside: who may change whom, whose word counts, who answers in whose place."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from services.contracts.marketing import Engagement, PersonChanged
from services.contracts.organisation import Holding, LeaveChanged, PostChanged, UnitChanged
from services.kernel.clock import BUSINESS_ZONE
from services.kernel.jobs import JobRun
from services.kernel.manifest import Job
from services.notify import metrics
from services.notify.manifest import SERVICE
from tests.integration.notify.house import CALLBACK_TOKEN, Caller, NotifyHouse
from tests.integration.notify.test_delivery import NOW, YEAR, bodies, person, profile

CLICK = (
    "<xml><ToUserName>gh_1</ToUserName><FromUserName>openid-1</FromUserName><CreateTime>1760000000</CreateTime>"
    "<MsgType>event</MsgType><Event>CLICK</Event><EventKey>confirm-contacts</EventKey></xml>"
)


def role_of(person_id: str, customer: str, role: str, **given: Any) -> PersonChanged:
    held = Engagement.model_validate(
        {"engagement_id": f"E-{person_id}", "customer_id": customer, "role": role, "valid_from": YEAR}
    )
    values = {"person_id": person_id, "version": 1, "name": "某管理员", "phone": "13900000001", "engagements": (held,)}
    return PersonChanged.model_validate(values | given)


def staff(role: str, holder: str, *customers: str, unit: str = "east") -> PostChanged:
    return PostChanged.model_validate(
        {
            "post_id": f"post-{holder}", "version": 1, "name": f"{role}岗", "unit_id": unit, "role": role,
            "customer_ids": customers, "holdings": (Holding(person_id=holder, valid_from=YEAR),),
        }
    )  # fmt: skip


async def settled(house: NotifyHouse) -> None:
    await house.hear(
        UnitChanged(unit_id="city", version=1, name="市公司"),
        UnitChanged(unit_id="east", version=1, name="东区", parent_id="city"),
        UnitChanged(unit_id="west", version=1, name="西区", parent_id="city"),
        profile("C-1", "A-1", "A-2", area="east"), profile("C-2", "B-1", area="west"),
        role_of("ADMIN", "C-1", "customer-administrator"), person("P-1", "C-1", "C-2", openid="openid-1"),
        staff("account-manager", "M-1", "C-1"), staff("account-manager", "M-2", "C-2", unit="west"),
        staff("team-leader", "LEADER"), staff("team-leader", "OTHER", unit="west"),
        staff("service-desk", "DESK", "C-1"), staff("data-publisher", "ARCHIVE"), staff("auditor", "AUDIT"),
    )  # fmt: skip


async def run(house: NotifyHouse, name: str, *, at: datetime | None = None) -> None:
    """One due run of a job as the manifest has it."""
    [job] = [j for j in SERVICE.jobs if j.name == name]
    await run_job(house, job, at=at or house.database.clock.now())


async def run_job(house: NotifyHouse, job: Job, *, at: datetime) -> None:
    await house.rows(
        "INSERT INTO notify.job_lease (name, holder, fence) VALUES ($1, 'tests', 1) ON CONFLICT DO NOTHING", job.name
    )
    await job.run(JobRun(job=job, database=house.database, holder="tests", fence=1, due_at=at))


async def test_an_administrator_adds_and_ends_colleagues_of_their_own_customer_only(house: NotifyHouse) -> None:
    await settled(house)
    new = {"name": "新同事", "phone": "13700000002", "role": "customer-electrician", "account_ids": ["A-2"]}
    here = "/directory/customers/C-1/colleagues"
    async with house.served() as call:
        status, added = await call("POST", here, by="ADMIN", body=new)
        assert (status, added["source"], added["account_ids"]) == (201, "customer", ["A-2"])
        colleague = added["person_id"]
        assert (await call("GET", "/inbox", by=colleague))[0] == 403  # the worker gives access, not the request
        await run(house, "publish-directory")
        assert (await call("POST", here, by="ADMIN", body=new))[0] == 409
        status, refused = await call(
            "POST", here, by="ADMIN", body={**new, "phone": "13700000003", "account_ids": ["B-1"]}
        )
        assert (status, refused["field"]) == (422, "account_ids")
        assert (await call("POST", "/directory/customers/C-2/colleagues", by="ADMIN", body=new))[0] == 404
        assert (await call("POST", here, by="P-1", body=new))[0] == 403
        assert (await call("GET", "/inbox", by=colleague))[0] == 200

        # The archive's next word on the others changes nothing for the colleague, and one ended here stays ended.
        assert (await call("POST", f"{here}/P-1/end", by="ADMIN"))[0] == 204
        await run(house, "publish-directory")
        await house.hear(person("P-1", "C-1", "C-2", openid="openid-1", version=2))
        grants = bodies(await house.said("engagements-changed"))
        last = [g for g in grants if g["person_id"] == "P-1"][-1]
        assert [(g["scope_id"], g["valid_to"] is None) for g in last["grants"]] == [("C-1", False), ("C-2", True)]
        versions = [g["version"] for g in grants if g["person_id"] == "P-1"]
        assert versions == sorted(set(versions))

        assert (await call("POST", f"{here}/{colleague}/end", by="ADMIN"))[0] == 204
        assert (await call("GET", "/inbox", by=colleague))[0] == 403
        await run(house, "publish-directory")
        assert (await call("GET", "/inbox", by=colleague))[0] == 403
        status, last_one = await call("POST", f"{here}/ADMIN/end", by="ADMIN")
        assert (status, last_one["title"]) == (409, "last-administrator")
        second = {"name": "二", "phone": "13700000004", "role": "customer-administrator"}
        later = {**second, "valid_from": (NOW + timedelta(days=1)).isoformat()}
        assert (await call("POST", here, by="ADMIN", body=later))[0] == 201
        assert (await call("POST", f"{here}/ADMIN/end", by="ADMIN"))[0] == 409  # who begins tomorrow does not count
        assert (await call("POST", here, by="ADMIN", body={**second, "phone": "13700000005"}))[0] == 201
        assert (await call("POST", f"{here}/ADMIN/end", by="ADMIN"))[0] == 204
        assert (await call("GET", "/inbox", by="ADMIN"))[0] == 403


async def test_a_local_correction_survives_the_snapshot_and_goes_to_the_archive_as_a_list(house: NotifyHouse) -> None:
    await settled(house)
    async with house.served() as call:
        own = {"kind": "mobile", "value": "13811112222"}
        assert (await call("PUT", "/persons/P-1/contacts", by="M-1", body={**own, "value": "13833334444"}))[0] == 204
        assert (await call("PUT", "/persons/me/contacts", by="P-1", body=own))[0] == 204
        assert (await call("PUT", "/persons/me/contacts", by="P-1", body={**own, "value": "nonsense"}))[0] == 422
        assert (await call("PUT", "/persons/P-1/contacts", by="DESK", body=own))[0] == 204
        assert (await call("PUT", "/persons/ADMIN/contacts", by="M-2", body=own))[0] == 404
        await house.hear(person("P-1", "C-1", "C-2", openid="openid-1", version=2))
        assert await shown(call) == [
            ("mobile", "person", "138****2222", True), ("mobile", "archive", "138****5678", False),
            ("mobile", "manager", "138****2222", False), ("wechat", "archive", "ope****-1", True),
        ]  # fmt: skip
        _, differing = await call("GET", "/directory/contacts/conflicts", by="M-1")
        [line] = differing["items"]
        assert (line["archive_value"], line["local_value"], line["source"]) == ("138****5678", "138****2222", "person")
        assert (await call("GET", "/directory/contacts/conflicts", by="P-1"))[0] == 403

        text = await raw(call, "/directory/contacts/changes.csv", by="ARCHIVE")
        [row] = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
        assert (row["person_id"], row["archive_value"], row["local_value"]) == ("P-1", "13800005678", "13811112222")
        audited = await house.rows("SELECT actor FROM notify.audit WHERE action = 'contact-changes-exported'")
        assert [r["actor"] for r in audited] == ["ARCHIVE"]

        corrected = person("P-1", "C-1", "C-2", openid="openid-1", version=3)
        await house.hear(corrected.model_copy(update={"phone": "13811112222"}))  # the archive took it over
        assert (await call("GET", "/directory/contacts/conflicts", by="M-1"))[1] == {"items": []}
        await house.hear(person("P-1", "C-1", "C-2", openid="openid-1", version=4))
        which = {"person_id": "P-1", "kind": "mobile"}
        for by, answer in (("M-2", 204), ("M-1", 404)):
            assert (await call("POST", "/directory/contacts/accept-archive", by=by, body=which))[0] == answer
        made = "SELECT actor, action FROM notify.audit WHERE action LIKE 'contact-%' ORDER BY seq"
        assert [tuple(r) for r in await house.rows(made)] == [
            ("M-1", "contact-corrected"), ("P-1", "contact-corrected"), ("DESK", "contact-corrected"),
            ("ARCHIVE", "contact-changes-exported"), ("M-2", "contact-archive-accepted"),
        ]  # fmt: skip
        assert ("mobile", "archive", "138****5678", True) in await shown(call)


async def shown(call: Caller) -> list[tuple[str, str, str, bool]]:
    status, found = await call("GET", "/directory/customers/C-1/people", by="M-1")
    assert status == 200
    [contacts] = [p["contacts"] for p in found["items"] if p["person_id"] == "P-1"]
    return [(c["kind"], c["source"], c["masked"], c["in_force"]) for c in contacts]


async def raw(call: Caller, path: str, *, by: str) -> str:
    header = {"Authorization": f"Bearer {call.token(by)}"}
    async with aiohttp.ClientSession() as session, session.get(f"{call.url}/notify/v1{path}", headers=header) as answer:
        assert answer.status == 200 and answer.content_type == "text/csv"
        return await answer.text()


async def test_addresses_are_confirmed_every_half_year_by_one_tap(house: NotifyHouse) -> None:
    await settled(house)
    border = "now() - interval '6 months'"
    await house.rows(f"UPDATE notify.contact SET said_at = {border} + interval '1 hour', confirmed_at = NULL")
    office = datetime(2026, 11, 24, 10, tzinfo=BUSINESS_ZONE)
    async with house.served() as call:
        assert (await call("GET", "/directory/confirmations/due", by="M-1"))[1] == {"items": []}
        await house.rows(f"UPDATE notify.contact SET said_at = {border} - interval '1 second' WHERE person_id = 'P-1'")
        _, due = await call("GET", "/directory/confirmations/due", by="M-1")
        assert [(d["person_id"], d["asked_at"]) for d in due["items"]] == [("P-1", None)]
        await run(house, "ask-for-confirmation", at=office.replace(hour=22))
        assert await house.rows("SELECT 1 FROM notify.delivery") == []
        for _ in range(2):  # who was asked is not asked again for a month
            await run(house, "ask-for-confirmation", at=office)
        told = await house.rows("SELECT person_id, event_class, facts->>'due_on' AS due FROM notify.delivery")
        assert [(r["person_id"], r["event_class"]) for r in told] == [("P-1", "contact-confirmation")]
        assert await call.push(CLICK, token=CALLBACK_TOKEN) == 200
        for _ in range(50):  # handled after the answer
            if (await call("GET", "/directory/confirmations/due", by="M-1"))[1] == {"items": []}:
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("the tap confirmed nothing")
        assert await call("POST", "/persons/me/contacts/confirm", by="P-1") == (200, {"addresses": 2})


async def test_a_deputy_has_scope_and_pending_work_for_the_leave_and_is_audited_for_the_holder(
    house: NotifyHouse,
) -> None:
    await settled(house)
    days = {"starts_at": (NOW - timedelta(minutes=1)).isoformat(), "ends_at": (NOW + timedelta(days=5)).isoformat()}
    complaint = {"customer_id": "C-1", "kind": "complaint", "channel": "95598"}
    async with house.served() as call:
        opened = (await call("POST", "/tickets", by="DESK", body=complaint))[1]
        assert (await call("GET", "/work/pending", by="M-2"))[1] == {"items": []}
        assert (await call("PUT", "/directory/posts/post-M-1/deputies", by="OTHER", body={"person_ids": ["M-2"]}))[
            0
        ] == 404
        assert (await call("PUT", "/directory/posts/post-M-1/deputies", by="LEADER", body={"person_ids": ["M-2"]}))[
            0
        ] == 204
        assert (await call("POST", "/directory/leaves", by="OTHER", body={"person_id": "M-1", **days}))[0] == 404
        backwards = {"starts_at": days["ends_at"], "ends_at": days["starts_at"]}
        assert (await call("POST", "/directory/leaves/mine", by="M-1", body=backwards))[0] == 422
        status, entry = await call("POST", "/directory/leaves/mine", by="M-1", body=days)
        assert status == 201
        await run(house, "publish-directory")
        _, pending = await call("GET", "/work/pending", by="M-2")
        assert [(p["id"], p["opened_at"], p["acting_for"]) for p in pending["items"]] == [
            (opened["ticket_id"], opened["opened_at"], "M-1")
        ]
        for customer in ("C-1", "C-2"):
            assert (await call("GET", f"/directory/customers/{customer}/people", by="M-2"))[0] == 200
        audited = await house.rows(
            "SELECT owner_id, acting_for FROM notify.audit WHERE action = 'people-read' ORDER BY 1"
        )
        assert [tuple(r) for r in audited] == [("C-1", "M-1"), ("C-2", None)]
        said = [b for b in bodies(await house.said("post-assigned")) if b["post_id"] == "post-M-1"][-1]
        assert [(g["person_id"], g["acting_for"], g["scope_id"]) for g in said["grants"]] == [
            ("M-1", None, "C-1"), ("M-2", "M-1", "C-1"),
        ]  # fmt: skip
        await run(house, "tell-successors")
        await run(house, "tell-successors")
        told = await house.rows("SELECT person_id, facts->>'tickets' AS tickets, facts->>'from_person' AS before"
                                " FROM notify.delivery WHERE event_class = 'work-handed-over'")  # fmt: skip
        assert [tuple(r) for r in told] == [("M-2", "1", "M-1")]
        assert (await call("DELETE", f"/directory/leaves/mine/{entry['leave_id']}", by="M-1"))[0] == 204
        assert (await call("GET", "/directory/customers/C-1/people", by="M-2"))[0] == 404
        audited = await house.rows("SELECT actor FROM notify.audit WHERE action LIKE 'leave-%' ORDER BY seq")
        assert [r["actor"] for r in audited] == ["M-1", "M-1"]


async def test_a_leave_that_personnel_says_gives_the_named_deputy_scope_until_it_is_withdrawn(
    house: NotifyHouse,
) -> None:
    await settled(house)
    away = LeaveChanged(
        leave_id="L-1", version=1, person_id="M-1", starts_at=YEAR, ends_at=NOW + timedelta(days=1), deputy_id="M-2"
    )
    await house.hear(away, away.model_copy(update={"version": 2, "deputy_id": "DESK"}))
    acting = "SELECT person_id FROM notify.access_grant WHERE acting_for = 'M-1'"
    assert [r["person_id"] for r in await house.rows(acting)] == ["DESK"]
    assert await house.forget(LeaveChanged, "L-1") == "applied"
    assert await house.rows(acting) == []


async def test_a_hand_over_passes_the_work_on_and_keeps_its_clock_against_the_next_snapshot(house: NotifyHouse) -> None:
    await settled(house)
    await house.rows("INSERT INTO notify.task (task_id, customer_id, kind, role, details, opened_at, due_at) VALUES"
                     " (gen_random_uuid(), 'C-1', 'reachability-gap', 'account-manager', '{}', now(), $1)",
                     datetime(2026, 12, 1, tzinfo=UTC))  # fmt: skip
    step = {"from_person_id": "M-1", "to_person_id": "NOBODY"}
    async with house.served() as call:
        path = "/directory/posts/post-M-1/handover"
        assert (await call("POST", path, by="LEADER", body=step))[0] == 404
        step["to_person_id"] = "M-2"
        assert (await call("POST", path, by="LEADER", body={**step, "from_person_id": "M-2"}))[0] == 422
        assert (await call("POST", path, by="LEADER", body=step))[0] == 201
        assert (await call("GET", "/work/pending", by="M-1"))[0] == 403
        await run(house, "publish-directory")
        await house.hear(staff("account-manager", "M-1", "C-1"))
        assert (await call("GET", "/work/pending", by="M-1"))[0] == 403
        _, pending = await call("GET", "/work/pending", by="M-2")
        assert [(p["kind"], p["due_at"], p["acting_for"]) for p in pending["items"]] == [
            ("reachability-gap", "2026-12-01T00:00:00Z", None)
        ]
        _, tree = await call("GET", "/directory/organisation", by="M-2")
        [post] = [p for p in tree["posts"] if p["post_id"] == "post-M-1"]
        assert {u["unit_id"] for u in tree["units"]} == {"east", "west", "city"}
        audited = await house.rows("SELECT actor FROM notify.audit WHERE action = 'post-handed-over'")
        assert [r["actor"] for r in audited] == ["LEADER"]
        assert [(h["person_id"], h["valid_to"] is None) for h in post["held_by"]] == [("M-1", False), ("M-2", True)]


async def test_a_customer_without_an_owner_is_an_alarm_until_somebody_answers(house: NotifyHouse) -> None:
    await settled(house)
    await house.hear(profile("C-3", "D-1", area="east"))
    away = {"person_id": "M-1", "starts_at": NOW.isoformat(), "ends_at": (NOW + timedelta(days=1)).isoformat()}
    async with house.served() as call:
        assert (await call("POST", "/directory/leaves", by="LEADER", body=away))[0] == 201
        await run(house, "publish-directory")
        _, found = await call("GET", "/directory/ownership?finding=any", by="AUDIT")
        assert [(o["customer_id"], o["finding"]) for o in found["items"]] == [("C-1", "away"), ("C-3", "nobody")]
        await run(house, "watch-ownership")
        assert metrics.WITHOUT_OWNER._value.get() == 2
        for since, count in (("4 minutes 50 seconds", 0), ("5 minutes", 2), ("1 hour", 2)):
            await house.rows(f"UPDATE notify.customer SET unowned_since = now() - interval '{since}'"
                             " WHERE unowned_since IS NOT NULL")  # fmt: skip
            await run(house, "watch-ownership")
            assert len(await house.rows("SELECT 1 FROM notify.task")) == count
        told = await house.rows("SELECT person_id, customer_id FROM notify.delivery ORDER BY customer_id")
        assert [tuple(r) for r in told] == [("LEADER", "C-1"), ("LEADER", "C-3")]
        await house.hear(staff("account-manager", "M-3", "C-1", "C-3"), staff("account-manager", "M-4", "C-3"))
        await run(house, "watch-ownership")
        assert metrics.WITHOUT_OWNER._value.get() == 0
        assert await house.rows("SELECT 1 FROM notify.task WHERE done_at IS NULL") == []
        _, found = await call("GET", "/directory/ownership?finding=several", by="AUDIT")
        assert [o["customer_id"] for o in found["items"]] == ["C-3"]


async def test_who_is_hard_to_reach_becomes_a_task_of_the_manager_in_the_night(house: NotifyHouse) -> None:
    await settled(house)
    night = datetime(2026, 11, 24, 2, tzinfo=BUSINESS_ZONE)
    await house.rows(
        "UPDATE notify.contact SET unusable_because = 'bounced' WHERE kind = 'mobile' AND person_id = 'P-1'"
    )
    await run(house, "check-reachability", at=night.replace(hour=12))
    assert await house.rows("SELECT 1 FROM notify.task") == []
    for _ in range(2):
        await run(house, "check-reachability", at=night)
    # C-1 has the administrator's phone and an openid, C-2 the openid alone: one short of the two that are asked for.
    open_tasks = await house.rows("SELECT customer_id, role, details->>'channels' AS channels FROM notify.task")
    assert [tuple(r) for r in open_tasks] == [("C-2", "account-manager", "1")]
    told = await house.rows("SELECT person_id, event_class FROM notify.delivery")
    assert [tuple(r) for r in told] == [("M-2", "reachability-gap")]
    await house.rows("UPDATE notify.contact SET unusable_because = NULL")
    await run(house, "check-reachability", at=night)
    assert await house.rows("SELECT 1 FROM notify.task WHERE done_at IS NULL") == []


async def test_the_duty_calendar_is_entered_by_the_leader_of_the_unit(house: NotifyHouse) -> None:
    await settled(house)
    hours = {"starts_at": (NOW - timedelta(hours=1)).isoformat(), "ends_at": (NOW + timedelta(hours=8)).isoformat()}
    shift = {"unit_id": "east", "person_id": "DESK", "role": "inspector", **hours}
    async with house.served() as call:
        assert (await call("POST", "/directory/duty", by="OTHER", body=shift))[0] == 404
        status, entered = await call("POST", "/directory/duty", by="LEADER", body=shift)
        assert status == 201
        day = NOW.astimezone(BUSINESS_ZONE).date().isoformat()
        status, listed = await call("GET", f"/directory/duty?day={day}", by="M-1")
        assert [d["person_id"] for d in listed["items"]] == ["DESK"]
        assert (await call("DELETE", f"/directory/duty/{entered['duty_id']}", by="OTHER"))[0] == 404
