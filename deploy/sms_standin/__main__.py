"""`python -m deploy.sms_standin --port N`: both providers in the foreground, on this machine only."""

import argparse
import sys
from pathlib import Path

import uvicorn

from deploy.sms_standin.app import build_app
from deploy.sms_standin.world import World
from deploy.wechat_sandbox.clock import VirtualClock


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.sms_standin", description=__doc__)
    parser.add_argument("--port", type=int, default=8098)
    parser.add_argument("--key-id", default="standin-key")
    parser.add_argument("--secret", default="standin-secret")
    parser.add_argument("--log", type=Path, help="JSON lines of accepted messages; read again after a restart")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not (arguments.key_id.startswith("standin") and arguments.secret.startswith("standin")):
        sys.exit("密钥须以 standin 开头：此处不得使用真实密钥。 Keys must begin with standin: no real ones here.")
    world = World(
        clock=VirtualClock(), keys={arguments.key_id: arguments.secret}, log=arguments.log, seed=arguments.seed
    )
    print(f"短信模拟 SMS stand-in: http://127.0.0.1:{arguments.port}", flush=True)
    uvicorn.run(build_app(world), host="127.0.0.1", port=arguments.port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
