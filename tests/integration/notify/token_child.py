"""One replica as a process of its own: `python -m ... NAME OPENID...` sends each person a message, all at once."""

import asyncio
import sys

from services.kernel.settings import KernelSettings
from services.kernel.work import Database
from services.notify.manifest import SERVICE
from services.notify.wechat import accounts
from tests.integration.wechat.house import template_message


async def main(name: str, people: list[str]) -> None:
    database = Database(service="notify", metadata=SERVICE.metadata, settings=KernelSettings())
    async with accounts.client_of(database, role="worker") as client:
        sends = (client.send_template(message=template_message(openid, id_=name)) for openid in people)
        await asyncio.gather(*sends)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
