"""Signatures and envelope against the vectors that WeChat and public libraries print."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.adapters.wechat.callbacks import parse_fields
from services.notify.adapters.wechat.crypto import (
    BadEncodingAesKey,
    Envelope,
    EnvelopeKey,
    EnvelopeRefused,
    ForeignPage,
    page_signature,
    push_signature,
    same_signature,
)
from services.notify.adapters.wechat.replies import sealed_reply, text_reply

TOKEN = "123456"
KEY = EnvelopeKey.parse(encoding_aes_key="kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR")
OTHER_KEY = EnvelopeKey.parse(encoding_aes_key="a" * 43)
APP_ID = "wx49f0ab532d5d035a"
ECHO = "4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q=="
REPLY = """<xml>
<MsgType><![CDATA[text]]></MsgType>
<Content><![CDATA[test]]></Content>
<FromUserName><![CDATA[wx49f0ab532d5d035a]]></FromUserName>
<ToUserName><![CDATA[messense]]></ToUserName>
<AgentID>1</AgentID>
<CreateTime>1411525903</CreateTime>
</xml>"""
PUSHED = (
    "RgqEoJj5A4EMYlLvWO1F86ioRjZfaex/gePD0gOXTxpsq5Yj4GNglrBb8I2BAJVODGajiFnXBu7mCPatfjsu6IHCrsTyeDXzF6Bv283dGymzxh6y"
    "dJRvZsryDyZbLTE7rhnus50qGPMfp2wASFlzEgMW9z1ef/RD8XzaFYgm7iTdaXpXaG4+BiYyolBug/gYNx410cvkKR2/nPwBiT+P4hIiOAQqGp/T"
    "ywZBtDh1yCF2KOd0gpiMZ5jSw3e29mTvmUHzkVQiMS6td7vXUaWOMZnYZlF3So2SjHnwh4jYFxdgpkHHqIrH/54SNdshoQgWYEvccTKe7FS709/5"
    "t6NMxuGhcUGAPOQipvWTT4dShyqio7mlsl5noTrb++x6En749zCpQVhDpbV6GDnTbcX2e8K9QaNWHp91eBdCRxthuL0="
)


@pytest.mark.parametrize(
    ("token", "timestamp", "nonce", "signature"),
    [
        ("AAAAA", "1714036504", "1514711492", "f464b24fc39322e44b38aa78f5edd27bd1441696"),
        ("AAAAA", "1714037059", "486452656", "899cf89e464efb63f54ddac96b0a0a235f53aa78"),
    ],
)
def test_the_printed_push_signatures_come_out(token: str, timestamp: str, nonce: str, signature: str) -> None:
    assert push_signature(token=token, timestamp=timestamp, nonce=nonce) == signature


def test_the_printed_encrypted_echo_is_signed_and_opened() -> None:
    signature = push_signature(token=TOKEN, timestamp="1411443780", nonce="437374425", encrypted=ECHO)
    assert signature == "dd6b9c95b495b3f7e2901bfbc76c664930ffdb96"
    assert Envelope(APP_ID, KEY).open(encrypted=ECHO).message == b"5927782489442352469"


def test_the_printed_push_is_signed_and_opened() -> None:
    signature = push_signature(token=TOKEN, timestamp="1411525903", nonce="461056294", encrypted=PUSHED)
    assert signature == "74d92dfeb87ba7c714f89d98870ae5eb62dff26d"
    fields = parse_fields(body=Envelope(APP_ID, KEY).open(encrypted=PUSHED).message)
    assert (fields["Content"], fields["FromUserName"]) == ("test", "messense")


def test_the_printed_reply_comes_out_with_its_random_prefix() -> None:
    envelope = Envelope(APP_ID, KEY, random_bytes=lambda _: b"1234567890123456")
    sealed = sealed_reply(
        reply=REPLY, envelope=envelope, key=None, token=TOKEN, timestamp="1411525903", nonce="461056294"
    )
    assert parse_fields(body=sealed.encode())["MsgSignature"] == "407518b7649e86ef23978113f92d27afa9296533"


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        ("http://mp.weixin.qq.com", "f4d90daf4b3bca3078ab155816175ba34c443a7b"),
        ("http://mp.weixin.qq.com#wechat_redirect", "f4d90daf4b3bca3078ab155816175ba34c443a7b"),
        ("http://mp.weixin.qq.com?params=value", "0f9de62fce790f9a083d5c99e95740ceb90c27ed"),
    ],
)
def test_the_printed_page_signatures_come_out(url: str, signature: str) -> None:
    assert _page(url) == signature


@pytest.mark.parametrize(
    "url",
    [
        "https://mp.weixin.qq.com.example.org/",
        "https://mp.weixin.qq.com@example.org/",
        "https://example.org@mp.weixin.qq.com/",
        "javascript:alert(1)",
        "//mp.weixin.qq.com/",
        "",
    ],
)
def test_a_page_that_is_not_ours_is_not_signed(url: str) -> None:
    with pytest.raises(ForeignPage):
        _page(url)


def _page(url: str) -> str:
    ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
    return page_signature(
        ticket=ticket,
        nonce="Wm3WZYTPz0wzccnW",
        timestamp=1414587457,
        url=url,
        own_hosts=frozenset({"mp.weixin.qq.com"}),
    )


@given(st.binary(max_size=500))
def test_what_was_sealed_opens_again(message: bytes) -> None:
    envelope = Envelope(APP_ID, KEY)
    assert envelope.open(encrypted=envelope.seal(message=message)).message == message


def test_the_sealed_text_is_padded_to_blocks_of_32() -> None:
    sizes = {len(base64.b64decode(Envelope(APP_ID, KEY).seal(message=b"x" * n))) % 32 for n in range(70)}
    assert sizes == {0}


def test_during_a_key_change_the_last_key_opens_and_is_named_for_the_reply() -> None:
    sealed = Envelope(APP_ID, OTHER_KEY).seal(message=b"still the last key")
    opened = Envelope(APP_ID, KEY, last_key=OTHER_KEY).open(encrypted=sealed)
    assert (opened.message, opened.key) == (b"still the last key", OTHER_KEY)


def test_an_envelope_for_another_appid_is_refused() -> None:
    sealed = Envelope("wx0000000000000000", KEY).seal(message=b"text")
    with pytest.raises(EnvelopeRefused):
        Envelope(APP_ID, KEY).open(encrypted=sealed)


@pytest.mark.parametrize("broken", ["", "not base64!", "QUJD", base64.b64encode(bytes(32)).decode()])
def test_what_is_no_envelope_is_refused(broken: str) -> None:
    with pytest.raises(EnvelopeRefused):
        Envelope(APP_ID, KEY).open(encrypted=broken)


@given(position=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_no_changed_byte_of_the_last_two_blocks_passes(position: int, flip: int) -> None:
    # A change there damages appid or padding; earlier blocks are covered by msg_signature alone.
    envelope = Envelope(APP_ID, KEY)
    sealed = bytearray(base64.b64decode(envelope.seal(message=b"m" * 12)))
    sealed[len(sealed) - 1 - position % 32] ^= flip
    with pytest.raises(EnvelopeRefused):
        envelope.open(encrypted=base64.b64encode(bytes(sealed)).decode())


def test_every_byte_of_the_padding_is_checked() -> None:
    # 48 bytes of text and a whole AES block of padding. In CBC a flipped bit of one block flips the same bit of the
    # next block's text: here the first padding byte, while length and (empty) appid stay right.
    envelope = Envelope("", KEY)
    sealed = bytearray(base64.b64decode(envelope.seal(message=b"m" * 28)))
    assert len(sealed) == 64
    sealed[32] ^= 1
    with pytest.raises(EnvelopeRefused):
        envelope.open(encrypted=base64.b64encode(bytes(sealed)).decode())


@pytest.mark.parametrize("key", ["a" * 42, "a" * 44, "a" * 42 + "-", ""])
def test_a_key_that_is_not_43_letters_and_digits_is_refused(key: str) -> None:
    with pytest.raises(BadEncodingAesKey):
        EnvelopeKey.parse(encoding_aes_key=key)


def test_keys_do_not_show_in_reprs() -> None:
    assert KEY.value.hex() not in repr(Envelope(APP_ID, KEY))
    assert repr(KEY.value) not in repr(Envelope(APP_ID, KEY))


def test_a_signature_of_any_characters_is_compared_without_failing() -> None:
    assert not same_signature(computed="a" * 40, given="签名\ud800")


@given(st.text())
def test_no_text_breaks_out_of_a_reply(content: str) -> None:
    reply = text_reply(openid="o", account="gh", created_at_s=1, content=content + "a]]><x>1</x><![CDATA[b")
    fields = parse_fields(body=reply.encode("utf-8", "surrogatepass"))
    assert set(fields) == {"ToUserName", "FromUserName", "CreateTime", "MsgType", "Content"}
    assert str(fields["Content"]).endswith("a]]><x>1</x><![CDATA[b")
