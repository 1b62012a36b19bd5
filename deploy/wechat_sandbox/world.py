"""Everything the sandbox knows, in one place, and the pushes that a person's deeds cause."""

from collections import Counter
from random import Random

from deploy.wechat_sandbox.answers import Refused
from deploy.wechat_sandbox.behaviour import Behaviour
from deploy.wechat_sandbox.clock import VirtualClock
from deploy.wechat_sandbox.faults import FaultScript
from deploy.wechat_sandbox.journal import Journal
from deploy.wechat_sandbox.media import MediaDesk
from deploy.wechat_sandbox.people import Deed, Follower, Standing
from deploy.wechat_sandbox.push import Pusher
from deploy.wechat_sandbox.quotas import QuotaDesk
from deploy.wechat_sandbox.settings import Settings
from deploy.wechat_sandbox.templates import Template
from deploy.wechat_sandbox.tokens import TokenDesk


class World:
    def __init__(self, *, settings: Settings) -> None:
        self.settings = settings
        self.rng = Random(settings.seed)  # noqa: S311 - chance of a simulation, repeatable
        self.clock = VirtualClock(start=settings.as_of, started_at_s=settings.as_of_started_at_s)
        self.behaviour = Behaviour(callback_url=settings.callback_url)
        self.people: dict[str, Follower] = {}
        self.templates: dict[str, Template] = {}
        self.tokens = TokenDesk(clock=self.clock)
        self.media = MediaDesk(clock=self.clock)
        self.quotas = QuotaDesk(clock=self.clock)
        self.faults = FaultScript(clock=self.clock, rng=self.rng)
        self.journal = Journal(path=settings.log)
        self.pusher = Pusher(settings=settings, behaviour=self.behaviour, clock=self.clock, rng=self.rng)
        self.calls: Counter[str] = Counter()
        """`api errcode` -> how often it was answered so."""
        self._last_inbound_msgid = 23_000_000_000_000_000

    def person(self, *, openid: object) -> Follower:
        """Raises `Refused` 40003."""
        follower = self.people.get(openid) if isinstance(openid, str) else None
        if follower is None:
            raise Refused(40003)
        return follower

    def template(self, *, template_id: object) -> Template:
        """Raises `Refused` 40037."""
        template = self.templates.get(template_id) if isinstance(template_id, str) else None
        if template is None:
            raise Refused(40037)
        return template

    def push_event(self, *, follower: Follower, event: str, **fields: object) -> None:
        self.pusher.start(fields=self.head(follower=follower, msg_type="event") | {"Event": event} | fields)

    def head(self, *, follower: Follower, msg_type: str) -> dict[str, object]:
        return {
            "ToUserName": self.settings.account,
            "FromUserName": follower.openid,
            "CreateTime": int(self.clock.seconds()),
            "MsgType": msg_type,
        }

    def subscribe(self, *, follower: Follower, scene: str | None = None) -> None:
        follower.standing = Standing.FOLLOWING
        follower.did(Deed.FOLLOW, now_s=self.clock.seconds())
        extra = {"EventKey": f"qrscene_{scene}", "Ticket": f"ticket-{scene}"} if scene else {"EventKey": ""}
        self.push_event(follower=follower, event="subscribe", **extra)

    def unsubscribe(self, *, follower: Follower) -> None:
        follower.standing = Standing.UNSUBSCRIBED
        self.push_event(follower=follower, event="unsubscribe", EventKey="")

    def scan(self, *, follower: Follower, scene: str) -> None:
        follower.did(Deed.SCAN, now_s=self.clock.seconds())
        self.push_event(follower=follower, event="SCAN", EventKey=scene, Ticket=f"ticket-{scene}")

    def click(self, *, follower: Follower, key: str) -> None:
        follower.did(Deed.MENU, now_s=self.clock.seconds())
        self.push_event(follower=follower, event="CLICK", EventKey=key)

    def say(self, *, follower: Follower, text: str) -> int:
        """The MsgId of the pushed message."""
        return self._speak(follower, "text", {"text": text}, {"Content": text})

    def choose(self, *, follower: Follower, choice_id: str, label: str) -> int:
        """A tap on an entry of a msgmenu: comes as the person's words, with the entry's id."""
        return self._speak(follower, "text", {"text": label}, {"Content": label, "bizmsgmenuid": choice_id})

    def show(self, *, follower: Follower, content_type: str, content: bytes) -> int:
        """A photo that the person sends; the push names it by its media id. Raises `Refused`."""
        media_id = self.media.put(kind="image", content_type=content_type, content=content)
        picture: dict[str, object] = {
            "PicUrl": f"http://127.0.0.1:{self.settings.port}/sandbox/media/{media_id}",
            "MediaId": media_id,
        }
        return self._speak(follower, "image", {"text": "", "media_id": media_id}, picture)

    def _speak(self, follower: Follower, msg_type: str, said: dict[str, object], fields: dict[str, object]) -> int:
        self._last_inbound_msgid += 1
        msgid = self._last_inbound_msgid
        follower.did(Deed.MESSAGE, now_s=self.clock.seconds())
        follower.said.append(said | {"virtual_at": self.clock.now().isoformat()})
        self.pusher.start(fields=self.head(follower=follower, msg_type=msg_type) | fields | {"MsgId": msgid})
        return msgid

    def revoke(self, *, follower: Follower) -> None:
        """The person takes back what they allowed the account to know."""
        openid = {"OpenID": follower.openid, "AppID": self.settings.app_id, "RevokeInfo": "301"}
        self.push_event(follower=follower, event="user_authorization_revoke", **openid)

    def answer_consent(self, *, follower: Follower, template_id: str, accepted: bool) -> None:
        """One tap in the consent dialogue: one message, which never expires."""
        if accepted:
            follower.consents[template_id] = max(0, follower.consents.get(template_id, 0)) + 1
        choice = "accept" if accepted else "reject"
        entry = {"TemplateId": template_id, "SubscribeStatusString": choice, "PopupScene": "1"}
        lists: object = {"List": entry}
        name = "subscribe_msg_popup_event"
        if self.behaviour.push_format == "json":
            self.push_event(follower=follower, event=name, List=entry)
        else:
            self.push_event(follower=follower, event=name, SubscribeMsgPopupEvent=lists)
