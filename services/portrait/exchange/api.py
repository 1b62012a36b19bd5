"""HTTP of files: imports in parts with a report, and a customer's own data as CSV and ESPI."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any, get_args

from fastapi import Path, Query, Request, Response

from services.contracts.envelope import Day
from services.contracts.marketing import CustomerRole
from services.kernel.http import Work, allow, service_router
from services.portrait import queries as customers
from services.portrait.adapters.csv_out import csv_lines
from services.portrait.adapters.espi_out import espi_feed
from services.portrait.adapters.readings import REASONS, Hints
from services.portrait.exchange import imports, schemas
from services.portrait.exchange.exports import export_blocks

router = service_router("portrait")
CustomerId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
ImportId = Annotated[str, Path(pattern=r"^[0-9a-f\-]{36}$")]
_CUSTOMER_ROLES = frozenset(get_args(CustomerRole))
_STAFF = ("account-manager", "department-head")


@router.post("/imports", summary="登记导入文件 Announce a file to import", status_code=201)
@allow("data-publisher")
async def announce(body: schemas.ImportAnnounced, work: Work) -> schemas.ImportOpened:
    hints = Hints(**body.model_dump(include=set(Hints.__dataclass_fields__)))
    import_id, parts = await imports.announce_import(
        work, file_name=body.file_name, size=body.bytes, sha256=body.sha256, hints=hints
    )
    return schemas.ImportOpened(import_id=import_id, parts=parts, part_bytes=imports.PART_BYTES)


@router.put(
    "/imports/{import_id}/parts/{part}", summary="上传文件的一部分 Send a part of the file",
    max_body_size=imports.PART_BYTES,
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {}}}}},
)  # fmt: skip
@allow("data-publisher")
async def take_part(
    import_id: ImportId, part: Annotated[int, Path(ge=1, le=10_000)], request: Request, work: Work
) -> schemas.PartTaken:
    missing = await imports.take_part(work, import_id=import_id, part=part, body=await request.body())
    return schemas.PartTaken(import_id=import_id, part=part, parts_missing=missing)


@router.get("/imports/{import_id}", summary="导入进度与结果 Progress and report of an import")
@allow("data-publisher")
async def report(import_id: ImportId, work: Work) -> schemas.ImportReport:
    row = await imports.import_of(work, import_id=import_id)
    return schemas.ImportReport(**{name: getattr(row, name) for name in schemas.ImportReport.model_fields})


@router.get("/imports/{import_id}/errors", summary="未导入的行 Rows that were not taken")
@allow("data-publisher")
async def errors(
    import_id: ImportId,
    work: Work,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
) -> schemas.ImportErrors:
    await imports.import_of(work, import_id=import_id)
    rows = await imports.errors_of(work, import_id=import_id, after=after, limit=limit + 1)
    items = [
        schemas.ImportErrorLine(
            ordinal=r.ordinal, row=r.row, column=r.column, text=r.text, code=r.code, reason_zh=REASONS[r.code][0],
            reason_en=REASONS[r.code][1],
        )
        for r in rows[:limit]
    ]  # fmt: skip
    return schemas.ImportErrors(items=items, next_after=items[-1].ordinal if len(rows) > limit else None)


_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
_ATOM: dict[int | str, dict[str, Any]] = {200: {"content": {"application/atom+xml": {"schema": {"type": "string"}}}}}


@router.get(
    "/customers/{customer_id}/readings.csv", summary="导出本户曲线 Own readings as CSV", response_class=Response,
    responses=_CSV,
)  # fmt: skip
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def own_csv(
    customer_id: CustomerId, work: Work, from_day: Annotated[Day, Query()], to_day: Annotated[Day, Query()]
) -> Response:
    await _exported(work, customer_id, "csv")
    blocks = await export_blocks(work, customer_id=customer_id, from_day=from_day, to_day=to_day)
    return await _file(csv_lines(blocks), "text/csv; charset=utf-8", f"{customer_id}-{from_day}.csv")


@router.get(
    "/customers/{customer_id}/readings.espi.xml", summary="导出绿色按钮数据 Own readings as ESPI (Green Button)",
    response_class=Response, responses=_ATOM,
)  # fmt: skip
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def own_espi(
    customer_id: CustomerId, work: Work, request: Request, from_day: Annotated[Day, Query()],
    to_day: Annotated[Day, Query()],
) -> Response:  # fmt: skip
    await _exported(work, customer_id, "espi")
    blocks = await export_blocks(work, customer_id=customer_id, from_day=from_day, to_day=to_day)
    base = f"{str(request.base_url).rstrip('/')}/espi/1_1/resource"
    feed = espi_feed(customer_id=customer_id, blocks=blocks, made_at=work.now, base=base)
    return await _file(feed, "application/atom+xml", f"{customer_id}-{from_day}.xml")


async def _exported(work: Work, customer_id: str, file_format: str) -> None:
    await customers.profile_of(work, customer_id=customer_id)
    await work.audit(
        action="readings-exported", object_type="customer", object_id=customer_id, owner_id=customer_id,
        after={"format": file_format},
    )  # fmt: skip


async def _file(pieces: Iterable[str], media_type: str, name: str) -> Response:
    """Written beside the event loop; the size is bounded by the export's own limit."""
    body = await asyncio.to_thread(lambda: "".join(pieces).encode())
    return Response(body, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})
