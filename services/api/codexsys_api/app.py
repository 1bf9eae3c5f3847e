"""Puts the API together."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from typing_extensions import override

from codexsys_api import problems
from codexsys_api.auth import NEEDS, Sessions
from codexsys_api.condition import Condition
from codexsys_api.context import Streams
from codexsys_api.described.description import describe
from codexsys_api.described.page import page
from codexsys_api.hosts import Hosts
from codexsys_api.hot import Hot
from codexsys_api.looking import Looker
from codexsys_api.observe import Observe
from codexsys_api.pages import Pages
from codexsys_api.routes import (
    account,
    answers,
    artifacts,
    browser,
    docs,
    environments,
    follow,
    health,
    keys,
    later,
    messages,
    objects,
    pages,
    shares,
    sign_in,
    static,
    task_list,
    tasks,
    uploads,
    usage,
    watch,
    workspace,
)
from codexsys_api.routes.changes import Changes
from codexsys_api.routes.params import BODIES
from codexsys_api.showing import Showing
from codexsys_api.submit.submitter import Submitter
from codexsys_api.tails import Tails
from codexsys_api.uploads import Uploads
from codexsys_api.workspaces import Workspaces
from codexsys_wiring.folders import Folders
from codexsys_wiring.platform import Platform

ROUTERS = tuple(
    each.router
    for each in (
        health,
        tasks,
        uploads,
        answers,
        messages,
        follow,
        artifacts,
        workspace,
        shares,
        keys,
        environments,
        usage,
        later,
        objects,
        docs,
        sign_in,
        static,
        watch,
        account,
        task_list,
        pages,
    )
)


def description() -> dict[str, Any]:
    """Describe the API as OpenAPI 3.1."""
    return describe(version=version("codexsys"), routers=ROUTERS, bodies=BODIES, needs=NEEDS)


class Described(FastAPI):
    """An application that describes itself once, when it is first asked."""

    _reference = ""

    @override
    def openapi(self) -> dict[str, Any]:
        """Return the description."""
        self.openapi_schema = self.openapi_schema or description()
        return self.openapi_schema

    def reference(self) -> str:
        """Return the description as a page."""
        self._reference = self._reference or page(self.openapi())
        return self._reference


def create_app(platform: Platform) -> FastAPI:
    """Build the application on an open platform."""
    app = Described(
        title="codexsys",
        version=version("codexsys"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.platform = platform
    app.state.base_url = platform.settings.api_url
    app.state.streams = Streams()
    app.state.tails = Tails(platform, app.state.streams)
    app.state.folders = Folders(platform.settings.data_dir / "tmp")
    app.state.workspaces = Workspaces(
        checkpoints=platform.checkpoints,
        artifacts=platform.artifacts,
        objects=platform.objects,
        bench=platform.bench,
        folders=app.state.folders,
        most_bytes=2 * (platform.settings.max_source_mb << 20),
    )
    app.state.condition = Condition(platform)
    app.state.changes = Changes(platform.objects)
    app.state.uploads = Uploads(platform, app.state.folders)
    app.state.submitter = Submitter(
        platform, app.state.uploads, Looker(platform, app.state.folders)
    )
    app.state.showing = Showing(platform)
    app.state.sessions = Sessions(platform)
    app.state.pages = Pages(clock=platform.clock, version=app.version)
    problems.install(app)
    browser.install(app)
    app.add_middleware(Hot)
    app.add_middleware(Hosts, allowed=platform.settings.allowed_hosts)
    app.add_middleware(Observe, ids=platform.ids)
    for router in ROUTERS:
        app.include_router(router)
    app.state.addresses = [route for router in ROUTERS for route in router.routes]
    return app
