"""Errors that tell the caller what to do: problem+json (RFC 9457) in Chinese and English."""

import logging
from dataclasses import dataclass
from typing import Any

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One text in the two languages of the house; Chinese is the default."""

    zh: str
    en: str

    def for_language(self, accept_language: str) -> str:
        return self.en if accept_language.strip().lower().startswith("en") else self.zh


class Problem(Exception):
    """Base of all refusals: a status, a stable code, a sentence in both languages, the field if there is one.

    Subclasses stand beside the function that raises them and set `status` and `code`.
    """

    status = 400
    code = "bad-request"

    def __init__(self, *, zh: str, en: str, field: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(en)
        self.sentence = Sentence(zh=zh, en=en)
        self.field = field
        self.headers = headers or {}


class NotFound(Problem):
    """Also the answer for rows outside the caller's scope: their existence is not told."""

    status = 404
    code = "not-found"

    def __init__(self, *, what_zh: str = "记录", what_en: str = "record", field: str | None = None) -> None:
        super().__init__(
            zh=f"未找到该{what_zh}，请核对编号。", en=f"No such {what_en}; check the identifier.", field=field
        )


class Conflict(Problem):
    status = 409
    code = "conflict"


class Forbidden(Problem):
    status = 403
    code = "forbidden"


class SelfApproval(Forbidden):
    """Nobody approves or verifies what they asked for themselves."""

    code = "self-approval"


def problem_response(request: Request, problem: Problem, *, errors: list[dict[str, Any]] | None = None) -> JSONResponse:
    language = request.headers.get("accept-language", "zh-CN")
    body: dict[str, Any] = {
        "type": f"urn:keyline:problem:{problem.code}",
        "title": problem.code,
        "status": problem.status,
        "detail": problem.sentence.for_language(language),
        "instance": request.url.path,
    }
    if problem.field:
        body["field"] = problem.field
    if errors:
        body["errors"] = errors
    return JSONResponse(body, problem.status, headers=problem.headers, media_type=PROBLEM_JSON)


class Unavailable(Problem):
    status = 503
    code = "unavailable"

    def __init__(self) -> None:
        super().__init__(
            zh="服务暂时不可用，请稍后用同一 Idempotency-Key 重试。",
            en="Temporarily unavailable; retry later with the same Idempotency-Key.",
            headers={"Retry-After": "2"},
        )


class Internal(Problem):
    """A fault of ours; the log has it, the answer tells nothing of the inside."""

    status = 500
    code = "internal"

    def __init__(self) -> None:
        super().__init__(
            zh="系统内部错误，已记录；请稍后重试或联系管理员。",
            en="An internal error was recorded; retry later or tell the administrator.",
        )


class InvalidInput(Problem):
    status = 422
    code = "invalid-input"


class NotText(InvalidInput):
    def __init__(self) -> None:
        super().__init__(
            zh="文本含有无法存储的字符（如 NUL），请删除后重试。",
            en="A text holds a character that cannot be stored, such as NUL; remove it and retry.",
        )


_NOT_TEXT = {"22021", "22P05"}
"""character_not_in_repertoire and untranslatable_character: only the database knows which characters it can hold."""


def problem_of(error: Exception) -> Problem:
    """How an error that is no `Problem` is answered; what is a fault of ours goes to the log."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout | ConnectionError):
        return Unavailable()
    if isinstance(error, DBAPIError | asyncpg.PostgresError | asyncpg.InterfaceError):
        return _said_by_the_database(error)
    log.error("request failed", exc_info=error)
    return Internal()


def _said_by_the_database(error: Exception) -> Problem:
    state = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", "")
    if state == "42501":
        # Row-level security refused a row outside the caller's scope: for the caller it does not exist.
        return NotFound()
    if state in _NOT_TEXT:
        return NotText()
    if is_transient(error):
        return Unavailable()
    log.error("request failed in the database", exc_info=error)
    return Internal()


def install(app: FastAPI) -> None:
    """Answer every failure of `app` as problem+json; nothing of the inside (SQL, traces) is told."""

    async def on_problem(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        return problem_response(request, error)

    async def on_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        found = [{"field": ".".join(str(p) for p in e["loc"]), "reason": e["msg"]} for e in error.errors()[:20]]
        first = found[0]["field"] if found else None
        problem = InvalidInput(
            zh=f"请求不符合要求，请修正字段 {first} 后重试。",
            en=f"The request breaks its contract; correct the field {first} and retry.",
            field=first,
        )
        return problem_response(request, problem, errors=found)

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        problem = Problem(zh=f"请求未被接受：{error.detail}", en=f"Request refused: {error.detail}")
        problem.status, problem.code = error.status_code, f"http-{error.status_code}"
        return problem_response(request, problem)

    async def on_database_down(request: Request, error: Exception) -> JSONResponse:
        return problem_response(request, Unavailable())

    async def on_database_error(request: Request, error: Exception) -> JSONResponse:
        return problem_response(request, _said_by_the_database(error))

    async def on_anything(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", exc_info=error)
        return problem_response(request, Internal())

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    for kind in (OperationalError, InterfaceError, PoolTimeout, ConnectionError):
        app.add_exception_handler(kind, on_database_down)
    app.add_exception_handler(DBAPIError, on_database_error)
    app.add_exception_handler(Exception, on_anything)


def _state_is_transient(error: BaseException | None) -> bool:
    state = str(getattr(error, "sqlstate", "") or "")
    # 08 connection, 40 rollback (serialisation, deadlock), 53 resources, 57 operator, 55P03 lock, 25P03 idle session
    return state[:2] in {"08", "40", "53", "57"} or state in {"55P03", "25P03"}


def is_transient(error: BaseException) -> bool:
    """Whether waiting can cure it: the database or network is away, or a lock or serialisation lost.

    Transient failures are retried for ever and never become dead letters.
    """
    if isinstance(error, PoolTimeout | ConnectionError | TimeoutError | InterfaceError | OSError):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _state_is_transient(error.orig)
    if isinstance(error, asyncpg.InterfaceError) and "connection" in str(error):
        return True
    if isinstance(error, asyncpg.PostgresError):
        return _state_is_transient(error)
    cause = error.__cause__
    return cause is not None and cause is not error and is_transient(cause)
