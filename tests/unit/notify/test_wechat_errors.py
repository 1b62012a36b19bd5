"""The table of error codes: every documented code has one class and one thing to do."""

import pytest

from services.notify.adapters.wechat.errors import (
    ERROR_RULES,
    Action,
    ErrorClass,
    RecipientUnreachable,
    UnknownRefusal,
    WechatRefused,
    refusal,
    rule_for,
)

CLASSES = {
    ErrorClass.TRANSIENT: [-1, 45011, 61450],
    ErrorClass.RECIPIENT_FREQUENCY: [43117],
    ErrorClass.TOKEN: [40001, 40014, 42001],
    ErrorClass.LOGIN: [42002, 42003, 42007, 40029, 40030, 40163],
    ErrorClass.QUOTA: [45009, 48006],
    ErrorClass.RECIPIENT: [43004, 50005, 43019, 43101, 48002, 40003, 46004, 65302],
    ErrorClass.WINDOW: [45015, 45047],
    ErrorClass.CONTENT: [47003, 47001, 40033, 44002, 44004, 45002, 40035],
    ErrorClass.CONFIGURATION: [40037, 40036, 40013, 40125, 41004, 40164, 48001, 48004, 50002, 45109],
    ErrorClass.MASS_SEND: [45065, 45066, 45067],
}


@pytest.mark.parametrize(("error_class", "code"), [(c, code) for c, codes in CLASSES.items() for code in codes])
def test_a_documented_code_has_its_class(error_class: ErrorClass, code: int) -> None:
    assert ERROR_RULES[code].error_class is error_class
    assert ERROR_RULES[code].code == code
    assert ERROR_RULES[code].errmsg


def test_every_class_but_the_unknown_and_mass_send_has_its_own_exception() -> None:
    one_of_each = {codes[0] for error_class, codes in CLASSES.items() if error_class is not ErrorClass.MASS_SEND}
    types = {type(refusal(errcode=code, errmsg="")) for code in one_of_each}
    assert len(types) == len(one_of_each)
    assert all(issubclass(t, WechatRefused) for t in types)


@pytest.mark.parametrize(
    ("errmsg", "action"),
    [
        ("reach max api daily quota limit, could get access_token by getStableAccessToken", Action.PAUSE_TO_MIDNIGHT),
        ("reach max api minute quota limit rid: 1", Action.PAUSE_MINUTE),
        ("reach max api daily quota limit rid: 2", Action.PAUSE_TO_MIDNIGHT),
    ],
)
def test_the_two_meanings_of_45009_are_told_apart_by_the_text(errmsg: str, action: Action) -> None:
    assert rule_for(errcode=45009, errmsg=errmsg).action is action


def test_a_refusal_carries_what_support_asks_for_and_what_to_do() -> None:
    error = refusal(errcode=43004, errmsg="require subscribe rid: 1-2-3", rid="1-2-3")
    assert isinstance(error, RecipientUnreachable)
    assert (error.rid, error.action, error.ambiguous) == ("1-2-3", Action.NEXT_CHANNEL, False)


def test_an_unknown_code_is_never_retried() -> None:
    error = refusal(errcode=99_999, errmsg="?")
    assert isinstance(error, UnknownRefusal)
    assert error.action is Action.OPEN_CIRCUIT
