"""Routes of the wordings: versions, preview of every rendering, a trial to oneself."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query

from services.kernel.http import Work, allow, service_router
from services.notify.templates import schemas, sms, store, trial
from services.notify.templates.checks import SAMPLES, problems, sampled
from services.notify.templates.store import CHANNELS, LANGUAGES
from services.notify.templates.texts import TextSet, Wording, shipped_as, shipped_texts, templates

router = service_router("notify")
KEEPERS = ("department-head", "system-administrator")
READERS = ("account-manager", "team-leader", "service-desk", "planner", "auditor", *KEEPERS)
EventClass = Annotated[str, Path(max_length=40)]


@router.get("/templates/{event_class}", summary="某类消息的模板版本 Versions of the wordings of a class")
@allow(*READERS)
async def versions(work: Work, event_class: EventClass) -> schemas.TemplateVersions:
    rows = await store.versions(work, event_class=event_class)
    facts: Mapping[str, str] = templates()[event_class].facts
    shipped = [
        schemas.ShippedWording(channel=channel, language=language, wording=wording)
        for (name, channel, language), wording in sorted(shipped_texts().wordings.items(), key=lambda item: item[0])
        if name == event_class
    ]
    return schemas.TemplateVersions(
        facts=dict(facts), items=[_version(r) for r in rows], shipped_as=shipped_as(), shipped=shipped
    )


@router.post("/templates/{event_class}", summary="录入模板 Enter a wording", status_code=201)
@allow(*KEEPERS)
async def enter(work: Work, event_class: EventClass, body: schemas.NewWording) -> schemas.TemplateVersion:
    row = await store.enter(
        work, event_class=event_class, channel=body.channel, language=body.language, wording=body.wording
    )
    return _version(row)


@router.post(
    "/template-versions/{template_key}/confirm", summary="确认模板（非录入人） Confirm a wording, not its author"
)
@allow(*KEEPERS)
async def confirm(work: Work, template_key: UUID) -> schemas.TemplateVersion:
    return _version(await store.confirm(work, key=template_key))


@router.get("/templates/{event_class}/preview", summary="预览全部渲染 Preview of all renderings")
@allow(*READERS)
async def preview(
    work: Work, event_class: EventClass, draft: Annotated[UUID | None, Query(description="shown in its place")] = None
) -> schemas.Preview:
    store.require_class(event_class)
    texts = await store.texts_in_force(work)
    if draft is not None:
        row = await store.draft_of(work, key=draft)
        own = {(row["event_class"], row["channel"], row["language"]): Wording.model_validate(row["wording"])}
        texts = TextSet(wordings={**texts.wordings, **own})
    shown = [
        _shown(texts, event_class, channel, language, sample)
        for channel in CHANNELS for language in LANGUAGES for sample in SAMPLES
    ]  # fmt: skip
    return schemas.Preview(event_class=event_class, items=shown)


@router.post("/template-versions/{template_key}/trial", summary="发送给自己试看 Send it to oneself", status_code=202)
@allow(*KEEPERS)
async def send_trial(work: Work, template_key: UUID) -> schemas.TrialSent:
    return schemas.TrialSent(happening=await trial.send(work, key=template_key))


def _shown(texts: TextSet, event_class: str, channel: str, language: str, sample: str) -> schemas.Shown:
    wording = texts.wording(event_class, channel=channel, language=language)
    drawn = sampled(wording, event_class=event_class, language=language, sample=sample)
    is_sms = channel == "sms"
    return schemas.Shown(
        channel=channel, language=language, sample=sample, title=drawn.title, body=drawn.body,
        template_id=drawn.template_id, fields=drawn.fields, sms_length=sms.length(drawn.body) if is_sms else None,
        sms_segments=sms.segments(drawn.body) if is_sms else None,
        problems=[
            f"{p.field}：{p.zh} {p.en}"
            for p in problems(wording, event_class=event_class, channel=channel, language=language)
        ],
    )  # fmt: skip


def _version(row: Mapping[str, Any]) -> schemas.TemplateVersion:
    return schemas.TemplateVersion(**{name: row[name] for name in schemas.TemplateVersion.model_fields})
