"""Tables of notify, one file per aggregate; `OWNED` names the column of the customer where a row has one."""

from services.notify.tables.base import metadata
from services.notify.tables.messages import attempt, delivery, delivery_account, early_receipt, set_part
from services.notify.tables.people import account, contact, customer, engagement, holding, person, post, unit
from services.notify.tables.tickets import ticket

OWNED = {t.name: "customer_id" for t in (engagement, customer, account, delivery, delivery_account, ticket)}
__all__ = [
    "OWNED",
    "account",
    "attempt",
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
    "set_part",
    "ticket",
    "unit",
]
