"""`gspc view`: a scene in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gspc.cli import console, options, targets
from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.pipeline import Site

EXAMPLE = "gspc view scene.pcgs"

Port = Annotated[
    int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port to serve at; 0 takes a free one.")
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Print the address, and open no browser.")]
Folder = Annotated[
    str | None,
    typer.Option(
        "--export",
        metavar="DIR",
        help="Write the page, its viewer and the scene to a folder for any web server, and serve nothing.",
    ),
]


def command(
    source: options.StreamInput = None,
    upto: options.Upto = None,
    port: Port = 0,
    no_browser: NoBrowser = False,
    export: Folder = None,
    json_report: options.Json = None,
    force: options.Force = False,
) -> None:
    """Show a scene in the browser, level by level.

    Serves a page with a viewer to this machine alone and opens it; Ctrl-C ends it. The page fetches the
    first level of the scene, shows it, and sharpens it while more arrives. The tiles of an index (.pcgsx)
    are shown together, near ones first, as many and as fine as memory allows. --export writes the same
    page as a folder for any web server. For one file that needs no server, see gspc export -o scene.html.
    """
    from gspc import pipeline

    if export is not None:
        pipeline.check_folder(Path(export), force=force)
    elif json_report is not None:
        raise UsageError("--json reports what --export writes; add --export DIR")
    targets.check(json_report, source, force=force)
    data = options.load(source)
    site = pipeline.site(data, upto=upto)
    for warning in site.warnings:
        console.warn(f"{data.name}: {warning}")
    if export is None:
        _serve(site, port, browser=not no_browser)
        return
    site.save(export, overwrite=force)
    size = sum(map(len, site.files.values()))
    targets.note(f"{export}: {len(site.files)} files, {size:,} bytes, levels 1 to {site.levels}", json_report)
    values = {
        "input": data.name,
        "output": export,
        "files": {name: len(content) for name, content in site.files.items()},
        "levels": site.levels,
    }
    targets.report(json_report, values, stdout_taken=False, force=force)


def _serve(site: Site, port: int, *, browser: bool) -> None:
    """Serves the page until Ctrl-C."""
    import sys
    import webbrowser

    from gspc import pipeline

    server = pipeline.page_server(site.files, port)
    try:
        console.out(server.address)
        sys.stdout.flush()
        if browser and not webbrowser.open(server.address):
            console.note("no browser was found; open the address above")
        console.note("Ctrl-C ends it")
        server.serve_forever()
    except KeyboardInterrupt:
        console.note("done")
    finally:
        server.server_close()
