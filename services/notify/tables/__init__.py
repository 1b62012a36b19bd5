"""Tables of notify, one file per aggregate; `OWNED` names the column of the customer where a row has one."""

from services.notify.tables.announcements import announced_to, announcement
from services.notify.tables.base import metadata
from services.notify.tables.conversations import conversation, conversation_message
from services.notify.tables.messages import (
    attempt,
    circuit,
    delivery,
    delivery_account,
    early_receipt,
    preference,
    quiet_hours,
    set_part,
    token_bucket,
)
from services.notify.tables.notices import notice_due, notice_proof, watched_outage
from services.notify.tables.organisation import (
    directory_change,
    duty,
    handover,
    holding,
    leave,
    post,
    post_deputy,
    unit,
)
from services.notify.tables.people import account, contact, customer, engagement, person
from services.notify.tables.policies import planning, policy_version
from services.notify.tables.privacy import privacy_request
from services.notify.tables.tasks import task
from services.notify.tables.templates import template_version
from services.notify.tables.tickets import ticket
from services.notify.tables.webhooks import webhook_endpoint
from services.notify.tables.wechat import (
    wechat_consent,
    wechat_invitation,
    wechat_login,
    wechat_media,
    wechat_push,
    wechat_reply,
    wechat_token,
    wechat_user,
    wechat_window,
)

OWNED = {
    t.name: "customer_id"
    for t in (
        engagement, customer, account, delivery, delivery_account, ticket, webhook_endpoint, planning, task, notice_due,
        notice_proof, announced_to, conversation, conversation_message,
    )
}  # fmt: skip
__all__ = [
    "OWNED",
    "account",
    "announced_to",
    "announcement",
    "attempt",
    "circuit",
    "contact",
    "conversation",
    "conversation_message",
    "customer",
    "delivery",
    "delivery_account",
    "directory_change",
    "duty",
    "early_receipt",
    "engagement",
    "handover",
    "holding",
    "leave",
    "metadata",
    "notice_due",
    "notice_proof",
    "person",
    "planning",
    "policy_version",
    "post",
    "post_deputy",
    "preference",
    "privacy_request",
    "quiet_hours",
    "set_part",
    "task",
    "template_version",
    "ticket",
    "token_bucket",
    "unit",
    "watched_outage",
    "webhook_endpoint",
    "wechat_consent",
    "wechat_invitation",
    "wechat_login",
    "wechat_media",
    "wechat_push",
    "wechat_reply",
    "wechat_token",
    "wechat_user",
    "wechat_window",
]
