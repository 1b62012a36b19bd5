"""What time triggers in the directory and around announcements."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from services.kernel.clock import BUSINESS_ZONE
from services.kernel.jobs import JobRun
from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.announcements import actions as announcements
from services.notify.delivery.happenings import Happening, tell
from services.notify.directory import confirmation, handing_over, ownership, reachability, tasks
from services.notify.directory.working_time import is_working_time, years_known
from services.notify.policy.record import forget
from services.notify.policy.store import policy_in_force

NIGHT_HOURS = range(1, 5)
REACH_WITHIN_WORKING_DAYS = 5
"""Proposal of the house."""
MOST_ASKED_PER_RUN = 500


async def watch_ownership(run: JobRun) -> None:
    """A customer that nobody answers for is an alarm: a gauge at once, a task and a message when it lasts."""
    async with run.chunk() as work:
        unowned = {o.customer_id: o.finding for o in await ownership.owned(work) if o.finding in ("nobody", "away")}
        metrics.WITHOUT_OWNER.set(len(unowned))
        today = work.now.astimezone(BUSINESS_ZONE).date()
        metrics.CALENDAR_ENDS.set((date(years_known()[-1], 12, 31) - today).days)
        kind = "customer-without-owner"
        await tasks.close_tasks(work, kind=kind, customers_still_open=set(unowned))
        since = await ownership.note_unowned(work, customer_ids=set(unowned))
        for customer_id, begun in sorted(since.items()):
            if work.now - begun >= ownership.TOLD_AFTER:
                await _task_and_message(
                    work, kind, customer_id, role="team-leader", facts={"since": begun.isoformat()},
                    details={"finding": unowned[customer_id]}, working_days=1,
                )  # fmt: skip


async def check_reachability(run: JobRun) -> None:
    """Once in the night: who can be reached on fewer channels than the policy asks for is a task for the manager."""
    if run.due_at.astimezone(BUSINESS_ZONE).hour not in NIGHT_HOURS:
        return
    async with run.chunk() as work:
        fewest = (await policy_in_force(work)).policy.fewest_working_channels
        found = {c: len(pairs) for c, pairs in (await reachability.working_channels(work)).items()}
        weak = {c: count for c, count in found.items() if count < fewest}
        metrics.HARD_TO_REACH.set(len(weak))
        kind = "reachability-gap"
        await tasks.close_tasks(work, kind=kind, customers_still_open=set(weak))
        for customer_id, count in sorted(weak.items()):
            await _task_and_message(
                work, kind, customer_id, role="account-manager", facts={"channels": count}, details={"channels": count},
                working_days=REACH_WITHIN_WORKING_DAYS,
            )  # fmt: skip


async def ask_for_confirmation(run: JobRun) -> None:
    """In office hours, so that nobody is woken for it."""
    if not is_working_time(run.due_at):
        return
    async with run.chunk() as work:
        months = (await policy_in_force(work)).policy.confirm_contacts_after_months
        due = await confirmation.due(work, after_months=months, limit=MOST_ASKED_PER_RUN)
        people = [p for p in due if confirmation.may_be_asked(p["asked_at"], now=work.now)]
        await _ask(work, people)


async def send_announcements(run: JobRun) -> None:
    """Those whose hour has come, then the reminders of those already out."""
    async with run.chunk("send") as work:
        await announcements.send_due(work)
    async with run.chunk("remind") as work:
        await announcements.remind_due(work)


async def forget_old_plannings(run: JobRun) -> None:
    async with run.chunk() as work:
        await forget(work)


async def _ask(work: UnitOfWork, people: Sequence[dict[str, Any]]) -> None:
    due_on = (work.now + confirmation.ANSWER_WITHIN).astimezone(BUSINESS_ZONE).date()
    for asked in people:
        await tell(
            work,
            happening=Happening(
                event_class=confirmation.EVENT_CLASS, subject_id=asked["person_id"], occasion=due_on.isoformat(),
                customers=frozenset(), people={asked["person_id"]: asked["customer_id"]}, event_at=work.now,
                facts={"due_on": due_on.isoformat()},
            ),
        )  # fmt: skip
    await confirmation.asked(work, person_ids=[p["person_id"] for p in people])


async def tell_successors(run: JobRun) -> None:
    """Who takes over a post or acts for somebody is told, when it begins, how much pending work comes with it."""
    async with run.chunk() as work:
        for begun in await handing_over.begun(work):
            await tell(
                work,
                happening=Happening(
                    event_class="work-handed-over", subject_id=begun.post_id, occasion=begun.occasion,
                    customers=frozenset(), people={begun.to_person_id: begun.customer_id}, event_at=work.now,
                    facts={
                        "from_person": begun.from_person_id, "post": begun.post_name,
                        "at": begun.begins_at.isoformat(), "tickets": begun.tickets, "tasks": begun.tasks,
                    },
                ),
            )  # fmt: skip
        await handing_over.mark_told(work)


async def _task_and_message(
    work: UnitOfWork, kind: str, customer_id: str, *, role: str, facts: dict[str, Any], details: dict[str, Any],
    working_days: int,
) -> None:  # fmt: skip
    due_at = await tasks.open_task(
        work, customer_id=customer_id, kind=kind, role=role, details=details, working_days=working_days
    )
    if due_at is None:
        return
    due_on = due_at.astimezone(BUSINESS_ZONE).date().isoformat()
    await tell(
        work,
        happening=Happening(
            event_class=kind, subject_id=customer_id, occasion=work.now.date().isoformat(),
            customers=frozenset({customer_id}), event_at=work.now, facts={"due_on": due_on, **facts},
        ),
    )  # fmt: skip


EVERY_FEW_SECONDS, EVERY_MINUTE = timedelta(seconds=5), timedelta(minutes=1)
HOURLY, DAILY = timedelta(hours=1), timedelta(days=1)
