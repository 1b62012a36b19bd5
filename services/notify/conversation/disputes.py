"""A doubt about a score opens the customer's thread on scores, with the score attached and its ticket."""

from services.contracts.portrait import ScoreDisputed
from services.kernel.work import UnitOfWork
from services.notify import tickets
from services.notify.conversation import clock, threads


async def open_for_dispute(work: UnitOfWork, *, event: ScoreDisputed) -> None:
    """Once per dispute. Raises `WaitingFor` while the customer is not known."""
    ticket_id = await tickets.open_for_dispute(work, event=event)
    if ticket_id is None:
        return
    heard = await threads.hear(
        work, customer_id=event.customer_id, topic="score-query", person_id=event.disputed_by, channel="app",
        kind="dispute", said=tickets.evidence(event),
    )  # fmt: skip
    attached = event.model_dump(
        mode="json",
        include={"dispute_id", "run_id", "month", "score", "band", "scheme_version", "ground", "indicators"},
    )
    await clock.change(work, heard.conversation_id, {"attached": attached, "ticket_id": ticket_id})
