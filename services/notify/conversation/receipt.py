"""What the house itself says in a conversation, in the person's language: the receipt, the question at its end."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from services.kernel.work import UnitOfWork
from services.notify.tables import person
from services.notify.templates.facts import in_words

_RECEIPT = {
    "zh": "您好，您关于{topic}的咨询已收到，{manager}承诺于 {until} 前答复。停电等紧急情况请直接拨打 95598。",
    "en": "Your question about {topic} was received; {manager} promises an answer before {until}. In an emergency such"
    " as an outage please call 95598.",
}  # fmt: skip
_MANAGER = {"zh": "客户经理{name}", "en": "your account manager {name}"}
_NOBODY = {"zh": "服务坐席", "en": "the service desk"}
_QUESTION = {"zh": "本次咨询已办结，问题解决了吗？", "en": "This conversation was closed. Is your question solved?"}


async def text(work: UnitOfWork, *, row: Any, person_id: str, manager: str, due_at: datetime) -> str:
    language = await language_of(work, person_id=person_id)
    named = _MANAGER[language].format(name=manager).strip() if manager else _NOBODY[language]
    return _RECEIPT[language].format(
        topic=in_words(row.topic, "conversation-topic", language), manager=named,
        until=in_words(due_at.isoformat(), "moment", language),
    )  # fmt: skip


async def question(work: UnitOfWork, *, person_id: str) -> str:
    return _QUESTION[await language_of(work, person_id=person_id)]


async def language_of(work: UnitOfWork, *, person_id: str) -> str:
    known = (await work.db.execute(select(person.c.language).where(person.c.person_id == person_id))).scalar()
    return "en" if known == "en" else "zh"
