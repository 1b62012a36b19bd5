"""Tables of notify, one file per aggregate; `OWNED` names the column of the customer where a row has one."""

from services.notify.tables.base import metadata
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
from services.notify.tables.people import account, contact, customer, engagement, holding, person, post, unit
from services.notify.tables.tickets import ticket
from services.notify.tables.webhooks import webhook_endpoint

OWNED = {
    t.name: "customer_id" for t in (engagement, customer, account, delivery, delivery_account, ticket, webhook_endpoint)
}
__all__ = [
    "OWNED",
    "account",
    "attempt",
    "circuit",
    "contact",
    "customer",
    "delivery",
    "delivery_account",
    "early_receipt",
    "engagement",
    "holding",
    "metadata",
    "person",
    "post",
    "preference",
    "quiet_hours",
    "set_part",
    "ticket",
    "token_bucket",
    "unit",
    "webhook_endpoint",
]
