"""`python -m deploy.wechat_sandbox --port N --log FILE`: the sandbox in the foreground, on this machine only."""

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from deploy.wechat_sandbox import settings as defaults
from deploy.wechat_sandbox.admin import PeopleIn, TemplatesIn
from deploy.wechat_sandbox.app import build_app
from deploy.wechat_sandbox.connections import CuttableProtocol
from deploy.wechat_sandbox.people import Follower
from deploy.wechat_sandbox.settings import RealSecretFound, Settings, check_own_secret, refuse_real_secrets
from deploy.wechat_sandbox.world import World


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.wechat_sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--log", type=Path, required=True, help="append-only JSON lines of every accepted message")
    parser.add_argument("--callback-url", help="where pushes go, on this machine; changeable over /sandbox/behaviour")
    parser.add_argument("--followers", type=Path, help='JSON {"followers": [{"openid": ..., "nickname": ...}]}')
    parser.add_argument("--templates", type=Path, help='JSON {"templates": [{"template_id", "title", "fields"}]}')
    parser.add_argument("--app-id", default=defaults.DEFAULT_APP_ID)
    parser.add_argument("--app-secret", default=defaults.DEFAULT_APP_SECRET)
    parser.add_argument("--token", default=defaults.DEFAULT_TOKEN)
    parser.add_argument("--aes-key", default=defaults.DEFAULT_AES_KEY)
    parser.add_argument("--last-aes-key", help="the key before the last change, for pushes with tamper=last_key")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as-of", type=_aware, help="what the virtual clock shows first, with a zone")
    parser.add_argument("--as-of-started-at", type=float, help="real epoch seconds of --as-of; now if not given")
    return parser.parse_args()


def _aware(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text}：缺少时区，如 +08:00。 Add the zone, such as +08:00.")
    return instant


def _world(arguments: argparse.Namespace) -> World:
    refuse_real_secrets(environ=os.environ)
    check_own_secret(value=arguments.app_secret)
    world = World(
        settings=Settings(
            port=arguments.port,
            log=arguments.log,
            callback_url=arguments.callback_url,
            app_id=arguments.app_id,
            app_secret=arguments.app_secret,
            token=arguments.token,
            aes_key=arguments.aes_key,
            last_aes_key=arguments.last_aes_key,
            seed=arguments.seed,
            as_of=arguments.as_of,
            as_of_started_at_s=arguments.as_of_started_at,
        )
    )
    if arguments.followers is not None:
        for person in PeopleIn.model_validate_json(arguments.followers.read_bytes()).followers:
            follower = Follower(person.openid, person.nickname, person.standing, dict(person.consents))
            world.people[person.openid] = follower
    if arguments.templates is not None:
        for template in TemplatesIn.model_validate_json(arguments.templates.read_bytes()).templates:
            world.templates[template.template_id] = template
    return world


def main() -> None:
    arguments = _arguments()
    try:
        world = _world(arguments)
    except (RealSecretFound, ValidationError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(f"微信沙箱 WeChat sandbox: http://127.0.0.1:{arguments.port}/sandbox/phone", flush=True)
    uvicorn.run(
        build_app(world=world),
        host="127.0.0.1",
        port=arguments.port,
        http=CuttableProtocol,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
