"""Message bodies: identifiers that repeat, texts cut between characters."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.notify.adapters.wechat.messages import MiniProgram, TemplateMessage, client_msg_id, split_text


@given(st.uuids(), st.uuids())
def test_a_delivery_has_one_client_msg_id_for_ever(one: UUID, other: UUID) -> None:
    id_ = client_msg_id(delivery_id=one)
    assert id_ == client_msg_id(delivery_id=UUID(str(one)))
    assert (id_ == client_msg_id(delivery_id=other)) == (one == other)
    assert len(id_) == 32
    assert id_.isalnum()


@given(st.text(), st.integers(min_value=4, max_value=40))
def test_pieces_fit_and_together_are_the_text(text: str, max_bytes: int) -> None:
    pieces = list(split_text(text=text, max_bytes=max_bytes))
    assert "".join(pieces) == text
    assert all(0 < len(piece.encode("utf-8", "replace")) <= max_bytes for piece in pieces)


def test_a_template_body_is_spelt_as_wechat_wants_it() -> None:
    message = TemplateMessage(
        openid="o1",
        template_id="t1",
        values={"thing1": "停电"},
        client_msg_id="c1",
        url="https://example.org/n/1",
        mini_program=MiniProgram(app_id="wx1", page_path="pages/notice"),
    )
    assert message.body() == {
        "touser": "o1",
        "template_id": "t1",
        "client_msg_id": "c1",
        "data": {"thing1": {"value": "停电"}},
        "url": "https://example.org/n/1",
        "miniprogram": {"appid": "wx1", "pagepath": "pages/notice"},
    }
