"""The routes as people see them: everyone their own, nobody a foreign customer's."""

import asyncio
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

from services.contracts.examples import exemplar
from services.contracts.organisation import Holding, PostChanged
from services.contracts.portrait import ScoreDisputed
from services.kernel.work import EVERYTHING, Actor, Cause, UnitOfWork
from services.notify.adapters.port import Accepted
from services.notify.delivery import outcomes
from services.notify.delivery.outcomes import Answer
from tests.integration.notify.house import CALLBACK_TOKEN, NotifyHouse
from tests.integration.notify.test_delivery import YEAR, bodies, fault, part, person, profile

RECEIPT = (
    "<xml><ToUserName>gh_1</ToUserName><FromUserName>openid-1</FromUserName><CreateTime>1760000000</CreateTime>"
    "<MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event><MsgID>1001</MsgID><Status>success</Status></xml>"
)


def post(role: str, holder: str, *customers: str) -> PostChanged:
    held = (Holding(person_id=holder, valid_from=YEAR),)
    return PostChanged.model_validate(
        {
            "post_id": f"post-{holder}", "version": 1, "name": role, "unit_id": "east", "role": role,
            "customer_ids": customers, "holdings": held,
        }
    )  # fmt: skip


async def told(house: NotifyHouse) -> None:
    await house.hear(
        profile("C-1", "A-1"), profile("C-2", "B-1"), person("P-1", "C-1", openid="openid-1"), person("P-2", "C-2"),
        post("account-manager", "M-1", "C-1"), post("account-manager", "M-2", "C-2"),
        post("service-desk", "D-1", "C-1"),
        fault(part(1, 1, ("C-1", "A-1"))),
    )  # fmt: skip


async def test_a_person_reads_their_own_inbox_and_a_manager_the_deliveries_of_own_customers(house: NotifyHouse) -> None:
    await told(house)
    async with house.served() as call:
        status, mine = await call("GET", "/inbox", by="P-1")
        assert status == 200 and "A-1" in mine["items"][0]["body"]
        assert (await call("GET", "/inbox", by="P-2"))[1] == {"items": []}
        status, seen = await call("GET", "/deliveries?subject_id=O-1", by="M-1")
        assert [d["person_id"] for d in seen["items"]] == ["P-1"]
        assert (await call("GET", "/deliveries?subject_id=O-1", by="M-2"))[1] == {"items": []}
        assert (await call("GET", "/deliveries", by="P-1"))[0] == 403
        status, me = await call("GET", "/persons/me", by="P-1")
        assert me["name"] == "某联系人" and "138****5678" in [c["masked"] for c in me["contacts"]]


async def test_a_complaint_is_opened_once_closed_once_and_said_without_its_words(house: NotifyHouse) -> None:
    await told(house)
    body = {"customer_id": "C-1", "kind": "complaint", "channel": "95598", "words": "抢修太慢"}
    async with house.served() as call:
        status, ticket = await call("POST", "/tickets", by="D-1", body=body)
        assert status == 201
        assert (await call("POST", "/tickets", by="D-1", body={**body, "customer_id": "C-2"}))[0] == 404
        assert (await call("POST", "/tickets", by="P-1", body=body))[0] == 403
        closing = f"/tickets/{ticket['ticket_id']}/close"
        assert [(await call("POST", closing, by="D-1"))[0] for _ in range(2)] == [200, 409]
    [opened] = bodies(await house.said("ticket-opened"))
    assert opened["kind"] == "complaint" and "words" not in opened


async def test_a_receipt_delivers_once_and_an_unsigned_one_is_refused(house: NotifyHouse) -> None:
    await told(house)
    async with house.served() as call:
        assert await call.push(RECEIPT, token="someone else") == 403
        assert await call.push(RECEIPT, token=CALLBACK_TOKEN) == 200  # before the answer of the send call is stored
        await house.send_due()
        assert await call.push(RECEIPT, token=CALLBACK_TOKEN) == 200
    assert [d["channel"] for d in bodies(await house.said("message-delivered"))] == ["wechat"]


async def test_a_receipt_that_is_stored_while_its_answer_is_stored_counts(house: NotifyHouse) -> None:
    await told(house)
    [row] = await house.rows(
        "UPDATE notify.delivery SET state = 'sending', attempts = 1 WHERE channel = 'wechat' RETURNING delivery_id"
    )
    answer = Answer(delivery_id=row["delivery_id"], number=1, outcome=Accepted(reference="M-1"))
    async with _work(house) as work:
        classes = {row["delivery_id"]: "TEMPLATE"}
        await outcomes.record(work, provider=house.channel, answers=[answer], classes=classes)
        receipt = asyncio.create_task(_receipt(house))
        await asyncio.sleep(0.3)  # the answer is not committed yet
    await receipt
    assert [tuple(r) for r in await house.rows("SELECT state FROM notify.delivery")] == [("delivered",)]


async def _receipt(house: NotifyHouse) -> None:
    async with _work(house) as work:
        await outcomes.receipt(work, message_id="M-1", status="success")


def _work(house: NotifyHouse) -> AbstractAsyncContextManager[UnitOfWork]:
    cause, actor = Cause(id=uuid4().hex, source="tests", type="tests"), Actor(person_id="system:tests")
    return house.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING)


async def test_a_disputed_score_becomes_one_ticket_that_carries_its_evidence(house: NotifyHouse) -> None:
    example = exemplar(ScoreDisputed)
    assert isinstance(example, ScoreDisputed)
    assert await house.hear(example) == ["waiting"]
    disputed = example.model_copy(update={"customer_id": "C-1"})
    await told(house)
    outcomes = [(await house.hear(disputed, event_id="dispute-1"))[0] for _ in range(2)]
    assert outcomes == ["applied", "duplicate"]
    [ticket] = await house.rows("SELECT kind, words, opened_by FROM notify.ticket")
    assert (ticket["kind"], ticket["opened_by"]) == ("opinion", disputed.disputed_by)
    assert "71.40 分（C）" in ticket["words"] and "kwh_per_kva 141.2 → 50.45" in ticket["words"]
    [opened] = bodies(await house.said("ticket-opened"))
    assert (opened["customer_id"], opened["kind"]) == ("C-1", "opinion") and "words" not in opened
