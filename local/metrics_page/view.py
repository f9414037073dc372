"""`GET /_local/metrics`: a page with the metrics of this stack's functions."""

import asyncio
from pathlib import Path

from aiohttp import web

from local.metrics_page.emf import Log
from local.metrics_page.figures import Figures

PATH = "/_local/metrics"
PAGE = Path(__file__).with_name("page")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class MetricsView:
    """The page and its figures, read from the functions' log on request."""

    def __init__(self, log: Path) -> None:
        self._log, self._figures = Log(log), Figures()
        self._reading = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the additional routes of a stack."""
        return [
            web.get(PATH, self._page),
            web.get(f"{PATH}.json", self._summary),
            web.get(f"{PATH}/{{name}}", self._page),
        ]

    async def _page(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "index.html")
        files = {file.name: file for file in PAGE.iterdir()}
        if name not in files:
            raise web.HTTPNotFound
        file = files[name]
        text, kind = file.read_text(), TYPES[file.suffix]
        return web.Response(text=text, content_type=kind, headers=HEADERS)

    async def _summary(self, request: web.Request) -> web.Response:
        async with self._reading:
            await asyncio.to_thread(lambda: self._figures.add(self._log.read_new()))
            summary = await asyncio.to_thread(self._figures.summary, dict(request.query))
        return web.json_response(summary, headers=HEADERS)
