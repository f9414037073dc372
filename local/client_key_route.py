"""`GET /_local/client-key`: the client key of this stack, for its own playground only."""

import re

from aiohttp import web

PATH = "/_local/client-key"
LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost)(?::\d+)?", re.IGNORECASE)
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host")
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def client_key_route(key: str) -> web.RouteDef:
    """Return the route that gives the key to pages of this stack, and 403 to all other callers."""

    async def show_key(request: web.Request) -> web.Response:
        if not _is_own_page(request):
            raise web.HTTPForbidden(headers=HEADERS, text="Only for the playground of this stack.")
        return web.json_response({"client_key": key}, headers=HEADERS)

    return web.get(PATH, show_key, allow_head=False)


def _is_own_page(request: web.Request) -> bool:
    """Return whether a browser on this machine sent this for a page of this stack.

    Browsers set these headers, and scripts cannot change them. Another host name, which DNS could
    resolve to 127.0.0.1, and a proxy mean that the page may be someone else's.
    """
    headers, origin = request.headers, f"http://{request.host}"
    return (
        LOOPBACK.fullmatch(request.host) is not None
        and headers.get("Sec-Fetch-Site") == "same-origin"
        and headers.get("Origin", origin) == origin
        and not any(name in headers for name in FORWARDED)
    )
