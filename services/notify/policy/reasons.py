"""Why a person got a message, or did not: codes, and their words in both languages."""

from dataclasses import dataclass
from enum import StrEnum

from services.kernel.errors import Sentence


class Why(StrEnum):
    CUSTOMER_ROLE = "customer-role"
    NAMED_POST = "named-post"
    AREA_POST = "area-post"
    ON_DUTY = "on-duty"
    ACTING_FOR = "acting-for"
    LISTED = "listed"
    WAS_TOLD = "was-told"
    CHANNELS = "channels"
    NO_ADDRESS = "no-address"
    SWITCHED_OFF = "switched-off"
    QUIET = "quiet-hours"
    DIGEST = "digest"
    NOT_IN_FORCE = "not-in-force"
    ROLE_NOT_MEANT = "role-not-meant"
    OTHER_ACCOUNTS = "other-accounts"
    NAMED_GOES_FIRST = "named-goes-first"
    REPRESENTED = "represented"
    OTHER_PLACES = "other-places"
    WAS_NOT_TOLD = "was-not-told"


@dataclass(frozen=True)
class Reason:
    why: Why
    detail: str


_WORDS: dict[Why, tuple[str, str]] = {
    Why.CUSTOMER_ROLE: ("客户人员角色 {0} 在受众之内", "the customer role {0} is in the audience"),
    Why.NAMED_POST: ("按客户名指定的 {0} 岗位", "holds the post {0} for this customer by name"),
    Why.AREA_POST: ("片区 {0} 岗位，且无按户指定的岗位", "holds the post {0} of the area, no post names the customer"),
    Why.ON_DUTY: ("非工作时间的值班人员（{0}）", "is on duty outside working hours ({0})"),
    Why.ACTING_FOR: ("代 {0} 履职（AB角）", "acts for {0}"),
    Why.LISTED: ("列入名单：{0}", "stands on the list: {0}"),
    Why.WAS_TOLD: ("此前已收到 {0}", "was told of {0} before"),
    Why.CHANNELS: ("渠道顺序：{0}", "channels in order: {0}"),
    Why.NO_ADDRESS: ("渠道 {0} 无可用地址", "no usable address for {0}"),
    Why.SWITCHED_OFF: ("本人关闭了渠道 {0}", "switched {0} off"),
    Why.QUIET: ("静默时段内不发，时段结束后发送", "not sent in quiet hours, but after them"),
    Why.DIGEST: ("并入晨间汇总 {0}", "joins the morning digest {0}"),
    Why.NOT_IN_FORCE: ("与客户的关系（{0}）已结束或尚未开始", "the engagement ({0}) has ended or not begun"),
    Why.ROLE_NOT_MEANT: ("角色 {0} 不在该类事件的受众之内", "the role {0} is not in the audience of this class"),
    Why.OTHER_ACCOUNTS: ("只负责其他户号：{0}", "answers for other accounts only: {0}"),
    Why.NAMED_GOES_FIRST: ("已有按户指定的 {0} 岗位，片区岗位不再通知", "a post {0} names the customer and goes first"),
    Why.REPRESENTED: ("休假中，由 {0} 的代理人接收", "is away; the deputy for {0} is told instead"),
    Why.OTHER_PLACES: ("此前收到的通知涉及其他户号", "was told of other accounts"),
    Why.WAS_NOT_TOLD: ("此前未收到 {0}，故不再告知其结束", "was not told of {0}, so not of its end"),
}


def sentence(reason: Reason) -> Sentence:
    zh, en = _WORDS[reason.why]
    return Sentence(zh=zh.format(reason.detail), en=en.format(reason.detail))
