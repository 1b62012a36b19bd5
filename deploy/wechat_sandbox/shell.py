"""The frame of every page of the sandbox: a telephone in the middle of the screen."""

from starlette.responses import HTMLResponse

_CSS = """
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:#c9ced6;
font:16px/1.5 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC","WenQuanYi Zen Hei",sans-serif;color:#191919}
main{width:24.4rem;max-width:100vw;height:min(52.75rem,100vh);background:#ededed;display:flex;flex-direction:column;
overflow:hidden;border-radius:2.6rem;border:.65rem solid #111;box-shadow:0 1.2rem 3rem #0006}
.status{display:flex;justify-content:space-between;align-items:center;padding:.45rem 1.5rem .2rem;font-size:.85rem;
font-weight:600;background:#ededed}
.status i{display:block;width:6rem;height:1.3rem;border-radius:1rem;background:#111}
header{background:#ededed;border-bottom:1px solid #d9d9d9;padding:.35rem 1rem .5rem;text-align:center;font-weight:600}
header a{float:left;color:#191919;text-decoration:none;font-size:1.3rem;line-height:1.2}
header small{display:block;color:#5c5c5c;font-weight:400;font-size:.75rem}
ol{list-style:none;margin:0;padding:.6rem .75rem;flex:1;overflow-y:auto;display:flex;flex-direction:column}
ol.talk{flex-direction:column-reverse}
li{margin:.4rem 0}
.time{text-align:center;color:#6b6b6b;font-size:.72rem;margin-bottom:.35rem}
.line{display:flex;gap:.55rem;align-items:flex-start}
.line.mine{flex-direction:row-reverse}
.face{flex:none;width:2.4rem;height:2.4rem;border-radius:.35rem;background:#1d6fd1;color:#fff;display:grid;
place-items:center;font-weight:600}
.mine .face{background:#7a8794}
.bubble{background:#fff;border-radius:.35rem;padding:.5rem .7rem;max-width:15.5rem;white-space:pre-wrap;
overflow-wrap:anywhere}
.mine .bubble{background:#95ec69}
.bubble img{display:block;max-width:12rem;border-radius:.25rem}
.bubble.picture{padding:.2rem;background:none}
.card{background:#fff;border-radius:.5rem;padding:.8rem .9rem}
.card strong{font-size:1.05rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem .9rem;margin:.6rem 0 .2rem;font-size:.92rem}
dt{color:#6b6b6b}dd{margin:0;overflow-wrap:anywhere}
.more{border-top:1px solid #eee;margin-top:.6rem;padding-top:.5rem;font-size:.9rem;display:block;color:#191919;
text-decoration:none}
.more::after{content:"›";float:right;color:#9a9a9a}
.menu{display:flex;border-top:1px solid #d9d9d9;background:#f7f7f7}
.menu button{flex:1;border:0;border-right:1px solid #e2e2e2;background:none;padding:.55rem .2rem;font:inherit;
font-size:.9rem;color:#191919}
.say{display:flex;gap:.45rem;align-items:center;padding:.5rem .7rem;border-top:1px solid #d9d9d9;background:#f7f7f7}
.say input[name=text]{flex:1;min-width:0;font:inherit;padding:.4rem .6rem;border:0;border-radius:.3rem;background:#fff}
.photo{position:relative;flex:none;width:2.2rem;height:2.2rem;border:1.5px solid #333;border-radius:50%;display:grid;
place-items:center;font-size:1.2rem;line-height:1}
.photo input{position:absolute;inset:0;opacity:0;cursor:pointer;width:100%}
.photo:has(:valid){background:#07864a;color:#fff}
#photo-form{display:none}
main:has(.photo :valid) #photo-form{display:block}
button{font:inherit;cursor:pointer}
.say button,.wide button,.choice button{border:0;border-radius:.3rem;background:#07864a;color:#fff;padding:.4rem .8rem}
.choice button{width:100%;padding:.6rem}
.choice label{display:block;padding:0 1rem 1rem;color:#5c5c5c}
.tap{display:block;border:0;background:none;padding:.1rem 0;color:#2b5a8c;text-align:left}
.quiet{border:0;background:none;color:#5c5c5c;font-size:.75rem;padding:.25rem;width:100%;background:#f7f7f7}
.wide{padding:1rem;text-align:center;background:#f7f7f7}
.person{display:flex;gap:.7rem;align-items:center;background:#fff;border-radius:.5rem;padding:.6rem .8rem;
text-decoration:none;color:#191919}
.person span{flex:1}.person small{display:block;color:#6b6b6b}
.count{flex:none!important;background:#c9302c;color:#fff;border-radius:1rem;padding:0 .5rem;font-size:.8rem}
:focus-visible{outline:3px solid #1d6fd1;outline-offset:1px}
"""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self' http: https:;"
        " base-uri 'none'"
    ),
    "Cache-Control": "no-store",
}


def page(title: str, content: str, *, status: int = 200, clock: str = "") -> HTMLResponse:
    """`title` and `content` are HTML already; `clock` is what the telephone's own clock shows."""
    html = (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_CSS}</style></head><body><main>"
        f'<div class="status" aria-hidden="true"><span>{clock or "沙箱"}</span><i></i><span>5G ▮</span></div>'
        f"{content}</main></body></html>"
    )
    return HTMLResponse(html, status_code=status, headers=HEADERS)
